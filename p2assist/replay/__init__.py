"""The memory: every candidate with what its tests and its users said, and how it is sampled."""
