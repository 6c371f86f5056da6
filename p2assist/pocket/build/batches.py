"""Training sequences, sampled and tokenised while the model trains."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from . import spans
from .corpus import Document
from .tokenizer import END, FILE, PREFIX, SUFFIX, token_id

IGNORED = -100
"""Label of padding, as cross_entropy's ignore_index."""

_CHARACTERS_PER_TOKEN = 4.5  # generous: windows are cut to size after tokenising
_TAIL = 32  # tokens; less room than this is padded
_CONTEXT_ROOM = 300  # tokens; with less room a sequence gets no other file
_CONTEXT_CHARACTERS = 400


@dataclass(frozen=True)
class Window:
    """A run of whole lines of a document; ends tells whether the document ends with it."""

    document: int
    text: str
    ends: bool


@dataclass(frozen=True)
class Batch:
    """inputs and labels, both (batch, context) int64; labels are the inputs shifted by one."""

    inputs: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]


class Sampler:
    """An endless, seeded stream of batches that walks over all documents before repeating.

    Share fim_share of the sequences is infilling, SUFFIX-PREFIX-MIDDLE:
    `<|fim_suffix|>` suffix `<|fim_prefix|>` prefix middle `<|endoftext|>`, its three parts
    tokenised apart since a cursor is a token boundary. The rest is plain text. Share
    context_share of both has, before its text, some lines of another file of the package:
    `<|file_sep|>` path, newline, lines, `<|file_sep|>` path, newline, text.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        tokenizer: Tokenizer,
        *,
        context: int,
        batch: int,
        fim_share: float,
        context_share: float,
        suffix_tokens: int,
        seed: int,
    ) -> None:
        self._documents = documents
        self._tokenizer = tokenizer
        self._context = context
        self._batch = batch
        self._fim_share = fim_share
        self._context_share = context_share
        self._suffix_tokens = suffix_tokens
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._end = token_id(tokenizer, END)
        self._prefix = token_id(tokenizer, PREFIX)
        self._suffix = token_id(tokenizer, SUFFIX)
        self._file = token_id(tokenizer, FILE)
        self._package: dict[str, list[int]] = defaultdict(list)
        for number, document in enumerate(documents):
            self._package[document.source].append(number)
        self._windows = self._walk()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            rows = [self._row() for _ in range(self._batch)]
            ids = np.array([row[0] for row in rows], dtype=np.int64)
            labels = ids[:, 1:].copy()
            for i, (_, used) in enumerate(rows):
                labels[i, max(used - 1, 0) :] = IGNORED
            yield Batch(ids[:, :-1].copy(), labels)

    def _row(self) -> tuple[list[int], int]:
        """(context + 1 token ids, how many of them are no padding)."""
        size = self._context + 1
        row: list[int] = []
        while size - len(row) >= _TAIL:
            row += self._item(next(self._windows), size - len(row))
        used = len(row)
        return row + [self._end] * (size - used), used

    def _item(self, window: Window, room: int) -> list[int]:
        before: list[int] = []
        if room >= _CONTEXT_ROOM and self._random.random() < self._context_share:
            before = self._other_file(window)
        if self._random.random() < self._fim_share:
            span = spans.sample(window.text, self._random)
            ids = self._infilling(span, before, room) if span is not None else []
            if ids:
                return ids
        ids = (before + self._ids(window.text))[:room]
        return [*ids, self._end] if window.ends and len(ids) < room else ids

    def _other_file(self, window: Window) -> list[int]:
        own = self._documents[window.document]
        other = self._documents[self._random.choice(self._package[own.source])]
        at = other.text.find("\n", self._random.randrange(len(other.text))) + 1
        lines = other.text[at : at + _CONTEXT_CHARACTERS].rpartition("\n")[0]
        shown = self._ids(f"{other.path}\n{lines}\n")
        return [self._file, *shown, self._file, *self._ids(own.path + "\n")]

    def _infilling(self, span: spans.Span, before: list[int], room: int) -> list[int]:
        """The sequence for a span, or nothing if its middle does not fit."""
        most = self._random.randint(0, self._suffix_tokens)
        # A suffix is cut at a character, not at one of its tokens' ends.
        suffix = self._ids(span.suffix[: most * 6])[:most]
        middle = self._ids(span.middle)
        left = room - len(suffix) - len(before) - len(middle) - 3
        if left < 0:
            return []
        prefix = span.prefix
        ids = self._ids(prefix)
        while len(ids) > left:
            # Too long: drop whole lines from the left, in proportion to the excess.
            drop = max(1, int(len(prefix) * (len(ids) - left) / len(ids)))
            newline = prefix.find("\n", drop - 1)
            if newline < 0:
                return []
            prefix = prefix[newline + 1 :]
            ids = self._ids(prefix)
        return [self._suffix, *suffix, self._prefix, *before, *ids, *middle, self._end]

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids if text else []

    def _walk(self) -> Iterator[Window]:
        """Windows over all documents in random order, for ever."""
        size = int(self._context * _CHARACTERS_PER_TOKEN)
        # What one row really uses up; windows overlap by the rest.
        step = int(self._context * 3.3)
        while True:
            places = []
            for number, document in enumerate(self._documents):
                offset = self._random.randrange(step) - step
                places += [(number, max(0, at)) for at in range(offset, len(document.text), step)]
            self._random.shuffle(places)
            for number, at in places:
                text = self._documents[number].text
                start = text.find("\n", at) + 1 if at else 0
                if at and not start:
                    continue
                part = text[start : start + size]
                if part.strip():
                    yield Window(number, part, start + size >= len(text))
