--- What the tests said about the candidates, as the server last told it.

local config = require("p2assist.config")

local M = {}

---@class p2assist.Candidate the fields are those of lsp/PROTOCOL.md
---@field id string
---@field text string
---@field evidence string words for people
---@field state "waiting"|"testing"|"tested"|"untested"|"refused"
---@field passRate? number nil while unknown

local KEPT = 256 -- candidates; more than a person goes back to

---@type table<string, p2assist.Candidate> id -> what was said of it last
local latest = {}
local order = {} ---@type string[] ids, the oldest first

--- Handles p2assist/evidence.
---@param params { uri: string, candidates: p2assist.Candidate[] }
function M.receive(params)
  for _, candidate in ipairs(params.candidates) do
    if not latest[candidate.id] then
      order[#order + 1] = candidate.id
    end
    latest[candidate.id] = candidate
  end
  while #order > KEPT do
    latest[table.remove(order, 1)] = nil
  end
  vim.api.nvim_exec_autocmds(
    "User",
    { pattern = "P2assistEvidence", modeline = false, data = params }
  )
end

---@param id string
---@return p2assist.Candidate?
function M.of(id)
  return latest[id]
end

--- The highlight group of a candidate's evidence.
---@param candidate p2assist.Candidate
---@return string
function M.group(candidate)
  if candidate.state == "waiting" or candidate.state == "testing" then
    return "P2assistTesting"
  elseif candidate.state ~= "tested" or type(candidate.passRate) ~= "number" then
    return "P2assistUntested"
  end
  return candidate.passRate == 1 and "P2assistPassed" or "P2assistFailed"
end

--- What stands beside an offer: which of how many it is, and its evidence.
---@param id string
---@param index integer
---@param count integer
---@return string words, string group
function M.beside(id, index, count)
  local candidate = M.of(id)
  local words = count > 1 and { ("%d/%d"):format(index, count) } or {}
  if candidate and candidate.evidence ~= "" and config.values.evidence == "eol" then
    words[#words + 1] = candidate.evidence
  end
  return table.concat(words, " · "), candidate and M.group(candidate) or "P2assistTesting"
end

--- Forgets what the server said, as when it is gone.
function M.forget()
  latest, order = {}, {}
end

return M
