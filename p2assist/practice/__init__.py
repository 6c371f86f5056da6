"""Practice: the driver that needs no user. Mine, generate, test, keep."""
