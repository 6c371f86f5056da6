"""A plain LoRA adapter added to weights without peft: the sums are peft's, to the last bit."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from p2assist.errors import AdapterError
from p2assist.generation import adapter as files

_FREE = frozenset(
    {
        "auto_mapping",
        "base_model_name_or_path",
        "inference_mode",
        "init_lora_weights",
        "lora_alpha",
        "lora_dropout",
        "megatron_core",
        "peft_type",
        "peft_version",
        "qalora_group_size",
        "r",
        "revision",
        "target_modules",
        "task_type",
        "use_rslora",
    }
)


def merged(folder: Path, weight: Callable[[str], torch.Tensor]) -> dict[str, torch.Tensor] | None:
    """The weights that the adapter in the folder changes, with it added, by the name of their
    module; None where it is more than plain LoRA, or less: peft knows then.

    The folder is one that `adapter.check` has let pass. weight: gives that of a module. Sums are
    taken in float32 and rounded to the weight's type. Raises AdapterError where one is no number.
    """
    try:
        config = json.loads((folder / files.CONFIG).read_text("utf-8"))
        if not _plain(config):
            return None
        scale = config["lora_alpha"] / (
            math.sqrt(config["r"]) if config.get("use_rslora") else config["r"]
        )
        pairs = _pairs(folder, config)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
    if pairs is None:
        return None
    return {
        name: _sum(folder, weight(name), inner, outer, scale)
        for name, (inner, outer) in pairs.items()
    }


def _plain(config: Mapping[str, Any]) -> bool:
    """Whether all that the config asks for is a product of rank r on some matrices."""
    asked = (value for key, value in config.items() if key not in _FREE)
    return (
        not any(value and value != "none" for value in asked)
        and config.get("task_type") in (None, "CAUSAL_LM")
        and isinstance(config.get("init_lora_weights", True), bool)  # others change the base too
        and type(config["r"]) is int
        and config["r"] > 0
        and isinstance(config["target_modules"], list)
        and config.get("use_rslora", False) in (False, True)
    )


def _pairs(
    folder: Path, config: Mapping[str, Any]
) -> dict[str, tuple[torch.Tensor, torch.Tensor]] | None:
    """(A of (r, inputs), B of (outputs, r)), float32, by module; None where one is missing, of
    another rank, or no target of the config's."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    with safe_open(str(folder / files.WEIGHTS), framework="pt") as tensors:
        for key in tensors.keys():  # noqa: SIM118 - no mapping
            name, part = files.part_of(key)
            if not key.startswith(files.OUTER):
                return None
            tensor = tensors.get_tensor(key)
            if not tensor.is_floating_point():
                return None
            found.setdefault(name, {})[part] = tensor.to(torch.float32, copy=True)
    pairs = {}
    for name, parts in found.items():
        if parts.keys() != {"A.weight", "B.weight"} or not _targeted(name, config):
            return None
        inner, outer = parts["A.weight"], parts["B.weight"]
        if inner.dim() != 2 or outer.dim() != 2 or not len(inner) == config["r"] == outer.shape[1]:
            return None
        pairs[name] = inner, outer
    return pairs


def _targeted(name: str, config: Mapping[str, Any]) -> bool:
    return any(name == t or name.endswith(f".{t}") for t in config["target_modules"])


def _sum(
    folder: Path, weight: torch.Tensor, inner: torch.Tensor, outer: torch.Tensor, scale: float
) -> torch.Tensor:
    inner, outer = inner.to(weight.device), outer.to(weight.device)
    total = weight.to(torch.float32, copy=True)
    total += (outer @ inner) * scale
    if not torch.isfinite(total).all():
        raise AdapterError(
            f"the adapter in {folder} cannot be loaded: NaNs detected in the merged weights"
        )
    return total.to(weight.dtype)
