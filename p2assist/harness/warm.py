"""The tester in front of the warm server: the fastest level that can test a candidate."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from p2assist.config import Config
from p2assist.experience import Task, TestReport
from p2assist.harness import verdicts
from p2assist.harness.bench import Bench, Job, Level
from p2assist.harness.course import Course
from p2assist.harness.demand import WHOLE, Demand
from p2assist.harness.failures import FILE, Failures
from p2assist.harness.ground import Ground
from p2assist.harness.keeper import Keeper
from p2assist.harness.mapping import ImpactMap
from p2assist.harness.outcomes import Transcript
from p2assist.harness.overlay import Overlay
from p2assist.harness.plain import LEVEL, Plain
from p2assist.harness.sandbox import Files
from p2assist.harness.server import Server, ShortError, Trial, UnfitError
from p2assist.harness.suite import Suite
from p2assist.harness.suspects import SuspectsFirst
from p2assist.harness.verdicts import Verdicts
from p2assist.harness.watch import Watch

LEVELS = ("swap", "preload")  # those of the server, the fastest first
_START = 300.0  # seconds to wait for a server that imports and collects
_DOUBTFUL = (3, 4)  # pytest's status after an error of its own, and where it could not start
_MOST_MEMORY = 2 << 30


@dataclass(frozen=True, slots=True)
class Drift:
    """A verdict of a warm level that plain pytest contradicts: a defect of p2assist's, or a test
    that says now this, now that. tests: node ids on which they differ."""

    task: Task
    files: Files
    level: str
    tests: tuple[str, ...]


class Warm:
    """The levels of the server, then the last one."""

    name = LEVELS[0]

    def __init__(self, bench: Bench, keeper: Keeper) -> None:
        self._bench, self._keeper = bench, keeper
        self._plain = Plain(bench)
        self._alone = threading.Lock()

    def run(self, job: Job, course: Course) -> TestReport:
        try:
            return self._at_the_fastest(job, course)
        except ShortError:  # several candidates took all there is: this one is the next by itself
            with self._alone:
                return self._plain.run(job, course)

    def _at_the_fastest(self, job: Job, course: Course) -> TestReport:
        for level in LEVELS:
            try:
                with self._keeper.server() as server:
                    return self._at(level, server, job, course)
            except UnfitError:
                continue
        return self._plain.run(job, course)

    def _at(self, level: str, server: Server, job: Job, course: Course) -> TestReport:
        bench, door = self._bench, server.doors[level]
        nonce = secrets.token_hex(16)
        transcript = Transcript(nonce, on_end=lambda node_id: course.ended(transcript, node_id))
        left = course.left
        trial = Trial(
            files=job.files,
            wanted=job.wanted,
            order=job.order,
            arguments=bench.suite.arguments(
                bench.suite.box.place(), paths=job.paths, options=bench.impact.options
            ),
            timeout=job.timeout if left is None else min(job.timeout, left),
            cpu=job.cpu if level == "swap" else job.starting_cpu,
        )
        ending = door.take().test(trial, transcript, nonce, stop=course.is_set)
        if transcript.status in _DOUBTFUL:
            raise UnfitError("pytest did not come to its tests")
        empty = TestReport(level=level, isolation=bench.suite.box.isolation.name)
        return course.conclude(transcript, ending, empty)


class Sampled:
    """A level of whose verdicts a share is confirmed by plain pytest at once. Where that differs,
    its word is the one that counts, and the drift is noted."""

    def __init__(self, level: Level, plain: Plain, bench: Bench, share: float) -> None:
        self._level, self._plain, self._bench, self._share = level, plain, bench, share
        self.name = level.name
        self._random = random.Random(0)  # noqa: S311 - a sample, no secret
        self._lock = threading.Lock()
        self._drifts: list[Drift] = []

    @property
    def drifts(self) -> tuple[Drift, ...]:
        with self._lock:
            return tuple(self._drifts)

    def run(self, job: Job, course: Course) -> TestReport:
        report = self._level.run(job, course)
        if report.level == LEVEL or not report.complete or self._random.random() >= self._share:
            return report
        again = self._plain.run(job, Course(job.task, Demand(stop=course.wish), self._bench.impact))
        tests = differing(report, again)
        if not tests:
            return report
        with self._lock:
            self._drifts.append(Drift(job.task, job.files, report.level, tests))
        return again


def differing(one: TestReport, other: TestReport) -> tuple[str, ...]:
    """Node ids of the tests on which two reports of the same tests differ."""
    said = {outcome.node_id: outcome.outcome for outcome in other.outcomes}
    return tuple(o.node_id for o in one.outcomes if said.get(o.node_id) is not o.outcome)


class WarmTester:
    """A Tester that runs most candidates in children of a warm server, and says in the report's
    `level` which way it went: `swap`, `preload` or `subprocess`. Its verdicts are those of
    SubprocessTester, which is its last level and whom `confirm` asks.

    sample: share of the runs that are confirmed without being asked; see `drifts`. clean: what a
    report is put through before it is kept beside the map; without it none is. Where there
    are no namespaces every candidate is a subprocess. It keeps processes: close it, or use it as
    a context manager; whatever becomes of its owner, they end.

    Raises IsolationError where nothing isolates, HarnessError where there is no interpreter.
    """

    def __init__(
        self,
        config: Config,
        impact: ImpactMap,
        *,
        overlay: Overlay | None = None,
        sample: float = 0.0,
        clean: Callable[[TestReport], TestReport] | None = None,
    ) -> None:
        suite = Suite.of(config)
        watch = Watch(config.root, suite.box.read)
        self._verdicts: Verdicts | None = None
        if clean and config.team.harness.keep_verdicts:
            ground = Ground(suite, impact.options, watch)
            self._verdicts = Verdicts(config.state / verdicts.FILE, ground, clean)
        bench = self._bench = Bench(
            config,
            impact,
            suite,
            overlay=overlay,
            state=lambda: watch.state,
            verdicts=self._verdicts,
        )
        self._keeper = Keeper(self._start, lambda: watch.state, most_memory=_MOST_MEMORY)
        self._plain = Plain(bench)
        self._warm = suite.box.isolation.name == "namespaces"
        self._failures = Failures(config.state / FILE)
        fastest = Warm(bench, self._keeper) if self._warm else self._plain
        level = SuspectsFirst(fastest, self._failures, impact)
        self._level = self._sampled = Sampled(level, self._plain, bench, sample)

    def _start(self) -> Server:
        bench = self._bench
        return Server(
            bench.suite,
            options=bench.impact.options,
            compiled=bench.compiled,
            stale=bench.changed(),
            files=bench.overlay.base(),
            ready={"swap": bench.workers, "preload": 1},
        )

    def __enter__(self) -> WarmTester:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server, and what is under way in it."""
        self._keeper.close()
        self._failures.save()
        if self._verdicts:
            self._verdicts.close()

    def settle(self, seconds: float) -> bool:
        """Waits until nothing runs any more of the candidates whose verdicts were told, which does
        not wait for that; whether it is so by then."""
        return self._keeper.settle(seconds)

    @property
    def isolation(self) -> str:
        """The sandbox's name."""
        return self._bench.suite.box.isolation.name

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """The verdicts that plain pytest has contradicted so far."""
        return self._sampled.drifts

    def start(self) -> None:
        """Starts the server, without waiting for it."""
        with suppress(UnfitError):
            if self._warm:
                with self._keeper.server():
                    pass

    def warm_up(self) -> dict[str, str]:
        """Starts the server and waits until it serves: for each of its levels, why it cannot
        serve this project, '' where it can."""
        if not self._warm:
            why = "there are no namespaces here"
            return dict.fromkeys(LEVELS, why)
        with self._keeper.server() as server:
            for door in server.doors.values():
                door.wait(time.monotonic() + _START)
            return {name: door.why for name, door in server.doors.items()}

    def test(self, task: Task, text: str, demand: Demand = WHOLE) -> TestReport:
        return self._bench.test(self._level, task, text, demand)

    def test_many(self, pairs: Iterable[tuple[Task, str]]) -> Iterator[TestReport]:
        """See Tester. Closing the iterator, or an exception in the caller, ends every run."""
        return self._bench.many(self._level, pairs)

    def confirm(self, task: Task, text: str) -> TestReport:
        """Plain pytest's own report, from a process of its own, whatever is remembered."""
        return self._bench.test(self._plain, task, text, fresh=True)
