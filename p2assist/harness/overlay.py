"""From a task and a candidate's text to the files that are laid over the repository."""

from __future__ import annotations

import tokenize
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol

from p2assist.errors import HarnessError
from p2assist.experience import Task
from p2assist.harness.sandbox import Files


@dataclass(frozen=True, slots=True)
class Laid:
    """What is tested for a candidate. files: (path below the root, content) for every file that
    differs from the tree on disk, the candidate's own first. before: a text of its own file
    without it, which parses where there is such a one. note: in what it was tested, where that is
    not its own file; '' otherwise."""

    files: Files
    before: str
    note: str = ""


class Overlay(Protocol):
    """The repository's tree with some files in place of its own. A strategy may lay more than the
    task's own file, an older state of others for one."""

    def lay(self, task: Task, text: str) -> Laid:
        """Raises HarnessError where the task is not of this tree."""
        ...

    def base(self) -> Files:
        """What is laid over the tree where there is no candidate."""
        ...


class OwnFile:
    """The task's file as its buffer has it, with the candidate in it; all else as on disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def lay(self, task: Task, text: str) -> Laid:
        content = encode(task.apply(text))
        return Laid(((real_path(self._root, task.path), content),), task.source)

    def base(self) -> Files:
        return ()


def real_path(root: Path, path: str) -> str:
    """The path with its links resolved. Raises HarnessError where it leaves the root."""
    real = (root / path).resolve()
    if not real.is_relative_to(root):
        raise HarnessError(f"{path} is not inside {root}: it cannot be tested there")
    return real.relative_to(root).as_posix()


def encode(text: str) -> bytes:
    """The file's bytes in the encoding that it declares."""
    raw = text.encode("utf-8", "surrogateescape")
    try:
        encoding = tokenize.detect_encoding(BytesIO(raw).readline)[0]
        return raw if encoding.startswith("utf-8") else text.encode(encoding)
    except (SyntaxError, UnicodeError):
        return raw  # Python will say what is wrong with it
