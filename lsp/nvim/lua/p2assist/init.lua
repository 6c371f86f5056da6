--- p2assist: completions that have already run your tests. See :help p2assist.

local client = require("p2assist.client")
local commands = require("p2assist.commands")
local config = require("p2assist.config")
local engine = require("p2assist.engine")
local ghost = require("p2assist.ghost")
local keys = require("p2assist.keys")
local rpc = require("p2assist.rpc")
local status = require("p2assist.status")

local M = {}

local function attach(client_id, buffer)
  client.attached(client_id, buffer)
  if config.values.ghost ~= "off" then
    engine.attach(buffer, vim.lsp.get_client_by_id(client_id))
    keys.map(buffer)
  end
  client.mention_trust(buffer)
end

local function detach(buffer)
  if config.values.ghost ~= "off" then
    engine.current().detach(buffer)
    keys.unmap(buffer)
  end
end

local function is_ours(event)
  local found = vim.lsp.get_client_by_id(event.data.client_id)
  return found ~= nil and found.name == rpc.NAME
end

local function listen()
  local group = vim.api.nvim_create_augroup("p2assist", { clear = true })
  local function on(events, callback, pattern)
    vim.api.nvim_create_autocmd(events, { group = group, pattern = pattern, callback = callback })
  end
  on("LspAttach", function(event)
    if is_ours(event) then
      attach(event.data.client_id, event.buf)
    end
  end)
  on("LspDetach", function(event)
    if is_ours(event) then
      detach(event.buf)
    end
  end)
  on("ColorScheme", ghost.highlights)
  if config.values.autostart then
    on("FileType", function(event)
      client.start(event.buf)
    end, config.values.filetypes)
  end
end

--- Reads the settings and starts p2assist for the Python buffers, open ones included. Called
--- again it takes the new settings and sends them to the running servers.
---@param settings? table see :help p2assist-settings
function M.setup(settings)
  config.use(settings or {})
  ghost.highlights()
  commands.create()
  listen()
  M.is_set_up = true
  if config.values.autostart then
    client.start_all(client.open_buffers())
  end
  client.configure()
end

--- Whether ghost text is shown at the cursor.
---@return boolean
function M.visible()
  return engine.current().visible()
end

--- Accepts all of the shown completion, its next word, its next line.
---@return boolean done false where nothing is shown
function M.accept()
  return engine.current().accept()
end

function M.accept_word()
  return engine.current().accept_word()
end

function M.accept_line()
  return engine.current().accept_line()
end

function M.next()
  engine.current().cycle(1)
end

function M.previous()
  engine.current().cycle(-1)
end

function M.dismiss()
  return engine.current().dismiss()
end

--- Asks for completions here, though "automatic" may be off.
function M.invoke()
  engine.current().invoke()
end

function M.why()
  commands.run("why")
end

--- A short text for any status line: state, adapter, last evidence.
---@return string
function M.statusline()
  return (status.line())
end

return M
