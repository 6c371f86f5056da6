"""What a decoder asks of a model: prefill a prompt, then grow branches from it.

Two models answer: lean.py for the Llama-like families, general.py for whatever else transformers
loads. Both give the same numbers, within the rounding of their type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from p2assist.generation.request import FREE, Control


def chunk_size(device: torch.device) -> int:
    """Tokens that are prefilled between two looks at the control: they cost a processor about what
    a decoding step of eight beams costs, and are enough for its products to be efficient."""
    return 64 if device.type == "cpu" else 1024


class Branches(Protocol):
    """The beams of one prompt, which share its keys and values."""

    def step(self, parents: Sequence[int], tokens: Sequence[int]) -> torch.Tensor:
        """Logits (rows, vocabulary), float32, of what follows each token.

        parents: for each token the row of the last step that it goes on from (0 in the first
        step: the prompt). Rows that no token names are dropped. The result is good until the next
        step.
        """
        ...


class Prefilled(Protocol):
    """A prompt whose keys and values are there. Good until the next prefill of its model."""

    @property
    def logits(self) -> torch.Tensor:
        """(vocabulary,), float32: of what follows the prompt."""
        ...

    def branch(self, rows: int, room: int) -> Branches:
        """Branches of at most `rows` rows and `room` steps; a second call ends the first's."""
        ...

    def score(self, answers: Sequence[Sequence[int]]) -> list[float]:
        """The sum of log-probabilities, in nats, of each answer's tokens after the prompt."""
        ...


class Forward(Protocol):
    """A model. Not for several threads at once."""

    @property
    def device(self) -> torch.device: ...

    def prefill(self, ids: Sequence[int], control: Control = FREE) -> Prefilled | None:
        """Only what no earlier prompt began with is computed. None where the deadline came first.

        Raises CancelledError as control says; what was computed until then is kept.
        """
        ...
