"""Candidates for the harness's benchmark: the model's own, as practice makes them, and mutants."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import mutants
from benchmarks.subjects import MOST_TESTS, Subject, cache
from p2assist.experience import SpanKind, Task
from p2assist.practice.workspace import Workspace

BEAMS = 8
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One candidate to compare. label: where it comes from, for people."""

    subject: Subject
    task: Task
    text: str
    label: str

    @property
    def is_mutant(self) -> bool:
        return self.label != "model"

    @property
    def applied(self) -> str:
        return self.task.apply(self.text)


def of_mutants(subject: Subject, space: Workspace, count: int) -> list[Case]:
    made = mutants.mutants(space.config, space.impact, count=count, most_tests=MOST_TESTS)
    return [Case(subject, task, text, label) for task, text, label in made]


def of_model(
    subject: Subject, space: Workspace, tasks: int, told: Told = lambda done, total: None
) -> list[Case]:
    """What the embedded model's beam search says of so many tasks, kept once it is made.

    The kept ones are used whatever the generator has become since: what is measured is the
    harness, and what plain pytest said of them is kept too.
    """
    file = _file(subject)
    known = _read(file)
    if len(known) < tasks:
        known = _generate(subject, space, tasks, known, file, told)
    return [case for case in _cases(subject, space, known[:tasks]) if case.task.tests]


def _generate(
    subject: Subject,
    space: Workspace,
    tasks: int,
    known: list[dict[str, Any]],
    file: Path,
    told: Told,
) -> list[dict[str, Any]]:
    done = {(k["path"], k["start"], k["end"]) for k in known}
    generator = space.generator("")
    # Held-out functions too: nothing is learnt from these.
    mined = (t for t in space._mined((), 0) if (t.path, t.start, t.end) not in done)
    for task in islice(mined, tasks - len(known)):
        texts = [candidate.text for candidate in generator.generate(task, beams=BEAMS)]
        place = {"path": task.path, "start": task.start, "end": task.end, "kind": task.kind.value}
        known.append(place | {"function": task.function, "texts": texts})
        told(len(known), tasks)
        if len(known) % 10 == 0:
            _write(file, known)
    _write(file, known)
    return known


def _cases(subject: Subject, space: Workspace, known: Iterable[dict[str, Any]]) -> list[Case]:
    cases = []
    for one in known:
        source = (subject.root / one["path"]).read_text()
        task = Task(
            path=one["path"],
            source=source,
            start=one["start"],
            end=one["end"],
            kind=SpanKind(one["kind"]),
            function=one["function"],
        )
        last = source.count("\n", 0, max(task.start, task.end - 1)) + 1
        task = replace(task, tests=space.impact.covering(task.path, task.line, last))
        cases += [Case(subject, task, text, "model") for text in one["texts"]]
    return cases


def _file(subject: Subject) -> Path:
    key = hashlib.sha256(f"1\0{subject.package.digest}\0{BEAMS}".encode()).hexdigest()[:16]
    return cache() / "candidates" / f"{subject.package.stem}-{key}.json"


def _read(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    found: list[dict[str, Any]] = json.loads(file.read_text())
    return found


def _write(file: Path, known: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(known))
    fresh.replace(file)
