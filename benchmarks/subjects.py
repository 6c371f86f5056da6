"""What the harness is measured on: five packages, each with its share of the work.

Everything that is made on the way (trees, maps, candidates, plain pytest's words) is kept in a
folder that git ignores: `.bench` beside the sources, or $P2ASSIST_BENCH_CACHE.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.packages import (
    BOLTONS,
    HUMANIZE,
    MORE_ITERTOOLS,
    TEST_NEEDS,
    TOMLKIT,
    TOOLZ,
    Package,
    interpreter,
    kept,
)
from p2assist.config import Config, HarnessConfig, TeamConfig, UserConfig
from p2assist.practice.workspace import Workspace

MOST_TESTS = 200  # a task that more tests cover is left out: no editor would wait for it


def cache() -> Path:
    """The folder of what is kept between runs."""
    given = os.environ.get("P2ASSIST_BENCH_CACHE")
    return Path(given or Path(__file__).parents[1] / ".bench").resolve()


@dataclass(frozen=True, slots=True)
class Subject:
    """A package with what pytest is given for it. tasks, mutants: its share of the candidates.
    whole: of how many candidates one is compared with a plain run of the whole suite, the others
    with one of their covering tests; 0 where the suite takes too long (more-itertools: 17 s)."""

    package: Package
    tests: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    tasks: int = 65
    mutants: int = 150
    whole: int = 1

    @property
    def name(self) -> str:
        return self.package.name

    @property
    def root(self) -> Path:
        return kept(self.package, cache())

    def config(self, patience: int = 1) -> Config:
        """Settings as a user of p2assist would have them. patience: times the limit of time; where
        it is more than one, what computes may do so as long as plain pytest may."""
        limits = HarnessConfig(max_tests=MOST_TESTS, keep_verdicts=False)
        cpu = limits.cpu if patience == 1 else patience * limits.timeout
        return Config(
            root=self.root,
            team=TeamConfig(
                tests=self.tests,
                pytest_args=self.options,
                harness=replace(limits, timeout=patience * limits.timeout, cpu=cpu),
            ),
            user=UserConfig(python=str(python())),
        )

    def workspace(self, patience: int = 1) -> Workspace:
        return Workspace(self.config(patience))


SUBJECTS = (
    Subject(TOOLZ),
    Subject(BOLTONS, tests=("tests",), mutants=170),
    Subject(TOMLKIT, tests=("tests",)),
    # Its benchmarks need a plugin that would slow every other plain run down.
    Subject(HUMANIZE, mutants=50, options=("--ignore=tests/test_benchmarks.py",), whole=4),
    Subject(MORE_ITERTOOLS, tasks=20, mutants=36, whole=0),
)


def python() -> Path:
    """The interpreter of the packages' tests."""
    return interpreter(cache(), *TEST_NEEDS)
