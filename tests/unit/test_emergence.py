"""KPIs of emergence against small cases worked out by hand, and docs/kpis.md against both."""

import re
from pathlib import Path

import numpy as np
import pytest
from helpers import KINDS, ev, run, scenario, small_paper

from abm import EV, Mode, Scenario
from abm.equations.economics import reference_cost
from abm.results.emergence import (
    jain_index,
    load_factor,
    mean_by_cell,
    moving_average,
    oscillation,
)
from abm.results.indicators import INDICATORS, compared, with_mean

DOCS = Path(__file__).parents[2] / "docs" / "kpis.md"
PRICE = [0.1, 0.3, 0.2]


NAMES = ["benefit_usd", *(r.name for r in INDICATORS.values() if r.section == "Emergence")]


def scripted(*minutes):
    """An EV that charges in these minutes of the horizon and in no other."""

    class Scripted(EV):
        def decide(self):
            return Mode.G2V if self.model.clock.step in minutes else Mode.IDLE

    return Scripted


def scripted_run(*plans, **fields):
    """One EV for each plan, plugged in from minute 60 to 600, as many zones as needed."""
    rows = [ev(str(i), zone=i + 1, arrival=60, departure=600) for i in range(len(plans))]
    studied = scenario(*rows, strategy="uncoordinated", **fields)
    classes = {str(i): scripted(*plan) for i, plan in enumerate(plans)}
    return run(studied, ev_class=classes)


# --- modes -------------------------------------------------------------------------------------


def test_switches_are_changes_while_plugged_in():
    # On and off twice; from the first step on; until unplugged; never.
    plans = [[100, 101, 103], [60], range(590, 600), []]
    model = scripted_run(*plans)
    assert model.results.ev["switches"].tolist() == [4, 2, 1, 0]
    assert model.results.kpis["mode_switches_per_ev"] == 7 / 4


@pytest.mark.parametrize(
    ("plans", "together"),
    [
        ([[100], [104], [300]], 2),  # off at 101 and 105: changes at 100 to 105, of two EVs
        ([range(100, 200), range(105, 200), []], 2),  # on at 100 and 105, off both at 200
        ([range(100, 200), range(105, 210), []], 1),  # five minutes are 100 to 104
        ([range(100, 200), range(104, 210), []], 2),
        ([range(100, 130, 2)] * 2 + [[]], 2),  # many changes, two EVs
        ([range(58, 200), range(119, 300), range(122, 400)], 2),  # across the hour
        ([[], [], []], 0),
    ],
)
def test_synchronisation_counts_each_ev_once_in_five_minutes(plans, together):
    model = scripted_run(*plans)
    assert model.meter.sync_peak.tolist() == [together]
    assert model.results.kpis["synchronisation"] == together / 3


