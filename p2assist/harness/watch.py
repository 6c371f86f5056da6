"""Whether the repository, or the environment that its tests run in, is still as it was."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from p2assist.harness import tree

_SHARE = 0.1  # of the time may go into looking


class Watch:
    """Looks at the stamps of every file of the repository, caches and environments aside, and at
    those of the folders where the interpreter's packages are installed.

    A look that took long is not repeated at once: what it saw holds for nine times as long.
    """

    def __init__(self, root: Path, environment: Iterable[str]) -> None:
        self._root = root
        self._installed = tuple(_installed(environment))
        self._lock = threading.Lock()
        self._state, self._until = "", 0.0

    @property
    def state(self) -> str:
        """Two equal ones mean that nothing has changed between them."""
        with self._lock:
            now = time.monotonic()
            if now >= self._until:
                self._state = self._look()
                took = time.monotonic() - now
                self._until = now + took / _SHARE
            return self._state

    def _look(self) -> str:
        said = hashlib.sha256()
        for folder, names, files in os.walk(self._root):
            names[:] = sorted(n for n in names if n not in tree.PRUNED and not _own(folder, n))
            for name in sorted(files):
                _add(said, Path(folder) / name)
        for path in self._installed:
            _add(said, path)
        return said.hexdigest()


def _add(said: hashlib._Hash, path: Path) -> None:
    said.update(f"{path}\0{tree.stamp(path)}\0".encode("utf-8", "surrogateescape"))


def _own(folder: str, name: str) -> bool:
    return (Path(folder) / name / "pyvenv.cfg").is_file()


def _installed(environment: Iterable[str]) -> Iterator[Path]:
    """What changes when a package is installed, changed or removed."""
    for prefix in environment:
        yield Path(prefix) / "pyvenv.cfg"
        yield from sorted(Path(prefix).glob("lib*/python3*/site-packages"))
        if prefix.endswith("-packages"):
            yield Path(prefix)
