"""Which part of another file is most like the code at the cursor."""

from __future__ import annotations

import re
from functools import lru_cache

_WORD = re.compile(r"[A-Za-z]{2,}")
_LINES = 20  # of an excerpt
_STEP = 10  # lines from one excerpt to the next


def excerpt(text: str, near: str) -> str:
    """The lines of text, one of its windows, that share most words with `near`.

    By Jaccard's index, words of a name apart; the first of equals. '' where none is shared.
    """
    wanted = words(near)
    best, score = "", 0.0
    for window in _windows(text):
        found = words(window)
        union = len(wanted | found)
        shared = len(wanted & found) / union if union else 0.0
        if shared > score:
            best, score = window, shared
    return best


@lru_cache(maxsize=64)
def _windows(text: str) -> tuple[str, ...]:
    lines = text.split("\n")
    last = max(1, len(lines) - _LINES + _STEP)
    return tuple("\n".join(lines[at : at + _LINES]) for at in range(0, last, _STEP))


@lru_cache(maxsize=4096)
def words(text: str) -> frozenset[str]:
    """The words of a text, those of a name apart, whatever their case."""
    return frozenset(word.casefold() for word in _WORD.findall(text))
