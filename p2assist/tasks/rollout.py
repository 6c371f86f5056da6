"""Candidates and their reports for a stream of tasks: what practice and evaluation share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from p2assist.errors import HarnessError
from p2assist.experience import Candidate, Task, TestReport
from p2assist.harness.tester import Tester


@dataclass(frozen=True, slots=True)
class Rollout:
    """A task, its candidates in the order they were proposed, and a report for each."""

    task: Task
    candidates: tuple[Candidate, ...]
    reports: tuple[TestReport, ...]


@dataclass(slots=True)
class _Pending:
    task: Task
    candidates: tuple[Candidate, ...]
    reports: list[TestReport] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return len(self.reports) == len(self.candidates)


def rollouts(
    propose: Callable[[Task], Sequence[Candidate]], tester: Tester, tasks: Iterable[Task]
) -> Iterator[Rollout]:
    """Rollouts in the order of the tasks.

    propose runs in the calling thread, while the tester's processes work on earlier candidates;
    how far it runs ahead is the tester's to say (it pulls what it can use). Raises HarnessError
    where the tester gives fewer reports than it was given candidates.
    """
    pending: deque[_Pending] = deque()

    def pairs() -> Iterator[tuple[Task, str]]:
        for task in tasks:
            candidates = tuple(propose(task))
            pending.append(_Pending(task, candidates))
            for candidate in candidates:
                yield task, candidate.text

    for report in tester.test_many(pairs()):
        yield from _finished(pending)  # tasks without a candidate before this one
        pending[0].reports.append(report)
        yield from _finished(pending)
    yield from _finished(pending)
    if pending:
        raise HarnessError("the tester left out reports of candidates that it was given")


def _finished(pending: deque[_Pending]) -> Iterator[Rollout]:
    while pending and pending[0].done:
        first = pending.popleft()
        yield Rollout(first.task, first.candidates, tuple(first.reports))
