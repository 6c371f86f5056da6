"""A base model that is held once, and the forwards of it: without an adapter and with one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from p2assist.generation.forward import Forward
from p2assist.generation.general import GeneralForward
from p2assist.generation.lean import LeanForward
from p2assist.generation.loading import adapted
from p2assist.generation.recorded import RecordedForward
from p2assist.generation.weights import Weights, fits, lean_weights

MEMORY, _DOCUMENTS, _TOKENS = 256 << 20, 8, 2048
"""Keys and values that a forward keeps between prompts: bytes at most, and where it is less so many
documents of so many tokens (50 MB of the embedded model's; one of 7 billion parameters has two)."""

_SMALL = 30_000_000
"""Parameters below which a decoding step is too short to share: with two threads on two busy cores
(tests run beside it) each waits for the other, and a task took 4 s instead of 0.2."""


class BaseModel:
    """model: the name it was asked for. network: transformers' own; where the lean forward can
    stand for it, its weights are gone to there and it is left without any (on the device 'meta').
    lock: who decodes with any of its forwards holds it. threads: of torch's to decode with, 0 for
    its own choice."""

    def __init__(self, network: Any, *, model: str) -> None:
        self.model = model
        self.network = network
        self.lock = threading.Lock()
        self.size = int(network.get_output_embeddings().weight.shape[0])
        self.threads = 1 if sum(p.numel() for p in network.parameters()) < _SMALL else 0
        self._weights = lean_weights(network) if fits(network) else None
        if self._weights is not None:
            network.to("meta")

    def forward(self, adapter: Path | None = None) -> Forward:
        """With a memory of its own; only the matrices that the adapter touches are there once more.

        Raises AdapterError where the adapter cannot be loaded.
        """
        if self._weights is None:
            network = self.network
            if adapter is not None:
                network, _ = adapted(network, adapter, model=self.model)
            return GeneralForward(network, memory=MEMORY)
        if adapter is None:
            return _lean(self._weights)
        network, touched = adapted(
            self.network, adapter, model=self.model, weight=self._weights.weight
        )
        changed = {name: network.get_submodule(name).weight.detach() for name in touched}
        return _lean(self._weights.changed(changed))


def _lean(weights: Weights) -> LeanForward:
    kind = RecordedForward if weights.device.type == "cuda" else LeanForward
    return kind(weights, memory=_memory(weights))


def _memory(weights: Weights) -> int:
    token = len(weights.blocks) * 2 * weights.groups * weights.width * weights.kept.itemsize
    return min(MEMORY, _DOCUMENTS * _TOKENS * token)
