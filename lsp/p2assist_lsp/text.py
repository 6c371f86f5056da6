"""A document as the editor holds it: its text, positions in it, and every edit.

Lines end where the protocol says: at CR LF, CR or LF, and nowhere else (Python's splitlines ends
them at a form feed too). Positions are code points of the text here, and whatever units the client
has chosen outside.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

Encoding = Literal["utf-8", "utf-16", "utf-32"]
_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Edit:
    """The text from start on, `removed`, became `inserted`; offsets and texts with '\\n' ends."""

    start: int
    removed: str
    inserted: str

    @property
    def end(self) -> int:
        return self.start + len(self.removed)

    @property
    def least(self) -> Edit:
        """The same edit without what it leaves as it is."""
        same = 0
        most = min(len(self.removed), len(self.inserted))
        while same < most and self.removed[same] == self.inserted[same]:
            same += 1
        tail = 0
        while tail < most - same and self.removed[-1 - tail] == self.inserted[-1 - tail]:
            tail += 1
        until = -tail or None
        return Edit(self.start + same, self.removed[same:until], self.inserted[same:until])


class Document:
    """One open document."""

    def __init__(
        self, uri: str, text: str, *, version: int = 0, encoding: Encoding = "utf-16"
    ) -> None:
        self.uri, self.version, self._encoding = uri, version, encoding
        self._text = text
        self._starts: list[int] | None = None
        self._source: str | None = None

    @property
    def text(self) -> str:
        """As the editor has it."""
        return self._text

    @property
    def source(self) -> str:
        """With '\\n' ends: what tasks are made of."""
        if self._source is None:
            self._source = newlines(self._text)
        return self._source

    @property
    def lines(self) -> int:
        return len(self._lines())

    def offset(self, line: int, character: int) -> int:
        """Of a position, in source; beyond the end of a line, or of the text, is that end."""
        return self._in_source(self._raw(line, character))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and character, in the client's units, of an offset in source."""
        before = self.source[:offset]
        line = before.count("\n")
        return line, units(before[before.rfind("\n") + 1 :], self._encoding)

    def replace(self, text: str) -> Edit:
        """The whole text anew."""
        edit = Edit(0, self.source, newlines(text))
        self._set(text)
        return edit

    def edit(self, start: tuple[int, int], end: tuple[int, int], text: str) -> Edit:
        """Put text between two positions."""
        first, last = sorted((self._raw(*start), self._raw(*end)))
        edit = Edit(self._in_source(first), newlines(self._text[first:last]), newlines(text))
        starts = self._starts_after(first, last, text)
        self._set(self._text[:first] + text + self._text[last:])
        self._starts = starts
        return edit

    def _starts_after(self, first: int, last: int, text: str) -> list[int] | None:
        """Where lines start once text stands from first to last; None where a CR LF may come to be
        or to an end."""
        if "\r" in text or "\r" in self._text:
            return None
        starts = self._lines()
        above, below = bisect_right(starts, first), bisect_right(starts, last)
        inside = [first + match.end() for match in _END.finditer(text)]
        longer = len(text) - (last - first)
        return [*starts[:above], *inside, *(start + longer for start in starts[below:])]

    def _set(self, text: str) -> None:
        self._text, self._starts, self._source = text, None, None

    def _lines(self) -> list[int]:
        if self._starts is None:
            self._starts = [0, *(match.end() for match in _END.finditer(self._text))]
        return self._starts

    def _raw(self, line: int, character: int) -> int:
        starts = self._lines()
        if line < 0:
            return 0
        if line >= len(starts):
            return len(self._text)
        start = starts[line]
        stop = starts[line + 1] if line + 1 < len(starts) else len(self._text)
        row = self._text[start:stop].rstrip("\r\n")
        return start + points(row, max(character, 0), self._encoding)

    def _in_source(self, raw: int) -> int:
        return raw - self._text.count("\r\n", 0, raw) if "\r" in self._text else raw


def newlines(text: str) -> str:
    """The text with '\\n' for every line end."""
    return _END.sub("\n", text) if "\r" in text else text


def units(text: str, encoding: Encoding) -> int:
    """How long the text is in the client's units."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text) + sum(character > "\uffff" for character in text)


def points(text: str, count: int, encoding: Encoding) -> int:
    """How many code points of the text the first so many units are; a half one counts not."""
    if encoding == "utf-32" or text.isascii():
        return min(count, len(text))
    for number, character in enumerate(text):
        size = units(character, encoding)
        if count < size:
            return number
        count -= size
    return len(text)
