"""The keys and values of the last prompts, for the next keystroke to go on from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Generic, Protocol, TypeVar

LEAST = 8  # tokens: what shares less with every kept prompt is computed anew


class Memory(Protocol):
    """What a model remembers of a sequence of tokens."""

    @property
    def nbytes(self) -> int: ...

    def cut(self, size: int) -> None:
        """Forget all but the first `size` tokens."""
        ...

    def copy(self, size: int) -> Memory:
        """One of its own of the first `size` tokens."""
        ...


M = TypeVar("M", bound=Memory)


@dataclass(slots=True)
class _Document(Generic[M]):
    ids: tuple[int, ...]
    memory: M


class PrefixCache(Generic[M]):
    """The memories of several documents, least recently used first. budget: bytes of them all; at
    least the last one is kept whatever its size.

    Not for several threads at once.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._documents: list[_Document[M]] = []

    def __len__(self) -> int:
        return len(self._documents)

    @property
    def nbytes(self) -> int:
        return sum(document.memory.nbytes for document in self._documents)

    def clear(self) -> None:
        """Forget everything."""
        self._documents.clear()

    def take(self, ids: Sequence[int]) -> tuple[M, int] | None:
        """The memory of the longest prefix of ids that is known, and its length; None where
        nothing worth having is.

        It is the caller's from now on, cut to that length; give it back by `put`. At least the
        last of ids is left to compute, as its logits are wanted. A document that goes on from
        here is taken as it is; of one that has little in common with ids a copy is taken.
        """
        if not self._documents:
            return None
        known, best = max(
            ((shared(d.ids, ids), d) for d in self._documents), key=lambda pair: pair[0]
        )
        size = min(known, len(ids) - 1)
        if size < LEAST:
            return None
        if 2 * size < len(best.ids):
            return best.memory.copy(size), size  # type: ignore[return-value]
        self._documents.remove(best)
        best.memory.cut(size)
        return best.memory, size

    def put(self, ids: Sequence[int], memory: M) -> None:
        """Keep the memory of ids; what is too much with it is forgotten, the oldest first."""
        self._documents.append(_Document(tuple(ids), memory))
        while len(self._documents) > 1 and self.nbytes > self.budget:
            self._documents.pop(0)


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the longest common prefix."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
