from __future__ import annotations

from p2assist.generation.budget import chosen, without
from p2assist.generation.request import Snippet, SnippetKind

OPEN, RECENT = SnippetKind.OPEN, SnippetKind.RECENT
SIGNATURES, DEFINITION = SnippetKind.SIGNATURES, SnippetKind.DEFINITION


def shown(path: str, text: str) -> str:
    return f"{path}\n{text}\n"


def encode(text: str) -> list[int]:
    return [hash(word) for word in text.split()]


def words(count: int, word: str = "w") -> str:
    return "\n".join(f"{word}{number}" for number in range(count))


def test_all_that_fits_is_there_the_last_changing_first() -> None:
    context = (
        Snippet(DEFINITION, "d.py", words(20)),
        Snippet(DEFINITION, "e.py", words(20)),
        Snippet(OPEN, "o.py", words(20)),
        Snippet(SIGNATURES, "s.py", words(20)),
        Snippet(RECENT, "r.py", words(20)),
    )
    found = chosen(context, 200, shown, encode)
    assert [s.path for s in found] == ["o.py", "r.py", "s.py", "d.py", "e.py"]
    assert found[0].text == shown("o.py", words(20)) and len(found[0].ids) == 21
    assert found[0].kind == OPEN


def test_one_kind_takes_no_more_than_its_share_from_the_others() -> None:
    greedy = tuple(Snippet(OPEN, f"{n}.py", words(40)) for n in range(9))
    found = chosen((*greedy, Snippet(DEFINITION, "d.py", words(40))), 100, shown, encode)
    assert sum(len(s.ids) for s in found if s.kind == DEFINITION) == 41
    assert sum(len(s.ids) for s in found) <= 100


def test_what_a_kind_leaves_goes_to_the_others() -> None:
    only = tuple(Snippet(OPEN, f"{n}.py", words(20)) for n in range(9))
    assert sum(len(s.ids) for s in chosen(only, 100, shown, encode)) > 80


def test_of_a_long_one_the_first_lines() -> None:
    [section] = chosen((Snippet(DEFINITION, "d.py", words(500)),), 60, shown, encode)
    assert section.text.startswith("d.py\nw0\nw1\n") and 20 < len(section.ids) <= 60
    assert chosen((Snippet(DEFINITION, "d.py", words(500)),), 8, shown, encode) == []


def test_signatures_that_the_window_shows_are_left_out() -> None:
    outline = "import os\ndef far(a):\ndef near(a, b):\nclass Near(Base):\n    def near(self):\n"
    window = "def near(a,\n         b):\n    pass\nclass Near(\n  Base):\n"
    left, other = without(
        (Snippet(SIGNATURES, "s.py", outline), Snippet(DEFINITION, "d.py", "def near(a): ...")),
        window,
    )
    assert left.text == "import os\ndef far(a):\n"
    assert other.text == "def near(a): ..."
    assert without((Snippet(SIGNATURES, "s.py", "import os\n"),), "import os\n") == ()
