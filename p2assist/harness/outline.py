"""The functions of a file by identity: name and digests of meaning, wherever their lines are.

What runs when a module is imported (its own statements, classes' bodies, the headers of functions)
is kept apart from functions' bodies, which run when they are called.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from p2assist.harness import sources

Span = tuple[int, int]  # first and last line, 1-based
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_PARTS = ("body", "orelse", "finalbody")
_DEFINES = re.compile(r"\s*(async\s+)?(?P<kind>def|class)\s+(?P<name>\w+)")
# What looks like the beginning of a statement: brackets and prose in a string do not.
_BEGINS = re.compile(
    r"\s*(@\w|(async\s+)?(def|class)\s+\w|(import|from)\s+[.\w]"
    r"|[^\W\d][\w.]*\s*([=:(\[.]|[-+*/|&]=|$)|[a-z]+\s+[\w(*]+.*[:=)])"
)


@dataclass(frozen=True, slots=True)
class Definition:
    """An outermost function: what is nested in it belongs to it.

    name: qualified ('Class.method'); the second of a name is 'name#2'. header, body: digests of
    the meaning of what runs at import (decorators, arguments) and of what runs when called.
    first, last: its lines, decorators included; begin: the first line of its body. statements:
    the lines of each statement of the body, in an order that layout and comments do not change.
    documented: digest of its docstring.
    """

    name: str
    header: str
    body: str
    first: int
    begin: int
    last: int
    statements: tuple[Span, ...] = ()
    documented: str = ""


@dataclass(frozen=True)
class Outline:
    """A file. sequence: what runs at import, in order, one digest for each statement and each
    function's header; those of functions end in their name. module: the lines of it. whole:
    whether the text parses; where it does not, functions are found as far as can be."""

    functions: dict[str, Definition] = field(default_factory=dict)
    sequence: tuple[str, ...] = ()
    module: tuple[Span, ...] = ()
    whole: bool = True

    def around(self, line: int) -> Definition | None:
        """The function that the 1-based line belongs to."""
        found = (f for f in self.functions.values() if f.first <= line <= f.last)
        return next(found, None)


@lru_cache(maxsize=512)
def outline(text: str | bytes) -> Outline:
    """The outline of a text, half-written or not."""
    try:
        return _Walker().walk(sources.parse(text))
    except (SyntaxError, RecursionError, MemoryError):
        return _tolerant(text)


def digest(text: str) -> str:
    """Enough of a SHA-256 to tell texts apart."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


class _Walker:
    def __init__(self) -> None:
        self._functions: dict[str, Definition] = {}
        self._sequence: list[str] = []
        self._module: list[Span] = []

    def walk(self, module: ast.Module) -> Outline:
        self._statements(module.body, "")
        return Outline(self._functions, tuple(self._sequence), tuple(self._module))

    def _statements(self, body: list[ast.stmt], scope: str) -> None:
        for node in body:
            if isinstance(node, FunctionNode):
                self._function(node, scope)
            elif any(hasattr(node, part) for part in _PARTS):
                self._compound(node, scope)
            else:
                self._sequence.append(digest(ast.dump(node)))
                self._module.append((node.lineno, node.end_lineno or node.lineno))

    def _function(self, node: FunctionNode, scope: str) -> None:
        name = _unique(scope + node.name, self._functions)
        body, node.body = node.body, []
        header = digest(ast.dump(node))
        node.body = body
        first, begin = first_line(node), first_line(body[0])
        self._functions[name] = Definition(
            name=name,
            header=header,
            body=digest("\n".join(ast.dump(statement) for statement in body)),
            first=first,
            begin=begin,
            last=node.end_lineno or begin,
            statements=tuple(_spans(body)),
            documented=_documented(node),
        )
        self._sequence.append(f"{header} {name}")
        if first < begin:
            self._module.append((first, begin - 1))

    def _compound(self, node: ast.stmt, scope: str) -> None:
        """A class, or definitions under `if`, `try`, `with`: the header, then what is in it."""
        parts: dict[str, Any] = {n: getattr(node, n) for n in _PARTS if hasattr(node, n)}
        handlers: list[ast.ExceptHandler] = getattr(node, "handlers", [])
        bodies = [(handler, handler.body) for handler in handlers]
        for name in parts:
            setattr(node, name, [])
        for handler in handlers:
            handler.body = []
        self._sequence.append(digest(ast.dump(node)))
        for name, part in parts.items():
            setattr(node, name, part)
        for handler, body in bodies:
            handler.body = body
        self._module.append((first_line(node), _header_end(node)))
        inner = f"{scope}{node.name}." if isinstance(node, ast.ClassDef) else scope
        for part in (parts.get("body", []), *(b for _, b in bodies), *list(parts.values())[1:]):
            self._statements(part, inner)
            self._sequence.append("end")


