--- lualine component: sections = { lualine_x = { "p2assist" } }

local status = require("p2assist.status")

local Component = require("lualine.component"):extend()

function Component:update_status()
  local text, group = status.line()
  -- The colour of the group within the section's own background.
  local colour = vim.api.nvim_get_hl(0, { name = group, link = false }).fg
  self.options.color = colour and { fg = ("#%06x"):format(colour) } or nil
  return text
end

return Component
