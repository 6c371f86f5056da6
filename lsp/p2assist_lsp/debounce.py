"""How long to wait for the next key before the model is asked."""

from __future__ import annotations

from collections import deque

from p2assist_lsp.settings import Debounce

_LAST = 16  # keys and answers that count
_LONG = 2.0  # seconds between keys: that was no typing
_SHARE = 0.5


class Pace:
    """Of one document. Who types fast is not going to look; an answer that comes quickly costs
    little when it is thrown away. So: half of the time between keys, but no longer than an answer
    takes, within the settings."""

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=_LAST)
        self._answers: deque[float] = deque(maxlen=_LAST)
        self._last = float("-inf")

    def key(self, now: float) -> None:
        gap = now - self._last
        self._last = now
        if gap < _LONG:
            self._gaps.append(gap)

    def answered(self, seconds: float) -> None:
        self._answers.append(seconds)

    def seconds(self, limits: Debounce) -> float:
        """To wait from a key on."""
        gap = _median(self._gaps) * _SHARE
        wanted = min(gap, _median(self._answers)) if self._answers else gap
        return min(max(wanted, limits.least / 1000), max(limits.most, limits.least) / 1000)


def _median(values: deque[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
