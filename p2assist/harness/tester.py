"""Testers: from a task and a candidate's text to a TestReport."""

from __future__ import annotations

import ast
import hashlib
import math
import os
import sys
import threading
import time
import tokenize
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Protocol

from p2assist.config import Config
from p2assist.errors import HarnessError, StoppedError
from p2assist.experience import CoveringTest, Outcome, Task, TestOutcome, TestReport
from p2assist.harness import refusal, sources, tree
from p2assist.harness.demand import WHOLE, Demand
from p2assist.harness.impact import ImpactMap
from p2assist.harness.mapping import COMPILED
from p2assist.harness.outcomes import Verdict
from p2assist.harness.sandbox import Ending
from p2assist.harness.suite import Run, Suite

NO_TEST = "no covering test"
LEVEL = "subprocess"
_SLOWER = 5  # how many times its baseline a suite may take beyond the configured timeout
_CPU_FLOOR = 5.0  # seconds of processor time for starting pytest on a slow machine
_CPU_SLOWER = 10  # how many times its baseline a suite may compute
_SIGXCPU = 24
_REMEMBERED = 20_000  # reports kept in memory


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


class SubprocessTester:
    """Runs plain pytest on the covering tests, one sandboxed process for each candidate.

    A candidate may compute for 5 s and ten times what its tests took at baseline, and may take
    `timeout` or five times the baseline, whichever is longer. What was not reported by then is
    `timeout`; what was not reported at all, though the process ended, `crashed`. Candidates whose
    file has the same syntax tree share one run.

    Raises IsolationError where nothing isolates, HarnessError where there is no interpreter.
    """

    def __init__(self, config: Config, impact: ImpactMap) -> None:
        self._config, self._impact = config, impact
        self._suite = Suite.of(config)
        self._known: dict[str, Future[TestReport]] = {}
        self._lock = threading.Lock()
        self._compiled = self._trusted_compiled()
        self._stamps = self._unchanged()
        version = self._suite.interpreter.version
        self._same_syntax = version[:2] == sys.version_info[:2]

    @property
    def isolation(self) -> str:
        """The sandbox's name."""
        return self._suite.box.isolation.name

    def test(self, task: Task, text: str, demand: Demand = WHOLE) -> TestReport:
        return self._test(task, text, demand.stop or threading.Event())

    def test_many(self, pairs: Iterable[tuple[Task, str]]) -> Iterator[TestReport]:
        """See Tester. Closing the iterator, or an exception in the caller, ends every run."""
        workers = self._config.team.harness.workers or _cores()
        stop = threading.Event()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="p2assist-test")
        ahead: deque[Future[TestReport]] = deque()
        try:
            for task, text in pairs:
                ahead.append(pool.submit(self._test, task, text, stop))
                while ahead and (ahead[0].done() or len(ahead) > 2 * workers):
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _test(self, task: Task, text: str, stop: threading.Event) -> TestReport:
        empty = TestReport(level=LEVEL, isolation=self.isolation)
        if not task.tests:
            return replace(empty, reason=NO_TEST)
        applied = task.apply(text)
        try:
            parsed = sources.parse(applied)
        except SyntaxError as error:
            if self._same_syntax:
                words = f"{type(error).__name__}: {error.msg} ({task.path}, line {error.lineno})"
                return self._alike(task, Verdict(Outcome.ERROR, message=words))
            return self._shared(task, applied, applied, stop)
        except (RecursionError, MemoryError):
            return self._shared(task, applied, applied, stop)
        if why := refusal.refuse(parsed, _parsed(task.source)):
            report = self._alike(task, Verdict(Outcome.REFUSED, message=why))
            return replace(report, reason=f"refused: {why}")
        return self._shared(task, applied, ast.dump(parsed), stop)

    def _alike(self, task: Task, verdict: Verdict) -> TestReport:
        """The same verdict for every covering test, without a run."""
        return self._report(task.tests, {test.node_id: verdict for test in task.tests})

    def _shared(self, task: Task, applied: str, meaning: str, stop: threading.Event) -> TestReport:
        """The report of the run that this candidate shares with those that mean the same."""
        ids = "\0".join(test.node_id for test in task.tests)
        key = hashlib.sha256(
            f"{task.path}\0{ids}\0{meaning}".encode("utf-8", "replace")
        ).hexdigest()
        with self._lock:
            running = self._known.get(key)
            if mine := running is None:
                running = self._known[key] = Future()
                while len(self._known) > _REMEMBERED:
                    self._known.pop(next(iter(self._known)))
        assert running is not None
        if mine:
            try:
                running.set_result(self._run(task, applied, stop))
            except BaseException as error:
                with self._lock:
                    self._known.pop(key, None)
                running.set_exception(error)
                raise
        try:
            return running.result()
        except (StoppedError, CancelledError, KeyboardInterrupt):
            if stop.is_set():
                raise
            return self._run(task, applied, stop)  # it was another caller who went away

    def _run(self, task: Task, applied: str, stop: threading.Event) -> TestReport:
        wanted = [test.node_id for test in task.tests]
        path = self._real(task.path)
        order = self._impact.order
        wanted.sort(key=lambda node_id: order.get(node_id, len(order)))
        known = self._impact.by_id
        baseline = sum(known[node_id].seconds for node_id in wanted if node_id in known)
        timeout = max(self._config.team.harness.timeout, _SLOWER * baseline)
        run = Run(
            tests=wanted,
            paths=list(dict.fromkeys(node_id.partition("::")[0] for node_id in wanted)),
            files=((path, encode(applied)),),
            stale=(path, *self._changed()),
            compiled=self._compiled,
            options=self._impact.options,
            timeout=timeout,
            cpu=math.ceil(min(timeout, _CPU_FLOOR + _CPU_SLOWER * baseline)),
        )
        started = time.perf_counter()
        transcript, ending = self._suite.run(run, stop=stop)
        if ending.how == "abort" and stop.is_set():
            raise StoppedError("the test run was stopped")
        unreported = _unreported(ending)
        verdicts = {node_id: transcript.verdict(node_id, unreported) for node_id in wanted}
        report = self._report(task.tests, verdicts)
        return replace(report, seconds=time.perf_counter() - started, reason=_reason(ending))

    def _real(self, path: str) -> str:
        """The path with its links resolved. Raises HarnessError where it leaves the root."""
        root = self._config.root
        real = (root / path).resolve()
        if not real.is_relative_to(root):
            raise HarnessError(f"{path} is not inside {root}: it cannot be tested there")
        return real.relative_to(root).as_posix()

    def _report(self, tests: Sequence[CoveringTest], verdicts: Mapping[str, Verdict]) -> TestReport:
        known = self._impact.by_id
        outcomes = []
        for test in tests:
            verdict, before = verdicts[test.node_id], known.get(test.node_id)
            outcomes.append(
                TestOutcome(
                    test.node_id,
                    verdict.outcome,
                    baseline=before.outcome if before else Outcome.PASSED,
                    digest=test.digest,
                    seconds=verdict.seconds,
                    message=verdict.message,
                )
            )
        return TestReport(tuple(outcomes), level=LEVEL, isolation=self.isolation)

    def _trusted_compiled(self) -> str:
        """The file of compiled forms that belongs to the map; '' where it does not."""
        file = self._config.state / COMPILED
        wanted = self._impact.compiled
        return str(file) if wanted and tree.file_digest(file) == wanted else ""

    def _unchanged(self) -> dict[str, tuple[int, int, int]]:
        """Stamps of the files that are still as the map saw them."""
        root = self._config.root
        stamps = {path: tree.stamp(root / path) for path in self._impact.files}
        known = self._impact.files
        return {p: s for p, s in stamps.items() if tree.file_digest(root / p) == known[p]}

    def _changed(self) -> list[str]:
        """Sources whose kept compiled form may be stale: a clock does not tell."""
        root, files = self._config.root, self._impact.files
        return [p for p in files if self._stamps.get(p) != tree.stamp(root / p)]


def encode(text: str) -> bytes:
    """The file's bytes in the encoding that it declares."""
    raw = text.encode("utf-8", "surrogateescape")
    try:
        encoding = tokenize.detect_encoding(BytesIO(raw).readline)[0]
        return raw if encoding.startswith("utf-8") else text.encode(encoding)
    except (SyntaxError, UnicodeError):
        return raw  # Python will say what is wrong with it


def _parsed(text: str) -> ast.Module:
    """The original's tree; an empty one where it does not parse, so that nothing is excused."""
    try:
        return sources.parse(text)
    except (SyntaxError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def _unreported(ending: Ending) -> Outcome:
    """What a test without a report is called."""
    slow = ending.how == "timeout" or (ending.how == "signal" and ending.value == _SIGXCPU)
    return Outcome.TIMEOUT if slow else Outcome.CRASHED


def _reason(ending: Ending) -> str:
    return (
        ""
        if ending.how == "exit"
        else (ending.words or f"{ending.how} {ending.value or ''}".strip())
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
