"""The files of the tests' environment: installed packages, and what .pth files lead to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from p2assist.harness import tree


def installation(read: Iterable[str]) -> Iterator[Path]:
    """What changes when a package is installed or removed, or the environment is made anew."""
    prefixes = tuple(read)
    yield from (Path(prefix) / "pyvenv.cfg" for prefix in prefixes)
    yield from packages(prefixes)


def packages(read: Iterable[str]) -> Iterator[Path]:
    """The folders that packages are imported from: of a virtual environment that is closed, its
    own alone. read: what the interpreter may read."""
    prefixes = [Path(prefix) for prefix in read]
    found = [prefix for prefix in prefixes if prefix.name.endswith("-packages")]
    for prefix in [p for p in prefixes if _closed(p)] or prefixes:
        found += sorted(prefix.glob("lib*/python3*/site-packages"))
    yield from {path.resolve(): path for path in found}.values()


def linked(read: Iterable[str]) -> Iterator[Path]:
    """Folders of sources elsewhere, as an editable installation makes: what is read and is no
    installation, no folder of packages and not of the standard library."""
    for name in read:
        path = Path(name)
        library = (path / "os.py").is_file() or path.name == "lib-dynload"
        installation = (path / "pyvenv.cfg").is_file() or any(path.glob("lib*/python3*/os.py"))
        if path.is_dir() and not (library or installation or name.endswith("-packages")):
            yield path


def files(folder: str | Path) -> Iterator[Path]:
    """Every file below the folder, caches and other environments aside, in a fixed order."""
    for around, names, found in os.walk(folder):
        names[:] = sorted(n for n in names if n not in tree.PRUNED and not _own(around, n))
        yield from (Path(around) / name for name in sorted(found))


def _closed(prefix: Path) -> bool:
    try:
        said = (prefix / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    pairs = (line.partition("=") for line in said.splitlines())
    told = {name.strip().lower(): value.strip().lower() for name, _, value in pairs}
    return told.get("include-system-site-packages") == "false"


def _own(folder: str, name: str) -> bool:
    return (Path(folder) / name / "pyvenv.cfg").is_file()
