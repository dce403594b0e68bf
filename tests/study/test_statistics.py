"""Means, intervals and when to stop, against distributions that are known."""

import numpy as np
import pytest
from helpers import small_paper
from scipy import stats

from abm.errors import InputError
from abm.results.indicators import INDICATORS, with_mean
from abm.study.replications import simulate_batch
from abm.study.statistics import (
    Until,
    describe,
    excludes_zero,
    parse_until,
    prediction_half_width,
    running_half_width,
)


def binomial_range(n, p):
    """What n trials with probability p give in all but one of 10,000 cases."""
    return stats.binom.ppf([5e-5, 1 - 5e-5], n, p)


@pytest.mark.parametrize("n", [3, 10, 50])
def test_interval_covers_the_mean_as_often_as_it_says(n):
    experiments = 4000
    draws = np.random.default_rng(n).normal(5.24, 0.05, (experiments, n))
    found = describe(draws)
    covered = int(((found["ci95_low"] <= 5.24) & (found["ci95_high"] >= 5.24)).sum())
    low, high = binomial_range(experiments, 0.95)
    assert low <= covered <= high


@pytest.mark.parametrize("n", [3, 25])
def test_prediction_interval_holds_the_next_run_as_often_as_it_says(n):
    experiments = 4000
    draws = np.random.default_rng(n).normal(1405.0, 24.0, (experiments, n + 1))
    found = describe(draws[:, :n])
    half = prediction_half_width(found["sd"], found["n"])
    inside = int((np.abs(draws[:, n] - found["mean"]) <= half).sum())
    low, high = binomial_range(experiments, 0.95)
    assert low <= inside <= high


def test_interval_that_excludes_zero_is_as_rare_as_it_says():
    experiments = 4000
    found = describe(np.random.default_rng(3).normal(0.0, 1.0, (experiments, 12)))
    false = int(excludes_zero(found["ci95_low"], found["ci95_high"]).sum())
    low, high = binomial_range(experiments, 0.05)
    assert low <= false <= high


def test_against_scipy():
    values = np.random.default_rng(1).gamma(2.0, 3.0, 37)
    found = {name: column[0] for name, column in describe(values[None, :]).items()}
    interval = stats.t.interval(0.95, 36, values.mean(), stats.sem(values))
    assert found["n"] == 37
    assert found["sd"] == pytest.approx(values.std(ddof=1), rel=1e-14)
    assert (found["ci95_low"], found["ci95_high"]) == pytest.approx(interval, rel=1e-12)
    assert found["q05"] == pytest.approx(np.quantile(values, 0.05), rel=1e-14)


def test_quantiles_by_hand():
    # 0, 10, ..., 100: the quantiles are their own percentage.
    found = describe(np.arange(0.0, 101.0, 10.0)[None, ::-1])
    names = {"q05": 5, "q25": 25, "q50": 50, "q75": 75, "q95": 95}
    assert {name: found[name][0] for name in names} == pytest.approx(names)


def test_missing_values_are_left_out_and_counted():
    rows = np.array([[1.0, np.nan, 3.0], [np.nan] * 3, [2.0, np.nan, np.nan], [1.0, 2.0, 6.0]])
    found = describe(rows)
    assert found["n"].tolist() == [2, 0, 1, 3]
    assert found["mean"][[0, 2, 3]].tolist() == [2.0, 2.0, 3.0]
    assert np.isnan(found["mean"][1])
    assert np.isnan(found["sd"][[1, 2]]).all()
    assert np.isnan(found["ci95_low"][[1, 2]]).all()


def test_what_never_changes_has_no_spread():
    found = describe(np.full((1, 7), 0.1))
    assert (found["mean"][0], found["sd"][0], found["ci95_high"][0]) == (0.1, 0.0, 0.1)


