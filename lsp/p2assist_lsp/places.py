"""The place in a buffer that is to be completed: told without parsing, since it is half-written."""

from __future__ import annotations

import re

from p2assist.experience import SpanKind, Task
from p2assist.generation.brackets import scan

_SCOPE = re.compile(r"(?P<indent>[ \t]*)(?:async[ \t]+)?(?P<kind>def|class)[ \t]+(?P<name>\w+)")
_QUOTES = frozenset({"'", '"', "'''", '"""'})
_TAB = 8


def task_at(path: str, source: str, offset: int, *, long: bool = False) -> Task:
    """The task of completing at a bare cursor: the rest of the line, or, where long answers are
    wanted and the cursor opens a block, the block. Its tests are not known yet."""
    kind = SpanKind.BLOCK if long and opens_block(source, offset) else SpanKind.LINE
    return Task(path, source, offset, offset, kind=kind, function=function_at(source, offset))


def function_at(source: str, offset: int) -> str:
    """Qualified name of the outermost function around the offset, '' where there is none.

    By indentation alone; text in strings that looks like code can mislead it.
    """
    line_start = source.rfind("\n", 0, offset) + 1
    line = source[line_start:].partition("\n")[0]
    blank = not line.strip()
    width = offset - line_start if blank else len(line) - len(line.lstrip())
    limit = _width(line[:width])
    own = _SCOPE.match(line)
    chain: list[tuple[str, str]] = [(own["kind"], own["name"])] if own else []
    for row in reversed(source[:line_start].split("\n")):
        if limit == 0:
            break
        text = row.strip()
        if not text or text.startswith("#"):
            continue
        indent = _width(row[: len(row) - len(row.lstrip())])
        if indent >= limit:
            continue
        scope = _SCOPE.match(row)
        if scope or not text.startswith((")", "]", "}")):
            limit = indent
        if scope:
            chain.append((scope["kind"], scope["name"]))
    names = []
    for kind, name in reversed(chain):
        names.append(name)
        if kind == "def":
            return ".".join(names)
    return ""


def opens_block(source: str, offset: int) -> bool:
    """Whether the cursor is on an empty line below a header such as `def f():`."""
    line_start = source.rfind("\n", 0, offset) + 1
    if source[line_start:].partition("\n")[0].strip():
        return False
    above = source[:line_start].rstrip()
    return above.rpartition("\n")[2].partition("#")[0].rstrip().endswith(":")


def word_follows(source: str, offset: int) -> bool:
    """Whether a word goes on right of the cursor: what is offered would be glued to it."""
    following = source[offset : offset + 1]
    return following.isalnum() or following == "_"


def in_string(source: str, offset: int) -> bool:
    opened = scan(source[:offset]).opened
    return bool(opened) and opened[-1] in _QUOTES


def in_comment(source: str, offset: int) -> bool:
    line_start = source.rfind("\n", 0, offset) + 1
    line = source[line_start:offset]
    marks = (match.start() for match in re.finditer("#", line))
    return any(not in_string(source, line_start + at) for at in marks)


def _width(blanks: str) -> int:
    return len(blanks.expandtabs(_TAB))
