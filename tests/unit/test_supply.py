"""PV and batteries of the zones: balances by hand, bounds, messages, both engines, errors."""

import shutil
import sys

import numpy as np
import pytest
from helpers import CONNECTED, ev, run, same, scenario, small_paper
from hypothesis import given, settings
from hypothesis import strategies as st

from abm import Scenario, V2GModel
from abm.equations.storage import storage_power, stored_after
from abm.errors import InputError
from abm.grid import build_feeder, make_solver
from abm.grid.curtailment import solve_curtailed
from abm.report.figures import pictures
from abm.report.run_figures import run_figures
from abm.report.supply_figure import balance_figure
from abm.report.terminal import print_kpis
from abm.results.claim import new_folder
from abm.results.folder import write_run
from abm.scenario.names import shipped_files
from abm.study.bound import optimum
from abm.study.compare import bound_left_out, gap_percent
from abm.study.runs import run_city

BOTH = {"pv": {"kwp_per_zone": 150.0}, "storage": {"kwh_per_zone": 120.0}}


def yields(folder, of_hour):
    """A file of what PV yields: these hours, else nothing."""
    rows = [f"{hour},{of_hour.get(hour, 0.0)}" for hour in range(24)]
    path = folder / "sun.csv"
    path.write_text("\n".join(["hour,pv [kW/kWp]", *rows, ""]), encoding="utf-8")
    return str(path)


def balance_of(results):
    table = results.zone_balance
    net = table["load_kw"] + table["ev_kw"] + table["battery_kw"] - table["pv_kw"]
    return np.abs(net - (table["import_kw"] - table["export_kw"])).max()


def test_a_day_of_one_zone_by_hand(tmp_path):
    """One EV, 10 kWp, 20 kWh at 0.4 kW/kWh and 0.9 each way, and no household; steps of an hour."""
    one = ev(zone=1, arrival=180, departure=1200, capacity=40.0, soc=0.3, target=0.4)
    studied = scenario(
        one,
        folder=tmp_path,
        strategy="uncoordinated",
        requirement={"kind": "energy_balanced"},
        clock={"step_s": 3600},
        base_load={"scale": 0.0},
        pv={"kwp_per_zone": 10.0, "zones": [1], "series": yields(tmp_path, {12: 1.0, 13: 0.5})},
        storage={"kwh_per_zone": 20.0, "zones": [1], "kw_per_kwh": 0.4, "efficiency": 0.9},
    )
    results = run(studied).results
    table = results.zone_balance.query("zone == 1").reset_index(drop=True)
    # 12 h: 10 kW, of which the battery takes its 8; 13 h: 5 kW, of which 2.8 kWh / 0.9 fit in;
    # 15 h: the EV takes 4 kWh / 0.98, all of it from the battery.
    drawn = 4.0 / 0.98
    assert table["battery_kw"][:4].tolist() == pytest.approx([8.0, 2.8 / 0.9, 0.0, -drawn])
    assert table["stored_kwh"][:4].tolist() == pytest.approx([17.2, 20.0, 20.0, 20.0 - drawn / 0.9])
    assert table["export_kw"][:4].tolist() == pytest.approx([2.0, 5.0 - 2.8 / 0.9, 0.0, 0.0])
    assert table["import_kw"].max() == pytest.approx(0.0, abs=1e-12)
    kpis, out = results.kpis, 7.0 - 2.8 / 0.9
    assert kpis["pv_mwh"] == pytest.approx(15e-3)
    assert kpis["zone_export_mwh"] == pytest.approx(out * 1e-3)
    assert kpis["self_consumption"] == pytest.approx(1.0 - out / 15.0)
    assert kpis["self_sufficiency"] == pytest.approx(1.0)
    assert kpis["zone_demand_mwh"] == pytest.approx(drawn * 1e-3)
    assert kpis["storage_balance_error_kwh"] < 1e-9
    assert kpis["reverse_flow_hours"] == 2
    assert results.total_mw[:4].tolist() == pytest.approx([-2e-3, -out * 1e-3 + 2e-3, 0.0, 0.0])


