"""What every tester does before and around a run: what needs no run, sharing, many at once."""

from __future__ import annotations

import hashlib
import math
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from p2assist.config import Config
from p2assist.experience import Outcome, Task, TestReport
from p2assist.harness import reading, tree, unsaved
from p2assist.harness.course import Course
from p2assist.harness.demand import WHOLE, Demand
from p2assist.harness.mapping import COMPILED, ImpactMap
from p2assist.harness.outcomes import Verdict
from p2assist.harness.overlay import Laid, Overlay, OwnFile
from p2assist.harness.sandbox import Files
from p2assist.harness.sharing import Shared
from p2assist.harness.suite import Suite
from p2assist.harness.verdicts import Verdicts

NO_TEST = "no covering test"
_SLOWER = 5  # how many times its baseline a suite may take beyond the configured timeout
_CPU_SLOWER = 10  # how many times its baseline a suite may compute beyond the configured limit
_STARTING = 4.0  # seconds that pytest and imports may compute on a slow machine, besides


@dataclass(frozen=True, slots=True)
class Job:
    """A candidate that has to be run. meaning: what two candidates share that do the same.
    wanted: node ids in the order of the suite. order: in which they run, see suite.Run. timeout:
    seconds. cpu: seconds that the tests may compute, whole ones as the kernel counts them;
    starting_cpu: where pytest has to start first."""

    task: Task
    files: Files
    meaning: str
    wanted: tuple[str, ...]
    timeout: float
    cpu: int
    order: str = ""

    @property
    def starting_cpu(self) -> int:
        return math.ceil(min(self.timeout, self.cpu + _STARTING))

    @property
    def paths(self) -> list[str]:
        """The files that hold the tests."""
        return list(dict.fromkeys(node_id.partition("::")[0] for node_id in self.wanted))


class Level(Protocol):
    """One way to run a job. name: for reports of what needed no run."""

    name: str

    def run(self, job: Job, course: Course) -> TestReport:
        """Raises HarnessError where the job cannot be run, StoppedError as the demand says."""
        ...


