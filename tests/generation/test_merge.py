from __future__ import annotations

import math

import pytest

from p2assist.generation.merge import Beam, clean, mass, merge


def beam(text: str, logprob: float, tokens: int = 2, first: int = 5) -> Beam:
    return Beam(text, tuple(range(first, first + tokens)), logprob, tokens - 1)


def test_one_candidate_a_text_with_its_best_beam_and_all_its_mass() -> None:
    made = merge([beam("a", -3.0, 3, 20), beam("b", -2.0), beam("a", -1.0, 2, 10)], limit=8)
    assert [(c.text, c.rank) for c in made] == [("a", 0), ("b", 1)]
    assert (made[0].logprob, made[0].num_tokens, made[0].token_ids) == (-1.0, 2, (10,))
    assert made[0].mass == pytest.approx(math.log(math.exp(-1) + math.exp(-3)))
    assert made[1].mass == made[1].logprob == -2.0


def test_the_limit_and_the_names_are_kept() -> None:
    beams = [beam(str(number), -float(number), 2) for number in range(1, 6)]
    made = merge(beams, limit=3, model="m", adapter="a")
    assert [c.text for c in made] == ["1", "2", "3"]
    assert {(c.model, c.adapter) for c in made} == {("m", "a")}


def test_the_sum_ranks() -> None:
    beams = [beam("long", -2.0, 8), beam("short", -1.0, 1), beam("longest", -3.0, 30)]
    assert [c.text for c in merge(beams, limit=2)] == ["short", "long"]


def test_equals_come_in_one_order_whatever_order_they_finished_in() -> None:
    beams = [beam("b", -1.0), beam("a", -1.0), beam("c", -1.0)]
    assert merge(beams, limit=2) == merge(beams[::-1], limit=2)


def test_clean_makes_the_same_of_what_differs_at_the_end_only() -> None:
    assert clean("a \r\nb\t\n ") == clean("a \nb") == "a \nb"
    assert clean("  a") == "  a"


def test_mass_is_exact_where_probabilities_vanish() -> None:
    assert mass([-1000.0, -1000.0]) == pytest.approx(-1000 + math.log(2))
    assert mass([-math.inf]) == -math.inf
    assert mass([-2.0]) == -2.0
