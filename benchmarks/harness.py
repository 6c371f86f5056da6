"""Is the harness right, fast and safe? `python -m benchmarks.harness [--quick] [--parts ...]`

On five packages, from their source distributions (subjects.py):

agreement   the model's own candidates (>= 2,000) and mutants (>= 500) against plain pytest on a
            copy of the tree: each covering test's outcome. What disagrees is printed, both are
            asked once more, and it counts unless they then agree. more-itertools takes 17 s a plain
            run: its share is small, and its plain runs are of the covering tests.
speed       plain pytest and p2assist in turn, on candidates that run: medians by package.
attacks     hostile candidates (benchmarks/attacks), as root and as a plain user.
soak        20,000 candidates, all different, in one server.

What plain pytest says is kept by content below `.bench` (or $P2ASSIST_BENCH_CACHE): the first run
takes an hour or more of it (`--prepare` does that alone, with `--jobs`), later ones minutes.

Progress goes to stderr, details too; the last line of stdout is one JSON object with `candidates`,
`mutants`, `disagreements`, `unstable` (disagreements that did not come back), `refused`, `missed`
(candidates that changed a test which does not cover them), `levels`, `speedup_full`,
`speedup_covering`, `packages`, `verdicts_per_second`, `first_outcome_p50_ms`, `verdict_p50_ms`,
`attacks_tried`, `attacks_succeeded`, `attacks` (by user), `forgeries_tried`, `forgeries_succeeded`,
and the `soak_...` figures with `leftovers`. Parts that were not run leave theirs out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import plain, soak, speed
from benchmarks.agreement import Agreement, agreement
from benchmarks.candidates import Case, of_model, of_mutants
from benchmarks.subjects import SUBJECTS, Subject
from p2assist.report import progress

PARTS = ("agreement", "speed", "attacks", "soak")
NOBODY = "65534"
err = Console(stderr=True)
Told = Callable[[str, int, int, str], None]


def prepared(subjects: Sequence[Subject], jobs: int) -> dict[Subject, list[Case]]:
    """The candidates of every package, with what plain pytest says of each at hand."""
    cases: dict[Subject, list[Case]] = {}
    with progress.counts(err) as told:
        for subject in subjects:
            with subject.workspace() as space:
                found = of_mutants(subject, space, subject.mutants)
                making = partial(told, f"{subject.name}: candidates")
                cases[subject] = [*found, *of_model(subject, space, subject.tasks, making)]
        todo = _distinct([case for found in cases.values() for case in found])
        with ThreadPoolExecutor(jobs) as pool:
            for number, _ in enumerate(pool.map(plain.reference, todo), 1):
                told("plain pytest", number, len(todo), "")
    return cases


def _distinct(cases: Sequence[Case]) -> list[Case]:
    """Those of which plain pytest's word is not known, one of each meaning."""
    found: dict[object, Case] = {}
    for case in cases:
        scope = () if case.subject.whole else case.task.tests
        key = (case.subject.name, case.task.path, plain.meaning(case.applied), scope)
        if key not in found and not plain.known(case):
            found[key] = case
    return list(found.values())


def agreements(cases: dict[Subject, list[Case]]) -> dict[str, object]:
    total, practised, seconds = Agreement(), 0, 0.0
    with progress.counts(err) as told:
        for subject, found in cases.items():
            for kind in (True, False):
                part = [case for case in found if case.is_mutant is kind]
                if not part:
                    continue
                with subject.workspace() as space:
                    reference = part[0].task
                    space.tester.test(reference, reference.reference)  # it is warm, as in practice
                    what = f"{subject.name}: {'mutants' if kind else 'candidates'}"
                    one = agreement(part, space.tester, partial(told, what))
                total.take(one)
                if not kind:
                    practised, seconds = practised + one.candidates, seconds + one.seconds
    for difference in total.differences:
        err.print(f"disagree: {difference}", markup=False, soft_wrap=True)
    for missed in total.missed:
        err.print(f"not covering, but changed: {missed}", markup=False, soft_wrap=True)
    sure = sum(difference.again for difference in total.differences)
    return {
        "candidates": total.candidates,
        "mutants": total.mutants,
        "disagreements": sure,
        "unstable": len(total.differences) - sure,
        "refused": total.refused,
        "missed": total.outside,
        "tests_compared": total.tests,
        "tests_unreached": total.unreached,
        "passing_all": total.passing_all,
        "levels": dict(total.levels),
        "verdicts_per_second": round(practised / seconds, 1) if seconds else 0.0,
    }


