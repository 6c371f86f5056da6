"""Testers: from a task and a candidate's text to a TestReport.

SubprocessTester (plain.py) runs plain pytest for each candidate; WarmTester (warm.py) comes to
the same verdicts faster, and is what everybody uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from p2assist.experience import Outcome, Task, TestOutcome, TestReport
from p2assist.harness.bench import NO_TEST
from p2assist.harness.demand import WHOLE, Demand
from p2assist.harness.plain import SubprocessTester
from p2assist.harness.warm import WarmTester

__all__ = ["NO_TEST", "FakeTester", "SubprocessTester", "Tester", "WarmTester"]


class Tester(Protocol):
    """Anything that says how a candidate does on the task's covering tests."""

    def test(self, task: Task, text: str, demand: Demand = WHOLE) -> TestReport:
        """The report of one candidate, its text put in the task's span. Raises HarnessError
        where the tests cannot be run, StoppedError as the demand says; whatever the candidate
        does is in the report."""
        ...

    def test_many(self, pairs: Iterable[tuple[Task, str]]) -> Iterator[TestReport]:
        """The reports in the order of the pairs, which are taken only as they can be used."""
        ...


@dataclass(slots=True)
class FakeTester:
    """A Tester that runs nothing. verdict: of a task, a text and a test's node id, whether it
    passes (or an Outcome); the default passes the reference alone."""

    verdict: Callable[[Task, str, str], bool | Outcome] = field(
        default=lambda task, text, node_id: text == task.reference
    )

    def test(self, task: Task, text: str, demand: Demand = WHOLE) -> TestReport:
        if not task.tests:
            return TestReport(isolation="fake", reason=NO_TEST)
        outcomes: list[TestOutcome] = []
        for test in task.tests:
            said = self.verdict(task, text, test.node_id)
            if isinstance(said, bool):
                said = Outcome.PASSED if said else Outcome.FAILED
            outcome = TestOutcome(test.node_id, said, digest=test.digest)
            outcomes.append(outcome)
            if demand.on_outcome:
                demand.on_outcome(outcome)
        return TestReport(tuple(outcomes), level="fake", isolation="fake")

    def test_many(self, pairs: Iterable[tuple[Task, str]]) -> Iterator[TestReport]:
        return (self.test(task, text) for task, text in pairs)