def first_line(node: ast.stmt) -> int:
    """The statement's first line, its decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _unique(name: str, known: dict[str, Definition]) -> str:
    number, free = 1, name
    while free in known:
        number += 1
        free = f"{name}#{number}"
    return free


def _documented(node: FunctionNode) -> str:
    text = ast.get_docstring(node, clean=False)
    return digest(text) if text is not None else ""


def _spans(body: list[ast.stmt]) -> Iterator[Span]:
    """First and last line of each statement; of a compound one, of its header."""
    for top in body:
        for node in ast.walk(top):
            if isinstance(node, ast.stmt):
                yield first_line(node), _header_end(node)
            elif isinstance(node, ast.ExceptHandler):
                yield node.lineno, max(node.lineno, first_line(node.body[0]) - 1)
            elif isinstance(node, ast.match_case):
                first = node.pattern.lineno
                yield first, max(first, first_line(node.body[0]) - 1)


def _header_end(node: ast.stmt) -> int:
    body: Any = getattr(node, "body", None) or getattr(node, "cases", None)
    if isinstance(body, list):
        below = body[0]
        if isinstance(below, ast.match_case):
            return max(node.lineno, below.pattern.lineno - 1)
        return max(node.lineno, first_line(below) - 1)
    return node.end_lineno or node.lineno


def _tolerant(text: str | bytes) -> Outline:
    """The functions of a text that does not parse, by their indentation. Their digests are of
    the text itself: none is taken for one that was mapped from a text that did parse."""
    source = text if isinstance(text, str) else text.decode("utf-8", "replace")
    rows = source.split("\n")
    found: dict[str, Definition] = {}
    scopes: list[tuple[int, str]] = []  # the classes around, with their indentation
    inside = -1  # the indentation of the function that the row is in
    for number, row in enumerate(rows, 1):
        indent = len(row) - len(row.lstrip())
        if not _BEGINS.match(row) or (0 <= inside < indent):
            continue
        inside, scopes = -1, [(depth, name) for depth, name in scopes if depth < indent]
        if not (header := _DEFINES.match(row)):
            continue
        scope = "".join(f"{name}." for _, name in scopes)
        if header["kind"] == "class":
            scopes.append((indent, header["name"]))
            continue
        inside = indent
        name = _unique(scope + header["name"], found)
        first, last = _decorated(rows, number, indent), _end(rows, number, indent)
        code = digest("\n".join(rows[first - 1 : last]))
        begin = min(number + 1, last)
        found[name] = Definition(name, code, f"text {code}", first, begin, last, ((begin, last),))
    return Outline(found, whole=False)


def _decorated(rows: list[str], number: int, indent: int) -> int:
    while number > 1 and rows[number - 2].startswith(" " * indent + "@"):
        number -= 1
    return number


def _end(rows: list[str], number: int, indent: int) -> int:
    """The last line of the function whose header stands in line `number`."""
    last = number
    for later, row in enumerate(rows[number:], number + 1):
        if _BEGINS.match(row) and len(row) - len(row.lstrip()) <= indent:
            break
        last = later
    else:
        return len(rows)  # where the cursor is, at the end, belongs to it
    while last > number and not rows[last - 1].strip():
        last -= 1
    return last
