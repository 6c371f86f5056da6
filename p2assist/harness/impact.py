"""The impact map: how it is made. What it is: mapping.py.

The suite runs three times in the sandbox: once under coverage with a context for each test, then
without it, in order and in reverse. A test that does not say the same each time is left out.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import marshal
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from p2assist.config import Config
from p2assist.errors import BaselineError, HarnessError
from p2assist.experience import Outcome
from p2assist.harness import sources, tree
from p2assist.harness.mapping import COMPILED, BaselineTest, ImpactMap, load, write_atomically
from p2assist.harness.outcomes import Transcript, Verdict
from p2assist.harness.sandbox import Ending
from p2assist.harness.suite import Run, Suite

__all__ = ["BaselineTest", "ImpactMap", "build", "load"]

Progress = Callable[[str, float], None]

_BUDGET = 3600.0  # seconds for one run of the whole suite
_NO_OPTIONS: tuple[str, ...] = ()
_IGNORE_ADDOPTS = ("-o", "addopts=")
_RUNS = ("mapping lines to tests", "baseline", "baseline, in reverse")


def build(config: Config, *, progress: Progress | None = None) -> ImpactMap:
    """Runs the suite and maps it. Nothing but the compiled files is kept: see ImpactMap.save.

    progress: told what is being done and the share of it, 0..1. Raises BaselineError where no
    test is found, none can be collected or none passes; IsolationError and HarnessError where
    nothing can be run.
    """
    return _Builder(config, progress or (lambda text, share: None)).build()


class _Builder:
    def __init__(self, config: Config, progress: Progress) -> None:
        self._config, self._progress = config, progress
        self._suite = Suite.of(config)
        self._options = _NO_OPTIONS

    def build(self) -> ImpactMap:
        files = tree.digests(self._config.root)
        mapped, ending = self._mapped()
        if not mapped.items:
            raise BaselineError(_nothing_collected(self._config, mapped, ending))
        _require_end(mapped, ending)
        runs = [mapped]
        for number in (1, 2):
            transcript, ending = self._run(number, reverse=number == 2)
            _require_end(transcript, ending)
            runs.append(transcript)
        tests = _tests(self._config.root, runs)
        if not any(test.counts for test in tests):
            raise BaselineError(_nothing_passes(tests, ending))
        lines, sets = _lines(self._config.root, tests, _blob(mapped, "coverage"))
        return ImpactMap(
            tests=tests,
            lines=lines,
            sets=sets,
            files=files,
            uncollected=mapped.uncollected,
            options=self._options,
            python=str(self._suite.interpreter.python),
            compiled=self._keep_compiled(runs[1]),
        )

    def _mapped(self) -> tuple[Transcript, Ending]:
        """The run under coverage; without the project's addopts where pytest does not know
        them, because the plugins that they are for are not installed."""
        coverage = "" if "coverage" in self._suite.interpreter.modules else _lent_coverage()
        mapped, ending = self._run(0, coverage=coverage)
        if mapped.failure:
            python = self._suite.interpreter.python
            raise HarnessError(
                f"{python} cannot load coverage ({mapped.failure}): "
                f"`{python} -m pip install coverage`"
            )
        if not mapped.items and "unrecognized arguments" in ending.output:
            self._options = _IGNORE_ADDOPTS
            mapped, ending = self._run(0, coverage=coverage)
        return mapped, ending

    def _run(
        self, number: int, *, reverse: bool = False, coverage: str | None = None
    ) -> tuple[Transcript, Ending]:
        def on_test(done: int, total: int) -> None:
            share = min(1.0, done / max(total, 1))
            self._progress(_RUNS[number], (number + share) / len(_RUNS))

        self._progress(_RUNS[number], number / len(_RUNS))
        run = Run(
            reverse=reverse,
            coverage=coverage,
            keep_compiled=number == 1,
            options=self._options,
            timeout=_BUDGET,
            cpu=int(_BUDGET),
        )
        return self._suite.run(run, on_test=on_test)

    def _keep_compiled(self, transcript: Transcript) -> str:
        """Keeps the compiled files of the run; their digest."""
        known = tuple(
            (path, bytes(data))
            for path, data in sorted(transcript.blobs.items())
            if path.endswith(".pyc") and not path.startswith("/") and ".." not in path.split("/")
        )
        content = marshal.dumps(known)
        try:
            write_atomically(self._config.state / COMPILED, content)
        except OSError as error:
            raise HarnessError(f"the state folder cannot be written: {error}") from error
        return hashlib.sha256(content).hexdigest()


def _require_end(transcript: Transcript, ending: Ending) -> None:
    """Raises BaselineError where the suite's process did not come to its end: what ran after
    the test that ended it is not known."""
    if transcript.status is not None:
        return
    guilty = next((t for t in transcript.items if not transcript.reported(t)), "its end")
    how = ending.words or f"{ending.how} {ending.value or ''}".strip()
    raise BaselineError(
        f"the suite's process ended ({how}) at {guilty}, before any candidate: leave that test "
        'out with pytest_args = ["--deselect", ...] in [tool.p2assist]'
    )


def _lent_coverage() -> str:
    """The folder of p2assist's own coverage package."""
    spec = importlib.util.find_spec("coverage")
    assert spec and spec.origin
    return str(Path(spec.origin).parent)


