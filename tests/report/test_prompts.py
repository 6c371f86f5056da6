from __future__ import annotations

import io

from rich.console import Console

from p2assist.generation.request import Snippet, SnippetKind
from p2assist.generation.section import PREFIX, TEMPLATE, Section
from p2assist.report.prompts import table, to_json

SECTIONS = (
    Section(TEMPLATE, "<|file_sep|>", (4,)),
    Section(SnippetKind.OPEN, "b.py\nx = [1]\n", (5, 6, 7), "b.py"),
    Section(PREFIX, "y = [", (8, 9), "a.py"),
)


def test_json_counts_the_tokens_of_every_part() -> None:
    found = to_json(SECTIONS)
    assert found["tokens"] == 6
    assert found["sections"][1] == {  # type: ignore[index]
        "kind": "open",
        "path": "b.py",
        "tokens": 3,
        "text": "b.py\nx = [1]\n",
    }


def test_people_see_the_prompt_as_it_is_and_what_was_left_out() -> None:
    context = (
        Snippet(SnippetKind.OPEN, "b.py", "x = [1]"),
        Snippet(SnippetKind.RECENT, "c.py", "z"),
        Snippet(SnippetKind.SIGNATURES, "a.py", ""),
    )
    stream = io.StringIO()
    Console(file=stream, width=80, color_system="truecolor", force_terminal=True).print(
        table(SECTIONS, context)
    )
    shown = stream.getvalue()
    assert "x = [1]" in shown and "\x1b[" in shown
    assert "recent of c.py" in shown and "signatures of" not in shown and "open of" not in shown
