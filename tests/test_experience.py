"""The vocabulary: what follows from the fields of its values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from p2assist.experience import (
    Candidate,
    Change,
    Experience,
    Outcome,
    Source,
    SpanKind,
    Task,
    TestOutcome,
    TestReport,
    digest,
)

SOURCE = "def f(a):\n    return a + 1\n"
TASK = Task("pkg/a.py", SOURCE, 14, 26, function="f")


def _report(*pairs: tuple[Outcome, Outcome], reason: str = "") -> TestReport:
    outcomes = (TestOutcome(f"t::{i}", now, before) for i, (now, before) in enumerate(pairs))
    return TestReport(tuple(outcomes), reason=reason)


P, F = Outcome.PASSED, Outcome.FAILED


def test_the_parts_of_a_task() -> None:
    assert TASK.prefix == "def f(a):\n    "
    assert TASK.reference == "return a + 1"
    assert TASK.suffix == "\n"
    assert TASK.line == 2
    assert TASK.apply("pass") == "def f(a):\n    pass\n"
    assert TASK.apply(TASK.reference) == SOURCE


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (5, 4), (0, len(SOURCE) + 1)])
def test_a_span_outside_its_source_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=r"is not inside a\.py"):
        Task("a.py", SOURCE, start, end)


def test_a_bare_cursor_is_a_span() -> None:
    cursor = Task("a.py", SOURCE, len(SOURCE), len(SOURCE))
    assert (cursor.reference, cursor.suffix, cursor.line) == ("", "", 3)


@pytest.mark.parametrize(
    "change",
    [{"path": "b.py"}, {"start": 13}, {"end": 25}, {"kind": SpanKind.BODY}, {"source": SOURCE * 2}],
)
def test_a_task_key_is_of_place_and_content(change: dict[str, object]) -> None:
    assert replace(TASK, **change).key != TASK.key  # type: ignore[arg-type]
    assert len(TASK.key) == 32


def test_a_task_key_is_not_of_what_may_be_learned_later() -> None:
    later = replace(TASK, commit="c0ffee", description="Adds one.", function="g")
    assert later.key == TASK.key


def test_an_experience_key() -> None:
    one = Experience(TASK, Candidate("pass", -1.0, 2, model="m"))
    assert replace(one, report=_report((P, P))).key == one.key
    for other in (
        replace(one, source=Source.KEPT),
        replace(one, candidate=replace(one.candidate, text="pass ")),
        replace(one, candidate=replace(one.candidate, model="n")),
        replace(one, candidate=replace(one.candidate, adapter="a")),
    ):
        assert other.key != one.key


def test_digest_takes_any_text() -> None:
    assert digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest("\ud800") != digest("\udfff")


@pytest.mark.parametrize(
    ("now", "before", "change", "counts"),
    [
        (P, P, Change.KEPT, True),
        (F, P, Change.BROKEN, True),
        (P, F, Change.GAINED, True),
        (F, F, Change.SILENT, False),
        (Outcome.TIMEOUT, P, Change.BROKEN, True),
        (Outcome.REFUSED, P, Change.BROKEN, True),
        (Outcome.NOT_RUN, P, Change.BROKEN, False),
    ],
)
def test_an_outcome_against_the_baseline(
    now: Outcome, before: Outcome, change: Change, counts: bool
) -> None:
    one = TestOutcome("t::a", now, before)
    assert one.change is change
    assert one.counts is counts


def test_a_report_of_some_failures() -> None:
    said = _report((P, P), (F, P), (F, F), (P, F))
    assert (said.passed, said.total, said.pass_rate) == (2, 3, pytest.approx(2 / 3))
    assert said.failing == ("t::1",)
    assert not said.passes_all
    assert said.evidence == "2/3 covering tests pass"


@pytest.mark.parametrize("said", [_report(), _report((F, F)), _report((Outcome.NOT_RUN, P))])
def test_untested_never_passes(said: TestReport) -> None:
    assert said.pass_rate is None
    assert not said.passes_all
    assert said.evidence == "no covering test"
    assert replace(said, reason="outside the sandbox").evidence == "outside the sandbox"


def test_a_partial_report_does_not_pass_all() -> None:
    said = _report((P, P), (Outcome.NOT_RUN, P))
    assert said.pass_rate == 1.0
    assert not said.complete
    assert not said.passes_all
    assert said.evidence == "1/1 covering tests pass (partial)"


def test_an_experience_without_a_report_is_untested() -> None:
    one = Experience(TASK, Candidate("pass", -1.0, 2))
    assert one.pass_rate is None
    assert replace(one, report=_report((P, P))).pass_rate == 1.0


def test_values_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        TASK.path = "b.py"  # type: ignore[misc]
