--- What is offered at the cursor: asking, showing, cycling, accepting, dismissing.
---
--- There is one cursor, so there is one state. A request that is superseded is cancelled; an
--- answer that comes too late is dropped. While typing spells the offer it stays as it is.

local config = require("p2assist.config")
local evidence = require("p2assist.evidence")
local feedback = require("p2assist.feedback")
local ghost = require("p2assist.ghost")
local log = require("p2assist.log")
local rpc = require("p2assist.rpc")
local Offer = require("p2assist.offer")
local text = require("p2assist.text")

local M = {}

local INVOKED, AUTOMATIC = 1, 2
-- Milliseconds. What vanished sooner than a person can react was not rejected.
local REACTION = 200

local asked ---@type { client: table, request: integer }?
local offers = {} ---@type p2assist.Offer[]
local index = 0 -- of the shown offer, 0 for none
local complete = false -- whether all candidates were asked for, not the best alone
local told = {} ---@type table<string, boolean> ids of these offers that the server knows are shown
local since = 0 -- when the shown offer was first drawn
local drawn = { row = -1, column = -1, tick = -1 }
local quiet = -1 -- the changedtick of an accept: nothing is asked before the next keystroke
local last ---@type p2assist.Offer?

local function place()
  local cursor = vim.api.nvim_win_get_cursor(0)
  local buffer = vim.api.nvim_get_current_buf()
  return { buffer = buffer, row = cursor[1] - 1, column = cursor[2], tick = vim.b.changedtick }
end

local function same(a, b)
  return a.buffer == b.buffer and a.row == b.row and a.column == b.column and a.tick == b.tick
end

local function inserting()
  return vim.startswith(vim.api.nvim_get_mode().mode, "i")
end

--- The shown offer and what is left of it; nil where nothing is shown.
---@return p2assist.Offer? offer, string? rest
function M.shown()
  local offer, here = offers[index], place()
  if not offer or offer.buffer ~= here.buffer then
    return nil
  end
  local rest = offer:rest(here.row, here.column)
  if rest and rest ~= "" then
    return offer, rest
  end
end

function M.visible()
  return M.shown() ~= nil
end

--- The offer shown last, for commands that are given after it is gone.
---@return p2assist.Offer?
function M.last()
  return offers[index] or last
end

