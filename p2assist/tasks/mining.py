"""Tasks from covered code: spans of the team's own functions that its tests run."""

from __future__ import annotations

import random
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pathspec

from p2assist.config import Config
from p2assist.errors import RepositoryError
from p2assist.experience import CoveringTest, SpanKind, Task
from p2assist.tasks.functions import Function, Lines, functions
from p2assist.tasks.spans import Span, spans

# What an editor asks for: mostly the rest of a line, now and then a whole body.
MIX: Mapping[SpanKind, float] = {
    SpanKind.LINE: 0.6,
    SpanKind.STATEMENT: 0.15,
    SpanKind.BLOCK: 0.15,
    SpanKind.BODY: 0.1,
}


class Coverage(Protocol):
    """What mining needs of the harness's impact map."""

    @property
    def paths(self) -> Sequence[str]: ...

    @property
    def test_files(self) -> Sequence[str]: ...

    def covering(self, path: str, first_line: int, last_line: int) -> tuple[CoveringTest, ...]: ...


def mine(
    config: Config,
    impact: Coverage,
    *,
    paths: Sequence[str] = (),
    seed: int = 0,
    commit: str = "",
    mix: Mapping[SpanKind, float] = MIX,
) -> Iterator[Task]:
    """Tasks without end of repetition: each span once, in an order fixed by the seed.

    Functions take turns, so that the first n tasks cover as many functions as can be; within a
    function the kind of span is drawn by `mix`. Only spans with 1..max_tests covering tests that
    pass at baseline. paths: globs (gitignore syntax) that narrow the configured ones.
    """
    rng = random.Random(seed)  # noqa: S311 - a schedule, not a secret
    pools = []
    for path, source in sources(config, impact, paths=paths):
        for function in functions(source, path):
            pool = _tasks(config, impact, path, source, function, commit)
            if pool:
                pools.append(_schedule(pool, mix, rng))
    rng.shuffle(pools)
    while pools:
        alive = []
        for pool in pools:
            if pool:
                yield pool.pop()
                alive.append(pool)
        pools = alive


def sources(
    config: Config, impact: Coverage, *, paths: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """(path, source) of the covered files that settings and `paths` let through; no tests."""
    wanted = [_spec(globs) for globs in (config.team.paths, paths) if globs]
    barred = _spec(config.team.exclude)
    tests = {*impact.test_files, *(p for p in impact.paths if p.endswith("conftest.py"))}
    for path in sorted(set(impact.paths) - tests):
        file = config.root / path
        if barred.match_file(path) or not all(spec.match_file(path) for spec in wanted):
            continue
        yield path, read_source(file, path)


def read_source(file: Path, path: str) -> str:
    """The file's text by its declared encoding. Raises RepositoryError naming the file."""
    try:
        with tokenize.open(file) as stream:
            return stream.read()
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise RepositoryError(f"{path} cannot be read: {error}") from error


def _spec(globs: Sequence[str]) -> pathspec.GitIgnoreSpec:
    return pathspec.GitIgnoreSpec.from_lines(globs)


def _tasks(
    config: Config, impact: Coverage, path: str, source: str, function: Function, commit: str
) -> list[Task]:
    found = []
    for span in spans(function, Lines(source)):
        tests = impact.covering(path, span.first_line, span.last_line)
        if 0 < len(tests) <= config.team.harness.max_tests:
            found.append(_task(path, source, span, function, tests, commit))
    return found


def _task(
    path: str,
    source: str,
    span: Span,
    function: Function,
    tests: tuple[CoveringTest, ...],
    commit: str,
) -> Task:
    return Task(
        path=path,
        source=source,
        start=span.start,
        end=span.end,
        kind=span.kind,
        function=function.name,
        description=function.description,
        commit=commit,
        tests=tests,
    )


def _schedule(tasks: list[Task], mix: Mapping[SpanKind, float], rng: random.Random) -> list[Task]:
    """The function's tasks in the order to take them from the end."""
    kinds: dict[SpanKind, list[Task]] = defaultdict(list)
    for task in tasks:
        kinds[task.kind].append(task)
    for pool in kinds.values():
        rng.shuffle(pool)
    order = []
    while any(kinds.values()):
        there = [kind for kind, pool in kinds.items() if pool]
        weights = [mix.get(kind, 0.0) for kind in there]
        if not any(weights):
            break
        order.append(kinds[rng.choices(there, weights)[0]].pop())
    return order[::-1]
