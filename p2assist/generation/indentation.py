"""The indentation of generated lines, made such that Python takes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from p2assist.generation.brackets import scan

_LEAD = re.compile(r"[ \t]*")
_OPENS = re.compile(r":\s*(?:\#.*)?$")
_TAB = 4  # columns of a tab where the file is indented with tabs: what models write for one


@dataclass(frozen=True, slots=True)
class Blanks:
    """How a file is indented. unit: columns of one level. tabs: whether a level is one tab."""

    unit: int = 4
    tabs: bool = False

    @classmethod
    def of(cls, text: str) -> Blanks:
        """From the lines of a text; four spaces where none is indented."""
        leads = {_lead(line) for line in text.split("\n") if line.strip()} - {""}
        if any(lead.startswith("\t") for lead in leads):
            return cls(_TAB, tabs=True)
        widths = [len(lead) for lead in leads if len(lead) > 1]
        return cls(min(widths, default=4))

    def width(self, line: str) -> int:
        """Columns of the blanks that the line begins with."""
        return len(_lead(line).expandtabs(self.unit))

    def lead(self, width: int) -> str:
        if not self.tabs:
            return " " * width
        return "\t" * (width // self.unit) + " " * (width % self.unit)


def reindent(text: str, prefix: str, *, within: bool) -> str:
    """The text with its lines at columns that go with the lines above it and with each other.

    within: a bracket or a string is open at the cursor; the text is left as it is then. So are
    lines within the text's own brackets and strings, and comments.
    """
    if within or not text:
        return text
    head = prefix[prefix.rfind("\n") + 1 :]
    above = prefix[: len(prefix) - len(head)]
    blanks = Blanks.of(above[-20_000:] + head + "x")
    levels = _levels(above, blanks)
    first, *others = text.split("\n")
    if not head.strip():
        first = _first(first, head, above, levels, blanks)
    return "\n".join([first, *_others(first, others, head, levels, blanks)])


def _first(line: str, head: str, above: str, levels: list[int], blanks: Blanks) -> str:
    """The cursor's own line, where the cursor is in its indentation."""
    if not _lead(line):
        return line
    before = next((row for row in reversed(above.split("\n")) if _is_code(row)), "")
    least, full = blanks.width(head), blanks.width(head + line)
    if _OPENS.search(before):
        deeper = max(least, full) if least <= blanks.width(before) else least
        return blanks.lead(deeper)[len(blanks.lead(least)) :] + line.lstrip()
    fitting = [level for level in (*levels, 0) if least <= level <= full]
    return blanks.lead(max(fitting, default=least))[len(blanks.lead(least)) :] + line.lstrip()


def _others(
    first: str, lines: list[str], head: str, levels: list[int], blanks: Blanks
) -> list[str]:
    before, width = head + first, blanks.width(head + first)
    kept = [level for level in levels if level < width] + [width]
    done: list[str] = []
    for at, line in enumerate(lines):
        inside = scan("\n".join([head + first, *lines[:at]])).opened or before.endswith("\\")
        if inside or not _is_code(line):
            done.append(line)
            before = line if inside else before
            continue
        column = blanks.width(line)
        if _OPENS.search(before):
            width = column if column > width else width + blanks.unit
            kept.append(width)
        else:
            width = min(kept, key=lambda level: (abs(level - column), -level))
            kept = [level for level in kept if level <= width]
        done.append(blanks.lead(width) + line.lstrip())
        before = line
    return done


def _levels(above: str, blanks: Blanks) -> list[int]:
    """The columns of the blocks that are open above the cursor, outermost first."""
    found: list[int] = []
    for line in reversed(above.split("\n")):
        if _is_code(line) and (not found or blanks.width(line) < found[-1]):
            found.append(blanks.width(line))
            if found[-1] == 0:
                break
    return found[::-1]


def _lead(line: str) -> str:
    found = _LEAD.match(line)
    return found.group() if found else ""


def _is_code(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")
