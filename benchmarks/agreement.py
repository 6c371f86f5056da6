"""Whether the harness says of each covering test what plain pytest says of it."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from benchmarks import plain
from benchmarks.candidates import Case
from benchmarks.plain import Vector
from p2assist.experience import Outcome, TestReport
from p2assist.harness.tester import Tester

Told = Callable[[int, int, str], None]
_ROUNDS = 3  # in which both are asked once more
_LOOKED_AT = 5  # tests that changed though they do not cover the candidate

# What ours may be for each word of plain pytest's. A run that did not come to its end says of the
# test it ended in no more than that, and of those behind it nothing (None).
_SAME: dict[str | None, frozenset[Outcome]] = {
    "passed": frozenset({Outcome.PASSED}),
    "failed": frozenset({Outcome.FAILED}),
    "error": frozenset({Outcome.ERROR}),
    "missing": frozenset({Outcome.ERROR, Outcome.CRASHED, Outcome.TIMEOUT}),
    "timeout": frozenset({Outcome.TIMEOUT, Outcome.CRASHED}),
    "crashed": frozenset({Outcome.TIMEOUT, Outcome.CRASHED}),
    None: frozenset(Outcome),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One candidate of which the two do not say the same. outcomes: node id -> (plain pytest's
    word, ours). again: whether they never said the same when asked again."""

    case: Case
    outcomes: dict[str, tuple[str, str]]
    level: str
    again: bool

    def __str__(self) -> str:
        task = self.case.task
        shown = "; ".join(f"{n}: plain {p}, ours {o}" for n, (p, o) in self.outcomes.items())
        text = " ".join(self.case.text.split())[:100]
        sure = "" if self.again else " (not the second time)"
        return (
            f"{self.case.subject.name} {task.path}:{task.line} [{task.start}:{task.end}] "
            f"{self.case.label} {text!r}, {self.level}{sure}: {shown}"
        )


_COUNTED = (
    *("candidates", "mutants", "tests", "unreached", "refused", "outside", "passing_all"),
    "practised_seconds",
)


@dataclass(slots=True)
class Agreement:
    """Counts of candidates, and what was found. tests: compared outcomes. unreached: outcomes of
    which the plain run says nothing, because it hung or died before. outside: candidates by which
    a test that does not cover them changed in the plain run: what the map of tests missed.
    practised_seconds: that the tester took for the candidates, mutants aside."""

    candidates: int = 0
    mutants: int = 0
    tests: int = 0
    unreached: int = 0
    refused: int = 0
    outside: int = 0
    passing_all: int = 0
    levels: collections.Counter[str] = field(default_factory=collections.Counter)
    differences: list[Difference] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    practised_seconds: float = 0.0

    def take(self, other: Agreement) -> None:
        for name in _COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.levels += other.levels
        self.differences += other.differences
        self.missed += other.missed

    def figures(self) -> dict[str, Any]:
        """What is kept of it. sure: the differences that came back."""
        return {
            **{name: getattr(self, name) for name in _COUNTED},
            "levels": dict(self.levels),
            "different": len(self.differences),
            "sure": sum(difference.again for difference in self.differences),
            "said": [
                *(f"disagree: {difference}" for difference in self.differences),
                *(f"not covering, but changed: {missed}" for missed in self.missed),
            ],
        }


def summed(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of several packages as the benchmark prints them."""
    total = {name: sum(part[name] for part in parts) for name in (*_COUNTED, "different", "sure")}
    levels = sum((collections.Counter(part["levels"]) for part in parts), collections.Counter())
    seconds = total["practised_seconds"]
    return {
        "candidates": total["candidates"],
        "mutants": total["mutants"],
        "disagreements": total["sure"],
        "unstable": total["different"] - total["sure"],
        "refused": total["refused"],
        "missed": total["outside"],
        "tests_compared": total["tests"],
        "tests_unreached": total["unreached"],
        "passing_all": total["passing_all"],
        "levels": dict(levels),
        "verdicts_per_second": round(total["candidates"] / seconds, 1) if seconds else 0.0,
    }


def agreement(cases: Sequence[Case], tester: Tester, told: Told) -> Agreement:
    """Tests all of them as practice does, then compares. All are of one package."""
    found = Agreement()
    for case, report in _tested(cases, tester, found, told):
        vector = plain.reference(case)
        if case.is_mutant:
            found.mutants += 1
        else:
            found.candidates += 1
        found.levels[report.level] += 1
        found.passing_all += report.passes_all
        if any(o.outcome is Outcome.REFUSED for o in report.outcomes):
            found.refused += 1
            continue
        found.tests += len(report.outcomes)
        found.unreached += sum(vector.of(o.node_id) is None for o in report.outcomes)
        if different := differences(report, vector):
            found.differences.append(_once_more(case, report, different))
        if outside := _outside(case, vector):
            found.outside += 1
            found.missed.append(f"{case.subject.name} {case.task.path}:{case.task.line}: {outside}")
    return found


def differences(report: TestReport, vector: Vector) -> dict[str, tuple[str, str]]:
    """By node id, plain pytest's word and ours."""
    return {
        o.node_id: (str(vector.of(o.node_id)), str(o.outcome))
        for o in report.outcomes
        if o.outcome not in _SAME[vector.of(o.node_id)]
    }


def _tested(
    cases: Sequence[Case], tester: Tester, found: Agreement, told: Told
) -> Iterator[tuple[Case, TestReport]]:
    """The time that the tester takes is counted; comparing is no part of it."""
    reports = tester.test_many((case.task, case.text) for case in cases)
    for number, case in enumerate(cases):
        start = time.perf_counter()
        report = next(reports)
        if not case.is_mutant:
            found.practised_seconds += time.perf_counter() - start
        told(number + 1, len(cases), f"{len(found.differences)} disagree")
        yield case, report


def _once_more(case: Case, report: TestReport, different: dict[str, tuple[str, str]]) -> Difference:
    """Asks both again, a few times, and gives both more time: where a limit ends a run hangs on
    the machine, and what threads race for on chance. Plain pytest is asked of the covering tests
    alone too, as p2assist runs them: others of the suite may leave something behind."""
    left = set(different)
    for _ in range(_ROUNDS):
        with case.subject.workspace(patience=plain.PATIENCE) as space:
            second = space.tester.test(case.task, case.text)
        for tests in {plain.scope(case), plain.covering(case)}:
            left &= set(differences(second, plain.again(case, tests)))
        if not left:
            break
    return Difference(case, different, report.level, bool(left))


def _outside(case: Case, vector: Vector) -> str:
    """The first test that changed though it does not cover the candidate; '' where none did. One
    that alone is as it was before only met what another one that failed has left behind."""
    if plain.scope(case) or vector.unknown or not plain.compiles(case.applied):
        return ""
    covering, known = set(plain.covering(case)), plain.baseline(case.subject).outcomes
    passed = (node_id for node_id, said in known.items() if said == "passed")
    changed = (n for n in passed if n not in covering and vector.of(n) != "passed")
    for node_id in islice(changed, _LOOKED_AT):
        alone = plain.again(case, (node_id,)).of(node_id)
        if alone != "passed":
            return f"{node_id} passed -> {alone}"
    return ""
