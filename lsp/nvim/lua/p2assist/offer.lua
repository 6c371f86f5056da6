--- One inline completion item at its place in a buffer.
---
--- An offer outlives keystrokes: while what is typed spells its text, it still fits, and what is
--- left of it is what remains to be shown or accepted.

local text = require("p2assist.text")

---@class p2assist.Offer
---@field id string the candidate's, "" where the server gave none
---@field text string the whole inserted text
---@field command? table run on accept
---@field client_id integer
---@field buffer integer
---@field row integer 0-based line at which the item's range starts
---@field column integer byte column at which it starts
---@field replaced integer bytes after the cursor that the item replaces
---@field behind integer bytes of the cursor's line that stay right of the item
local Offer = {}
Offer.__index = Offer

local function id_of(item)
  local arguments = item.command and item.command.arguments
  local first = arguments and arguments[1]
  return type(first) == "table" and first.id or ""
end

--- An item of textDocument/inlineCompletion, or nil where it does not fit the cursor.
---@param item table InlineCompletionItem; a snippet is not offered
---@param place { buffer: integer, row: integer, column: integer, client: table }
---@return p2assist.Offer?
function Offer.from_item(item, place)
  if type(item.insertText) ~= "string" or item.insertText == "" then
    return nil
  end
  local line = vim.api.nvim_buf_get_lines(place.buffer, place.row, place.row + 1, false)[1] or ""
  local start, stop = place.column, place.column
  if item.range then
    if item.range.start.line ~= place.row or item.range["end"].line ~= place.row then
      return nil
    end
    local encoding = place.client.offset_encoding
    start = text.byte_column(line, item.range.start.character, encoding)
    stop = text.byte_column(line, item.range["end"].character, encoding)
  end
  local offer = setmetatable({
    id = id_of(item),
    text = item.insertText,
    command = item.command,
    client_id = place.client.id,
    buffer = place.buffer,
    row = place.row,
    column = start,
    replaced = math.max(0, stop - place.column),
    behind = #line - math.max(stop, place.column),
  }, Offer)
  return offer:rest(place.row, place.column) and offer or nil
end

--- What is left to insert at a cursor; nil where the offer does not fit there, "" at its end.
---@param row integer 0-based
---@param column integer bytes
---@return string?
function Offer:rest(row, column)
  if row < self.row or (row == self.row and column < self.column) then
    return nil
  end
  local last = vim.api.nvim_buf_get_lines(self.buffer, row, row + 1, false)[1]
  if not last or #last - column ~= self.replaced + self.behind then
    return nil -- something else than a typed-through text moved the line's end
  end
  local lines = vim.api.nvim_buf_get_text(self.buffer, self.row, self.column, row, column, {})
  local typed = table.concat(lines, "\n")
  if not vim.startswith(self.text, typed) then
    return nil
  end
  return self.text:sub(#typed + 1)
end

--- Inserts the first bytes of what is left, as one undo step, and puts the cursor behind them.
---@param part string a prefix of rest()
---@param window integer
function Offer:insert(part, window)
  local cursor = vim.api.nvim_win_get_cursor(window)
  local row, column = cursor[1] - 1, cursor[2]
  local whole = part == self:rest(row, column)
  local stop = column + (whole and self.replaced or 0)
  local lines = vim.split(part, "\n", { plain = true })
  vim.bo[self.buffer].undolevels = vim.bo[self.buffer].undolevels -- starts an undo step
  vim.api.nvim_buf_set_text(self.buffer, row, column, row, stop, lines)
  local ahead = #lines == 1 and column or 0
  vim.api.nvim_win_set_cursor(window, { row + #lines, ahead + #lines[#lines] })
end

--- How much of the text stands before a cursor, in UTF-16 units: acceptedLength.
---@return integer
function Offer:accepted_length(row, column)
  local rest = self:rest(row, column) or self.text
  return text.utf16_length(self.text:sub(1, #self.text - #rest))
end

return Offer
