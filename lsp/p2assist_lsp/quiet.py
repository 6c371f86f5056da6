"""When to stay silent."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from p2assist.experience import Task, digest
from p2assist_lsp import places
from p2assist_lsp.settings import Settings

_REMEMBERED = 500  # places
_AROUND = 200  # characters before a place that tell it from others
_BINS, _ENOUGH, _LEAST = 10, 20, 0.05


def reason(source: str, offset: int, settings: Settings, *, invoked: bool) -> str:
    """Why nothing is offered at the offset; '' where something may be. A person who asks is
    answered everywhere but within a word."""
    if places.word_follows(source, offset):
        return "within a word"
    if invoked:
        return ""
    if not settings.in_comments and places.in_comment(source, offset):
        return "in a comment"
    if not settings.in_strings and places.in_string(source, offset):
        return "in a string"
    return ""


class Unwanted:
    """Texts that are not offered again at a place: rejected there, or never wanted there.

    A place is the file with what stands before the cursor, up to where the text would begin: typing
    a part of a rejected text does not bring the rest of it back.
    """

    def __init__(self) -> None:
        self._places: OrderedDict[str, set[str]] = OrderedDict()

    def add(self, task: Task, text: str) -> None:
        place = _place(task.path, task.prefix)
        self._places.setdefault(place, set()).add(text.strip())
        self._places.move_to_end(place)
        while len(self._places) > _REMEMBERED:
            self._places.popitem(last=False)

    def at(self, task: Task) -> Callable[[str], bool]:
        """Whether a text is unwanted at the task's cursor, or is the rest of one that is."""
        prefix, found = task.prefix, []
        line = prefix.rfind("\n") + 1
        for typed in range(min(len(prefix) - line, 80) + 1) if self._places else ():
            at = len(prefix) - typed
            known = self._places.get(_place(task.path, prefix[:at]))
            if known:
                found.append((prefix[at:], known))
        return lambda text: any((begun + text).strip() in known for begun, known in found)


class Expectation:
    """How often completions of a certain possibility were taken: fitted on this machine."""

    def __init__(self) -> None:
        self._shown: NDArray[np.float64] = np.zeros(_BINS)
        self._taken: NDArray[np.float64] = np.zeros(_BINS)

    def learn(self, possibility: float, *, taken: bool) -> None:
        self._shown[_bin(possibility)] += 1
        self._taken[_bin(possibility)] += taken

    def low(self, possibility: float) -> bool:
        """Whether hardly any like it was taken. Nothing is known of what was shown rarely."""
        at = _bin(possibility)
        return bool(self._shown[at] >= _ENOUGH and self._taken[at] < _LEAST * self._shown[at])


def _place(path: str, prefix: str) -> str:
    return digest(f"{path}\0{prefix[-_AROUND:]}")


def _bin(possibility: float) -> int:
    return min(int(possibility * _BINS), _BINS - 1)
