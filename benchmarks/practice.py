"""Practice on real packages: `python -m benchmarks.practice [--tasks 20]`.

Unpacks toolz, more-itertools and boltons from their source distributions, maps their tests and
practises some tasks of each with the embedded model. The last line is one JSON object: for each
package the counts of the practice run, `tests` that count, `map_s` and `practice_s` in seconds,
and `candidates_per_second`.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict

from rich.console import Console

from benchmarks.packages import BOLTONS, MORE_ITERTOOLS, TOOLZ, Package, interpreter, unpacked
from p2assist.config import load
from p2assist.practice.driver import Tally, practise
from p2assist.practice.workspace import Workspace
from p2assist.report import progress

err = Console(stderr=True)


def run(package: Package, tasks: int) -> dict[str, object]:
    """The figures of one package."""
    config = load(unpacked(package), python=str(interpreter()))
    with Workspace(config, bars=lambda: progress.shares(err)) as space:
        start = time.monotonic()
        tests = len(space.impact.passing)
        mapped = time.monotonic()
        generator = space.generator("")
        todo = space.fresh_tasks(generator, limit=tasks)
        begin = time.monotonic()
        with progress.counts(err) as told:

            def keep(t: Tally) -> None:
                told(package.name, t.tasks + t.unusable, len(todo), f"{t.passing_all} pass all")

            tally = practise(generator, space.tester, space.store, todo, progress=keep)
    seconds = time.monotonic() - begin
    return {
        **asdict(tally),
        "tests": tests,
        "map_s": round(mapped - start, 1),
        "practice_s": round(seconds, 1),
        "candidates_per_second": round(tally.candidates / seconds, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=20, help="tasks of each package")
    given = parser.parse_args()
    found = {p.name: run(p, given.tasks) for p in (TOOLZ, MORE_ITERTOOLS, BOLTONS)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
