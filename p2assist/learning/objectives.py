"""What a drawn experience teaches: the weight of its code, and the loss over a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from p2assist.errors import LearningError
from p2assist.experience import Experience, Source

if TYPE_CHECKING:
    from torch import Tensor


class Objective(Protocol):
    """A way to learn from drawn experiences."""

    @property
    def name(self) -> str: ...

    def weight(self, experience: Experience, importance: float) -> float:
        """How much the experience counts, >= 0; what gets 0 is not trained on.

        importance: PER's importance weight of the draw, 0..1 (1 where beta is 0).
        """
        ...

    def loss(self, logprobs: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
        """The scalar to minimise, in nats a target token.

        logprobs: (batch, tokens) of the target tokens, in nats. mask: (batch, tokens), True on
        target tokens. weights: (batch,), of mean 1 over the whole training set.
        """
        ...


@dataclass(frozen=True, slots=True)
class WeightedCrossEntropy:
    """Cross-entropy of the target tokens, each experience's multiplied by its weight."""

    name: str
    worth: Callable[[Experience], float]

    def weight(self, experience: Experience, importance: float) -> float:
        return importance * self.worth(experience)

    def loss(self, logprobs: Tensor, mask: Tensor, weights: Tensor) -> Tensor:
        # Divided by the tokens, not by the weights: a batch of little worth moves little.
        return -(logprobs * mask * weights[:, None]).sum() / mask.sum().clamp(min=1)


def _always(experience: Experience) -> float:
    return 1.0


def _pass_rate(experience: Experience) -> float:
    if experience.report is None:  # a reference passes by definition; the rest is untested
        return float(experience.source is Source.REFERENCE)
    return experience.report.pass_rate or 0.0


def _passes_all(experience: Experience) -> float:
    if experience.report is None:
        return _pass_rate(experience)
    return float(experience.report.passes_all)


OBJECTIVES: Mapping[str, Objective] = MappingProxyType(
    {
        objective.name: objective
        for objective in (
            # The paper, as far as it says: whatever is drawn is a target, failures included.
            WeightedCrossEntropy("cross-entropy", _always),
            # A failure of all tests counts nothing, a partial pass its share.
            WeightedCrossEntropy("weighted", _pass_rate),
            # Rejection sampling: only what passes every covering test, references included.
            WeightedCrossEntropy("pass-only", _passes_all),
        )
    }
)


def objective(name: str) -> Objective:
    """The objective of that name. Raises LearningError on an unknown one."""
    if name not in OBJECTIVES:
        raise LearningError(
            f"no objective {name!r}: set learning.objective to one of {', '.join(OBJECTIVES)}"
        )
    return OBJECTIVES[name]
