"""Records the tour of examples/quickstart: Neovim in a real terminal, the real server and model.

usage: make tour    (after make e2e-setup) writes examples/editors/{tour,nvim}.svg

The text is whatever the model says on that day; the script waits for what a person would wait for.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from nvim_driver import ROOT, screen_settings
from quickstart import quickstart
from terminal import Terminal, keep, picture

OUT = ROOT / "examples/editors"
COLUMNS, ROWS = 100, 30


def record(folder: Path) -> list[str]:
    with quickstart(folder) as project:
        arguments, places = screen_settings(folder / "home", project.root, project.command)
        terminal = Terminal(
            [*arguments, "basket/items.py"],
            places | project.environment,
            folder=project.root,
            columns=COLUMNS,
            rows=ROWS,
        )
        try:
            return list(_tour(terminal))
        finally:
            terminal.close()


def _tour(terminal: Terminal) -> Iterator[str]:
    terminal.until("What can be bought")
    terminal.until("p2 · pocket")  # the model is there, the tests are mapped
    yield terminal.capture()
    # Line 33, `del self.counts[item]` of Basket.remove, is written anew.
    terminal.type("15Gzt33GS", pace=0.1)
    yield terminal.capture()
    terminal.until("fails ")
    yield terminal.capture()
    time.sleep(5)  # a person reads; its siblings are tested meanwhile
    terminal.press("M-]")
    terminal.until("covering test")
    yield terminal.capture()
    terminal.press("M-?")
    terminal.until("Why this completion?")
    yield terminal.capture()
    terminal.press("M-l")
    terminal.press("Escape")
    terminal.type(":w")
    terminal.press("Enter")
    terminal.until("written")
    yield terminal.capture()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        frames = record(Path(folder))
    title = "p2assist in Neovim: a completion fails its tests, the next one passes"
    keep(OUT / "tour.svg", picture(frames, columns=COLUMNS, rows=ROWS, title=title))
    still = "Ghost text in Neovim, its covering tests passed"
    keep(OUT / "nvim.svg", picture(frames[3:4], columns=COLUMNS, rows=ROWS, title=still))
    for name in ("tour.svg", "nvim.svg"):
        sys.stderr.write(f"{OUT / name}: {(OUT / name).stat().st_size / 1024:.0f} KiB\n")


if __name__ == "__main__":
    main()
