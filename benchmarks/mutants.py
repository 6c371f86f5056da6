"""Mutants: one small change in a covered function, the same ones every time."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from p2assist.config import Config
from p2assist.experience import SpanKind, Task
from p2assist.harness.impact import ImpactMap
from p2assist.tasks import mining
from p2assist.tasks.functions import Function, Lines, functions

Edit = tuple[str, int, int, str]  # what was done, span in code points, text to stand there

_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Lt: ">=",
    ast.Gt: "<=",
    ast.LtE: ">",
    ast.GtE: "<",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
_COMPUTED: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "//",
    ast.FloorDiv: "*",
    ast.Mod: "*",
}
_SIMPLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.Return, ast.Raise)


def mutants(
    config: Config, impact: ImpactMap, *, count: int, most_tests: int, seed: int = 7
) -> list[tuple[Task, str, str]]:
    """Task, text and a name of each mutant; at most one a line, spread by chance over the code.

    Only those that compile, differ from the original as syntax trees, and are covered by
    1..most_tests tests.
    """
    found: list[tuple[Task, str, str]] = []
    used: set[tuple[str, int]] = set()
    for path, source, function, (what, start, end, text) in _in_turn(config, impact, seed):
        if len(found) == count:
            break
        first = source.count("\n", 0, start) + 1
        last = source.count("\n", 0, end) + 1
        tests = impact.covering(path, first, last)
        if (path, first) in used or not 0 < len(tests) <= most_tests:
            continue
        task = Task(path, source, start, end, SpanKind.LINE, function.name, tests=tests)
        if _changes(task, text):
            used.add((path, first))
            found.append((task, text, what))
    return found


def _changes(task: Task, text: str) -> bool:
    try:
        return ast.dump(ast.parse(task.apply(text))) != ast.dump(ast.parse(task.source))
    except (SyntaxError, ValueError):
        return False


def _in_turn(
    config: Config, impact: ImpactMap, seed: int
) -> Iterator[tuple[str, str, Function, Edit]]:
    """The edits, shuffled, each kind in its turn: statements would outnumber all others."""
    pools: dict[str, list[tuple[str, str, Function, Edit]]] = {}
    for one in _pool(config, impact):
        pools.setdefault(one[3][0], []).append(one)
    rng = random.Random(seed)
    for name in sorted(pools):
        rng.shuffle(pools[name])
    for round_ in zip_longest(*(pools[name] for name in sorted(pools))):
        yield from (one for one in round_ if one is not None)


def _pool(config: Config, impact: ImpactMap) -> Iterator[tuple[str, str, Function, Edit]]:
    for path, source in mining.sources(config, impact):
        lines = Lines(source)
        for function in functions(source, path):
            for edit in _edits(function.body, lines):
                yield path, source, function, edit


def _edits(body: Sequence[ast.stmt], lines: Lines) -> Iterator[Edit]:
    for stmt in body:
        for node in ast.walk(stmt):
            if isinstance(node, _SIMPLE):
                yield from _of_statement(node, lines)
            elif isinstance(node, ast.expr):
                yield from _of_expression(node, lines)


def _of_statement(stmt: ast.stmt, lines: Lines) -> Iterator[Edit]:
    if isinstance(stmt, ast.Expr) and isinstance(stmt.value, ast.Constant):
        return  # a docstring
    start, end = lines.span(stmt, stmt)
    yield "statement gone", start, end, "pass"
    if isinstance(stmt, ast.Return) and stmt.value is not None:
        yield "returns None", start, end, "return None"


def _of_expression(node: ast.expr, lines: Lines) -> Iterator[Edit]:
    start, end = _place(node, lines)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARED:
        between = _place(node.left, lines)[1], _place(node.comparators[0], lines)[0]
        if lines.source[between[0] : between[1]].strip() in _SPELT[type(node.ops[0])]:
            yield "comparison", *between, f" {_COMPARED[type(node.ops[0])]} "
    elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED:
        between = _place(node.left, lines)[1], _place(node.right, lines)[0]
        if lines.source[between[0] : between[1]].strip() in "+-*//%":
            yield "operator", *between, f" {_COMPUTED[type(node.op)]} "
    elif isinstance(node, ast.BoolOp) and len(node.values) == 2:
        between = _place(node.values[0], lines)[1], _place(node.values[1], lines)[0]
        if lines.source[between[0] : between[1]].strip() in ("and", "or"):
            yield "and/or", *between, " or " if isinstance(node.op, ast.And) else " and "
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield "constant", start, end, str(node.value + 1)
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield "constant", start, end, str(not node.value)


_SPELT: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<",),
    ast.Gt: (">",),
    ast.LtE: ("<=",),
    ast.GtE: (">=",),
    ast.Eq: ("==",),
    ast.NotEq: ("!=",),
    ast.In: ("in",),
    ast.NotIn: ("not in",),
    ast.Is: ("is",),
    ast.IsNot: ("is not",),
}


def _place(node: ast.expr, lines: Lines) -> tuple[int, int]:
    assert node.end_lineno is not None and node.end_col_offset is not None
    start = lines.offset(node.lineno, node.col_offset)
    return start, lines.offset(node.end_lineno, node.end_col_offset)
