"""The lean forward on a GPU: what a decoding step launches is recorded once and replayed.

A step of eight beams is several hundred small kernels, and asking for them takes the processor
longer than running them takes the GPU. A CUDA graph asks for all of them at once; it wants the
same shapes and the same memory every time. So a step has a room: keys and values of a fixed size
that a prompt's are copied into (24 MB of a model of half a billion parameters: 0.02 ms), and what
changes from step to step (tokens, slots, positions, mask) is written where the graph reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from p2assist.generation.lean import Keys, LeanForward, Mask
from p2assist.generation.weights import Weights

_SLOTS = (640, 1280, 2560, 5120, 10240)  # of a room; the usual prompt and its beams fit the third
_ROWS = (8, 16, 32)  # what is fewer is filled up; what is more is worth its launches
_FIRST, _GROWTH = 2, 3  # layers of the first graph, and how much longer each next one is
Work = Callable[[torch.Tensor], torch.Tensor]
Recorder = Callable[[Work, torch.Tensor], Work]


def record(work: Work, given: torch.Tensor) -> Work:
    """The same work as a CUDA graph: on what is in the memory of `given`, whatever it is called
    with. What it returns is written over by the next call."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        work(given)  # what libraries set up at their first call is no part of a graph
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # Other threads may go on asking for memory (an adapter is loaded while this one is at work).
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        out = work(given)

    def replay(_: torch.Tensor) -> torch.Tensor:
        graph.replay()
        return out

    return replay


class RecordedForward(LeanForward):
    """Implements Forward. recorder: makes work that is done again and again cheaper."""

    def __init__(self, weights: Weights, *, memory: int, recorder: Recorder = record) -> None:
        super().__init__(weights, memory=memory)
        self._recorder = recorder
        self._rooms: dict[int, _Room] = {}

    def run(
        self, keys: Keys, tokens: torch.Tensor, at: int, turns: torch.Tensor, mask: Mask
    ) -> torch.Tensor:
        """As LeanForward's; the result is good until the next call."""
        rows, slots = len(tokens), mask[0].shape[1]
        if rows > _ROWS[-1] or slots > _SLOTS[-1]:
            for room in self._rooms.values():
                room.leave(keys)
            return super().run(keys, tokens, at, turns, mask)
        size = next(size for size in _SLOTS if size >= slots)
        if size not in self._rooms:
            self._rooms[size] = _Room(self, size, self._recorder)
        return self._rooms[size].run(keys, tokens, at, turns, mask)


class _Room:
    """Keys and values of one size, and the steps that are recorded in it."""

    def __init__(self, forward: LeanForward, slots: int, recorder: Recorder) -> None:
        self._forward = forward
        self._recorder = recorder
        self._slots = slots
        # What rows that fill up a step say goes behind all that any row sees.
        self._keys = Keys(forward.weights, slots + _ROWS[-1])
        self._owner: Keys | None = None  # whose keys and values are here
        self._steps: dict[int, _Step] = {}

    def leave(self, keys: Keys) -> None:
        """The keys are about to be written elsewhere: what is here of them is old."""
        if self._owner is keys:
            self._owner = None

    def run(
        self, keys: Keys, tokens: torch.Tensor, at: int, turns: torch.Tensor, mask: Mask
    ) -> torch.Tensor:
        here, there = self._keys.buffer, keys.buffer
        if self._owner is not keys:
            here[:, :, :, :at] = there[:, :, :, :at]
            self._owner = keys
        rows = next(size for size in _ROWS if size >= len(tokens))
        if rows not in self._steps:
            self._steps[rows] = _Step(self._forward, here, rows, self._slots, self._recorder)
        hidden = self._steps[rows].run(tokens, at, turns, mask)
        end = at + len(tokens)
        there[:, :, :, at:end] = here[:, :, :, at:end]
        return hidden


class _Step:
    """So many rows over so many slots, and the memory that they are told through."""

    def __init__(
        self,
        forward: LeanForward,
        buffer: torch.Tensor,
        rows: int,
        slots: int,
        recorder: Recorder,
    ) -> None:
        weights, device = forward.weights, buffer.device
        self._tokens = torch.zeros(rows, dtype=torch.long, device=device)
        self._behind = torch.arange(slots, slots + rows, device=device)
        self._where = self._behind.clone()
        self._turns = weights.turns[:1].repeat(rows, 1, 1)
        near = torch.full((rows, slots), -torch.inf, dtype=buffer.dtype, device=device)
        near[:, 0] = 0.0  # rows that only fill up are numbers, too
        self._reach = 0  # slots beyond which no row sees any
        self._kinds = 2 if any(block.window for block in weights.blocks) else 1
        self._masks: Mask = near.clone() if self._kinds == 2 else near, near
        self._parts: list[Work] = []
        x = self._tokens
        for layers in _parts(len(weights.blocks)):
            work = partial(self._through, forward, buffer, layers)
            self._parts.append(recorder(work, x))
            x = self._parts[-1](x)

    def _through(
        self, forward: LeanForward, buffer: torch.Tensor, layers: slice, x: torch.Tensor
    ) -> torch.Tensor:
        x = x if layers.start else forward.embed(x)
        return forward.through(x, buffer, self._where, self._turns, self._masks, layers=layers)

    def run(self, tokens: torch.Tensor, at: int, turns: torch.Tensor, mask: Mask) -> torch.Tensor:
        rows, slots = mask[0].shape
        self._tokens[:rows] = tokens
        torch.arange(at, at + rows, out=self._where[:rows])
        if rows < len(self._where):
            self._where[rows:] = self._behind[rows:]
        self._turns[:rows] = turns
        for told, given in list(zip(self._masks, mask, strict=True))[: self._kinds]:
            told[:rows, :slots] = given
            if slots < self._reach:
                told[:, slots:] = -torch.inf
        self._reach = slots
        x = self._tokens
        for part in self._parts:
            x = part(x)
        return x[:rows]


def _parts(layers: int) -> list[slice]:
    """A graph is started as a whole, which takes a third of the time that it runs for (0.46 of
    1.6 ms, 24 layers on an H200). In parts only the first one's start is waited for: each is short
    enough to be started while the one before it runs."""
    parts, size = [slice(0, _FIRST)], _FIRST
    while parts[-1].stop < layers:
        size *= _GROWTH
        parts.append(slice(parts[-1].stop, parts[-1].stop + size))
    return parts
