"""A model's folder read without transformers: most of a cold start is to import it.

Only what the lean forward can stand for, and only where the folder says so beyond doubt. All else,
damaged files too, is left to transformers, which then says what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from p2assist.generation.architecture import Architecture, Shape
from p2assist.generation.hardware import device_here
from p2assist.generation.pretrained import Pretrained, end_tokens
from p2assist.generation.rotary import default_turns
from p2assist.generation.tokenizing import read_tokenizer
from p2assist.generation.weights import lean_weights

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_FLOATS = frozenset({"F32", "F16", "BF16"})
_COMPUTING = frozenset(
    {
        "attention_bias",
        "head_dim",
        "hidden_act",
        "hidden_size",
        "intermediate_size",
        "layer_types",
        "max_position_embeddings",
        "max_window_layers",
        "mlp_bias",
        "model_type",
        "norm_epsilon",
        "num_attention_heads",
        "num_hidden_layers",
        "num_key_value_heads",
        "rms_norm_eps",
        "rope_parameters",
        "rope_theta",
        "sliding_window",
        "tie_word_embeddings",
        "use_bias",
        "use_sliding_window",
        "vocab_size",
    }
)
_NEUTRAL = frozenset(
    {
        "_name_or_path",
        "architectures",
        "attention_dropout",
        "bos_token_id",
        "dtype",
        "embedding_dropout",
        "eos_token_id",
        "initializer_range",
        "p2assist_context",
        "p2assist_template",
        "pad_token_id",
        "pretraining_tp",
        "residual_dropout",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
_OFF = frozenset(
    {"quantization_config", "rope_scaling", "use_mrope"}
)  # known where they are not set
_OF_SOME = {"layer_types": "qwen2", "attention_bias": "llama", "mlp_bias": "llama"}


def read(folder: Path, dtype: torch.dtype) -> Pretrained | None:
    """The model in the folder, its weights in the type; None where transformers has to load it."""
    try:
        return _read(folder, dtype)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError):
        return None


def _read(folder: Path, dtype: torch.dtype) -> Pretrained | None:
    if (folder / "adapter_config.json").exists():  # transformers would put it on the model
        return None
    config = _json(folder / "config.json")
    architecture = _architecture(config)
    tokenizer = architecture and read_tokenizer(folder, architecture.family)
    if architecture is None or tokenizer is None:
        return None
    device = device_here()
    with ExitStack() as opened:
        tensors = Tensors(folder, opened, dtype=dtype, device=device)
        if tensors.shapes != architecture.tensors():
            return None
        turns = default_turns(
            architecture.theta, architecture.width, architecture.positions, device
        )
        weights = lean_weights(architecture, tensors, turns)
    generation = folder / "generation_config.json"
    return Pretrained(
        tokenizer=tokenizer,
        config=config,
        ends=end_tokens(config, _json(generation) if generation.exists() else {}),
        size=architecture.vocabulary,
        parameters=architecture.parameters,
        shapes=architecture.shapes(),
        weights=weights,
    )


def _architecture(config: Mapping[str, Any]) -> Architecture | None:
    """None where the file leaves to transformers what a value is, or what it means."""
    turns = config.get("rope_parameters") or {}
    made = Architecture.from_config(config)
    if (
        made is None
        or any(config.get(key) for key in _OFF)
        or config.keys() - _COMPUTING - _NEUTRAL - _OFF
        or turns.keys() - {"rope_type", "rope_theta"}
        or made.rotary != "default"
        or not made.theta
        or made.hidden % made.heads
        or any(key in config and made.family != family for key, family in _OF_SOME.items())
        or "eos_token_id" not in config
    ):
        return None
    return made


class Tensors(Mapping[str, torch.Tensor]):
    """The tensors of a folder's safetensors, read one by one into the type and onto the device.

    One that has both already is a view of its whole file: to be copied where it is kept. shapes:
    of what is in the files. 'lm_head.weight' is there too where it is the embedding.
    """

    def __init__(
        self, folder: Path, opened: ExitStack, *, dtype: torch.dtype, device: torch.device
    ) -> None:
        """Raises OSError, ValueError, KeyError or SafetensorError where a file is missing, damaged
        or holds other numbers than floats."""
        self._dtype, self._device = dtype, device
        self._files: dict[str, Any] = {}
        self.shapes: dict[str, Shape] = {}
        for file in _shards(folder):
            shard = opened.enter_context(safe_open(str(file), framework="pt"))
            for name in shard.keys():  # noqa: SIM118 - no mapping
                part = shard.get_slice(name)
                if part.get_dtype() not in _FLOATS or name in self._files:
                    raise ValueError(name)
                self._files[name] = shard
                self.shapes[name] = tuple(part.get_shape())

    def __getitem__(self, name: str) -> torch.Tensor:
        if name == "lm_head.weight" and name not in self._files:
            name = "model.embed_tokens.weight"
        tensor: torch.Tensor = self._files[name].get_tensor(name)
        return tensor.to(self._device, self._dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def _shards(folder: Path) -> list[Path]:
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    names = sorted(set(_json(folder / _INDEX)["weight_map"].values()))
    if any(Path(name).name != name for name in names):  # no file may name one elsewhere
        raise ValueError(names)
    return [folder / name for name in names]


def _json(file: Path) -> dict[str, Any]:
    found = json.loads(file.read_text("utf-8"))
    if not isinstance(found, dict):
        raise ValueError(file)
    return found
