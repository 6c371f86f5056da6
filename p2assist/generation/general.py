"""The forward pass of any causal language model of transformers: slower than lean.py, and the
same answers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

from p2assist.generation.cache import PrefixCache
from p2assist.generation.forward import chunk_size
from p2assist.generation.request import FREE, Control
from p2assist.generation.tails import fork, plain, select

_MOST_LOGITS = 1 << 26  # entries of one batch of logits; more would not fit beside a large model


class Past:
    """Transformers' cache of one sequence. Implements cache.Memory."""

    def __init__(self, states: DynamicCache) -> None:
        self.states = states

    @property
    def nbytes(self) -> int:
        return sum(layer.keys.nbytes + layer.values.nbytes for layer in self.states.layers)

    def cut(self, size: int) -> None:
        for layer in self.states.layers:  # all plain: no other is ever kept
            layer.keys = layer.keys[..., :size, :]
            layer.values = layer.values[..., :size, :]

    def copy(self, size: int) -> Past:
        made = Past(copy.deepcopy(self.states))
        made.cut(size)
        return made


class GeneralForward:
    """Implements Forward. network: in evaluation mode. memory: bytes of keys and values that are
    kept between prompts; layers that are no plain attention (sliding windows, recurrent states)
    cannot be cut back to a prefix, and keep nothing."""

    def __init__(self, network: Any, *, memory: int) -> None:
        self.network = network
        self.cache: PrefixCache[Past] = PrefixCache(memory)

    @property
    def device(self) -> torch.device:
        device: torch.device = self.network.device
        return device

    @torch.inference_mode()
    def prefill(self, ids: Sequence[int], control: Control = FREE) -> GeneralPrompt | None:
        past, done = self.cache.take(ids) or (Past(DynamicCache(config=self.network.config)), 0)
        tokens = torch.tensor([list(ids)], device=self.device)
        logits = None
        try:
            while done < len(ids) and not control.expired:
                control.check()
                chunk = tokens[:, done : done + chunk_size(self.device)]
                logits = self.forward(chunk, past.states, logits_to_keep=1)
                done += chunk.shape[1]
        finally:
            if done and plain(past.states):
                self.cache.put(ids[:done], past)
        if logits is None or done < len(ids):
            return None
        return GeneralPrompt(self, past.states, logits[0, -1].float())

    def forward(self, ids: torch.Tensor, states: DynamicCache, **options: Any) -> torch.Tensor:
        out = self.network(input_ids=ids, past_key_values=states, use_cache=True, **options)
        logits: torch.Tensor = out.logits
        return logits


class GeneralPrompt:
    """Implements Prefilled."""

    def __init__(self, forward: GeneralForward, states: DynamicCache, logits: torch.Tensor) -> None:
        self.logits = logits
        self._forward = forward
        self._states = states

    def branch(self, rows: int, room: int) -> GeneralBranches:
        return GeneralBranches(self._forward, fork(self._states, rows, room))

    @torch.inference_mode()
    def score(self, answers: Sequence[Sequence[int]]) -> list[float]:
        sums: list[float] = []
        longest = max(map(len, answers), default=1)
        size = max(1, _MOST_LOGITS // (longest * len(self.logits)))
        for at in range(0, len(answers), size):
            sums += self._score(answers[at : at + size])
        return sums

    def _score(self, answers: Sequence[Sequence[int]]) -> list[float]:
        rows, longest, device = len(answers), max(map(len, answers)), self.logits.device
        ids = torch.zeros(rows, longest, dtype=torch.long)
        counted = torch.zeros(rows, longest, dtype=torch.bool)
        for row, answer in enumerate(answers):
            ids[row, : len(answer)] = torch.tensor(list(answer))
            counted[row, : len(answer)] = True
        ids, counted = ids.to(device), counted.to(device)
        states = copy.deepcopy(self._states)
        states.batch_repeat_interleave(rows)
        # What pads a row comes after all that counts in it, and attention looks back: no mask.
        logits = self._forward.forward(ids, states)[:, :-1].float()
        table = torch.cat([self.logits.expand(rows, 1, -1), logits], 1).log_softmax(-1)
        chosen = table.gather(2, ids[:, :, None]).squeeze(2)
        return [float(value) for value in chosen.where(counted, 0.0).sum(1)]


class GeneralBranches:
    """Implements Branches."""

    def __init__(self, forward: GeneralForward, states: DynamicCache) -> None:
        self._forward = forward
        self._states = states

    @torch.inference_mode()
    def step(self, parents: Sequence[int], tokens: Sequence[int]) -> torch.Tensor:
        select(self._states, parents)
        ids = torch.tensor(tokens, device=self._forward.device)[:, None]
        return self._forward.forward(ids, self._states)[:, -1].float()
