"""What a folder's repository gives to completion: a Protocol, and the real thing.

Everything here may take long and is called in threads, never in the event loop's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from p2assist.config import Config, load, load_user
from p2assist.experience import CoveringTest, Task
from p2assist.generation.request import Context, Document
from p2assist.generation.typed_ahead import TypedAhead
from p2assist.harness.evidence import evidence_at
from p2assist.p2value import P2Settings
from p2assist.replay.provenance import current_commit
from p2assist_lsp.covering import Covering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p2assist.harness.mapping import ImpactMap
    from p2assist.harness.tester import Tester
    from p2assist.practice.workspace import Workspace
    from p2assist.replay.store import Store

Say = Callable[[str], None]
Progress = Callable[[str, float], None]  # what is being done, and the share of it, 0..1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a folder is opened with. python: of the project's tests, '' to look for it. trusted:
    whether anything of the repository may be run, or believed."""

    root: Path
    trusted: bool = False
    python: str = ""


class Services(Protocol):
    """A repository, opened. Raises P2AssistError where it cannot do something."""

    @property
    def completer(self) -> TypedAhead: ...

    @property
    def p2value(self) -> P2Settings: ...

    @property
    def model(self) -> str: ...

    def load(self) -> None:
        """Returns when the model is loaded."""
        ...

    def index(self, progress: Progress) -> tuple[Tester, int]:
        """The tester, and how many tests it knows. Asked for in trusted folders only, and again
        when a file was saved."""
        ...

    def covering(self, task: Task) -> tuple[CoveringTest, ...]:
        """The tests that run the task's function; none before index() has returned."""
        ...

    def context(self, task: Task, documents: Sequence[Document]) -> Context:
        """What the prompt may hold besides. documents: that are open, newest first."""
        ...

    def open_store(self) -> Store: ...

    def commit(self) -> str:
        """The commit that the folder stands at; '' where there is none."""
        ...

    def close(self) -> None: ...


Open = Callable[[Wanted, Say], Services]
"""Opens a folder. The second argument is told why something takes a while."""


class Repository:
    """Implements Services by a Workspace.

    In a folder without trust nothing of the repository is run or believed: no settings, adapters
    or store of it, the user's own model alone.
    """

    def __init__(self, wanted: Wanted, say: Say) -> None:
        from p2assist.practice.workspace import Workspace

        self._trusted, self._say = wanted.trusted, say
        config = _config(wanted)
        self._told: Progress | None = None
        self._space: Workspace = Workspace(config, bars=self._bars)
        self._indexed: ImpactMap | None = None
        self._maps = 0  # that there were
        self._reading = Lock()
        self._covering = Covering(self._find)

    @cached_property
    def completer(self) -> TypedAhead:
        """With the Champion; a new one serves the next request."""
        adapter = None if self._trusted else ""
        window = f"{os.getpid()} {self._space.config.root}"
        return self._space.completer(adapter, window=window, say=self._say)

    @property
    def p2value(self) -> P2Settings:
        return self._space.config.team.p2value

    @property
    def model(self) -> str:
        return self._space.config.model

    def load(self) -> None:
        from p2assist.generation.serve.client import ServedGenerator

        inner: object = self.completer
        while hasattr(inner, "inner"):
            inner = inner.inner
        if isinstance(inner, ServedGenerator):
            inner.prepare()

    def index(self, progress: Progress) -> tuple[Tester, int]:
        """Again after a save: what a change can affect is run, and a changed map gets a tester of
        its own."""
        self._told = progress
        space = self._space
        before = space.__dict__.pop("impact", None)
        known = space.impact
        if before is not None and known.files != before.files and "tester" in space.__dict__:
            space.__dict__.pop("tester").close()
        self._indexed, self._maps = known, self._maps + 1
        space.tester.start()  # the first evidence does not wait for it
        return space.tester, len(known.tests)

    def covering(self, task: Task) -> tuple[CoveringTest, ...]:
        return self._covering.of(task, self._maps) if self._indexed else ()

    def _find(self, task: Task) -> tuple[CoveringTest, ...]:
        assert self._indexed is not None
        root = self._space.config.root
        return evidence_at(root, self._indexed, task.path, task.source, task.line)

    def context(self, task: Task, documents: Sequence[Document]) -> Context:
        if not self._trusted:
            return ()
        with self._reading:
            return self._space.context.of(task, recent=documents)

    def open_store(self) -> Store:
        from p2assist.replay.store import Store

        return Store.open(self._space.config.store_url)

    def commit(self) -> str:
        return current_commit(self._space.config.root)

    def close(self) -> None:
        self._space.__exit__(None, None, None)

    def _bars(self) -> AbstractContextManager[Progress]:
        @contextmanager
        def telling() -> Iterator[Progress]:
            yield self._told or (lambda what, share: None)

        return telling()


def _config(wanted: Wanted) -> Config:
    if wanted.trusted:
        return load(wanted.root, python=wanted.python)
    return Config(root=wanted.root, user=load_user(python=wanted.python))
