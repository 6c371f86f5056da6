from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from p2assist.pocket.build.pack import Packed
from p2assist.pocket.build.recipe import ModelRecipe, TrainRecipe

pytestmark = pytest.mark.model

MODEL = ModelRecipe(hidden=32, layers=1, heads=2, kv_heads=1, intermediate=64, positions=256)


def recipe(tokens: int) -> TrainRecipe:
    return TrainRecipe(million_tokens=tokens / 1e6, context=64, batch=2, warmup_steps=2, threads=1)


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

    plan = TrainRecipe(minutes=10.0, million_tokens=0, warmup_steps=10, decay_from=0.6)
    assert rate(plan, State(step=0)) == pytest.approx(0.1)
    assert rate(plan, State(step=100, minutes=5.9)) == 1.0
    assert rate(plan, State(step=100, minutes=8.0)) == pytest.approx(0.5)
    assert rate(plan, State(step=100, minutes=10.0)) == 0.0


def test_the_budget_is_what_is_used_up_first() -> None:
    from p2assist.pocket.build.train import State

    both = TrainRecipe(minutes=10.0, million_tokens=2.0)
    assert State(minutes=5.0, tokens=200_000).spent(both) == pytest.approx(0.5)
    assert State(minutes=1.0, tokens=1_500_000).spent(both) == pytest.approx(0.75)
    assert State(minutes=99.0, tokens=1).spent(TrainRecipe(million_tokens=2.0)) < 0.01


def test_a_run_stops_and_resumes(packed: Packed, learned: Tokenizer, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    from p2assist.pocket.build.export import export_checkpoint
    from p2assist.pocket.build.train import train

    train(MODEL, recipe(4000), packed, learned, tmp_path)
    first = json.loads((tmp_path / "train.jsonl").read_text("utf8").splitlines()[-1])
    train(MODEL, recipe(8000), packed, learned, tmp_path)
    second = json.loads((tmp_path / "train.jsonl").read_text("utf8").splitlines()[-1])

    assert 4000 <= first["tokens"] < second["tokens"] <= 8200
    assert second["loss"] < first["loss"]
    export_checkpoint(MODEL, learned, tmp_path, tmp_path / "weights")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "weights")
    assert model.config.vocab_size == 600
    assert model.config.num_key_value_heads == 1
