"""The runs of the suite that a map is made from."""

from __future__ import annotations

import importlib.util
import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

from p2assist.config import Config
from p2assist.errors import BaselineError, HarnessError
from p2assist.harness import sources
from p2assist.harness.baseline import Told
from p2assist.harness.outcomes import Transcript
from p2assist.harness.sandbox import Ending
from p2assist.harness.suite import Run, Suite

Progress = Callable[[str, float], None]

_BUDGET = 3600.0  # seconds for one run of the whole suite
_ALONE = 300.0  # seconds of tests that each run in a process of their own; the rest shares one
_QUICK = 10.0  # seconds that a suite takes at most for being run shuffled as well
_IGNORE_ADDOPTS = ("-o", "addopts=")
_IN_ORDER = "in order"
_COVERAGE = "alone under coverage"
_REVERSE = "in reverse"


@dataclass(slots=True)
class Rounds:
    """Runs the suite, or some of it, again and again. options: further arguments that pytest
    turned out to need."""

    config: Config
    progress: Progress
    options: tuple[str, ...] = ()
    suite: Suite = field(init=False)
    _share: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.suite = Suite.of(self.config)

    def whole(self) -> list[Told]:
        """The suite in order, in reverse, each test alone under coverage, and, where that was
        quick, shuffled with other hash seeds. The first is the one in order.

        Raises BaselineError where no test is found, or a test ends the process.
        """
        run, started = Run(keep_compiled=True), time.monotonic()
        first, ending = self._run(run, _IN_ORDER, 0, 5)
        if not first.items and "unrecognized arguments" in ending.output:
            # The project's addopts are for plugins that are not installed.
            self.options = _IGNORE_ADDOPTS
            first, ending = self._run(run, _IN_ORDER, 0, 5)
        if not first.items:
            raise BaselineError(_nothing_collected(self.config, first, ending))
        _require_end(first, ending, list(first.items))
        quick = time.monotonic() - started < _QUICK
        more = {_REVERSE: Run(order="reverse"), _COVERAGE: self._traced(Run())}
        if quick:
            for seed in (1, 2):
                how = f"shuffled, with the hash seed {seed}"
                more[how] = Run(order=f"shuffle {seed}", hash_seed=seed)
        return [Told("", first), *self._together(more, list(first.items))]

    def some(self, run: Run, suspects: Callable[[Transcript], Sequence[str]]) -> list[Told]:
        """The tests of the run under coverage and in order, those of suspects in reverse too.

        suspects: told what was collected, the tests that have to prove themselves. The first is
        the run under coverage, whose items are all that there are. Raises BaselineError as whole.
        """
        traced, ending = self._run(self._traced(run), _COVERAGE, 0, 2)
        wanted = [node_id for node_id in traced.items if node_id not in set(run.unwanted)]
        if run.tests is None and not traced.items:
            raise BaselineError(_nothing_collected(self.config, traced, ending))
        _require_end(traced, ending, wanted)
        if not wanted:
            return [Told(_COVERAGE, traced)]
        paths = list(dict.fromkeys(node_id.partition("::")[0] for node_id in wanted))
        plain = replace(run, tests=wanted, unwanted=(), paths=paths)
        more = {"": plain}
        if doubtful := list(suspects(traced)):
            paths = list(dict.fromkeys(node_id.partition("::")[0] for node_id in doubtful))
            more[_REVERSE] = replace(plain, tests=doubtful, paths=paths, order="reverse")
        return [Told(_COVERAGE, traced), *self._together(more, wanted)]

    def _tell(self, words: str, share: float) -> None:
        """Runs go on side by side: the share never falls."""
        with self._lock:
            self._share = max(self._share, share)
            self.progress(words, self._share)

    def _traced(self, run: Run) -> Run:
        has_own = "coverage" in self.suite.interpreter.modules
        return replace(run, coverage="" if has_own else lent_coverage(), alone_seconds=_ALONE)

    def _together(self, runs: dict[str, Run], tests: list[str]) -> list[Told]:
        """Two at a time: it is sooner done, and the machine is busy, as it will be."""
        total = 1 + len(runs)

        def one(number: int, how: str, run: Run) -> Told:
            transcript, ending = self._run(run, how, number, total)
            wanted = tests if run.tests is None else list(run.tests)
            _require_end(transcript, ending, wanted)
            return Told(how, transcript, None if run.tests is None else frozenset(run.tests))

        with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
            started = [
                pool.submit(one, n, how, run) for n, (how, run) in enumerate(runs.items(), 1)
            ]
            return [future.result() for future in started]

    def _run(self, run: Run, how: str, number: int, total: int) -> tuple[Transcript, Ending]:
        words = f"baseline, {how or _IN_ORDER}"

        def on_test(done: int, of: int) -> None:
            self._tell(words, (number + min(1.0, done / max(of, 1))) / total)

        self._tell(words, number / total)
        run = replace(run, options=self.options, timeout=_BUDGET, cpu=int(_BUDGET))
        transcript, ending = self.suite.run(run, on_test=on_test)
        if transcript.failure:
            python = self.suite.interpreter.python
            raise HarnessError(
                f"{python} cannot load coverage ({transcript.failure}): "
                f"`{python} -m pip install coverage`"
            )
        return transcript, ending


def lent_coverage() -> str:
    """The folder of p2assist's own coverage package."""
    spec = importlib.util.find_spec("coverage")
    assert spec and spec.origin
    return str(Path(spec.origin).parent)


def _require_end(transcript: Transcript, ending: Ending, wanted: Sequence[str]) -> None:
    """Raises BaselineError where the suite's process did not come to its end: what ran after
    the test that ended it is not known."""
    if transcript.status is not None:
        return
    guilty = next((t for t in wanted if not transcript.reported(t)), "its end")
    how = ending.words or f"{ending.how} {ending.value or ''}".strip()
    raise BaselineError(
        f"the suite's process ended ({how}) at {guilty}, before any candidate: leave that test "
        'out with pytest_args = ["--deselect", ...] in [tool.p2assist]'
    )


def _nothing_collected(config: Config, transcript: Transcript, ending: Ending) -> str:
    """Why there is no test, in words."""
    where = ", ".join(config.team.tests) or str(config.root)
    if broken := sources.first_syntax_error(config.root):
        return f"no test can be collected: {broken}"
    if transcript.uncollected:
        path, words = next(iter(transcript.uncollected.items()))
        return f"no test can be collected: {path or where}: {words}"
    if transcript.status == 5:
        return f"no tests found in {where}: name their folder with `tests` in [tool.p2assist]"
    said = [line for line in ending.output.splitlines() if line.strip()]
    errors = [line for line in said if re.match(r"(ERROR|E  |ImportError)", line)] or said[-3:]
    if ending.how == "timeout":
        return f"the tests in {where} were not collected within {_BUDGET:.0f} s"
    return f"pytest cannot start in {where}: {' / '.join(errors)[-500:] or ending.how}"
