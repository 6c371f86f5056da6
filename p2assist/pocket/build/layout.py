"""Where lines and chunks of a packed corpus begin, told from its tokens alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from .pack import Packed

CHUNK = 112
"""Tokens from one chunk's beginning to the next one's, about: it begins where a line does."""

_Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Endings:
    """How the vocabulary ends lines: for each token whether it does, and, where it can be cut
    there, the tokens of what stands before the newlines and those of the newlines."""

    ends: npt.NDArray[np.bool_]
    before: dict[int, list[int]]
    newlines: dict[int, list[int]]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """Read off the tokenizer's vocabulary."""
        size = tokenizer.get_vocab_size()
        texts = [tokenizer.decode([i], skip_special_tokens=False) for i in range(size)]
        ends = np.array([text.endswith("\n") for text in texts])
        before, newlines = {}, {}
        for i in np.flatnonzero(ends):
            line = texts[i].rstrip("\n")
            if "\ufffd" not in line and not line.isspace():
                before[int(i)] = tokenizer.encode(line).ids if line else []
                newlines[int(i)] = tokenizer.encode(texts[i][len(line) :]).ids
        return cls(ends, before, newlines)


@dataclass(frozen=True)
class Layout:
    """Token offsets into the corpus, ascending.

    line_starts, line_ends: first and last token of each line. chunk_starts: first tokens of
    chunks; a chunk ends where the next one or its document does. chunk_documents: the document
    of each chunk.
    """

    line_starts: _Indices
    line_ends: _Indices
    chunk_starts: _Indices
    chunk_documents: _Indices

    @classmethod
    def of(cls, packed: Packed, endings: Endings) -> Self:
        """Of a whole corpus."""
        ends = np.flatnonzero(endings.ends[packed.ids])
        begins = np.zeros(len(packed.ids) + 1, dtype=bool)
        begins[ends + 1] = True
        begins[packed.starts[:-1]] = True
        begins[-1] = False
        line_starts = np.flatnonzero(begins)
        steps = -(-np.diff(packed.starts) // CHUNK)
        document = np.repeat(np.arange(len(packed)), steps)
        number = np.arange(len(document)) - np.repeat(np.cumsum(steps) - steps, steps)
        wanted = packed.starts[document] + number * CHUNK
        found = np.searchsorted(line_starts, wanted)
        known = found < len(line_starts)
        chunk = np.where(known, line_starts[np.minimum(found, len(line_starts) - 1)], -1)
        inside = known & (chunk < packed.starts[document + 1])
        inside[1:] &= chunk[1:] != chunk[:-1]
        return cls(line_starts, ends, chunk[inside], document[inside])

    def chunk_at(self, token: int) -> int:
        """The number of the chunk that holds the token."""
        return int(np.searchsorted(self.chunk_starts, token, side="right")) - 1
