"""How good a completion model is: `python -m benchmarks.pocket [--model pocket]`.

On five packages that the embedded model's corpus does not hold (p2assist.pocket.build says how
that is made sure of), from their source distributions. The spans are fixed by a seed and drawn in
equal numbers from the packages, out of code lines of at least 8 characters within functions, no
docstrings, comments or tests:

line_em1, line_em8                  whole lines: the first, or any, of 8 candidates is what stood
line_em1_context, line_em8_context  the same with repository context in the prompt
rest_em1_context, rest_em8_context  the rest of a line at a random cursor, with context
block_em1, block_em8                the last 2 to 5 lines of a suite, without context
bits_per_byte                       left to right, without context
valid_share                         whole lines with whose first candidate the file parses
stop_share                          lines that stood there behind which the likeliest token stops
params, bytes                       of the network; of the model's files
warm_ms                             8 beams x 20 tokens at the next keystroke, median
pass_at_1, pass_at_8                of practice tasks of toolz, more-itertools and boltons whose
                                    own tests are run: the mean of the three, a function counting
                                    once however many tasks it has

The last line is one JSON object of these keys and `by_package`. Whatever --model names is asked in
its own family's way: a folder, or a name on the Hugging Face hub.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean

from rich.console import Console

from benchmarks.packages import (
    BOLTONS,
    HUMANIZE,
    MORE_ITERTOOLS,
    TOMLKIT,
    TOOLZ,
    Package,
    interpreter,
    unpacked,
)
from p2assist.config import load
from p2assist.generation.location import locate
from p2assist.learning.evaluate import evaluate as evaluate_by_tests
from p2assist.pocket.build.evaluate import evaluate
from p2assist.pocket.build.recipe import Recipe
from p2assist.practice.workspace import Workspace
from p2assist.report import progress

err = Console(stderr=True)
PACKAGES = (TOOLZ, MORE_ITERTOOLS, BOLTONS, TOMLKIT, HUMANIZE)
TESTED = (TOOLZ, MORE_ITERTOOLS, BOLTONS)


def passes(package: Package, model: str, tasks: int) -> dict[str, float]:
    """pass@1 and pass@8 on some of the package's practice tasks."""
    config = load(unpacked(package), model=model, python=str(interpreter()))
    with Workspace(config, bars=lambda: progress.shares(err)) as space:
        generator = space.generator("")
        todo = space.held_out_tasks(limit=tasks)
        with progress.counts(err) as told:
            found = evaluate_by_tests(
                generator,
                space.tester,
                todo,
                progress=lambda done, total: told(package.name, done, total, ""),
            )
    return {"pass_at_1": found.pass_at(1), "pass_at_8": found.pass_at(8), "tested": len(todo)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="pocket", help="'pocket', a folder or a hub's name")
    parser.add_argument("--tasks", type=int, default=300, help="spans of each kind")
    parser.add_argument("--tested", type=int, default=60, help="practice tasks of each package")
    given = parser.parse_args()
    recipe = replace(
        Recipe.from_file().evaluate, tasks=given.tasks, blocks=max(given.tasks // 3, len(PACKAGES))
    )
    roots = {package.name: unpacked(package) for package in PACKAGES}
    place = Path(locate(given.model))
    report = evaluate(recipe, roots, given.model, place if place.is_dir() else None)
    figures = asdict(report)
    if given.tested:
        found = {p.name: passes(p, given.model, given.tested) for p in TESTED}
        for key in ("pass_at_1", "pass_at_8"):
            figures[key] = fmean(one[key] for one in found.values())
        for name, one in found.items():
            figures["by_package"][name] |= one
    print(json.dumps(_rounded(figures)))


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
