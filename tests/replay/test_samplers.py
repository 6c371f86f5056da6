"""Drawn frequencies match the stated chances, and the chances are Eq 7's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2assist.errors import ConfigError
from p2assist.p2value import P2Settings
from p2assist.replay.columns import Columns
from p2assist.replay.samplers import SAMPLERS, P2Sampler, sampler

RATES = [1.0, 0.75, 0.5, 0.25, 0.0, np.nan, 0.5, np.nan]


def _columns(rates: list[float] = RATES, seed: int = 0) -> Columns:
    rng = np.random.default_rng(seed)
    count = len(rates)
    tested = ~np.isnan(rates)
    zeros = np.zeros(count, dtype=np.int64)
    return Columns(
        id=100 + np.arange(count),
        logprob=-rng.uniform(0.1, 9, count),
        num_tokens=rng.integers(1, 20, count),
        passed=np.where(tested, np.nan_to_num(rates) * 4, 0).astype(np.int64),
        total=np.where(tested, 4, 0),
        **dict.fromkeys(("task", "function", "maker", "person", "source", "tests"), zeros),
    )


@pytest.mark.parametrize("name", SAMPLERS)
def test_frequencies_match_the_stated_chances(name: str) -> None:
    columns, size = _columns(), 40_000
    one = sampler(name)
    chances = one.probabilities(columns)
    draw = one.sample(columns, size, np.random.default_rng(1))
    counts = np.bincount(draw.indices, minlength=len(columns))
    assert chances.sum() == pytest.approx(1)
    assert (counts[chances == 0] == 0).all()
    some = chances * size >= 5  # where chi-square's approximation holds
    statistic = ((counts - chances * size)[some] ** 2 / (chances * size)[some]).sum()
    free = some.sum() - 1
    assert statistic < free + 4 * np.sqrt(2 * free)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_untested_are_never_drawn(name: str) -> None:
    columns = _columns()
    draw = sampler(name).sample(columns, 2_000, np.random.default_rng(2))
    assert not np.isnan(columns.pass_rate[draw.indices]).any()
    np.testing.assert_array_equal(draw.ids, columns.id[draw.indices])
    np.testing.assert_allclose(
        draw.probabilities, sampler(name).probabilities(columns)[draw.indices]
    )


def test_power_is_proportional_to_p2value() -> None:
    columns = _columns()
    values = np.nan_to_num(columns.p2values(P2Settings()))
    np.testing.assert_allclose(sampler("power").probabilities(columns), values / values.sum())


def test_rank_goes_by_one_over_the_rank() -> None:
    columns = _columns([1.0, 0.0, 0.5], seed=3)
    columns = Columns(**{**_fields(columns), "logprob": np.full(3, -1.0), "num_tokens": np.ones(3)})
    chances = sampler("rank").probabilities(columns)
    np.testing.assert_allclose(chances, np.array([1, 1 / 3, 1 / 2]) / (1 + 1 / 2 + 1 / 3))


def test_the_papers_weight_is_inert() -> None:
    """With the raw product of long candidates, the weight changes no chance: METHOD.md's trap."""
    columns = _columns()
    columns = Columns(**{**_fields(columns), "logprob": np.full(len(columns), -60.0)})
    low, high = (sampler("paper", possibility_weight=w).probabilities(columns) for w in (0.1, 0.9))
    np.testing.assert_allclose(low, high, atol=1e-9)
    ours = [sampler("power", possibility_weight=w).probabilities(_columns()) for w in (0.1, 0.9)]
    assert np.abs(ours[0] - ours[1]).max() > 0.01


def _fields(columns: Columns) -> dict[str, object]:
    from dataclasses import fields

    return {f.name: getattr(columns, f.name) for f in fields(columns)}


def test_weights_undo_the_bias() -> None:
    """With beta 1 the weighted mean of a batch is the plain mean of what could be drawn."""
    columns = _columns()
    draw = sampler("power", beta=1.0).sample(columns, 200_000, np.random.default_rng(4))
    rates = columns.pass_rate[draw.indices]
    weighted = (draw.weights * rates).sum() / draw.weights.sum()
    assert weighted == pytest.approx(np.nanmean(columns.pass_rate), abs=0.01)
    assert draw.weights.max() == 1
    assert (sampler("power").sample(columns, 9, np.random.default_rng(0)).weights == 1).all()


@given(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=30), st.integers(0, 99))
def test_chances_are_chances(rates: list[float], seed: int) -> None:
    columns = _columns(rates, seed)
    for name in SAMPLERS:
        chances = sampler(name).probabilities(columns)
        assert chances.sum() == pytest.approx(1)
        assert (chances >= 0).all()


def test_the_same_seed_draws_the_same() -> None:
    draws = [sampler("rank").sample(_columns(), 50, np.random.default_rng(9)) for _ in range(2)]
    np.testing.assert_array_equal(draws[0].ids, draws[1].ids)


def test_nothing_to_draw_and_bad_names() -> None:
    with pytest.raises(ValueError, match="nothing to sample"):
        sampler("power").sample(_columns([np.nan]), 3, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="no sampler 'best'"):
        sampler("best")
    with pytest.raises(ConfigError, match=r"beta = 2"):
        P2Sampler(beta=2)
    assert sampler("product").settings.form == "product"  # presets are names too


def test_a_million_are_sampled() -> None:
    rng = np.random.default_rng(0)
    count = 1_000_000
    total = rng.integers(0, 5, count)
    zeros = np.zeros(count, dtype=np.int64)
    columns = Columns(
        id=np.arange(count),
        logprob=-rng.uniform(0, 40, count),
        num_tokens=rng.integers(1, 30, count),
        passed=(rng.random(count) * (total + 1)).astype(np.int64),
        total=total,
        **dict.fromkeys(("task", "function", "maker", "person", "source", "tests"), zeros),
    )
    for name in SAMPLERS:
        assert sampler(name).sample(columns, 4096, rng).ids.shape == (4096,)
