"""What was offered at a place: candidates with ids, and the evidence as it comes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np

from p2assist.experience import (
    Candidate,
    CoveringTest,
    Experience,
    Outcome,
    Task,
    TestReport,
    digest,
)
from p2assist.p2value import P2Settings, ordering, p2value, possibility

_numbers = itertools.count(1)


class State(StrEnum):
    """How far the testing of a candidate is."""

    WAITING = "waiting"
    TESTING = "testing"
    TESTED = "tested"
    UNTESTED = "untested"  # no test covers the place, or none can be run
    REFUSED = "refused"


@dataclass(slots=True)
class Choice:
    """One candidate of an offer. trouble: why its tests could not be run, in words."""

    candidate: Candidate
    state: State = State.WAITING
    report: TestReport | None = None
    trouble: str = ""
    shown: bool = False
    id: str = field(default_factory=lambda: f"p2-{next(_numbers)}")

    @property
    def text(self) -> str:
        return self.candidate.text

    @property
    def pass_rate(self) -> float | None:
        return self.report.pass_rate if self.report else None

    @property
    def fails(self) -> bool:
        """Whether a covering test says no."""
        rate = self.pass_rate
        return self.state is State.REFUSED or (rate is not None and rate < 1.0)

    @property
    def evidence(self) -> str:
        """A few words for people: '7/7 covering tests pass', 'fails test_total', ..."""
        if self.report is None:
            words = {State.WAITING: "not tested yet", State.TESTING: "testing"}
            return self.trouble or words.get(self.state, "untested")
        failing = self.report.failing
        if self.state is State.TESTED and failing:
            more = f" and {len(failing) - 1} more" if len(failing) > 1 else ""
            return f"fails {failing[0].rpartition('::')[2]}{more}"
        return self.report.evidence

    def tested(self, report: TestReport) -> None:
        """Takes the report."""
        refused = any(outcome.outcome is Outcome.REFUSED for outcome in report.outcomes)
        self.report = report
        if refused:
            self.state = State.REFUSED
        else:
            self.state = State.UNTESTED if report.pass_rate is None else State.TESTED


@dataclass(slots=True)
class Offer:
    """The candidates of one request, in the model's order.

    version: of the document then. early: made before the tests were found, so that its task's
    tests are not known. unsaved: what other open documents held then that their files do not, by
    path.
    """

    uri: str
    version: int
    task: Task
    choices: list[Choice]
    early: bool = False
    unsaved: Mapping[str, str] = field(default_factory=dict)
    _keys: dict[str, str] = field(default_factory=dict)  # each is the digest of a whole file

    @classmethod
    def of(cls, uri: str, version: int, task: Task, candidates: Sequence[Candidate]) -> Offer:
        return cls(uri, version, task, [Choice(candidate) for candidate in candidates])

    def untested(self, why: str, *, early: bool) -> None:
        """Nothing is tested here, or, where it is early, not yet."""
        self.early = early
        for choice in self.choices:
            choice.state, choice.trouble = State.UNTESTED, why

    def covered(self, tests: tuple[CoveringTest, ...]) -> None:
        """The tests are found: its candidates wait for them now."""
        self.early = False
        self.task = replace(self.task, tests=tests)
        for choice in self.choices:
            choice.state, choice.trouble = State.WAITING, ""

    def find(self, choice_id: str) -> Choice | None:
        return next((choice for choice in self.choices if choice.id == choice_id), None)

    def ranked(self, settings: P2Settings) -> list[Choice]:
        """In the model's order until a test has spoken; then what passes before what fails, and by
        P2Value within both.

        What was not tested yet counts as if it passes: waiting is no fault of a candidate's.
        """
        if not any(choice.pass_rate is not None for choice in self.choices):
            return list(self.choices)
        given = possibility(
            [choice.candidate.logprob for choice in self.choices],
            [choice.candidate.num_tokens for choice in self.choices],
            settings,
        )
        rates = [_expected(choice) for choice in self.choices]
        return [self.choices[i] for i in ordering(given, rates, settings)]

    def told(self, settings: P2Settings) -> dict[str, Any]:
        """The parameters of `p2assist/evidence`."""
        listed = [told(choice, rank, settings) for rank, choice in enumerate(self.ranked(settings))]
        return {"uri": self.uri, "version": self.version, "candidates": listed}

    def key(self, choice: Choice) -> str:
        """Of the choice's experience in the store."""
        if choice.id not in self._keys:
            self._keys[choice.id] = Experience(self.task, choice.candidate).key
        return self._keys[choice.id]

    def meaning(self, choice: Choice) -> str:
        """The same for every choice, of any offer, that makes the same files for the same tests."""
        tests = "\0".join(test.node_id for test in self.task.tests)
        others = "\0".join(f"{path}\0{text}" for path, text in sorted(self.unsaved.items()))
        return digest(f"{self.task.path}\0{self.task.apply(choice.text)}\0{tests}\0{others}")


def told(choice: Choice, rank: int, settings: P2Settings) -> dict[str, Any]:
    """A choice as one entry of `candidates`."""
    given, rate, report = _possibility(choice, settings), choice.pass_rate, choice.report
    return {
        "id": choice.id,
        "text": choice.text,
        "rank": rank,
        "possibility": given,
        "passRate": rate,
        "p2value": None if rate is None else float(p2value(given, rate, settings)),
        "passed": report.passed if report else 0,
        "total": report.total if report else 0,
        "failing": list(report.failing) if report else [],
        "evidence": choice.evidence,
        "state": choice.state.value,
    }


def _possibility(choice: Choice, settings: P2Settings) -> float:
    return float(possibility(choice.candidate.logprob, choice.candidate.num_tokens, settings))


def _expected(choice: Choice) -> float:
    if choice.state is State.REFUSED:
        return 0.0
    if choice.state in (State.WAITING, State.TESTING):
        return 1.0
    rate = choice.pass_rate
    return np.nan if rate is None else rate
