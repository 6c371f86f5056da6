--- The language server's life: starting, its messages, coming back after a crash.

local config = require("p2assist.config")
local evidence = require("p2assist.evidence")
local log = require("p2assist.log")
local rpc = require("p2assist.rpc")
local status = require("p2assist.status")
local suggest = require("p2assist.suggest")
local trust = require("p2assist.trust")

local M = {}

-- A server that dies this often within the time (milliseconds) stays down, and the user is told.
local MOST_CRASHES, WITHIN = 5, 180000
local AGAIN_AFTER = 500 -- milliseconds

local crashes = {} ---@type integer[] when, on vim.uv.now()'s clock
local stopping = {} ---@type table<integer, boolean> client ids that are meant to end
local buffers = {} ---@type table<integer, integer[]> client id -> the buffers that it served

local function capabilities()
  local own = vim.lsp.protocol.make_client_capabilities()
  own.textDocument.inlineCompletion = { dynamicRegistration = false } -- 0.10 and 0.11 lack it
  return vim.tbl_deep_extend("force", own, config.values.capabilities)
end

local function wire(root)
  return config.wire(trust.is_trusted(root))
end

local handlers = {
  ["p2assist/status"] = function(_, params, context)
    status.receive(params, context.client_id)
  end,
  ["p2assist/evidence"] = function(_, params)
    evidence.receive(params)
    suggest.refresh_evidence()
    vim.cmd.redrawstatus()
  end,
  ["window/logMessage"] = function(_, params)
    log.add(params.message, params.type)
  end,
}

local function come_back(client_id)
  local now = vim.uv.now()
  crashes = vim.tbl_filter(function(when)
    return now - when < WITHIN
  end, crashes)
  crashes[#crashes + 1] = now
  if #crashes > MOST_CRASHES then
    vim.notify("p2assist stopped too often and stays down; see :P2assist log", vim.log.levels.ERROR)
    return
  end
  local served = buffers[client_id] or {}
  vim.defer_fn(function()
    M.start_all(served)
  end, AGAIN_AFTER)
end

local function on_exit(code, signal, client_id)
  vim.schedule(function()
    suggest.hide()
    evidence.forget()
    status.forget(client_id)
    if not stopping[client_id] and vim.v.exiting == vim.NIL then
      log.add(("the server ended, code %d, signal %d"):format(code, signal), 1)
      come_back(client_id)
    end
    stopping[client_id], buffers[client_id] = nil, nil
  end)
end

--- The client's configuration, for vim.lsp.start and for vim.lsp.enable.
---@return table vim.lsp.ClientConfig
function M.config()
  return {
    name = rpc.NAME,
    cmd = config.values.cmd,
    filetypes = config.values.filetypes,
    root_markers = config.values.root_markers,
    capabilities = capabilities(),
    handlers = handlers,
    before_init = function(params, running)
      params.initializationOptions = wire(running.root_dir)
    end,
    on_init = function(client)
      client.settings = { p2assist = wire(client.config.root_dir) } -- for a server that asks
    end,
    on_exit = on_exit,
  }
end

--- The folder of a buffer's project; nil where no marker is above it.
---@param buffer integer
---@return string?
function M.root(buffer)
  return vim.fs.root(buffer, config.values.root_markers)
end

--- Starts the server for a buffer, or attaches it to the one that serves its project.
---@param buffer integer
function M.start(buffer)
  if vim.bo[buffer].buftype ~= "" then
    return
  end
  local own = M.config()
  own.root_dir = M.root(buffer)
  vim.lsp.start(own, { bufnr = buffer, silent = true })
end

--- The open buffers that p2assist is for.
---@return integer[]
function M.open_buffers()
  return vim.tbl_filter(function(buffer)
    return vim.api.nvim_buf_is_loaded(buffer)
      and vim.list_contains(config.values.filetypes, vim.bo[buffer].filetype)
  end, vim.api.nvim_list_bufs())
end

---@param list integer[]
function M.start_all(list)
  for _, buffer in ipairs(list) do
    if vim.api.nvim_buf_is_loaded(buffer) then
      M.start(buffer)
    end
  end
end

--- Remembers that a server serves a buffer.
---@param client_id integer
---@param buffer integer
function M.attached(client_id, buffer)
  buffers[client_id] = buffers[client_id] or {}
  table.insert(buffers[client_id], buffer)
end

--- Says once for each untrusted folder how to trust it.
---@param buffer integer
function M.mention_trust(buffer)
  local root = M.root(buffer)
  if root and trust.answer(root) == nil then
    vim.notify_once(
      ("p2assist: %s is not trusted, so its tests do not run; :P2assist trust lets them"):format(
        root
      )
    )
  end
end

--- Ends all servers and starts those of the open buffers anew.
function M.restart()
  crashes = {}
  local served = {}
  for _, client in ipairs(vim.lsp.get_clients({ name = rpc.NAME })) do
    stopping[client.id] = true
    vim.list_extend(served, buffers[client.id] or {})
    rpc.stop(client)
  end
  vim.defer_fn(function()
    M.start_all(#served > 0 and served or M.open_buffers())
  end, AGAIN_AFTER)
end

--- Sends the settings to the running servers: they changed, or trust did.
function M.configure()
  for _, client in ipairs(vim.lsp.get_clients({ name = rpc.NAME })) do
    local object = wire(client.config.root_dir)
    client.settings = { p2assist = object }
    rpc.notify(client, "workspace/didChangeConfiguration", { settings = { p2assist = object } })
  end
end

return M
