"""What a prompt holds, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from p2assist.generation.request import Context, SnippetKind
from p2assist.generation.section import PREFIX, SUFFIX, TEMPLATE, Section

_STYLES = {
    PREFIX: "bold",
    SUFFIX: "yellow",
    TEMPLATE: "dim magenta",
    SnippetKind.SIGNATURES: "cyan",
    SnippetKind.DEFINITION: "green",
    SnippetKind.RECENT: "blue",
    SnippetKind.OPEN: "bright_blue",
    SnippetKind.SIMILAR: "bright_cyan",
}


def to_json(sections: Sequence[Section]) -> dict[str, object]:
    """The sections in order with their token counts, and the count of all."""
    return {
        "tokens": sum(len(section.ids) for section in sections),
        "sections": [
            {
                "kind": str(section.kind),
                "path": section.path,
                "tokens": len(section.ids),
                "text": section.text,
            }
            for section in sections
        ],
    }


def table(sections: Sequence[Section], context: Context) -> RenderableType:
    """The prompt itself, coloured by kind, above the tokens of each kind and what was left out."""
    shown = Text()
    for section in sections:
        shown.append(section.text, style=_STYLES[section.kind])
    counts = Table(box=None, pad_edge=False, header_style="dim")
    counts.add_column("part")
    counts.add_column("tokens", justify="right")
    counts.add_column("of")
    for kind, style in _STYLES.items():
        mine = [section for section in sections if section.kind == kind]
        paths = dict.fromkeys(section.path for section in mine if section.path)
        if mine:
            tokens = sum(len(section.ids) for section in mine)
            counts.add_row(Text(kind, style=style), str(tokens), Text(", ".join(paths)))
    counts.add_row("all", str(sum(len(section.ids) for section in sections)), "")
    return Group(shown, "", counts, *_left_out(sections, context))


def _left_out(sections: Sequence[Section], context: Context) -> list[RenderableType]:
    there = {(section.kind, section.path) for section in sections}
    absent = [s for s in context if s.text.strip() and (s.kind, s.path) not in there]
    if not absent:
        return []
    names = ", ".join(f"{snippet.kind} of {snippet.path}" for snippet in absent)
    return [Text(f"found, and not in the prompt: {names}", style="dim")]
