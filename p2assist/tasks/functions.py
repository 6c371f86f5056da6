"""The functions of a source file, with offsets in code points."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from p2assist.errors import RepositoryError

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Function:
    """An outermost function: what is nested in it belongs to it.

    name: qualified ('Class.method'). start, end: offsets of its text, decorators included, from
    the beginning of its first line to the beginning of the line after its last. node: its syntax.
    """

    name: str
    start: int
    end: int
    node: FunctionNode

    @property
    def body(self) -> list[ast.stmt]:
        """Its statements after the docstring."""
        return self.node.body[1:] if ast.get_docstring(self.node) is not None else self.node.body

    @property
    def description(self) -> str:
        """The docstring's first paragraph, '' where there is none."""
        return (ast.get_docstring(self.node) or "").split("\n\n")[0].strip()


class Lines:
    """Offsets of a source's lines; translates the syntax tree's (line, UTF-8 byte) positions."""

    def __init__(self, source: str) -> None:
        self.source = source
        # split("\n"), not splitlines(): form feeds and U+2028 end no line in Python.
        self.texts = source.split("\n")
        self.starts = [0]
        for text in self.texts:
            self.starts.append(self.starts[-1] + len(text) + 1)

    def offset(self, line: int, column: int) -> int:
        """Code points before the 1-based line's UTF-8 byte column."""
        text = self.texts[line - 1]
        if not text.isascii():
            column = len(text.encode()[:column].decode(errors="ignore"))
        return self.starts[line - 1] + column

    def span(self, first: ast.stmt, last: ast.stmt) -> tuple[int, int]:
        """Offsets from the first statement's start (decorators included) to the last one's end."""
        assert last.end_lineno is not None and last.end_col_offset is not None
        top = min([first.lineno, *(d.lineno for d in getattr(first, "decorator_list", []))])
        start = self.starts[top - 1] + first.col_offset if top < first.lineno else None
        if start is None:
            start = self.offset(first.lineno, first.col_offset)
        return start, self.offset(last.end_lineno, last.end_col_offset)


def parse(source: str, path: str = "<source>") -> ast.Module:
    """The syntax tree. Raises RepositoryError with path and line where there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of somebody's "\\d"
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        where = f"{path}:{line}" if line else path
        raise RepositoryError(f"{where} is not valid Python: {error}") from error


def meaning(source: str) -> str:
    """What is the same for sources that differ only in layout and comments: the dumped syntax
    tree, or the source itself where it does not parse."""
    try:
        return ast.dump(parse(source))
    except RepositoryError:
        return source


@lru_cache(maxsize=256)
def functions(source: str, path: str = "<source>") -> tuple[Function, ...]:
    """The outermost functions in order of appearance; RepositoryError where it does not parse."""
    lines = Lines(source)
    return tuple(_walk(parse(source, path).body, "", lines))


def _walk(body: list[ast.stmt], scope: str, lines: Lines) -> Iterator[Function]:
    for node in body:
        if isinstance(node, FunctionNode):
            assert node.end_lineno is not None
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            start, end = lines.starts[first - 1], lines.starts[node.end_lineno]
            yield Function(scope + node.name, start, min(end, len(lines.source)), node)
        elif isinstance(node, ast.ClassDef):
            yield from _walk(node.body, f"{scope}{node.name}.", lines)
        else:  # definitions under `if`, `try`, `with` at module or class level
            for part in ("body", "orelse", "finalbody"):
                yield from _walk(getattr(node, part, []), scope, lines)
            for handler in getattr(node, "handlers", []):
                yield from _walk(handler.body, scope, lines)
