--- Neovim 0.12's own inline completion in place of our ghost text: setup{ ghost = "native" }.
---
--- It draws, debounces (200 ms) and accepts; evidence stays in the status line. It has no public
--- way to ask for all candidates, so cycling moves among those that the answer held.

local feedback = require("p2assist.feedback")
local text = require("p2assist.text")
local Offer = require("p2assist.offer")

local M = {}

function M.is_available()
  return vim.lsp.inline_completion ~= nil
end

---@param buffer integer
function M.attach(buffer)
  vim.lsp.inline_completion.enable(true, { bufnr = buffer })
end

---@param buffer integer
function M.detach(buffer)
  vim.lsp.inline_completion.enable(false, { bufnr = buffer })
end

--- Whether ghost text is drawn. Neovim does not say, but its marks do.
function M.visible()
  local space = vim.api.nvim_get_namespaces()["nvim.lsp.inline_completion"]
  return space ~= nil and #vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { limit = 1 }) > 0
end

local function offer_of(item)
  local cursor = vim.api.nvim_win_get_cursor(0)
  return setmetatable({
    id = item.command and item.command.arguments and item.command.arguments[1].id or "",
    text = item.insert_text,
    command = item.command,
    client_id = item.client_id,
    buffer = vim.api.nvim_get_current_buf(),
    row = item.range and item.range.start.row or cursor[1] - 1,
    column = item.range and item.range.start.col or cursor[2],
    replaced = 0,
    behind = #vim.api.nvim_get_current_line() - cursor[2],
  }, Offer)
end

local function take(part_of)
  return vim.lsp.inline_completion.get({
    on_accept = function(item)
      local cursor = vim.api.nvim_win_get_cursor(0)
      local offer = offer_of(item)
      local rest = offer:rest(cursor[1] - 1, cursor[2])
      if not rest then
        return
      end
      local part = part_of(rest)
      offer:insert(part, 0)
      cursor = vim.api.nvim_win_get_cursor(0)
      if part == rest then
        feedback.accepted(offer)
      else
        feedback.partially_accepted(offer, offer:accepted_length(cursor[1] - 1, cursor[2]))
      end
    end,
  })
end

--- Accepts the item; Neovim runs its command.
function M.accept()
  return vim.lsp.inline_completion.get()
end

function M.accept_word()
  return take(text.first_word)
end

function M.accept_line()
  return take(text.first_line)
end

---@param by integer
function M.cycle(by)
  vim.lsp.inline_completion.select({ count = by })
end

--- Takes the ghost text away. on_accept gets the item, and does not insert it.
function M.dismiss()
  return vim.lsp.inline_completion.get({
    on_accept = function(item)
      feedback.rejected(offer_of(item))
    end,
  })
end

function M.invoke()
  vim.notify("p2assist: Neovim's own inline completion asks by itself", vim.log.levels.INFO)
end

return M
