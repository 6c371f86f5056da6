from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2assist.generation.brackets import missing, scan

CODE = st.text(alphabet="()[]{}'\"\\#\n ad", max_size=40)


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("f(a, [b", "([("[:2]),
        ("f('(', x)", ""),
        ("f(  # (\n", "("),
        ("s = 'it", "'"),
        ("s = 'it\nf(", "("),
        (r"s = 'it\'s (", "'"),
        ('"""doc (\n', '"""'),
        ("x = foo(\n\ndef f(a", "("),
        ("x = [\n    y for y in z\n    if y", "["),
    ],
)
def test_what_is_open_at_the_end(text: str, opened: object) -> None:
    found = scan(text).opened
    assert "".join(found) == opened


def test_a_closing_knows_what_it_closes() -> None:
    first, second = scan("f(x))", ("(",)).closings
    assert (first.at, first.opener) == (3, 1)
    assert (second.at, second.opener) == (4, -1)


@pytest.mark.parametrize(
    ("opened", "suffix", "wanted"),
    [
        ("(", ")\n", ""),
        ("((", ")\n", "("),
        ("((", ")\n)\n", ""),
        ("(", "\n\ndef f(a):\n    pass\n", "("),
        ("(", "\nx = g()\n", "("),
        ("(", "", "("),
        (("(", '"'), '")', ""),
        (("(", '"'), "\n)", "("),
        (('"""',), '\n    """\n', ""),
        (('"""',), '\n\ndef g():\n    """Other."""\n', ('"""')),
    ],
)
def test_what_the_suffix_does_not_close(opened: object, suffix: str, wanted: str) -> None:
    assert "".join(missing(tuple(opened), suffix)) == wanted  # type: ignore[arg-type]


@given(CODE, CODE)
def test_any_text_can_be_scanned_in_one_piece_or_two(one: str, two: str) -> None:
    whole = scan(one + two)
    assert all(c.opener < c.at < len(one + two) for c in whole.closings)
    assert len(missing(whole.opened, two)) <= len(whole.opened)
