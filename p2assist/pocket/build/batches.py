"""Training sequences, drawn from the packed corpus while the model trains.

A sequence is text that goes on to some cut: where an editor's cursor was does not show, since
what is written continues the prefix and both are spelled as one text. So there is nothing to
choose but where the text stops and what of the rest is shown before it:

    <|fim_suffix|> suffix <|fim_prefix|> text <|endoftext|>

The model learns to end where the suffix would go on, be it a line, a statement or a block away.
Share context_share has before its text some chunks of the same package that are like it:
`<|file_sep|>` path, newline, lines, for each; then `<|file_sep|>` path, newline, text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from .layout import Endings, Layout
from .pack import Packed
from .recipe import TrainRecipe
from .tokenizer import END, FILE, PREFIX, SUFFIX, token_id

IGNORED = -100
"""Label of padding, as cross_entropy's ignore_index."""

_TAIL = 48  # tokens; less room than this is padded
_CONTEXT_ROOM = 512  # tokens; with less room a text gets no other file
_LEAST_CONTEXT = 96
_EARLIEST_CUT = 0.3  # of what there is of a text
_LINE_CUTS = 0.85  # of the cuts; the others are within a line
_WHOLE_LINES = 0.7  # of the suffixes end with a line, as a prompt's does
_MOST_CHUNKS = 6
_USED = 0.62  # of a sequence is text of its own, about

_Ids = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Batch:
    """inputs and labels, both (batch, context) int32; labels are the inputs shifted by one."""

    inputs: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Cut:
    """A text's end: its tokens up to `stop`, then `last`; what follows it is `first`, then the
    tokens from `rest` on."""

    stop: int
    last: list[int]
    first: list[int]
    rest: int


