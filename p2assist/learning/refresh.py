"""A refresh: fine-tune a Challenger, evaluate it beside the Champion, gate it, register it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from p2assist import __version__
from p2assist.config import GenerationConfig, LearningConfig
from p2assist.errors import LearningError
from p2assist.experience import Task
from p2assist.generation.generator import Generator
from p2assist.harness.tester import Tester
from p2assist.learning.evaluate import Evaluation, evaluate
from p2assist.learning.examples import Draws, Encoder, Example, TrainingSet, training_set
from p2assist.learning.gate import Decision, decide
from p2assist.learning.objectives import objective
from p2assist.learning.registry import Adapter, Base, Manifest, Registry
from p2assist.learning.storage import digest_of, file_digest, read_json, write_atomic
from p2assist.learning.trained import Trained
from p2assist.tasks.splits import Split, function_key

TRAIN, CHAMPION, CHALLENGER = "train", "champion", "challenger"


@dataclass(frozen=True, slots=True)
class Step:
    """How far a refresh is. stage: 'train', 'champion' or 'challenger'; done of total: training
    steps, or tasks evaluated; loss: nats a target token, while training."""

    stage: str
    done: int
    total: int
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """What one refresh did. data: what it was trained on. adapter: the Challenger's, promoted
    or not (decision.promote)."""

    data: TrainingSet
    trained: Trained
    champion: Evaluation
    challenger: Evaluation
    decision: Decision
    adapter: Adapter


class Finetune(Protocol):
    """The shape of learning.finetune.finetune."""

    def __call__(
        self,
        model: str,
        examples: Sequence[Example],
        settings: LearningConfig,
        out: Path,
        *,
        name: str = "",
        progress: Callable[[int, int, float], None] | None = None,
    ) -> Trained: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """Everything that one refresh works with; run() does it.

    state: the repository's state folder. base: the base model; model: the folder or hub name it
    is loaded from. load: (adapter's folder or None, its name) -> a generator. buffer: draws
    experiences by priority. encoder: the base model's prompts. split: what is held out.
    held_out: the tasks of held-out functions. k: candidates a task.
    """

    state: Path
    base: Base
    model: str
    load: Callable[[Path | None, str], Generator]
    buffer: Draws
    encoder: Encoder
    tester: Tester
    split: Split
    held_out: Sequence[Task]
    settings: LearningConfig
    generation: GenerationConfig
    k: int = 8
    progress: Callable[[Step], None] | None = None
    finetune: Finetune | None = None

    def run(self) -> RefreshResult:
        """Train, evaluate both, decide, register, and promote where the gate says so.

        Killed at any time, the next run with the same data and tasks goes on from the last
        checkpoint and finished evaluation. Raises LearningError where there is too little to
        learn from or nothing to evaluate on, and what the parts raise.
        """
        self._check()
        with self._locked():
            registry = Registry(self.state)
            serving = registry.champion(self.base)
            data = training_set(
                self.buffer,
                self.encoder,
                objective(self.settings.objective),
                self.split,
                size=self.settings.samples,
                seed=self.settings.seed,
            )
            trained = self._train(data)
            champion = self._evaluate(
                CHAMPION, serving.path if serving else None, serving.name if serving else ""
            )
            challenger = self._evaluate(
                CHALLENGER, trained.adapter, registry.name_for(trained.adapter)
            )
            decision = decide(champion, challenger, confidence=self.settings.confidence)
            manifest = self._manifest(data, trained, champion, challenger, decision)
            adapter = registry.add(trained.adapter, manifest)
            if decision.promote:
                registry.promote(adapter.name, decision.reason, self.base)
            shutil.rmtree(self._folder)
        trained = replace(trained, adapter=adapter.path)
        return RefreshResult(data, trained, champion, challenger, decision, adapter)

    def _check(self) -> None:
        if not self.held_out:
            raise LearningError(
                "no covered task lies in a held-out function, so nothing can be evaluated: raise "
                "learning.held_out, or widen `paths`"
            )
        leaks = [t for t in self.held_out if not self.split.held_out(function_key(t))]
        if leaks:
            raise LearningError(
                f"{function_key(leaks[0])} is not held out from training: an evaluation on it "
                f"would measure memory"
            )

    def _train(self, data: TrainingSet) -> Trained:
        def step(done: int, total: int, loss: float) -> None:
            self._tell(Step(TRAIN, done, total, loss))

        train = self.finetune or _finetune()
        return train(
            self.model,
            data.examples,
            self.settings,
            # Checkpoints of another base model under the same name must not be resumed.
            self._folder / f"{TRAIN}-{self.base.digest[:12]}",
            name=self.base.name,
            progress=step,
        )

    def _evaluate(self, stage: str, adapter: Path | None, name: str) -> Evaluation:
        file = self._folder / f"{stage}.json"
        key = self._key(adapter)
        stored = read_json(file)
        if stored is not None and stored.get("key") == key:
            return Evaluation.from_json(json.dumps(stored["evaluation"]))

        def step(done: int, total: int) -> None:
            self._tell(Step(stage, done, total))

        generator = self.load(adapter, name)
        result = evaluate(generator, self.tester, self.held_out, k=self.k, progress=step)
        value = {"key": key, "evaluation": json.loads(result.to_json())}
        write_atomic(file, json.dumps(value))
        return result

    def _key(self, adapter: Path | None) -> str:
        """What an evaluation depends on: a stored one of another key is not reused."""
        weights = file_digest(adapter / "adapter_model.safetensors") if adapter else ""
        tasks = [(task.key, [asdict(test) for test in task.tests]) for task in self.held_out]
        how = asdict(self.generation)
        return digest_of(__version__, self.base.digest, weights, self.k, how, tasks)

    def _manifest(
        self,
        data: TrainingSet,
        trained: Trained,
        champion: Evaluation,
        challenger: Evaluation,
        decision: Decision,
    ) -> Manifest:
        training = {k: v for k, v in asdict(trained).items() if k != "adapter"}
        return Manifest(
            base=self.base,
            parent=champion.adapter,
            data=data.digest,
            objective=self.settings.objective,
            seed=self.settings.seed,
            settings=asdict(self.settings),
            sources=data.sources,
            training={**training, "examples": len(data.examples), "distinct": data.distinct},
            champion=champion.summary(),
            challenger=challenger.summary(),
            decision=decision,
        )

    def _tell(self, step: Step) -> None:
        if self.progress:
            self.progress(step)

    @property
    def _folder(self) -> Path:
        return self.state / "refresh"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.state / "refresh.lock", timeout=0):
                yield
        except Timeout as error:
            raise LearningError(
                f"another refresh of this repository is running ({error.lock_file})"
            ) from error


def _finetune() -> Finetune:
    from p2assist.learning.finetune import finetune  # torch loads here, not with this module

    return finetune
