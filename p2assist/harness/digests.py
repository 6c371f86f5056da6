"""Digests of tests: a test whose fixture or helper has changed is another test.

A digest covers the test's own function, and what its text leads to within the tests' files: the
fixtures it asks for (of its class, its file, the conftest.py files above; those used automatically
too), set-up and tear-down functions, helpers and constants by name, and so on from these. Layout
and comments do not count. All cases of a parametrised test have one digest. A doctest's is of the
docstring, or the text file, that it stands in.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from p2assist.harness import sources, tree
from p2assist.harness.imports import Imports

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_SET_UP = frozenset(
    {"setUp", "tearDown", "setUpClass", "tearDownClass", "asyncSetUp", "asyncTearDown"}
    | {"setup_method", "teardown_method", "setup_class", "teardown_class"}
    | {"setUpModule", "tearDownModule", "setup_module", "teardown_module"}
    | {"setup_function", "teardown_function"}
)


@dataclass(frozen=True)
class _Scope:
    """A module's, or a class's, names. always: what counts whatever the test names."""

    names: Mapping[str, tuple[ast.AST, ...]] = field(default_factory=dict)
    always: tuple[ast.AST, ...] = ()
    classes: Mapping[str, _Scope] = field(default_factory=dict)
    docstrings: Mapping[str, str] = field(default_factory=dict)


class TestDigests:
    """Digests by node id. contents: of the tree's files; root: where other files are."""

    __test__ = False

    def __init__(self, root: Path, contents: Mapping[str, bytes]) -> None:
        self._root, self._contents = root, contents
        self._imports = Imports(contents)
        self._known: dict[tuple[str, str], str] = {}

    def of(self, node_id: str) -> str:
        """SHA-256 in hex; '' where the file cannot be read."""
        path, _, rest = node_id.partition("::")
        name = rest.partition("[")[0]
        if (path, name) not in self._known:
            self._known[path, name] = self._digest(path, name.split("::"))
        return self._known[path, name]

    def _digest(self, path: str, names: list[str]) -> str:
        content = self._contents.get(path)
        if content is None:
            return tree.file_digest(self._root / path)
        scopes = [_scope(content)]
        for name in names[:-1]:
            if name not in scopes[0].classes:
                break
            scopes.insert(0, scopes[0].classes[name])
        own = scopes[0].names.get(names[-1], ()) if len(scopes) == len(names) else ()
        if own:
            return _sha(sorted(set(self._reached(path, scopes, own))))
        docstring = _docstring(scopes[-1], path, names[-1])
        return tree.digest(content) if docstring is None else _sha([docstring])

    def _reached(self, path: str, scopes: list[_Scope], own: tuple[ast.AST, ...]) -> Iterator[str]:
        """What the test's text leads to, as text."""
        above = [(p, _scope(self._contents[p])) for p in self._imports.above(path)]
        queue = [(path, scopes, node) for node in own]
        queue += [(path, scopes, node) for scope in scopes for node in scope.always]
        queue += [(p, [scope], node) for p, scope in above for node in scope.always]
        seen: set[int] = set()
        while queue:
            where, around, node = queue.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield _dump(node)
            for name in _named(node):
                for place, scope_list in ((where, around), *((p, [s]) for p, s in above)):
                    queue += [
                        (place, scope_list, n) for s in scope_list for n in s.names.get(name, ())
                    ]
            if isinstance(node, ast.ImportFrom):
                queue += self._imported(where, node)

    def _imported(
        self, path: str, node: ast.ImportFrom
    ) -> Iterator[tuple[str, list[_Scope], ast.AST]]:
        """What is imported from another file of the tests."""
        for alias in node.names:
            base = f"{node.module}." if node.module else ""
            for found in self._imports.resolve(path, node.level, base + alias.name):
                if _of_tests(found):
                    scope = _scope(self._contents[found])
                    for n in scope.names.get(alias.name, ()):
                        yield found, [scope], n


def _of_tests(path: str) -> bool:
    *folders, file = path.split("/")
    named = file == "conftest.py" or file.startswith("test_") or file.endswith("_test.py")
    return named or any(folder in ("test", "tests", "testing") for folder in folders)


@lru_cache(maxsize=1024)
def _scope(content: bytes) -> _Scope:
    try:
        module = sources.parse(content)
    except (SyntaxError, RecursionError, MemoryError):
        return _Scope()
    docstrings: dict[str, str] = {"": ast.get_docstring(module, clean=False) or ""}
    return _scope_of(module.body, "", docstrings)


def _scope_of(body: list[ast.stmt], prefix: str, docstrings: dict[str, str]) -> _Scope:
    names: dict[str, tuple[ast.AST, ...]] = {}
    always: list[ast.AST] = []
    classes = {}
    for node in _flat(body):
        if isinstance(node, ast.ClassDef | FunctionNode):
            docstrings[prefix + node.name] = ast.get_docstring(node, clean=False) or ""
        if isinstance(node, ast.ClassDef):
            inner = _scope_of(node.body, f"{prefix}{node.name}.", docstrings)
            header = (*node.decorator_list, *node.bases, *node.keywords)
            classes[node.name] = replace(inner, always=(*header, *inner.always))
        if isinstance(node, FunctionNode) and (node.name in _SET_UP or _automatic(node)):
            always.append(node)
        elif prefix and not isinstance(node, ast.ClassDef | FunctionNode):
            always.append(node)  # a class's own statements
        elif isinstance(node, ast.Assign) and _binds(node, "pytestmark"):
            always.append(node)
        for name in _bound(node):
            names[name] = (*names.get(name, ()), node)
    return _Scope(names, tuple(always), classes, docstrings)


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, those under `if`, `try` and `with` for themselves."""
    for node in body:
        if isinstance(node, ast.If | ast.Try | ast.With):
            for part in ("body", "orelse", "finalbody"):
                yield from _flat(getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                yield from _flat(handler.body)
        else:
            yield node


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | FunctionNode):
        yield node.name
        for decorator in node.decorator_list:  # fixture(name="...")
            for keyword in getattr(decorator, "keywords", []):
                if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                    yield str(keyword.value.value)
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    else:
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            if target is not None:
                yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))


def _binds(node: ast.Assign, name: str) -> bool:
    return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)


def _automatic(node: FunctionNode) -> bool:
    """Whether it is a fixture that is used without being asked for."""
    return any(
        keyword.arg == "autouse" and getattr(keyword.value, "value", False)
        for decorator in node.decorator_list
        for keyword in getattr(decorator, "keywords", [])
    )


def _named(node: ast.AST) -> set[str]:
    """Every name that the text may mean something by: strings may name fixtures."""
    found = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            found.add(one.id)
        elif isinstance(one, ast.Attribute):
            found.add(one.attr)
        elif isinstance(one, ast.arg):
            found.add(one.arg)
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            found.add(one.value)
    return found


def _docstring(module: _Scope, path: str, dotted: str) -> str | None:
    """Of a doctest's name, 'pack.module.Class.method'; None where it is not one."""
    file = path.removesuffix("/__init__.py").removesuffix(".py").rpartition("/")[2]
    parts = dotted.split(".")
    if file not in parts:
        return None
    return module.docstrings.get(".".join(parts[parts.index(file) + 1 :]))


@lru_cache(maxsize=8192)
def _dump(node: ast.AST) -> str:
    return ast.dump(node)


def _sha(texts: list[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
