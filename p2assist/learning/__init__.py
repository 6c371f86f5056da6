"""A refresh: fine-tune a Challenger from replay, evaluate it, gate it, keep it in the registry."""
