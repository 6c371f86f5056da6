"""What a refresh learns: `python -m benchmarks.learning [--arms ours,pass-only] [--seeds 3]`.

The demo's practice on toolz once, then for every arm and seed an adapter of the same number of
examples, and the same held-out tasks by the project's own tests. The arms are those of METHOD: what
is drawn (sources, P2Value, priority) and what a drawn experience teaches (the objective). The last
line is one JSON object:

tasks, held_out, functions   practised, held out, and functions of those held out
base                         the model without an adapter: `pass_at_1`, `pass_at_8`,
                             `samples_to_pass`, `mean_pass_rate`
arms                         for each arm the median over seeds of the same, `pass_at_1_range`
                             (least, most), `gain` (pass@1, all seeds' mean by function minus the
                             base's) with `low` and `high` (90 %, paired bootstrap over functions),
                             `sources` drawn, `target_tokens` and `seconds` of one training

The tree and its store stay in .bench/learning: practice goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median

import numpy as np
from rich.console import Console

from benchmarks.packages import TOOLZ, interpreter, kept
from benchmarks.telling import Told, telling
from examples.demo import K, settings
from p2assist.experience import Source, Task
from p2assist.generation.generator import Generator
from p2assist.generation.local import LocalGenerator
from p2assist.learning.evaluate import Evaluation, evaluate
from p2assist.learning.examples import TrainingSet, training_set
from p2assist.learning.finetune import finetune
from p2assist.learning.gate import interval
from p2assist.learning.objectives import objective
from p2assist.learning.trained import Trained
from p2assist.p2value import P2Settings, preset
from p2assist.practice.driver import Tally, practise
from p2assist.practice.refreshing import drawable
from p2assist.practice.workspace import Workspace

PLACE = Path(".bench/learning")
FIGURES = ("pass_at_1", "pass_at_8", "samples_to_pass", "mean_pass_rate")
err = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Arm:
    """What is drawn and what it teaches. sources: None for all."""

    objective: str = "weighted"
    p2value: P2Settings = field(default_factory=P2Settings)
    sources: Collection[Source] | None = None


ARMS: Mapping[str, Arm] = {
    "ours": Arm(),
    "reference": Arm("pass-only", preset("uniform"), {Source.REFERENCE}),
    "pass-only": Arm("pass-only", preset("uniform")),
    "uniform": Arm("weighted", preset("uniform")),
    "possibility": Arm("weighted", preset("default", possibility_weight=1.0)),
    "pass-rate": Arm("weighted", preset("default", possibility_weight=0.0)),
    "paper": Arm("cross-entropy", preset("paper")),
    "p2-product": Arm("weighted", preset("product")),
    "p2-rank": Arm("weighted", preset("rank")),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One arm with one seed."""

    data: TrainingSet
    trained: Trained
    found: Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all arms share. base: the generator without an adapter; held: the tasks to test on."""

    space: Workspace
    base: LocalGenerator
    held: Sequence[Task]
    told: Told

    def run(self, name: str, seed: int) -> Run:
        arm, label, space = ARMS[name], f"{name} {seed}", self.space
        learning = replace(space.config.team.learning, objective=arm.objective, seed=seed)
        data = training_set(
            drawable(space, arm.p2value, sources=arm.sources),
            self.base.encoder.within(learning.max_prompt_tokens),
            objective(arm.objective),
            space.split,  # by the demo's own seed: all arms and seeds are asked the same
            size=learning.samples,
            seed=seed,
        )
        trained = finetune(
            space.model_place,
            data.examples,
            learning,
            PLACE / "runs" / label.replace(" ", "-"),
            progress=lambda at, of, loss: self.told(f"{label}, train", at, of, f"loss {loss:.3f}"),
        )
        return Run(data, trained, self.test(self.base.with_adapter(trained.adapter, label), label))

    def test(self, generator: Generator, label: str) -> Evaluation:
        def told(done: int, total: int) -> None:
            self.told(f"{label}, evaluate", done, total, "")

        return evaluate(generator, self.space.tester, self.held, k=K, progress=told)


def figures(base: Evaluation, runs: Sequence[Run]) -> dict[str, object]:
    """The figures of one arm over its seeds."""
    all_of = [one.found.summary() for one in runs]
    firsts = [float(one["pass_at_1"] or 0) for one in all_of]
    before = base.by_function(lambda result: result.passes_at(1))
    after = [one.found.by_function(lambda result: result.passes_at(1)) for one in runs]
    gains = np.array([fmean(each[key] for each in after) - before[key] for key in sorted(before)])
    low, high = interval(gains, 0.9, seed=0)
    return {
        **{key: round(median(float(one[key] or 0) for one in all_of), 4) for key in FIGURES},
        "pass_at_1_range": [round(min(firsts), 4), round(max(firsts), 4)],
        "gain": round(float(gains.mean()), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "seeds": len(runs),
        "sources": dict(runs[0].data.sources),
        "target_tokens": runs[0].trained.target_tokens,
        "seconds": round(median(one.trained.seconds for one in runs), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=240, help="tasks to practise")
    parser.add_argument("--held-out", type=int, default=150, help="tasks to evaluate on")
    parser.add_argument("--arms", default="ours", help=f"of {','.join(ARMS)}; or all")
    parser.add_argument("--seeds", type=int, default=3, help="adapters of each arm")
    given = parser.parse_args()
    names = list(ARMS) if given.arms == "all" else given.arms.split(",")
    if unknown := set(names) - set(ARMS):
        parser.error(f"no arm {', '.join(sorted(unknown))}; there are {', '.join(ARMS)}")
    root, python = kept(TOOLZ, PLACE), interpreter()
    start = time.monotonic()
    with Workspace(settings(root, python)) as space, telling(err) as told:
        generator = space.load(None, "")
        done = len(space.store.practised(generator.model, ""))
        todo = space.fresh_tasks(generator, limit=max(0, given.tasks - done))

        def keep(tally: Tally) -> None:
            told("practice", tally.tasks + tally.unusable, len(todo), f"{tally.passing_all} pass")

        practise(generator, space.tester, space.store, todo, beams=K, progress=keep)
        held = space.held_out_tasks(limit=given.held_out)
        bench = Bench(space=space, base=generator, held=held, told=told)
        base = bench.test(generator, "base")
        arms = {}
        for name in names:
            runs = [bench.run(name, seed) for seed in range(given.seeds)]
            arms[name] = figures(base, runs)
            err.print(name, json.dumps(arms[name]), markup=False, highlight=False, soft_wrap=True)
    before = base.summary()
    found = {
        "tasks": given.tasks,
        "held_out": len(held),
        "functions": base.functions,
        "base": {key: round(float(before[key] or 0), 4) for key in FIGURES},
        "arms": arms,
        "seconds": round(time.monotonic() - start, 1),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
