from collections.abc import Iterable, Iterator

from p2assist.experience import Candidate, Outcome, Task, TestOutcome, TestReport
from p2assist.generation.generator import FakeGenerator
from p2assist.tasks.rollout import rollouts


class Ahead:
    """A tester that pulls everything before it answers, as a parallel one may."""

    def test(self, task: Task, text: str) -> TestReport:
        outcome = Outcome.PASSED if text == task.reference else Outcome.FAILED
        return TestReport((TestOutcome("t", outcome),))

    def test_many(self, pairs: Iterable[tuple[Task, str]]) -> Iterator[TestReport]:
        yield from [self.test(*pair) for pair in pairs]


class Lazy(Ahead):
    def test_many(self, pairs: Iterable[tuple[Task, str]]) -> Iterator[TestReport]:
        for pair in pairs:
            yield self.test(*pair)


def tasks() -> list[Task]:
    return [Task("a.py", f"x = {n}\n", 4, 5) for n in range(5)]


def test_each_task_gets_its_own_reports_in_order() -> None:
    for tester in (Ahead(), Lazy()):
        found = list(rollouts(FakeGenerator().generate, tester, tasks()))
        assert [r.task for r in found] == tasks()
        for rollout in found:
            passing = [
                c.text
                for c, r in zip(rollout.candidates, rollout.reports, strict=True)
                if r.passes_all
            ]
            assert passing == [rollout.task.reference]


def test_tasks_without_candidates_are_not_lost() -> None:
    def propose(task: Task) -> list[Candidate]:
        return FakeGenerator().generate(task) if task.reference in "13" else []

    for tester in (Ahead(), Lazy()):
        found = list(rollouts(propose, tester, tasks()))
        assert [len(r.reports) for r in found] == [0, 3, 0, 3, 0]
        assert [r.task for r in found] == tasks()


def test_a_rollout_comes_as_soon_as_it_is_done() -> None:
    asked: list[str] = []

    def propose(task: Task) -> list[Candidate]:
        asked.append(task.reference)
        return FakeGenerator().generate(task)

    next(iter(rollouts(propose, Lazy(), tasks())))
    assert asked == ["0"]
