--- Settings: their defaults, their checks and their names on the wire.

local M = {}

---@class p2assist.Setting
---@field default any
---@field check fun(value: any): boolean
---@field wants string what a good value is, for the message about a bad one
---@field wire? string its name in lsp/PROTOCOL.md; nil where only the plugin reads it

local function is(kind)
  return function(value)
    return type(value) == kind
  end
end

local function one_of(...)
  local values = { ... }
  return {
    check = function(value)
      return vim.list_contains(values, value)
    end,
    wants = "one of " .. vim.inspect(values),
  }
end

local function whole(least, most)
  return {
    check = function(value)
      return type(value) == "number"
        and value % 1 == 0
        and value >= least
        and value <= (most or math.huge)
    end,
    wants = most and ("a whole number from %d to %d"):format(least, most)
      or ("a whole number of at least %d"):format(least),
  }
end

local function texts(value)
  return type(value) == "table"
    and vim.iter(pairs(value)):all(function(key, item)
      return type(key) == "number" and type(item) == "string"
    end)
end

local function bounds(value)
  return type(value) == "table"
    and whole(0).check(value.least)
    and whole(0).check(value.most)
    and value.least <= value.most
end

local function setting(default, kind, wire)
  if type(kind) == "string" then
    kind = { check = is(kind), wants = "a " .. kind }
  end
  return { default = default, check = kind.check, wants = kind.wants, wire = wire }
end

local LIST = { check = texts, wants = "a list of strings" }
local ROOTS =
  { "p2assist.toml", "pyproject.toml", "setup.py", "setup.cfg", "pytest.ini", "tox.ini", ".git" }

---@type table<string, p2assist.Setting>
M.settings = {
  -- the server's
  python = setting("", "string", "python"),
  enabled = setting(true, "boolean", "enabled"),
  beams = setting(8, whole(1, 64), "beams"),
  automatic = setting(true, "boolean", "automatic"),
  show = setting("at once", one_of("at once", "with evidence"), "show"),
  patience = setting(400, whole(0), "patience"),
  hide_failing = setting(false, "boolean", "hideFailing"),
  in_comments = setting(true, "boolean", "inComments"),
  in_strings = setting(true, "boolean", "inStrings"),
  exclude = setting({}, LIST, "exclude"),
  debounce = setting(
    { least = 25, most = 350 },
    { check = bounds, wants = "{ least = 25, most = 350 }, milliseconds" },
    "debounce"
  ),
  feedback = setting(true, "boolean", "feedback"),
  -- the plugin's own
  cmd = setting({ "p2assist", "lsp" }, LIST),
  filetypes = setting({ "python" }, LIST),
  root_markers = setting(ROOTS, LIST),
  autostart = setting(true, "boolean"),
  trusted = setting({}, LIST),
  ghost = setting("own", one_of("own", "native", "off")),
  evidence = setting("eol", one_of("eol", "statusline", "off")),
  capabilities = setting({}, "table"),
}

--- The keys of insert mode, each false for none. Tab is free for whoever wants it.
M.keys = {
  accept = "<M-l>",
  accept_word = "<M-w>",
  accept_line = "<M-j>",
  next = "<M-]>",
  previous = "<M-[>",
  dismiss = "<C-]>",
  invoke = "<M-Bslash>",
  why = "<M-?>",
}

local function defaults()
  local values = {}
  for name, spec in pairs(M.settings) do
    values[name] = vim.deepcopy(spec.default)
  end
  values.keys = vim.deepcopy(M.keys)
  return values
end

local function read_keys(given, complaints)
  local keys = vim.deepcopy(M.keys)
  if given == false then
    return {}
  elseif type(given) ~= "table" then
    complaints[#complaints + 1] = "keys: wants a table, or false for no keys"
    return keys
  end
  for name, key in pairs(given) do
    if M.keys[name] == nil then
      complaints[#complaints + 1] = ("keys.%s is no key of p2assist"):format(name)
    elseif key ~= false and type(key) ~= "string" then
      complaints[#complaints + 1] = ("keys.%s: wants a key, or false for none"):format(name)
    else
      keys[name] = key
    end
  end
  return keys
end

--- Reads what setup{} was given. A bad value is complained about and its default holds.
---@param given table
---@return table values, string[] complaints
function M.read(given)
  local values, complaints = defaults(), {}
  for name, value in pairs(given) do
    local spec = M.settings[name]
    if name == "keys" then
      values.keys = read_keys(value, complaints)
    elseif spec == nil then
      complaints[#complaints + 1] = ("%s is no setting of p2assist"):format(name)
    elseif not spec.check(value) then
      complaints[#complaints + 1] = ("%s: wants %s, not %s"):format(
        name,
        spec.wants,
        vim.inspect(value)
      )
    else
      values[name] = value
    end
  end
  table.sort(complaints)
  return values, complaints
end

M.values = defaults()

--- Makes the settings those given, and tells what was wrong with them.
---@param given table
function M.use(given)
  local values, complaints = M.read(given)
  M.values = values
  for _, complaint in ipairs(complaints) do
    vim.notify("p2assist: " .. complaint .. "; the default holds", vim.log.levels.ERROR)
  end
end

--- The object of initializationOptions and of workspace/didChangeConfiguration.
---@param trusted boolean
function M.wire(trusted)
  local object = { trusted = trusted, editor = "neovim" }
  for name, spec in pairs(M.settings) do
    if spec.wire then
      object[spec.wire] = M.values[name]
    end
  end
  return object
end

return M
