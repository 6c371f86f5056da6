"""The gate: whether a Challenger becomes the Champion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from p2assist.errors import LearningError
from p2assist.learning.evaluate import Evaluation, TaskResult

MIN_FUNCTIONS = 10  # below it a bootstrap interval means nothing
_RESAMPLES = 10_000
_CHUNK = 2_000_000  # drawn indices in memory at a time
_EPSILON = 1e-12  # sums of the same numbers in another order differ by this much

METRICS: Mapping[str, Callable[[TaskResult], float]] = MappingProxyType(
    {
        "reciprocal rank": lambda result: 1 / result.samples if result.samples else 0.0,
        "pass@1": lambda result: result.passes_at(1),
        "pass rate": lambda result: (result.rates[0] if result.rates else None) or 0.0,
    }
)
"""What a gate may decide on, by task; untested counts as 0."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's word. reason: one sentence with the figures.

    difference: Challenger minus Champion in the metric, mean over functions; low, high: its
    bootstrap interval at the confidence. All three are None where nothing could be compared.
    """

    promote: bool
    reason: str
    metric: str
    confidence: float
    functions: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None


def decide(
    champion: Evaluation,
    challenger: Evaluation,
    *,
    confidence: float = 0.9,
    seed: int = 0,
    metric: str = "reciprocal rank",
) -> Decision:
    """Promote where the paired difference on the same held-out tasks says better.

    The metric is the reciprocal of samples to pass, 0 where none passes. pass@1 alone is a coin
    a task: on some tens of functions and a small model most tasks tie and the rest is noise. The
    reciprocal rank gives a pass at the first place the same 1, but also sees a right answer climb
    from the sixth place to the second. So it decides; and since users see the first candidate,
    pass@1 itself must not fall, nor pass@k clearly (its whole interval below 0).

    The interval is the percentile bootstrap of the mean difference by function, functions drawn
    with replacement: tasks of one function are not independent. Where only a handful of
    functions differ it is somewhat too narrow, which is one reason for the two further
    conditions. Different tasks, different k and fewer than MIN_FUNCTIONS functions are refused.

    confidence: of the two-sided interval, 0..1. Raises LearningError on an unknown metric.
    """
    if metric not in METRICS:
        raise LearningError(f"no metric {metric!r}; there are {', '.join(METRICS)}")
    refusal = _refusal(champion, challenger)
    if refusal:
        return Decision(False, refusal, metric, confidence, challenger.functions)
    k = champion.k
    main = _differences(champion, challenger, METRICS[metric])
    low, high = interval(main, confidence, seed)
    first = _differences(champion, challenger, METRICS["pass@1"])
    any_of_k = _differences(champion, challenger, lambda result: result.passes_at(k))
    difference = float(main.mean())
    figures = (
        f"{metric} {difference:+.3f} [{low:+.3f}, {high:+.3f}] at {confidence:.0%} confidence, "
        f"pass@1 {champion.pass_at(1):.3f} -> {challenger.pass_at(1):.3f}, "
        f"pass@{k} {champion.pass_at(k):.3f} -> {challenger.pass_at(k):.3f} "
        f"on {main.size} held-out functions"
    )
    if high < -_EPSILON:
        promote, verdict = False, "the Challenger is worse"
    elif low <= _EPSILON:
        promote, verdict = False, "the Challenger is not shown to be better"
    elif first.mean() < -_EPSILON:
        promote, verdict = False, f"the Challenger is better in {metric} but its pass@1 fell"
    elif interval(any_of_k, confidence, seed)[1] < -_EPSILON:
        promote, verdict = False, f"the Challenger is better in {metric} but its pass@{k} fell"
    else:
        promote, verdict = True, "the Challenger is better"
    return Decision(
        promote, f"{verdict}: {figures}", metric, confidence, main.size, difference, low, high
    )


def _refusal(champion: Evaluation, challenger: Evaluation) -> str:
    """Why the two cannot be compared, '' where they can."""
    if champion.k != challenger.k:
        return f"not comparable: {champion.k} candidates a task against {challenger.k}"
    before = sorted((r.function, r.task) for r in champion.results)
    if before != sorted((r.function, r.task) for r in challenger.results):
        return "not comparable: the two were evaluated on different held-out tasks"
    if champion.functions < MIN_FUNCTIONS:
        return (
            f"too little to decide on: {champion.functions} held-out functions, at least "
            f"{MIN_FUNCTIONS} are needed"
        )
    return ""


def _differences(
    champion: Evaluation, challenger: Evaluation, score: Callable[[TaskResult], float]
) -> NDArray[np.float64]:
    """Challenger minus Champion by function, (functions,), in the order of the keys."""
    before, after = champion.by_function(score), challenger.by_function(score)
    return np.array([after[key] - before[key] for key in sorted(before)])


def interval(differences: NDArray[np.float64], confidence: float, seed: int) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of the differences, (functions,); the same seed
    draws the same functions, so that swapping the two sides mirrors it."""
    rng = np.random.default_rng(seed)
    size = differences.size
    rows = max(1, _CHUNK // size)
    means = []
    for done in range(0, _RESAMPLES, rows):
        drawn = rng.integers(0, size, (min(rows, _RESAMPLES - done), size))
        means.append(differences[drawn].mean(axis=1))
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), (tail, 1 - tail))
    return float(low), float(high)
