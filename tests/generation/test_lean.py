"""The lean forward against transformers, family by family, and against itself without reuse."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from p2assist.errors import CancelledError
from p2assist.generation.request import Control

pytestmark = pytest.mark.model
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from p2assist.generation.forward import chunk_size  # noqa: E402
from p2assist.generation.lean import LeanForward  # noqa: E402
from p2assist.generation.loading import weights_of  # noqa: E402

from .families import FAMILIES, IDS, NEAR, make  # noqa: E402


@pytest.fixture(scope="module", params=FAMILIES)
def network(request: pytest.FixtureRequest, one_thread: None) -> Any:
    return make(request.param)


def forward(network: Any) -> LeanForward:
    weights = weights_of(network)
    assert weights is not None
    return LeanForward(weights, memory=1 << 24)


def logits(network: Any, ids: list[int]) -> Any:
    with torch.inference_mode():
        return network(input_ids=torch.tensor([ids])).logits[0]


def test_logits_are_those_of_transformers_prefilled_and_step_by_step(network: Any) -> None:
    wanted = logits(network, IDS)
    prompt = forward(network).prefill(IDS[:100])
    assert prompt is not None
    torch.testing.assert_close(prompt.logits, wanted[99], **NEAR)
    branches = prompt.branch(3, 50)
    for step, token in enumerate(IDS[100:]):
        parents = [0, 0, 0] if step == 0 else [2, 1, 1]  # the right one is always in the middle
        parents = [0, 1, 1] if step else parents
        found = branches.step(parents, [5, token, 9])
        torch.testing.assert_close(found[1], wanted[100 + step], **NEAR)


def test_branches_that_change_places_and_leave_keep_what_is_theirs(network: Any) -> None:
    prompt = forward(network).prefill(IDS[:40])
    assert prompt is not None
    branches, written = prompt.branch(4, 6), [[]]
    moves = [([0, 0, 0, 0], [1, 2, 3, 4]), ([3, 0, 0], [5, 6, 7]), ([2, 1, 1, 0], [8, 9, 10, 11])]
    for parents, tokens in [*moves, ([3], [12]), ([0, 0], [13, 14])]:
        written = [[*written[p], t] for p, t in zip(parents, tokens, strict=True)]
        found = branches.step(parents, tokens)
        for row, path in zip(found, written, strict=True):
            torch.testing.assert_close(row, logits(network, [*IDS[:40], *path])[-1], **NEAR)


def test_scores_are_sums_of_transformers_and_answers_share_their_beginnings(network: Any) -> None:
    prompt = forward(network).prefill(IDS[:60])
    assert prompt is not None
    answers = [IDS[60:90], [*IDS[60:70], 5, 6], [9], IDS[60:90], [*IDS[60:70], 5, 7]]
    wanted = []
    for answer in answers:
        table = logits(network, [*IDS[:60], *answer])[59:-1].double().log_softmax(-1)
        wanted.append(float(table[range(len(answer)), answer].sum()))
    assert prompt.score(answers) == pytest.approx(wanted, abs=2e-3)
    assert prompt.score([]) == []


def test_a_prompt_that_goes_on_from_another_is_as_if_it_were_the_first(network: Any) -> None:
    kept, typed = forward(network), [*IDS[:90], 11, 12, 13]
    first = kept.prefill(IDS[:100])
    assert first is not None
    first.branch(4, 8).step([0, 0], [1, 2])  # writes behind the prompt
    for ids in (typed, [*typed, 14], IDS[:50], [*typed, 15], [*IDS[:30], *IDS[60:]]):
        again, cold = kept.prefill(ids), forward(network).prefill(ids)
        assert again is not None and cold is not None
        torch.testing.assert_close(again.logits, cold.logits, **NEAR)
        answers = [[1, 2, 3], [4]]
        assert again.score(answers) == pytest.approx(cold.score(answers), abs=1e-3)


def test_in_bfloat16_it_differs_by_its_rounding_alone(network: Any) -> None:
    """Prefilled in two parts, then by steps that change places, past a padded number of slots."""
    weights = weights_of(network.bfloat16())
    assert weights is not None
    network.float()  # of the rounded weights
    kept = LeanForward(weights, memory=1 << 24)
    kept.prefill(IDS[:50])
    prompt = kept.prefill(IDS[:57])
    assert prompt is not None
    found, branches = [prompt.logits], prompt.branch(4, 6)
    for parents, tokens in ([0, 0, 0], [1, 2, 3]), ([2, 0], [5, 6]), ([1, 1, 0], [8, 9, 10]):
        found += branches.step(parents, tokens)
    paths = [IDS[:57]]
    paths += [[*IDS[:57], t] for t in (1, 2, 3)]
    paths += [[*IDS[:57], 3, 5], [*IDS[:57], 1, 6]]
    paths += [[*IDS[:57], 1, 6, 8], [*IDS[:57], 1, 6, 9], [*IDS[:57], 3, 5, 10]]
    for row, path in zip(found, paths, strict=True):
        wanted = logits(network, path)[-1]
        assert float((row - wanted).norm() / wanted.norm()) < 0.05
    answers = [IDS[57:80], [4, 5]]
    exact = LeanForward(replace(weights, kept=torch.float32), memory=1 << 24).prefill(IDS[:57])
    assert exact is not None
    assert prompt.score(answers) == pytest.approx(exact.score(answers), rel=0.05)


def test_only_new_tokens_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    kept = forward(make("Llama"))
    run = kept.run
    monkeypatch.setattr(kept, "run", lambda k, t, *rest: counted.append(len(t)) or run(k, t, *rest))
    kept.prefill(IDS[:100])
    assert counted == [64, 40]  # by eights
    kept.prefill(IDS[:103])
    assert counted[2:] == [8]


def test_a_cancelled_prefill_ends_between_chunks_and_keeps_what_is_done() -> None:
    kept, cancelled, calls = forward(make("Llama")), threading.Event(), []
    run = kept.run

    def once(keys: Any, tokens: Any, *rest: Any) -> Any:
        calls.append(len(tokens))
        cancelled.set()
        return run(keys, tokens, *rest)

    kept.run = once  # type: ignore[method-assign]
    with pytest.raises(CancelledError):
        kept.prefill(IDS, Control(cancelled=cancelled))
    assert calls == [chunk_size(torch.device("cpu"))]
    again, cold = kept.prefill(IDS), forward(make("Llama")).prefill(IDS)
    assert sum(calls) == len(IDS) + -len(IDS) % 8, "the first chunk was computed twice"
    assert again is not None and cold is not None
    torch.testing.assert_close(again.logits, cold.logits, **NEAR)


def test_a_deadline_that_has_passed_computes_nothing() -> None:
    assert forward(make("Llama")).prefill(IDS, Control(deadline=0.0)) is None


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_weights_come_back_as_they_were(network: Any, dtype: str) -> None:
    made = weights_of(network.to(getattr(torch, dtype)))
    assert made is not None
    for name in ("model.layers.1.self_attn.q_proj", "model.layers.2.self_attn.v_proj", "lm_head"):
        assert torch.equal(made.weight(name), network.get_submodule(name).weight)
    network.float()


def test_other_architectures_are_left_to_the_general_forward() -> None:
    config = transformers.GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2, n_positions=16)
    assert weights_of(transformers.GPT2LMHeadModel(config)) is None
    dynamic = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    assert weights_of(make("Llama", rope_parameters=dynamic)) is None
