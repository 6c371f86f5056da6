"""Brackets and quotes of half-written code: what is open at a place, and what closes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

CLOSES = {")": "(", "]": "[", "}": "{"}
_MARK = re.compile(r"\"\"\"|'''|[\"'()\[\]{}]|#[^\n]*|\n")
_IN_STRING = {
    quote: re.compile(rf"\\.|{quote}" + (r"|\n" if len(quote) == 1 else ""), re.DOTALL)
    for quote in ('"', "'", '"""', "'''")
}
# A line that begins so is a statement of its own, whatever is open above it: the code there is
# half-written. (`for`, `if`, `else`, `in` begin lines within brackets too.)
_STATEMENT = re.compile(
    r"[ \t]*(?:@|(?:def|class|import|return|raise|with|while|try|except|finally|del|assert|pass"
    r"|break)\b)"
)


@dataclass(frozen=True, slots=True)
class Closing:
    """A closing bracket or quote. at: its offset. opener: the offset of what it closes, -1 where
    that was opened before the text."""

    at: int
    mark: str
    opener: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a text does to brackets and quotes. opened: what is open at its end, outermost first.
    closings: every closing mark in order. statement: where the first line begins that starts a
    statement of its own, None where none does."""

    opened: tuple[str, ...]
    closings: tuple[Closing, ...]
    statement: int | None = None


def scan(text: str, opened: tuple[str, ...] = ()) -> Scan:
    """Scans a text that goes on where `opened` is open.

    Does not promise to be right about broken code: a closing bracket of another kind than what is
    open is overlooked, and a line that can only begin a statement closes every bracket.
    """
    stack = [(mark, -1) for mark in opened]  # (mark, offset)
    closings: list[Closing] = []
    statement: int | None = None
    for at, mark in _marks(text, opened[-1] if opened else ""):
        if mark in CLOSES:
            if not stack:  # opened above a line that closed everything, or nowhere
                closings.append(Closing(at, mark, -1))
            elif stack[-1][0] == CLOSES[mark]:
                closings.append(Closing(at, mark, stack.pop()[1]))
        elif mark == "\n":
            stack.clear()
            statement = at if statement is None else statement
        elif mark == "end of line":
            stack.pop()  # a string of one line ends with its line
        elif stack and stack[-1][0] == mark and mark[0] in "\"'":
            closings.append(Closing(at, mark, stack.pop()[1]))
        else:
            stack.append((mark, at))
    return Scan(tuple(mark for mark, _ in stack), tuple(closings), statement)


def _marks(text: str, within: str) -> Iterator[tuple[int, str]]:
    """(offset, mark) of brackets and quotes; '\\n' where a statement begins, 'end of line' where a
    string of one line is cut. within: the innermost thing open before text."""
    at = 0
    quote = within if within in _IN_STRING else ""
    while found := (_IN_STRING[quote] if quote else _MARK).search(text, at):
        at, mark = found.end(), found.group()
        if quote:
            if mark == "\n":
                at = found.start()  # it is code's newline too
                yield at, "end of line"
            elif mark == quote:
                yield found.start(), mark
            quote = "" if mark in (quote, "\n") else quote
        elif mark == "\n":
            if _STATEMENT.match(text, at):
                yield found.start(), "\n"
        elif mark[0] != "#":
            quote = mark if mark in _IN_STRING else ""
            yield found.start(), mark


def missing(opened: tuple[str, ...], suffix: str) -> tuple[str, ...]:
    """Of what is open at the cursor, what the text behind it does not close: an answer may.

    opened: outermost first. Looks no further than the end of the cursor's statement. A docstring
    that is being written has no end yet: the triple quotes behind it are then those of others, an
    even number.
    """
    if opened and len(opened[-1]) == 3 and suffix.count(opened[-1]) % 2 == 0:
        return opened
    seen = scan(suffix, opened)
    end = len(suffix) if seen.statement is None else seen.statement
    foreign = sum(1 for closing in seen.closings if closing.opener < 0 and closing.at < end)
    return opened[: max(0, len(opened) - foreign)]
