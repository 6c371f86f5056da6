"""What the harness reads from source text: statements, tests' own functions, syntax errors."""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import TypeVar

from p2assist.harness import tree

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
T = TypeVar("T")
_lock = Lock()  # warnings' filters are the whole process's


def parse(text: str | bytes, name: str = "<candidate>") -> ast.Module:
    """The syntax tree, without the warnings that the text may deserve.

    Raises SyntaxError, also for what ast.parse calls a ValueError (null bytes).
    """
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text, name)
        except ValueError as error:
            raise SyntaxError(str(error)) from error


def spread(
    file: Path, lines: Mapping[int, frozenset[int]], everyone: frozenset[int]
) -> dict[int, frozenset[int]]:
    """The sets of tests of a file's lines, so that every line of a statement has the tests of
    the whole statement, and what stands outside of functions, which runs at import, has
    everyone. {} where the file cannot be parsed."""
    try:
        module = parse(file.read_bytes())
    except (OSError, SyntaxError, RecursionError):
        return {}
    inside = _lines_of_functions(module)
    found = {line: tests if line in inside else everyone for line, tests in lines.items()}
    for first, last in _statements(module):
        ran = [found[n] for n in range(first, last + 1) if n in found]
        if ran and last > first:
            tests = frozenset().union(*ran)
            found.update(dict.fromkeys(range(first, last + 1), tests))
    return dict(sorted(found.items()))


def _lines_of_functions(module: ast.Module) -> set[int]:
    """Lines of the bodies of functions: they run when called, not at import."""
    inside: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            body = node.body if isinstance(node.body, list) else [node.body]
            inside.update(range(body[0].lineno, (body[-1].end_lineno or 0) + 1))
    return inside


def _statements(module: ast.Module) -> Iterator[tuple[int, int]]:
    """First and last line of each statement; of a compound one, of its header."""
    for node in ast.walk(module):
        if not isinstance(node, ast.stmt):
            continue
        last = node.end_lineno or node.lineno
        body = getattr(node, "body", None) or getattr(node, "cases", None)
        if isinstance(body, list):
            last = max(node.lineno, getattr(body[0], "lineno", node.lineno + 1) - 1)
        yield node.lineno, last


class TestDigests:
    """Digests of tests' source text, by node id."""

    __test__ = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, dict[str, str]] = {}

    def of(self, node_id: str) -> str:
        """SHA-256 of the text of the test's function, its decorators included, in hex; of the
        whole file where there is no such function (a doctest, a generated test)."""
        path, _, rest = node_id.partition("::")
        if path not in self._files:
            self._files[path] = self._read(path)
        known = self._files[path]
        return known.get(rest.partition("[")[0], known.get("", ""))

    def _read(self, path: str) -> dict[str, str]:
        try:
            text = (self._root / path).read_bytes()
            lines = text.splitlines(keepends=True)
            found = {"": hashlib.sha256(text).hexdigest()}
            for name, node in _definitions(parse(text).body):
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                body = b"".join(lines[first - 1 : node.end_lineno])
                found[name] = hashlib.sha256(body).hexdigest()
        except (OSError, SyntaxError, RecursionError):
            return {}
        return found


def _definitions(body: list[ast.stmt], around: str = "") -> Iterator[tuple[str, Definition]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _definitions(node.body, f"{around}{node.name}::")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{around}{node.name}", node


def first_syntax_error(root: Path) -> str:
    """'path, line n: message' of the first file that does not parse; '' where all do."""
    for path in tree.python_files(root):
        try:
            parse((root / path).read_bytes(), path)
        except SyntaxError as error:
            return f"{path}, line {error.lineno or 1}: {error.msg}"
        except (OSError, RecursionError):
            continue
    return ""
