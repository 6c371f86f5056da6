--- Positions and lengths: Neovim counts bytes, the protocol counts what was negotiated.

local M = {}

-- 0.11 names the encoding in one argument; 0.10 has a flag for UTF-16.
local NAMED = vim.fn.has("nvim-0.11") == 1

--- The length of a string in UTF-16 units, the unit of acceptedLength.
---@param text string
---@return integer
function M.utf16_length(text)
  if NAMED then
    return vim.str_utfindex(text, "utf-16")
  end
  local _, units = vim.str_utfindex(text)
  return units
end

--- The byte column of a position in a line. A position beyond the line is its end.
---@param line string
---@param character integer units of the encoding
---@param encoding "utf-8"|"utf-16"|"utf-32"
---@return integer bytes, 0-based
function M.byte_column(line, character, encoding)
  if encoding == "utf-8" then
    return math.min(character, #line)
  elseif NAMED then
    return vim.str_byteindex(line, encoding, character, false)
  end
  local points, units = vim.str_utfindex(line)
  local most = encoding == "utf-16" and units or points
  return vim.str_byteindex(line, math.min(character, most), encoding == "utf-16")
end

--- The next word of a text with the space before it; a run of punctuation is a word too.
---@param text string
---@return string
function M.first_word(text)
  return vim.fn.matchstr(text, [[\v^\_s*%(\k+|%(\k@!\S)+)]])
end

--- What is left of the first line; the next whole line where nothing is left of it.
---@param text string
---@return string
function M.first_line(text)
  return vim.fn.matchstr(text, [[\v^\n?[^\n]*]])
end

return M
