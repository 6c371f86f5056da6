from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2assist.generation import window

LONG = "".join(f"line_{number} = {number}\n" for number in range(400))


def encode(text: str) -> list[int]:
    """A token a word or a mark: its hash, to compare, and its length in the last digits."""
    return [hash(word) // 1000 * 1000 + len(word) for word in re.findall(r"\w+|\s|[^\w\s]", text)]


def length(text: str, most: int) -> int:
    """Characters of the window."""
    return sum(token % 1000 for token in window.before(text, most, most // 8, encode, encode))


@given(st.text(alphabet="ab1\n =", max_size=300), st.integers(1, 60))
def test_it_is_an_end_of_the_text_within_its_budget(text: str, most: int) -> None:
    ids = window.before(text, most, max(most // 8, 1), encode, encode)
    assert len(ids) <= most
    assert encode(text)[len(encode(text)) - len(ids) :] == ids
    assert ids or not text.strip("\n")


def test_a_short_text_is_whole() -> None:
    assert window.before("a = 1\nb", 50, 5, encode, encode) == encode("a = 1\nb")
    assert (
        window.before("", 50, 5, encode, encode) == window.before("abc", 0, 5, encode, encode) == []
    )


def test_its_start_stays_while_a_person_types() -> None:
    starts = []
    text = LONG + "    "
    for character in "total = compute(first, second)  # and so on\n    return total\n" * 4:
        text += character
        starts.append(len(text) - length(text, 160))
    moves = sum(one != two for one, two in itertools.pairwise(starts))
    assert starts == sorted(starts)
    assert 0 < moves <= 6  # 248 keystrokes, about 90 tokens
    assert all(text[start - 1] == "\n" for start in starts)


def test_most_of_the_budget_is_used() -> None:
    for cut in range(0, 200, 7):
        ids = window.before(LONG[: len(LONG) - cut], 160, 20, encode, encode)
        assert 160 - 60 <= len(ids) <= 160


def test_within_a_long_line_it_moves_in_steps() -> None:
    line = "x = [" + ", ".join(map(str, range(900)))
    sizes = [len(window.before(line + "1, " * n, 80, 10, encode, encode)) for n in range(60)]
    assert all(70 < size <= 80 for size in sizes)
    text = "first\n" + line
    assert text.endswith("899") and window.before(text + "\n", 80, 10, encode, encode)


@pytest.mark.parametrize("most", [0, 1, 12, 200])
def test_a_suffix_keeps_its_beginning(most: int) -> None:
    ids = window.after(LONG, most, encode)
    assert len(ids) <= most and encode(LONG)[: len(ids)] == ids
