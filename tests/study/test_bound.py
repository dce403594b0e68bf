"""The bound against closed forms, a second formulation, and the runs that it has to bound."""

import io
import json
import threading
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import highspy
import numpy as np
import pandas as pd
import pytest
import scipy.optimize
from helpers import CONNECTED, ev, run, same, scenario, small_paper, write_sessions

from abm import V2GModel
from abm.cli import main
from abm.errors import InputError, OptimiserError
from abm.fleet import feeder_seeds
from abm.report.study_terminal import unreachable_lines
from abm.study import comparison_table, optimum
from abm.study.compare import bound_beside, foresight_costs
from abm.study.runs import run_once

BALANCED = {"requirement": {"kind": "energy_balanced"}}
# A feeder of a few kW, so that one EV is felt, and a fleet that cannot sell.
TINY = {**BALANCED, "base_load": {"scale": 1e-3}}
G2V = {"efficiency": 0.9, "discharger_kw": 0.0}
ROOM = 1 + 1e-6


def day(scen, clock_hours):
    """Base demand [kW] and price of some clock hours."""
    model = V2GModel(scen)
    at = (np.array(clock_hours) - model.start_hour) % 24
    return 1e3 * model.grid.base_mw[at, 0], model.grid.hourly_price[at]


def priced(folder, price):
    """A tariff of 24 prices."""
    path = Path(folder) / "tariff.csv"
    rows = "\n".join(f"{hour},{value}" for hour, value in enumerate(price))
    path.write_text(f"# unit: $/kWh\nhour,price\n{rows}\n", encoding="utf-8")
    return str(path)


