-- For vim.lsp.enable("p2assist") on Neovim 0.11 and later. setup{ autostart = false } beside it
-- gives the ghost text, the keys and :P2assist; without setup the server only answers.
return require("p2assist.client").config()
