"""The recorded forward against the lean one, and as CUDA graphs where there is a GPU."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("one_thread")]
torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from p2assist.generation.lean import LeanForward  # noqa: E402
from p2assist.generation.loading import weights_of  # noqa: E402
from p2assist.generation.recorded import RecordedForward, Work, record  # noqa: E402

from .families import FAMILIES, IDS, NEAR, make  # noqa: E402

MEMORY = 1 << 24
PARTS = 2  # of three layers
MOVES = ([0] * 8, [1, 2, 3, 4, 5, 6, 7, 8]), ([1, 0, 3], [4, 5, 6]), ([2, 0, 2, 1], [9, 9, 7, 8])


class Counted:
    """A recorder that records nothing and counts what it was given, and how often that was done."""

    def __init__(self) -> None:
        self.given = self.done = 0

    def __call__(self, work: Work, given: Any) -> Work:
        self.given += 1

        def again(x: Any) -> Any:
            self.done += 1
            return work(x)

        return again


def same(lean: LeanForward, recorded: RecordedForward, ids: list[int], **near: float) -> None:
    """A prompt, branches of it that change places and leave, and scores behind it."""
    wanted, found = lean.prefill(ids), recorded.prefill(ids)
    assert wanted is not None and found is not None
    torch.testing.assert_close(found.logits, wanted.logits, **near)
    one, other = wanted.branch(8, 9), found.branch(8, 9)
    for parents, tokens in MOVES:
        logits = other.step(parents, tokens)
        torch.testing.assert_close(logits, one.step(parents, tokens), **near)
    answers = [[1, 2, 3], [4, 5], IDS[:20]]
    assert found.score(answers) == pytest.approx(wanted.score(answers), abs=20 * near["atol"])


@pytest.mark.parametrize("family", FAMILIES)
def test_it_says_what_the_lean_forward_says(family: str) -> None:
    weights, recorder = weights_of(make(family)), Counted()
    lean = LeanForward(weights, memory=MEMORY)
    recorded = RecordedForward(weights, memory=MEMORY, recorder=recorder)
    for ids in IDS[:100], IDS[:105], IDS[:50], [*IDS[:100], 5, 6], IDS[40:], [*IDS[40:], 1, 2, 3]:
        same(lean, recorded, ids, **NEAR)
    assert recorder.given == 2 * PARTS, "eight rows and thirty-two, over so many slots"
    assert recorder.done > 6 * len(MOVES) * PARTS


def test_a_prompt_that_was_prefilled_elsewhere_since_is_read_again() -> None:
    weights = weights_of(make("Llama"))
    lean = LeanForward(weights, memory=MEMORY)
    recorded = RecordedForward(weights, memory=MEMORY, recorder=Counted())
    same(lean, recorded, IDS[:60], **NEAR)
    same(lean, recorded, [*IDS[:50], *IDS[100:]], **NEAR)  # fifty more, at once: not by steps
    same(lean, recorded, [*IDS[:50], *IDS[100:], 9], **NEAR)


def test_a_longer_text_gets_a_larger_room() -> None:
    weights, recorder = weights_of(make("Llama", max_position_embeddings=2048)), Counted()
    lean = LeanForward(weights, memory=MEMORY)
    recorded = RecordedForward(weights, memory=MEMORY, recorder=recorder)
    long = IDS * 5
    for ids in IDS, long, IDS, [*long, 1]:
        same(lean, recorded, ids, **NEAR)
    assert recorder.given == 4 * PARTS  # two numbers of rows in each of two rooms


def test_many_rows_are_not_recorded() -> None:
    weights, recorder = weights_of(make("Llama")), Counted()
    prompt = RecordedForward(weights, memory=MEMORY, recorder=recorder).prefill(IDS[:64])
    wanted = LeanForward(weights, memory=MEMORY).prefill(IDS[:64])
    assert prompt is not None and wanted is not None
    rows, tokens = [0] * 40, list(range(40))
    logits = prompt.branch(40, 2).step(rows, tokens)
    torch.testing.assert_close(logits, wanted.branch(40, 2).step(rows, tokens), **NEAR)
    assert recorder.given == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_as_a_graph_it_says_the_same(family: str, dtype: str) -> None:
    weights = weights_of(make(family).to("cuda", getattr(torch, dtype)))
    lean = LeanForward(weights, memory=MEMORY)
    recorded = RecordedForward(weights, memory=MEMORY, recorder=record)
    near = NEAR if dtype == "float32" else {"rtol": 2e-2, "atol": 2e-2}
    for ids in IDS[:100], IDS[:105], IDS[:50], [*IDS[:100], 5, 6], IDS[40:], [*IDS[40:], 1, 2, 3]:
        same(lean, recorded, ids, **near)
