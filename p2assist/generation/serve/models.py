"""The models that the process holds: base weights once, adapters beside them, one decode at a time.

A model is loaded by the first request that wants it, in a thread of its own, while other models
go on answering. What failed to load is not tried again for a while: requests come with every key.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from p2assist.generation.generator import Generator
from p2assist.generation.serve.messages import HeldModel, Spec

MOST_BASES = 2  # base models; the least recently used goes
MOST_ADAPTERS = 4  # of one base model
RETRY_SECONDS = 5.0
Load = Callable[[Spec, Generator | None], Generator]
"""A generator of the spec. The second argument is the base model's where the spec has an adapter:
its weights are shared. Raises ModelError."""

_log = logging.getLogger(__name__)


class Held:
    """A base model, its adapters, and the one thread that decodes with them."""

    def __init__(self, load: Load, loader: ThreadPoolExecutor, spec: Spec) -> None:
        self.spec = spec
        self.decoder = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self.busy = 0
        self._load, self._loader = load, loader
        self._made: dict[Spec, asyncio.Task[Generator]] = {}
        self._failed: dict[Spec, float] = {}

    def ready(self, spec: Spec) -> bool:
        task = self._made.get(spec)
        return task is not None and task.done() and task.exception() is None

    async def generator(self, spec: Spec) -> Generator:
        """The generator of the spec, when it is loaded. Raises ModelError."""
        task = self._made.pop(spec, None)
        if task is None or self._to_be_tried_again(spec):
            task = asyncio.create_task(self._make(spec))
            task.add_done_callback(_looked_at)
        self._made[spec] = task  # the most recently used is last
        self._trim()
        return await asyncio.shield(task)

    def told(self) -> HeldModel:
        base = self._made.get(self.spec)
        state: Literal["loading", "ready", "failed"] = "loading"
        if base is not None and base.done():
            state = "failed" if base.exception() else "ready"
        names = (s.adapter_name for s in self._made if s.adapter and self.ready(s))
        return HeldModel(self.spec.model, state, tuple(names))

    async def _make(self, spec: Spec) -> Generator:
        base = await self.generator(spec.base) if spec.adapter else None
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            made = await loop.run_in_executor(self._loader, self._load, spec, base)
        except Exception:
            self._failed[spec] = time.monotonic()
            raise
        what = f"{spec.model} {spec.adapter_name}".strip()
        _log.info("loaded %s in %.2f s", what, time.monotonic() - started)
        return made

    def _to_be_tried_again(self, spec: Spec) -> bool:
        at = self._failed.get(spec)
        if at is None or time.monotonic() - at < RETRY_SECONDS:
            return False
        del self._failed[spec]
        return True

    def _trim(self) -> None:
        adapters = [spec for spec in self._made if spec.adapter]
        for spec in adapters[:-MOST_ADAPTERS]:
            self._made.pop(spec)  # whoever decodes with it still holds it


class Models:
    """What is held. Its methods are for the event loop's thread."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._loader = ThreadPoolExecutor(2, thread_name_prefix="load")
        self._held: dict[Spec, Held] = {}

    def held(self, spec: Spec) -> Held:
        """The base model of the spec, which may not be loaded yet."""
        base = spec.base
        held = self._held.pop(base, None) or Held(self._load, self._loader, base)
        self._held[base] = held  # the most recently used is last
        idle = [key for key, one in self._held.items() if not one.busy and key != base]
        for key in idle[: max(0, len(self._held) - MOST_BASES)]:
            _log.info("letting go of %s", key.model)
            self._held.pop(key).decoder.shutdown(wait=False)
        return held

    def told(self) -> tuple[HeldModel, ...]:
        return tuple(held.told() for held in self._held.values())


def _looked_at(task: asyncio.Task[Generator]) -> None:
    """Whoever asked may be gone: asyncio must not complain that nobody took the exception."""
    if not task.cancelled():
        task.exception()


def load(spec: Spec, base: Generator | None) -> Generator:
    """The Load of real models. Imports torch."""
    from p2assist.generation.local import LocalGenerator

    folder = Path(spec.adapter) if spec.adapter else None
    if base is not None and hasattr(base, "with_adapter"):  # shares the base model's weights
        made: Generator = base.with_adapter(folder, spec.adapter_name)
        return made
    return LocalGenerator.load(
        spec.model, adapter=folder, adapter_name=spec.adapter_name, config=spec.settings
    )
