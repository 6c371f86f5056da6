"""Which experiences a batch is drawn from: P2Value turned into chances (Eq 7 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from p2assist.errors import ConfigError
from p2assist.p2value import PRESETS, P2Settings, importance_weights, preset, priorities
from p2assist.p2value import probabilities as normalised
from p2assist.replay.columns import Columns

SAMPLERS = {"uniform": "uniform", "power": "default", "rank": "rank", "paper": "paper"}


@dataclass(frozen=True, slots=True)
class Draw:
    """A batch of m, with replacement. indices: (m,) into the columns. ids: (m,) the store's rows.
    probabilities: (m,) the chance each had at one draw. weights: (m,) importance weights, 0..1.
    """

    indices: NDArray[np.int64]
    ids: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    weights: NDArray[np.float64]


class Sampler(Protocol):
    """Anything that draws from columns."""

    def probabilities(self, columns: Columns) -> NDArray[np.float64]:
        """(n,) the chance of each row at one draw; 0 for the untested. Sums to 1."""
        ...

    def sample(self, columns: Columns, size: int, rng: np.random.Generator) -> Draw:
        """size rows with replacement. Raises ValueError where nothing is tested."""
        ...


@dataclass(frozen=True, slots=True)
class P2Sampler:
    """Draws by settings.priority of P2Value. beta: exponent of the importance weights, 0: all 1.

    Untested rows are never drawn. Cost: one pass over the columns a call, a sort for 'rank'.
    """

    settings: P2Settings = field(default_factory=P2Settings)
    beta: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.beta <= 1:
            raise ConfigError(f"p2value: beta = {self.beta!r} is not between 0 and 1")

    def probabilities(self, columns: Columns) -> NDArray[np.float64]:
        tested = np.flatnonzero(columns.tested)
        found = np.zeros(len(columns))
        found[tested] = self._chances(columns.take(tested))
        return found

    def sample(self, columns: Columns, size: int, rng: np.random.Generator) -> Draw:
        tested = np.flatnonzero(columns.tested)
        chances = self._chances(columns.take(tested))
        drawn = rng.choice(tested.size, size, p=chances)
        picked = chances[drawn]
        return Draw(
            indices=tested[drawn],
            ids=columns.id[tested[drawn]],
            probabilities=picked,
            weights=importance_weights(picked, tested.size, self.beta),
        )

    def _chances(self, columns: Columns) -> NDArray[np.float64]:
        return normalised(priorities(columns.p2values(self.settings), self.settings))


def sampler(name: str, *, beta: float = 0.0, **changes: object) -> P2Sampler:
    """The sampler of that name (one of SAMPLERS, or a preset of p2value), some settings changed.

    Raises ConfigError on an unknown name.
    """
    if name not in SAMPLERS and name not in PRESETS:
        raise ConfigError(f"no sampler {name!r}; there are {', '.join(SAMPLERS)}")
    return P2Sampler(preset(SAMPLERS.get(name, name), **changes), beta)
