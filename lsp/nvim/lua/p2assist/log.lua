--- What the servers wrote by window/logMessage, in a buffer of its own.

local M = {}

local KEPT = 2000 -- lines
local NAME = "p2assist://log"
local LEVELS = { "ERROR", "WARN", "INFO", "LOG", "DEBUG" }

local function buffer()
  local existing = vim.fn.bufnr(NAME)
  if existing ~= -1 then
    return existing
  end
  local made = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_name(made, NAME)
  vim.bo[made].bufhidden = "hide"
  vim.bo[made].modifiable = false
  return made
end

---@param words string
---@param level? integer lsp.MessageType, 3 (info) if nil
function M.add(words, level)
  local target = buffer()
  local stamp = ("%s %-5s "):format(os.date("%H:%M:%S"), LEVELS[level or 3] or "INFO")
  local lines = vim.split(stamp .. words, "\n", { plain = true })
  vim.bo[target].modifiable = true
  local empty = vim.api.nvim_buf_get_lines(target, 0, -1, false)
  vim.api.nvim_buf_set_lines(target, (#empty == 1 and empty[1] == "") and 0 or -1, -1, false, lines)
  vim.api.nvim_buf_set_lines(
    target,
    0,
    math.max(0, vim.api.nvim_buf_line_count(target) - KEPT),
    false,
    {}
  )
  vim.bo[target].modifiable = false
end

--- Shows the log in a split.
function M.open()
  vim.cmd.split()
  vim.api.nvim_win_set_buf(0, buffer())
  vim.cmd.normal({ "G", bang = true })
end

return M
