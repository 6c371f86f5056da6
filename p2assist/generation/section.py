"""The parts of a prompt, such that what is in it can be shown."""

from __future__ import annotations

from dataclasses import dataclass

PREFIX, SUFFIX, TEMPLATE = "prefix", "suffix", "template"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a prompt. kind: PREFIX, SUFFIX, TEMPLATE (the family's own tokens), or the
    SnippetKind of repository context. text: what it says. ids: its token ids. path: of the file
    that it is from, '' for TEMPLATE."""

    kind: str
    text: str
    ids: tuple[int, ...] = ()
    path: str = ""
