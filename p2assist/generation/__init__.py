"""Generation: from a task to its beam candidates."""