def test_running_interval_is_that_of_the_first_values():
    values = np.random.default_rng(2).normal(3.0, 0.1, 40)
    values[5] = np.nan
    half, mean = running_half_width(values)
    for n in (2, 6, 7, 40):
        found = describe(values[None, :n])
        assert half[n - 1] == pytest.approx((found["ci95_high"] - found["ci95_low"])[0] / 2)
        assert mean[n - 1] == pytest.approx(found["mean"][0])


def test_every_kpi_with_a_mean_is_known():
    (kpis,) = simulate_batch(small_paper(clock={"step_s": 900}), [1]).kpis
    identifiers = ("_hour", "_tied_hours", "_bus", "_line")
    numbers = [
        name
        for name, value in kpis.items()
        if isinstance(value, (int, float)) and not name.endswith(identifiers)
    ]
    # The feeder has no transformers and no PV, and nobody follows the SoC.
    unknown = ("max_transformer_loading_percent", "cycle_depth_mean")
    unknown += ("self_consumption", "self_sufficiency")
    sections = ("Three phases", "Transformers")
    more = {name for name, row in INDICATORS.items() if row.mean and row.section in sections}
    unknown += tuple(sorted(more - set(numbers)))
    assert sorted([*numbers, *unknown]) == sorted(with_mean())


def test_until():
    assert parse_until("peak:0.5%") == Until("peak_15min_mw", 0.005)
    assert parse_until("hourly_peak:0.5%") == Until("system_peak_mw", 0.005)
    assert parse_until("evs_short: 2 %") == Until("evs_short", 0.02)
    assert parse_until("peak:1%", 9) == Until("peak_15min_mw", 0.01, 9)
    until = Until("system_peak_mw", 0.01, at_least=4)
    close, wide = np.array([5.0, 5.01, 5.02, 5.0]), np.array([5.0, 5.5, 4.5, 5.0])
    assert until.reached(np.array([close, close]))
    assert not until.reached(np.array([close, wide]))
    assert not until.reached(np.array([close, np.full(4, np.nan)]))
    assert not until.reached(close[None, :1])
    assert not Until("system_peak_mw", 0.01, at_least=5).reached(close[None])


def test_until_does_not_stop_on_a_count_that_is_0_so_far():
    none = np.zeros((1, 200))
    for kpi in ("evs_short", "energy_short_kwh"):
        assert not Until(kpi, 0.05).reached(none)
        assert Until(kpi, 0.05).reached(none + 9.0)
    # What is 0 for another reason is known.
    assert Until("ev_discharged_mwh", 0.05).reached(none)


def test_intervals_of_counts():
    """Garwood's for few events, never below 0, wider where they come in clusters."""
    few = np.array([[0.0] * 50, [1.0] + [0.0] * 49, [20.0] + [0.0] * 49, [8.0, 12.0] * 25])
    found = describe(few, np.array([True] * 4))
    low, high = found["ci95_low"], found["ci95_high"]
    # Of 0 and 1 events: 0 to 3.689, 0.0253 to 5.572 (Garwood 1936).
    assert (low[0], high[0]) == pytest.approx((0.0, 3.689 / 50), abs=1e-4)
    assert (low[1], high[1]) == pytest.approx((0.0253 / 50, 5.572 / 50), abs=1e-4)
    assert low[2] == 0.0
    assert high[2] > 30.89 / 50
    assert (low >= 0.0).all()
    # Of many events it is Student's, as of all that is no count.
    student = describe(few)
    assert (low[3], high[3]) == (student["ci95_low"][3], student["ci95_high"][3])
    assert student["ci95_low"][2] < 0.0
    assert np.isnan(describe(np.array([[3.0]]), np.array([True]))["ci95_low"][0])


@pytest.mark.parametrize("text", ["peak", "peak:0.5", "peak:0%", "peak:100%", "peek:1%", ":1%", ""])
def test_until_that_cannot_be_meant(text):
    with pytest.raises(InputError, match="--until"):
        parse_until(text)
