"""What a verdict stands on besides the candidate and its tests."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from p2assist.harness import environment, tree
from p2assist.harness.suite import PASSED_ON, Suite
from p2assist.harness.watch import Watch

_MOST_FILES = 100_000  # of an environment; a larger one is not known well enough


class Ground:
    """The repository's files, the environment's, the settings that change what tests do, and
    p2assist's own code, as one digest: equal ones mean that a test says the same of a candidate.

    Python files and settings count by their contents, all others by their stamps. The environment
    is looked at once, in a thread of its own: what an interpreter has imported it keeps.
    """

    def __init__(self, suite: Suite, options: Sequence[str], watch: Watch) -> None:
        self._suite, self._options, self._watch = suite, options, watch
        self._lock = threading.Lock()
        self._state, self._digest = "", ""
        pool = ThreadPoolExecutor(1, thread_name_prefix="p2assist-ground")
        self._environment = pool.submit(self._of_environment)
        pool.shutdown(wait=False)

    @property
    def now(self) -> tuple[str, str]:
        """The tree's state (see Watch) and the digest, '' where it cannot be said, or not yet.

        A file that is written in between is in the digest and not in the state: who asks for
        unchanged() afterwards is told."""
        if not self._environment.done() or not self._environment.result():
            return "", ""
        with self._lock:
            state = self._watch.state
            if state != self._state:
                self._state, self._digest = state, self._of_tree()
            return self._state, self._digest

    def unchanged(self) -> str:
        """The state, looked at anew."""
        return self._watch.look()

    def _of_tree(self) -> str:
        root = self._suite.config.root
        said = hashlib.sha256(self._environment.result().encode())
        digests = tree.digests(root)
        said.update(repr(sorted(digests.items())).encode("utf-8", "surrogateescape"))
        others = (
            p for p in environment.files(root) if p.relative_to(root).as_posix() not in digests
        )
        said.update(_stamps(others).encode())
        return said.hexdigest()

    def _of_environment(self) -> str:
        try:
            return self._digested()
        except OSError:  # a folder that may not be listed
            return ""

    def _digested(self) -> str:
        suite = self._suite
        read = suite.box.read
        folders = (*environment.packages(read), *environment.linked(read))
        found = list(chain.from_iterable(map(environment.files, folders)))
        if len(found) > _MOST_FILES:
            return ""
        settings = (
            *(suite.interpreter, suite.box.isolation.name, suite.box.memory_mb, self._options),
            *(suite.config.team.tests, suite.config.team.pytest_args),
            *(os.environ.get(name) for name in PASSED_ON),
        )
        said = hashlib.sha256(repr(settings).encode("utf-8", "surrogateescape"))
        said.update(_stamps((*environment.installation(read), *found)).encode())
        for file in sorted(Path(__file__).parent.glob("*.py")):
            said.update(file.read_bytes())
        return said.hexdigest()


def _stamps(files: Iterable[Path]) -> str:
    said = hashlib.sha256()
    for path in files:
        said.update(f"{path}\0{tree.stamp(path)}\0".encode("utf-8", "surrogateescape"))
    return said.hexdigest()
