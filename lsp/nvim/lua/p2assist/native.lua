--- Neovim 0.12's own inline completion in place of our ghost text: setup{ ghost = "native" }.
---
--- It draws and debounces (200 ms). It does not say what it shows, and it inserts a whole item even
--- where a part was typed by then: so its answers are overheard, and we insert. It has no public
--- way to ask for all candidates, so cycling moves among those that the answer held.

local feedback = require("p2assist.feedback")
local Offer = require("p2assist.offer")
local text = require("p2assist.text")

local M = {}

local METHOD = "textDocument/inlineCompletion"
-- Milliseconds. What vanished sooner than a person can react was not rejected.
local REACTION = 200

local offers = {} ---@type p2assist.Offer[] of the last answer
local index = 0 -- of the one that Neovim shows
local since = 0 -- when it was first shown
local last ---@type p2assist.Offer?
local overheard = {} ---@type table<integer, boolean> client ids
local silenced = {} ---@type table<integer, boolean> client ids

function M.is_available()
  return vim.lsp.inline_completion ~= nil
end

--- What is left of the shown offer at the cursor; nil where it does not fit there (any more).
---@return p2assist.Offer? offer, string? rest
local function shown()
  local offer = offers[index]
  if not offer or offer.buffer ~= vim.api.nvim_get_current_buf() then
    return nil
  end
  local cursor = vim.api.nvim_win_get_cursor(0)
  local rest = offer:rest(cursor[1] - 1, cursor[2])
  if rest and rest ~= "" then
    return offer, rest
  end
end

local function is_drawn()
  local space = vim.api.nvim_get_namespaces()["nvim.lsp.inline_completion"]
  return space ~= nil and #vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { limit = 1 }) > 0
end

--- Whether ghost text is drawn that still fits; Neovim leaves an old one until the next answer.
function M.visible()
  return is_drawn() and shown() ~= nil
end

--- The offer shown last, for commands that are given after it is gone.
---@return p2assist.Offer?
function M.last()
  return last
end

local function show(which)
  index = which
  if M.visible() then
    last, since = offers[index], vim.uv.now()
    feedback.shown(last)
    vim.cmd.redrawstatus()
  end
end

local function read(result, place)
  local items = type(result) == "table" and (result.items or result) or {}
  return vim.tbl_map(function(item)
    return Offer.from_item(item, place) or false
  end, items)
end

--- Keeps what the server answers to Neovim's requests.
local function overhear(client)
  if overheard[client.id] then
    return
  end
  overheard[client.id] = true
  local request = client.request
  client.request = function(self, method, params, handler, buffer)
    if method ~= METHOD then
      return request(self, method, params, handler, buffer)
    end
    local cursor = vim.api.nvim_win_get_cursor(0)
    local place = { buffer = buffer, row = cursor[1] - 1, column = cursor[2], client = client }
    return request(self, method, params, function(err, result, context)
      offers, index = read(result, place), 0
      handler(err, result, context)
      show(1)
    end, buffer)
  end
end

--- Handles the end of insert mode, while the cursor is still where the ghost text is.
local function leaving()
  local offer = M.visible() and offers[index]
  if offer and vim.uv.now() - since >= REACTION then
    feedback.rejected(offer)
  end
  offers = {}
end

---@param buffer integer
---@param client table
function M.attach(buffer, client)
  overhear(client)
  vim.lsp.inline_completion.enable(true, { bufnr = buffer })
  vim.api.nvim_create_autocmd("InsertLeavePre", {
    group = vim.api.nvim_create_augroup("p2assist.native." .. buffer, { clear = true }),
    buffer = buffer,
    callback = leaving,
  })
end

---@param buffer integer
function M.detach(buffer)
  vim.lsp.inline_completion.enable(false, { bufnr = buffer })
  pcall(vim.api.nvim_del_augroup_by_name, "p2assist.native." .. buffer)
end

--- Takes the ghost text away; tells nobody. on_accept gets the item, and inserts nothing.
function M.hide()
  offers = {}
  vim.lsp.inline_completion.get({ on_accept = function() end })
end

--- Takes it away because the user does not want it.
function M.dismiss()
  local offer = M.visible() and offers[index]
  if offer then
    feedback.rejected(offer)
    M.hide()
  end
  return offer ~= false
end

local function insert(part_of)
  local offer, rest = shown()
  if not offer then
    return
  end
  local part = part_of(rest)
  offer:insert(part, 0)
  offers = {}
  if part == rest then
    feedback.accepted(offer)
  else
    local cursor = vim.api.nvim_win_get_cursor(0)
    feedback.partially_accepted(offer, offer:accepted_length(cursor[1] - 1, cursor[2]))
  end
end

--- Inserts a part of the shown offer in Neovim's stead: what on_accept returns nothing for, it
--- leaves alone.
local function take(part_of)
  return M.visible()
    and vim.lsp.inline_completion.get({
      on_accept = function()
        insert(part_of)
      end,
    })
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

---@param by integer
function M.cycle(by)
  if M.visible() then
    vim.lsp.inline_completion.select({ count = by })
    show((index - 1 + by) % #offers + 1)
  end
end

function M.invoke()
  vim.notify("p2assist: Neovim's own inline completion asks by itself", vim.log.levels.INFO)
end

--- Keeps Neovim's own from drawing beside our ghost text, whoever turns it on for other servers.
---@param client table
function M.silence(client)
  local capabilities = client.server_capabilities
  if M.is_available() and capabilities.inlineCompletionProvider then
    capabilities.inlineCompletionProvider, silenced[client.id] = nil, true
  end
end

--- Whether a server offers inline completion, to us or to Neovim.
---@param client table
---@return boolean
function M.is_offered(client)
  return silenced[client.id] or client.server_capabilities.inlineCompletionProvider ~= nil
end

return M
