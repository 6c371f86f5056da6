"""Keys and values of the beams of any model of transformers (see general.py)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class TailLayer(DynamicLayer):  # type: ignore[misc]
    """A layer of `rows` beams over one prompt, with room for the tokens they will write.

    The buffers are (rows, heads, prompt + room, width), filled in place: transformers' own layer
    copies all of them at every step, and once more when the beams change places.
    """

    def __init__(self, prompt: Any, rows: int, room: int) -> None:
        super().__init__()
        self.dtype, self.device = prompt.keys.dtype, prompt.keys.device
        self.is_initialized = True
        self._start = self._end = prompt.keys.shape[-2]
        self._rows = rows
        self._keys = _buffer(prompt.keys, rows, room)
        self._values = _buffer(prompt.values, rows, room)
        self._show()

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append (rows, heads, new, width) keys and values; returns all there are now."""
        last = self._end + key_states.shape[-2]
        self._keys[: self._rows, :, self._end : last] = key_states
        self._values[: self._rows, :, self._end : last] = value_states
        self._end = last
        self._show()
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Row i becomes what row indices[i] was; what is not named is dropped."""
        self._rows = len(indices)
        tail = slice(self._start, self._end)
        for buffer in (self._keys, self._values):
            buffer[: self._rows, :, tail] = buffer[indices, :, tail]
        self._show()

    def _show(self) -> None:
        self.keys = self._keys[: self._rows, :, : self._end]
        self.values = self._values[: self._rows, :, : self._end]


def plain(cache: DynamicCache) -> bool:
    """Whether every layer is plain attention, whose keys can be cut and shared."""
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def fork(prompt: DynamicCache, rows: int, room: int) -> DynamicCache:
    """The cache of one prompt as that of `rows` beams which will write at most `room` tokens.

    Layers that are no plain attention (sliding windows, recurrent states) are repeated as
    transformers does it. The given cache stays what it is.
    """
    if plain(prompt):
        made = copy.copy(prompt)
        made.layers = [TailLayer(layer, rows, room) for layer in prompt.layers]
        return made
    made = copy.deepcopy(prompt)
    made.batch_repeat_interleave(rows)
    return made


def select(cache: DynamicCache, rows: Sequence[int]) -> None:
    """Beam i goes on from what beam rows[i] has written."""
    cache.batch_select_indices(torch.tensor(rows, device=cache.layers[0].keys.device))


def _buffer(states: torch.Tensor, rows: int, room: int) -> torch.Tensor:
    _, heads, length, width = states.shape
    buffer = states.new_empty(rows, heads, length + room, width)
    buffer[:, :, :length] = states
    return buffer
