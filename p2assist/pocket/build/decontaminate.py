"""Keep the evaluation packages out of the corpus, by content and function by function."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from .functions import Function, functions

MIN_TOKENS = 15
"""Shorter functions say too little to be anybody's."""
OVERLAP = 0.5
"""A function is a copy when so much of it, or of the held one, is in the other."""


@dataclass(frozen=True)
class Cut:
    """A file after its copied functions were cut out; text is empty if the file must go."""

    text: str
    removed: tuple[str, ...]


class HeldOut:
    """Fingerprints of every function of the held-out packages.

    Catches copies, renamed files, edited docstrings and partial edits. Does not catch a
    rewrite that renames most identifiers, nor copied code outside functions.
    """

    def __init__(self, sources: Iterable[str]) -> None:
        self._where: dict[int, list[int]] = defaultdict(list)
        self._sizes: list[int] = []
        for source in sources:
            for function in functions(ast.parse(source), source, min_tokens=MIN_TOKENS):
                self._add(function)

    def __len__(self) -> int:
        return len(self._sizes)

    def _add(self, function: Function) -> None:
        for shingle in function.shingles:
            self._where[shingle].append(len(self._sizes))
        self._sizes.append(len(function.shingles))

    def matches(self, function: Function) -> bool:
        """Whether the function is a copy, a part or an extension of a held-out one."""
        common = Counter(
            held for shingle in function.shingles for held in self._where.get(shingle, ())
        )
        size = len(function.shingles)
        return any(
            count >= OVERLAP * min(size, self._sizes[held]) for held, count in common.items()
        )

    def cut(self, tree: ast.Module, source: str) -> Cut:
        """The source without its copied functions."""
        every = list(functions(tree, source, min_tokens=MIN_TOKENS))
        copied = [function for function in every if self.matches(function)]
        if not copied:
            return Cut(source, ())
        names = tuple(function.name for function in copied)
        if len(copied) > len(every) / 2 and len(copied) > 1:
            return Cut("", names)
        lines = source.split("\n")
        gone = {n for function in copied for n in range(function.first, function.last + 1)}
        return Cut("\n".join(x for n, x in enumerate(lines, 1) if n not in gone), names)
