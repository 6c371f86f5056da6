"""Experiences as rows, and rows as experiences: encoding only, no SQL runs here."""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from p2assist.errors import CorruptStoreError, StoreError
from p2assist.experience import (
    Candidate,
    CoveringTest,
    Experience,
    Feedback,
    FeedbackKind,
    Source,
    SpanKind,
    Task,
    TestOutcome,
    TestReport,
    digest,
)
from p2assist.replay.tables import LETTERS, SOURCES, microseconds

Row = dict[str, Any]
SOURCE_OF = {code: source for source, code in SOURCES.items()}
_OUTCOME_OF = {letter: outcome for outcome, letter in LETTERS.items()}
FEEDBACK = frozenset(kind.value for kind in FeedbackKind)


@dataclass(frozen=True, slots=True)
class Entry:
    """An experience on its way into the store, without its secrets. given_key, given_task_key:
    its keys, and its task's, from before: callers know it by those."""

    experience: Experience
    given_key: str
    given_task_key: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a candidate. data: JSON-like, redacted."""

    kind: str
    at: datetime
    data: Mapping[str, Any]
    person: str = ""


def check(experience: Experience) -> None:
    """Raises StoreError on what cannot be stored and read back the same."""
    c = experience.candidate
    if not math.isfinite(c.logprob) or not (c.mass is None or math.isfinite(c.mass)):
        raise StoreError(
            f"a candidate for {experience.task.path}:{experience.task.line} has logprob "
            f"{c.logprob} and mass {c.mass}: both must be finite numbers"
        )
    if experience.created.tzinfo is None or any(f.at.tzinfo is None for f in experience.feedback):
        raise StoreError("a time without a zone cannot be stored: use datetime.now(UTC)")


def blob_key(data: bytes) -> str:
    """A blob's address. Equals experience.digest of the text whose UTF-8 it is."""
    return hashlib.sha256(data).hexdigest()


def pack(data: bytes) -> bytes:
    return zlib.compress(data, 6)


def unpack(data: bytes) -> bytes:
    """Raises CorruptStoreError where the stored bytes are not what pack() made."""
    try:
        return zlib.decompress(data)
    except zlib.error as error:
        raise CorruptStoreError(
            f"a stored text cannot be unpacked ({error}): the store is damaged. Put a copy of it "
            "back, or move it away to begin a new one"
        ) from error


def source_blob(task: Task) -> bytes:
    return task.source.encode("utf-8", "surrogatepass")


def tests_blob(tests: Sequence[CoveringTest] | Sequence[TestOutcome]) -> bytes:
    """[[node id, digest], ...] as JSON: shared by every candidate that the same tests ran on."""
    return json.dumps([[t.node_id, t.digest] for t in tests], separators=(",", ":")).encode()


def tests_of(data: bytes) -> tuple[CoveringTest, ...]:
    return tuple(CoveringTest(node_id, found) for node_id, found in json.loads(data))


def task_row(entry: Entry, function: int, source: int, tests: int) -> Row:
    task = entry.experience.task
    return {
        "key": task.key,
        "given_key": entry.given_task_key,
        "function_id": function,
        "kind": task.kind.value,
        "span_start": task.start,
        "span_end": task.end,
        "source_id": source,
        "tests_id": tests,
        "description": task.description,
        "git_commit": task.commit,
    }


def task_of(row: Any, source: bytes, tests: bytes) -> Task:
    """row: of tasks joined with functions, labelled 'table_column'."""
    return Task(
        path=row.functions_path,
        source=source.decode("utf-8", "surrogatepass"),
        start=row.tasks_span_start,
        end=row.tasks_span_end,
        kind=SpanKind(row.tasks_kind),
        function=row.functions_name,
        description=row.tasks_description,
        commit=row.tasks_git_commit,
        tests=tests_of(tests),
    )


def candidate_row(entry: Entry, key: str, task: int, maker: int, person: int | None) -> Row:
    c = entry.experience.candidate
    ids = np.asarray(c.token_ids, dtype="<i4").tobytes()
    return {
        "key": key,
        "given_key": entry.given_key,
        "task_id": task,
        "maker_id": maker,
        "person_id": person,
        "source": SOURCES[entry.experience.source],
        "text": c.text,
        "logprob": c.logprob,
        "num_tokens": c.num_tokens,
        "rank": c.rank,
        "mass": c.mass,
        "token_ids": ids or None,
        "created": entry.experience.created,
    }


def candidate_of(row: Any) -> Candidate:
    """row: of candidates joined with makers, labelled 'table_column'."""
    ids = np.frombuffer(row.candidates_token_ids or b"", dtype="<i4")
    return Candidate(
        text=row.candidates_text,
        logprob=row.candidates_logprob,
        num_tokens=row.candidates_num_tokens,
        rank=row.candidates_rank,
        token_ids=tuple(ids.tolist()),
        mass=row.candidates_mass,
        model=row.makers_model,
        adapter=row.makers_adapter,
    )


def source_of(row: Any) -> Source:
    return SOURCE_OF[row.candidates_source]


def report_row(report: TestReport, candidate: int, tests: int) -> Row:
    letters = "".join(LETTERS[o.outcome] + LETTERS[o.baseline] for o in report.outcomes)
    details = {
        "level": report.level,
        "isolation": report.isolation,
        "seconds": report.seconds,
        "reason": report.reason,
        "took": [o.seconds for o in report.outcomes],
        "messages": {i: o.message for i, o in enumerate(report.outcomes) if o.message},
    }
    packed = json.dumps(details, separators=(",", ":"))
    return {
        "candidate_id": candidate,
        "digest": digest(f"{blob_key(tests_blob(report.outcomes))}\0{letters}\0{packed}")[:32],
        "passed": report.passed,
        "total": report.total,
        "complete": report.complete,
        "tests_id": tests,
        "outcomes": letters,
        "details": pack(packed.encode()),
    }


def report_of(row: Any, tests: bytes) -> TestReport:
    """row: of reports."""
    details = json.loads(unpack(row.details))
    messages = details["messages"]
    outcomes = tuple(
        TestOutcome(
            node_id=test.node_id,
            outcome=_OUTCOME_OF[row.outcomes[2 * i]],
            baseline=_OUTCOME_OF[row.outcomes[2 * i + 1]],
            digest=test.digest,
            seconds=details["took"][i],
            message=messages.get(str(i), ""),
        )
        for i, test in enumerate(tests_of(tests))
    )
    rest = {name: details[name] for name in ("level", "isolation", "seconds", "reason")}
    return TestReport(outcomes=outcomes, **rest)


def event_row(event: Event, candidate: int, person: int | None) -> Row:
    data = json.dumps(dict(event.data), sort_keys=True, separators=(",", ":"))
    parts = (event.kind, str(microseconds(event.at)), event.person, data)
    return {
        "candidate_id": candidate,
        "digest": digest("\0".join(parts))[:32],
        "kind": event.kind,
        "at": event.at,
        "person_id": person,
        "data": data.encode(),
    }


def event_of(row: Any) -> Event:
    """row: of events joined with people."""
    return Event(row.kind, row.at, json.loads(row.data), row.name or "")


def feedback_event(feedback: Feedback, person: str = "") -> Event:
    return Event(feedback.kind.value, feedback.at, {"kept": feedback.kept}, person)


def feedback_of(row: Any) -> Feedback:
    """row: of events, of a FeedbackKind."""
    return Feedback(FeedbackKind(row.kind), json.loads(row.data).get("kept", ""), row.at)
