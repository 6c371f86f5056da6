"""Where an editor would ask: cut a text into prefix, middle and suffix.

Works on indentation and brackets alone, so that it is cheap enough to run while training
and also serves text that does not parse.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

_TRIGGER = re.compile(r"\.(?=\w)|\((?=\S)|(?<![=!<>])= (?=\S)|\b(?:return|yield|import|in|not) ")
_WORD = re.compile(r"(?<=\W)(?=\w)|(?<=\w)(?=\W)|(?<=[a-z])(?=[A-Z_])")
_LONGEST = 700  # characters of a middle
_TRIES = 12


@dataclass(frozen=True)
class Span:
    """The middle of a text: the characters start..end. prefix + middle + suffix is the text."""

    prefix: str
    middle: str
    suffix: str
    kind: str

    @classmethod
    def from_cut(cls, text: str, start: int, end: int, kind: str) -> Span:
        """Cut the text at two character positions."""
        if not 0 <= start < end <= len(text):
            raise ValueError(f"no span {start}..{end} in a text of {len(text)} characters")
        return cls(text[:start], text[start:end], text[end:], kind)


@dataclass(frozen=True)
class _Lines:
    """A text by lines; starts holds each line's offset, indents its leading blanks."""

    text: str
    rows: tuple[str, ...]
    starts: tuple[int, ...]

    @classmethod
    def from_text(cls, text: str) -> _Lines:
        rows = tuple(text.split("\n"))
        starts, at = [], 0
        for row in rows:
            starts.append(at)
            at += len(row) + 1
        return cls(text, rows, tuple(starts))

    def indent(self, i: int) -> int:
        return len(self.rows[i]) - len(self.rows[i].lstrip(" "))

    def end(self, i: int) -> int:
        return self.starts[i] + len(self.rows[i])

    def blank(self, i: int) -> bool:
        return not self.rows[i].strip()


def sample(text: str, random_: random.Random) -> Span | None:
    """A random span of the text, or None if none was found in a few tries."""
    lines = _Lines.from_text(text)
    for _ in range(_TRIES):
        maker = random_.choices(_MAKERS, _WEIGHTS)[0]
        row = random_.randrange(len(lines.rows))
        if lines.blank(row):
            continue
        cut = maker(lines, row, random_)
        if cut is not None and cut[0] < cut[1] <= cut[0] + _LONGEST:
            return Span.from_cut(text, *cut, kind=maker.__name__.strip("_"))
    return None


_Maker = Callable[[_Lines, int, random.Random], tuple[int, int] | None]


def _line(lines: _Lines, row: int, _: random.Random) -> tuple[int, int] | None:
    return lines.starts[row] + lines.indent(row), lines.end(row)


def _after_trigger(lines: _Lines, row: int, random_: random.Random) -> tuple[int, int] | None:
    places = [match.end() for match in _TRIGGER.finditer(lines.rows[row])]
    return (lines.starts[row] + random_.choice(places), lines.end(row)) if places else None


def _mid_line(lines: _Lines, row: int, random_: random.Random) -> tuple[int, int] | None:
    indent = lines.indent(row)
    places = [m.start() for m in _WORD.finditer(lines.rows[row]) if m.start() > indent]
    return (lines.starts[row] + random_.choice(places), lines.end(row)) if places else None


def _statement(lines: _Lines, row: int, _: random.Random) -> tuple[int, int] | None:
    """From the line's first character to where its brackets are closed again."""
    depth, last = 0, row
    while last < len(lines.rows):
        depth += sum(lines.rows[last].count(c) for c in "([{")
        depth -= sum(lines.rows[last].count(c) for c in ")]}")
        if depth <= 0:
            break
        last += 1
    if depth or last >= len(lines.rows):
        return None
    return lines.starts[row] + lines.indent(row), lines.end(last)


def _block(lines: _Lines, row: int, random_: random.Random) -> tuple[int, int] | None:
    """Some lines that are indented at least as deep as their first."""
    indent, last = lines.indent(row), row
    for i in range(row + 1, min(len(lines.rows), row + random_.randint(2, 8))):
        if not lines.blank(i):
            if lines.indent(i) < indent:
                break
            last = i
    return (lines.starts[row] + indent, lines.end(last)) if last > row else None


def _body(lines: _Lines, row: int, _: random.Random) -> tuple[int, int] | None:
    """What hangs under the nearest `def` at or above the line."""
    while row >= 0 and not lines.rows[row].lstrip().startswith(("def ", "async def ")):
        row -= 1
    if row < 0 or not lines.rows[row].rstrip().endswith(":"):
        return None
    indent, last = lines.indent(row), row
    for i in range(row + 1, len(lines.rows)):
        if not lines.blank(i):
            if lines.indent(i) <= indent:
                break
            last = i
    if last == row or last == len(lines.rows) - 1:
        return None
    first = next(i for i in range(row + 1, last + 1) if not lines.blank(i))
    return lines.starts[first] + lines.indent(first), lines.end(last)


_MAKERS: tuple[_Maker, ...] = (_line, _after_trigger, _mid_line, _statement, _block, _body)
_WEIGHTS = (40, 22, 10, 10, 12, 6)
