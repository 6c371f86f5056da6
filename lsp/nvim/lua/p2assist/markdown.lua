--- The few forms of Markdown that the server uses, as lines and highlights for a window.
---
--- Neovim's own conceals the brackets of a parametrised test's name, and does not align tables.

local M = {}

---@class p2assist.Page
---@field lines string[]
---@field marks { [1]: integer, [2]: string }[] 0-based line and the highlight group of all of it

local DIFF = { ["+"] = "Added", ["-"] = "Removed", ["@"] = "Comment" }
local GAP = "  "

local function is_rule(cell)
  return cell:match("^:?%-+:?$") ~= nil
end

local function cells(line)
  local inner = line:match("^|(.*)|%s*$"):gsub("\\|", "\0")
  return vim.tbl_map(function(cell)
    return (vim.trim(cell):gsub("%z", "|"):gsub("`", ""))
  end, vim.split(inner, "|", { plain = true }))
end

--- Pads the cells of a table's rows, so that its columns stand below each other.
local function aligned(rows)
  local split = vim.tbl_filter(function(row)
    return not vim.iter(row):all(is_rule)
  end, vim.tbl_map(cells, rows))
  local widths = {}
  for _, row in ipairs(split) do
    for column, cell in ipairs(row) do
      widths[column] = math.max(widths[column] or 0, vim.fn.strdisplaywidth(cell))
    end
  end
  return vim.tbl_map(function(row)
    local padded = {}
    for column, cell in ipairs(row) do
      padded[column] = cell .. (" "):rep(widths[column] - vim.fn.strdisplaywidth(cell))
    end
    return (table.concat(padded, GAP):gsub("%s+$", ""))
  end, split)
end

---@param markdown string
---@return p2assist.Page
function M.page(markdown)
  local page = { lines = {}, marks = {} }
  local rows, language = {}, nil
  local function put(line, group)
    page.lines[#page.lines + 1] = line
    if group then
      page.marks[#page.marks + 1] = { #page.lines - 1, group }
    end
  end
  local function finish_table()
    for number, line in ipairs(aligned(rows)) do
      put(line, number == 1 and "Title" or nil)
    end
    rows = {}
  end
  for _, line in ipairs(vim.split(vim.trim(markdown), "\n", { plain = true })) do
    if not language and line:match("^|.*|%s*$") then
      rows[#rows + 1] = line
    else
      finish_table()
      if vim.startswith(line, "```") then
        language = not language and line:sub(4) or nil
      elseif language then
        put(line, language == "diff" and DIFF[line:sub(1, 1)] or nil)
      elseif line:match("^#+ ") then
        put((line:gsub("^#+ ", "")), "Title")
      else
        put((line:gsub("`", "")))
      end
    end
  end
  finish_table()
  return page
end

return M
