from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest
from filelock import FileLock

from p2assist.config import GenerationConfig, LearningConfig
from p2assist.errors import AdapterError, LearningError
from p2assist.experience import Candidate, Source
from p2assist.generation.generator import FakeGenerator
from p2assist.learning.evaluate import evaluate
from p2assist.learning.refresh import CHALLENGER, CHAMPION, TRAIN, Refresh
from p2assist.learning.registry import Base, Registry
from p2assist.learning.trained import Trained
from p2assist.tasks.splits import Split

SPLIT = Split(share=0.3)
NAMES = [f"f{n}" for n in range(120)]
HELD = [name for name in NAMES if SPLIT.held_out(f"m.py::{name}")]
BASE = Base("tiny", "b" * 64)
SETTINGS = LearningConfig(objective="weighted", samples=64, batch_size=8)
WRONG = {"return 1": ["raise", "return 0"]}


@dataclass
class Cycle:
    items: list

    def sample(self, size, seed):
        return [(self.items[n % len(self.items)], 1.0) for n in range(size)]


@dataclass
class Training:
    """A finetune that writes an adapter of the examples' digest; counts its calls."""

    calls: int = 0

    def __call__(self, model, examples, settings, out, *, name="", progress=None):
        self.calls += 1
        adapter = out / "adapter"
        adapter.mkdir(parents=True, exist_ok=True)
        (adapter / "adapter_model.safetensors").write_text(repr(examples))
        (adapter / "adapter_config.json").write_text("{}")
        progress(1, 1, 2.5)
        return Trained(adapter, 1, 10, 5, 0.1, 2.5, 2.0)


@dataclass
class Loader:
    """Generators by adapter: the base model is always wrong, an adapter has `answers`."""

    answers: dict
    loaded: list

    def __call__(self, adapter, name):
        self.loaded.append(name)
        answers = self.answers if adapter else WRONG
        return FakeGenerator(answers, model="tiny", adapter=name)


@pytest.fixture
def passing(make_task, make_experience, make_report):
    return [
        make_experience(make_task(name), report=make_report(1), source=source)
        for name, source in zip(NAMES, [Source.SELF, Source.REFERENCE] * 60, strict=True)
    ]


@pytest.fixture
def refresh(tmp_path, make_task, tester, encoder, passing):
    return Refresh(
        state=tmp_path / ".p2assist",
        base=BASE,
        model="nowhere",
        load=Loader({}, []),  # without an answer the fake offers the reference second
        buffer=Cycle(passing),
        encoder=encoder,
        tester=tester,
        split=SPLIT,
        held_out=[make_task(name) for name in HELD],
        settings=SETTINGS,
        generation=GenerationConfig(),
        finetune=Training(),
    )


def test_a_better_challenger_is_promoted_and_told_of(refresh):
    result = refresh.run()
    assert result.decision.promote
    assert result.champion.pass_at(8) == 0.0
    assert result.challenger.pass_at(8) == 1.0
    registry = Registry(refresh.state)
    assert registry.champion(BASE) == result.adapter
    assert registry.history()[-1].reason == result.decision.reason
    manifest = result.adapter.manifest
    assert (manifest.parent, manifest.objective) == ("", "weighted")
    assert manifest.data == result.data.digest
    assert set(manifest.sources) == {"self", "reference"}
    assert manifest.champion == result.champion.summary()
    assert manifest.challenger == result.challenger.summary()
    assert manifest.decision == result.decision
    assert manifest.training["steps"] == 1
    assert result.challenger.adapter == result.adapter.name
    assert result.trained.adapter.is_dir()
    assert not (refresh.state / "refresh").exists()


def test_a_challenger_that_is_no_better_is_kept_but_does_not_serve(refresh):
    result = replace(refresh, load=Loader(WRONG, [])).run()
    assert not result.decision.promote
    registry = Registry(refresh.state)
    assert registry.list() == [result.adapter]
    assert registry.champion() is None


def test_the_next_refresh_meets_the_champion(refresh, passing):
    first = refresh.run()
    better = Loader({"return 1": ["return 1"]}, [])
    second = replace(refresh, buffer=Cycle(passing[::-1]), load=better).run()
    assert better.loaded == [first.adapter.name, second.adapter.name]
    assert second.adapter.manifest.parent == first.adapter.name
    third = replace(refresh, buffer=Cycle(passing[::-1]), load=better).run()
    assert not third.decision.promote  # the same weights as the Champion's
    assert third.adapter == second.adapter