def level(gained, low, high):
    """Where a growing function crosses 0, by bisection."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if gained(middle) > 0 else (middle, high)
    return high


# --- closed forms ------------------------------------------------------------------------------


def test_one_ev_that_cannot_sell_fills_the_valley_to_a_level():
    # Plugged in 0:00-8:00, 32 kWh into the battery.
    scen = scenario(ev(arrival=720, soc=0.1, target=0.9), ev=G2V, **TINY)
    base, _ = day(scen, np.arange(8))
    top = level(lambda at: np.clip(at - base, 0, 5.4).sum() - 0.8 * 40 / 0.9, 0, 100)
    found = optimum(scen)
    assert top > base.max()
    assert found.results.kpis["plugged_peak_15min_mw"] == pytest.approx(top / 1e3, rel=1e-6)
    assert found.results.total_mw[12:20] == pytest.approx(top / 1e3, rel=1e-6)


def test_one_ev_that_needs_little_leaves_the_peak_as_it_is():
    # Plugged in 20:00-8:00, 8 kWh into the battery: the valley holds them below the evening peak.
    found = optimum(scenario(ev(soc=0.5, target=0.7), ev=G2V, **TINY))
    (feeder,) = found.feeders
    assert feeder.lowest_peak_mw == pytest.approx(feeder.peak_before_mw, rel=1e-9)
    assert found.results.kpis["ev_charged_mwh"] == pytest.approx(8 / 0.9 / 1e3)


def test_shaving_is_paid_for_with_the_round_trip():
    scen = scenario(
        ev(soc=0.6, target=0.6, capacity=100),
        ev={"efficiency": 0.9, "charger_kw": 50.0, "discharger_kw": 50.0},
        **TINY,
    )
    base, _ = day(scen, np.arange(20, 32) % 24)

    def gained(at):
        return 0.9 * np.maximum(at - base, 0).sum() - np.maximum(base - at, 0).sum() / 0.9

    top = level(gained, 0, 100)
    found = optimum(scen)
    assert found.results.kpis["plugged_peak_15min_mw"] == pytest.approx(top / 1e3, rel=1e-6)
    assert found.results.kpis["ev_discharged_mwh"] > 0
    assert found.results.kpis["evs_short"] == 0


@pytest.mark.parametrize(("arrival", "departure"), [(480, 1200), (497, 1139)])
def test_the_cheapest_minutes_are_bought(tmp_path, arrival, departure):
    rng = np.random.default_rng(3)
    price = rng.permutation(np.linspace(0.1, 0.5, 24))
    scen = scenario(
        ev(arrival=arrival, departure=departure, soc=0.3, target=0.8),
        tariff={"prices": priced(tmp_path, price)},
        ev=G2V,
        **BALANCED,
    )
    minutes = np.arange(arrival, departure)
    cheapest = np.sort(price[(12 + minutes // 60) % 24])
    need_min = 20 / 0.9 / 5.4 * 60
    whole = int(need_min)
    cost = (cheapest[:whole].sum() + (need_min - whole) * cheapest[whole]) * 5.4 / 60
    found = optimum(scen, "cost")
    assert found.label == "bound_cost"
    assert found.results.kpis["net_cost_usd"] == pytest.approx(cost, rel=1e-8)


@pytest.mark.parametrize("soc_min", [0.2, 0.45])
def test_v2g_sells_dear_and_buys_back_with_the_losses_down_to_the_threshold(tmp_path, soc_min):
    price = np.full(24, 0.1)
    price[20] = 1.0
    scen = scenario(
        ev(capacity=40, soc=0.5, target=0.5),
        tariff={"prices": priced(tmp_path, price), "sale_ratio": 0.8},
        ev={"efficiency": 0.9, "soc_min": soc_min},
        **BALANCED,
    )
    sold = min(7.5, (0.5 - soc_min) * 40 * 0.9)
    found = optimum(scen, "cost")
    kpis = found.results.kpis
    assert kpis["ev_discharged_mwh"] == pytest.approx(sold / 1e3, rel=1e-8)
    assert kpis["ev_charged_mwh"] == pytest.approx(sold / 0.81 / 1e3, rel=1e-8)
    assert kpis["net_cost_usd"] == pytest.approx(sold / 0.81 * 0.1 - sold * 0.8, rel=1e-8)
    assert kpis["soc_lowest"] == pytest.approx(0.5 - sold / 0.9 / 40)
    assert kpis["soc_lowest"] >= soc_min


# --- a second formulation ----------------------------------------------------------------------


def second_opinion(model, step_min, metric_min):
    """Lowest peak [kW], and lowest net cost at it and without any limit.

    Dense, without energies as variables: SoC bounds are sums of what came before; an EV always
    shares its time between charging and discharging.
    """
    fleet, hours = model.fleet, model.clock.n_hours
    steps = hours * 60 // step_min
    base, price = 1e3 * model.grid.base_mw[:, 0], model.grid.hourly_price
    per_h, per_window = 60 // step_min, metric_min // step_min
    base = np.repeat(base, 60 // metric_min)
    width = 2 * fleet.n * steps + 1
    rows, most, upper = [], [], np.zeros(width)
    upper[-1] = np.inf
    demand = np.zeros((len(base), width))
    cost = np.zeros(width)
    for i in range(fleet.n):
        capacity, eta = fleet.capacity_kwh[i], fleet.efficiency[i]
        stored, target = fleet.soc_arrival[i] * capacity, fleet.soc_target[i] * capacity
        running = np.zeros(width)
        for t in range(steps):
            c, d = 2 * (i * steps + t), 2 * (i * steps + t) + 1
            begin = max(fleet.arrival_min[i], t * step_min)
            window = max(min(fleet.departure_min[i], (t + 1) * step_min) - begin, 0) / 60
            upper[c] = window * fleet.p_max_kw[i]
            upper[d] = window * fleet.p_discharge_kw[i]
            running[c], running[d] = eta, -1 / eta
            kw = 60 / metric_min
            demand[t // per_window, c], demand[t // per_window, d] = kw, -kw
            cost[c] = price[t // per_h]
            cost[d] = -model.grid.sale_ratio * price[t // per_h]
            if window:
                shared = np.zeros(width)
                shared[c], shared[d] = 1 / fleet.p_max_kw[i], 1 / fleet.p_discharge_kw[i]
                rows += [running.copy(), -running, shared]
                most += [capacity - stored, stored - 0.2 * capacity, window]
        rows.append(-running)
        most.append(stored - target)
    plugged = np.flatnonzero(model.results.record.plugged_in(metric_min)[:, 0])
    demand[:, -1] = -1
    rows, most = np.vstack([*rows, demand[plugged]]), np.concatenate([most, -base[plugged]])
    peak = np.zeros(width)
    peak[-1] = 1

    def solved(objective, top):
        bounds = np.column_stack([np.zeros(width), np.append(upper[:-1], top)])
        found = scipy.optimize.linprog(objective, rows, most, bounds=bounds, method="highs-ds")
        assert found.status == 0
        return found.fun

    least = solved(peak, np.inf)
    return least, solved(cost, least * (1 + 1e-7)), solved(cost, np.inf)


THREE = (
    ev("a", 1, 470, 1195, 40.0, 0.3, 0.8),
    ev("b", 4, 545.5, 1100, 30.0, 0.55, 0.85, p_max_kw=3.0, p_discharge_kw=4.0),
    ev("c", 9, 610, 1260, 45.0, 0.7, 0.8, efficiency=0.85),
)


@pytest.mark.parametrize("sale_ratio", [0.6, 1.5])
@pytest.mark.parametrize("cheap", [0.05, -0.2])
@pytest.mark.parametrize(("step_min", "metric_min"), [(15, 15), (15, 60), (30, 60)])
def test_a_second_formulation_finds_the_same(tmp_path, sale_ratio, cheap, step_min, metric_min):
    price = np.where(np.arange(24) % 5 == 0, cheap, 0.1 + 0.01 * np.arange(24))
    scen = scenario(
        *THREE,
        tariff={"prices": priced(tmp_path, price), "sale_ratio": sale_ratio},
        **TINY,
        ev={"efficiency": 0.9},
    )
    least, at_least, free = second_opinion(run(scen), step_min, metric_min)
    grain = {"step_min": step_min, "metric_min": metric_min}
    found, cheapest = optimum(scen, **grain), optimum(scen, "cost", **grain)
    peak = "plugged_peak_15min_mw" if metric_min == 15 else "plugged_peak_mw"
    assert found.feeders[0].lowest_peak_mw == pytest.approx(least / 1e3, rel=1e-7)
    assert found.results.kpis[peak] == pytest.approx(least / 1e3, rel=1e-6)
    assert found.results.kpis["net_cost_usd"] == pytest.approx(at_least, rel=1e-5, abs=1e-6)
    assert cheapest.results.kpis["net_cost_usd"] == pytest.approx(free, rel=1e-7, abs=1e-7)


# --- it bounds the runs ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    return small_paper(**BALANCED, ev={"efficiency": 0.9}, seed=4)


@pytest.fixture(scope="module")
def least(small):
    return optimum(small)


def test_no_strategy_that_leaves_nobody_short_has_a_lower_peak_or_cost(small, least):
    cheapest = optimum(small, "cost").results.kpis["net_cost_usd"]
    bounded = 0
    for strategy in CONNECTED:
        kpis = run(small.override(strategy=strategy)).results.kpis
        if kpis["energy_short_kwh"] < 1e-6:
            bounded += 1
            assert (
                least.results.kpis["plugged_peak_15min_mw"] <= kpis["plugged_peak_15min_mw"] * ROOM
            ), strategy
            assert cheapest <= kpis["net_cost_usd"] + 1e-6, strategy
    assert bounded >= 3


def test_of_hourly_peaks_the_step_changes_neither_peak_nor_cost(small, least):
    # Constant power within a step is a schedule of any finer step, and means of a finer schedule
    # are one of the coarser.
    finer, coarser = (optimum(small, step_min=step, metric_min=60) for step in (15, 30))
    assert finer.feeders[0].size["columns"] > 1.8 * coarser.feeders[0].size["columns"]
    for kpi in ("plugged_peak_mw", "net_cost_usd"):
        assert finer.results.kpis[kpi] == pytest.approx(coarser.results.kpis[kpi], rel=1e-6)
    # By the hour it hides what it does within one.
    assert coarser.results.kpis["plugged_peak_mw"] <= least.results.kpis["plugged_peak_mw"]
    of_15, at_15 = (found.results.kpis["plugged_peak_15min_mw"] for found in (coarser, least))
    assert of_15 >= at_15 * (1 - 1e-9)


@pytest.mark.parametrize("step_s", [40, 720, 1200])
@pytest.mark.parametrize("metric_min", [15, 60])
def test_the_replay_has_the_peak_that_was_found_at_steps_that_straddle(small, step_s, metric_min):
    scen = small.override({"clock.step_s": step_s, "base_load.interpolation": "linear"})
    found = optimum(scen, metric_min=metric_min)
    kpi = {15: "plugged_peak_15min_mw", 60: "plugged_peak_mw"}[metric_min]
    (feeder,) = found.feeders
    assert found.results.kpis[kpi] == pytest.approx(feeder.lowest_peak_mw, rel=2e-7)
    assert found.results.kpis["evs_short"] == 0
    # A run of such steps is not below it.
    kpis = run(scen.override(strategy="coordinated")).results.kpis
    assert kpis["energy_short_kwh"] < 1e-6
    assert kpis[kpi] >= feeder.lowest_peak_mw * (1 - 1e-6)


def test_foresight_at_the_peak_of_a_strategy_is_the_lowest_cost_under_that_limit(small):
    felt = small.override({"base_load.scale": 0.05, "grid.demand_limit_mw": 0.17})
    least = optimum(felt)
    names = ("none", "uncoordinated", "evms_immediate", "coordinated")
    runs = {name: run_once(felt.override(strategy=name)) for name in names}
    # Whoever leaves EVs short pays for less than the bound.
    runs["short"] = run_once(felt.override({"requirement.kind": "as_printed"}, strategy="evms"))
    found = foresight_costs(runs, least)
    assert sorted(found) == ["coordinated", "evms_immediate", "uncoordinated"]
    for name, usd in found.items():
        kpis = runs[name].results.kpis
        wanted = optimum(felt, "cost", limit_mw=kpis["plugged_peak_15min_mw"])
        assert usd == pytest.approx(wanted.results.kpis["net_cost_usd"], rel=1e-5)
        assert usd < kpis["net_cost_usd"]
    assert found["coordinated"] > 1.01 * found["uncoordinated"]
    table = comparison_table(runs, least, found).set_index("strategy")["foresight_cost_usd"]
    assert table["bound"] == least.results.kpis["net_cost_usd"]
    assert table.isna().tolist() == [True, False, False, False, True, False]


def test_the_limit_trades_peak_against_cost(small):
    # By the hour: within a quarter of one these few EVs have nothing to trade.
    hourly = {"step_min": 30, "metric_min": 60}
    least = optimum(small, **hourly)
    lowest = least.feeders[0].lowest_peak_mw
    free = optimum(small, "cost", **hourly).results.kpis
    costs = [free["net_cost_usd"]]
    for limit in (free["plugged_peak_mw"], (lowest + free["plugged_peak_mw"]) / 2, lowest * ROOM):
        kpis = optimum(small, "cost", limit_mw=limit, **hourly).results.kpis
        assert kpis["plugged_peak_mw"] <= limit * ROOM
        costs.append(kpis["net_cost_usd"])
    assert costs[0] == pytest.approx(costs[1], abs=1e-6)
    assert costs[1] <= costs[2] + 1e-6
    assert costs[2] < costs[3]
    assert costs[3] == pytest.approx(least.results.kpis["net_cost_usd"], rel=1e-3)


def test_the_same_evs_with_the_keys_of_a_run(small, least):
    results = run(small).results
    assert list(results.kpis) == list(least.results.kpis)
    assert list(results.ev.columns) == list(least.results.ev.columns)
    given = ["zone", "arrival_min", "departure_min", "capacity_kwh", "soc_arrival", "soc_target"]
    pd.testing.assert_frame_equal(results.ev[given], least.results.ev[given])
    assert (results.record.plugged_peak == least.results.record.plugged_peak).all()
    # Whatever the scenario's strategy: the bound does not read it.
    none = optimum(small.override(strategy="none"))
    assert same(none.results.record.zone_mw, least.results.record.zone_mw)
    assert none.results.record.scenario.strategy == "none"


def test_the_same_bytes_again(small, least):
    again = optimum(small)
    for name in ("zone_charge_mw", "zone_discharge_mw", "minute_charge_kw"):
        assert same(getattr(again.results.record, name), getattr(least.results.record, name))


def test_what_runs_while_it_is_solved_and_the_bound_leave_each_other_alone(small, least):
    """Strategies in the foreground, HiGHS in a thread: the bytes of each on its own."""
    runs, solver, called = [], threading.Event(), []

    class Seen(highspy.Highs):
        def __init__(self):
            called.append(threading.current_thread() is threading.main_thread())
            solver.set()
            super().__init__()

    def meanwhile():
        assert solver.wait(timeout=60)
        runs.append(run(small.override(strategy="evms")))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(highspy, "Highs", Seen)
        again = optimum(small, meanwhile=meanwhile)
    assert called == [False, False]
    for name in ("zone_charge_mw", "zone_discharge_mw", "minute_charge_kw"):
        assert same(getattr(again.results.record, name), getattr(least.results.record, name))
    alone = run(small.override(strategy="evms")).results
    assert runs[0].results.kpis == alone.kpis
    assert same(runs[0].results.record.zone_charge_mw, alone.record.zone_charge_mw)


def test_each_feeder_is_solved_on_its_own(small):
    fields = {"fleet.evs_per_zone": 1, "record.zone_minute": True}
    city = optimum(small.override({**fields, "feeder.copies": 2}))
    for k, seed in enumerate(feeder_seeds(small.seed, 2)):
        alone = optimum(small.override(fields, seed=seed))
        own = city.results.of(k)
        assert same(own.record.zone_mw, alone.results.record.zone_mw)
        assert own.kpis == alone.results.kpis
        assert city.feeders[k].lowest_peak_mw == alone.feeders[0].lowest_peak_mw


# --- physics -----------------------------------------------------------------------------------

WAYS = ("charge", "discharge")


@pytest.mark.parametrize("step_s", [60, 45, 1200, 3600])
@pytest.mark.parametrize("price", [0.2, -0.2])
def test_energy_ratings_and_soc_hold_in_every_step(tmp_path, step_s, price):
    # Each alone in its zone, so that the minutes of the zone are its own.
    alone = [
        *THREE,
        ev("early", 2, 0, 61.25, 40.0, 0.9, 0.5),
        ev("low", 3, 900, 1320, 40.0, 0.05, 0.8),
        ev("full", 5, 1000, 1440, 40.0, 1.0, 0.7),
    ]
    scen = scenario(
        *alone,
        clock={"step_s": step_s},
        tariff={"prices": priced(tmp_path, np.full(24, price))},
        **TINY,
    )
    found = optimum(scen)
    kpis = found.results.kpis
    assert kpis["energy_balance_error_kwh"] < 1e-9
    assert kpis["energy_short_kwh"] < 1e-6
    assert kpis["evs_still_plugged"] == 0
    lowest = found.feeders[0].lowest_peak_mw
    assert kpis["plugged_peak_15min_mw"] == pytest.approx(lowest, rel=1e-6)
    # A power that changes within a step would be a mean of before and after.
    step_s = found.results.record.scenario.clock.step_s
    assert 900 % step_s == 0
    bought = found.results.ev["purchase_usd"].sum()
    assert bought == pytest.approx(price * 1e3 * kpis["ev_charged_mwh"], rel=1e-9)

    begin = np.arange(86400 // step_s) * step_s / 60
    zones = found.results.zone_minute
    for one in found.results.ev.to_dict("records"):
        power = zones[zones["zone"] == one["zone"]]
        charged, discharged = (power[f"{way}_kw"].to_numpy() * step_s / 3600 for way in WAYS)
        there = np.minimum(begin + step_s / 60, one["departure_min"])
        window_h = np.maximum(there - np.maximum(begin, one["arrival_min"]), 0) / 60
        ratings = one["p_max_kw"], one["p_discharge_kw"]
        assert (charged >= 0).all()
        assert (discharged >= 0).all()
        assert (charged / ratings[0] + discharged / ratings[1] <= window_h * (1 + 1e-6)).all()
        eta, capacity = one["efficiency"], one["capacity_kwh"]
        soc = one["soc_arrival"] + np.cumsum(charged * eta - discharged / eta) / capacity
        assert soc.min() >= min(0.2, one["soc_arrival"]) - 1e-9
        assert soc.max() <= 1 + 1e-9
        assert soc[-1] == pytest.approx(one["soc_departure"], abs=1e-9)


def test_who_stays_beyond_the_horizon_can_still_reach_the_target():
    # Three hours after the end of the horizon: 3 x 5.4 x 0.9 kWh may wait until then.
    stays = ev(arrival=1000, departure=1440 + 180, soc=0.8, target=0.8)
    scen = scenario(stays, ev={"efficiency": 0.9}, tariff={"sale_ratio": 3.0}, **TINY)
    found = optimum(scen, "cost")
    (left,) = found.results.soc_departure
    assert left == pytest.approx(0.8 - 3 * 5.4 * 0.9 / 40)
    assert found.results.kpis["evs_still_plugged"] == 1
    assert found.results.kpis["evs_short"] == 0


def test_nobody_plugged_in_is_no_error():
    found = optimum(small_paper(fleet={"evs_per_zone": 0}))
    assert found.results.kpis["plugged_peak_15min_mw"] is None
    assert found.feeders[0].phases == {}


# --- out of reach ------------------------------------------------------------------------------


def test_evs_out_of_reach_are_named_and_get_the_most_they_can():
    slow = ev("slow", 3, 480, 600, 40.0, 0.2, 0.8)
    scen = scenario(ev("a"), slow, ev={"efficiency": 0.9}, **TINY)
    found = optimum(scen)
    reached = 0.2 * 40 + 2 * 5.4 * 0.9
    (row,) = found.unreachable.to_dict("records")
    assert (row["ev_id"], row["zone"], row["feeder"]) == ("slow", 3, 1)
    assert row["lacks_kwh"] == pytest.approx(0.8 * 40 - reached)
    assert row["soc_reachable"] == pytest.approx(reached / 40)
    assert found.results.kpis["evs_short"] == 1
    assert found.results.kpis["energy_short_kwh"] == pytest.approx(0.8 * 40 - reached)
    assert unreachable_lines(found.unreachable) == [
        "1 EV cannot reach its target even charging all the time: EV slow (zone 3) by 14.3 kWh."
    ]


def test_the_first_ten_are_named_and_the_others_counted():
    found = optimum(small_paper(ev={"charger_kw": 0.2}, fleet={"evs_per_zone": 1}, **BALANCED))
    (line,) = unreachable_lines(found.unreachable)
    assert len(found.unreachable) == found.results.kpis["evs_short"] == 15
    assert line.startswith("15 EVs cannot reach their target even charging all the time: EV 1 ")
    assert line.count(" kWh") == 10
    assert line.endswith("and 5 more.")
    assert len(found.summary()["unreachable"]) == 15


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"objective": "price"}, "--objective"),
        ({"step_min": 20}, "--step"),
        ({"metric_min": 30}, "15 or 60"),
        ({"step_min": 30}, "at most the 15 minutes"),
        ({"limit_mw": 3.0}, "only with --objective cost"),
        ({"objective": "cost", "limit_mw": float("nan")}, "a power above 0"),
        ({"objective": "cost", "limit_mw": -1.0}, "a power above 0"),
    ],
)
def test_arguments_that_cannot_be_meant(small, arguments, says):
    with pytest.raises(InputError, match=says):
        optimum(small, **arguments)


def test_the_solver_s_own_status_is_passed_on(small, monkeypatch):
    class Gone(highspy.Highs):
        def getModelStatus(self):  # noqa: N802 - HiGHS calls it so
            return highspy.HighsModelStatus.kSolveError

    monkeypatch.setattr(highspy, "Highs", Gone)
    with pytest.raises(OptimiserError, match="Solve error"):
        optimum(small)
    found, why_not = bound_beside(small)
    assert found is None
    assert "Solve error" in why_not


# --- the command -------------------------------------------------------------------------------


def call(*argv, code=0):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        assert main([str(a) for a in argv]) == code, err.getvalue()
    return SimpleNamespace(out=out.getvalue(), err=err.getvalue())


def test_the_command_leaves_a_run_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ("bound", "paper", "--set", "fleet.evs_per_zone=1")
    kpis = json.loads(call(*small, "--json", "--out", "here").out)
    one = call("run", "paper", "--set", "fleet.evs_per_zone=1", "--json", "--no-figures")
    assert list(kpis) == list(json.loads(one.out))
    (of_run,) = (tmp_path / "outputs").iterdir()
    files = {path.name for path in of_run.iterdir()} | {"bound.json", "figures", "report.html"}
    assert {path.name for path in (tmp_path / "here").iterdir()} == files
    assert json.loads((tmp_path / "here" / "manifest.json").read_text())["strategies"] == ["bound"]
    assert json.loads((tmp_path / "here" / "kpis.json").read_text()) == kpis
    assert (tmp_path / "here" / "figures" / "demand.png").is_file()
    said = call(*small, "--out", "there", "--no-figures").out
    assert "Optimal" in said
    assert "as_printed" in said
    lowest = json.loads((tmp_path / "here" / "bound.json").read_text())["feeders"][0]
    assert f"{lowest['lowest_peak_mw']:.3f} MW at the least" in said


def test_a_limit_below_what_is_possible_is_one_clear_error(tmp_path, monkeypatch, small, least):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(small.to_yaml(), encoding="utf-8")
    command = ("bound", path, "--objective", "cost", "--no-figures", "--out", "here", "--limit")
    said = call(*command, 1.5, code=2).err
    named = said.split("--limit = 1.5: at least ")[1].split(" MW, the lowest possible")[0]
    assert 0 <= float(named) - least.feeders[0].lowest_peak_mw < 2e-4
    assert not (tmp_path / "here").exists()
    call(*command, named)


def test_compare_puts_the_bound_last_with_the_gap_to_it(tmp_path, monkeypatch, small, least):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(small.to_yaml(), encoding="utf-8")
    command = ("compare", path, "--strategies", "none,uncoordinated")
    found = json.loads(call(*command, "--json", "--out", "a").out)
    assert list(found) == ["none", "uncoordinated", "bound"]
    lowest = least.results.kpis["plugged_peak_15min_mw"]
    gap = 100 * (found["uncoordinated"]["plugged_peak_15min_mw"] / lowest - 1)
    assert found["uncoordinated"]["gap_to_optimum_percent"] == pytest.approx(gap)
    assert found["none"]["gap_to_optimum_percent"] is None
    assert found["none"]["foresight_cost_usd"] is None
    assert found["uncoordinated"]["foresight_cost_usd"] < found["uncoordinated"]["net_cost_usd"]
    assert found["bound"] == least.results.kpis
    table = pd.read_csv(tmp_path / "a" / "comparison.csv").set_index("strategy")
    assert table.loc["uncoordinated", "gap_to_optimum_percent"] == pytest.approx(gap)
    assert table.loc["bound", "gap_to_optimum_percent"] == 0
    assert (tmp_path / "a" / "bound" / "bound.json").is_file()
    without = call(*command, "--no-bound", "--out", "b").out
    assert "optimum" not in without
    assert not (tmp_path / "b" / "bound").exists()
    pictures = [(tmp_path / name / "figures" / "demand.png").read_bytes() for name in "ab"]
    assert pictures[0] != pictures[1]


def test_where_the_bound_would_take_long_it_is_left_out_and_said_so(tmp_path, small):
    found, why_not = bound_beside(small.override({"feeder.copies": 2}))
    assert found is None
    assert "2 feeders" in why_not
    assert "bound" in why_not
    rows = [ev(f"ev{i}") for i in range(3001)]
    path = write_sessions(tmp_path / "many.csv", rows)
    found, why_not = bound_beside(small.override({"fleet.sessions": str(path)}))
    assert found is None
    assert "more than 3000 EVs" in why_not
    runs = {"none": run_once(small.override(strategy="none"))}
    assert "gap_to_optimum_percent" not in comparison_table(runs)
