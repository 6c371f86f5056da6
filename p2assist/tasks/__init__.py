"""Tasks: places of the team's own tested code to complete, and who is held out from training."""
