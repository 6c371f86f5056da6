--- What the server says about itself, for the status line.

local engine = require("p2assist.engine")
local evidence = require("p2assist.evidence")
local rpc = require("p2assist.rpc")

local M = {}

---@class p2assist.Status the fields are those of p2assist/status in lsp/PROTOCOL.md
---@field folder? string its URI
---@field state string
---@field words string
---@field model? string
---@field adapter? string
---@field tests? integer

---@type table<integer, p2assist.Status> client id -> what it said last
local said = {}

local GROUPS = {
  ready = "P2assistPassed",
  failed = "P2assistFailed",
  stopped = "P2assistFailed",
  paused = "P2assistUntested",
  untrusted = "P2assistUntested",
}

--- Handles p2assist/status.
---@param params p2assist.Status
---@param client_id integer
function M.receive(params, client_id)
  said[client_id] = params
  vim.api.nvim_exec_autocmds(
    "User",
    { pattern = "P2assistStatus", modeline = false, data = params }
  )
  vim.cmd.redrawstatus()
end

---@param client_id integer
function M.forget(client_id)
  said[client_id] = nil
  vim.cmd.redrawstatus()
end

--- The state of a buffer's server; "stopped" where none is attached.
---@param buffer? integer
---@return p2assist.Status
function M.of(buffer)
  local client = rpc.client(buffer)
  if not client then
    return { state = "stopped", words = "p2assist is not running here" }
  end
  return said[client.id] or { state = "starting", words = "p2assist is starting" }
end

--- One short text: state, adapter or model, the evidence of what was shown last.
---@param buffer? integer
---@return string text, string group highlight group
function M.line(buffer)
  local status, offer = M.of(buffer), engine.current().last()
  local candidate = offer and evidence.of(offer.id)
  local parts = { status.state == "ready" and "p2" or "p2 " .. status.state }
  local adapter = status.adapter ~= vim.NIL and status.adapter or ""
  parts[#parts + 1] = adapter ~= "" and adapter ~= "none" and adapter or status.model
  parts[#parts + 1] = candidate and candidate.evidence ~= "" and candidate.evidence or nil
  local group = status.state == "ready" and candidate and evidence.group(candidate)
  return table.concat(parts, " · "), group or GROUPS[status.state] or "P2assistTesting"
end

return M
