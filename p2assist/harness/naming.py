"""The tests that name a function: what covers it before any test has run it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from p2assist.harness import sources
from p2assist.harness.imports import Imports

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Named:
    """A test function by its file and qualified name ('TestA.test_f'). cases: whether it is
    parametrised, so that its node ids are not known from its text."""

    path: str
    name: str
    cases: bool = False

    @property
    def node_id(self) -> str:
        return f"{self.path}::{self.name.replace('.', '::')}"


def find_named(contents: Mapping[str, bytes], path: str, function: str) -> list[Named]:
    """The tests of files that import the path, directly or not, whose text names the function;
    of a method, also its class; of a special method, its class alone."""
    imports = Imports(contents)
    around, _, name = function.partition("#")[0].rpartition(".")
    owner = around.rpartition(".")[2]
    wanted = owner if owner and name.startswith("__") else name
    return [
        named
        for file in contents
        if is_test_file(file) and imports.may_use(file, path)
        for named in _of_file(file, contents[file], wanted, owner or wanted)
    ]


def is_test_file(path: str) -> bool:
    """By pytest's default names."""
    file = path.rpartition("/")[2]
    return (file.startswith("test_") and file.endswith(".py")) or file.endswith("_test.py")


def _of_file(path: str, content: bytes, wanted: str, owner: str) -> Iterator[Named]:
    """The class of a method may be named by a fixture: it is enough that the file does."""
    try:
        module = sources.parse(content)
    except (SyntaxError, RecursionError, MemoryError):
        return
    aliases = {
        one.asname: one.name.rpartition(".")[2]
        for one in ast.walk(module)
        if isinstance(one, ast.alias) and one.asname
    }
    if owner not in _names(module, aliases):
        return
    for name, node in _tests(module.body, ""):
        if wanted in _names(node, aliases):
            cases = any("parametrize" in ast.dump(one) for one in node.decorator_list)
            yield Named(path, name, cases)


def _names(node: ast.AST, aliases: Mapping[str, str]) -> set[str]:
    found = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            found.add(aliases.get(one.id, one.id))
        elif isinstance(one, ast.Attribute):
            found.add(one.attr)
        elif isinstance(one, ast.alias):
            found.add(one.name.rpartition(".")[2])
    return found


def _tests(body: list[ast.stmt], scope: str) -> Iterator[tuple[str, FunctionNode]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _tests(node.body, f"{scope}{node.name}.")
        elif isinstance(node, FunctionNode) and node.name.startswith("test"):
            yield scope + node.name, node
