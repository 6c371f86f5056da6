"""A Generator over an OpenAI-compatible completions endpoint: vLLM, llama.cpp and their like."""
