"""Offers: in which order, and what their evidence says."""

from __future__ import annotations

import math

import pytest
from p2assist_lsp.offers import Choice, Offer, State

from p2assist.experience import Candidate, CoveringTest, Outcome, Task, TestOutcome, TestReport
from p2assist.p2value import P2Settings

SETTINGS = P2Settings()
TESTS = tuple(CoveringTest(f"t.py::test_{name}", "0") for name in "abc")


def offer(**possibilities: float) -> Offer:
    """Candidates named by their texts, of one token each."""
    task = Task("a.py", "x = \n", 4, 4, tests=TESTS)
    found = [
        Candidate(text, rank=rank, logprob=math.log(given), num_tokens=1, model="fake")
        for rank, (text, given) in enumerate(possibilities.items())
    ]
    return Offer.of("file:///a.py", 3, task, found)


def report(passed: int, total: int = 3, outcome: Outcome = Outcome.FAILED) -> TestReport:
    given = [Outcome.PASSED] * passed + [outcome] * (total - passed)
    return TestReport(tuple(TestOutcome(t.node_id, o) for t, o in zip(TESTS, given, strict=False)))


def choice(made: Offer, text: str) -> Choice:
    return next(one for one in made.choices if one.text == text)


def order(made: Offer) -> list[str]:
    return [one.text for one in made.ranked(SETTINGS)]


def test_the_models_order_until_a_test_has_spoken() -> None:
    assert order(offer(a=0.5, b=0.9)) == ["a", "b"]


def test_what_passes_comes_before_what_fails_whatever_the_model_says() -> None:
    made = offer(failing=0.99, passing=0.2, better=0.3, worse=0.98)
    choice(made, "failing").tested(report(2))
    choice(made, "passing").tested(report(3))
    choice(made, "better").tested(report(3))
    choice(made, "worse").tested(report(0))
    assert order(made) == ["better", "passing", "failing", "worse"]
    told = made.told(SETTINGS)["candidates"]
    assert [one["rank"] for one in told] == [0, 1, 2, 3]
    assert told[2]["p2value"] > told[0]["p2value"]  # the sum alone would have it first


def test_what_waits_counts_as_if_it_passes() -> None:
    made = offer(failing=0.9, waiting=0.3, passing=0.2)
    choice(made, "failing").tested(report(1))
    choice(made, "passing").tested(report(3))
    choice(made, "waiting").state = State.TESTING
    assert order(made) == ["waiting", "passing", "failing"]


def test_what_may_not_run_fails() -> None:
    made = offer(refused=0.9, passing=0.1)
    choice(made, "refused").tested(report(0, outcome=Outcome.REFUSED))
    choice(made, "passing").tested(report(3))
    assert choice(made, "refused").state is State.REFUSED
    assert choice(made, "refused").fails
    assert order(made) == ["passing", "refused"]


@pytest.mark.parametrize(
    ("passed", "total", "words", "state"),
    [
        (3, 3, "3/3 covering tests pass", State.TESTED),
        (2, 3, "fails test_c", State.TESTED),
        (0, 3, "fails test_a and 2 more", State.TESTED),
        (0, 0, "no covering test", State.UNTESTED),
    ],
)
def test_evidence_in_words(passed: int, total: int, words: str, state: State) -> None:
    (one,) = offer(a=0.5).choices
    assert one.evidence == "not tested yet"
    one.tested(report(passed, total))
    assert one.evidence == words
    assert one.state is state
    assert one.pass_rate == (passed / total if total else None)


def test_choices_that_make_the_same_file_mean_the_same() -> None:
    one, two = offer(a=0.5, b=0.4), offer(a=0.9)
    meanings = [one.meaning(c) for c in one.choices]
    assert meanings[0] != meanings[1]
    assert two.meaning(two.choices[0]) == meanings[0]
    assert one.find(one.choices[1].id) is one.choices[1]
    assert one.find(two.choices[0].id) is None
