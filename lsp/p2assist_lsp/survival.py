"""Whether what was accepted is still there: after 30 s, 2 min, 10 min, and at the next commit."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from p2assist_lsp.text import Edit

AFTER = (30.0, 120.0, 600.0)  # seconds
_NEAR = 20  # lines above and below where it may have moved to


@dataclass(slots=True)
class Landed:
    """A text that was accepted. key: of its experience. at: its offset, kept up through edits."""

    key: str
    uri: str
    path: str
    text: str
    at: int
    line: int

    def edit(self, edit: Edit) -> None:
        if edit.end <= self.at:
            self.at += len(edit.inserted) - len(edit.removed)
            self.line += edit.inserted.count("\n") - edit.removed.count("\n")
        elif edit.start < self.at:
            self.at = edit.start + len(edit.inserted)

    def share(self, source: str) -> float:
        """How much of the text is still there or nearby, 0..1: 1 - edit distance, at its best."""
        wanted = self.text.strip()
        if not wanted or source.startswith(self.text, self.at):
            return 1.0
        rows = source.split("\n")
        height = wanted.count("\n") + 1
        first = max(self.line - _NEAR, 0)
        best = 0.0
        for row in range(first, min(self.line + _NEAR + 1, len(rows))):
            there = "\n".join(rows[row : row + height])
            if wanted in there:
                return 1.0
            best = max(best, _alike(wanted, there.strip()))
        return best


def _alike(wanted: str, there: str) -> float:
    """The share of wanted's characters found in order in there, which may hold more before it."""
    blocks = difflib.SequenceMatcher(None, there, wanted, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(wanted)