def test_progress_names_the_stages(refresh):
    seen = []
    replace(refresh, progress=seen.append).run()
    assert list(dict.fromkeys(step.stage for step in seen)) == [TRAIN, CHAMPION, CHALLENGER]
    assert seen[0].loss == 2.5
    assert all(step.done == step.total for step in (seen[0], seen[-1]))
    assert seen[-1].total == len(HELD)


class StopError(Exception):
    pass


def test_a_stopped_run_keeps_its_finished_evaluation(refresh):
    def stop(step):
        if step.stage == CHALLENGER and step.done == 3:
            raise StopError

    loader = Loader({}, [])
    with pytest.raises(StopError):
        replace(refresh, load=loader, progress=stop).run()
    result = replace(refresh, load=loader).run()
    assert loader.loaded == ["", result.adapter.name, result.adapter.name]
    assert result.champion.adapter == ""
    assert result.decision.promote


def test_an_evaluation_of_other_tasks_is_not_reused(refresh, make_task):
    def stop(step):
        if step.stage == CHALLENGER:
            raise StopError

    loader = Loader({}, [])
    with pytest.raises(StopError):
        replace(refresh, load=loader, progress=stop).run()
    replace(refresh, load=loader, held_out=refresh.held_out[1:]).run()
    assert loader.loaded[0] == loader.loaded[2] == ""


def test_a_kill_between_register_and_promote_is_made_good(refresh, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "promote", lambda *_: (_ for _ in ()).throw(StopError))
        with pytest.raises(StopError):
            refresh.run()
    assert Registry(refresh.state).champion() is None
    result = refresh.run()
    assert Registry(refresh.state).champion() == result.adapter
    assert len(Registry(refresh.state).list()) == 1


def test_too_little_experience_says_to_practise(refresh, passing):
    with pytest.raises(LearningError, match="p2assist practice"):
        replace(refresh, buffer=Cycle(passing[:5])).run()
    assert refresh.finetune.calls == 0


def test_nothing_held_out_is_refused(refresh):
    with pytest.raises(LearningError, match=r"learning\.held_out"):
        replace(refresh, held_out=[]).run()


def test_an_evaluation_on_training_functions_is_refused(refresh, make_task):
    known = next(name for name in NAMES if name not in HELD)
    with pytest.raises(LearningError, match=f"{known} is not held out"):
        replace(refresh, held_out=[make_task(known)]).run()


def test_a_champion_of_another_base_model_stops_it(refresh):
    refresh.run()
    with pytest.raises(AdapterError, match="another base model"):
        replace(refresh, base=Base("big", "c" * 64)).run()


def test_two_at_once_are_refused(refresh):
    refresh.state.mkdir()
    with (
        FileLock(refresh.state / "refresh.lock"),
        pytest.raises(LearningError, match="another refresh"),
    ):
        refresh.run()


def test_importing_it_loads_no_torch():
    code = (
        "import sys, p2assist.learning.refresh, p2assist.learning.registry; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'peft')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@dataclass
class Greedy:
    """One greedy candidate of the tiny model."""

    complete: object
    encoder: object
    path: object
    adapter: str
    model: str = "tiny"

    def generate(self, task, *, beams=8):
        text = self.complete(self.path, self.encoder.prompt(task)).decode()
        return [Candidate(text, -1.0, 1, model=self.model, adapter=self.adapter)]

    def score(self, task, texts):
        raise NotImplementedError


@pytest.mark.model
@pytest.mark.usefixtures("one_thread")
def test_a_real_refresh_of_a_tiny_model_promotes(refresh, tiny_model, complete, encoder):
    base = Base.from_model("tiny", str(tiny_model))
    real = replace(
        refresh,
        base=base,
        model=str(tiny_model),
        load=lambda path, name: Greedy(complete, encoder, path, name),
        held_out=refresh.held_out[:12],
        settings=replace(SETTINGS, learning_rate=2e-2, samples=320),
        finetune=None,
    )
    result = real.run()
    assert result.decision.promote, result.decision.reason
    assert result.champion.pass_at(1) == 0.0
    assert result.challenger.pass_at(1) == 1.0
    assert Registry(real.state).champion(base) == result.adapter
    again = evaluate(
        Greedy(complete, encoder, result.adapter.path, "x"), real.tester, real.held_out
    )
    assert again.results == result.challenger.results
    config = json.loads((result.adapter.path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"
