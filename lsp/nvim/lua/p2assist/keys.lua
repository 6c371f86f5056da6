--- The keys of insert mode. Where nothing is offered, a key does what it did before.

local config = require("p2assist.config")

local M = {}

local DESCRIPTIONS = {
  accept = "Accept the completion",
  accept_word = "Accept its next word",
  accept_line = "Accept its next line",
  next = "Show the next candidate",
  previous = "Show the previous candidate",
  dismiss = "Dismiss the completion",
  invoke = "Ask for a completion",
  why = "Why this completion?",
}

-- These work where nothing is offered, too.
local ALWAYS = { invoke = true, why = true, next = true, previous = true }

local others = {} ---@type table<string, fun(): string> name -> what its key did, last asked for

--- What a key did before p2assist took it in a buffer: another mapping, or itself.
local function before(key)
  local mapping = vim.fn.maparg(key, "i", false, true)
  if vim.tbl_isempty(mapping) or (mapping.desc or ""):match("^p2assist:") then
    return function()
      return key
    end
  elseif mapping.expr == 1 then
    return function()
      local keys = mapping.callback and mapping.callback() or vim.api.nvim_eval(mapping.rhs)
      return keys or ""
    end
  elseif mapping.callback then
    return function()
      vim.schedule(mapping.callback) -- text must not change while an expression is evaluated
      return ""
    end
  end
  return function()
    return mapping.rhs
  end
end

local function ready(name)
  return ALWAYS[name] or (vim.fn.pumvisible() == 0 and require("p2assist").visible())
end

--- Does what a key is for. The mapping may have been looked up before the letters typed just ahead
--- of it were in the buffer: where nothing fits by now, the key does what it did before.
---@param name string
function M.press(name)
  if require("p2assist")[name]() == false then
    local keys = vim.api.nvim_replace_termcodes(others[name](), true, true, true)
    vim.api.nvim_feedkeys(keys, "ni", false)
  end
end

--- Maps the keys in a buffer.
---@param buffer integer
function M.map(buffer)
  for name, key in pairs(config.values.keys) do
    if key then
      local otherwise = vim.api.nvim_buf_call(buffer, function()
        return before(key)
      end)
      vim.keymap.set("i", key, function()
        if ready(name) then
          others[name] = otherwise
          return ("<Cmd>lua require('p2assist.keys').press('%s')<CR>"):format(name)
        end
        return otherwise()
      end, { buffer = buffer, expr = true, desc = "p2assist: " .. DESCRIPTIONS[name] })
    end
  end
end

---@param buffer integer
function M.unmap(buffer)
  for _, key in pairs(config.values.keys) do
    if key then
      pcall(vim.keymap.del, "i", key, { buffer = buffer })
    end
  end
end

return M
