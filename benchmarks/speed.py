"""How much faster a verdict is than plain pytest, each candidate timed by both, one after the
other, so that what else the machine does meets both."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import plain
from benchmarks.candidates import Case
from p2assist.experience import TestOutcome
from p2assist.harness.demand import Demand
from p2assist.harness.tester import Tester

FEW = 20  # covering tests of what an editor asks for most
_LONGEST, _FEWEST = 100.0, 6  # seconds for a package, once so many are timed
Told = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one candidate. full, covering: plain pytest on the whole suite (0 where that is
    not run), and on the covering tests. first: our first outcome; whole: our verdict."""

    tests: int
    full: float
    covering: float
    first: float
    whole: float


def timings(
    cases: Sequence[Case], tester: Tester, count: int, told: Told, *, full: int | None = None
) -> list[dict[str, Any]]:
    """So many candidates that run and end, drawn by chance; the same ones every time, fewer where
    they take too long. full: of how many the whole suite is run."""
    chosen = _chosen(cases, count)
    for case in chosen[:3]:  # a warm server is what an editor has
        tester.test(case.task, case.task.reference)
    found: list[Timing] = []
    started = time.monotonic()
    for case in chosen:
        if len(found) >= _FEWEST and time.monotonic() - started > _LONGEST:
            break
        first, whole = _ours(case, tester)
        tests = tuple(test.node_id for test in case.task.tests)
        covering = _plain(case, tests)
        complete = _plain(case, ()) if full is None or len(found) < full else 0.0
        found.append(Timing(len(tests), complete, covering, first, whole))
        told(len(found), len(chosen), "")
    return [asdict(timing) for timing in found]


def _chosen(cases: Sequence[Case], count: int) -> list[Case]:
    """No two that mean the same, none that is no Python, hangs or kills its process: what such
    ones take is the timeout. No more of them are run for that than are wanted."""
    drawn = [case for case in cases if plain.meaning(case.applied) != plain.NO_PYTHON]
    random.Random(5).shuffle(drawn)
    usable: dict[str, Case] = {}
    for case in drawn:
        meaning = plain.meaning(case.applied)
        if len(usable) < count and meaning not in usable and not plain.reference(case).unknown:
            usable[meaning] = case
    return list(usable.values())


def _ours(case: Case, tester: Tester) -> tuple[float, float]:
    outcomes: list[float] = []

    def came(outcome: TestOutcome) -> None:
        outcomes.append(time.perf_counter())

    start = time.perf_counter()
    tester.test(case.task, case.text, Demand(on_outcome=came))
    end = time.perf_counter()
    return (outcomes[0] if outcomes else end) - start, end - start


def _plain(case: Case, tests: tuple[str, ...]) -> float:
    with plain.copy(case.subject, case.task.path, case.applied) as place:
        seconds, _ = plain.run(case.subject, place, tests, timeout=120, vector=None)
    return max(seconds - plain.overhead(), 0.001)


def figures(told: dict[str, list[dict[str, Any]]]) -> dict[str, object]:
    """Medians of each package, their geometric means, and the latencies of small functions. told:
    what timings() says of each package."""
    by_package = {name: [Timing(**one) for one in found] for name, found in told.items()}
    packages = {
        name: {
            "speedup_full": _median([t.full / t.whole for t in found if t.full]),
            "speedup_covering": _median([t.covering / t.whole for t in found]),
            "plain_full_s": _median([t.full for t in found if t.full], 2),
            "verdict_ms": _median([1000 * t.whole for t in found]),
            "timed": len(found),
        }
        for name, found in by_package.items()
        if found
    }
    few = [t for found in by_package.values() for t in found if t.tests <= FEW]
    return {
        "speedup_full": _mean([p["speedup_full"] for p in packages.values()]),
        "speedup_covering": _mean([p["speedup_covering"] for p in packages.values()]),
        "packages": packages,
        "first_outcome_p50_ms": _median([1000 * t.first for t in few]),
        "verdict_p50_ms": _median([1000 * t.whole for t in few]),
    }


def _median(values: list[float], digits: int = 1) -> float:
    return round(statistics.median(values), digits) if values else 0.0


def _mean(values: list[float]) -> float:
    """The geometric mean."""
    good = [value for value in values if value > 0]
    return round(math.exp(statistics.fmean(math.log(v) for v in good)), 1) if good else 0.0
