from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from p2assist.pocket.build import spans, tokenizer
from p2assist.pocket.build.corpus import Document
from p2assist.pocket.build.recipe import ModelRecipe, TokenizerRecipe, TrainRecipe

pytestmark = pytest.mark.model

DOCUMENTS = [Document("demo", "demo/spans.py", inspect.getsource(spans))]
MODEL = ModelRecipe(hidden=32, layers=1, heads=2, intermediate=64, positions=256)


def recipe(minutes: float) -> TrainRecipe:
    return TrainRecipe(
        minutes=minutes, context=64, batch=2, warmup_steps=2, snapshot_from=0.0, threads=1
    )


def test_the_fused_loss_is_cross_entropy() -> None:
    import torch

    from p2assist.pocket.build.batches import IGNORED
    from p2assist.pocket.build.loss import fused_loss

    torch.manual_seed(0)
    hidden = torch.randn(1500, 8, requires_grad=True)
    weight = torch.randn(30, 8, requires_grad=True)
    labels = torch.randint(0, 30, (1500,))
    labels[::7] = IGNORED
    inputs = (hidden, weight)
    plain = torch.nn.functional.cross_entropy(hidden @ weight.T, labels, ignore_index=IGNORED)

    fused = fused_loss(hidden, weight, labels)

    assert torch.allclose(fused, plain, atol=1e-5)
    expected, found = torch.autograd.grad(plain, inputs), torch.autograd.grad(fused, inputs)
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_the_rate_warms_up_stays_and_falls_to_nothing() -> None:
    from p2assist.pocket.build.train import State, rate

    plan = TrainRecipe(minutes=10.0, warmup_steps=10, decay_from=0.6)
    assert rate(plan, State(step=0)) == pytest.approx(0.1)
    assert rate(plan, State(step=100, minutes=5.9)) == 1.0
    assert rate(plan, State(step=100, minutes=8.0)) == pytest.approx(0.5)
    assert rate(plan, State(step=100, minutes=10.0)) == 0.0


def test_a_run_publishes_stops_and_resumes(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    from p2assist.pocket.build.train import export_checkpoint, train

    learned = tokenizer.learn(TokenizerRecipe(vocabulary=400), [DOCUMENTS[0].text])
    train(MODEL, recipe(0.01), DOCUMENTS, learned, tmp_path)
    first = json.loads((tmp_path / "train.jsonl").read_text("utf8").splitlines()[-1])
    train(MODEL, recipe(0.02), DOCUMENTS, learned, tmp_path)
    second = json.loads((tmp_path / "train.jsonl").read_text("utf8").splitlines()[-1])

    assert 0.01 <= first["minutes"] < second["minutes"]
    assert first["step"] < second["step"]
    assert second["loss"] < first["loss"]
    assert (tmp_path / "snapshot").is_symlink()
    export_checkpoint(MODEL, learned, tmp_path, tmp_path / "weights")
    for folder in ("snapshot", "weights"):
        model = AutoModelForCausalLM.from_pretrained(tmp_path / folder)
        assert model.config.vocab_size == 400