def test_half_an_hour_of_sun_and_half_of_load_is_import_and_export(tmp_path):
    """By the minute; over the hour they would cancel."""
    one = ev(zone=1, arrival=30, departure=1200, capacity=40.0, soc=0.3, target=0.9)
    studied = scenario(
        one,
        folder=tmp_path,
        strategy="uncoordinated",
        base_load={"scale": 0.0},
        pv={"kwp_per_zone": 2.7, "zones": [1], "series": yields(tmp_path, {12: 1.0})},
    )
    first = run(studied).results.zone_balance.query("zone == 1").iloc[0]
    assert first["ev_kw"] == pytest.approx(2.7)
    assert first["import_kw"] == pytest.approx(1.35)
    assert first["export_kw"] == pytest.approx(1.35)


def test_the_band_fills_from_the_grid_and_shaves(tmp_path):
    one = ev(zone=2, arrival=120, departure=1200, capacity=80.0, soc=0.2, target=0.9)
    band = {"rule": "band", "charge_below_kw": 2.0, "discharge_above_kw": 3.0}
    studied = scenario(
        one,
        folder=tmp_path,
        strategy="uncoordinated",
        base_load={"scale": 0.0},
        storage={"kwh_per_zone": 30.0, "zones": [2], "efficiency": 1.0, "soc_start": 0.4, **band},
    )
    table = run(studied).results.zone_balance.query("zone == 2").reset_index(drop=True)
    assert table["import_kw"][:5].tolist() == pytest.approx([2.0, 2.0, 3.0, 3.0, 3.0])
    assert table["battery_kw"][:3].tolist() == pytest.approx([2.0, 2.0, 3.0 - 5.4])


powers = st.floats(-500.0, 500.0)


@given(
    net=st.lists(powers, min_size=1, max_size=30),
    capacity=st.floats(0.0, 300.0),
    rate=st.floats(0.01, 5.0),
    efficiency=st.floats(0.5, 1.0),
    bounds=st.tuples(st.floats(0.0, 0.4), st.floats(0.4, 1.0)),
    below=st.floats(-50.0, 50.0),
    width=st.floats(0.0, 50.0),
    hours=st.sampled_from([1 / 60, 0.25, 1.0]),
)
@settings(max_examples=200)
def test_a_battery_stays_in_its_bounds_and_loses_nothing(
    net, capacity, rate, efficiency, bounds, below, width, hours
):
    low, high = (np.array([capacity * soc]) for soc in bounds)
    stored, moved = (low + high) / 2.0, 0.0
    began = stored.copy()
    for one in net:
        power = np.array([one])
        room, ready = high - stored, stored - low
        charge, discharge = storage_power(
            power, below, below + width, np.array([rate * capacity]), room, ready, efficiency, hours
        )
        assert charge[0] >= 0.0
        assert discharge[0] >= 0.0
        assert charge[0] * discharge[0] == 0.0
        assert max(charge[0], discharge[0]) <= rate * capacity
        after = power + charge - discharge
        if charge[0] > 0.0:
            assert after[0] <= below + 1e-9
        if discharge[0] > 0.0:
            assert after[0] >= below + width - 1e-9
        stored = stored_after(stored, charge, discharge, efficiency, hours)
        assert low[0] - 1e-9 <= stored[0] <= high[0] + 1e-9
        moved += (efficiency * charge[0] - discharge[0] / efficiency) * hours
    assert stored[0] - began[0] == pytest.approx(moved, abs=1e-9)


