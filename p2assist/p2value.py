"""Possibility, P2Value, priorities and sampling probabilities: pure, vectorised functions.

Every function takes floats or numpy arrays of one shape (n,) and returns float64 of that shape.
Sources: equations of the BTP paper (arXiv 2410.12236) and of Prioritized Experience Replay
(Schaul et al. 2015, arXiv 1511.05952). The paper calls both the weight and the priority exponent
alpha; here they are possibility_weight and priority_exponent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from p2assist.errors import ConfigError

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class P2Settings:
    """How a candidate's worth is computed and turned into a chance to be sampled.

    possibility: 'mean' is exp(logprob/num_tokens); 'raw' is the paper's product exp(logprob).
    form: 'sum' is weight*possibility + (1-weight)*pass_rate (Eq 6); 'product' is
    possibility^possibility_power * pass_rate^pass_rate_power. temperature T acts on the
    possibility as possibility^(1/T). priority: 'power' takes P2Value itself, 'rank' 1/rank,
    'uniform' 1; each is raised to priority_exponent and normalised (Eq 7).

    Raises ConfigError on a value out of range, and names it.
    """

    possibility: Literal["mean", "raw"] = "mean"
    form: Literal["sum", "product"] = "sum"
    possibility_weight: float = 0.5
    possibility_power: float = 1.0
    pass_rate_power: float = 1.0
    temperature: float = 1.0
    priority: Literal["power", "rank", "uniform"] = "power"
    priority_exponent: float = 1.0

    def __post_init__(self) -> None:
        def need(ok: bool, name: str, what: str) -> None:
            if not ok:
                raise ConfigError(f"p2value: {name} = {getattr(self, name)!r} is not {what}")

        need(self.possibility in ("mean", "raw"), "possibility", "'mean' or 'raw'")
        need(self.form in ("sum", "product"), "form", "'sum' or 'product'")
        need(
            self.priority in ("power", "rank", "uniform"), "priority", "'power', 'rank', 'uniform'"
        )
        need(0 <= self.possibility_weight <= 1, "possibility_weight", "between 0 and 1")
        need(0 < self.temperature < np.inf, "temperature", "a number above 0")
        for name in ("possibility_power", "pass_rate_power", "priority_exponent"):
            need(0 <= getattr(self, name) < np.inf, name, "a number of at least 0")


# The paper gives no value for its weight or its exponent; 0.5 and 1 are the neutral ones.
PRESETS: dict[str, P2Settings] = {
    "default": P2Settings(),
    "paper": P2Settings(possibility="raw", form="sum", priority="power"),
    "rank": P2Settings(priority="rank"),
    "product": P2Settings(form="product"),
    "uniform": P2Settings(priority="uniform"),
}


def preset(name: str, **changes: object) -> P2Settings:
    """The preset of that name with some fields changed. Raises ConfigError on an unknown name."""
    if name not in PRESETS:
        raise ConfigError(f"p2value: no preset {name!r}; there are {', '.join(PRESETS)}")
    return replace(PRESETS[name], **changes)  # type: ignore[arg-type]


def possibility(
    logprob: ArrayLike, num_tokens: ArrayLike, settings: P2Settings = PRESETS["default"]
) -> Array:
    """What the model gives a candidate, in 0..1.

    logprob: (n,) sums in nats, <= 0. num_tokens: (n,) tokens in each sum; 0 counts as 1.
    """
    total = np.minimum(np.asarray(logprob, dtype=np.float64), 0.0)
    count = np.maximum(np.asarray(num_tokens, dtype=np.float64), 1.0)
    nats = total / count if settings.possibility == "mean" else total
    return np.exp(nats / settings.temperature)


def p2value(
    possibilities: ArrayLike, pass_rates: ArrayLike, settings: P2Settings = PRESETS["default"]
) -> Array:
    """P2Value in 0..1 (Eq 6, or its product form).

    possibilities: (n,) in 0..1, as possibility() gives them (the temperature is in them).
    pass_rates: (n,) in 0..1; nan marks an untested candidate and gives nan: never a number.
    """
    p = np.asarray(possibilities, dtype=np.float64)
    r = np.asarray(pass_rates, dtype=np.float64)
    if settings.form == "sum":
        w = settings.possibility_weight
        return np.asarray(w * p + (1 - w) * r)
    # 0**0 is 1 in numpy, so nan must be put back where the power hides it.
    value = p**settings.possibility_power * r**settings.pass_rate_power
    return np.where(np.isnan(r), np.nan, value)


def ordering(
    possibilities: ArrayLike, pass_rates: ArrayLike, settings: P2Settings = PRESETS["default"]
) -> NDArray[np.intp]:
    """Indices that put candidates in the order to show them, best first.

    Those that pass everything come before all others: no possibility makes up for a failing test
    in front of a user. Within both, by P2Value, an untested candidate counting as a pass rate of 0
    (it has shown nothing); ties by possibility, then by the given order.
    """
    p = np.asarray(possibilities, dtype=np.float64)
    r = np.nan_to_num(np.asarray(pass_rates, dtype=np.float64), nan=0.0)
    return np.lexsort((-p, -p2value(p, r, settings), r < 1.0))


def priorities(values: ArrayLike, settings: P2Settings = PRESETS["default"]) -> Array:
    """Unnormalised priorities p_i^exponent of Eq 7, (n,).

    values: (n,) P2Values without nan. With 'rank' the largest value has rank 1; equal values
    share the mean of their reciprocal ranks, so that order of storage gives no advantage.
    """
    v = np.asarray(values, dtype=np.float64)
    if np.isnan(v).any():
        raise ValueError("untested candidates have no P2Value: leave them out first")
    if settings.priority == "uniform":
        return np.ones_like(v)
    if settings.priority == "power":
        return v**settings.priority_exponent
    order = np.argsort(-v, kind="stable")
    each = 1.0 / np.arange(1, v.size + 1, dtype=np.float64) ** settings.priority_exponent
    _, group = np.unique(-v[order], return_inverse=True)
    mean = np.bincount(group, weights=each) / np.bincount(group)
    out = np.empty_like(v)
    out[order] = mean[group]
    return out


def probabilities(priority: ArrayLike) -> Array:
    """P(i) = p_i / sum p_k (Eq 7); uniform where every priority is 0. Raises on an empty input."""
    p = np.asarray(priority, dtype=np.float64)
    if p.size == 0:
        raise ValueError("nothing to sample from")
    top = p.max()
    if top <= 0:
        return np.full_like(p, 1.0 / p.size)
    p = p / top  # raw possibilities reach 1e-300: scale before the sum can lose them
    return np.asarray(p / p.sum())


def importance_weights(probability: ArrayLike, size: int, beta: float) -> Array:
    """PER's w_i = (1 / (N P(i)))^beta / max_j w_j, in 0..1 (Schaul 2015, section 3.4).

    probability: (m,) sampling probabilities of the drawn items. size: N, the buffer's length.
    beta: 0 (no correction) .. 1 (full). An item of probability 0 cannot be drawn and gets 0.
    """
    if not 0 <= beta <= 1:
        raise ConfigError(f"p2value: beta = {beta!r} is not between 0 and 1")
    p = np.asarray(probability, dtype=np.float64)
    drawn = p > 0
    if not drawn.any():
        return np.zeros_like(p)
    # In logarithms: 1/(N p) overflows for the paper's raw possibilities.
    logs = np.where(drawn, -beta * (np.log(np.where(drawn, p, 1.0)) + np.log(size)), -np.inf)
    return np.asarray(np.exp(logs - logs.max()))
