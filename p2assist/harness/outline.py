"""The functions of a file by identity: name and digests of meaning, wherever their lines are.

What runs when a module is imported (its own statements, classes' bodies, the headers of functions)
is kept apart from functions' bodies, which run when they are called.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from threading import Lock
from typing import Any

from p2assist.harness import sources, statement

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
    """The outline of a text, half-written or not.

    Texts of an editor differ from the one before in a statement: only that one is parsed.
    """
    if isinstance(text, str):
        near = (drawn.redrawn(text) for drawn in _recent.all())
        known = next((found for found in near if found is not None), None)
        if known is not None:
            return known
    try:
        module = sources.parse(text)
        drawn = _Drawn(text, statement.spans(module), _drawn(module))
    except (SyntaxError, RecursionError, MemoryError):
        return _tolerant(text)
    if isinstance(text, str):
        _recent.add(drawn)
    return drawn.outline()


def digest(text: str) -> str:
    """Enough of a SHA-256 to tell texts apart."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class _Part:
    """What one statement at the left margin adds to an outline."""

    functions: tuple[Definition, ...] = ()
    sequence: tuple[str, ...] = ()
    module: tuple[Span, ...] = ()

    def moved(self, lines: int) -> _Part:
        if not lines:
            return self
        functions = (
            replace(
                function,
                first=function.first + lines,
                begin=function.begin + lines,
                last=function.last + lines,
                statements=_moved(function.statements, lines),
            )
            for function in self.functions
        )
        return _Part(tuple(functions), self.sequence, _moved(self.module, lines))


def _moved(spans: Iterable[Span], lines: int) -> tuple[Span, ...]:
    return tuple((first + lines, last + lines) for first, last in spans)


def _joined(parts: Iterable[_Part], *, whole: bool = True) -> Outline:
    parts = tuple(parts)
    functions = {function.name: function for part in parts for function in part.functions}
    if not whole:
        return Outline(functions, whole=False)
    sequence = tuple(step for part in parts for step in part.sequence)
    return Outline(functions, sequence, tuple(span for part in parts for span in part.module))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A text that parses, with what each of its statements at the left margin adds."""

    text: str | bytes
    spans: statement.Spans
    parts: tuple[_Part, ...]

    def outline(self) -> Outline:
        return _joined(self.parts)

    def redrawn(self, text: str) -> Outline | None:
        """That of a text which differs in one of the statements; None for any other."""
        assert isinstance(self.text, str)
        found = statement.isolate(self.text, text, self.spans)
        if found is None:
            return None
        place = next(n for n, (first, _) in enumerate(self.spans) if first == found.first)
        before, after = self.parts[:place], self.parts[place + 1 :]
        try:
            new, whole = _drawn(sources.parse(found.new)), True
        except (SyntaxError, RecursionError, MemoryError):
            if statement.joins(found.new):
                return None
            # Something begins behind the statement, as it does in the file.
            part = _Part(tuple(_tolerant(f"{found.new}pass\n").functions.values()))
            new, whole = (part,), False
        names = [f.name for part in (*before, *new, *after) for f in part.functions]
        if len(set(names)) < len(names) or any("#" in name for name in names):
            return None  # a name's number hangs on all that are before it
        return _joined((*before, *new, *(p.moved(found.delta) for p in after)), whole=whole)


class _Recent:
    """The last few texts that were parsed whole, the newest first."""

    def __init__(self, most: int) -> None:
        self._drawn: deque[_Drawn] = deque(maxlen=most)
        self._lock = Lock()

    def add(self, drawn: _Drawn) -> None:
        with self._lock:
            self._drawn.appendleft(drawn)

    def all(self) -> tuple[_Drawn, ...]:
        with self._lock:
            return tuple(self._drawn)


_recent = _Recent(4)


def _drawn(module: ast.Module) -> tuple[_Part, ...]:
    walker = _Walker()
    return tuple(walker.part(node) for node in module.body)


class _Walker:
    """Statements of one text, one after the other: names are told apart across them."""

    def __init__(self) -> None:
        self._functions: dict[str, Definition] = {}
        self._sequence: list[str] = []
        self._module: list[Span] = []

    def part(self, node: ast.stmt) -> _Part:
        known, self._sequence, self._module = len(self._functions), [], []
        self._statements([node], "")
        new = list(self._functions.values())[known:]
        return _Part(tuple(new), tuple(self._sequence), tuple(self._module))

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
