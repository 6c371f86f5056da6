"""The one top-level statement in which two texts of a file differ.

Parsing and compiling that statement alone comes to the same as parsing and compiling the file,
and is ten times faster. Standard library and Python 3.8 or newer: the warm server uses it too.
"""

# ruff: noqa: UP006, UP035
from __future__ import annotations

import ast
from typing import List, NamedTuple, Optional, Tuple

Spans = List[Tuple[int, int]]  # first and last line of each top-level statement, from 1


class Isolated(NamedTuple):
    """first, last: lines of the statement in the old text. old, new: its two texts, on the lines
    where they stand in the file. delta: how many lines longer the new one is."""

    first: int
    last: int
    old: str
    new: str
    delta: int


def spans(module: ast.Module) -> Spans:
    """Those of a parsed file; a statement begins with its first decorator."""
    found = []
    for node in module.body:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno] + [one.lineno for one in decorators])
        found.append((first, node.end_lineno or node.lineno))
    return found


def isolate(old: str, new: str, of_old: Spans) -> Optional[Isolated]:  # noqa: UP045
    """None where the texts do not differ inside of one statement that has its lines for itself,
    or where lines are not what they seem."""
    if "\r" in old or "\r" in new or "\x0c" in old or "\x0c" in new:
        return None
    before, after = old.split("\n"), new.split("\n")
    if any("coding" in line for line in before[:2] + after[:2]):
        return None
    most = min(len(before), len(after))
    head = 0
    while head < most and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < most - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    changed_last = len(before) - tail
    only_put_in = changed_last <= head  # between two lines that are still there
    place = _around((head, head + 1) if only_put_in else (head + 1, changed_last), of_old)
    if place is None:
        return None
    first, last = of_old[place]
    delta = len(after) - len(before)
    padding = "\n" * (first - 1)
    return Isolated(
        first,
        last,
        padding + "\n".join(before[first - 1 : last]) + "\n",
        padding + "\n".join(after[first - 1 : last + delta]) + "\n",
        delta,
    )


_JOINING = ("else", "elif", "except", "finally")


def joins(text: str) -> bool:
    """Whether a statement that does not parse alone may be one with what stands above or below."""
    begin = text.lstrip("\n")
    if begin[:1].isspace() or begin.startswith(_JOINING):
        return True
    last = text.rstrip().rpartition("\n")[2].lstrip()
    quotes = text.count('"""') % 2 or text.count("'''") % 2
    return bool(quotes) or last.startswith("@") or last.endswith("\\")


def _around(inside: Tuple[int, int], of_old: Spans) -> Optional[int]:  # noqa: UP045
    for place, (first, last) in enumerate(of_old):
        if first <= inside[0] and inside[1] <= last:
            alone = (place == 0 or of_old[place - 1][1] < first) and (
                place + 1 == len(of_old) or of_old[place + 1][0] > last
            )
            return place if alone else None
    return None
