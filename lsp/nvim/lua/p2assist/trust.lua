--- Which folders may run their tests: an explicit yes, kept by path.
---
--- vim.secure keeps directories only from 0.11 on and asks in the way of typing; this file asks
--- nothing. A folder is trusted by :P2assist trust or by setup{ trusted = ... }, with all below
--- it; the nearest answer above a path counts.

local config = require("p2assist.config")

local M = {}

local function file()
  return vim.fs.joinpath(vim.fn.stdpath("state"), "p2assist", "trust.json")
end

local function real(path)
  path = vim.fs.normalize(path)
  return vim.uv.fs_realpath(path) or path
end

local function read()
  local handle = io.open(file(), "r")
  if not handle then
    return {}
  end
  local content = handle:read("*a")
  handle:close()
  local ok, answers = pcall(vim.json.decode, content)
  if ok and type(answers) == "table" then
    return answers
  end
  return nil,
    ("p2assist: %s is damaged; no folder is trusted until you mend or remove it"):format(file())
end

local function write(answers)
  vim.fn.mkdir(vim.fs.dirname(file()), "p", "0700")
  local partial = file() .. ".new"
  local handle = assert(io.open(partial, "w"))
  handle:write(vim.json.encode(answers))
  handle:close()
  assert(vim.uv.fs_rename(partial, file()))
end

local function nearest(answers, path)
  local answer = answers[path]
  if answer ~= nil then
    return answer
  end
  for parent in vim.fs.parents(path) do
    if answers[parent] ~= nil then
      return answers[parent]
    end
  end
end

--- The answer that holds for a folder: true, false, or nil where none was given.
---@param folder string? nil (a file without a project) has none
---@return boolean?
function M.answer(folder)
  if not folder then
    return nil
  end
  local answers, complaint = read()
  if not answers then
    vim.notify_once(complaint, vim.log.levels.ERROR)
    return false
  end
  for _, path in ipairs(config.values.trusted) do
    local given = real(path)
    if answers[given] == nil then
      answers[given] = true -- an answer given by command is the newer one
    end
  end
  return nearest(answers, real(folder))
end

--- Whether the tests of a folder may run.
---@param folder string?
---@return boolean
function M.is_trusted(folder)
  return M.answer(folder) == true
end

--- Keeps an answer for a folder and all below it.
---@param folder string
---@param answer boolean
function M.set(folder, answer)
  local answers, complaint = read()
  if not answers then
    error(complaint, 0)
  end
  answers[real(folder)] = answer
  write(answers)
end

return M
