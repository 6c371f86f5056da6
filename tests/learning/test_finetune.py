from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from p2assist.config import LearningConfig
from p2assist.errors import LearningError, ModelError
from p2assist.learning.examples import Example

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("one_thread")]

SETTINGS = LearningConfig(learning_rate=2e-2, batch_size=8, rank=8)
LINES = {b"def add(a, b):": b"return a + b", b"def neg(a):": b"return -a"}


def memorised(weight_of=lambda prompt: 1.0, repeats=160) -> list[Example]:
    return [
        Example(tuple(prompt), (*line, 0), weight_of(prompt))
        for prompt, line in LINES.items()
        for _ in range(repeats)
    ]


def noise(count: int, seed: int = 0) -> list[Example]:
    drawn = random.Random(seed)
    return [
        Example(
            tuple(drawn.randrange(1, 128) for _ in range(drawn.randint(0, 30))),
            tuple(drawn.randrange(1, 128) for _ in range(drawn.randint(1, 9))),
        )
        for _ in range(count)
    ]


def weights(adapter: Path):
    from safetensors.torch import load_file

    return load_file(adapter / "adapter_model.safetensors")


def same(one: Path, two: Path) -> bool:
    left, right = weights(one), weights(two)
    return left.keys() == right.keys() and all(left[k].equal(right[k]) for k in left)


@pytest.fixture(scope="module")
def finetune():
    from p2assist.learning.finetune import finetune

    return finetune


def test_it_learns_to_write_a_memorised_line(finetune, tiny_model, tmp_path, complete):
    steps = []
    trained = finetune(
        str(tiny_model),
        memorised(),
        SETTINGS,
        tmp_path / "run",
        name="tiny",
        progress=lambda *s: steps.append(s),
    )
    for prompt, line in LINES.items():
        assert complete(None, prompt) != line
        assert complete(trained.adapter, prompt) == line
    assert trained.loss_last < 0.1 < 3 < trained.loss_first
    assert [s[:2] for s in steps] == [(n, 40) for n in range(1, 41)]
    assert trained.steps == 40
    lengths = sum(len(p) + len(t) + 1 for p, t in LINES.items())
    assert trained.tokens == 160 * lengths
    assert trained.target_tokens == 160 * sum(len(t) + 1 for t in LINES.values())
    files = {p.name for p in trained.adapter.iterdir()}
    assert files == {"adapter_model.safetensors", "adapter_config.json", "trained.json"}
    config = json.loads((trained.adapter / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (8, 16)
    assert config["base_model_name_or_path"] == "tiny"
    assert "lm_head" not in str(config["target_modules"])


def test_what_weighs_nothing_is_not_learned(finetune, tiny_model, tmp_path, complete):
    """Two answers to one prompt: the weight alone decides."""
    prompt, right, wrong = b"def one():", b"return 1", b"return 2"
    examples = [
        Example(tuple(prompt), (*line, 0), weight)
        for line, weight in ((right, 2.0), (wrong, 0.0))
        for _ in range(120)
    ]
    trained = finetune(str(tiny_model), examples, SETTINGS, tmp_path / "run")
    assert complete(trained.adapter, prompt) == right


def test_a_finished_run_is_not_run_again_and_other_data_start_anew(finetune, tiny_model, tmp_path):
    steps = []

    def go(examples, seed=0):
        steps.clear()
        settings = LearningConfig(batch_size=8, rank=2, seed=seed)
        return finetune(
            str(tiny_model), examples, settings, tmp_path, progress=lambda *s: steps.append(s)
        )

    first = go(noise(16))
    assert len(steps) == 2
    assert go(noise(16)) == first
    assert steps == []
    before = weights(first.adapter)
    go(noise(16), seed=1)
    assert len(steps) == 2
    assert not all(before[k].equal(v) for k, v in weights(first.adapter).items())
    go(noise(20))
    assert len(steps) == 3


def test_only_the_targets_count(finetune, tiny_model, tmp_path):
    """The loss is that of the target's ids under the base model, the prompt's are masked."""
    import torch
    from transformers import AutoModelForCausalLM

    examples = [e for e in noise(8) if e.prompt_ids]
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    total = tokens = 0.0
    for e in examples:
        logits = model(input_ids=torch.tensor([e.prompt_ids + e.target_ids])).logits[0]
        logprobs = torch.log_softmax(logits, -1)
        for place, target in enumerate(e.target_ids, len(e.prompt_ids)):
            total -= logprobs[place - 1, target].item()
            tokens += 1
    trained = finetune(str(tiny_model), examples, SETTINGS, tmp_path)
    assert trained.steps == 1
    assert trained.loss_first == pytest.approx(total / tokens, rel=1e-2)  # bfloat16 products


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_finetune import SETTINGS, noise
from p2assist.learning.finetune import finetune
def progress(step, steps, loss):
    print(step, flush=True)
finetune(sys.argv[2], noise(240), SETTINGS, Path(sys.argv[3]), progress=progress)
"""


def test_kill_9_goes_on_and_ends_where_an_unbroken_run_ends(finetune, tiny_model, tmp_path):
    here = str(Path(__file__).parent)
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, here, str(tiny_model), str(broken)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as child:
        for line in child.stdout:
            if int(line) == 14:
                os.kill(child.pid, signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    torn = broken / "checkpoint-20"  # as a kill in the middle of writing one leaves it
    torn.mkdir(exist_ok=True)
    (torn / "trainer_state.json").write_text("{")
    steps = []
    resumed = finetune(
        str(tiny_model), noise(240), SETTINGS, broken, progress=lambda s, *_: steps.append(s)
    )
    assert steps == list(range(11, 31))
    unbroken = finetune(str(tiny_model), noise(240), SETTINGS, whole)
    assert same(resumed.adapter, unbroken.adapter)
    assert resumed.loss_first == unbroken.loss_first  # of the steps before the kill
    assert not list(broken.glob("checkpoint-*"))


def test_nothing_to_train_on(finetune, tiny_model, tmp_path):
    with pytest.raises(LearningError, match="p2assist practice"):
        finetune(str(tiny_model), [], SETTINGS, tmp_path)


@pytest.mark.parametrize("damage", ["missing", "empty", "config"])
def test_a_base_model_that_cannot_be_loaded_is_named(damage, finetune, tmp_path):
    model = tmp_path / "model"
    if damage != "missing":
        model.mkdir()
    if damage == "config":
        (model / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"base model .*model' cannot be loaded"):
        finetune(str(model), noise(2), SETTINGS, tmp_path / "run")


def test_batches_group_like_lengths_and_depend_on_the_seed_alone():
    from p2assist.learning.finetune import _in_batches

    examples = noise(50)
    ordered = _in_batches(examples, SETTINGS)
    assert ordered == _in_batches(examples, SETTINGS)
    key = repr
    assert sorted(ordered, key=key) == sorted(examples, key=key)
    spread = [
        max(len(e.prompt_ids) for e in batch) - min(len(e.prompt_ids) for e in batch)
        for batch in (ordered[at : at + 8] for at in range(0, 50, 8))
    ]
    assert max(spread) < 15
    assert ordered != _in_batches(examples, LearningConfig(batch_size=8, seed=5))
