"""Progress bars on stderr; silent where stderr is no terminal and nobody asked for lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

Shares = Callable[[str, float], None]  # what is being done, and the share of it, 0..1
Counts = Callable[[str, int, int, str], None]  # what, done, of how many, a note


@contextmanager
def shares(console: Console) -> Iterator[Shares]:
    """One bar; its name is what is being done at the moment."""
    with _bars(console, TextColumn("{task.percentage:>3.0f}%")) as bars:
        bar = bars.add_task("", total=1.0, note="")

        def told(what: str, share: float) -> None:
            bars.update(bar, description=what, completed=share)

        yield told


@contextmanager
def counts(console: Console) -> Iterator[Counts]:
    """A bar for each thing that is being done, from counts."""
    with _bars(console, MofNCompleteColumn()) as bars:
        known: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int, note: str = "") -> None:
            if what not in known:
                known[what] = bars.add_task(what, total=total, note="")
            bars.update(known[what], completed=done, total=total, note=note)

        yield told


def per_second(count: int, since: float) -> str:
    """The rate of a count, for a note. since: time.monotonic() when it was 0."""
    seconds = time.monotonic() - since
    return f"{count / seconds:.1f}/s" if seconds > 0 else "-/s"


def _bars(console: Console, amount: TextColumn | MofNCompleteColumn) -> Progress:
    return Progress(
        TextColumn("{task.description:<22}", markup=False),
        BarColumn(bar_width=30),
        amount,
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=console,
    )