@pytest.mark.parametrize("strategy", CONNECTED)
@pytest.mark.parametrize("rule", ["self_consumption", "band"])
def test_energy_is_kept_under_every_strategy(strategy, rule):
    studied = small_paper(
        strategy=strategy,
        requirement={"kind": "energy_balanced"},
        pv={"kwp_per_zone": 200.0},
        storage={
            "kwh_per_zone": 90.0, "efficiency": 0.93, "soc_min": 0.2, "soc_max": 0.9, "rule": rule,
            "charge_below_kw": 20.0, "discharge_above_kw": 60.0,
        },
        grid={"flow_interval_min": 30, "demand_limit_mw": 3.1},
    )  # fmt: skip
    results = run(studied).results
    kpis, record, table = results.kpis, results.record, results.zone_balance
    assert kpis["storage_balance_error_kwh"] < 1e-6
    assert kpis["energy_balance_error_kwh"] < 1e-6
    assert table["stored_kwh"].between(0.2 * 90.0, 0.9 * 90.0).all()
    assert table["stored_kwh"].max() == 0.9 * 90.0
    assert table["battery_kw"].abs().max() <= 45.0
    assert balance_of(results) < 1e-6
    # What comes out of the substation is what the feeder takes, and the losses.
    supplied = record.flows.slack_p_mw - record.flows.loss_mw
    np.testing.assert_allclose(supplied[:, 0], record.demand_mw(30.0)[:, 0], atol=1e-9)
    demand = record.base.mean_p_mw(record.begin_s(3600), 3600)[:, 0, record.feeder.zone_bus].sum()
    assert kpis["zone_demand_mwh"] == pytest.approx(demand + kpis["ev_charged_mwh"])
    net = kpis["zone_import_mwh"] - kpis["zone_export_mwh"]
    stored = kpis["storage_charged_mwh"] - kpis["storage_discharged_mwh"]
    gave = kpis["pv_mwh"] + kpis["ev_discharged_mwh"]
    assert net == pytest.approx(kpis["zone_demand_mwh"] + stored - gave)
    assert kpis["feeder_energy_mwh"] == pytest.approx(
        kpis["base_energy_mwh"] + kpis["ev_charged_mwh"] + stored - gave
    )
    assert 0.0 < kpis["self_consumption"] <= 1.0
    assert kpis["pv_used_mwh"] + kpis["zone_export_mwh"] >= kpis["pv_mwh"] - 1e-9


# --- messages, engines, cities -------------------------------------------------------------------


@pytest.mark.parametrize("what", ["base", "net", "net_with_losses"])
def test_what_is_broadcast_counts_pv_and_battery(what):
    studied = small_paper(broadcast={"what": what, "interval_min": 15}, **BOTH)
    model = V2GModel(studied)
    heard = []
    while not model.clock.finished:
        model.step()
        if model.clock.step % 15 == 1:
            heard.append((model.broadcast.demand_mw[0], model.broadcast.base_mw[0]))
    record = model.record
    load, pv = record.base_demand_mw(15.0)[:, 0], record.supply.pv_kw_per_kwp
    pv = pv.reshape(-1, 15).mean(axis=1) * 150.0 * 15 / 1e3
    battery = record.supply.battery_kw[:, 0].reshape(-1, 15).mean(axis=1) / 1e3
    evs = record.ev_power_mw(15.0)[:, 0]
    wanted = load - pv
    without_evs = wanted.copy()
    if what != "base":
        wanted[1:] += evs[:-1] + battery[:-1]
    demand, base = np.array(heard).T
    if what == "net_with_losses":
        assert ((demand - wanted)[1:] > 0.0).all()
        assert (demand - wanted).max() < 0.4
        np.testing.assert_allclose(base, without_evs, atol=1e-9)
        return
    np.testing.assert_allclose(demand, wanted, atol=1e-9)
    np.testing.assert_allclose(base, without_evs, atol=1e-9)


def test_the_hours_of_the_table_add_up_and_have_the_headroom_that_is_broadcast():
    model = V2GModel(small_paper(**BOTH))
    heard = []
    while not model.clock.finished:
        model.step()
        if model.clock.step % 60 == 1:
            heard.append(model.broadcast.headroom_mw[0])
    table = model.results.hourly
    total = table["base_mw"] + table["ev_mw"] + table["supply_mw"]
    np.testing.assert_allclose(total, table["total_mw"], atol=1e-12)
    np.testing.assert_allclose(table["headroom_mw"], heard, atol=1e-12)
    assert "supply_mw" not in run(small_paper()).results.hourly


def test_the_forecast_is_less_the_pv():
    with_pv = V2GModel(small_paper(forecast={"noise": 0.1}, **BOTH)).grid.outlook
    without = V2GModel(small_paper(forecast={"noise": 0.1})).grid.outlook
    some = slice(3, 24)
    pv_mw = without.base_mw(2, some) - with_pv.base_mw(2, some)
    of_hour = Scenario(**BOTH).inputs.pv_yield.mean(np.arange(24) * 3600, 3600)[some]
    np.testing.assert_allclose(pv_mw, of_hour * 150.0 * 15 / 1e3, atol=1e-12)
    assert with_pv.metered_mw(0)[0] == pytest.approx(without.metered_mw(0)[0] - 0.7067 * 2.25)


