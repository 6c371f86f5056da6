--- A window that says why a completion was offered: its candidates, their evidence, the diff.

local M = {}

local space = vim.api.nvim_create_namespace("p2assist.why")
local GROUPS = { ["+"] = "Added", ["-"] = "Removed", ["@"] = "Changed" }

--- Colours the lines of ```diff blocks; Neovim ships no parser for them.
local function colour(buffer, lines)
  local within = false
  for number, line in ipairs(lines) do
    if vim.startswith(line, "```") then
      within = not within and vim.startswith(line, "```diff")
    elseif within and GROUPS[line:sub(1, 1)] then
      vim.api.nvim_buf_set_extmark(buffer, space, number - 1, 0, {
        end_col = #line,
        hl_group = GROUPS[line:sub(1, 1)],
        priority = 200,
      })
    end
  end
end

local function cells(line)
  return vim.tbl_map(vim.trim, vim.split(line:match("^|(.*)|%s*$"), "|", { plain = true }))
end

--- Pads the cells of one table, so that its columns stand below each other.
local function align(rows)
  local widths = {}
  local split = vim.tbl_map(cells, rows)
  for _, row in ipairs(split) do
    for column, cell in ipairs(row) do
      local width = cell:match("^:?%-+:?$") and 0 or vim.fn.strdisplaywidth(cell)
      widths[column] = math.max(widths[column] or 3, width)
    end
  end
  return vim.tbl_map(function(row)
    local padded = {}
    for column, cell in ipairs(row) do
      local filler = cell:match("^:?%-+:?$") and "-" or " "
      local missing = widths[column] - vim.fn.strdisplaywidth(cell)
      padded[column] = cell .. filler:rep(missing)
    end
    return "| " .. table.concat(padded, " | ") .. " |"
  end, split)
end

--- Markdown's lines, with its tables aligned: Neovim shows them as they are written.
---@param lines string[]
---@return string[]
function M.tidy(lines)
  local tidied, rows = {}, {}
  for _, line in ipairs(lines) do
    if line:match("^|.*|%s*$") then
      rows[#rows + 1] = line
    else
      vim.list_extend(tidied, align(rows))
      tidied[#tidied + 1], rows = line, {}
    end
  end
  return vim.list_extend(tidied, align(rows))
end

--- Opens it beside the cursor. It closes with the cursor's next move; given again, it is entered.
---@param markdown string
---@return integer window
function M.open(markdown)
  local lines = M.tidy(vim.split(vim.trim(markdown), "\n", { plain = true }))
  local buffer, window = vim.lsp.util.open_floating_preview(lines, "markdown", {
    border = "rounded",
    title = " Why this completion? ",
    focus_id = "p2assist.why",
    max_width = math.floor(vim.o.columns * 0.8),
    max_height = math.floor(vim.o.lines * 0.7),
    wrap = false,
  })
  colour(buffer, vim.api.nvim_buf_get_lines(buffer, 0, -1, false))
  return window
end

return M
