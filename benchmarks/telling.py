"""How far a benchmark is: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from p2assist.report import progress

_BETWEEN = 20.0  # seconds between two lines of one thing
Told = Callable[[str, int, int, str], None]  # what, done, of how many, a note


@contextmanager
def telling(console: Console) -> Iterator[Told]:
    if console.is_terminal:
        with progress.counts(console) as bars:
            yield bars
        return
    said: dict[str, float] = {}

    def told(what: str, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if done >= total or now - said.get(what, float("-inf")) >= _BETWEEN:
            said[what] = now
            line = f"{time.strftime('%H:%M:%S')} {what} {done}/{total} {note}".rstrip()
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    yield told