class Sampler:
    """An endless, seeded stream of batches that walks over all documents before repeating."""

    def __init__(
        self,
        packed: Packed,
        layout: Layout,
        like: npt.NDArray[np.int32],
        tokenizer: Tokenizer,
        recipe: TrainRecipe,
        seed: int,
    ) -> None:
        self._packed = packed
        self._layout = layout
        self._like = like
        self._recipe = recipe
        self._endings = Endings.of(tokenizer)
        self._random = np.random.default_rng(seed)
        self._end = token_id(tokenizer, END)
        self._prefix = token_id(tokenizer, PREFIX)
        self._suffix = token_id(tokenizer, SUFFIX)
        self._file = token_id(tokenizer, FILE)
        self._windows = self._walk()

    def __iter__(self) -> Iterator[Batch]:
        size = self._recipe.context + 1
        while True:
            ids = np.full((self._recipe.batch, size), self._end, dtype=np.int32)
            labels = np.full((self._recipe.batch, size - 1), IGNORED, dtype=np.int32)
            for row in range(self._recipe.batch):
                used = self._fill(ids[row])
                labels[row, : used - 1] = ids[row, 1:used]
            yield Batch(ids[:, :-1], labels)

    def _fill(self, row: npt.NDArray[np.int32]) -> int:
        """Write items to the row; how many of its tokens are no padding."""
        at = 0
        while len(row) - at >= _TAIL:
            for part in self._item(next(self._windows), len(row) - at):
                part = part[: len(row) - at]
                row[at : at + len(part)] = part
                at += len(part)
        return at

    def _item(self, start: int, room: int) -> list[list[int] | _Ids]:
        draw = self._random
        document = int(np.searchsorted(self._packed.starts, start, side="right")) - 1
        stop = int(self._packed.starts[document + 1])
        ids = self._packed.ids
        infilling = draw.random() < self._recipe.fim_share
        most = int(draw.integers(0, self._recipe.suffix_tokens + 1)) if infilling else 0
        context = 0
        if room >= _CONTEXT_ROOM and draw.random() < self._recipe.context_share:
            context = int(draw.integers(_LEAST_CONTEXT, room // 2))
        end = min(stop, start + max(room - most - context - 8, _TAIL // 2))
        cut = self._cut(start, end) if infilling else Cut(end, [], [], end)
        shown = self._context(document, start, cut.rest + most, cut.stop, context)
        text = [*shown, ids[start : cut.stop], cut.last]
        if not infilling:
            return [*text, [self._end]] if end == stop else text
        after = ids[cut.rest : min(stop, cut.rest + most)]
        ends = np.flatnonzero(self._endings.ends[after])
        if len(ends) and draw.random() < _WHOLE_LINES:
            after = after[: ends[-1] + 1]
        suffix = [*cut.first, *after.tolist()][:most]
        return [[self._suffix, *suffix, self._prefix], *text, [self._end]]

    def _cut(self, start: int, end: int) -> Cut:
        """Where a text that begins at start stops, at end or before."""
        draw, ids = self._random, self._packed.ids
        low = start + int(_EARLIEST_CUT * (end - start))
        at = int(draw.integers(low, end)) if end > low else start
        if draw.random() < _LINE_CUTS:
            found = int(np.searchsorted(self._layout.line_ends, at))
            last = (
                int(self._layout.line_ends[found]) if found < len(self._layout.line_ends) else end
            )
            token = int(ids[last]) if last < end else -1
            if token in self._endings.before:
                before, newlines = self._endings.before[token], self._endings.newlines[token]
                return Cut(last, before, newlines, last + 1)
        return Cut(at, [], [], at)

    def _context(
        self, document: int, start: int, seen: int, cut: int, room: int
    ) -> list[list[int] | _Ids]:
        """Chunks like those before the cut, and the document's own name; nothing where nothing
        is like it. start..seen is what the sequence shows of the document anyway."""
        packed, layout = self._packed, self._layout
        own = [self._file, *packed.path(document).tolist()]
        room -= len(own)
        parts: list[list[int] | _Ids] = []
        taken: set[int] = set()
        here = layout.chunk_at(max(start, cut - 1))
        back = min(3, here - layout.chunk_at(start) + 1)
        for query in (here - int(i) for i in self._random.permutation(back)):
            for chunk in self._like[query]:
                first, last = self._lines_of(int(chunk)) if chunk >= 0 else (0, 0)
                other = int(layout.chunk_documents[chunk]) if chunk >= 0 else -1
                name = packed.path(other).tolist() if chunk >= 0 else []
                size = last - first + len(name) + 1
                overlaps = first < seen and last > start
                if chunk < 0 or int(chunk) in taken or overlaps or size > room:
                    continue
                taken |= {int(chunk), int(chunk) + 1}
                parts += [[self._file, *name], packed.ids[first:last]]
                room -= size
                if len(taken) >= 2 * _MOST_CHUNKS:
                    break
        return [*parts, own] if parts else []

    def _lines_of(self, chunk: int) -> tuple[int, int]:
        """Where the chunk and the one after it begin and end."""
        layout, packed = self._layout, self._packed
        document = layout.chunk_documents[chunk]
        after = chunk + 2
        there = after < len(layout.chunk_starts) and layout.chunk_documents[after] == document
        stop = layout.chunk_starts[after] if there else packed.starts[document + 1]
        return int(layout.chunk_starts[chunk]), int(stop)

    def _walk(self) -> Iterator[int]:
        """First tokens of texts, all over the corpus in random order, for ever."""
        starts = self._packed.starts
        step = int(self._recipe.context * _USED)
        while True:
            places = []
            for first, stop in pairwise(starts):
                offset = int(self._random.integers(step)) - step
                places.append(np.maximum(np.arange(first + offset, stop - _TAIL, step), first))
            for place in self._random.permutation(np.concatenate(places)):
                found = int(np.searchsorted(self._layout.line_starts, place))
                if found < len(self._layout.line_starts):
                    yield int(self._layout.line_starts[found])
