from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2assist.errors import LearningError
from p2assist.learning.evaluate import Evaluation, TaskResult
from p2assist.learning.gate import METRICS, MIN_FUNCTIONS, decide

K = 8
places = st.one_of(st.none(), st.integers(1, K))


def evaluation(samples, k=K, per_function=1):
    rows = [
        TaskResult(f"t{n}", f"f{n // per_function}", (1.0 if s == 1 else 0.0,) * k, s)
        for n, s in enumerate(samples)
    ]
    return Evaluation("m", "", k, tuple(rows))


pairs = st.lists(st.tuples(places, places), min_size=2 * MIN_FUNCTIONS, max_size=80)


@settings(max_examples=40, deadline=None)
@given(st.lists(places, min_size=MIN_FUNCTIONS, max_size=80), st.sampled_from(sorted(METRICS)))
def test_the_same_results_never_promote(samples, metric):
    decision = decide(evaluation(samples), evaluation(samples), metric=metric)
    assert not decision.promote
    assert decision.difference == decision.low == decision.high == 0.0
    assert "not shown to be better" in decision.reason


@settings(max_examples=40, deadline=None)
@given(pairs, st.integers(1, 2), st.integers(0, 3))
def test_swapping_the_sides_mirrors_the_decision(samples, per_function, seed):
    before, after = (
        evaluation(side, per_function=per_function) for side in zip(*samples, strict=True)
    )
    one, two = decide(before, after, seed=seed), decide(after, before, seed=seed)
    assert one.difference == pytest.approx(-two.difference)
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low))
    assert not (one.promote and two.promote)
    if one.promote:
        assert "worse" in two.reason


@settings(max_examples=40, deadline=None)
@given(pairs)
def test_the_difference_is_that_of_the_means_and_lies_in_its_interval(samples):
    before, after = (evaluation(side) for side in zip(*samples, strict=True))
    decision = decide(before, after)
    mean = sum((1 / b if b else 0) - (1 / a if a else 0) for a, b in samples) / len(samples)
    assert decision.difference == pytest.approx(mean)
    wide = decide(before, after, confidence=0.99)
    assert wide.low <= decision.low <= decision.high <= wide.high
    assert decision.low - 1e-9 <= decision.difference <= decision.high + 1e-9


def test_clearly_better_promotes_and_says_why():
    decision = decide(evaluation([None] * 30 + [1] * 10), evaluation([1] * 30 + [1] * 10))
    assert decision.promote
    assert decision.functions == 40
    for figure in ("the Challenger is better", "+0.750", "90%", "0.250 -> 1.000", "40 held-out"):
        assert figure in decision.reason


def test_climbing_to_an_earlier_place_is_enough():
    assert decide(evaluation([8] * 40), evaluation([2] * 40)).promote
    assert not decide(evaluation([8] * 40), evaluation([2] * 40), metric="pass@1").promote


def test_one_lucky_function_is_not_enough():
    decision = decide(evaluation([None] * 40), evaluation([1] + [None] * 39))
    assert not decision.promote
    assert decision.low == 0.0


def test_many_tasks_of_one_function_are_one_observation():
    """20 tasks won, all of one function: by task it would be clear, by function it is luck."""
    before = [None] * 220
    after = [1] * 20 + [None] * 200
    assert decide(evaluation(before), evaluation(after)).promote
    assert not decide(
        evaluation(before, per_function=20), evaluation(after, per_function=20)
    ).promote


def test_pass_at_1_may_not_fall():
    before = [1, *[None] * 39]
    after = [2, *[2] * 39]
    decision = decide(evaluation(before), evaluation(after))
    assert decision.low > 0
    assert not decision.promote
    assert "pass@1 fell" in decision.reason


def test_pass_at_k_may_not_clearly_fall():
    before = [2] * 40
    after = [1] * 28 + [None] * 12
    decision = decide(evaluation(before), evaluation(after))
    assert decision.low > 0
    assert not decision.promote
    assert "pass@8 fell" in decision.reason


@pytest.mark.parametrize(
    ("champion", "challenger", "words"),
    [
        (evaluation([1] * 20), evaluation([1] * 21), "different held-out tasks"),
        (evaluation([1] * 20), evaluation([1] * 20, k=4), "8 candidates a task against 4"),
        (evaluation([None] * 9), evaluation([1] * 9), "9 held-out functions"),
        (evaluation([]), evaluation([]), "0 held-out functions"),
    ],
)
def test_what_cannot_be_compared_is_refused(champion, challenger, words):
    decision = decide(champion, challenger)
    assert not decision.promote
    assert words in decision.reason
    assert decision.difference is decision.low is decision.high is None


def test_the_same_tasks_in_another_order_are_compared():
    before, after = evaluation([None] * 20), evaluation([1] * 20)
    shuffled = Evaluation("m", "", K, tuple(reversed(after.results)))
    assert decide(before, shuffled) == decide(before, after)


def test_an_unknown_metric_is_refused():
    with pytest.raises(LearningError, match="reciprocal rank"):
        decide(evaluation([1] * 20), evaluation([1] * 20), metric="vibes")