def test_coordinated_charges_when_the_sun_is_there():
    """At work from eight to five: with PV the plan moves to noon, whatever the limit."""
    work = {
        "arrival": {"low": "7:00", "high": "9:00"},
        "departure": {"low": "16:00", "high": "18:00"},
        "evs_per_zone": 4,
    }
    clock = {"start": "6:00"}
    found = {}
    for kwp in (0.0, 250.0):
        studied = small_paper(
            strategy="coordinated",
            clock=clock,
            fleet=work,
            pv={"kwp_per_zone": kwp},
            requirement={"kind": "energy_balanced"},
        )
        results = run(studied).results
        assert results.kpis["evs_short"] == 0
        charged = results.record.zone_charge_mw.sum(axis=(1, 2))
        found[kwp] = (charged * (np.arange(24) + 6.5)).sum() / charged.sum()
        demand = results.total_mw[3:10]
        found[kwp, "spread"] = np.ptp(demand)
    assert 11.0 < found[250.0] < 13.5
    assert found[250.0, "spread"] > 0.0


ENGINES = [
    ({}, {}),
    ({"feeder": {"copies": 2}}, {"flow_interval_min": 15}),
    ({"broadcast": {"what": "net_with_losses", "interval_min": 15}}, {"flow_interval_min": 30}),
]


@pytest.mark.parametrize("strategy", ["evms", "coordinated"])
@pytest.mark.parametrize(("fields", "grid"), ENGINES)
def test_both_engines_leave_the_same_supply(strategy, fields, grid):
    grid = {"demand_limit_mw": 3.1, "vm_max_pu": 1.001, **grid}
    pv = {"pv": {"kwp_per_zone": 300.0}, "storage": {"kwh_per_zone": 60.0}}
    base = small_paper(strategy=strategy, grid=grid, **pv, **fields)
    one, other = (run(base.override({"clock.engine": e})).record for e in ("numpy", "compiled"))
    assert one.supply.curtailed_mw.max() > 0.0
    assert np.abs(one.supply.battery_kw).max() > 0.0
    for name in vars(one.supply):
        assert same(getattr(one.supply, name), getattr(other.supply, name)), name
    assert same(one.flows.vm_pu, other.flows.vm_pu)
    assert same(one.ev_kw, other.ev_kw)


def test_stepping_and_running_leave_the_same_supply():
    stepped = V2GModel(small_paper(**BOTH))
    for _ in range(stepped.clock.n_steps):
        stepped.step()
    ran = run(small_paper(**BOTH))
    assert same(stepped.record.supply.battery_kw, ran.record.supply.battery_kw)
    assert same(stepped.record.supply.stored_mwh, ran.record.supply.stored_mwh)


def test_a_city_is_its_feeders_whatever_the_workers():
    grid = {"demand_limit_mw": 3.1, "vm_max_pu": 1.0005}
    fields = {**BOTH, "grid": grid, "ev": {"volt_var": {}}, "pv": {"kwp_per_zone": 300.0}}
    base = small_paper(feeder={"copies": 3}, **fields)
    whole = run(base)
    assert whole.results.kpis["pv_curtailed_mwh"] > 0.0
    assert whole.results.kpis["ev_reactive_mvarh"] > 0.0
    parts = run_city(base, 2).results
    assert parts.kpis == whole.results.kpis
    assert parts.zone_balance.equals(whole.results.zone_balance)
    alone = run(small_paper(**fields), seed=whole.seeds[1])
    own = whole.results.of(1)
    assert own.kpis == alone.results.kpis
    kpis, columns = whole.results.kpis, whole.results.kpi_columns
    assert kpis["self_consumption"] == pytest.approx(
        columns["pv_used_mwh"].sum() / columns["pv_mwh"].sum()
    )
    assert min(columns["self_sufficiency"]) < kpis["self_sufficiency"]
    assert kpis["self_sufficiency"] < max(columns["self_sufficiency"])


