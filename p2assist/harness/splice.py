"""A function of one text put into another text of the same file."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from p2assist.harness import sources
from p2assist.harness.outline import Definition, Outline, outline

_CONTINUES = re.compile(r"(else|elif|except|finally)\b")
_STARTS = re.compile(r"[^\s#)\]}]")


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A statement at the left margin. first, last: its rows, 0-based. bound, used: names."""

    first: int
    last: int
    text: str
    bound: frozenset[str]
    used: frozenset[str]


def splice(green: str, text: str, name: str) -> str | None:
    """green with the function of that name as it stands in text, and with the imports, functions
    and constants that it uses and green has not. None where the function does not parse, or
    there is no place for it."""
    function = outline(text).functions.get(name)
    if function is None:
        return None
    rows = text.split("\n")[function.first - 1 : function.last]
    used = _used("\n".join(rows))
    if used is None:
        return None
    there, known = green.split("\n"), outline(green)
    replaced = known.functions.get(name)
    place = _span(replaced) if replaced else _place(known, name, len(there))
    if place is None:
        return None
    if replaced is None:
        rows = ["", *rows, ""]
    chunks = list(_chunks(green))
    carried = _carried(chunks, list(_chunks(text)), used, name.partition(".")[0])
    before = _top(chunks, place[0])
    made = [*there[:before], *carried, *there[before : place[0]], *rows, *there[place[1] :]]
    result = "\n".join(made)
    return None if _tree(result) is None else result


def differing(green: str, text: str, name: str) -> list[str]:
    """The functions, besides that of the name, whose bodies or headers are not the same in both;
    'what runs at import' among them."""
    one, other = outline(green), outline(text)
    names = [
        n
        for n in {**one.functions, **other.functions}
        if n != name and not _alike(one.functions.get(n), other.functions.get(n))
    ]

    def rest(found: Outline) -> list[str]:
        return [entry for entry in found.sequence if " " not in entry]

    return names if rest(one) == rest(other) else [*names, "what runs at import"]


def _alike(one: Definition | None, other: Definition | None) -> bool:
    if one is None or other is None:
        return False
    return (one.header, one.body) == (other.header, other.body)


def _tree(text: str) -> ast.Module | None:
    """None where it does not parse."""
    try:
        return sources.parse(text)
    except (SyntaxError, RecursionError, MemoryError):
        return None


def _span(definition: Definition) -> tuple[int, int]:
    return definition.first - 1, definition.last


def _place(known: Outline, name: str, rows: int) -> tuple[int, int] | None:
    """Where a new function goes: after the last method of its class, or at the end."""
    scope = name.rpartition(".")[0]
    if not scope:
        return rows, rows
    siblings = [f.last for n, f in known.functions.items() if n.rpartition(".")[0] == scope]
    return (max(siblings), max(siblings)) if siblings else None


def _top(chunks: list[_Chunk], row: int) -> int:
    """The first row of the chunk that the row is in; the row itself behind them all."""
    return next((c.first for c in chunks if c.first <= row <= c.last), row)


def _carried(green: list[_Chunk], text: list[_Chunk], used: frozenset[str], own: str) -> list[str]:
    known = frozenset[str]().union(*(chunk.bound for chunk in green)) | {own}
    new = [chunk for chunk in text if chunk.bound - known]
    taken: list[_Chunk] = []
    while more := [c for c in new if c not in taken and (c.bound - known) & used]:
        taken += more
        used = used.union(*(chunk.used for chunk in more))
    rows: list[str] = []
    for chunk in sorted(taken, key=lambda c: c.first):
        rows += [*chunk.text.split("\n"), ""]
    return rows


def _chunks(text: str) -> Iterator[_Chunk]:
    """The statements at the left margin that parse by themselves."""
    rows = text.split("\n")
    starts = [n for n, row in enumerate(rows) if _STARTS.match(row) and not _CONTINUES.match(row)]
    starts = [n for n in starts if n == 0 or not rows[n - 1].startswith("@")]
    for first, after in zip(starts, [*starts[1:], len(rows)], strict=True):
        last = after - 1
        while last > first and not rows[last].strip():
            last -= 1
        part = "\n".join(rows[first : last + 1])
        found = _names_of(part)
        if found is not None:
            yield _Chunk(first, last, part, *found)


@lru_cache(maxsize=2048)
def _names_of(part: str) -> tuple[frozenset[str], frozenset[str]] | None:
    """What it binds, and what it uses; None where it does not parse. Remembered: most statements
    are the same in every candidate, and at every key."""
    module = _tree(part)
    if module is None:
        return None
    return frozenset(name for node in module.body for name in _bound(node)), _names(module)


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
        return
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            yield one.id
        elif isinstance(one, ast.alias):
            yield one.asname or one.name.partition(".")[0]


def _names(node: ast.AST) -> frozenset[str]:
    return frozenset(one.id for one in ast.walk(node) if isinstance(one, ast.Name))


def _used(rows: str) -> frozenset[str] | None:
    """The names that a function's text uses; None where it does not parse."""
    module = _tree(textwrap.dedent(rows))
    return None if module is None else _names(module)
