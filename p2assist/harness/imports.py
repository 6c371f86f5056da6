"""Which files of the tree a file may import, by its text alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import lru_cache

from p2assist.harness import sources

# What imports, or starts, something that the text does not name.
_IN_DOUBT = frozenset(
    {"import_module", "__import__", "exec", "runpy", "pkgutil", "pytester", "testdir", "subprocess"}
    | {"spec_from_file_location", "entry_points", "multiprocessing", "walk_packages"}
)


class Imports:
    """contents: path below the root -> text, of all that counts."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = contents
        self._by_name: dict[str, list[str]] = {}
        for path in contents:
            if path.endswith(".py"):
                for name in _names(path):
                    self._by_name.setdefault(name, []).append(path)
        self._reached: dict[str, frozenset[str] | None] = {}

    def may_use(self, path: str, other: str) -> bool:
        """Whether the file, or a conftest.py that counts for it, imports the other, directly or
        not; also where it cannot be told."""
        roots = (path, *self.above(path))
        for root in roots:
            if root not in self._reached:
                self._reached[root] = self._reach(root)
            reached = self._reached[root]
            if reached is None or other in reached:
                return True
        return other.rpartition("/")[2] == "conftest.py" and _above(other, path)

    def above(self, path: str) -> Iterator[str]:
        """The conftest.py files of the folders around."""
        return (
            one
            for one in self._contents
            if one.rpartition("/")[2] == "conftest.py" and _above(one, path)
        )

    def _reach(self, root: str) -> frozenset[str] | None:
        """All that is imported from there; None where it cannot be told."""
        seen, queue = {root}, [root]
        while queue:
            path = queue.pop()
            named = imported(self._contents.get(path, b""))
            if named is None:
                return None
            for level, name in named:
                for found in self.resolve(path, level, name):
                    if found not in seen:
                        seen.add(found)
                        queue.append(found)
        return frozenset(seen)

    def resolve(self, path: str, level: int, name: str) -> Iterator[str]:
        """The files that `from {level dots}name` may name, those of packages around included.
        What is no module but something in one finds the module."""
        if level:
            folder = path.split("/")[:-level]
            parts = [*folder, *(name.split(".") if name else ())]
            for count in range(len(folder), len(parts) + 1):
                stem = "/".join(parts[:count])
                for file in (f"{stem}.py", f"{stem}/__init__.py".lstrip("/")):
                    if file in self._contents:
                        yield file
            return
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            yield from self._by_name.get(".".join(parts[:count]), ())


def _above(conftest: str, path: str) -> bool:
    folder = conftest.rpartition("/")[0]
    return not folder or path.startswith(f"{folder}/")


def _names(path: str) -> Iterator[str]:
    """The dotted names that a file may be imported by: any of its last folders may be on the
    path, so all of them count."""
    parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
    for start in range(len(parts)):
        yield ".".join(parts[start:])


@lru_cache(maxsize=1024)
def imported(content: bytes) -> tuple[tuple[int, str], ...] | None:
    """(level, dotted name) of every import of the text, what it takes from a module appended;
    None where the text does not parse, or does what imports something that it does not name."""
    try:
        module = sources.parse(content)
    except (SyntaxError, RecursionError, MemoryError):
        return None
    found: dict[tuple[int, str], None] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found.update({(0, alias.name): None for alias in node.names})
        elif isinstance(node, ast.ImportFrom):
            base = f"{node.module}." if node.module else ""
            found.update({(node.level, f"{base}{alias.name}"): None for alias in node.names})
        elif isinstance(node, ast.Assign) and _is_plugins(node):
            return None
        if _mentions(node) & _IN_DOUBT:
            return None
    return tuple(found)


def _is_plugins(node: ast.Assign) -> bool:
    return any(isinstance(t, ast.Name) and t.id == "pytest_plugins" for t in node.targets)


def _mentions(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Attribute):
        return {node.attr}
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, ast.Import | ast.ImportFrom):
        own = node.module.split(".") if isinstance(node, ast.ImportFrom) and node.module else []
        return {part for alias in node.names for part in alias.name.split(".")} | set(own)
    return set()
