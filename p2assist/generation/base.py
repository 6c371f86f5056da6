"""A base model that is held once, and the forwards of it: without an adapter and with one."""

from __future__ import annotations

import threading
from pathlib import Path

import torch

from p2assist.generation import adapter as adapters
from p2assist.generation import files, lora
from p2assist.generation.forward import Forward
from p2assist.generation.hardware import Dtype, dtype_here
from p2assist.generation.lean import LeanForward
from p2assist.generation.location import folder_of, locate
from p2assist.generation.pretrained import Pretrained
from p2assist.generation.recorded import RecordedForward
from p2assist.generation.weights import Weights

MEMORY, _DOCUMENTS, _TOKENS = 256 << 20, 8, 2048
"""Keys and values that a forward keeps between prompts: bytes at most, and where it is less so many
documents of so many tokens (50 MB of the embedded model's; one of 7 billion parameters has two)."""

_SMALL = 30_000_000
"""Parameters below which a decoding step is too short to share: with two threads on two busy cores
(tests run beside it) each waits for the other, and a task took 4 s instead of 0.2."""


class BaseModel:
    """model: the name it was asked for. lock: who decodes with any of its forwards holds it.
    threads: of torch's to decode with, 0 for its own choice."""

    def __init__(self, loaded: Pretrained, *, model: str) -> None:
        self.model = model
        self.loaded = loaded
        self.lock = threading.Lock()
        self.threads = 1 if loaded.parameters < _SMALL else 0

    @classmethod
    def load(cls, model: str, *, dtype: Dtype = "auto") -> BaseModel:
        """The model 'pocket', a folder, or a name on the Hugging Face hub.

        Imports transformers only for what cannot be read without. Raises ModelError where the
        model cannot be loaded.
        """
        folder = folder_of(model)
        loaded = files.read(folder, dtype_here(dtype)) if folder else None
        if loaded is None:
            from p2assist.generation import loading

            loaded = loading.load(model, dtype=dtype)
        return cls(loaded, model=model)

    def forward(self, adapter: Path | None = None) -> Forward:
        """With a memory of its own; only the matrices that the adapter touches are there once more.

        Raises AdapterError where the adapter cannot be loaded.
        """
        weights = self.loaded.weights
        if weights is None:
            return self._general(adapter)
        if adapter is not None:
            weights = weights.changed(self._merged(weights, adapter))
        return _lean(weights)

    def _general(self, adapter: Path | None) -> Forward:
        from p2assist.generation.general import GeneralForward
        from p2assist.generation.loading import adapted

        network = self.loaded.network
        if adapter is not None:
            network, _ = adapted(network, adapter, model=self.model)
        return GeneralForward(network, memory=MEMORY)

    def _merged(self, weights: Weights, adapter: Path) -> dict[str, torch.Tensor]:
        """The weights of the modules that the adapter touches, by name."""
        adapters.check(
            adapter, model=self.model, path=locate(self.model), shapes=self.loaded.shapes
        )
        made = lora.merged(adapter, weights.weight)
        if made is not None:
            return made
        from p2assist.generation.loading import adapted, skeleton

        bare = skeleton(self.model, weights.kept)
        network, touched = adapted(bare, adapter, model=self.model, weight=weights.weight)
        return {name: network.get_submodule(name).weight.detach() for name in touched}


def _lean(weights: Weights) -> LeanForward:
    kind = RecordedForward if weights.device.type == "cuda" else LeanForward
    return kind(weights, memory=min(MEMORY, _DOCUMENTS * _TOKENS * weights.token_bytes))
