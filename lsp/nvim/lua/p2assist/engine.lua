--- What offers completions: our ghost text, or Neovim's own.

local config = require("p2assist.config")
local native = require("p2assist.native")
local suggest = require("p2assist.suggest")

local M = {}

function M.is_native()
  return config.values.ghost == "native" and native.is_available()
end

--- The module that asks, shows and accepts; both have the same functions.
function M.current()
  return M.is_native() and native or suggest
end

---@param buffer integer
---@param client table
function M.attach(buffer, client)
  if not M.is_native() then
    native.silence(client)
  end
  M.current().attach(buffer, client)
end

return M