class Bench:
    """A tester around a level. overlay: what is laid over the tree for a candidate. state: of the
    tree and the environment, as Watch has it; what is remembered is of one state. verdicts: what
    outlives this process."""

    def __init__(
        self,
        config: Config,
        impact: ImpactMap,
        suite: Suite,
        *,
        overlay: Overlay | None = None,
        state: Callable[[], str] | None = None,
        verdicts: Verdicts | None = None,
    ) -> None:
        self.config, self.impact, self.suite = config, impact, suite
        self.overlay = overlay or OwnFile(config.root)
        self._shared, self._verdicts = Shared(), verdicts
        self.compiled = self._trusted_compiled()
        self._stamps = self._unchanged()
        self._state = state or (
            lambda: str([(p, tree.stamp(config.root / p)) for p in self.changed()])
        )
        self._same_syntax = suite.interpreter.version[:2] == sys.version_info[:2]

    def test(
        self,
        level: Level,
        task: Task,
        text: str,
        demand: Demand = WHOLE,
        *,
        fresh: bool = False,
    ) -> TestReport:
        """The report of one candidate at the level. fresh: run it, whatever is remembered."""
        course = Course(task, demand, self.impact)
        share = not fresh
        empty = TestReport(level=level.name, isolation=self.suite.box.isolation.name)
        if not task.tests:
            return replace(empty, reason=NO_TEST)
        laid = self._laid(task, text, demand)
        own = laid.files[0][1]
        try:
            read = reading.read(laid.before, own, typed=task.source)
        except SyntaxError as error:
            if self._same_syntax and self.impact.imported(task.path):
                words = f"{type(error).__name__}: {error.msg} ({task.path}, line {error.lineno})"
                return _alike(course, task, Verdict(Outcome.ERROR, message=words), empty)
            read = reading.unread(own)
        if read.refusal:
            report = _alike(course, task, Verdict(Outcome.REFUSED, message=read.refusal), empty)
            return replace(report, reason=f"refused: {read.refusal}")
        job = self._job(task, laid.files, read.meaning)
        return noted(self._run(level, job, course, share), laid.note)

    def many(self, level: Level, pairs: Iterable[tuple[Task, str]]) -> Iterator[TestReport]:
        """See Tester. Closing the iterator, or an exception in the caller, ends every run."""
        stop, workers = threading.Event(), self.workers
        demand = Demand(stop=stop)
        pool = ThreadPoolExecutor(workers, thread_name_prefix="p2assist-test")
        ahead: deque[Future[TestReport]] = deque()
        try:
            for task, text in pairs:
                ahead.append(pool.submit(self.test, level, task, text, demand))
                while ahead and (ahead[0].done() or len(ahead) > 2 * workers):
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    @property
    def workers(self) -> int:
        """Candidates tested at once."""
        return self.config.team.harness.workers or cores()

    def changed(self) -> list[str]:
        """Sources whose kept compiled form may be stale: a clock does not tell."""
        root, files = self.config.root, self.impact.files
        return [p for p in files if self._stamps.get(p) != tree.stamp(root / p)]

    def _laid(self, task: Task, text: str, demand: Demand) -> Laid:
        laid = self.overlay.lay(task, text)
        if not demand.unsaved:
            return laid
        known = (*self.impact.by_id, *(test.node_id for test in task.tests))
        tests = {node_id.partition("::")[0] for node_id in known}
        return unsaved.over(laid, demand.unsaved, root=self.config.root, tests=tests)

    def _job(self, task: Task, files: Files, meaning: str) -> Job:
        order, known = self.impact.order, self.impact.by_id
        wanted = sorted(
            dict.fromkeys(test.node_id for test in task.tests),
            key=lambda node_id: order.get(node_id, len(order)),
        )
        baseline = sum(known[node_id].seconds for node_id in wanted if node_id in known)
        limits = self.config.team.harness
        timeout = max(limits.timeout, _SLOWER * baseline)
        return Job(
            task=task,
            files=files,
            meaning=meaning,
            wanted=tuple(wanted),
            timeout=timeout,
            cpu=max(1, round(min(timeout, limits.cpu + _CPU_SLOWER * baseline))),
        )

    def _run(self, level: Level, job: Job, course: Course, share: bool) -> TestReport:
        """The report of the run that this candidate shares with those that mean the same."""
        if not share:
            return level.run(job, course)
        said = self._said(job)
        key = f"{self._state()} {said}"
        if course.whole:
            run = partial(self._run_once, level, job, course, said)
            report = self._shared.run(key, run, course.is_set)
        else:
            found = self._shared.known(key)
            report = found or self._run_once(level, job, course, said)
            if found is None and report.complete:
                self._shared.keep(key, report)
        for outcome in report.outcomes:
            course.tell(outcome)
        return report

    def _run_once(self, level: Level, job: Job, course: Course, said: str) -> TestReport:
        """The report, from disk where an earlier process has kept it."""
        verdicts = self._verdicts
        place = verdicts.place(said) if verdicts else None
        if verdicts is None or place is None:
            return level.run(job, course)
        if kept := verdicts.find(place):
            return kept
        report = level.run(job, course)
        verdicts.keep(place, report)
        return report

    def _said(self, job: Job) -> str:
        """A digest of what the job's outcome depends on, besides the tree and the environment:
        the meaning of the candidate's file, the other files laid over the tree, the tests."""
        said = hashlib.sha256(f"{job.task.path}\0{job.meaning}".encode("utf-8", "replace"))
        for path, content in job.files:
            if path != job.task.path:  # of its own file it is the meaning that counts
                said.update(path.encode() + b"\0" + hashlib.sha256(content).digest())
        digests = {test.node_id: test.digest for test in job.task.tests}
        known = self.impact.by_id
        for node_id in job.wanted:
            before = known[node_id].outcome if node_id in known else ""
            said.update(f"\0{node_id}\0{digests[node_id]}\0{before}".encode("utf-8", "replace"))
        return said.hexdigest()

    def _trusted_compiled(self) -> str:
        """The file of compiled forms that belongs to the map; '' where it does not."""
        file = self.config.state / COMPILED
        wanted = self.impact.compiled
        return str(file) if wanted and tree.file_digest(file) == wanted else ""

    def _unchanged(self) -> dict[str, tuple[int, int, int]]:
        """Stamps of the files that are still as the map saw them."""
        root = self.config.root
        stamps = {path: tree.stamp(root / path) for path in self.impact.files}
        known = self.impact.files
        return {p: s for p, s in stamps.items() if tree.file_digest(root / p) == known[p]}


def noted(report: TestReport, note: str) -> TestReport:
    """The report with a note beside its reason."""
    if not note:
        return report
    return replace(report, reason="; ".join(filter(None, (report.reason, note))))


def _alike(course: Course, task: Task, verdict: Verdict, empty: TestReport) -> TestReport:
    """The same verdict for every covering test, without a run."""
    report = course.report({test.node_id: verdict for test in task.tests}, empty)
    return replace(report, seconds=0.0)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
