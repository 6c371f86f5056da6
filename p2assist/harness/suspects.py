"""The tests that are likeliest to fail, first: where the caller asks for yes or no.

A whole report keeps the order of the suite. The tests of a project do not hang on each other's
order (those that do are in quarantine), but a candidate can make them: one that no longer empties a
list breaks the test behind the first, whichever that is. In any other order its verdict would be
another than plain pytest's (tests/harness/test_suspects.py shows one).

A `no` may come from any order, for there is then a run of plain pytest that fails. A `yes` may not:
so the suspects run for themselves, and where none breaks, all tests run in the suite's order.
"""

from __future__ import annotations

from dataclasses import replace

from p2assist.experience import Change, TestReport
from p2assist.harness.bench import Job, Level
from p2assist.harness.course import Course
from p2assist.harness.failures import Failures
from p2assist.harness.mapping import ImpactMap
from p2assist.harness.worker import AS_WANTED

_WORTH = 0.1  # seconds that the tests of a candidate take at least: a child costs a third of it
_SHARE = 0.25  # of that time, which the suspects may take


class SuspectsFirst:
    """A level that notes what fails, and asks the likeliest to fail first where a yes or no is
    wanted. It answers as the level does in all else."""

    def __init__(self, level: Level, failures: Failures, impact: ImpactMap) -> None:
        self._level, self._failures = level, failures
        self._seconds = {test.node_id: test.seconds for test in impact.tests}
        self.name = level.name

    def run(self, job: Job, course: Course) -> TestReport:
        if course.yes_or_no and (suspects := self._suspects(job)):
            only = replace(job, wanted=suspects, order=AS_WANTED)
            said = self._level.run(only, course.only(suspects))
            self._failures.note(said)
            broken = [o for o in said.outcomes if o.change is Change.BROKEN]
            if broken:
                return course.refuted(broken, said)
        report = self._level.run(job, course)
        self._failures.note(report)
        return report

    def _suspects(self, job: Job) -> tuple[str, ...]:
        budget = _SHARE * sum(self._seconds.get(node_id, 0.0) for node_id in job.wanted)
        if budget < _SHARE * _WORTH:
            return ()
        chosen: list[str] = []
        for node_id in self._failures.likeliest(job.wanted):
            budget -= self._seconds.get(node_id, 0.0)
            if budget < 0:
                break
            chosen.append(node_id)
        return tuple(chosen)
