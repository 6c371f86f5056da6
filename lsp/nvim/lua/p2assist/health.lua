--- :checkhealth p2assist

local config = require("p2assist.config")
local native = require("p2assist.native")
local rpc = require("p2assist.rpc")
local trust = require("p2assist.trust")

local M = {}

local health = vim.health

-- Other providers of ghost text: their modules or their loaded flags.
local OTHERS =
  { ["copilot.lua"] = "copilot", ["codeium.nvim"] = "codeium", ["supermaven"] = "supermaven-nvim" }

local function neovim()
  local version = tostring(vim.version())
  if vim.fn.has("nvim-0.10") == 0 then
    health.error("Neovim " .. version .. " is too old", "0.10 or later is needed")
  else
    health.ok("Neovim " .. version)
  end
  if config.values.ghost == "native" and not native.is_available() then
    health.warn('ghost = "native" needs Neovim 0.12: our own ghost text is used')
  end
end

local function program()
  local name = config.values.cmd[1]
  if vim.fn.executable(name) == 0 then
    health.error(name .. " is not found", {
      "install it in an environment of its own: pipx install 'p2assist[lsp,model]'",
      'or name it: setup{ cmd = { "/path/to/p2assist", "lsp" } }',
    })
    return
  end
  local done = vim.system({ name, "--version" }, { text = true }):wait(20000)
  if done.code == 0 then
    health.ok(("%s (%s)"):format(vim.trim(done.stdout), vim.fn.exepath(name)))
  else
    health.warn(
      ("%s --version failed, code %d"):format(name, done.code),
      vim.trim(done.stderr or "")
    )
  end
end

local function servers()
  local clients = vim.lsp.get_clients({ name = rpc.NAME })
  if #clients == 0 then
    health.info("no server runs now: open a Python file")
  end
  for _, client in ipairs(clients) do
    local root = client.root_dir or client.config.root_dir
    health.ok(
      ("server for %s, positions in %s"):format(root or "single files", client.offset_encoding)
    )
    if not native.is_offered(client) then
      health.error("it offers no inline completion", "is it p2assist? See setup{ cmd = ... }")
    end
    if not trust.is_trusted(root) then
      health.warn("that folder is not trusted: nothing is tested", ":P2assist trust")
    end
  end
end

local function keys()
  for name, key in pairs(config.values.keys) do
    local mapping = key and vim.fn.maparg(key, "i", false, true) or {}
    if not vim.tbl_isempty(mapping) and not (mapping.desc or ""):match("^p2assist:") then
      health.info(
        ("%s (%s) was mapped before; that mapping still works where nothing is offered"):format(
          key,
          name
        )
      )
    end
  end
end

local function neighbours()
  for name, module in pairs(OTHERS) do
    if package.loaded[module] then
      health.warn(name .. " draws ghost text too", "turn one of the two off for Python files")
    end
  end
  if vim.g.loaded_copilot then
    health.warn("copilot.vim draws ghost text too", "vim.g.copilot_filetypes = { python = false }")
  end
end

function M.check()
  health.start("p2assist")
  neovim()
  if not require("p2assist").is_set_up then
    health.warn("setup was not called", 'require("p2assist").setup{}')
  end
  program()
  servers()
  keys()
  neighbours()
end

return M