def test_the_table_of_zones_has_each_ones_own():
    pv = {"kwp_per_zone": 150.0, "zones": [1, 3]}
    storage = {"kwh_per_zone": 120.0, "zones": [3]}
    results = run(small_paper(feeder={"copies": 2}, pv=pv, storage=storage)).results
    zones, balance = results.zones, results.zone_balance
    assert zones["pv_kwh"].gt(0.0).tolist() == ([True, False, True] + [False] * 12) * 2
    assert (
        zones["storage_charged_kwh"].gt(0.0).tolist() == ([False, False, True] + [False] * 12) * 2
    )
    assert zones["self_consumption"].isna().sum() == 26
    by_zone = balance.groupby(["feeder", "zone"])[["pv_kw", "import_kw", "export_kw"]].sum()
    kwh = zones[["pv_kwh", "zone_import_kwh", "zone_export_kwh"]]
    np.testing.assert_allclose(kwh, by_zone, rtol=1e-12)
    assert zones["pv_kwh"].sum() / 1e3 == pytest.approx(results.kpis["pv_mwh"])


def test_panels_and_batteries_by_the_customer(tmp_path):
    folder = tmp_path / "counted"
    shutil.copytree(shipped_files("feeders")["case33bw"], folder)
    text = (folder / "buses.csv").read_text(encoding="utf-8")
    head, *rows = (line for line in text.splitlines() if not line.startswith("#"))
    rows = [f"{row},{10 + i}" for i, row in enumerate(rows)]
    (folder / "buses.csv").write_text("\n".join([f"{head},customers", *rows, ""]), encoding="utf-8")
    studied = small_paper(
        grid={"feeder": str(folder), "demand_limit_mw": 3.1},
        pv={"kwp_per_zone": 1.0, "kwp_per_customer": 5.0, "zones": [2, 15]},
        storage={"kwh_per_customer": 2.0},
    )
    supply = run(studied).record.supply
    assert supply.kwp[[0, 1, 14]].tolist() == [0.0, 1.0 + 5.0 * 11, 1.0 + 5.0 * 24]
    assert supply.capacity_kwh.tolist() == [2.0 * (10 + i) for i in range(15)]


def test_a_folder_has_the_balance_where_there_is_one(tmp_path):
    for name, studied in (("plain", small_paper()), ("sunny", small_paper(**BOTH))):
        with new_folder(tmp_path / name) as folder:
            write_run(folder, run(studied).results)
    assert not (tmp_path / "plain" / "zone_balance.parquet").exists()
    assert (tmp_path / "sunny" / "zone_balance.parquet").is_file()
    again = Scenario.load(tmp_path / "sunny" / "scenario.yaml")
    assert again == small_paper(**BOTH)
    assert run(again).results.kpis["pv_mwh"] > 0.0


def test_without_pv_and_battery_nothing_is_kept():
    model = run(small_paper(feeder={"copies": 2}))
    assert model.grid.supply is None
    assert model.record.supply is None
    with pytest.raises(RuntimeError, match="not asked for"):
        model.meter.net_of_zones(0, 1)
    kpis = model.results.kpis
    assert kpis["pv_mwh"] == kpis["reverse_flow_hours"] == 0
    assert kpis["self_consumption"] is None


# --- curtailment ---------------------------------------------------------------------------------


def test_no_more_is_curtailed_than_the_limit_asks_for():
    feeder = build_feeder(Scenario().inputs.feeder)
    solver, rng = make_solver("power-grid-model", feeder), np.random.default_rng(5)
    factor = rng.uniform(0.0, 1.0, (30, 1))
    p, q = factor * feeder.p_mw, factor * feeder.q_mvar
    pv = rng.uniform(0.0, 1.0, (30, 15)) * rng.uniform(0.0, 1.2, (30, 1))
    p[:, feeder.zone_bus] -= pv

    def solve_with(q_mvar):
        return lambda rows, load: (solver.solve(load, q_mvar[rows]), np.zeros((len(rows), 15)))

    flow, _, cut = solve_curtailed(solve_with(q), feeder, p, pv, 1.03)
    vm_pu = flow.vm_pu[:, feeder.zone_bus]
    assert flow.converged.all()
    before = solver.solve(p, q).vm_pu[:, feeder.zone_bus]
    assert before.max() > 1.05
    assert ((vm_pu <= 1.03) | (cut == pv)).all()
    assert ((cut >= 0.0) & (cut <= pv)).all()
    # Who curtails is at the limit, and who is below it curtails nothing.
    assert (vm_pu[cut > 0.0] > 1.03 - 3e-6).all()
    assert (before[cut.sum(axis=1) == 0.0] <= 1.03).all()
    p[:, feeder.zone_bus] += cut
    assert same(flow.vm_pu, solver.solve(p, q).vm_pu)
    p[:, feeder.zone_bus] -= cut
    row = int(cut.sum(axis=1).argmax())
    alone, _, own = solve_curtailed(solve_with(q[[row]]), feeder, p[[row]], pv[[row]], 1.03)
    assert same(own[0], cut[row])
    assert same(alone.vm_pu[0], flow.vm_pu[row])


