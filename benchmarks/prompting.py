"""What context and post-processing do: `python -m benchmarks.prompting [--tasks 150]`.

Whole lines of toolz, more-itertools and boltons, which the embedded model has not seen, completed
with and without repository context (two other files of the package are open); then the arguments of
calls, with the cursor in brackets that an editor has closed, before and after post-processing. The
last line is one JSON object: `exact_1` and `exact_8` are the shares of spans that the first, or
any, candidate spells as they stood; `parses` the share of files that parse with the first one.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.packages import BOLTONS, MORE_ITERTOOLS, TOOLZ, unpacked
from p2assist.config import GenerationConfig
from p2assist.experience import Candidate, Task
from p2assist.generation.context import ContextSource
from p2assist.generation.local import LocalGenerator
from p2assist.generation.postprocess import postprocess
from p2assist.generation.request import Context, Document
from p2assist.report import progress

err = Console(stderr=True)
SHARE = 0.25
SHORTEST, LONGEST = 8, 40  # characters of a line, of a call's arguments
Complete = Callable[[Task, Context], Sequence[Candidate]]


@dataclass(frozen=True, slots=True)
class Case:
    task: Task
    context: Context
    seconds: float  # that the context took


def files(root: Path) -> Iterator[tuple[str, str]]:
    """(posix path, text) of the package's sources, tests and documentation left out."""
    for file in sorted(root.rglob("*.py")):
        path = file.relative_to(root).as_posix()
        if not any(word in path for word in ("test", "docs", "setup.py")):
            yield path, file.read_text("utf8").replace("\r\n", "\n")


def lines(path: str, text: str) -> Iterator[Task]:
    """Whole lines of statements within functions, docstrings left out."""
    place = _places(text)
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in function.body:
            plain = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if not plain and node.lineno == node.end_lineno:
                start = place(node.lineno, node.col_offset)
                end = text.find("\n", start)
                if end - start >= SHORTEST:
                    yield Task(path, text, start, end)


def calls(path: str, text: str) -> Iterator[Task]:
    """The arguments of calls on one line, without the brackets around them."""
    place = _places(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and node.args and node.lineno == node.end_lineno:
            start = place(node.func.end_lineno or 0, node.func.end_col_offset or 0) + 1
            end = place(node.lineno, node.end_col_offset or 0) - 1
            if text[start - 1] == "(" and 0 < end - start <= LONGEST:
                yield Task(path, text, start, end)


def cases(root: Path, tasks: Sequence[Task], seed: random.Random) -> Iterator[Case]:
    source = ContextSource(root)
    paths = [path for path, _ in files(root)]
    for task in tasks:
        others = [path for path in paths if path != task.path]
        opened = [Document(path) for path in seed.sample(others, min(2, len(others)))]
        begin = time.perf_counter()
        context = source.of(task, opened=opened)
        yield Case(task, context, time.perf_counter() - begin)


def figures(name: str, todo: Sequence[Case], complete: Complete) -> dict[str, float]:
    first = any_ = parses = 0
    with progress.counts(err) as told:
        for done, case in enumerate(todo):
            texts = [candidate.text for candidate in complete(case.task, case.context)]
            first += texts[:1] == [case.task.reference]
            any_ += case.task.reference in texts
            told(name, done + 1, len(todo), f"{any_} met")
            parses += bool(texts) and _parses(case.task.apply(texts[0]))
    count = len(todo)
    shares = {"exact_1": first, "exact_8": any_, "parses": parses}
    return {key: round(value / count, 3) for key, value in shares.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=150, help="lines, and as many calls")
    count = parser.parse_args().tasks
    seed = random.Random(0)
    roots = [unpacked(package) for package in (TOOLZ, MORE_ITERTOOLS, BOLTONS)]
    whole: list[Case] = []
    within: list[Case] = []
    for number, root in enumerate(roots):
        share = count * (number + 1) // len(roots) - count * number // len(roots)
        for found, kind in ((whole, lines), (within, calls)):
            tasks = [task for path, text in files(root) for task in kind(path, text)]
            found += cases(root, seed.sample(tasks, min(share, len(tasks))), seed)
    plain = LocalGenerator.load("pocket")
    shown = LocalGenerator.load("pocket", config=GenerationConfig(context_share=SHARE))
    result = {
        "tasks": len(whole),
        "without_context": figures("no context", whole, lambda t, c: plain.generate(t)),
        "with_context": figures("context", whole, lambda t, c: shown.generate(t, context=c)),
        "context_ms": round(1000 * statistics.median(case.seconds for case in whole), 1),
        "calls": len(within),
        "raw": figures("calls", within, lambda t, c: plain.generate(t)),
        "postprocessed": figures(
            "calls, tidied", within, lambda t, c: postprocess(plain.generate(t), t)
        ),
    }
    print(json.dumps(result))


def _places(text: str) -> Callable[[int, int], int]:
    """From ast's line (from 1) and column (in bytes) to the offset in text."""
    rows = text.split("\n")
    starts = [0]
    for row in rows:
        starts.append(starts[-1] + len(row) + 1)

    def place(line: int, column: int) -> int:
        return starts[line - 1] + len(rows[line - 1].encode()[:column].decode())

    return place


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


if __name__ == "__main__":
    main()
