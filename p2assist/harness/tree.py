"""The repository's own Python files: which they are, and what they held."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from p2assist.config import STATE

PRUNED = frozenset(
    {STATE, ".git", ".hg", ".tox", ".nox", ".eggs", "__pycache__", "node_modules", "site-packages"}
)
# Files besides *.py whose change may change what the tests do.
SETTINGS = (
    "pyproject.toml",
    "p2assist.toml",
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    "setup.cfg",
    "tox.ini",
)


def python_files(root: Path) -> Iterator[str]:
    """Posix paths below root, sorted; not those of environments, caches and p2assist's state."""
    for folder, names, files in os.walk(root):
        names[:] = sorted(n for n in names if n not in PRUNED and not _is_environment(folder, n))
        below = Path(folder).relative_to(root)
        yield from ((below / name).as_posix() for name in sorted(files) if name.endswith(".py"))


def environments(root: Path) -> list[str]:
    """Folder names directly below root that hold virtual environments."""
    return sorted(n.name for n in root.iterdir() if n.is_dir() and _is_environment(root, n.name))


def contents(root: Path) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of every Python file and every file of settings that can be read."""
    for path in (*python_files(root), *(name for name in SETTINGS if (root / name).is_file())):
        try:
            yield path, (root / path).read_bytes()
        except OSError:
            continue


def digests(root: Path) -> dict[str, str]:
    """SHA-256 in hex of the same files, by posix path."""
    return {path: digest(content) for path, content in contents(root)}


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def file_digest(file: Path) -> str:
    """SHA-256 of the file's bytes, in hex; '' where it cannot be read."""
    try:
        return digest(file.read_bytes())
    except OSError:
        return ""


def stamp(file: Path) -> tuple[int, int, int]:
    """What changes whenever a file is written: its times in nanoseconds, and its size."""
    try:
        status = file.stat()
    except OSError:
        return (0, 0, -1)
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size)


def _is_environment(folder: str | Path, name: str) -> bool:
    return (Path(folder) / name / "pyvenv.cfg").is_file()
