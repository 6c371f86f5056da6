"""Experiences as JSON and back: `p2assist replay export` writes one a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

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

FORMAT = 1


def to_json(experience: Experience) -> dict[str, Any]:
    """The experience as what json.dumps takes, with its key and the number of the format.

    Dump it with ensure_ascii, json's default: a text may hold lone surrogates.
    """
    made = asdict(experience)
    made["created"] = experience.created.isoformat()
    for feedback, whole in zip(made["feedback"], experience.feedback, strict=True):
        feedback["at"] = whole.at.isoformat()
    return {"p2assist": FORMAT, "key": experience.key, **made}


def from_json(data: Mapping[str, Any]) -> Experience:
    """What to_json() was given. Raises StoreError on anything else."""
    number = data.get("p2assist") if isinstance(data, Mapping) else None
    if number != FORMAT:
        raise StoreError(f"no experience in format {FORMAT} of p2assist: it says {number!r}")
    try:
        return Experience(
            task=_task(data["task"]),
            candidate=_candidate(data["candidate"]),
            report=_report(data["report"]) if data["report"] else None,
            feedback=tuple(_feedback(item) for item in data["feedback"]),
            source=Source(data["source"]),
            created=datetime.fromisoformat(data["created"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"no experience: {type(error).__name__} {error}") from error


def _task(data: Mapping[str, Any]) -> Task:
    tests = tuple(CoveringTest(**test) for test in data["tests"])
    return Task(**{**data, "kind": SpanKind(data["kind"]), "tests": tests})


def _candidate(data: Mapping[str, Any]) -> Candidate:
    return Candidate(**{**data, "token_ids": tuple(data["token_ids"])})


def _report(data: Mapping[str, Any]) -> TestReport:
    return TestReport(**{**data, "outcomes": tuple(_outcome(item) for item in data["outcomes"])})


def _outcome(data: Mapping[str, Any]) -> TestOutcome:
    known = {name: Outcome(data[name]) for name in ("outcome", "baseline")}
    return TestOutcome(**{**data, **known})


def _feedback(data: Mapping[str, Any]) -> Feedback:
    at = datetime.fromisoformat(data["at"])
    return Feedback(FeedbackKind(data["kind"]), data["kept"], at)
