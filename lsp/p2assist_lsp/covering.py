"""The tests that cover a place, found once for a line and not at every key typed into it."""

from __future__ import annotations

import re
from collections.abc import Callable

from p2assist.experience import CoveringTest, Task

Tests = tuple[CoveringTest, ...]
_NAMES = re.compile(r"[ \t]*(?:async|def|class|@)")  # what covers these hangs on what is typed


class Covering:
    """find: the tests of a task's place, by parsing the file: 10 ms for a thousand lines.

    What covers a line hangs on the function that it is in, which its indentation tells, and on
    which line it is, not on how much of it is written by now. Of each file the line that was asked
    of last is remembered.
    """

    def __init__(self, find: Callable[[Task], Tests]) -> None:
        self._find = find
        self._last: dict[str, tuple[object, Tests]] = {}

    def of(self, task: Task, state: object) -> Tests:
        """state: of what `find` depends on besides; another one, and it is asked again."""
        above, _, before = task.prefix.rpartition("\n")
        after, _, below = task.suffix.partition("\n")
        if _NAMES.match(before + after):
            return self._find(task)
        own = before + after
        place = (state, above, below, own[: len(own) - len(own.lstrip())])
        known = self._last.get(task.path)
        if known is None or known[0] != place:
            known = self._last[task.path] = (place, self._find(task))
        return known[1]
