"""The practice loop: tasks of the team's own code, completed, tested and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

from p2assist.experience import Candidate, Experience, Source, Task
from p2assist.generation.generator import Generator
from p2assist.harness.tester import Tester
from p2assist.replay.store import Store
from p2assist.tasks.functions import meaning
from p2assist.tasks.rollout import Rollout, rollouts


@dataclass(frozen=True, slots=True)
class Tally:
    """What a practice run did. All are counts; candidates are the model's own, without the
    references. distinct: of those, different syntax trees of a task. unusable: tasks whose own code
    did not pass its covering tests when they were run for it; nothing of them is kept."""

    tasks: int = 0
    candidates: int = 0
    distinct: int = 0
    tested: int = 0
    passing_all: int = 0
    untested: int = 0
    unusable: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def practise(
    generator: Generator,
    tester: Tester,
    store: Store,
    tasks: Iterable[Task],
    *,
    beams: int = 8,
    progress: Callable[[Tally], None] | None = None,
) -> Tally:
    """Practises the tasks and keeps what happened.

    Each task's experiences (its candidates and, as source `reference`, its own code with the
    model's score of it) are stored in one transaction when its last test has ended, together with
    the note that it was practised. So a killed or interrupted run loses at most the tasks under
    way, and the next one goes on behind them (Workspace.fresh_tasks).
    """
    total = Tally()

    def propose(task: Task) -> list[Candidate]:
        return [*generator.score(task, [task.reference]), *generator.generate(task, beams=beams)]

    for rollout in rollouts(propose, tester, tasks):
        total += _keep(rollout, store, (rollout.task.key, generator.model, generator.adapter))
        if progress:
            progress(total)
    return total


def _keep(rollout: Rollout, store: Store, practised: tuple[str, str, str]) -> Tally:
    """Stores one task's experiences."""
    task, reference = rollout.task, rollout.reports[0]
    if not reference.passes_all:
        store.add([], practised=practised)
        return Tally(unusable=1)
    sources = [Source.REFERENCE, *[Source.SELF] * (len(rollout.candidates) - 1)]
    experiences = [
        Experience(task, candidate, report, source=source)
        for candidate, report, source in zip(
            rollout.candidates, rollout.reports, sources, strict=True
        )
    ]
    store.add(experiences, practised=practised)
    own = rollout.reports[1:]
    tested = sum(report.pass_rate is not None for report in own)
    return Tally(
        tasks=1,
        candidates=len(own),
        distinct=len({meaning(task.apply(c.text)) for c in rollout.candidates[1:]}),
        tested=tested,
        passing_all=sum(report.passes_all for report in own),
        untested=len(own) - tested,
    )