def test_a_bus_that_is_too_high_without_pv_gives_up_all_of_it():
    feeder = build_feeder(Scenario().inputs.feeder)
    solver = make_solver("power-grid-model", feeder)
    pv = np.full((1, 15), 0.01)
    p = feeder.p_mw[None] * 0.0
    p[:, feeder.zone_bus] -= pv

    def solve(rows, load):
        return solver.solve(load, 0.0 * load), np.zeros((len(rows), 15))

    flow, _, cut = solve_curtailed(solve, feeder, p, pv, 0.999)
    assert flow.converged.all()
    assert same(cut, pv)
    p[:] = 100.0  # and a row without solution curtails nothing
    flow, _, cut = solve_curtailed(solve, feeder, p, pv, 0.999)
    assert not flow.converged.any()
    assert not cut.any()


def test_curtailment_can_be_left_off_and_is_in_the_balance():
    grid = {"vm_max_pu": 1.001, "demand_limit_mw": 3.1}
    base = small_paper(pv={"kwp_per_zone": 300.0}, grid=grid)
    cut, free = run(base).results, run(base.override({"pv.curtail": False})).results
    assert free.kpis["pv_curtailed_mwh"] == 0.0
    assert cut.kpis["pv_curtailed_mwh"] > 0.5
    there = cut.kpis["pv_mwh"] + cut.kpis["pv_curtailed_mwh"]
    assert there == pytest.approx(free.kpis["pv_mwh"])
    assert balance_of(cut) < 1e-6
    zones = cut.record.feeder.zone_bus
    assert cut.record.flows.vm_pu[:, :, zones][cut.record.supply.pv_mw > 1e-9].max() <= 1.001
    assert free.record.flows.vm_pu[:, :, zones].max() > 1.0011
    assert free.kpis["reverse_flow_hours"] >= cut.kpis["reverse_flow_hours"]
    supplied = cut.record.flows.slack_p_mw - cut.record.flows.loss_mw
    np.testing.assert_allclose(supplied[:, 0], cut.total_mw, atol=1e-9)


# --- bad input -----------------------------------------------------------------------------------

PANELS = {"latitude": 26.92, "longitude": 75.79}
DATED = {"start_date": "2023-03-15", "timezone": "Asia/Kolkata"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"pv": {"kwp_per_zone": 1.0, "zones": [16]}}, "pv.zones"),
        ({"pv": {"kwp_per_zone": 1.0, "zones": [1, 1]}}, "pv.zones"),
        ({"pv": {"kwp_per_customer": 1.0}}, "pv.kwp_per_customer"),
        ({"storage": {"kwh_per_customer": 1.0}}, "storage.kwh_per_customer"),
        ({"storage": {"soc_min": 0.6, "soc_start": 0.5}}, "storage.soc_min"),
        ({"storage": {"soc_min": 0.6, "soc_max": 0.55, "soc_start": 0.6}}, "storage.soc_start"),
        (
            {"storage": {"charge_below_kw": 5.0, "discharge_above_kw": 4.0, "rule": "band"}},
            "storage.charge_below_kw",
        ),
        ({"pv": {"kwp_per_zone": 1.0, "series": "no_such"}}, "pv.series"),
        ({"pv": {"kwp_per_zone": 1.0, "panels": PANELS}}, "clock.start_date"),
        (
            {"pv": {"kwp_per_zone": 1.0, "panels": PANELS}, "clock": {"start_date": "2023-03-15"}},
            "clock.timezone",
        ),
        ({"pv": {"kwp_per_zone": 1.0, "irradiance": "x.csv"}}, "pv.irradiance"),
    ],
)
def test_what_cannot_be_is_refused(fields, field):
    with pytest.raises(InputError) as refused:
        Scenario(**fields)
    assert field in [problem.field for problem in refused.value.problems]


