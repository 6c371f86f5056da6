"""Evaluation tasks: spans of the held-out packages' functions, drawn with a seed.

Three kinds, each in code lines of at least `min_characters` characters inside functions, which
leaves out docstrings, comments and test files:

lines    a whole line, the cursor behind its indentation
rests    the rest of a line from a random cursor behind its first character
blocks   the last 2 to 5 lines of an indented suite, the cursor behind the indentation
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from p2assist.experience import SpanKind, Task

from .sources import is_test

_SHORTEST_BLOCK, _LONGEST_BLOCK = 2, 5  # lines

Draw = Callable[[str, str, int, random.Random], Iterator[Task]]


def drawn(
    roots: Mapping[str, Path], draw: Draw, *, count: int, min_characters: int, seed: int
) -> dict[str, list[Task]]:
    """count tasks of one kind, as many of each package: the same for the same arguments."""
    random_ = random.Random(seed)  # noqa: S311 (no secret)
    chosen: dict[str, list[Task]] = {}
    for i, package in enumerate(sorted(roots)):
        tasks = [
            task
            for path, text in sources(roots[package])
            for task in draw(path, text, min_characters, random_)
        ]
        share = (count * (i + 1)) // len(roots) - (count * i) // len(roots)
        chosen[package] = random_.sample(tasks, min(share, len(tasks)))
    return chosen


def sources(root: Path) -> Iterator[tuple[str, str]]:
    """(posix path, text) of a package's modules; tests, documentation and set-up left out."""
    for file in sorted(root.rglob("*.py")):
        path = file.relative_to(root).as_posix()
        if not is_test(path) and not path.startswith(("docs/", "setup.py", ".")):
            yield path, file.read_text("utf8").replace("\r\n", "\n")


def lines(path: str, text: str, min_characters: int, random_: random.Random) -> Iterator[Task]:
    """Whole lines."""
    for start, end in _code(text, min_characters):
        yield Task(path, text, start, end)


def rests(path: str, text: str, min_characters: int, random_: random.Random) -> Iterator[Task]:
    """Rests of lines."""
    for start, end in _code(text, min_characters):
        yield Task(path, text, random_.randrange(start + 1, end), end)


def blocks(path: str, text: str, min_characters: int, random_: random.Random) -> Iterator[Task]:
    """Ends of suites."""
    code = dict(_code(text, min_characters))
    for node in ast.walk(ast.parse(text)):
        for suite in (getattr(node, "body", None), getattr(node, "orelse", None)):
            if not isinstance(suite, list) or not suite or isinstance(node, ast.Module):
                continue
            last = _end_of_line(text, suite[-1])
            for statement in reversed(suite):
                start = offset(text, statement.lineno, statement.col_offset)
                size = text.count("\n", start, last) + 1
                if size > _LONGEST_BLOCK:
                    break
                if size >= _SHORTEST_BLOCK and start in code:
                    yield Task(path, text, start, last, SpanKind.BLOCK)
                    break


def _code(text: str, min_characters: int) -> Iterator[tuple[int, int]]:
    """(start, end) of the code of each line inside functions, indentation left out."""
    starts = [0]
    rows = text.split("\n")
    for row in rows:
        starts.append(starts[-1] + len(row) + 1)
    for number in sorted(_code_lines(ast.parse(text))):
        row = rows[number - 1].rstrip()
        code = row.strip()
        if len(code) >= min_characters and not code.startswith("#"):
            start = starts[number - 1] + len(row) - len(row.lstrip())
            yield start, starts[number - 1] + len(row)


def _code_lines(tree: ast.Module) -> set[int]:
    """The numbers (from 1) of the lines inside functions' bodies, strings of many lines out."""
    inside: set[int] = set()
    literal: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside.update(range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            literal.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, ast.Constant | ast.JoinedStr):
            literal.update(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
    return inside - literal


def offset(text: str, line: int, column: int) -> int:
    """From ast's line (from 1) and column (in bytes) to the offset in text."""
    start = 0
    for _ in range(line - 1):
        start = text.index("\n", start) + 1
    row = text[start:].partition("\n")[0]
    return start + len(row.encode()[:column].decode())


def _end_of_line(text: str, node: ast.stmt) -> int:
    end = offset(text, node.end_lineno or node.lineno, node.end_col_offset or 0)
    newline = text.find("\n", end)
    line = text[end : newline if newline >= 0 else len(text)]
    return end + len(line.rstrip())
