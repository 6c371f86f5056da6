--- :P2assist and what its words do.

local client = require("p2assist.client")
local engine = require("p2assist.engine")
local log = require("p2assist.log")
local rpc = require("p2assist.rpc")
local status = require("p2assist.status")
local trust = require("p2assist.trust")

local M = {}

local function say(words, level)
  vim.notify("p2assist: " .. words, level or vim.log.levels.INFO)
end

local function running()
  local found = rpc.client()
  if not found then
    say("no server is attached to this buffer; see :checkhealth p2assist", vim.log.levels.WARN)
  end
  return found
end

--- What a command is about: the offer on this line, or the place of the cursor.
local function subject(found)
  local offer = engine.current().last()
  local row = vim.api.nvim_win_get_cursor(0)[1] - 1
  if
    offer
    and offer.id ~= ""
    and offer.buffer == vim.api.nvim_get_current_buf()
    and offer.row == row
  then
    return { id = offer.id }
  end
  local params = vim.lsp.util.make_position_params(0, found.offset_encoding)
  return { uri = params.textDocument.uri, position = params.position }
end

local function simple(name, words)
  return function()
    local found = running()
    if found then
      rpc.command(found, name)
      say(words)
    end
  end
end

local words = {}

function words.status()
  local now = status.of()
  local parts = { now.words }
  for _, name in ipairs({ "model", "adapter", "tests" }) do
    local value = now[name]
    if value and value ~= vim.NIL and value ~= "" then
      parts[#parts + 1] = ("%s %s"):format(name, value)
    end
  end
  say(table.concat(parts, " · "))
end

function words.why()
  local found = running()
  if found then
    rpc.command(found, "why", subject(found), function(result)
      require("p2assist.why").open(result.markdown)
    end)
  end
end

function words.test()
  local found = running()
  if found then
    rpc.command(found, "test", subject(found), function(candidate)
      say(candidate.evidence)
    end)
  end
end

function words.never()
  local found, offer = running(), engine.current().last()
  if not found then
    return
  elseif not offer or offer.id == "" then
    return say("nothing was offered yet", vim.log.levels.WARN)
  end
  engine.current().hide()
  rpc.command(found, "never", { id = offer.id })
  say("this text is not offered there again")
end

words.pause = simple("pause", "paused; :P2assist resume goes on")
words.resume = simple("resume", "goes on")

function words.reload()
  local found = running()
  if found then
    rpc.command(found, "reload", nil, function(champion)
      say("serves " .. champion)
    end)
  end
end

--- @param answer? string "yes" (as without a word) or "no"
function words.trust(answer)
  local root = client.root(vim.api.nvim_get_current_buf())
  if not root then
    return say("this file belongs to no project; nothing to trust", vim.log.levels.WARN)
  elseif answer and answer ~= "yes" and answer ~= "no" then
    return say("trust: yes or no, not " .. answer, vim.log.levels.ERROR)
  end
  local yes = answer ~= "no"
  local ok, complaint = pcall(trust.set, root, yes)
  if not ok then
    return say(complaint, vim.log.levels.ERROR)
  end
  client.configure()
  local found = rpc.client()
  if found then
    rpc.command(found, "trust", { folder = vim.uri_from_fname(root), trusted = yes })
  end
  say(("%s %s"):format(root, yes and "is trusted: its tests run on candidates" or "runs nothing"))
end

words.restart = client.restart
words.log = log.open

local function run(arguments)
  local name = arguments.fargs[1] or "status"
  local word = words[name]
  if not word then
    return say(
      ("no such command: %s; there are %s"):format(name, table.concat(M.names(), ", ")),
      vim.log.levels.ERROR
    )
  end
  word(arguments.fargs[2])
end

--- The words that :P2assist knows, sorted.
---@return string[]
function M.names()
  local names = vim.tbl_keys(words)
  table.sort(names)
  return names
end

local function complete(start, line)
  local choices = line:match("^%s*%S+%s+trust%s") and { "yes", "no" } or M.names()
  return vim.tbl_filter(function(choice)
    return vim.startswith(choice, start)
  end, choices)
end

--- Runs one of the words, as :P2assist does.
---@param name string
function M.run(name)
  words[name]()
end

function M.create()
  vim.api.nvim_create_user_command("P2assist", run, {
    nargs = "*",
    complete = complete,
    desc = "p2assist: status, why, test, never, pause, resume, trust, reload, restart, log",
  })
end

return M