@pytest.mark.parametrize(("step_s", "steps"), [(30, 10), (60, 5), (300, 1), (600, 1), (120, 2)])
def test_the_window_is_five_minutes_in_whole_steps(step_s, steps):
    rows = [ev(str(i), arrival=600 + 10 * i, departure=900) for i in range(6)]
    model = run(scenario(*rows, strategy="uncoordinated", clock={"step_s": step_s}))
    assert model.meter.window == steps
    assert model.meter.sync_peak.tolist() == [1]
    begins = model.record.switched_evs[:, 0]
    assert (begins[600 * 60 // step_s :][:steps] == 1).all()
    assert begins[600 * 60 // step_s + steps] == (1 if step_s == 600 else 0)


def test_power_by_step_is_the_sum_over_zones():
    results = run(small_paper(strategy="evms")).results
    zones = results.zone_minute.groupby("minute")["p_kw"].sum().to_numpy()
    assert results.record.ev_kw[:, 0] == pytest.approx(zones, abs=1e-9)
    hours = results.record.ev_kw.reshape(24, 60).mean(axis=1) / 1e3
    assert hours == pytest.approx(results.ev_mw, abs=1e-12)


# --- demand ------------------------------------------------------------------------------------


def test_coincidence_is_of_the_evs_that_charge():
    # Two charge for a whole hour, one of them alone in the next, one needs nothing: 10.8 of 10.8
    rows = [
        ev("a", arrival=600, departure=660, soc=0.1),
        ev("b", zone=2, arrival=600, departure=720, soc=0.1),
        ev("full", arrival=600, departure=720, soc=0.9),
    ]
    kpis = run(scenario(*rows, strategy="uncoordinated")).results.kpis
    assert kpis["coincidence_factor"] == pytest.approx(1.0)
    rows[1] |= {"arrival_min": 660, "departure_min": 720}
    kpis = run(scenario(*rows, strategy="uncoordinated")).results.kpis
    assert kpis["coincidence_factor"] == pytest.approx(0.5)


def test_load_factor_is_mean_over_peak():
    found = load_factor(np.array([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0], [2.0, 2.0, 0.0]]))
    assert found[:2] == pytest.approx([2 / 3, 1.0])
    assert np.isnan(found[2])
    results = run(small_paper(strategy="evms")).results
    mean = results.total_mw.mean()
    assert results.kpis["load_factor"] == pytest.approx(mean / results.total_mw.max())
    assert results.kpis["peak_to_average"] == pytest.approx(results.total_mw.max() / mean)


@pytest.mark.parametrize(("period", "swing"), [(120, 2.0), (60, 0.5), (180, 1.0)])
@pytest.mark.parametrize("step_min", [1.0, 5.0, 0.5])
def test_a_square_wave_has_its_period_and_four_over_pi_of_half_its_swing(period, swing, step_min):
    minute = np.arange(0, 24 * 60, step_min)
    kw = 1.0 + swing * (minute % period < period / 2)
    found, amplitude = oscillation(kw, step_min)
    assert found == pytest.approx(period, rel=0.01)
    assert amplitude == pytest.approx(4 / np.pi * swing / 2, rel=0.05)


def test_oscillation_sees_the_wave_and_neither_trend_nor_zeros_around_it():
    minute = np.arange(1440.0)
    wave = 50.0 * np.cos(2 * np.pi * minute / 30)
    kw = np.where((minute >= 300) & (minute < 1200), 1000.0 + 0.5 * minute + wave, 0.0)
    period, amplitude = oscillation(kw, 1.0)
    assert period == pytest.approx(30)
    assert amplitude == pytest.approx(50, rel=0.01)
    assert np.isnan(oscillation(np.where(kw > 0, 1000.0, 0.0), 1.0)).all()


def test_the_fastest_oscillation_is_of_two_steps():
    kw = 10.0 + np.tile([1.0, -1.0], 60)
    period, amplitude = oscillation(kw, 1.0)
    assert period == 2.0
    assert amplitude == pytest.approx(1.0, rel=1e-3)


def test_what_has_no_oscillation():
    wave = 5.0 + np.sin(np.arange(59.0))
    for kw, step_min in ((np.zeros(100), 1.0), (wave, 1.0), (np.ones(1), 60.0), (np.ones(24), 60)):
        assert np.isnan(oscillation(kw, step_min)).all()
    assert not np.isnan(oscillation(wave, 2.0)).any()
    # Half a watt of amplitude is below 1e-6 MW.
    assert np.isnan(oscillation(100.0 + 5e-4 * np.cos(np.arange(600.0)), 1.0)).all()


def test_moving_average_is_centred_and_short_at_the_ends():
    found = moving_average(np.array([1.0, 2.0, 6.0, 4.0]), 2.0)
    assert found == pytest.approx([1.5, 3.0, 4.0, 5.0])


# --- fairness ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "index"),
    [
        ([2, 2, 2], 1.0),
        ([0, 0, 7], 1 / 3),
        ([1, 2, 3], 36 / (3 * 14)),
        ([0, 0], 1.0),
        ([1, -1], 0.0),
        ([1e-200, 0], 0.5),
        ([5], 1.0),
    ],
)
def test_jain_s_index(x, index):
    assert jain_index(np.array(x, float), np.zeros(len(x), int), 1) == pytest.approx([index])


def test_jain_s_index_by_group():
    group = np.array([0, 0, 2, 2])
    found = jain_index(np.array([1.0, 1.0, 0.0, 4.0]), group, 3)
    assert found[[0, 2]].tolist() == [1.0, 0.5]
    assert np.isnan(found[1])


def test_zones_have_the_mean_of_their_evs():
    mean, there = mean_by_cell(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 2]), 4)
    assert mean.tolist() == [2.0, 5.0]
    assert there.tolist() == [0, 2]


