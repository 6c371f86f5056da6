"""Is the harness right, fast and safe? `python -m benchmarks.harness [--quick] [--parts ...]`

On five packages, from their source distributions (subjects.py):

agreement   the model's own candidates (>= 2,000) and mutants (>= 500) against plain pytest on a
            copy of the tree: each covering test's outcome. What disagrees is printed, both are
            asked again a few times, and it counts unless they agree once. The plain run is of the
            whole suite, of humanize for one candidate in four; more-itertools takes 17 s a plain
            run: its share is small, and its plain runs are of the covering tests.
speed       plain pytest and p2assist in turn, on candidates that run: medians by package.
attacks     hostile candidates (benchmarks/attacks), as root and as a plain user.
soak        20,000 candidates, all different, in one server.

What plain pytest says is kept by content below `.bench` (or $P2ASSIST_BENCH_CACHE): on two cores
the first run takes half an hour of it (`--prepare` does that alone, with `--jobs`), later ones
none. So are the candidates, and what each part has found until p2assist's code changes: a run that
was interrupted goes on where it was, `--fresh` begins all but the plain runs anew.

Progress goes to stderr, details too; the last line of stdout is one JSON object with `candidates`,
`mutants`, `disagreements`, `unstable` (disagreements that did not come back), `refused`, `missed`
(candidates that changed a test, run alone, which does not cover them), `levels`, `speedup_full`,
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
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import agreement, ledger, plain, soak, speed
from benchmarks.agreement import Agreement
from benchmarks.candidates import Case, of_model, of_mutants
from benchmarks.ledger import Figures
from benchmarks.subjects import SUBJECTS, Subject
from benchmarks.telling import Told, telling
from p2assist.practice.workspace import Workspace

PARTS = ("agreement", "speed", "attacks", "soak")
NOBODY = "65534"
err = Console(stderr=True)
Part = Callable[[Subject], Figures]


@dataclass(frozen=True, slots=True)
class Bench:
    """What is asked for. jobs: plain runs at a time. timed: candidates of a package to time.
    fresh: whether what a part has found before is found anew."""

    subjects: Sequence[Subject]
    told: Told
    jobs: int
    timed: int
    fresh: bool

    def agreement(self) -> Figures:
        parts = [self._kept("agreement", subject, self._agreement) for subject in self.subjects]
        for part in parts:
            for line in part["said"]:
                err.print(line, markup=False, soft_wrap=True)
        return agreement.summed(parts)

    def speed(self) -> Figures:
        return speed.figures(
            {s.name: self._kept("speed", s, self._speed)["timings"] for s in self.subjects}
        )

    def _kept(self, part: str, subject: Subject, find: Part) -> Figures:
        name, settings = f"{part} {subject.name}", (subject, self.timed)
        return ledger.kept(name, settings, lambda: find(subject), fresh=self.fresh)

    def _agreement(self, subject: Subject) -> Figures:
        total = Agreement()
        with subject.workspace() as space:
            cases = self.cases(subject, space)
            self.prepare(subject, cases)
            for kind in (True, False):
                part = [case for case in cases if case.is_mutant is kind]
                what = f"{subject.name}: {'mutants' if kind else 'candidates'}"
                if part:
                    self._warm(part, space)
                    total.take(agreement.agreement(part, space.tester, partial(self.told, what)))
        return total.figures()

    @staticmethod
    def _warm(cases: Sequence[Case], space: Workspace) -> None:
        """The server is warm, as in practice."""
        reference = cases[0].task
        space.tester.test(reference, reference.reference)

    def _speed(self, subject: Subject) -> Figures:
        with subject.workspace() as space:
            cases = [case for case in self.cases(subject, space) if not case.is_mutant]
            timings = speed.timings(
                cases,
                space.tester,
                self.timed if subject.whole else max(self.timed // 4, 3),
                partial(self.told, f"{subject.name}: speed"),
                full=None if subject.whole else 3,
            )
        return {"timings": timings}

    def cases(self, subject: Subject, space: Workspace) -> list[Case]:
        """The candidates of a package."""
        making = partial(self.told, f"{subject.name}: completions", note="")
        found = of_mutants(subject, space, subject.mutants)
        return [*found, *of_model(subject, space, subject.tasks, making)]

    def prepare(self, subject: Subject, cases: Sequence[Case]) -> None:
        """Has what plain pytest says of each at hand."""
        todo = _distinct(cases)
        if todo:
            plain.seconds(subject)  # once, and not by several at a time
        with ThreadPoolExecutor(self.jobs) as pool:
            for number, _ in enumerate(pool.map(plain.reference, todo), 1):
                self.told(f"{subject.name}: plain pytest", number, len(todo), "")

    def prepared(self) -> Figures:
        """Only that, of every package."""
        count = 0
        for subject in self.subjects:
            with subject.workspace() as space:
                cases = self.cases(subject, space)
            self.prepare(subject, cases)
            count += len(cases)
        return {"prepared": count}


def _distinct(cases: Sequence[Case]) -> list[Case]:
    """Those of which plain pytest's word is not known, one of each meaning."""
    found: dict[object, Case] = {}
    for case in cases:
        key = (case.task.path, plain.meaning(case.applied), plain.scope(case))
        if key not in found and not plain.known(case):
            found[key] = case
    return list(found.values())


def attacked() -> Figures:
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


def _attacked(switch: Sequence[str]) -> Figures:
    root = Path(__file__).parents[1]
    env = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join([str(root), *_packages()])}
    python = sys.executable
    probe = [*switch, "test", "-x", os.path.realpath(python)]
    if switch and subprocess.run(probe, check=False).returncode:
        python = "/usr/bin/python3"  # ours lies in a folder of root's
    command = [*switch, python, "-B", "-m", "benchmarks.attacks"]
    done = subprocess.run(command, cwd=root, env=env, stdout=subprocess.PIPE, check=True)
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def _packages() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]


def soaked(count: int, told: Told) -> Figures:
    subject = SUBJECTS[0]
    with subject.workspace() as space:
        places = of_mutants(subject, space, subject.mutants)
    return soak.soak(subject, places, count, partial(told, "soak"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the candidates")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--packages", nargs="+", default=[s.name for s in SUBJECTS])
    parser.add_argument("--prepare", action="store_true", help="only ask plain pytest")
    parser.add_argument("--fresh", action="store_true", help="find anew what was found before")
    parser.add_argument("--jobs", type=int, default=2, help="plain runs at a time")
    parser.add_argument("--timed", type=int, default=24, help="candidates of a package to time")
    parser.add_argument("--soak", type=int, default=20_000, help="candidates of the soak")
    given = parser.parse_args()
    subjects = [s for s in SUBJECTS if s.name in given.packages]
    if given.quick:
        subjects = [replace(s, tasks=s.tasks // 10, mutants=s.mutants // 10) for s in subjects]
        given.timed, given.soak = min(given.timed, 6), min(given.soak, 500)
    started = time.monotonic()
    with telling(err) as told:
        bench = Bench(subjects, told, given.jobs, given.timed, given.fresh)
        if given.prepare:
            print(json.dumps(bench.prepared()))
            return
        keep = partial(ledger.kept, fresh=given.fresh)
        found: Figures = {}
        if "agreement" in given.parts:
            found |= bench.agreement()
        if "speed" in given.parts:
            found |= bench.speed()
        if "attacks" in given.parts:
            found |= keep("attacks", os.geteuid(), attacked)
        if "soak" in given.parts:
            found |= keep("soak", given.soak, lambda: soaked(given.soak, told))
    print(json.dumps(found | {"seconds": round(time.monotonic() - started)}))


if __name__ == "__main__":
    main()
