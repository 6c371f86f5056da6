"""What prompts and post-processing are worth: `python -m benchmarks.prompting [--tasks 150]`.

On packages that the embedded model was not trained on (toolz, more-itertools, boltons, from their
source distributions), with 8 beams. The last line is one JSON object:

calls, raw, postprocessed    the arguments of so many calls, in brackets that the editor has closed
words, healed, unhealed      the rest of so many lines from a cursor within a name, with and
                             without token healing
context_ms                   to find repository context, median of the same places

`exact_1` and `exact_8` are the shares of spans that the first, or any, candidate spells as they
stood; `parses` the share of files that parse with the first one. `python -m benchmarks.pocket`
tells what repository context is worth.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.packages import BOLTONS, MORE_ITERTOOLS, TOOLZ, unpacked
from p2assist.experience import Candidate, Task
from p2assist.generation.context import ContextSource
from p2assist.generation.local import LocalGenerator
from p2assist.generation.postprocess import postprocess
from p2assist.pocket.build import tasks
from p2assist.report import progress

err = Console(stderr=True)
LONGEST = 40  # characters of a call's arguments
_NAME = re.compile(r"[a-z_]{5,}")
Complete = Callable[[Task], Sequence[Candidate]]


def calls(path: str, text: str, shortest: int, random_: random.Random) -> Iterator[Task]:
    """The arguments of calls on one line, without the brackets around them."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and node.args and node.lineno == node.end_lineno:
            start = tasks.offset(text, node.func.end_lineno or 0, node.func.end_col_offset or 0) + 1
            end = tasks.offset(text, node.lineno, node.end_col_offset or 0) - 1
            if text[start - 1] == "(" and 0 < end - start <= LONGEST:
                yield Task(path, text, start, end)


def words(path: str, text: str, shortest: int, random_: random.Random) -> Iterator[Task]:
    """The rests of lines from a place within a name, two characters or more behind its first."""
    for task in tasks.lines(path, text, shortest, random_):
        names = list(_NAME.finditer(task.reference))
        if names:
            name = random_.choice(names)
            yield replace(
                task, start=task.start + random_.randint(name.start() + 2, name.end() - 1)
            )


def figures(name: str, todo: Sequence[Task], complete: Complete) -> dict[str, float]:
    first = any_ = parses = 0
    with progress.counts(err) as told:
        for done, task in enumerate(todo):
            texts = [candidate.text for candidate in complete(task)]
            first += texts[:1] == [task.reference]
            any_ += task.reference in texts
            told(name, done + 1, len(todo), f"{any_} met")
            parses += bool(texts) and _parses(task.apply(texts[0]))
    count = len(todo)
    shares = {"exact_1": first, "exact_8": any_, "parses": parses}
    return {key: round(value / count, 3) for key, value in shares.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=150, help="calls, and as many words")
    count = parser.parse_args().tasks
    roots = {package.name: unpacked(package) for package in (TOOLZ, MORE_ITERTOOLS, BOLTONS)}
    within, begun = _drawn(roots, calls, count), _drawn(roots, words, count)
    generator = LocalGenerator.load("pocket")
    unhealed = LocalGenerator.load("pocket")
    unhealed.encoder = replace(unhealed.encoder, heals=False)
    result = {
        "calls": len(within),
        "raw": figures("calls", within, generator.generate),
        "postprocessed": figures(
            "calls, tidied", within, lambda task: postprocess(generator.generate(task), task)
        ),
        "words": len(begun),
        "healed": figures("words, healed", begun, generator.generate),
        "unhealed": figures("words, not healed", begun, unhealed.generate),
        "context_ms": _context_ms(roots, count),
    }
    print(json.dumps(result))


def _drawn(roots: Mapping[str, Path], draw: tasks.Draw, count: int) -> list[Task]:
    found = tasks.drawn(roots, draw, count=count, min_characters=8, seed=0)
    return [task for some in found.values() for task in some]


def _context_ms(roots: Mapping[str, Path], count: int) -> float:
    times = []
    for name, found in tasks.drawn(
        roots, tasks.lines, count=count, min_characters=8, seed=0
    ).items():
        source = ContextSource(roots[name])
        for task in found:
            begin = time.perf_counter()
            source.of(task)
            times.append(1000 * (time.perf_counter() - begin))
    return round(statistics.median(times), 1)


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


if __name__ == "__main__":
    main()
