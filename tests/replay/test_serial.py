"""to_json and from_json are inverse, through the text of a JSON line."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2assist.errors import StoreError
from p2assist.experience import (
    Candidate,
    CoveringTest,
    Experience,
    Feedback,
    FeedbackKind,
    Outcome,
    Source,
    SpanKind,
    Task,
    TestOutcome,
    TestReport,
)
from p2assist.replay.serial import from_json, to_json

TEXT = st.text(max_size=20)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
TIME = st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1))
NUMBER = st.integers(0, 2**31 - 1)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    source = draw(TEXT)
    start = draw(st.integers(0, len(source)))
    end = draw(st.integers(start, len(source)))
    tests = tuple(draw(st.lists(st.builds(CoveringTest, TEXT, TEXT), max_size=2)))
    kind = draw(st.sampled_from(SpanKind))
    return Task(draw(TEXT), source, start, end, kind, draw(TEXT), draw(TEXT), draw(TEXT), tests)


OUTCOME = st.sampled_from(Outcome)
REPORTS = st.builds(
    TestReport,
    st.lists(st.builds(TestOutcome, TEXT, OUTCOME, OUTCOME, TEXT, FLOAT, TEXT), max_size=2).map(
        tuple
    ),
    TEXT,
    TEXT,
    FLOAT,
    TEXT,
)
CANDIDATES = st.builds(
    Candidate,
    TEXT,
    FLOAT,
    NUMBER,
    NUMBER,
    st.lists(NUMBER, max_size=3).map(tuple),
    st.none() | FLOAT,
    TEXT,
    TEXT,
)
FEEDBACK = st.builds(Feedback, st.sampled_from(FeedbackKind), TEXT, TIME)
EXPERIENCES = st.builds(
    Experience,
    tasks(),
    CANDIDATES,
    st.none() | REPORTS,
    st.lists(FEEDBACK, max_size=2).map(tuple),
    st.sampled_from(Source),
    TIME,
)


@given(EXPERIENCES)
def test_round_trip(experience: Experience) -> None:
    line = json.dumps(to_json(experience))
    assert "\n" not in line
    assert from_json(json.loads(line)) == experience


def test_lone_surrogates_and_the_key() -> None:
    one = Experience(Task("a.py", "\ud800", 0, 1), Candidate("\udfff\x00", -1.0, 1))
    data = json.loads(json.dumps(to_json(one)))
    assert data["key"] == one.key
    assert from_json(data) == one


@pytest.mark.parametrize(
    "change",
    [
        {"p2assist": 2},
        {"task": {"path": "a.py"}},
        {"source": "dreams"},
        {"created": "yesterday"},
        {"candidate": None},
    ],
)
def test_what_is_no_experience_is_refused(change: dict[str, object]) -> None:
    good = to_json(Experience(Task("a.py", "x", 0, 1), Candidate("y", -1.0, 1)))
    with pytest.raises(StoreError, match="no experience"):
        from_json({**good, **change})
    with pytest.raises(StoreError, match="no experience"):
        from_json([])  # type: ignore[arg-type]