def _tests(root: Path, runs: Sequence[Transcript]) -> tuple[BaselineTest, ...]:
    """Each test's word over the runs; the first is the one under coverage."""
    digests = sources.TestDigests(root)
    node_ids = dict.fromkeys(node_id for run in runs for node_id in run.items)
    return tuple(
        _baseline(node_id, [run.verdict(node_id, Outcome.CRASHED) for run in runs], digests)
        for node_id in node_ids
    )


def _baseline(
    node_id: str, verdicts: Sequence[Verdict], digests: sources.TestDigests
) -> BaselineTest:
    traced, first, second = verdicts
    unstable = ""
    if first.outcome is not second.outcome:
        unstable = f"{first.outcome} in order, {second.outcome} in reverse"
    elif traced.outcome is not first.outcome:
        unstable = f"{first.outcome}, but {traced.outcome} under coverage"
    return BaselineTest(
        node_id=node_id,
        outcome=first.outcome,
        seconds=max(first.seconds, second.seconds),
        digest=digests.of(node_id),
        unstable=unstable,
        message=first.message,
        skipped=first.skipped,
    )


def _blob(transcript: Transcript, name: str) -> Mapping[str, Any]:
    try:
        told: Mapping[str, Any] = json.loads(transcript.blobs[name])
    except (KeyError, ValueError) as error:
        raise HarnessError(
            f"the run under coverage did not say which lines ran ({type(error).__name__}): "
            "install coverage for the project's interpreter"
        ) from error
    return told


def _lines(
    root: Path, tests: Sequence[BaselineTest], told: Mapping[str, Any]
) -> tuple[dict[str, dict[int, int]], tuple[tuple[int, ...], ...]]:
    """Line -> tests, with equal sets of tests kept once."""
    numbers = {test.node_id: number for number, test in enumerate(tests)}
    everyone = frozenset(range(len(tests)))
    contexts = []
    for name in told["contexts"]:
        of_fixture = told["fixtures"].get(name, [name])
        contexts.append(
            frozenset(numbers[t] for t in of_fixture if t in numbers) if name else everyone
        )
    known: dict[frozenset[int], int] = {}
    lines = {}
    for path, by_line in told["files"].items():
        of_file = sources.spread(
            root / path,
            {
                int(line): frozenset().union(*(contexts[c] for c in cs))
                for line, cs in by_line.items()
            },
            everyone,
        )
        if of_file:
            lines[path] = {n: known.setdefault(one, len(known)) for n, one in of_file.items()}
    return lines, tuple(tuple(sorted(one)) for one in known)


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


def _nothing_passes(tests: Sequence[BaselineTest], ending: Ending) -> str:
    failing = [test for test in tests if not test.skipped]
    shown = "; ".join(f"{t.node_id}: {t.message or t.outcome}" for t in failing[:3])
    return (
        f"none of the {len(tests)} tests passes before any candidate: {shown}. "
        "Are the project's dependencies installed for the interpreter? (--python)"
    )
