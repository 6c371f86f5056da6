"""Beam search over a forward pass.

What it finds are the texts of the highest sum of log-probabilities that a beam of this width
meets, the sums taken in float32 over the whole vocabulary and never divided by a length while
searching (see merge).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from p2assist.experience import SpanKind
from p2assist.generation.forward import Forward
from p2assist.generation.merge import Beam, clean
from p2assist.generation.request import FREE, Control
from p2assist.generation.stop import StopRule
from p2assist.generation.vocabulary import Vocabulary

Found = list[tuple[float, int, int]]  # (sum, row, token), best first


@dataclass(frozen=True, slots=True)
class _Live:
    """A beam. row: its parent's place in the last batch. lead: what its next tokens have to spell
    before anything counts as text."""

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

    def __init__(self, forward: Forward, vocabulary: Vocabulary, ends: Iterable[int]) -> None:
        self.forward = forward
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

        lead: what every beam has to begin with, in however many tokens; it is no part of the
        texts. It stops when `beams` different texts are finished and no live beam has a higher sum
        than the last of them: sums only fall, so none of those can be beaten any more. At
        max_tokens, or at the control's deadline, what is unfinished is dropped, unless nothing
        has finished. Raises CancelledError as control says.
        """
        columns = self._line if rule.kind is SpanKind.LINE else self._other
        prefilled = self.forward.prefill(prompt, control)
        if prefilled is None:
            return []
        branches = prefilled.branch(beams, max_tokens)
        live = [_Live(0, (), b"", 0.0, lead.encode())]
        pool = _Pool(beams)
        logits = prefilled.logits[None]
        for step in range(max_tokens):
            control.check()
            ended, going = self._ranked(logits, live, columns, beams)
            for score, row, token in ended:
                pool.add(self._beam(self._grow(live[row], row, token, score), rule))
            live = self._extend(live, going, rule, beams, pool)
            if not live or pool.settled(live[0].score) or step == max_tokens - 1:
                break
            if control.expired:
                break
            logits = branches.step([b.row for b in live], [b.ids[-1] for b in live])
        if not pool.found:
            return [beam for beam in (self._cut(beam, rule) for beam in live) if beam]
        return pool.found

    @torch.inference_mode()
    def score(self, prompt: Sequence[int], answers: Sequence[Sequence[int]]) -> list[float]:
        """The sum of log-probabilities, in nats, of each answer's tokens after the prompt."""
        prefilled = self.forward.prefill(prompt) if answers else None
        return prefilled.score(answers) if prefilled else []

    def _columns(self, stops: Iterable[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """(ids that end a text for certain, what to add to scores so that only others remain)."""
        device = self.forward.device
        stopping = torch.tensor(sorted(stops), dtype=torch.long, device=device)
        bias = torch.zeros(self.vocabulary.size, device=device)
        bias[stopping] = -torch.inf
        bias[torch.tensor(self.vocabulary.silent, dtype=torch.long, device=device)] = -torch.inf
        return stopping, bias

    def _ranked(
        self,
        logits: torch.Tensor,
        live: list[_Live],
        columns: tuple[torch.Tensor, torch.Tensor],
        beams: int,
    ) -> tuple[Found, Found]:
        """The best continuations that end a text, and the best that do not."""
        stops, bias = columns
        scores = torch.tensor([beam.score for beam in live], device=logits.device)[:, None]
        logprobs = logits.log_softmax(-1)
        for row, beam in enumerate(live):
            if beam.lead:
                self._confine(logprobs[row], beam.lead)
        ended = _best(logprobs[:, stops] + scores, beams, stops.expand(len(live), -1))
        # Of each row first: no row has more than all of the best, and rows are small to sort.
        best = logprobs.add_(bias).topk(min(2 * beams, logits.shape[1]))
        going = _best(best.values + scores, 2 * beams, best.indices)
        # As one: a GPU is waited for once.
        found = [(s, int(r), int(t)) for s, r, t in torch.cat([ended, going]).tolist()]
        return _possible(found[: len(ended)]), _possible(found[len(ended) :])

    def _confine(self, row: torch.Tensor, lead: bytes) -> None:
        """Leave in the row only tokens that begin with lead or that lead begins with."""
        allowed = torch.tensor(self.vocabulary.spelling(lead), dtype=torch.long, device=row.device)
        kept = row[allowed]
        row.fill_(-torch.inf)
        row[allowed] = kept

    def _extend(
        self, live: list[_Live], found: Found, rule: StopRule, beams: int, pool: _Pool
    ) -> list[_Live]:
        """The best unfinished continuations, best first; those the rule ends go to the pool."""
        going: list[_Live] = []
        for score, row, token in found:
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
        piece, lead = self.vocabulary.piece(token), parent.lead
        spelled = parent.spelled + piece[len(lead) :]
        return _Live(row, (*parent.ids, token), spelled, score, lead[len(piece) :])

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


def _best(totals: torch.Tensor, count: int, tokens: torch.Tensor) -> torch.Tensor:
    """The highest entries of (rows, columns) as (entries, 3): sum, row, token; best first.

    tokens: (rows, columns), the tokens that the entries are of.
    """
    values, places = totals.flatten().topk(min(count, totals.numel()))
    rows, named = places // totals.shape[1], tokens.flatten()[places]
    # As float32, which holds every token's number exactly: no vocabulary has 16 million.
    return torch.stack([values, rows.to(values), named.to(values)], 1)


def _possible(found: Found) -> Found:
    return [entry for entry in found if entry[0] > float("-inf")]
