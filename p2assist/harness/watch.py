"""Whether the repository, or the environment that its tests run in, is still as it was."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from p2assist.harness import environment, tree

_SHARE = 0.1  # of the time may go into looking


class Watch:
    """Looks at the stamps of every file of the repository, caches and environments aside, at
    those of sources that the environment links to, and at those of the folders where the
    interpreter's packages are installed.

    A look that took long is not repeated at once: what it saw holds for nine times as long.
    """

    def __init__(self, root: Path, read: Iterable[str]) -> None:
        read = tuple(read)
        linked = environment.linked(read)
        self._sources = (root, *(path for path in linked if not path.is_relative_to(root)))
        self._installed = tuple(environment.installation(read))
        self._lock = threading.Lock()
        self._state, self._until = "", 0.0

    @property
    def state(self) -> str:
        """Two equal ones mean that nothing has changed between them."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._look()
            return self._state

    def look(self) -> str:
        """The state as it is at this moment, whatever the look takes."""
        with self._lock:
            self._look()
            return self._state

    def _look(self) -> None:
        now, said = time.monotonic(), hashlib.sha256()
        of_sources = chain.from_iterable(map(environment.files, self._sources))
        for path in chain(of_sources, self._installed):
            said.update(f"{path}\0{tree.stamp(path)}\0".encode("utf-8", "surrogateescape"))
        self._state = said.hexdigest()
        ended = time.monotonic()
        self._until = ended + (ended - now) / _SHARE
