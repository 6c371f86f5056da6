"""Lets the attacks loose, one after the other, and looks at the world after each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console

from benchmarks.attacks import exhaustion, files, network, processes, verdicts
from benchmarks.attacks.attack import Attack
from benchmarks.attacks.forgeries import FORGERIES
from benchmarks.attacks.world import TIMEOUT, World, indented
from p2assist.errors import P2AssistError
from p2assist.experience import Outcome, Task, TestReport
from p2assist.harness.tester import WarmTester
from p2assist.practice.workspace import Workspace

ATTACKS: tuple[Attack, ...] = (
    *network.ATTACKS,
    *files.ATTACKS,
    *processes.ATTACKS,
    *verdicts.ATTACKS,
    *exhaustion.ATTACKS,
)
err = Console(stderr=True)
_GRACE = 20.0  # seconds beyond the timeout that a machine with other work may take
_PASSED, _FAILED = Outcome.PASSED, Outcome.FAILED


@dataclass(frozen=True, slots=True)
class Finding:
    """got: what the attack achieved, in words; '' where it was held. control: whether the check
    was shown to see success; None where that was not tried. level: how the verdict was reached."""

    attack: Attack
    got: str
    control: bool | None
    level: str
    seconds: float


@contextmanager
def world() -> Iterator[World]:
    codes = [code for one in ATTACKS for code in (one.code, one.before) if code]
    with World(codes, list(FORGERIES.values())) as made:
        yield made


class Arena:
    """A world with a tester on it."""

    def __init__(self, made: World, space: Workspace) -> None:
        self.world, self._space = made, space
        self._task = _task(space, "shop/odd.py", "return number * 2")
        self._count = 0

    @property
    def tester(self) -> WarmTester:
        return self._space.tester

    def attempt(self, attack: Attack) -> tuple[str, TestReport, float]:
        """What it got, its report, and the seconds of it."""
        start, report = time.monotonic(), TestReport()
        self.world.repair()
        try:
            with self.world.meter:
                if attack.before:
                    self.tester.test(self._task, self._hostile(attack.before))
                report = self.tester.test(self._task, self._hostile(attack.code))
                gone = self.tester.settle(_GRACE)  # only then it can do nothing any more
        except P2AssistError as error:
            return f"the tester failed: {error}", report, time.monotonic() - start
        seconds = time.monotonic() - start
        got = attack.check(self.world, report)
        got = got or ("" if gone else "its cell does not end")
        if not got and seconds > (2 if attack.before else 1) * TIMEOUT + _GRACE:
            got = f"it took {seconds:.0f} s"
        return got, report, seconds

    def aftermath(self) -> str:
        """Whether all is as it was, and the next candidates get the verdicts that they should."""
        wrong = self.world.changed() or self.world.arrived() or self.world.left_running()
        if not self.world.canary_lives():
            wrong = "a process outside was ended"
        for text, expected in (
            ("return number * 2 + {n} - {n}", [_PASSED, _PASSED, _PASSED]),
            ("return number * 3 + {n} - {n}", [_PASSED, _FAILED, _FAILED]),
        ):
            self._count += 1
            try:
                report = self.tester.test(self._task, text.format(n=self._count))
            except P2AssistError as error:
                return wrong or f"the tester is broken: {error}"
            found = [outcome.outcome for outcome in report.outcomes]
            if found != expected:
                wrong = wrong or f"the next candidate got {[str(o) for o in found]}"
        return wrong

    def _hostile(self, code: str) -> str:
        return indented(self.world.written(code)).lstrip(" ") + "\n    return number * 3"


def _task(space: Workspace, path: str, span: str) -> Task:
    source = (space.config.root / path).read_text()
    start = source.index(span)
    line = source.count("\n", 0, start) + 1
    tests = space.impact.covering(path, line, line)
    return Task(path, source, start, start + len(span), tests=tests)


def attacks(
    made: World,
    chosen: Sequence[Attack] = ATTACKS,
    *,
    isolation: str = "auto",
    with_controls: bool = True,
    told: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Iterator[Finding]:
    """Each attack in the sandbox, then each control."""
    found: list[tuple[Attack, str, str, float]] = []
    with Workspace(made.config(isolation)) as space:
        arena = Arena(made, space)
        if wrong := arena.aftermath():
            raise RuntimeError(f"the world is not sound before any attack: {wrong}")
        for number, attack in enumerate(chosen):
            told(number, len(chosen), attack.name)
            got, report, seconds = arena.attempt(attack)
            got = got or arena.aftermath()
            if got:
                err.print(f"{attack.group}: {attack.name}: {got}", markup=False, soft_wrap=True)
            found.append((attack, got, report.level, seconds))
    shown = dict(controls(made, chosen)) if with_controls else {}
    for attack, got, level, seconds in found:
        yield Finding(attack, got, shown.get(attack), level, seconds)


def controls(made: World, chosen: Sequence[Attack]) -> Iterator[tuple[Attack, bool]]:
    """Whether the check sees success: the attack without isolation, or its deed by ourselves."""
    with Workspace(made.config("none")) as space:
        arena = Arena(made, space)
        for attack in chosen:
            if attack.control_runs and not (attack.root_only and os.geteuid()):
                got, _, _ = arena.attempt(attack)
                yield attack, bool(got)
            elif attack.deed:
                made.repair()
                attack.deed(made)
                yield attack, bool(attack.check(made, TestReport()))
            made.repair()


def forgeries(
    made: World, told: Callable[[int, int, str], None] = lambda done, total, what: None
) -> Iterator[tuple[str, bool, bool]]:
    """Of each forgery whether it got through, and whether it is one: whether it does where its
    means are nothing new."""
    with Workspace(made.config("auto")) as space:
        for number, (name, code) in enumerate(FORGERIES.items()):
            told(number, len(FORGERIES), name)
            text = indented(code.strip("\n")).lstrip(" ")
            passed = []
            for path in ("shop/prices.py", "shop/loose.py"):
                task = _task(space, path, "return sum(prices)")
                passed.append(space.tester.test(task, text).passed > 0)
            yield name, passed[0], passed[1]
