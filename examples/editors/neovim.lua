-- In init.lua, with the repository cloned; :help p2assist has the rest.
local clone = vim.env.P2ASSIST_CLONE or vim.fn.expand("~/src/p2assist")
vim.opt.rtp:prepend(clone .. "/lsp/nvim")

require("p2assist").setup({
  trusted = { "~/src" }, -- the tests of what is below may run; or :P2assist trust for each
  exclude = { "vendored/**" },
  keys = { accept = "<M-l>", accept_word = "<M-w>", accept_line = "<M-j>" },
})
vim.o.statusline = " %t %m%= %{v:lua.require'p2assist'.statusline()} "
