"""A model as it was loaded, from its files or by transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from p2assist.generation.architecture import Shape
from p2assist.generation.weights import Weights


@dataclass(frozen=True, slots=True)
class Pretrained:
    """config: the model's own. ends: the ids of its end tokens. size: rows of its output. shapes:
    of each weight, by the name of its module. weights: for the lean forward; where it cannot stand
    for the network they are None, and network, transformers' own, is there."""

    tokenizer: Any
    config: Mapping[str, Any]
    ends: tuple[int, ...]
    size: int
    parameters: int
    shapes: Mapping[str, Shape]
    weights: Weights | None = None
    network: Any = None


def end_tokens(*configs: Mapping[str, Any]) -> tuple[int, ...]:
    """The `eos_token_id` of any of the configs, in order of size."""
    own: set[int] = set()
    for config in configs:
        ids = config.get("eos_token_id")
        own.update(ids if isinstance(ids, list | tuple) else [] if ids is None else [ids])
    return tuple(sorted(own))
