"""What a config says, against the networks that transformers makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from p2assist.generation.architecture import Architecture

CONFIG = {
    "model_type": "llama",
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
}
WINDOWS = {"model_type": "qwen2", "sliding_window": 9, "max_window_layers": 1}


def read(**changes: Any) -> Architecture | None:
    return Architecture.from_config(CONFIG | changes)


def test_every_tensor_of_every_family_has_its_name_and_shape() -> None:
    pytest.importorskip("transformers")
    from .families import FAMILIES, make

    for family in FAMILIES:
        network = make(family)
        made = Architecture.from_config(network.config.to_dict())
        assert made is not None
        wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        assert made.tensors() | {"lm_head.weight": wanted["lm_head.weight"]} == wanted
        assert made.parameters == sum(p.numel() for p in network.parameters())
        assert made.tied == ("lm_head.weight" not in made.tensors())


def test_widths_are_told_or_follow_from_the_rest() -> None:
    one, other, alone = read(), read(head_dim=8), read(num_key_value_heads=None)
    assert one is not None and other is not None and alone is not None
    assert (one.width, one.groups, one.layers, one.theta) == (4, 2, 2, 1e4)
    assert (other.width, alone.groups) == (8, 4)
    assert other.shapes()["model.layers.1.self_attn.k_proj"] == (16, 16)


@pytest.mark.parametrize(
    ("changes", "windows"),
    [
        ({"sliding_window": 9}, (0, 0)),  # Llama has none
        (WINDOWS, (0, 0)),
        (WINDOWS | {"use_sliding_window": True}, (0, 9)),
        (
            WINDOWS
            | {"use_sliding_window": True, "layer_types": ["sliding_attention", "full_attention"]},
            (9, 0),
        ),
        ({"model_type": "mistral", "sliding_window": 9}, (9, 9)),
        ({"model_type": "mistral", "sliding_window": None}, (0, 0)),
    ],
)
def test_windows_are_those_that_the_family_uses(
    changes: dict[str, Any], windows: tuple[int, ...]
) -> None:
    made = read(**changes)
    assert made is not None and made.windows == windows


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "gpt2"},
        {"model_type": "mistral"},  # which does not say its window
        {"hidden_act": "gelu_new"},
        {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}},
        {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
        {"quantization_config": {"bits": 4}},
        {"num_key_value_heads": 3},
        {"head_dim": 5},
        {"hidden_size": "16"},
        {"vocab_size": 0},
        {"hidden_size": None},
    ],
    ids=str,
)
def test_what_is_unlike_is_none(changes: dict[str, Any]) -> None:
    assert read(**changes) is None
