"""Load flows finer than the hour, and base load between its hourly values."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import arrays, ev, run, same, scenario, small_paper

from abm import Results, Scenario, V2GModel
from abm.errors import InputError
from abm.grid import PowerFlow
from abm.grid.base_load import BaseLoad, LoadGroup
from abm.report.figures import pictures
from abm.report.run_figures import run_figures
from abm.report.terminal import print_kpis
from abm.results.flows import bus_load
from abm.scenario.series import Series
from abm.study import optimum
from abm.study.runs import run_city

FINER = (30, 15, 5, 1)
# Arrives at minute 427 and takes 12 kWh at 6 kW: through at minute 547.
ALONE = ev(zone=2, arrival=427, departure=900, capacity=24.0, soc=0.3, target=0.8)
AT_ONCE = {
    "strategy": "uncoordinated",
    "requirement": {"kind": "energy_balanced"},
    "ev": {"charger_kw": 6.0, "efficiency": 1.0},
}
LOAD_FLOW = ("max_loss_mw", "min_vm_pu", "max_vm_pu", "max_line_loading_percent")
WITH_THEM = ("max_loss_hour", "min_vm_bus", "min_vm_hour", "max_line_loading_line")


@pytest.fixture
def flat(tmp_path):
    """A profile that is the same all day."""
    rows = [f"{hour},0.8,0.8,0.8" for hour in range(24)]
    path = tmp_path / "flat.csv"
    path.write_text("\n".join(["hour,residential,industrial,commercial", *rows, ""]))
    return str(path)


def grid(minutes, **more):
    return {"grid": {"demand_limit_mw": 3.10, "flow_interval_min": minutes, **more}}


# --- by hand --------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize("minutes", FINER)
@pytest.mark.parametrize("how", ["steps", "linear"])
def test_one_ev_on_a_flat_load_by_hand(minutes, engine, how, flat):
    fields = grid(minutes) | AT_ONCE | {"clock": {"engine": engine}}
    fields |= {"base_load": {"profile": flat, "interpolation": how}}
    model = run(scenario(ALONE, **fields))
    feeder, record = model.grid.feeder, model.record
    begin = np.arange(0, 1440, minutes)
    charging = np.clip(547 - begin, 0, minutes) - np.clip(427 - begin, 0, minutes)
    load = np.repeat(0.8 * feeder.p_mw[None, :], len(begin), axis=0)
    load[:, feeder.zone_bus[1]] += 6e-3 * charging / minutes
    np.testing.assert_allclose(bus_load(record)[:, 0], load, rtol=1e-12)
    expected = model.grid.solver.solve(load, np.repeat(0.8 * feeder.q_mvar[None], len(begin), 0))
    np.testing.assert_allclose(model.results.flows.vm_pu, expected.vm_pu, atol=1e-12)
    kpis = model.results.kpis
    assert kpis["min_vm_pu"] == pytest.approx(expected.vm_pu.min(), abs=1e-12)
    assert kpis["max_loss_mw"] == pytest.approx(expected.loss_mw.max(), abs=1e-12)
    assert kpis["loss_energy_mwh"] == pytest.approx(expected.loss_mw.sum() * minutes / 60)


def test_the_minute_shows_what_the_hour_hides():
    at = {
        minutes: run(
            Scenario.load("paper_balanced").override(
                {"strategy": "uncoordinated", "grid.flow_interval_min": minutes}
            )
        ).results.kpis
        for minutes in (60, 15, 1)
    }
    assert at[1]["min_vm_pu"] < at[15]["min_vm_pu"] < at[60]["min_vm_pu"]
    assert at[1]["max_loss_mw"] > at[15]["max_loss_mw"] > at[60]["max_loss_mw"]
    same_everywhere = ("system_peak_mw", "peak_15min_mw", "net_cost_usd", "evs_short")
    assert all(at[1][name] == at[60][name] for name in same_everywhere)


# --- both engines, cities, workers, messages ------------------------------------------------------


@pytest.mark.parametrize("minutes", [15, 1])
@pytest.mark.parametrize("how", ["steps", "linear"])
def test_a_city_has_the_numbers_of_its_feeders_alone(minutes, how):
    base = small_paper(strategy="evms", base_load={"interpolation": how}, **grid(minutes))
    together = V2GModel(base, seed=[1, 2, 3]).run().results
    for k, seed in enumerate((1, 2, 3)):
        alone = V2GModel(base, seed=seed).run().results
        assert same(alone.record.flow_zone_mw, together.record.flow_zone_mw[:, [k]])
        assert same(alone.record.flows.vm_pu, together.record.flows.vm_pu[:, [k]])
        assert together.of(k).kpis == alone.kpis
        assert together.of(k).bus_hour.equals(alone.bus_hour)
        mine = together.hourly[together.hourly["feeder"] == k + 1].reset_index(drop=True)
        assert mine.drop(columns="feeder").equals(alone.hourly)


def test_several_workers_leave_the_same_bytes():
    base = small_paper(feeder={"copies": 3}, base_load={"interpolation": "linear"}, **grid(15))
    whole, parts = V2GModel(base).run().results, run_city(base, 2).results
    assert whole.kpis == parts.kpis
    for name in ("hourly", "bus_hour", "line_hour", "feeders"):
        assert getattr(whole, name).equals(getattr(parts, name)), name


@pytest.mark.parametrize("interval", [60, 15])
def test_what_is_broadcast_keeps_its_own_interval(interval):
    told = {"what": "net_with_losses", "interval_min": interval}

    def of(minutes):
        model = run(small_paper(strategy="evms", broadcast=told, **grid(minutes)))
        return {k: v for k, v in arrays(model).items() if k not in ("vm_pu", "loss_mw")}

    hour, quarter = of(60), of(15)
    # Solved in another batch, a voltage may differ in its last digit; a decision does not.
    assert [name for name in hour if not same(hour[name], quarter[name])] == []


# --- tables ---------------------------------------------------------------------------------------


def test_an_hour_is_made_of_its_load_flows():
    results = run(small_paper(strategy="uncoordinated", **grid(15))).results
    bus, line, hourly = results.bus_hour, results.line_hour, results.hourly
    assert (len(bus), len(line)) == (96 * 33, 96 * 32)
    assert bus["minute"].unique().tolist() == [0, 15, 30, 45]
    by_hour = bus.groupby("hour_index")
    assert hourly["min_vm_pu"].tolist() == by_hour["vm_pu"].min().tolist()
    worst = bus.loc[by_hour["vm_pu"].idxmin(), "bus"]
    assert hourly["min_vm_bus"].tolist() == worst.tolist()
    highest = line.groupby("hour_index")["loading_percent"].max()
    assert hourly["max_line_loading_percent"].tolist() == highest.tolist()
    loss = line.groupby("hour_index")["loss_mw"].sum() / 4
    assert hourly["loss_mw"].to_numpy() == pytest.approx(loss.to_numpy(), abs=1e-9)
    assert results.kpis["loss_energy_mwh"] == pytest.approx(hourly["loss_mw"].sum())
    assert results.days["loss_energy_mwh"].sum() == pytest.approx(hourly["loss_mw"].sum())
    assert results.days["min_vm_pu"].min() == hourly["min_vm_pu"].min()
    demand = bus.groupby("hour_index")["p_mw"].sum() / 4
    assert demand.to_numpy() == pytest.approx(hourly["total_mw"].to_numpy())


def test_an_hour_keeps_its_columns():
    results = run(small_paper()).results
    assert "minute" not in results.bus_hour
    assert results.record.flow_zone_mw is None
    assert isinstance(results.kpis["nonconverged_hours"], int)


def test_hours_outside_the_limits_are_counted_in_parts():
    results = run(small_paper(strategy="uncoordinated", **grid(5, vm_min_pu=0.92))).results
    bus = results.bus_hour
    below = (bus["vm_pu"] < 0.92).sum() / 12
    assert results.kpis["vm_below_bus_hours"] == below > 0
    assert isinstance(results.kpis["vm_below_bus_hours"], float)


# --- what did not converge ------------------------------------------------------------------------


def without(results, flow, k):
    """The results as if one load flow of a feeder had not converged."""
    record = results.record
    flows = {name: getattr(record.flows, name).copy() for name in vars(record.flows)}
    for values in flows.values():
        values[flow, k] = False if values.dtype == bool else np.nan
    return Results(replace(record, flows=PowerFlow(**flows)))


@pytest.mark.parametrize(("minutes", "hours"), [(60, 1), (15, 0.25)])
def test_the_worst_of_what_is_not_all_known_is_missing(minutes, hours):
    flow = 5 * 60 // minutes
    results = without(run(small_paper(strategy="uncoordinated", **grid(minutes))).results, flow, 0)
    kpis, hourly = results.kpis, results.hourly
    assert [name for name in (*LOAD_FLOW, *WITH_THEM) if kpis[name] is not None] == []
    assert kpis["max_mismatch_mva"] is None
    assert kpis["loss_energy_mwh"] is None
    assert kpis["nonconverged_hours"] == hours
    assert kpis["nonconverged_clock_hours"] == [17]
    for name in ("loss_mw", "min_vm_pu", "min_vm_bus", "max_line_loading_percent", "slack_p_mw"):
        assert hourly.index[hourly[name].isna()].tolist() == [5], name
    assert hourly.index[~hourly["converged"]].tolist() == [5]
    day = results.days.iloc[0]
    assert np.isnan(day["min_vm_pu"])
    assert day["nonconverged_hours"] == hours


def test_a_city_knows_no_worst_where_one_feeder_does_not():
    base = small_paper(strategy="uncoordinated", **grid(15))
    whole = V2GModel(base, seed=[1, 2, 3]).run().results
    results = without(whole, 7, 1)
    kpis = results.kpis
    missing = (*LOAD_FLOW, *WITH_THEM, "min_vm_feeder", "feeder_min_vm_pu_q50")
    assert [name for name in missing if kpis[name] is not None] == []
    assert [name for name in missing if whole.kpis[name] is None] == []
    assert kpis["soc_highest"] == whole.kpis["soc_highest"]
    assert kpis["nonconverged_hours"] == 0.25
    # The other feeders keep theirs.
    assert results.feeders["min_vm_pu"].isna().tolist() == [False, True, False]


def test_a_city_that_is_too_much_for_its_feeders_has_its_figures():
    base = small_paper(strategy="evms", base_load={"scale": 20.0}, feeder={"copies": 2})
    results = V2GModel(base).run().results
    assert results.kpis["nonconverged_hours"] == 48
    assert {name for name, _ in pictures(run_figures(results))} == {
        "figures/demand.png",
        "figures/spread.png",
    }


# --- base load between its hourly values ----------------------------------------------------------


def base_load_of(values, interpolation):
    values = np.asarray(values, dtype=np.float64)[:, None]
    # Two days from midnight.
    profile = Series(values, np.arange(-1, 49) % 24, 3600)
    group = LoadGroup(
        "customers",
        profile,
        1,
        np.zeros(1, np.int64),
        np.zeros((1, 1, 1), np.int64),
        np.ones((1, 1)),
        0.5 * np.ones((1, 1)),
        linear=interpolation == "linear",
    )
    return BaseLoad((group,))


def test_linear_by_hand():
    values = np.zeros(24)
    values[[0, 1, 23]] = 4.0, 8.0, 2.0
    linear = base_load_of(values, "linear")
    hours = linear.mean_mw(np.arange(24) * 3600, 3600)[:, 0]
    # An eighth of each neighbour and six of its own, across midnight too.
    assert hours[[22, 23, 0, 1, 2]].tolist() == [0.25, 2.0, 4.25, 6.5, 1.0]
    quarters = linear.mean_mw(np.arange(0, 7200, 900), 900)[:, 0]
    assert quarters.tolist() == [3.25, 3.75, 4.5, 5.5, 6.5, 7.5, 7.0, 5.0]
    # Days follow each other.
    assert linear.mean_mw(np.array([24 * 3600]), 900)[0, 0] == 3.25
    assert linear.mean_q_mvar(np.array([0]), 900).tolist() == [[[1.625]]]
    with pytest.raises(ValueError, match="divide an hour"):
        linear.mean_mw(np.array([0]), 7 * 60)


@pytest.mark.parametrize("how", ["steps", "linear"])
@pytest.mark.parametrize("window_s", [1, 60, 300, 720, 900, 1200, 1800, 3600])
def test_every_grain_has_the_same_mean_and_the_same_day(how, window_s):
    values = np.random.default_rng(1).random(24)
    base = base_load_of(values, how)
    found = base.mean_mw(np.arange(0, 86400, window_s), window_s)[:, 0]
    assert found.mean() == pytest.approx(values.mean(), rel=1e-12)
    if how == "steps":
        assert same(found, np.repeat(values, 3600 // window_s))
    hours = base.mean_mw(np.arange(24) * 3600, 3600)[:, 0]
    assert found.reshape(24, -1).mean(axis=1) == pytest.approx(hours, rel=1e-12)
    flat = base_load_of(np.full(24, 0.1), how)
    assert (flat.mean_mw(np.arange(0, 86400, window_s), window_s) == 0.1).all()


def test_a_run_has_it_at_every_grain():
    steps, linear = (
        run(small_paper(base_load={"interpolation": how}, **grid(15))).results
        for how in ("steps", "linear")
    )
    record = linear.record
    (base,) = steps.record.base.groups
    multiplier = (base.p_mw[0] * base.series.values[:, base.column[0, 0]]).sum(axis=1)
    around = np.roll(multiplier, 1) + 6 * multiplier + np.roll(multiplier, -1)
    assert linear.base_mw == pytest.approx((around / 8)[linear.clock_hours], rel=1e-12)
    jumps = [np.abs(np.diff(r.record.base_demand_mw(15), axis=0)).max() for r in (linear, steps)]
    assert jumps[0] < jumps[1]
    assert record.demand_mw(15)[:, 0] == pytest.approx(bus_load(record)[:, 0].sum(axis=1))
    assert linear.kpis["base_energy_mwh"] == pytest.approx(steps.kpis["base_energy_mwh"])
    assert linear.total_mw.max() < steps.total_mw.max()


def test_a_message_has_the_mean_of_its_interval_and_a_forecast_that_of_its_hour():
    told = {"interval_min": 15, "what": "base"}
    model = V2GModel(small_paper(base_load={"interpolation": "linear"}, broadcast=told))
    expected = model.grid.base.mean_mw(np.arange(0, 86400, 900), 900)[:, 0]
    heard = []
    while not model.clock.finished:
        model.step()
        if (model.minute - 1) % 15 == 0:
            heard.append(float(model.broadcast.demand_mw[0]))
    assert heard == expected.tolist()
    hours = model.grid.base.mean_mw(np.arange(24) * 3600, 3600)[:, 0]
    ahead = model.grid.outlook.day_ahead_mw[:, 0]
    assert ahead.tolist() == hours.tolist()


@pytest.mark.parametrize("metric", [15, 60])
def test_the_bound_stands_on_the_same_base_load(metric):
    base = small_paper(base_load={"interpolation": "linear"}, strategy="coordinated")
    bound = optimum(base, metric_min=metric)
    record = bound.results.record
    there = record.plugged_in(metric)[:, 0]
    replayed = record.demand_mw(metric)[there, 0].max()
    assert replayed == pytest.approx(bound.feeders[0].lowest_peak_mw, abs=1e-5)


# --- the scenario and the terminal ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "field", "allowed"),
    [
        (["grid.flow_interval_min=1", "clock.step_s=300"], "grid.flow_interval_min", "300 s"),
        (["grid.flow_interval_min=7"], "grid.flow_interval_min", "one of: 1, 5, 10, 15, 30, 60"),
        (["base_load.interpolation=cubic"], "base_load.interpolation", "one of: steps, linear"),
    ],
)
def test_what_cannot_be_is_refused(settings, field, allowed):
    with pytest.raises(InputError) as caught:
        Scenario.load("paper", settings=settings)
    (problem,) = caught.value.problems
    assert problem.field == field
    assert allowed in problem.allowed


@pytest.mark.parametrize(("minutes", "said"), [(60, "hourly means"), (15, "15 min means")])
def test_a_voltage_says_its_grain(minutes, said, capsys):
    results = run(small_paper(**grid(minutes))).results
    print_kpis("run", results.kpis, flow_min=minutes)
    shown = capsys.readouterr().out
    for label in ("Lowest voltage", "Losses", "Largest loss", "Highest line loading"):
        assert f"{label} ({said})" in shown
