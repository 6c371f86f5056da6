"""Testing candidates: the impact map, the sandbox, the worker and the tester that uses them."""
