"""Training examples from drawn experiences, the held-out functions' text cut away."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from p2assist.errors import LearningError, RepositoryError
from p2assist.experience import Candidate, Experience, Task
from p2assist.learning.objectives import Objective
from p2assist.tasks.splits import Split, function_key, without

MIN_EXPERIENCES = 16  # different usable ones; fewer teach a model to repeat itself
_ROUNDS = 8  # draws of the whole size before what is there must do


class Encoder(Protocol):
    """The token ids of a task, exactly as in inference (the generation package's)."""

    def prompt(self, task: Task) -> Sequence[int]:
        """The prompt of the task: nothing of its reference is in it."""
        ...

    def target(self, task: Task, candidate: Candidate) -> Sequence[int]:
        """The ids that follow the prompt where the candidate is the answer, spelled as the model
        spells it, the stop token included."""
        ...


class Draws(Protocol):
    """The part of replay's Buffer that learning needs."""

    def sample(self, size: int, seed: int) -> Sequence[tuple[Experience, float]]:
        """size experiences by priority, with replacement, with their importance weights in
        0..1."""
        ...


@dataclass(frozen=True, slots=True)
class Example:
    """One sequence to learn: only the target's ids count, times the weight (mean 1 over a set).

    prompt_ids, target_ids: token ids, without any padding.
    """

    prompt_ids: tuple[int, ...]
    target_ids: tuple[int, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What a refresh trains on.

    drawn: experiences that were drawn for it. distinct: different ones among the examples.
    sources: examples by Experience.source. digest: SHA-256 of the examples, in hex.
    """

    examples: tuple[Example, ...]
    drawn: int
    distinct: int
    sources: Mapping[str, int] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        rows = [(e.prompt_ids, e.target_ids, round(e.weight, 9)) for e in self.examples]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def training_set(
    buffer: Draws,
    encoder: Encoder,
    objective: Objective,
    split: Split,
    *,
    size: int,
    seed: int = 0,
) -> TrainingSet:
    """Draw until size examples are found, or the buffer has been asked for eight times as many.

    What the objective gives no weight, what lies in a held-out function, and what cannot be
    parsed any more (the held-out text could not be cut) is passed over. Weights are scaled to
    mean 1, so that the learning rate means the same for every objective.

    Raises LearningError where fewer than MIN_EXPERIENCES different experiences are usable.
    """
    made: dict[str, Example | None] = {}
    picked: list[tuple[Experience, Example, float]] = []
    drawn = 0
    for turn in range(_ROUNDS):
        batch = buffer.sample(size, seed + turn * 1_000_003)
        for experience, importance in batch:
            drawn += 1
            weight = objective.weight(experience, importance)
            if weight <= 0:
                continue
            key = experience.key
            if key not in made:
                made[key] = _example(experience, encoder, split)
            example = made[key]
            if example is not None:
                picked.append((experience, example, weight))
            if len(picked) == size:
                return _finish(picked, drawn)
        if not batch:
            break
    return _finish(picked, drawn)


def _finish(picked: Sequence[tuple[Experience, Example, float]], drawn: int) -> TrainingSet:
    distinct = len({experience.key for experience, _, _ in picked})
    if distinct < MIN_EXPERIENCES:
        raise LearningError(
            f"{distinct} usable experiences are too few to learn from (at least "
            f"{MIN_EXPERIENCES} of {drawn} drawn are needed): run `p2assist practice` first"
        )
    mean = sum(weight for _, _, weight in picked) / len(picked)
    return TrainingSet(
        examples=tuple(Example(e.prompt_ids, e.target_ids, w / mean) for _, e, w in picked),
        drawn=drawn,
        distinct=distinct,
        sources=_sources(experience for experience, _, _ in picked),
    )


def _sources(experiences: Iterable[Experience]) -> dict[str, int]:
    return dict(sorted(Counter(str(e.source) for e in experiences).items()))


def _example(experience: Experience, encoder: Encoder, split: Split) -> Example | None:
    if not split.may_train(function_key(experience.task)):
        return None
    try:
        task = without(experience.task, split)
    except RepositoryError:
        return None
    target = tuple(encoder.target(task, experience.candidate))
    return Example(tuple(encoder.prompt(task)), target) if target else None
