"""Tiny networks of the families that the lean forward stands for, with random weights."""

from __future__ import annotations

from typing import Any

import torch
import transformers

NEAR = {"rtol": 1e-4, "atol": 5e-5}
IDS = [(7 * number * number + 3 * number) % 300 for number in range(150)]
SCALED = {
    "rope_type": "llama3",
    "rope_theta": 1e4,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("Llama", {}),
    "Llama with biases, tied, scaled positions": (
        "Llama",
        {
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": True,
            "rope_parameters": SCALED,
        },
    ),
    "Llama without groups": ("Llama", {"num_key_value_heads": 8, "head_dim": 16}),
    "Qwen2": ("Qwen2", {}),
    "Qwen2, windows above the first layer": (
        "Qwen2",
        {"use_sliding_window": True, "sliding_window": 20, "max_window_layers": 1},
    ),
    "Mistral": ("Mistral", {"sliding_window": None}),
    "Mistral, a window": ("Mistral", {"sliding_window": 24}),
    "StarCoder2, a window": ("Starcoder2", {"sliding_window": 24}),
}


def make(family: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    name, own = FAMILIES[family]
    shape = {
        "vocab_size": 300,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,
        "bos_token_id": None,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    config = getattr(transformers, f"{name}Config")(**(shape | own | settings))
    network = getattr(transformers, f"{name}ForCausalLM")(config).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() == 1:  # norms and biases, which start as ones and zeros
                weight.uniform_(0.5, 1.5)
    return network
