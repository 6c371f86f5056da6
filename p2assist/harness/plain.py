"""The last level: plain pytest in a process of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from p2assist.config import Config
from p2assist.experience import Task, TestReport
from p2assist.harness.bench import Bench, Job
from p2assist.harness.course import Course
from p2assist.harness.demand import WHOLE, Demand
from p2assist.harness.mapping import ImpactMap
from p2assist.harness.overlay import Overlay
from p2assist.harness.suite import Run, Suite

LEVEL = "subprocess"


class Plain:
    """Runs plain pytest on the covering tests, one sandboxed process for each candidate."""

    name = LEVEL

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def run(self, job: Job, course: Course) -> TestReport:
        bench = self._bench
        left = course.left
        run = Run(
            tests=job.wanted,
            order=job.order,
            paths=job.paths,
            files=job.files,
            stale=(*(path for path, _ in job.files if path.endswith(".py")), *bench.changed()),
            compiled=bench.compiled,
            options=bench.impact.options,
            timeout=job.timeout if left is None else min(job.timeout, left),
            cpu=job.starting_cpu,
        )
        transcript, ending = bench.suite.run(run, on_end=course.ended, stop=course)
        empty = TestReport(level=LEVEL, isolation=bench.suite.box.isolation.name)
        return course.conclude(transcript, ending, empty)


class SubprocessTester:
    """A Tester of the last level alone: slow, and the measure of the others.

    A candidate may compute for `cpu` and ten times what its tests took at baseline, here and where
    the project is imported anew 4 s more; and may take `timeout` or five times the baseline,
    whichever is longer. What was not reported by then is `timeout`; what was not reported at all,
    though the process ended, `crashed`. Candidates whose file has the same syntax tree share one
    run.

    Raises IsolationError where nothing isolates, HarnessError where there is no interpreter.
    """

    def __init__(
        self, config: Config, impact: ImpactMap, *, overlay: Overlay | None = None
    ) -> None:
        self._bench = Bench(config, impact, Suite.of(config), overlay=overlay)
        self._level = Plain(self._bench)

    @property
    def isolation(self) -> str:
        """The sandbox's name."""
        return self._bench.suite.box.isolation.name

    def test(self, task: Task, text: str, demand: Demand = WHOLE) -> TestReport:
        return self._bench.test(self._level, task, text, demand)

    def test_many(self, pairs: Iterable[tuple[Task, str]]) -> Iterator[TestReport]:
        """See Tester. Closing the iterator, or an exception in the caller, ends every run."""
        return self._bench.many(self._level, pairs)
