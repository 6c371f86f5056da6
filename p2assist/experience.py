"""The vocabulary: Task, Candidate, TestReport, Feedback, Experience.

All are frozen values without behaviour beyond what follows from their fields; what is derived
(possibility, P2Value) lives in p2assist.p2value and is never stored.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum


class SpanKind(StrEnum):
    """What a task asks for; the stop rule of its candidates follows from it."""

    LINE = "line"  # up to the end of the line
    STATEMENT = "statement"  # one statement, which may go over several lines
    BLOCK = "block"  # an indented suite, without its header
    BODY = "body"  # a whole function body, after its docstring


class Outcome(StrEnum):
    """What one test said of one candidate."""

    PASSED = "passed"
    FAILED = "failed"  # the test's own body failed
    ERROR = "error"  # set-up, tear-down, import or collection failed
    TIMEOUT = "timeout"
    CRASHED = "crashed"  # the process ended without a report of this test
    REFUSED = "refused"  # the candidate may not run
    NOT_RUN = "not run"  # the budget ended first


class Change(StrEnum):
    """A test's outcome against the baseline's."""

    KEPT = "kept"  # passed before, passes now
    BROKEN = "broken"  # passed before, does not now
    GAINED = "gained"  # did not pass before, passes now
    SILENT = "silent"  # did not pass before, does not now: says nothing of the candidate


class Source(StrEnum):
    """Where a candidate comes from."""

    SELF = "self"  # the model's own beam
    REFERENCE = "reference"  # the code that stood there, which passes by definition
    KEPT = "kept"  # what a user wrote or left there instead
    TEACHER = "teacher"  # another, stronger model


class FeedbackKind(StrEnum):
    """What a user did with a candidate."""

    ACCEPTED = "accepted"
    PARTIALLY_ACCEPTED = "partially accepted"
    TYPED_THROUGH = "typed through"
    REJECTED = "rejected"
    IGNORED = "ignored"


def digest(text: str) -> str:
    """SHA-256 of the text's UTF-8 bytes, in hex: the address of a blob."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class CoveringTest:
    """A test that runs the task's lines, with the digest of its source text when it was seen."""

    node_id: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """A place in a source file to complete, and the tests that cover it.

    path: posix path below the repository's root. source: the whole file's text, newlines as
    '\\n'. start, end: the span to complete, in code points of source; equal at a bare cursor.
    function: qualified name of the outermost function around the span ('curry.__call__'; what is
    nested in it counts as it), '' at module level. description: the
    docstring or comment that says what is wanted. commit: the git commit, '' where unknown.
    """

    path: str
    source: str
    start: int
    end: int
    kind: SpanKind = SpanKind.LINE
    function: str = ""
    description: str = ""
    commit: str = ""
    tests: tuple[CoveringTest, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end <= len(self.source):
            raise ValueError(f"span {self.start}:{self.end} is not inside {self.path}")

    @property
    def prefix(self) -> str:
        return self.source[: self.start]

    @property
    def suffix(self) -> str:
        return self.source[self.end :]

    @property
    def reference(self) -> str:
        """The code that stands in the span now; '' at a bare cursor."""
        return self.source[self.start : self.end]

    @property
    def line(self) -> int:
        """1-based line of the span's start."""
        return self.source.count("\n", 0, self.start) + 1

    @property
    def key(self) -> str:
        """The identity of the task: path, span and the file's content."""
        return digest(f"{self.path}\0{self.start}\0{self.end}\0{self.kind}\0{self.source}")[:32]

    def apply(self, text: str) -> str:
        """The file's text with the span replaced by text."""
        return self.prefix + text + self.suffix


@dataclass(frozen=True, slots=True)
class Candidate:
    """One beam result.

    logprob: sum of the log-probabilities, in nats, of the num_tokens tokens that the best beam
    of this text generated: its stop token (the end token or the token that held the newline)
    included, and what it had to write once more of what stands before the cursor (a word that was
    begun, the blank before it: the same for every candidate of a task). mass: log of the summed
    probability of all beams that spell the same text, in nats (>= logprob). token_ids: the tokens
    that hold text, what was written once more included, as that beam spelled it; () where they
    are not known, or text was changed after decoding (see generation.postprocess). rank: 0-based
    place among its siblings, best first. model, adapter: names; adapter is '' for the base model.
    """

    text: str
    logprob: float
    num_tokens: int
    rank: int = 0
    token_ids: tuple[int, ...] = ()
    mass: float | None = None
    model: str = ""
    adapter: str = ""


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """One covering test's word on a candidate. message is redacted and capped by the harness."""

    __test__ = False  # pytest must not collect it

    node_id: str
    outcome: Outcome
    baseline: Outcome = Outcome.PASSED
    digest: str = ""
    seconds: float = 0.0
    message: str = ""

    @property
    def change(self) -> Change:
        before = self.baseline is Outcome.PASSED
        now = self.outcome is Outcome.PASSED
        if before:
            return Change.KEPT if now else Change.BROKEN
        return Change.GAINED if now else Change.SILENT

    @property
    def counts(self) -> bool:
        """Whether it belongs in the pass rate: it was run, and it is not silent."""
        return self.outcome is not Outcome.NOT_RUN and self.change is not Change.SILENT


@dataclass(frozen=True, slots=True)
class TestReport:
    """The outcome of each covering test of one candidate.

    level: how the verdict was reached ('subprocess', ...). isolation: the sandbox's name.
    reason: why it was refused, or is partial, or in what it was tested where that is not the file
    as it stands; '' otherwise.
    """

    __test__ = False

    outcomes: tuple[TestOutcome, ...] = ()
    level: str = "subprocess"
    isolation: str = ""
    seconds: float = 0.0
    reason: str = ""

    @property
    def total(self) -> int:
        return sum(o.counts for o in self.outcomes)

    @property
    def passed(self) -> int:
        return sum(o.counts and o.outcome is Outcome.PASSED for o in self.outcomes)

    @property
    def pass_rate(self) -> float | None:
        """passed / total in 0..1; None where no test says anything: untested, never 1.0."""
        return self.passed / self.total if self.total else None

    @property
    def complete(self) -> bool:
        return all(o.outcome is not Outcome.NOT_RUN for o in self.outcomes)

    @property
    def passes_all(self) -> bool:
        return self.complete and self.total > 0 and self.passed == self.total

    @property
    def failing(self) -> tuple[str, ...]:
        """Node ids of the tests that count and do not pass."""
        return tuple(
            o.node_id for o in self.outcomes if o.counts and o.outcome is not Outcome.PASSED
        )

    @property
    def evidence(self) -> str:
        """A few words for people: '7/7 covering tests pass', 'no covering test', ..."""
        if not self.total:
            return self.reason or "no covering test"
        partial = "" if self.complete else " (partial)"
        return f"{self.passed}/{self.total} covering tests pass{partial}"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a user did with a candidate, and what stands there instead ('' where unknown)."""

    kind: FeedbackKind
    kept: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Experience:
    """Task + Candidate + TestReport + Feedback. report is None where nothing was run."""

    task: Task
    candidate: Candidate
    report: TestReport | None = None
    feedback: tuple[Feedback, ...] = ()
    source: Source = Source.SELF
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def key(self) -> str:
        """The identity of the experience: task, text, model, adapter and source."""
        c = self.candidate
        parts = (self.task.key, c.text, c.model, c.adapter, self.source)
        return digest("\0".join(parts))[:32]

    @property
    def pass_rate(self) -> float | None:
        return self.report.pass_rate if self.report else None
