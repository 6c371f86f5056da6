"""Beam search against transformers' own, and against every text there is."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from p2assist.errors import CancelledError
from p2assist.experience import SpanKind, Task
from p2assist.generation.merge import Beam
from p2assist.generation.request import Control
from p2assist.generation.stop import StopRule
from p2assist.generation.vocabulary import Vocabulary

pytestmark = pytest.mark.model
torch = pytest.importorskip("torch")

if TYPE_CHECKING:
    from p2assist.generation.beam import BeamSearch
    from p2assist.generation.local import LocalGenerator

MakeTask = Callable[..., Task]
RULE = StopRule(SpanKind.LINE, head="x")  # where an empty text is an answer too
EXACT = {"abs": 2e-4}
TEXTS = ["def f(x):\n    return x", "import os\n", "for a in"]


@pytest.fixture(scope="module")
def network(tiny: Path) -> Any:
    """Transformers' own, which the search does not touch."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).eval()


@pytest.fixture(scope="module", params=["lean", "general"])
def search(request: pytest.FixtureRequest, generator: LocalGenerator, network: Any) -> BeamSearch:
    """Every test of this module is of both forwards."""
    from p2assist.generation.general import GeneralForward
    from p2assist.generation.lean import LeanForward

    if request.param == "lean":
        assert isinstance(generator._search.forward, LeanForward)
        return generator._search
    general = GeneralForward(network, memory=1 << 20)
    return type(generator._search)(general, generator._search.vocabulary, generator._search.ends)


def whole_forward(model: Any, prompt: Sequence[int], ids: Sequence[int]) -> float:
    """The sum of log-probabilities of ids after the prompt, by one plain forward pass."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[*prompt, *ids]])).logits[0]
    table = torch.log_softmax(logits[len(prompt) - 1 : -1].double(), -1)
    return float(table[range(len(ids)), list(ids)].sum())


def by_generate(
    network: Any,
    silent: Sequence[int],
    prompt: list[int],
    *,
    beams: int,
    most: int,
    stops: list[int],
) -> list[tuple[float, tuple[int, ...]]]:
    """(sum of log-probabilities, ids) of transformers' beams, best first."""
    from transformers import GenerationConfig

    found = network.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        generation_config=GenerationConfig(
            num_beams=beams,
            num_return_sequences=beams,
            max_new_tokens=most,
            do_sample=False,
            length_penalty=0.0,  # sequences_scores are then the sums
            early_stopping="never",
            eos_token_id=stops or None,
            pad_token_id=0,
            suppress_tokens=sorted(set(silent) - set(stops)),
            return_dict_in_generate=True,
            output_scores=True,
        ),
    )
    rows = []
    for score, sequence in zip(found.sequences_scores, found.sequences, strict=True):
        ids = sequence[len(prompt) :].tolist()
        stop = next((at for at, token in enumerate(ids) if token in stops), len(ids))
        rows.append((float(score), tuple(ids[: stop + 1])))
    return rows


@pytest.mark.parametrize("beams", [2, 8])
@pytest.mark.parametrize("text", TEXTS)
def test_beams_without_a_stop_are_those_of_transformers_token_for_token(
    search: BeamSearch, network: Any, vocabulary: Vocabulary, beams: int, text: str
) -> None:
    prompt = vocabulary.encode(text)
    endless = type(search)(search.forward, vocabulary, [])
    ours = endless.run(prompt, StopRule(SpanKind.BLOCK), beams=beams, max_tokens=7)
    theirs = by_generate(network, vocabulary.silent, prompt, beams=beams, most=7, stops=[])
    assert [beam.ids for beam in ours] == [ids for _, ids in theirs]
    assert [b.logprob for b in ours] == pytest.approx([score for score, _ in theirs], **EXACT)


@pytest.mark.parametrize("beams", [2, 8])
@pytest.mark.parametrize("text", TEXTS)
def test_the_best_line_is_at_least_that_of_transformers(
    search: BeamSearch, network: Any, vocabulary: Vocabulary, beams: int, text: str
) -> None:
    prompt = vocabulary.encode(text)
    stops = sorted({*search.ends, *vocabulary.newlines})
    ours = {b.ids: b.logprob for b in search.run(prompt, RULE, beams=beams, max_tokens=16)}
    score, ids = by_generate(network, vocabulary.silent, prompt, beams=beams, most=16, stops=stops)[
        0
    ]
    assert ids[-1] in stops, "a prompt at which nothing finishes shows nothing"
    # Theirs forgets what finishes outside of the first `beams` places: ours may be better.
    assert max(ours.values()) >= score - EXACT["abs"]
    assert ours[ids] == pytest.approx(score, **EXACT)


