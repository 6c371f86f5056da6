"""Beam search over any causal language model of transformers.

What it finds are the texts of the highest sum of log-probabilities that a beam of this width
meets, the sums taken in float32 over the whole vocabulary and never divided by a length while
searching (see merge).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from p2assist.experience import SpanKind
from p2assist.generation.cache import fork, select
from p2assist.generation.merge import Beam, clean
from p2assist.generation.request import FREE, Control
from p2assist.generation.stop import StopRule
from p2assist.generation.vocabulary import Vocabulary

_MOST_LOGITS = 1 << 26  # entries of one batch of logits; more would not fit beside a large model


@dataclass(frozen=True, slots=True)
class _Live:
    """A beam. row: its parent's place in the last batch. lead: what its next token begins with
    that is not to be spelled."""

    row: int
    ids: tuple[int, ...]
    spelled: bytes
    score: float
    lead: bytes = b""


class BeamSearch:
    """Searches of one model. ends: ids of the tokens that end a text.

    Tokens that spell nothing and end nothing are never chosen; their probability is not given to
    others, so that every sum stays the model's own.
    """

    def __init__(self, model: Any, vocabulary: Vocabulary, ends: Iterable[int]) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.ends = frozenset(ends)
        self._line = self._columns({*self.ends, *vocabulary.newlines})
        self._other = self._columns(self.ends)

    @torch.inference_mode()
    def run(
        self,
        prompt: Sequence[int],
        rule: StopRule,
        *,
        beams: int,
        max_tokens: int,
        lead: str = "",
        control: Control = FREE,
    ) -> list[Beam]:
        """The finished beams in the order they finished; several may spell one text.

        lead: what the first token of every beam has to begin with; it is no part of the texts.
        It stops when `beams` different texts are finished and no live beam has a higher sum than
        the last of them: sums only fall, so none of those can be beaten any more. At max_tokens
        what is unfinished is dropped, unless nothing has finished.
        """
        stops, bias = self._line if rule.kind is SpanKind.LINE else self._other
        cache, logits = self._prefill(prompt)
        cache = fork(cache, beams, max_tokens)
        live = [_Live(0, (), b"", 0.0, lead.encode())]
        pool = _Pool(beams)
        logits = logits[None]
        for step in range(max_tokens):
            control.check()
            scores = torch.tensor([beam.score for beam in live], device=logits.device)
            totals = scores[:, None] + torch.log_softmax(logits.float(), -1)
            if step == 0 and lead:
                totals = totals + self._leading(lead)
            for score, row, token in _best(totals[:, stops], beams):
                child = self._grow(live[row], row, int(stops[token]), score)
                pool.add(self._beam(child, rule))
            live = self._extend(live, totals + bias, rule, beams, pool)
            if not live or pool.settled(live[0].score) or step == max_tokens - 1:
                break
            if control.expired:
                break
            select(cache, [beam.row for beam in live])
            last = torch.tensor([[beam.ids[-1]] for beam in live], device=logits.device)
            logits = self.model(input_ids=last, past_key_values=cache, use_cache=True).logits[:, -1]
        if not pool.found:
            return [beam for beam in (self._cut(beam, rule) for beam in live) if beam]
        return pool.found

    @torch.inference_mode()
    def score(self, prompt: Sequence[int], answers: Sequence[Sequence[int]]) -> list[float]:
        """The sum of log-probabilities, in nats, of each answer's tokens after the prompt."""
        sums: list[float] = []
        if not answers:
            return sums
        prefilled, first = self._prefill(prompt)
        longest = max(map(len, answers))
        size = max(1, _MOST_LOGITS // (longest * len(first)))
        for at in range(0, len(answers), size):
            sums += self._score(copy.deepcopy(prefilled), first, answers[at : at + size])
        return sums

    def _score(
        self, cache: DynamicCache, first: torch.Tensor, answers: Sequence[Sequence[int]]
    ) -> list[float]:
        rows, longest = len(answers), max(map(len, answers))
        ids = torch.zeros(rows, longest, dtype=torch.long, device=first.device)
        counted = torch.zeros(rows, longest, dtype=torch.bool, device=first.device)
        for row, answer in enumerate(answers):
            ids[row, : len(answer)] = torch.tensor(list(answer))
            counted[row, : len(answer)] = True
        cache.batch_repeat_interleave(rows)
        # What pads a row comes after all that counts in it, and attention looks back: no mask.
        out = self.model(input_ids=ids, past_key_values=cache, use_cache=True)
        logits = torch.cat([first.expand(rows, 1, -1), out.logits[:, :-1]], 1)
        chosen = torch.log_softmax(logits.float(), -1).gather(2, ids[:, :, None]).squeeze(2)
        return [float(value) for value in chosen.where(counted, 0.0).sum(1)]

    def _columns(self, stops: Iterable[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """(ids that end a text for certain, what to add to scores so that only others remain)."""
        device = self.model.device
        stopping = torch.tensor(sorted(stops), dtype=torch.long, device=device)
        bias = torch.zeros(self.vocabulary.size, device=device)
        bias[stopping] = -torch.inf
        bias[torch.tensor(self.vocabulary.silent, dtype=torch.long, device=device)] = -torch.inf
        return stopping, bias

    def _leading(self, lead: str) -> torch.Tensor:
        """What to add to the first scores so that only tokens that begin with lead are chosen."""
        begins = self.vocabulary.beginning(lead)
        bias = torch.full((self.vocabulary.size,), -torch.inf, device=self.model.device)
        bias[torch.tensor(begins, dtype=torch.long, device=self.model.device)] = 0.0
        return bias

    def _prefill(self, prompt: Sequence[int]) -> tuple[DynamicCache, torch.Tensor]:
        """The cache of the prompt, and the logits (vocabulary,) of what follows it."""
        cache = DynamicCache(config=self.model.config)
        ids = torch.tensor([list(prompt)], device=self.model.device)
        out = self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return out.past_key_values, out.logits[0, -1]

    def _extend(
        self, live: list[_Live], totals: torch.Tensor, rule: StopRule, beams: int, pool: _Pool
    ) -> list[_Live]:
        """The best unfinished continuations, best first; those the rule ends go to the pool."""
        going: list[_Live] = []
        for score, row, token in _best(totals, 2 * beams):
            child = self._grow(live[row], row, token, score)
            end = None
            if rule.kind is not SpanKind.LINE and b"\n" in child.spelled:
                end = rule.end(child.spelled.decode("utf-8", "ignore"))
            if end is not None:
                pool.add(self._beam(child, rule))
            elif len(going) < beams:
                going.append(child)
        return going

    def _grow(self, parent: _Live, row: int, token: int, score: float) -> _Live:
        piece = self.vocabulary.piece(token).removeprefix(parent.lead)
        return _Live(row, (*parent.ids, token), parent.spelled + piece, score)

    def _cut(self, beam: _Live, rule: StopRule) -> Beam | None:
        whole = rule.whole(beam.spelled.decode("utf-8", "ignore"))
        return self._beam(beam, rule, text=whole, finished=False)

    def _beam(
        self, beam: _Live, rule: StopRule, *, text: str | None = None, finished: bool = True
    ) -> Beam | None:
        """The result; None where its text ends within a character, or is empty and may not be."""
        if text is None:
            try:
                text = beam.spelled.decode("utf-8")
            except UnicodeDecodeError:
                return None
        end = rule.end(text)
        kept = text[:end].rstrip() if end is not None else text.rstrip()
        if not kept and not rule.may_be_empty:
            return None
        lead = len(self.vocabulary.bytes_of(beam.ids)) - len(beam.spelled)
        held = self.vocabulary.holding(beam.ids, lead + len(kept.encode("utf-8")))
        return Beam(clean(kept), beam.ids, beam.score, held, finished)


class _Pool:
    """Finished beams, and when there are enough."""

    def __init__(self, wanted: int) -> None:
        self.found: list[Beam] = []
        self._wanted = wanted
        self._best: dict[str, float] = {}

    def add(self, beam: Beam | None) -> None:
        if beam is not None and beam.logprob > -torch.inf:
            self.found.append(beam)
            known = self._best.get(beam.text, -torch.inf)
            self._best[beam.text] = max(known, beam.logprob)

    def settled(self, live: float) -> bool:
        """Whether no live beam, the best of which has this sum, can come among the wanted."""
        if len(self._best) < self._wanted:
            return False
        return sorted(self._best.values(), reverse=True)[self._wanted - 1] >= live


def _best(totals: torch.Tensor, count: int) -> list[tuple[float, int, int]]:
    """(score, row, column) of the highest entries of (rows, columns), best first, none of -inf."""
    width = totals.shape[1]
    flat = totals.flatten()
    values, places = flat.topk(min(count, flat.numel()))
    rows = zip(values.tolist(), places.tolist(), strict=True)
    return [(v, place // width, place % width) for v, place in rows if v > float("-inf")]
