"""Which functions are held out from training, and how their text is kept out of it.

A random split of tasks leaks: lines of one function end on both sides. So the unit is the
function, chosen by a hash of its name, which stays the same as the repository grows. A training
function that says the same as a held-out one (a copy, a renamed import path) is barred from
training, and the text of both is cut from what is trained on.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from p2assist.experience import Task
from p2assist.tasks.functions import Function, functions

_WORD = re.compile(r"\w+|[^\w\s]")
SHINGLE = 5  # tokens
LEAK = 0.7  # share of a function's shingles that another one holds


def function_key(task: Task) -> str:
    """'path::qualified name' of the outermost function; the path alone at module level."""
    return f"{task.path}::{task.function}" if task.function else task.path


@dataclass(frozen=True, slots=True)
class Split:
    """share: of the functions held out, 0..1. barred: keys that may not be trained on because
    a held-out function says the same."""

    share: float = 0.3
    seed: int = 0
    barred: frozenset[str] = frozenset()

    def held_out(self, key: str) -> bool:
        """Whether the function is kept for evaluation: the same answer on every machine."""
        raw = hashlib.sha256(f"{self.seed}\0{key}".encode()).digest()
        return int.from_bytes(raw[:8], "big") / 2**64 < self.share

    def may_train(self, key: str) -> bool:
        return not self.held_out(key) and key not in self.barred


def split(files: Iterable[tuple[str, str]], share: float = 0.3, seed: int = 0) -> Split:
    """The split of a repository. files: (path, source); those that do not parse raise
    RepositoryError."""
    prints: dict[str, frozenset[int]] = {}
    for path, source in files:
        for function in functions(source, path):
            prints[f"{path}::{function.name}"] = _shingles(function)
    plain = Split(share, seed)
    held = {key: marks for key, marks in prints.items() if plain.held_out(key)}
    where: dict[int, set[str]] = {}
    for key, marks in held.items():
        for mark in marks:
            where.setdefault(mark, set()).add(key)
    barred = frozenset(
        key for key, marks in prints.items() if key not in held and _leaks(marks, held, where)
    )
    return replace(plain, barred=barred)


def without(task: Task, split: Split) -> Task:
    """The task with the text of held-out and barred functions cut from its source.

    Raises ValueError where the task itself lies in one, RepositoryError where its source does not
    parse: such an experience is left out of training.
    """
    if not split.may_train(function_key(task)):
        raise ValueError(f"{function_key(task)} is held out")
    source, start, end = task.source, task.start, task.end
    for function in reversed(functions(task.source, task.path)):
        if split.may_train(f"{task.path}::{function.name}"):
            continue
        if function.end <= start:
            size = function.end - function.start
            start, end = start - size, end - size
        elif function.start < end:
            continue  # encloses the task under another name: the check above has decided
        source = source[: function.start] + source[function.end :]
    return replace(task, source=source, start=start, end=end)


def _shingles(function: Function) -> frozenset[int]:
    """Hashes of the token 5-grams of the function's code, its name and docstring left out."""
    code = "\n".join(ast.unparse(stmt) for stmt in function.body)
    words = _WORD.findall(ast.unparse(function.node.args) + "\n" + code)
    if len(words) < 2 * SHINGLE:
        return frozenset()  # `return self.x` is nobody's copy
    return frozenset(hash(tuple(words[i : i + SHINGLE])) for i in range(len(words) - SHINGLE + 1))


def _leaks(
    marks: frozenset[int], held: dict[str, frozenset[int]], where: dict[int, set[str]]
) -> bool:
    counts: dict[str, int] = {}
    for mark in marks:
        for key in where.get(mark, ()):
            counts[key] = counts.get(key, 0) + 1
    return any(count >= LEAK * min(len(marks), len(held[key])) for key, count in counts.items())
