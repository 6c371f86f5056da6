--- Tells the server what became of an offer, where this side knows it for certain.

local rpc = require("p2assist.rpc")

local M = {}

local function tell(offer, name, extra)
  local client = vim.lsp.get_client_by_id(offer.client_id)
  if offer.id == "" or not client or rpc.is_stopped(client) then
    return
  end
  local argument = { id = offer.id, uri = vim.uri_from_bufnr(offer.buffer) }
  rpc.command(client, name, vim.tbl_extend("error", argument, extra or {}))
end

--- Runs the item's own command, whatever it is: the server asked for it.
---@param offer p2assist.Offer
function M.accepted(offer)
  local client = vim.lsp.get_client_by_id(offer.client_id)
  if not offer.command or not client or rpc.is_stopped(client) then
    return
  end
  local params = { command = offer.command.command, arguments = offer.command.arguments }
  rpc.request(client, "workspace/executeCommand", params, function() end, offer.buffer)
end

---@param offer p2assist.Offer
---@param length integer UTF-16 units of its text that are accepted by now
function M.partially_accepted(offer, length)
  tell(offer, "partiallyAccepted", { acceptedLength = length })
end

---@param offer p2assist.Offer
function M.shown(offer)
  tell(offer, "shown")
end

---@param offer p2assist.Offer
function M.rejected(offer)
  tell(offer, "rejected")
end

return M