def test_unmet_energy_is_shared_unevenly():
    balanced = {"requirement": {"kind": "energy_balanced"}, "ev": {"efficiency": 1.0}}
    rows = [
        ev("a", zone=1, arrival=600, departure=660),  # 5.4 of 20 kWh
        ev("b", zone=1, arrival=600, departure=1200),  # all
        ev("c", zone=2, arrival=600, departure=720),  # 10.8 of 20 kWh
    ]
    results = run(scenario(*rows, strategy="uncoordinated", **balanced)).results
    a, b, c = 14.6, 0.0, 9.2
    assert results.ev["shortfall_kwh"].tolist() == pytest.approx([a, b, c], abs=1e-9)
    kpis = results.kpis
    assert kpis["fairness_unmet_evs"] == pytest.approx((a + c) ** 2 / (3 * (a**2 + c**2)))
    zones = a / 2, c
    assert kpis["fairness_unmet_zones"] == pytest.approx(
        sum(zones) ** 2 / (2 * (zones[0] ** 2 + zones[1] ** 2))
    )


# --- money and cycles --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrival", "departure", "energy", "rating", "cost"),
    [
        (0, 180, 2.0, 2.0, 2 * 0.1),
        (30, 180, 3.0, 2.0, 2 * (0.5 * 0.1 + 1.0 * 0.3)),
        (30, 75, 3.0, 2.0, 2 * (0.5 * 0.1 + 0.25 * 0.3)),  # departs too soon
        (150, 999, 9.0, 2.0, 2 * 0.5 * 0.2),  # the horizon ends
        (200, 999, 9.0, 2.0, 0.0),  # arrives after it
        (30, 180, 0.0, 2.0, 0.0),
        (30, 180, 3.0, 0.0, 0.0),
        (30, 180, 0.0, 0.0, 0.0),
    ],
)
def test_reference_cost_by_hand(arrival, departure, energy, rating, cost):
    found = reference_cost(PRICE, [arrival], [departure], [energy], [rating])
    assert found == pytest.approx([cost], abs=1e-15)


def odd_stays():
    rng = np.random.default_rng(3)
    rows = []
    for i in range(80):
        arrival = rng.uniform(0, 1439)
        more = {"p_max_kw": rng.uniform(1, 22), "efficiency": rng.uniform(0.7, 1)}
        stay = arrival + rng.exponential(200)
        figures = {"capacity": rng.uniform(1, 90), "soc": rng.random(), "target": rng.random()}
        rows.append(ev(str(i), 1 + i % 15, arrival, stay, **figures, **more))
    return rows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fleet", ["sample", "odd", "odd, 5 min"])
def test_the_reference_is_an_uncoordinated_run(kind, fleet):
    fields = {"strategy": "uncoordinated", "requirement": {"kind": kind}}
    if fleet == "sample":
        studied = Scenario.load("paper").override(**fields)
    else:
        step_s = 300 if "5 min" in fleet else 60
        studied = scenario(*odd_stays(), clock={"step_s": step_s}, **fields)
    table = run(studied).results.ev
    assert table["purchase_usd"].max() > 0.5
    assert table["reference_cost_usd"].to_numpy() == pytest.approx(
        table["purchase_usd"].to_numpy(), abs=1e-9
    )
    assert table["benefit_usd"].abs().max() < 1e-9