--- Draws the evidence of the shown offer anew, and nothing else.
function M.refresh_evidence()
  local offer = M.shown()
  if offer then
    local words, group = evidence.beside(offer.id, index, complete and #offers or 1)
    ghost.beside(offer.buffer, drawn.row, words, group)
  end
end

local function show(which)
  index = which
  local offer, here = offers[which], place()
  ghost.draw(offer, here.row, here.column)
  drawn, last = here, offer
  if not told[offer.id] then
    told[offer.id], since = true, vim.uv.now()
    feedback.shown(offer)
  end
  M.refresh_evidence()
end

local function cancel()
  if asked and not rpc.is_stopped(asked.client) then
    rpc.cancel(asked.client, asked.request)
  end
  asked = nil
end

--- Takes the ghost text away; tells nobody.
function M.hide()
  cancel()
  if offers[index] then
    ghost.clear(offers[index].buffer)
  end
  offers, index, complete, told = {}, 0, false, {}
end

--- Takes it away because the user does not want it.
function M.dismiss()
  local offer = offers[index]
  if offer then
    feedback.rejected(offer)
  end
  M.hide()
  return offer ~= nil
end

local function read(result, here)
  local items = type(result) == "table" and (result.items or result) or {}
  local read_offers = {}
  for _, item in ipairs(items) do
    read_offers[#read_offers + 1] = Offer.from_item(item, here)
  end
  return read_offers
end

--- Asks the server; what it answers reaches `done` only while the cursor is still there.
local function ask(kind, done)
  cancel()
  local client = rpc.client()
  if not client or vim.fn.pumvisible() == 1 or vim.b.p2assist_enabled == false then
    return
  end
  local here = place()
  here.client = client
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = kind }
  local mine = { client = client }
  local sent, request = rpc.request(
    client,
    "textDocument/inlineCompletion",
    params,
    function(err, result)
      if asked ~= mine then
        return
      end
      asked = nil
      if err then
        log.add("inlineCompletion: " .. err.message, 1)
      elseif inserting() and same(here, place()) then
        done(read(result, here))
      end
    end,
    here.buffer
  )
  mine.request = request
  asked = sent and mine or nil
end

local function ask_automatically()
  ask(AUTOMATIC, function(found)
    if found[1] then
      offers, complete = found, #found > 1
      show(1)
    end
  end)
end

--- Puts all candidates behind the shown one, which stays what it is.
local function gather(found)
  local here, shown, rest = place(), M.shown()
  local gathered = shown and { shown } or {}
  for _, offer in ipairs(found) do
    if not shown or offer:rest(here.row, here.column) ~= rest then
      gathered[#gathered + 1] = offer
    end
  end
  offers, complete = gathered, true
  return shown ~= nil
end

local function step(by)
  for _ = 1, #offers do
    index = (index - 1 + by) % #offers + 1
    if M.shown() then -- others were typed past
      return show(index)
    end
  end
end

--- Shows another candidate; asks for all of them the first time.
---@param by integer 1 for the next, -1 for the previous one
function M.cycle(by)
  if complete then
    return step(by)
  end
  ask(INVOKED, function(found)
    if gather(found) then
      step(by)
    elseif #offers > 0 then
      show(by > 0 and 1 or #offers)
    end
  end)
end

--- Asks for all candidates and shows the best, or keeps what is shown.
function M.invoke()
  ask(INVOKED, function(found)
    gather(found)
    if #offers > 0 then
      show(math.max(index, 1))
    end
  end)
end

local function take(part_of)
  local offer, rest = M.shown()
  if not offer then
    return false
  end
  local part = part_of(rest)
  offer:insert(part, 0)
  quiet = vim.b.changedtick
  if part == rest then
    M.hide()
    feedback.accepted(offer)
  else
    local here = place()
    feedback.partially_accepted(offer, offer:accepted_length(here.row, here.column))
    show(index)
  end
  return true
end

function M.accept()
  return take(function(rest)
    return rest
  end)
end

function M.accept_word()
  return take(text.first_word)
end

function M.accept_line()
  return take(text.first_line)
end

--- Handles a change of the text in insert mode.
local function changed()
  if vim.fn.pumvisible() == 1 then
    return M.hide()
  elseif M.shown() then
    return show(index)
  end
  M.hide()
  if vim.b.changedtick ~= quiet and config.values.automatic then
    ask_automatically()
  end
end

--- Handles a move of the cursor that is not a change of the text.
local function moved()
  local here = place()
  if index > 0 and here.tick == drawn.tick and not same(here, drawn) then
    M.hide()
  end
end

--- Handles the end of insert mode; the cursor is one column left of the ghost text by now.
local function left()
  if vim.uv.now() - since >= REACTION then
    M.dismiss()
  else
    M.hide()
  end
end

--- Listens to a buffer.
---@param buffer integer
function M.attach(buffer)
  local group = vim.api.nvim_create_augroup("p2assist.suggest." .. buffer, { clear = true })
  local function on(events, callback)
    vim.api.nvim_create_autocmd(events, { group = group, buffer = buffer, callback = callback })
  end
  on({ "TextChangedI", "TextChangedP", "InsertEnter", "CompleteDone" }, function()
    changed()
  end)
  on("CursorMovedI", moved)
  on("InsertLeave", left)
  on("BufLeave", M.hide)
  if buffer == vim.api.nvim_get_current_buf() and inserting() then
    changed() -- the server came, or came back, while the user was typing
  end
end

---@param buffer integer
function M.detach(buffer)
  M.hide()
  pcall(vim.api.nvim_del_augroup_by_name, "p2assist.suggest." .. buffer)
end

return M
