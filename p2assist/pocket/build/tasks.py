"""Evaluation tasks: whole lines of the held-out packages' functions."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .corpus import Document
from .sources import is_test


@dataclass(frozen=True)
class Task:
    """One line to complete, cursor after its indentation.

    prefix + middle + suffix is the file; suffix begins with the line's newline.
    """

    package: str
    path: str
    prefix: str
    middle: str
    suffix: str


def line_tasks(
    documents: Sequence[Document], *, count: int, min_characters: int, seed: int
) -> list[Task]:
    """count tasks, drawn evenly from the packages: the same for the same arguments.

    Lines of docstrings, comments and test files are left out; so are lines of fewer than
    min_characters characters without their indentation.
    """
    packages = sorted({document.source for document in documents})
    random_ = random.Random(seed)  # noqa: S311 (no secret)
    chosen: list[Task] = []
    for i, package in enumerate(packages):
        tasks = [
            task
            for document in documents
            if document.source == package and not is_test(document.path)
            for task in _lines(document, min_characters)
        ]
        share = (count * (i + 1)) // len(packages) - (count * i) // len(packages)
        chosen += random_.sample(tasks, min(share, len(tasks)))
    return chosen


def _lines(document: Document, min_characters: int) -> Iterator[Task]:
    text = document.text.replace("\r\n", "\n")
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    for number in sorted(_code_lines(ast.parse(text))):
        line = lines[number - 1]
        code = line.strip()
        if len(code) < min_characters or code.startswith("#"):
            continue
        start = starts[number - 1] + len(line) - len(line.lstrip())
        end = starts[number - 1] + len(line)
        yield Task(document.source, document.path, text[:start], text[start:end], text[end:])


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
