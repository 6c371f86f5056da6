"""How well a generator completes held-out tasks, by the project's own tests."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from pydantic import TypeAdapter, ValidationError

from p2assist.errors import LearningError
from p2assist.experience import Candidate, Task, TestReport
from p2assist.generation.generator import Generator
from p2assist.harness.tester import Tester
from p2assist.tasks.rollout import rollouts
from p2assist.tasks.splits import function_key

Summary = dict[str, float | int | None]


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What the first k candidates of one task did.

    task: Task.key. function: the key of its function. rates: the pass rate of each candidate in
    the model's order, None where it is untested. samples: 1-based place of the first candidate
    that passes all covering tests; None where none of the k does.
    """

    task: str
    function: str
    rates: tuple[float | None, ...]
    samples: int | None

    @classmethod
    def from_reports(cls, task: Task, reports: Sequence[TestReport]) -> TaskResult:
        first = next((n for n, report in enumerate(reports, 1) if report.passes_all), None)
        rates = tuple(report.pass_rate for report in reports)
        return cls(task.key, function_key(task), rates, first)

    @property
    def untested(self) -> bool:
        """Whether no candidate of it could be tested."""
        return all(rate is None for rate in self.rates)

    def passes_at(self, n: int) -> float:
        """1.0 where one of the first n candidates passes all, else 0.0: untested is no pass."""
        return float(self.samples is not None and self.samples <= n)

    @property
    def pass_rate(self) -> float | None:
        """Mean over the tested candidates; 0 where there is no candidate, None where all of
        them are untested."""
        if not self.rates:
            return 0.0
        tested = [rate for rate in self.rates if rate is not None]
        return fmean(tested) if tested else None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results of one generator on held-out tasks.

    Every aggregate is the mean over functions of the mean over the function's tasks, so that a
    long function with many tasks counts once. An untested candidate never passes; only the mean
    pass rate, which has no value for it, leaves it out. seconds: wall clock.
    """

    model: str
    adapter: str
    k: int
    results: tuple[TaskResult, ...]
    seconds: float = 0.0

    def by_function(self, score: Callable[[TaskResult], float | None]) -> dict[str, float]:
        """Function key -> mean score of its tasks; a task of score None is left out."""
        scores: defaultdict[str, list[float]] = defaultdict(list)
        for result in self.results:
            value = score(result)
            if value is not None:
                scores[result.function].append(value)
        return {function: fmean(values) for function, values in scores.items()}

    def pass_at(self, n: int) -> float:
        """pass@n: any of the first n <= k candidates passes all covering tests."""
        if not 1 <= n <= self.k:
            raise ValueError(f"pass@{n} of {self.k} candidates")
        return self._mean(lambda result: result.passes_at(n)) or 0.0

    @property
    def samples_to_pass(self) -> float:
        """Expected place of the first candidate that passes all; k+1 stands for none."""
        return self._mean(lambda result: float(result.samples or self.k + 1)) or float(self.k + 1)

    @property
    def mean_pass_rate(self) -> float | None:
        """Mean pass rate of the tested candidates, 0..1; None where nothing was tested."""
        return self._mean(lambda result: result.pass_rate)

    @property
    def functions(self) -> int:
        return len({result.function for result in self.results})

    @property
    def untested(self) -> float:
        """Share of the tasks without one tested candidate, 0..1."""
        return fmean(result.untested for result in self.results) if self.results else 0.0

    @property
    def candidates(self) -> int:
        return sum(len(result.rates) for result in self.results)

    def summary(self) -> Summary:
        """The aggregates under the names that tables, manifests and demo.json use."""
        return {
            "pass_at_1": self.pass_at(1),
            f"pass_at_{self.k}": self.pass_at(self.k),
            "samples_to_pass": self.samples_to_pass,
            "mean_pass_rate": self.mean_pass_rate,
            "functions": self.functions,
            "tasks": len(self.results),
            "candidates": self.candidates,
            "untested": self.untested,
            "k": self.k,
        }

    def to_json(self) -> str:
        return _ADAPTER.dump_json(self, indent=1).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Evaluation:
        """Raises LearningError where the text is no evaluation."""
        try:
            return _ADAPTER.validate_json(text)
        except ValidationError as error:
            raise LearningError(f"this is no stored evaluation: {error}") from error

    def _mean(self, score: Callable[[TaskResult], float | None]) -> float | None:
        means = self.by_function(score)
        return fmean(means.values()) if means else None


_ADAPTER = TypeAdapter(Evaluation)


def evaluate(
    generator: Generator,
    tester: Tester,
    tasks: Sequence[Task],
    *,
    k: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Complete each task with k beams and test every candidate, in the model's own order.

    The tester's processes work while the next tasks are decoded. progress: called with (tasks
    done, tasks). Raises what the generator and the tester raise.
    """
    start = time.monotonic()
    results: list[TaskResult] = []

    def propose(task: Task) -> list[Candidate]:
        return generator.generate(task, beams=k)[:k]

    for rollout in rollouts(propose, tester, tasks):
        results.append(TaskResult.from_reports(rollout.task, rollout.reports))
        if progress:
            progress(len(results), len(tasks))
    seconds = time.monotonic() - start
    return Evaluation(generator.model, generator.adapter, k, tuple(results), seconds)
