from __future__ import annotations

import pytest
from p2assist_lsp.survival import Landed
from p2assist_lsp.text import Edit

SOURCE = "def f(a):\n    return a + 1\n\n\ndef g():\n    pass\n"
TEXT = "return a + 1"


def landed() -> Landed:
    at = SOURCE.index(TEXT)
    return Landed("key", "file:///a.py", "a.py", TEXT, at, 1)


def test_what_stands_there_survived():
    assert landed().share(SOURCE) == 1.0


@pytest.mark.parametrize(
    ("source", "share"),
    [
        (SOURCE.replace("a + 1", "a + 2"), 11 / 12),
        (SOURCE.replace(TEXT, "pass"), 2 / 12),
        (SOURCE.replace(TEXT, "if a:\n        " + TEXT), 1.0),  # indented
        ("# new\n" * 5 + SOURCE, 1.0),
        ("# new\n" * 50 + SOURCE.replace("def", "fed"), 0.0),  # too far to be the same
        ("", 0.0),
    ],
)
def test_how_much_of_it_is_left(source: str, share: float):
    assert landed().share(source) == pytest.approx(share, abs=0.1)


def test_it_moves_with_what_is_put_above():
    one = landed()
    one.edit(Edit(0, "", "import os\n\n"))
    assert (one.at, one.line) == (SOURCE.index(TEXT) + 11, 3)
    one.edit(Edit(0, "import os\n\n", ""))
    assert (one.at, one.line) == (SOURCE.index(TEXT), 1)
    one.edit(Edit(len(SOURCE), "", "x"))
    assert one.at == SOURCE.index(TEXT)


def test_an_edit_across_its_begin_puts_it_behind():
    one = landed()
    one.edit(Edit(one.at - 4, SOURCE[one.at - 4 : one.at + 6], "yield"))
    assert one.at == SOURCE.index(TEXT) - 4 + 5
