--- A window that says why a completion was offered: its candidates, their evidence, the diff.

local markdown = require("p2assist.markdown")

local M = {}

local space = vim.api.nvim_create_namespace("p2assist.why")

--- Opens it beside the cursor. It closes with the cursor's next move; given again, it is entered.
---@param text string Markdown
---@return integer window
function M.open(text)
  local page = markdown.page(text)
  local buffer, window = vim.lsp.util.open_floating_preview(page.lines, "", {
    border = "rounded",
    title = " Why this completion? ",
    focus_id = "p2assist.why",
    max_width = math.floor(vim.o.columns * 0.9),
    max_height = math.floor(vim.o.lines * 0.7),
    wrap = false,
  })
  for _, mark in ipairs(page.marks) do
    vim.api.nvim_buf_set_extmark(buffer, space, mark[1], 0, {
      end_col = #page.lines[mark[1] + 1],
      hl_group = mark[2],
    })
  end
  return window
end

return M
