"""A workspace folder: trusted or not, opened in the background, saying how far it is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pathspec

from p2assist.errors import P2AssistError
from p2assist.generation.typed_ahead import TypedAhead
from p2assist.p2value import P2Settings
from p2assist_lsp.memory import Memory
from p2assist_lsp.offers import Offer
from p2assist_lsp.services import Open, Services, Wanted
from p2assist_lsp.verification import Verifier

_log = logging.getLogger(__name__)


class Stage(StrEnum):
    STARTING = "starting"
    LOADING = "loading"
    INDEXING = "indexing"
    READY = "ready"
    UNTRUSTED = "untrusted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Bearings:
    """Whom a folder tells, from any thread. status: its status, when it changes. evidence: that an
    offer knows more. progress: what is being done and its share, 0..1 (None: it is over). trouble:
    words."""

    status: Callable[[Folder, dict[str, Any]], None]
    evidence: Callable[[Offer], None]
    progress: Callable[[Folder, str, float | None], None]
    trouble: Callable[[str], None]


class Folder:
    """One repository, or the folder of a file that belongs to none."""

    def __init__(self, root: Path, opening: Open, told: Bearings, exclude: tuple[str, ...]) -> None:
        self.root = root
        self.stage, self.words, self.tests = Stage.STARTING, "", 0
        self.services: Services | None = None
        self.verifier: Verifier | None = None
        self.memory: Memory | None = None
        self.completer: TypedAhead | None = None
        self.trusted = False
        self.last_commit = ""
        self._open, self._told = opening, told
        self._lock = threading.Lock()
        self._life = 0
        self._due = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="p2assist-folder")
        self.exclude(exclude)

    def exclude(self, globs: tuple[str, ...]) -> None:
        self._excluded = pathspec.GitIgnoreSpec.from_lines(globs)

    def path(self, file: Path) -> str:
        """Posix path below the root; '' where the file is not there, or excluded."""
        try:
            path = file.relative_to(self.root).as_posix()
        except ValueError:
            return ""
        return "" if self._excluded.match_file(path) else path

    @property
    def p2value(self) -> P2Settings:
        return self.services.p2value if self.services else P2Settings()

    @property
    def untested(self) -> str:
        """Why nothing is tested while there is no verifier, in words."""
        if self.stage is Stage.UNTRUSTED:
            return "untested: not trusted"
        if self.stage in (Stage.READY, Stage.FAILED) and self.verifier is None:
            return "untested"
        return "tests are still being found"

    def cover(self, offer: Offer) -> bool:
        """Gives an offer that was made before the tests were found its covering tests. For a
        thread; False where they are not found yet, or nothing is tested here."""
        services, verifier = self.services, self.verifier
        if services is None or verifier is None:
            return False
        if offer.early:
            offer.covered(services.covering(offer.task))
            verifier.recall(offer)
        return True

    def start(self, *, trusted: bool, python: str, feedback: bool) -> None:
        """Opens it, or opens it anew with other rights."""
        self.close()
        with self._lock:
            self._life += 1
            life = self._life
            self.trusted = trusted
        wanted = Wanted(root=self.root, trusted=trusted, python=python)
        self._thread.submit(self._run, wanted, life, feedback)

    def saved(self) -> None:
        """A file has changed on the disk: the map is brought up to date, in the background."""
        services, life = self.services, self._life
        if self.stage is Stage.READY and services is not None and self.trusted and not self._due:
            self._due = True
            self._thread.submit(self._again, services, life)

    def _again(self, services: Services, life: int) -> None:
        self._due = False
        if life == self._life:
            self._index(services, life)

    def close(self) -> None:
        with self._lock:
            self._life += 1
            verifier, memory, services = self.verifier, self.memory, self.services
            self.verifier = self.memory = self.services = self.completer = None
            self.tests = 0
        if verifier:
            verifier.close()
        if memory:
            memory.close()
        if services:
            services.close()

    def status(self) -> dict[str, Any]:
        """The parameters of `p2assist/status`."""
        services, adapter = self.services, ""
        try:
            adapter = self.completer.adapter if self.completer else ""
        except P2AssistError as error:
            _log.warning("%s", error)
        return {
            "folder": self.root.absolute().as_uri(),
            "state": self.stage.value,
            "words": self.words,
            "model": services.model if services else "",
            "adapter": adapter,
            "tests": self.tests,
        }

    def _run(self, wanted: Wanted, life: int, feedback: bool) -> None:
        try:
            self._begin(wanted, life, feedback)
        except P2AssistError as error:
            self._stand(life, Stage.FAILED, str(error))
        except Exception as error:  # a bug in opening must not end the server
            _log.exception("opening %s failed", self.root)
            self._stand(life, Stage.FAILED, f"{type(error).__name__}: {error}")

    def _begin(self, wanted: Wanted, life: int, feedback: bool) -> None:
        self._stand(life, Stage.STARTING, "starting")
        services = self._open(wanted, self._loading)
        completer = services.completer
        with self._lock:
            if life != self._life:
                services.close()
                return
            self.services, self.completer = services, completer
            if feedback and wanted.trusted:
                self.memory = Memory(services.open_store, self._told.trouble)
        self._stand(life, Stage.LOADING, f"loading {services.model}")
        self._told.progress(self, f"loading {services.model}", 0.0)
        try:
            services.load()
        finally:
            self._told.progress(self, "", None)
        if not wanted.trusted:
            self._stand(life, Stage.UNTRUSTED, "not trusted: completions are not tested")
            return
        self.last_commit = services.commit()
        self._stand(life, Stage.INDEXING, "finding the tests")
        self._index(services, life)

    def _index(self, services: Services, life: int) -> None:
        try:
            tester, tests = services.index(lambda what, share: self._progress(what, share, life))
        except (P2AssistError, OSError) as error:  # completions go on, untested
            self._stand(life, Stage.READY, f"completions are not tested: {error}")
            self._told.trouble(f"completions are not tested: {error}")
            return
        finally:
            self._told.progress(self, "", None)
        with self._lock:
            if life != self._life:
                return
            self.tests, before = tests, self.verifier
            if before is None or before.tester is not tester:
                self.verifier = Verifier(tester, self._told.evidence)
                if before is not None:
                    before.close()
        self._stand(life, Stage.READY, f"{tests} tests")

    def _progress(self, what: str, share: float, life: int) -> None:
        if life == self._life:
            self._told.progress(self, what, share)

    def _loading(self, words: str) -> None:
        if self.stage in (Stage.READY, Stage.UNTRUSTED):  # the process was started again
            self.words = words
            self._told.status(self, self.status())

    def _stand(self, life: int, stage: Stage, words: str) -> None:
        if life == self._life:
            self.stage, self.words = stage, words
            self._told.status(self, self.status())