def test_a_file_in_kilowatts_is_no_yield(tmp_path):
    path = tmp_path / "sun.csv"
    rows = [f"{hour},{hour}" for hour in range(24)]
    path.write_text("\n".join(["hour,pv [kW]", *rows, ""]), encoding="utf-8")
    with pytest.raises(InputError, match="peak power"):
        Scenario(pv={"kwp_per_zone": 1.0, "series": str(path)})


def test_without_pvlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pvlib", None)
    with pytest.raises(InputError, match=r"evenfall\[pv\]"):
        Scenario(clock=DATED, pv={"kwp_per_zone": 1.0, "panels": PANELS})


# --- scenarios and figures ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["solar_homes", "workplace_noon"])
def test_shipped_scenarios_run_under_every_strategy(name):
    base = Scenario.load(name).override({"fleet.evs_per_zone": 2, "mpc.interval_min": 60})
    used = {}
    for strategy in ("none", *CONNECTED):
        results = run(base.override(strategy=strategy)).results
        kpis = results.kpis
        assert kpis["nonconverged_hours"] == 0
        assert kpis["storage_balance_error_kwh"] < 1e-6
        assert balance_of(results) < 1e-6
        used[strategy] = kpis["self_consumption"]
        if strategy in ("uncoordinated", "coordinated", "mpc"):
            assert kpis["evs_short"] == 0
    if name == "workplace_noon":
        assert used["coordinated"] > used["uncoordinated"] > used["none"]


@pytest.mark.parametrize(
    "more", [{}, {"feeder": {"copies": 2}}, {"horizon": {"days": 3}}, {"storage": {}}]
)
def test_a_run_with_pv_has_a_figure_of_its_balance(more):
    fields = {**BOTH, "grid": {"vm_max_pu": 1.001, "demand_limit_mw": 3.1}, **more}
    figures = dict(pictures(run_figures(run(small_paper(**fields)).results)))
    assert figures["figures/balance.png"].startswith(b"\x89PNG")
    assert "figures/balance.png" not in dict(pictures(run_figures(run(small_paper()).results)))


def test_both_sides_of_the_balance_are_equal():
    for grid in ({}, {"flow_interval_min": 15}):
        fig = balance_figure(
            "balance", run(small_paper(grid=grid | {"demand_limit_mw": 3.1}, **BOTH)).results
        )
        areas = [area.get_paths()[0].vertices[:, 1] for area in fig.axes[0].collections]
        top, bottom = max(y.max() for y in areas), min(y.min() for y in areas)
        assert top == pytest.approx(-bottom, abs=1e-9)


def test_pv_is_in_the_terminal_where_there_is_any(capsys):
    print_kpis("sunny", run(small_paper(**BOTH)).results.kpis)
    assert "used in its zone" in capsys.readouterr().out
    print_kpis("plain", run(small_paper()).results.kpis)
    assert "PV" not in capsys.readouterr().out


AT_NOON = {
    "arrival": {"low": "11:00", "high": "12:00"},
    "departure": {"low": "13:00", "high": "14:00"},
    "evs_per_zone": 1,
}


def test_the_bound_knows_pv_and_no_batteries():
    small = {"fleet": {"evs_per_zone": 1}, "pv": {"kwp_per_zone": 200.0}}
    with pytest.raises(InputError, match="battery"):
        optimum(small_paper(**small, storage={"kwh_per_zone": 10.0}))
    assert "battery" in bound_left_out(small_paper(storage={"kwh_per_zone": 10.0}))
    bound = optimum(small_paper(**small), step_min=30, metric_min=60)
    without = optimum(small_paper(fleet={"evs_per_zone": 1}), step_min=30, metric_min=60)
    found, dark = (one.feeders[0].peak_before_mw for one in (bound, without))
    assert found <= dark
    assert bound.results.kpis["pv_mwh"] > 10.0
    assert gap_percent(bound.results, bound.results) == 0.0
    fed = run(small_paper(pv={"kwp_per_zone": 5000.0}, fleet=AT_NOON, clock={"start": "6:00"}))
    assert fed.results.kpis["plugged_peak_15min_mw"] < 0.0
    assert gap_percent(fed.results, fed.results) is None
    # What is replayed is what was found.
    peak = bound.results.record.demand_mw(60.0)[:, 0][bound.results.record.plugged_peak[:, 0] > 0]
    assert peak.max() == pytest.approx(bound.feeders[0].lowest_peak_mw, rel=1e-6)
