"""The course of one run, against what its caller demands: outcomes as they come, and when to
end it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from p2assist.errors import StoppedError
from p2assist.experience import Change, CoveringTest, Outcome, Task, TestOutcome, TestReport
from p2assist.harness.demand import Demand
from p2assist.harness.mapping import ImpactMap
from p2assist.harness.outcomes import Transcript, Verdict
from p2assist.harness.sandbox import Ending

_SIGXCPU = 24


class Course:
    """One candidate's way through its tests. It is a Stop: set where the run has to end, because
    the caller went away, the budget is used up or the answer is known. wish: the caller's own
    event; whole: whether the whole report is wanted, whatever it takes; yes_or_no: whether the
    first test that breaks is enough."""

    def __init__(self, task: Task, demand: Demand, impact: ImpactMap) -> None:
        self._task, self._impact = task, impact
        self._tests = {test.node_id: test for test in task.tests}
        self._demand, self._known = demand, impact.by_id
        self._started = time.perf_counter()
        self._told: set[str] = set()
        self._broken = False
        self.wish = demand.stop
        self.yes_or_no = demand.yes_or_no
        self.whole = demand.seconds is None and not demand.yes_or_no

    def is_set(self) -> bool:
        return self._broken or self._stopped() or self.left == 0

    @property
    def left(self) -> float | None:
        """Seconds of the budget that are left, 0 where it is used up; None without one."""
        if self._demand.seconds is None:
            return None
        return max(0.0, self._demand.seconds - (time.perf_counter() - self._started))

    def only(self, node_ids: Collection[str]) -> Course:
        """The same with some of its tests alone; of their outcomes the caller is told nothing."""
        tests = tuple(test for test in self._task.tests if test.node_id in node_ids)
        demand = Demand(seconds=self.left, yes_or_no=self.yes_or_no, stop=self.wish)
        return Course(replace(self._task, tests=tests), demand, self._impact)

    def refuted(self, broken: Iterable[TestOutcome], said: TestReport) -> TestReport:
        """The partial report that a run of only() has led to: its tests that break, and that the
        others have not run."""
        found = {outcome.node_id: outcome for outcome in broken}
        for outcome in found.values():
            self.tell(outcome)
        others = Verdict(Outcome.NOT_RUN)
        outcomes = tuple(found.get(n) or self.outcome(t, others) for n, t in self._tests.items())
        reason = self._partial() if len(found) < len(outcomes) else said.reason
        seconds = time.perf_counter() - self._started
        return replace(said, outcomes=outcomes, seconds=seconds, reason=reason)

    def ended(self, transcript: Transcript, node_id: str) -> None:
        """A test came to its end."""
        test = self._tests.get(node_id)
        if test is None or node_id in self._told:
            return
        self.tell(self.outcome(test, transcript.verdict(node_id, Outcome.CRASHED)))

    def tell(self, outcome: TestOutcome) -> None:
        """Hands an outcome to the caller, once."""
        if outcome.node_id in self._told or outcome.outcome is Outcome.NOT_RUN:
            return
        self._told.add(outcome.node_id)
        self._broken |= self._demand.yes_or_no and outcome.change is Change.BROKEN
        if self._demand.on_outcome:
            self._demand.on_outcome(outcome)

    def outcome(self, test: CoveringTest, verdict: Verdict) -> TestOutcome:
        before = self._known.get(test.node_id)
        return TestOutcome(
            test.node_id,
            verdict.outcome,
            baseline=before.outcome if before else Outcome.ERROR,
            digest=test.digest,
            seconds=verdict.seconds,
            message=verdict.message,
        )

    def report(self, verdicts: Mapping[str, Verdict], empty: TestReport) -> TestReport:
        """The report with these verdicts, in the task's order; the caller has heard them all."""
        outcomes = tuple(self.outcome(t, verdicts[t.node_id]) for t in self._tests.values())
        for outcome in outcomes:
            self.tell(outcome)
        return replace(empty, outcomes=outcomes, seconds=time.perf_counter() - self._started)

    def conclude(self, transcript: Transcript, ending: Ending, empty: TestReport) -> TestReport:
        """The report of a run that has ended. Raises StoppedError where the caller wished it."""
        if ending.how == "abort" and self._stopped():
            raise StoppedError("the test run was stopped")
        cut = ending.how == "abort" or (ending.how == "timeout" and self.left == 0)
        unreported = Outcome.NOT_RUN if cut else _unreported(ending)
        verdicts = {name: transcript.verdict(name, unreported) for name in self._tests}
        partial = cut and any(v.outcome is Outcome.NOT_RUN for v in verdicts.values())
        reason = self._partial() if partial else "" if cut else _reason(ending)
        return replace(self.report(verdicts, empty), reason=reason)

    def _stopped(self) -> bool:
        return self.wish is not None and self.wish.is_set()

    def _partial(self) -> str:
        if self._broken:
            return "partial: ended at the first test that breaks"
        return f"partial: the budget of {self._demand.seconds:g} s was used up"


def _unreported(ending: Ending) -> Outcome:
    """What a test without a report is called."""
    slow = ending.how == "timeout" or (ending.how == "signal" and ending.value == _SIGXCPU)
    return Outcome.TIMEOUT if slow else Outcome.CRASHED


def _reason(ending: Ending) -> str:
    if ending.how == "exit":
        return ""
    return ending.words or f"{ending.how} {ending.value or ''}".strip()