def test_the_reference_does_not_depend_on_the_strategy_and_the_benefit_adds_up():
    one, other = (run(small_paper(strategy=name)).results for name in ("uncoordinated", "evms"))
    evs = other.ev
    assert evs["reference_cost_usd"].tolist() == one.ev["reference_cost_usd"].tolist()
    gained = one.ev["purchase_usd"] - evs["net_cost_usd"]
    assert evs["benefit_usd"].to_numpy() == pytest.approx(gained.to_numpy(), abs=1e-9)
    assert other.kpis["benefit_usd"] == pytest.approx(gained.sum())
    per_zone = evs.groupby("zone")["benefit_usd"].sum()
    assert other.zones["benefit_usd"].to_numpy() == pytest.approx(per_zone.to_numpy())
    x = evs["benefit_usd"]
    expected = x.sum() ** 2 / (30 * (x**2).sum())
    assert other.kpis["fairness_benefit_evs"] == pytest.approx(expected)


def test_full_cycles_count_energy_through_the_battery():
    # As printed: from 0.8 down to 0.2 of 30 kWh, then up by (0.9 - 0.8) x 0.85.
    row = ev(arrival=480, departure=1430, capacity=30, soc=0.8, target=0.9)
    results = run(scenario(row, strategy="evms", grid={"demand_limit_mw": 3.2})).results
    through = 0.6 * 30 + 0.85 * 0.1 * 30
    assert results.ev["full_cycles"].tolist() == pytest.approx([through / 60])
    assert results.kpis["equivalent_full_cycles_per_ev"] == pytest.approx(through / 60)
    assert results.ev["switches"].tolist() == [4]


# --- without EVs, in a city, in the files ------------------------------------------------------


def test_without_evs_only_the_load_factor_is_known():
    kpis = run(Scenario(strategy="none")).results.kpis
    known = {name for name in NAMES if kpis[name] is not None}
    assert known == {"load_factor", "peak_to_average", "benefit_usd"}
    assert kpis["benefit_usd"] == 0.0


def test_a_city_is_measured_as_one_fleet():
    results = run(small_paper(strategy="evms", feeder={"copies": 3})).results
    kpis, evs, record = results.kpis, results.ev, results.record
    assert set(results.kpi_columns) <= set(kpis)
    assert kpis["mode_switches_per_ev"] == pytest.approx(evs["switches"].mean())
    assert kpis["equivalent_full_cycles_per_ev"] == pytest.approx(evs["full_cycles"].mean())
    assert kpis["synchronisation"] == record.switched_evs.sum(axis=1).max() / 90
    assert kpis["synchronisation"] <= results.kpi_columns["synchronisation"].mean() + 1e-12
    rated = evs["p_max_kw"][evs["charged_kwh"] > 0].sum() / 1e3
    assert kpis["coincidence_factor"] == pytest.approx(kpis["ev_peak_mw"] / rated)
    total = record.total_mw.sum(axis=1)
    assert kpis["load_factor"] == pytest.approx(total.mean() / total.max())
    period, amplitude = oscillation(record.ev_kw.sum(axis=1), 1.0)
    assert kpis["oscillation_period_min"] == pytest.approx(period)
    assert kpis["oscillation_amplitude_mw"] == pytest.approx(amplitude / 1e3)
    x = evs["shortfall_kwh"]
    assert kpis["fairness_unmet_evs"] == pytest.approx(x.sum() ** 2 / (90 * (x**2).sum()))
    by_zone = evs.groupby(["feeder", "zone"])["shortfall_kwh"].mean()
    expected = by_zone.sum() ** 2 / (45 * (by_zone**2).sum())
    assert kpis["fairness_unmet_zones"] == pytest.approx(expected)


def test_statistics_and_comparison_carry_them():
    assert set(NAMES) <= set(with_mean())
    left_out = {"benefit_usd", "fairness_unmet_zones", "fairness_benefit_zones"}
    assert set(NAMES) - left_out <= set(compared())


def test_docs_list_every_kpi_and_nothing_else():
    named = re.findall(r"^\| `(\w+)` \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    one = run(small_paper()).results.kpis
    city = run(small_paper(feeder={"copies": 2})).results.kpis
    assert len(named) == len(set(named))
    assert set(named) == set(one) | set(city)
    only_city = DOCS.read_text(encoding="utf-8").split("## Only in a city")[1]
    assert set(re.findall(r"^\| `(\w+)` \|", only_city, re.MULTILINE)) == set(city) - set(one)
