"""Whether Python reads the code around a cursor with a candidate in it."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from p2assist.experience import Task

_MOST_LINES = 400  # of a function on either side of the cursor
_GOES_ON = re.compile(r"[)\]}#]|(?:else|elif|except|finally|case)\b|\"\"\"|'''")
_DEFINES = re.compile(r"\s*(?:async\s+def|def|class)\b")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The innermost function or class around a cursor, or the statement of the module's own level:
    what of it is left and right of the cursor.

    Only that is read, so that half-written code elsewhere in the file says nothing of a candidate.
    alone: whether a header at the cursor may stand without what it heads.
    """

    before: str
    after: str
    alone: bool

    @classmethod
    def of(cls, task: Task) -> Self:
        """Looks at task.prefix and task.suffix only."""
        above, below = task.prefix.split("\n"), task.suffix.split("\n")[:_MOST_LINES]
        line = above[-1] + below[0]
        level = _width(line) if line.strip() else len(line)
        start, within = _start(above, level)
        stop = next((n for n, row in enumerate(below) if n and _leaves(row, within)), len(below))
        head = "if 1:\n" if within else ""  # a method is read with its indentation
        following = below[1] if len(below) > 1 else ""
        alone = not below[0].strip() and (not following.strip() or _width(following) < level)
        return cls(head + "\n".join(above[start:]), "\n".join(below[:stop]), alone)

    def fit(self, text: str) -> bool:
        """Whether it parses with the text at the cursor.

        A header (`if a:`) may still be without what it heads, since that is what one writes next;
        but not directly above a line of its own level.
        """
        if _parses(self.before + text + self.after):
            return True
        heads = self.alone and text.rstrip().endswith(":")
        return heads and _parses(f"{self.before}{text} pass{self.after}")


def _start(above: Sequence[str], level: int) -> tuple[int, int]:
    """(the number of the line that the function begins with, its columns of indentation)."""
    least = max(0, len(above) - _MOST_LINES)
    at = len(above) - 1
    width = level
    while at > least:
        row = above[at]
        width = _width(row) if row.strip() else level
        if at < len(above) - 1 and width < level and _DEFINES.match(row):
            break
        if _begins(row):
            width = 0
            break
        at -= 1
    else:
        width = _width(above[at]) if above[at].strip() else 0
    while at > least and above[at - 1].lstrip().startswith("@"):
        at -= 1
    return at, width


def _leaves(row: str, width: int) -> bool:
    """Whether the line is the first one behind a function of that indentation."""
    if not row.strip() or row.lstrip().startswith("#"):
        return False
    return _width(row) <= width and not _GOES_ON.match(row.lstrip())


def _begins(row: str) -> bool:
    """Whether a statement of the outermost level begins with the line."""
    return bool(row) and not row[0].isspace() and not _GOES_ON.match(row)


def _width(row: str) -> int:
    return len(row) - len(row.lstrip())


@lru_cache(maxsize=256)
def _parses(source: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a candidate's invalid escapes are its own affair
        try:
            ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True