def test_every_sum_is_that_of_a_plain_forward_pass(
    search: BeamSearch, network: Any, vocabulary: Vocabulary
) -> None:
    prompt = vocabulary.encode("class A:\n    def f(self):\n        return ")
    found = search.run(prompt, RULE, beams=6, max_tokens=20)
    assert len({beam.text for beam in found}) >= 6
    for beam in found:
        assert beam.logprob == pytest.approx(whole_forward(network, prompt, beam.ids), **EXACT)
    assert search.score(prompt, [beam.ids for beam in found]) == pytest.approx(
        [beam.logprob for beam in found], **EXACT
    )


@pytest.fixture(scope="module")
def toy(tiny: Path) -> BeamSearch:
    """A search over five tokens: three that spell, a newline and the end token."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import LlamaConfig, LlamaForCausalLM

    from p2assist.generation.beam import BeamSearch
    from p2assist.generation.general import GeneralForward

    tokens = {"<|endoftext|>": 0, "Ċ": 1, "a": 2, "b": 3, "ab": 4}
    tokenizer = Tokenizer(models.BPE(tokens, [("a", "b")]))
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.decoder = decoders.ByteLevel()
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=5,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        initializer_range=0.4,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    forward = GeneralForward(LlamaForCausalLM(config).eval(), memory=1 << 20)
    return BeamSearch(forward, Vocabulary(tokenizer), [0])


def test_a_wide_beam_is_every_text_there_is(toy: BeamSearch) -> None:
    most, prompt = 4, [2, 3]
    every: dict[tuple[int, ...], float] = {}
    for size in range(most):
        for body in itertools.product((2, 3, 4), repeat=size):
            for stop in (0, 1):
                ids = (*body, stop)
                every[ids] = whole_forward(toy.forward.network, prompt, ids)
    found = toy.run(prompt, RULE, beams=3**most, max_tokens=most)
    assert {beam.ids for beam in found} == set(every)
    for beam in found:
        assert beam.logprob == pytest.approx(every[beam.ids], **EXACT)
    # The probabilities of all that can finish within four tokens, once more and as a sum.
    assert math.fsum(math.exp(b.logprob) for b in found) == pytest.approx(
        math.fsum(map(math.exp, every.values())), rel=1e-3
    )


@pytest.mark.parametrize("lead", ["a", "ab", "aba"])
def test_a_lead_may_take_several_tokens_and_is_spelled_in_every_way(
    toy: BeamSearch, lead: str
) -> None:
    most, prompt = 4, [2, 3]
    every: dict[tuple[int, ...], float] = {}
    for size in range(1, most):
        for body in itertools.product((2, 3, 4), repeat=size):
            if toy.vocabulary.text(body).startswith(lead):
                every |= {
                    (*body, stop): whole_forward(toy.forward.network, prompt, (*body, stop))
                    for stop in (0, 1)
                }
    found = toy.run(prompt, RULE, beams=3**most, max_tokens=most, lead=lead)
    assert {beam.ids for beam in found} == set(every) and len(every) > 2
    for beam in found:
        assert beam.text == toy.vocabulary.text(beam.ids[:-1]).removeprefix(lead)
        assert beam.logprob == pytest.approx(every[beam.ids], **EXACT)


def test_stopping_early_loses_none_of_the_best(toy: BeamSearch) -> None:
    prompt, beams = [3, 2, 4], 4
    found = toy.run(prompt, RULE, beams=beams, max_tokens=12)
    later = toy.run(prompt, RULE, beams=beams, max_tokens=13)
    assert max(len(beam.ids) for beam in found) < 12, "it did not stop early"

    def best(beams_found: list[Beam]) -> list[float]:
        texts: dict[str, float] = {}
        for beam in beams_found:
            texts[beam.text] = max(beam.logprob, texts.get(beam.text, -math.inf))
        return sorted(texts.values(), reverse=True)[:beams]

    assert best(found) == pytest.approx(best(later))


def test_what_is_unfinished_is_kept_only_where_nothing_has_finished(toy: BeamSearch) -> None:
    block = StopRule(SpanKind.BLOCK)
    found = toy.run([2], block, beams=4, max_tokens=3)
    assert found and all(beam.finished and beam.ids[-1] == 0 for beam in found)
    endless = type(toy)(toy.forward, toy.vocabulary, [])
    cut = endless.run([2], RULE, beams=1, max_tokens=1)
    assert [beam.finished for beam in cut] in ([True], [False])
    cut = endless.run([2], block, beams=4, max_tokens=3)
    assert cut and not any(beam.finished for beam in cut)
    assert all(len(beam.ids) == 3 for beam in cut)


def test_a_token_that_holds_a_newline_stops_a_line_and_counts(
    search: BeamSearch, vocabulary: Vocabulary
) -> None:
    prompt = vocabulary.encode("x = ")
    found = search.run(prompt, RULE, beams=64, max_tokens=1)
    joined = [b for b in found if b.text and vocabulary.piece(b.ids[-1]).endswith(b"\n")]
    assert joined, "no token of the vocabulary spells more than the newline"
    for beam in found:
        assert "\n" not in beam.text
        assert beam.held == (1 if beam.text else 0)
        assert vocabulary.text(beam.ids[: beam.held]).startswith(beam.text)


def test_a_lead_is_written_and_counted_but_is_no_part_of_the_text(
    search: BeamSearch, network: Any, vocabulary: Vocabulary
) -> None:
    prompt = vocabulary.encode("x =")
    found = search.run(prompt, RULE, beams=8, max_tokens=6, lead=" ")
    assert any(beam.text for beam in found)
    for beam in found:
        whole = vocabulary.text(beam.ids)
        assert whole[0] == " " and beam.text == whole[1:].splitlines()[0].rstrip()
        assert len(vocabulary.bytes_of(beam.ids[: beam.held])) >= len(" " + beam.text)
        # Its probability is the model's own: nothing of the other tokens' is given to it.
        assert beam.logprob == pytest.approx(whole_forward(network, prompt, beam.ids), **EXACT)


def test_nothing_special_and_nothing_broken_is_in_a_text(
    search: BeamSearch, vocabulary: Vocabulary
) -> None:
    found = search.run(vocabulary.encode("#"), RULE, beams=32, max_tokens=6)
    inner = {token for beam in found for token in beam.ids[:-1]}
    assert not inner & {*vocabulary.silent, *vocabulary.newlines}
    assert all("�" not in beam.text for beam in found)


def test_a_block_ends_where_its_rule_says(search: BeamSearch, vocabulary: Vocabulary) -> None:
    rule = StopRule(SpanKind.BLOCK, indent=4)
    endless = type(search)(search.forward, vocabulary, [])  # only a dedent ends its blocks
    found = endless.run(vocabulary.encode("def f():\n    "), rule, beams=8, max_tokens=24)
    assert all(beam.finished for beam in found)
    assert any(beam.text for beam in found)
    for beam in found:
        whole = vocabulary.text(beam.ids)
        end = rule.end(whole)
        assert end is not None and rule.end(vocabulary.text(beam.ids[:-1])) is None
        assert beam.text == whole[:end].replace("\r\n", "\n").replace("\r", "\n").rstrip()


def test_scores_of_nothing_are_nothing(search: BeamSearch) -> None:
    assert search.score([1, 2], []) == []


def test_answers_of_different_lengths_do_not_touch_each_other(
    search: BeamSearch, network: Any
) -> None:
    prompt, answers = [9, 8, 7], [[5], [5, 6, 7, 8], [20, 21]]
    apart = [search.score(prompt, [answer])[0] for answer in answers]
    assert search.score(prompt, answers) == pytest.approx(apart, **EXACT)
    assert apart == pytest.approx(
        [whole_forward(network, prompt, answer) for answer in answers], **EXACT
    )


class Watched:
    """A forward that tells how many steps were made, and does something after some of them."""

    def __init__(self, inner: Any, after: int, do: Callable[[], None]) -> None:
        self.inner, self.after, self.do = inner, after, do
        self.steps = 0
        self.device = inner.device

    def prefill(self, ids: Sequence[int], control: Any) -> Any:
        self.prefilled = self.inner.prefill(ids, control)
        if self.prefilled is None:
            return None
        self.logits = self.prefilled.logits
        return self

    def branch(self, rows: int, room: int) -> Any:
        self.branches = self.prefilled.branch(rows, room)
        return self

    def step(self, parents: Sequence[int], tokens: Sequence[int]) -> Any:
        self.steps += 1
        if self.steps == self.after:
            self.do()
        return self.branches.step(parents, tokens)


def test_who_cancels_waits_for_one_step(search: BeamSearch, vocabulary: Vocabulary) -> None:
    cancelled = threading.Event()

    def from_another_thread() -> None:
        thread = threading.Thread(target=cancelled.set)
        thread.start()
        thread.join()

    watched = Watched(search.forward, 3, from_another_thread)
    endless = type(search)(watched, vocabulary, [])
    with pytest.raises(CancelledError):
        endless.run(
            vocabulary.encode("x = 1\n"),
            StopRule(SpanKind.BLOCK),
            beams=4,
            max_tokens=20,
            control=Control(cancelled=cancelled),
        )
    assert watched.steps == 3


def test_at_the_deadline_the_best_so_far_is_what_is_found(
    search: BeamSearch, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("p2assist.generation.request.time.monotonic", lambda: now[0])
    watched = Watched(search.forward, 4, lambda: now.__setitem__(0, 5.0))
    endless = type(search)(watched, vocabulary, [])
    rule, prompt = StopRule(SpanKind.BLOCK), vocabulary.encode("x = 1\n")
    control = Control(deadline=5.0)
    found = endless.run(prompt, rule, beams=4, max_tokens=20, control=control)
    assert watched.steps == 4 and found
    for beam in found:
        assert len(beam.ids) == 5 and not beam.finished
        assert beam.text == rule.whole(vocabulary.text(beam.ids)).rstrip()
    assert endless.run(prompt, rule, beams=4, max_tokens=20, control=control) == []
