"""P2Value: its range, its monotony in every argument, and what it turns into chances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2assist.errors import ConfigError
from p2assist.p2value import (
    PRESETS,
    P2Settings,
    importance_weights,
    ordering,
    p2value,
    possibility,
    preset,
    priorities,
    probabilities,
)

UNIT = st.floats(0, 1)
LOGPROB = st.floats(-80, 0)
TOKENS = st.integers(1, 200)
SETTINGS = st.builds(
    P2Settings,
    possibility=st.sampled_from(["mean", "raw"]),
    form=st.sampled_from(["sum", "product"]),
    possibility_weight=UNIT,
    possibility_power=st.floats(0, 4),
    pass_rate_power=st.floats(0, 4),
    temperature=st.floats(0.25, 4),
    priority=st.sampled_from(["power", "rank", "uniform"]),
    priority_exponent=st.floats(0, 4),
)
CLOSE = 1e-12


@given(LOGPROB, TOKENS, UNIT, SETTINGS)
def test_range(logprob: float, tokens: int, rate: float, settings: P2Settings) -> None:
    given_ = float(possibility(logprob, tokens, settings))
    assert 0 <= given_ <= 1
    assert 0 <= float(p2value(given_, rate, settings)) <= 1 + CLOSE


@given(LOGPROB, LOGPROB, TOKENS, UNIT, SETTINGS)
def test_a_likelier_candidate_is_worth_no_less(
    one: float, other: float, tokens: int, rate: float, settings: P2Settings
) -> None:
    low, high = sorted((one, other))
    given_ = possibility([low, high], [tokens, tokens], settings)
    assert given_[0] <= given_[1]
    values = p2value(given_, [rate, rate], settings)
    assert values[0] <= values[1] + CLOSE


@given(UNIT, UNIT, UNIT, SETTINGS)
def test_a_higher_pass_rate_is_worth_no_less(
    given_: float, one: float, other: float, settings: P2Settings
) -> None:
    values = p2value([given_, given_], sorted((one, other)), settings)
    assert values[0] <= values[1] + CLOSE


@given(st.floats(-80, -0.01), TOKENS, SETTINGS)
def test_temperature_acts_as_a_root(logprob: float, tokens: int, settings: P2Settings) -> None:
    plain = float(possibility(logprob, tokens, replace(settings, temperature=1.0)))
    hot = float(possibility(logprob, tokens, settings))
    assert hot == pytest.approx(plain ** (1 / settings.temperature), rel=1e-9)


@given(LOGPROB, TOKENS)
def test_mean_and_raw(logprob: float, tokens: int) -> None:
    raw = float(possibility(logprob, tokens, preset("paper")))
    assert raw == pytest.approx(np.exp(logprob))
    assert float(possibility(logprob, tokens)) == pytest.approx(raw ** (1 / tokens), rel=1e-9)


def test_odd_inputs_of_possibility() -> None:
    assert float(possibility(-2.0, 0)) == pytest.approx(np.exp(-2.0))  # no tokens count as one
    assert float(possibility(1e-9, 3)) == 1.0  # rounding above 0 is certainty, not more


def test_the_two_forms_by_hand() -> None:
    assert float(p2value(0.5, 1.0, P2Settings(possibility_weight=0.2))) == pytest.approx(0.9)
    product = P2Settings(form="product", possibility_power=2, pass_rate_power=0.5)
    assert float(p2value(0.5, 0.25, product)) == pytest.approx(0.125)
    assert float(p2value(0.9, 0.0, PRESETS["product"])) == 0


@given(SETTINGS)
def test_the_untested_have_no_value(settings: P2Settings) -> None:
    assert np.isnan(p2value(0.5, np.nan, settings))
    zeroed = replace(settings, possibility_weight=1.0, pass_rate_power=0.0)
    assert np.isnan(p2value(0.5, np.nan, zeroed))


def test_ordering_puts_the_untested_behind() -> None:
    assert ordering([0.9, 0.1, 0.5], [np.nan, 1.0, 1.0]).tolist() == [2, 1, 0]
    assert ordering([0.5, 0.5, 0.7], [1.0, 1.0, 1.0]).tolist() == [2, 0, 1]
    only_tests = P2Settings(possibility_weight=0.0)
    assert ordering([0.2, 0.8], [0.5, 0.5], only_tests).tolist() == [1, 0]  # ties by possibility


def test_what_passes_everything_comes_before_what_fails() -> None:
    given, rates = [0.999, 0.578, 0.9, 0.7], [0.611, 1.0, np.nan, 1.0]
    values = p2value(given, rates)
    assert values[0] > values[1]  # by the sum alone the failing one would be first
    assert ordering(given, rates).tolist() == [3, 1, 0, 2]


@given(st.lists(UNIT, min_size=1, max_size=40), SETTINGS)
def test_priorities_follow_the_values(values: list[float], settings: P2Settings) -> None:
    found = priorities(values, settings)
    assert found.shape == (len(values),)
    assert (found >= 0).all()
    by_value = np.argsort(values, kind="stable")
    assert (np.diff(found[by_value]) >= -CLOSE).all()
    for i, value in enumerate(values):
        for j in range(i):
            if values[j] == value:
                assert found[i] == found[j]


def test_rank_priorities_by_hand() -> None:
    rank = PRESETS["rank"]
    np.testing.assert_allclose(priorities([0.2, 0.9, 0.5], rank), [1 / 3, 1, 1 / 2])
    shared = (1 / 1 + 1 / 2) / 2
    np.testing.assert_allclose(priorities([0.9, 0.1, 0.9], rank), [shared, 1 / 3, shared])
    flat = replace(rank, priority_exponent=0.0)
    np.testing.assert_allclose(priorities([0.2, 0.9], flat), [1, 1])


def test_rank_is_less_sensitive_to_an_outlier() -> None:
    values = [1e-6] * 9 + [1.0]
    power, rank = (probabilities(priorities(values, PRESETS[n])) for n in ("default", "rank"))
    assert rank[-1] < 0.4 < 0.99 < power[-1]


def test_priorities_want_tested_candidates() -> None:
    with pytest.raises(ValueError, match="untested"):
        priorities([0.5, np.nan])


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_probabilities_are_a_distribution(priority: list[float]) -> None:
    found = probabilities(priority)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    top = max(priority)
    if top > 0:
        np.testing.assert_allclose(
            found * sum(p / top for p in priority) * top, priority, atol=1e-290
        )


def test_probabilities_at_the_edges() -> None:
    assert probabilities([0.0, 0.0]).tolist() == [0.5, 0.5]
    np.testing.assert_allclose(probabilities([1e-300, 3e-300]), [0.25, 0.75])
    with pytest.raises(ValueError, match="nothing to sample"):
        probabilities([])


@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=30), UNIT, st.integers(1, 10**6))
def test_importance_weights(chances: list[float], beta: float, size: int) -> None:
    found = importance_weights(chances, size, beta)
    assert found.max() == pytest.approx(1)
    assert (found >= 0).all()
    expected = np.array([(size * p) ** -beta for p in chances])
    np.testing.assert_allclose(found, expected / expected.max(), rtol=1e-9)
    if beta == 0:
        assert (found == 1).all()


def test_importance_weights_at_the_edges() -> None:
    assert importance_weights([0.0, 0.5], 2, 1.0).tolist() == [0.0, 1.0]
    assert importance_weights([0.0], 2, 1.0).tolist() == [0.0]
    raw = importance_weights([1e-300, 1.0], 10**6, 1.0)  # 1/(N p) alone would overflow
    np.testing.assert_allclose(raw, [1.0, 1e-300])
    with pytest.raises(ConfigError, match=r"beta = 1\.5"):
        importance_weights([0.5], 1, 1.5)


@pytest.mark.parametrize("name", PRESETS)
def test_drawn_frequencies_match_the_chances(name: str) -> None:
    rng = np.random.default_rng(0)
    given_ = possibility(-rng.uniform(0, 6, 12), rng.integers(1, 9, 12), PRESETS[name])
    values = p2value(given_, rng.integers(0, 5, 12) / 4, PRESETS[name])
    chances = probabilities(priorities(values, PRESETS[name]))
    size = 50_000
    counts = np.bincount(rng.choice(12, size, p=chances), minlength=12)
    some = chances * size >= 5
    statistic = ((counts - chances * size)[some] ** 2 / (chances * size)[some]).sum()
    free = some.sum() - 1
    assert statistic < free + 4 * np.sqrt(2 * free)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("possibility", "median"),
        ("form", "difference"),
        ("priority", "best"),
        ("possibility_weight", 1.01),
        ("possibility_weight", float("nan")),
        ("temperature", 0.0),
        ("temperature", float("inf")),
        ("possibility_power", -1.0),
        ("pass_rate_power", float("inf")),
        ("priority_exponent", -0.1),
    ],
)
def test_a_bad_setting_is_named(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name} = "):
        P2Settings(**{name: value})  # type: ignore[arg-type]


def test_presets() -> None:
    assert preset("paper", possibility_weight=0.1).possibility == "raw"
    assert (preset("paper").form, preset("paper").priority) == ("sum", "power")
    with pytest.raises(ConfigError, match="no preset 'best'"):
        preset("best")
