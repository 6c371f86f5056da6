"""A server's choices as beams: where each ends, and what its log-probabilities count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from p2assist.errors import ModelError
from p2assist.generation.merge import Beam, clean
from p2assist.generation.stop import StopRule


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice. tokens, logprobs (nats): of each token that the server tells of, in order; the
    stop token is among them with vLLM and llama.cpp. cut: it met the limit of tokens. top: the
    likeliest first tokens."""

    text: str
    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]
    cut: bool
    top: Mapping[str, float]

    @classmethod
    def from_choice(cls, choice: Mapping[str, Any]) -> Answer:
        """Raises ModelError where the log-probabilities are missing or do not fit the tokens."""
        told = choice.get("logprobs") or {}
        try:
            tokens, values = tuple(told["tokens"]), tuple(told["token_logprobs"])
            logprobs = tuple(float(value or 0.0) for value in values)
            top = (told.get("top_logprobs") or [{}])[0] or {}
            text = str(choice["text"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ModelError(_NONE) from error
        if len(tokens) != len(logprobs):
            raise ModelError(_NONE)
        return cls(text, tokens, logprobs, choice.get("finish_reason") == "length", dict(top))

    def behind(self, token: str, logprob: float) -> Answer:
        """The answer that begins with a token which the prompt ended with."""
        return Answer(
            token + self.text,
            (token, *self.tokens),
            (logprob, *self.logprobs),
            self.cut,
            self.top,
        )


_NONE = (
    "the server tells no log-probabilities, and without them a candidate has no possibility: start "
    "llama-cpp-python's with --logits_all true; a server that has none cannot be used"
)


def beam(answer: Answer, rule: StopRule, lead: str) -> Beam | None:
    """The result; None where it does not begin with lead, or is empty and may not be.

    logprob sums what the server tells of the tokens up to the one that ends the text, that one
    included: the token that holds a line's newline, or a token of the line that gives a block's
    end away. Where a server leaves the stop token out, so does the sum.
    """
    if not answer.text.startswith(lead) and (answer.text or not rule.may_be_empty):
        return None
    text = answer.text.removeprefix(lead)
    end = rule.end(text)
    finished = end is not None or not answer.cut
    kept = text[:end] if end is not None else text if finished else rule.whole(text)
    kept = kept.rstrip()
    if not kept and not rule.may_be_empty:
        return None
    count = _counted(answer.tokens, rule, lead)
    # The ids are the server's own affair: as many as there are tokens, and none is shown.
    return Beam(clean(kept), (0,) * count, sum(answer.logprobs[:count]), 0, finished)


def _counted(tokens: Sequence[str], rule: StopRule, lead: str) -> int:
    text = ""
    for count, token in enumerate(tokens, 1):
        text += token
        if rule.end(text.removeprefix(lead)) is not None:
            return count
    return len(tokens)
