--- Talking to the language server, on Neovim 0.10 (functions) and later (methods).

local M = {}

M.NAME = "p2assist"

local METHODS = vim.fn.has("nvim-0.11") == 1

local function call(client, name, ...)
  if METHODS then
    return client[name](client, ...)
  end
  return client[name](...)
end

--- The language server's client of a buffer.
---@param buffer? integer 0 or nil for the current one
---@return table? client
function M.client(buffer)
  return vim.lsp.get_clients({ name = M.NAME, bufnr = buffer or 0 })[1]
end

---@return boolean sent, integer? request id
function M.request(client, method, params, handler, buffer)
  return call(client, "request", method, params, handler, buffer)
end

function M.notify(client, method, params)
  return call(client, "notify", method, params)
end

function M.cancel(client, request)
  return call(client, "cancel_request", request)
end

function M.stop(client)
  return call(client, "stop")
end

function M.is_stopped(client)
  return call(client, "is_stopped")
end

--- Runs a command of the server. Errors are told, not raised.
---@param client table
---@param name string without "p2assist."
---@param argument? table its one argument
---@param done? fun(result: any) nothing where the server gave nothing
function M.command(client, name, argument, done)
  local params = { command = "p2assist." .. name, arguments = argument and { argument } or {} }
  M.request(client, "workspace/executeCommand", params, function(err, result)
    if err then
      vim.notify(("p2assist %s: %s"):format(name, err.message), vim.log.levels.WARN)
    elseif done and result ~= nil and result ~= vim.NIL then
      done(result)
    end
  end)
end

return M
