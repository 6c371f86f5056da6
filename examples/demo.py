"""The whole loop on a real package: what `make demo` runs.

Fetches toolz's source distribution (pinned by version and hash), gives it an environment of its
own with pytest, and then does what a team does in a week: map the tests, practise on covered
code, refresh the adapter by P2Value replay, evaluate before and after on functions held out from
training, decide at the gate. Ends with a table; the same figures are in .p2assist/demo.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from itertools import takewhile
from pathlib import Path

from rich.console import Console

from benchmarks.packages import TOOLZ, interpreter, unpacked
from p2assist.config import Config, load
from p2assist.errors import P2AssistError
from p2assist.practice.driver import Tally, practise
from p2assist.practice.refreshing import refresh_workspace
from p2assist.practice.setup import prepare
from p2assist.practice.workspace import Workspace
from p2assist.report import progress, records, tables

RESULT = Path(".p2assist/demo.json")
K = 8
PRACTICE, EVALUATION = 200.0, 120.0
"""Seconds that practice and one evaluation may take: a slow machine does fewer tasks."""
LEAST = 60  # tasks to evaluate on: functions take turns, so there is one of each

err = Console(stderr=True)


def settings(root: Path, python: Path) -> Config:
    """The demo's bounds: small enough for ten minutes on two cores."""
    config = load(root, python=str(python))
    learning = replace(config.team.learning, held_out=0.4)
    generation = replace(config.team.generation, max_prompt_tokens=640)
    team = replace(config.team, learning=learning, generation=generation)
    return replace(config, team=team)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=240, help="most tasks to practise")
    parser.add_argument("--held-out", type=int, default=150, help="most tasks to evaluate on")
    given = parser.parse_args()
    start = time.monotonic()
    root, python = unpacked(TOOLZ), interpreter()
    bars = lambda: progress.shares(err)  # noqa: E731
    with Workspace(settings(root, python), bars=bars) as space:
        err.print(tables.pairs(prepare(space).lines()))
        begun = time.monotonic()
        tally = run_practice(space, given.tasks)
        timely = int(EVALUATION * tally.tasks / (time.monotonic() - begun))
        held = space.held_out_tasks(limit=min(given.held_out, max(LEAST, timely)))
        with progress.counts(err) as told:
            result = refresh_workspace(space, held, progress=told)
    seconds = time.monotonic() - start
    found = {**asdict(tally), **records.refreshed(result), "seconds": round(seconds, 1)}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    out = Console()
    out.print(tables.pairs({name: found[name] for name in asdict(tally)}))
    out.print(tables.refreshed(result))
    out.print(f"{seconds:.0f} s; the figures are in {RESULT}")


def run_practice(space: Workspace, count: int) -> Tally:
    generator = space.generator()
    todo = space.fresh_tasks(generator, limit=count)
    with progress.counts(err) as told:

        def keep(t: Tally) -> None:
            told("practice", t.tasks + t.unusable, len(todo), f"{t.passing_all} pass all")

        end = time.monotonic() + PRACTICE
        timely = takewhile(lambda task: time.monotonic() < end, todo)
        return practise(generator, space.tester, space.store, timely, beams=K, progress=keep)


if __name__ == "__main__":
    try:
        main()
    except P2AssistError as error:
        err.print(f"[bold red]error:[/] {error}")
        sys.exit(1)
