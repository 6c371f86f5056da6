"""Finished beams to candidates: one for each text, best first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from p2assist.experience import Candidate


@dataclass(frozen=True, slots=True)
class Beam:
    """One result of a search.

    text: what it wrote, up to its stop, without trailing blanks. ids: all its tokens, those after
    the text (its stop, blank lines, the dedent that gave the block's end away) and those before it
    (the beginning of a word that stands before the cursor, written once more) included. logprob:
    the sum over ids, in nats. held: the first tokens that hold all up to text's end; the last may
    hold more (a newline, say). finished: it met a stop, not the limit of tokens.
    """

    text: str
    ids: tuple[int, ...]
    logprob: float
    held: int
    finished: bool = True


def clean(text: str) -> str:
    """The form in which texts are compared: newlines as '\\n', no trailing blanks."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip()


def merge(
    beams: Iterable[Beam], *, limit: int, model: str = "", adapter: str = ""
) -> list[Candidate]:
    """At most limit candidates of different texts, best first by logprob.

    Of the beams of one text the likeliest gives logprob, num_tokens and token_ids, and all of
    them together mass. The sum ranks, as it does in the search: ranked by the mean, 0.098 of 630
    lines of toolz and boltons were met by the first candidate, by the sum 0.108.
    """
    groups: dict[str, list[Beam]] = {}
    for beam in beams:
        groups.setdefault(beam.text, []).append(beam)
    best = [(max(group, key=lambda beam: beam.logprob), group) for group in groups.values()]
    best.sort(key=lambda pair: (-pair[0].logprob, pair[0].text))
    return [
        Candidate(
            text=beam.text,
            logprob=beam.logprob,
            num_tokens=len(beam.ids),
            rank=rank,
            token_ids=beam.ids[: beam.held],
            mass=mass(other.logprob for other in group),
            model=model,
            adapter=adapter,
        )
        for rank, (beam, group) in enumerate(best[:limit])
    ]


def mass(logprobs: Iterable[float]) -> float:
    """Log of the sum of the probabilities, in nats; never below the largest of them."""
    values = list(logprobs)
    top = max(values)
    if top == -math.inf:
        return top
    return top + math.log(math.fsum(math.exp(value - top) for value in values))
