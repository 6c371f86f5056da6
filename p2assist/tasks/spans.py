"""The spans of a function that an editor would ask for: a line, a statement, a block, a body."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from p2assist.experience import SpanKind
from p2assist.tasks.functions import Function, Lines

# A person stops to think after these: the rest of the line is what they wait for.
_CURSOR = re.compile(r"(?<=\()|(?<=[\w\])]\.)|(?<= = )|(?<=return )|(?<= in )|(?<=, )|(?<=if )")
MIN_LINE, MIN_REST = 8, 4  # code points; shorter ones are brackets and `else:`
MAX_LINES = {SpanKind.STATEMENT: 8, SpanKind.BLOCK: 10, SpanKind.BODY: 14}


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets in code points, and the 1-based lines whose coverage speaks for the span."""

    start: int
    end: int
    kind: SpanKind
    first_line: int
    last_line: int


def spans(function: Function, lines: Lines) -> list[Span]:
    """Every span of the function's body, docstring excluded; no span under two kinds.

    What is a line is no statement, and what is a statement is no block: the first name stays.
    """
    body = function.body
    if not body:
        return []
    statements = list(_statements(body))
    found = [span for stmt in statements for span in _lines_of(stmt, lines)]
    found += [span for stmt in statements for span in _whole(stmt, lines)]
    found += [span for stmt in statements for span in _blocks(stmt, lines)]
    found += _suite(body, SpanKind.BODY, lines)
    once: dict[tuple[int, int], Span] = {}
    for span in found:
        once.setdefault((span.start, span.end), span)
    return list(once.values())


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for stmt in body:
        if isinstance(stmt, ast.Expr) and isinstance(stmt.value, ast.Constant):
            continue  # a nested docstring or a bare `...`
        yield stmt
        for suite in _suites(stmt):
            yield from _statements(suite)


def _suites(stmt: ast.stmt) -> Iterator[list[ast.stmt]]:
    for part in ("body", "orelse", "finalbody"):
        suite = getattr(stmt, part, None)
        if suite:
            yield suite
    for inner in (*getattr(stmt, "handlers", []), *getattr(stmt, "cases", [])):
        yield inner.body


def _header_end(stmt: ast.stmt) -> int:
    """Last line of the statement without its suites."""
    assert stmt.end_lineno is not None
    suites = list(_suites(stmt))
    if not suites:
        return stmt.end_lineno
    return max(stmt.lineno, min(suite[0].lineno for suite in suites) - 1)


def _lines_of(stmt: ast.stmt, lines: Lines) -> Iterator[Span]:
    """Whole lines after the indentation, and rests of lines at a thinking place."""
    last = _header_end(stmt)
    for number in range(stmt.lineno, last + 1):
        raw = lines.texts[number - 1]
        code = raw.rstrip()
        indent = len(raw) - len(raw.lstrip())
        if len(code) - indent < MIN_LINE or code[indent] in "#\"'" or code.endswith("\\"):
            continue
        base = lines.starts[number - 1]
        end = base + len(code)
        yield Span(base + indent, end, SpanKind.LINE, stmt.lineno, last)
        for match in _CURSOR.finditer(code, indent + 1):
            if len(code) - match.end() >= MIN_REST:
                yield Span(base + match.end(), end, SpanKind.LINE, stmt.lineno, last)


def _whole(stmt: ast.stmt, lines: Lines) -> Iterator[Span]:
    """The statement, where it is more than a line."""
    assert stmt.end_lineno is not None
    size = stmt.end_lineno - stmt.lineno + 1
    if 1 < size <= MAX_LINES[SpanKind.STATEMENT] and not isinstance(stmt, ast.ClassDef):
        start, end = lines.span(stmt, stmt)
        yield Span(start, end, SpanKind.STATEMENT, stmt.lineno, stmt.end_lineno)


def _blocks(stmt: ast.stmt, lines: Lines) -> Iterator[Span]:
    for suite in _suites(stmt):
        yield from _suite(suite, SpanKind.BLOCK, lines)


def _suite(suite: list[ast.stmt], kind: SpanKind, lines: Lines) -> Iterator[Span]:
    first, last = suite[0], suite[-1]
    assert last.end_lineno is not None
    start, end = lines.span(first, last)
    alone = not lines.source[lines.source.rfind("\n", 0, start) + 1 : start].strip()
    if alone and last.end_lineno - first.lineno < MAX_LINES[kind] and end - start >= MIN_LINE:
        yield Span(start, end, kind, first.lineno, last.end_lineno)
