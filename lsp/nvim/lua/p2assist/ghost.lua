--- Ghost text: an offer drawn at the cursor, its evidence at the line's end. Draws, decides nothing.

local M = {}

local space = vim.api.nvim_create_namespace("p2assist.ghost")
-- The evidence has marks of its own: it changes, the ghost text beside it does not.
local aside = vim.api.nvim_create_namespace("p2assist.evidence")

local LINKS = {
  P2assistGhost = "Comment",
  P2assistPassed = "DiagnosticOk",
  P2assistFailed = "DiagnosticError",
  P2assistUntested = "DiagnosticHint",
  P2assistTesting = "DiagnosticInfo",
}

--- Defines the highlight groups where the colour scheme has none.
function M.highlights()
  for name, link in pairs(LINKS) do
    vim.api.nvim_set_hl(0, name, { link = link, default = true })
  end
end

local function piece(buffer, row, column, words, below)
  local options = { virt_text_pos = "inline", hl_mode = "combine", virt_lines = below }
  if words ~= "" then
    options.virt_text = { { words, "P2assistGhost" } }
  end
  vim.api.nvim_buf_set_extmark(buffer, space, row, column, options)
end

--- Draws what is left of an offer.
---@param offer p2assist.Offer
---@param row integer 0-based
---@param column integer bytes
function M.draw(offer, row, column)
  M.clear(offer.buffer)
  local lines = vim.split(offer:rest(row, column) or "", "\n", { plain = true })
  local below = {}
  for index = 2, #lines do
    below[#below + 1] = { { lines[index], "P2assistGhost" } }
  end
  local line = vim.api.nvim_buf_get_lines(offer.buffer, row, row + 1, false)[1]
  local replaced = line:sub(column + 1, column + offer.replaced)
  local from, to = lines[1]:find(replaced, 1, true)
  if replaced == "" or not from then
    return piece(offer.buffer, row, column, lines[1], below)
  end
  -- The item repeats what it replaces (a closing bracket): that text stays where it stands.
  piece(offer.buffer, row, column, lines[1]:sub(1, from - 1))
  piece(offer.buffer, row, column + #replaced, lines[1]:sub(to + 1), below)
end

--- Puts words at the end of a line, beside the ghost text.
---@param buffer integer
---@param row integer 0-based
---@param words string "" to take them away
---@param group string highlight group
function M.beside(buffer, row, words, group)
  vim.api.nvim_buf_clear_namespace(buffer, aside, 0, -1)
  if words == "" then
    return
  end
  vim.api.nvim_buf_set_extmark(buffer, aside, row, 0, {
    virt_text = { { "  " .. words, group } },
    virt_text_pos = "eol",
    hl_mode = "combine",
  })
end

---@param buffer integer
function M.clear(buffer)
  if vim.api.nvim_buf_is_valid(buffer) then
    vim.api.nvim_buf_clear_namespace(buffer, space, 0, -1)
    vim.api.nvim_buf_clear_namespace(buffer, aside, 0, -1)
  end
end

return M