def speeds(cases: dict[Subject, list[Case]], count: int) -> dict[str, object]:
    found = {}
    with progress.counts(err) as told:
        for subject, all_of in cases.items():
            with subject.workspace() as space:
                found[subject.name] = speed.timings(
                    [case for case in all_of if not case.is_mutant],
                    space.tester,
                    count if subject.whole else max(count // 4, 3),
                    partial(told, f"{subject.name}: speed"),
                    full=None if subject.whole else 3,
                )
    return speed.figures(found)


def attacked() -> dict[str, object]:
    """As who we are, and where that is root as a plain user too."""
    runs = [_attacked([])]
    if os.geteuid() == 0:
        switch = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        runs.append(_attacked(switch))
    return {
        "attacks_tried": sum(run["tried"] for run in runs),
        "attacks_succeeded": sum(len(run["succeeded"]) for run in runs),
        "attacks": {run.pop("user"): run for run in runs},
        "forgeries_tried": max(run["forgeries_tried"] for run in runs),
        "forgeries_succeeded": max(len(run["forgeries_succeeded"]) for run in runs),
    }


def _attacked(switch: Sequence[str]) -> dict[str, object]:
    root = Path(__file__).parents[1]
    env = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join([str(root), *_packages()])}
    python = sys.executable
    probe = [*switch, "test", "-x", os.path.realpath(python)]
    if switch and subprocess.run(probe, check=False).returncode:
        python = "/usr/bin/python3"  # ours lies in a folder of root's
    command = [*switch, python, "-B", "-m", "benchmarks.attacks"]
    done = subprocess.run(command, cwd=root, env=env, stdout=subprocess.PIPE, check=True)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def _packages() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]


def soaked(count: int) -> dict[str, object]:
    subject = SUBJECTS[0]

    def places() -> list[Case]:
        with subject.workspace() as space:
            return of_mutants(subject, space, subject.mutants)

    with progress.counts(err) as told:
        return soak.soak(subject, places(), count, partial(told, "soak"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the candidates")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--packages", nargs="+", default=[s.name for s in SUBJECTS])
    parser.add_argument("--prepare", action="store_true", help="only ask plain pytest")
    parser.add_argument("--jobs", type=int, default=2, help="plain runs at a time")
    parser.add_argument("--timed", type=int, default=24, help="candidates of a package to time")
    parser.add_argument("--soak", type=int, default=20_000, help="candidates of the soak")
    given = parser.parse_args()
    subjects = [s for s in SUBJECTS if s.name in given.packages]
    if given.quick:
        subjects = [replace(s, tasks=s.tasks // 10, mutants=s.mutants // 10) for s in subjects]
        given.timed, given.soak = min(given.timed, 6), min(given.soak, 500)
    started = time.monotonic()
    found: dict[str, object] = {}
    if given.prepare or {"agreement", "speed"} & set(given.parts):
        cases = prepared(subjects, given.jobs)
    if given.prepare:
        print(json.dumps({"prepared": sum(map(len, cases.values()))}))
        return
    if "agreement" in given.parts:
        found |= agreements(cases)
    if "speed" in given.parts:
        found |= speeds(cases, given.timed)
    if "attacks" in given.parts:
        found |= attacked()
    if "soak" in given.parts:
        found |= soaked(given.soak)
    print(json.dumps(found | {"seconds": round(time.monotonic() - started)}))


if __name__ == "__main__":
    main()
