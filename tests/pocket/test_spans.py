from __future__ import annotations

import ast
import inspect
import random
from collections import Counter

import pytest

from p2assist.pocket.build import recipe, spans
from p2assist.pocket.build.spans import Span

TEXT = inspect.getsource(spans)


def drawn(count: int = 400) -> list[Span]:
    random_ = random.Random(1)
    found = [spans.sample(TEXT, random_) for _ in range(count)]
    return [span for span in found if span is not None]


def test_the_parts_join_to_the_text() -> None:
    assert all(span.prefix + span.middle + span.suffix == TEXT for span in drawn())


def test_middles_leave_their_last_newline_to_the_suffix() -> None:
    for span in drawn():
        assert span.middle
        assert not span.middle.endswith("\n")
        assert span.suffix.startswith("\n") or not span.suffix


def test_spans_of_one_line_stay_on_it() -> None:
    for span in drawn():
        if span.kind in {"line", "after_trigger", "mid_line"}:
            assert "\n" not in span.middle
        if span.kind in {"line", "statement", "block", "body"}:
            assert span.prefix.rpartition("\n")[2].strip() == ""
            assert not span.middle.startswith(" ")


def test_every_kind_is_drawn_and_whole_lines_most_often() -> None:
    kinds = Counter(span.kind for span in drawn(2000))

    assert set(kinds) == {"line", "after_trigger", "mid_line", "statement", "block", "body"}
    assert kinds.most_common(1)[0][0] == "line"


def test_a_body_is_all_that_hangs_under_its_def() -> None:
    text = "def f(x):\n    if x:\n        return 1\n\n    return 2\n\n\nz = f(1)\n"
    random_ = random.Random(0)
    bodies = {
        span.middle
        for span in (spans.sample(text, random_) for _ in range(400))
        if span is not None and span.kind == "body"
    }

    assert bodies == {"if x:\n        return 1\n\n    return 2"}


def test_a_statement_reaches_to_its_last_bracket() -> None:
    text = "call(\n    1,\n    2,\n)\nx = 1\n"
    random_ = random.Random(0)
    found = [spans.sample(text, random_) for _ in range(300)]
    statements = {s.middle for s in found if s is not None and s.kind == "statement"}

    assert "call(\n    1,\n    2,\n)" in statements


def test_the_same_seed_draws_the_same_span() -> None:
    assert spans.sample(TEXT, random.Random(7)) == spans.sample(TEXT, random.Random(7))


def test_a_text_with_nothing_to_ask_for_gives_none() -> None:
    assert spans.sample("\n\n\n", random.Random(0)) is None


def test_impossible_cuts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no span 3\.\.2"):
        Span.from_cut("abc", 3, 2, "line")


def test_the_recipe_module_survives_any_cut() -> None:
    source = inspect.getsource(recipe)
    ast.parse(source)
    span = spans.sample(source, random.Random(3))
    assert span is not None
    ast.parse(span.prefix + span.middle + span.suffix)
