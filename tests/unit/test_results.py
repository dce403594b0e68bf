"""Tables, KPIs and the folder of a run."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers import KINDS, ev, run, scenario, small_paper

from abm import Scenario
from abm.results import folder as store
from abm.results.kpis import hours_after_evening_peak
from abm.results.staging import OutputFolder

COLUMNS = {
    "hourly": "hour_index hour base_mw ev_mw total_mw loss_mw min_vm_pu price headroom_mw",
    "zone_minute": "minute zone p_kw",
    "ev": "ev_id zone arrival_min departure_min capacity_kwh soc_arrival soc_target soc_departure "
    "charged_kwh discharged_kwh purchase_usd sale_usd",
    "bus_hour": "hour_index hour bus vm_pu",
    "line_hour": "hour_index hour from_bus to_bus i_a loading_percent loss_mw",
    "zones": "zone bus evs charged_kwh discharged_kwh purchase_usd sale_usd evs_short",
}
ROWS = {
    "hourly": 24,
    "zone_minute": 1440 * 15,
    "ev": 30,
    "bus_hour": 24 * 33,
    "line_hour": 24 * 32,
    "zones": 15,
}
KPIS = """
    system_peak_mw system_peak_hour plugged_peak_mw feeder_energy_mwh max_loss_mw max_loss_hour
    loss_energy_mwh min_vm_pu min_vm_bus min_vm_hour ev_charged_mwh ev_discharged_mwh ev_peak_mw
    purchase_usd sale_usd net_cost_usd evs evs_short energy_short_kwh rebound_ratio
    nonconverged_hours
"""
CLOCK = [*range(12, 24), *range(12)]
VOLTAGE_KPIS = "max_loss_mw max_loss_hour min_vm_pu min_vm_bus min_vm_hour loss_energy_mwh"


@pytest.fixture(scope="module", params=["uncoordinated", "evms", "evms_herd"])
def results(request):
    return run(small_paper(strategy=request.param, requirement={"kind": "energy_balanced"})).results


@pytest.fixture(scope="module")
def overloaded():
    """400 EVs in each zone, each with 22 kW: more than the feeder can carry in some hours."""
    fields = {"fleet": {"evs_per_zone": 400}, "ev": {"charger_kw": 22}}
    return run(Scenario(strategy="uncoordinated", **fields)).results


@pytest.mark.parametrize("name", COLUMNS)
def test_tables_have_their_columns_and_rows(results, name):
    table = getattr(results, name)
    assert set(COLUMNS[name].split()) <= set(table.columns)
    assert len(table) == ROWS[name]
    assert not table.isna().any(axis=None)


def test_numbering_is_the_paper_s(results):
    assert results.hourly["hour"].tolist() == CLOCK
    assert results.hourly["hour_index"].tolist() == list(range(24))
    for name in ("bus_hour", "line_hour"):
        table = getattr(results, name)
        assert (table["hour"] == (table["hour_index"] + 12) % 24).all()
    assert sorted(results.bus_hour["bus"].unique()) == list(range(1, 34))
    assert sorted(results.zone_minute["zone"].unique()) == list(range(1, 16))
    assert results.zones["bus"].tolist() == list(range(1, 16))
    assert results.ev["ev_id"].tolist() == [str(i) for i in range(1, 31)]
    first = results.line_hour.iloc[0]
    assert (first["line"], first["from_bus"], first["to_bus"]) == (1, 1, 2)


def test_kpis_are_what_the_tables_say(results):
    kpis, hourly, evs = results.kpis, results.hourly, results.ev
    assert set(KPIS.split()) <= set(kpis)
    for name, column in (
        ("system_peak", "total_mw"),
        ("max_loss", "loss_mw"),
        ("ev_peak", "ev_mw"),
    ):
        top = hourly.loc[hourly[column].idxmax()]
        assert (kpis[f"{name}_mw"], kpis[f"{name}_hour"]) == (top[column], top["hour"])
    lowest = results.bus_hour.loc[results.bus_hour["vm_pu"].idxmin()]
    found = (kpis["min_vm_pu"], kpis["min_vm_bus"], kpis["min_vm_hour"])
    assert found == (lowest["vm_pu"], lowest["bus"], lowest["hour"])
    worst = hourly.loc[hourly["min_vm_pu"].idxmin()]
    assert (worst["min_vm_bus"], worst["hour"]) == (lowest["bus"], lowest["hour"])

    there = results.zone_minute.groupby("minute")["evs_plugged"].sum()
    hours_with_evs = np.unique(there.index[there > 0] // 60)
    assert kpis["plugged_peak_mw"] == hourly["total_mw"][hours_with_evs].max()
    # Base demand is at or above 3.10 MW from 18:00 to 23:00; what follows is 23:00 to 12:00.
    evening = hourly["base_mw"] >= 3.10
    last = hourly["hour_index"][evening & (hourly["hour"] > 14)].max()
    after = hourly["total_mw"][hourly["hour_index"] > last]
    assert kpis["rebound_ratio"] == pytest.approx(after.max() / 3.10)

    assert kpis["feeder_energy_mwh"] == pytest.approx(hourly["total_mw"].sum())
    assert kpis["loss_energy_mwh"] == pytest.approx(hourly["loss_mw"].sum())
    for way in ("charge", "discharge"):
        energy = results.zone_minute[f"{way}_kw"].sum() / 60e3
        assert kpis[f"ev_{way}d_mwh"] == pytest.approx(energy) == evs[f"{way}d_kwh"].sum() / 1e3
    missing = (evs["soc_target"] - evs["soc_departure"]) * evs["capacity_kwh"]
    assert kpis["energy_short_kwh"] == pytest.approx(missing.clip(lower=0).sum(), abs=1e-9)
    assert kpis["evs_short"] == (evs["soc_target"] - evs["soc_departure"] > 0.01 + 1e-9).sum()
    assert kpis["evs"] == 30
    assert kpis["nonconverged_hours"] == 0


def test_money_is_energy_times_the_price_of_its_hour(results):
    kpis, power = results.kpis, results.zone_minute
    price = results.hourly["price"].to_numpy()[power["minute"] // 60]
    bought = (power["charge_kw"] * price).sum() / 60
    sold = (power["discharge_kw"] * price).sum() / 60 * 0.6
    assert kpis["purchase_usd"] == pytest.approx(bought) == results.ev["purchase_usd"].sum()
    assert kpis["sale_usd"] == pytest.approx(sold, abs=1e-9)
    assert kpis["net_cost_usd"] == pytest.approx(bought - sold)
    per_zone = results.ev.groupby("zone")[["purchase_usd", "sale_usd", "charged_kwh"]].sum()
    for name in per_zone:
        assert results.zones[name].to_numpy() == pytest.approx(per_zone[name].to_numpy())


@pytest.mark.parametrize(
    ("base", "after"),
    [
        ([1, 2, 5, 4, 2, 1], [4, 5]),  # the peak goes on while demand is at or above 3
        ([1, 2, 5, 2, 4, 1], [3, 4, 5]),
        ([1, 2, 2.5, 1], [3]),  # never above: the highest hour alone
        ([1, 2, 5], []),
        ([1, 4, 5, 4, 3], [3, 4]),  # a run that never ends
        ([1, 5, *[2] * 16, 6e-1, 4, 1], [*range(2, 20)]),  # the next evening is another one
    ],
)
def test_what_counts_as_after_the_evening_peak(base, after):
    assert (
        hours_after_evening_peak(np.array(base, dtype=float), np.full(len(base), 3.0)).tolist()
        == after
    )


def test_who_leaves_short_and_by_how_much():
    evs = [
        ev("full", departure=1200),
        ev("brief", departure=540),  # 0.3 + 5.4 x 1 x 0.98 / 40 = 0.4323 of 0.8
        ev("nearly", soc=0.795, departure=481),  # 0.5 % below on arrival: within 1 %
        ev("stays", arrival=1430, departure=2000),
    ]
    balanced = {"requirement": {"kind": "energy_balanced"}}
    results = run(scenario(*evs, strategy="uncoordinated", **balanced)).results
    assert results.ev["short"].tolist() == [False, True, False, False]
    missing = results.ev["shortfall_kwh"].tolist()
    assert missing == pytest.approx([0, 40 * (0.8 - 0.4323), 40 * 0.005 - 0.09 * 0.98, 0], abs=1e-9)
    assert results.kpis["evs_short"] == 1
    assert results.kpis["evs_still_plugged"] == 1


def test_the_base_case_has_no_evs():
    results = run(Scenario(strategy="none")).results
    kpis = results.kpis
    assert len(results.ev) == kpis["evs"] == kpis["evs_short"] == kpis["ev_charged_mwh"] == 0
    assert kpis["plugged_peak_mw"] is None
    assert (results.zone_minute["p_kw"] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_constraints_are_counted(kind):
    # From 0.1 to 0.5 at 5.4 kW without losses: 20 kWh x 0.1 / 5.4 kW = 22.2 min below 0.2, of
    # which 22 end below; above 0.4 from minute 66.7 to the departure at 200, as printed (0.44)
    # from 66.7 too
    fields = {"ev": {"soc_lower": 0.2, "soc_upper": 0.4, "efficiency": 1.0}}
    row = ev(arrival=0, departure=200, capacity=20, soc=0.1, target=0.5)
    kpis = run(
        scenario(row, strategy="uncoordinated", requirement={"kind": kind}, **fields)
    ).results.kpis
    assert (kpis["soc_below_ev_minutes"], kpis["soc_above_ev_minutes"]) == (22, 200 - 66)
    assert kpis["soc_highest"] == pytest.approx(0.44 if kind == "as_printed" else 0.5)
    assert kpis["soc_lowest"] == 0.1


def test_bus_hours_and_line_hours_outside_are_counted(overloaded):
    kpis = overloaded.kpis
    bus, line = overloaded.bus_hour, overloaded.line_hour
    assert kpis["vm_below_bus_hours"] == (bus["vm_pu"] < 0.9).sum() > 0
    assert kpis["line_over_line_hours"] == (line["loading_percent"] > 100).sum() > 0
    # Hours without a solution are among them: what is highest of all is not known.
    assert kpis["max_line_loading_percent"] is None


def test_hours_that_do_not_converge_are_missing_and_the_run_goes_on(overloaded):
    hourly, kpis = overloaded.hourly, overloaded.kpis
    failed = ~hourly["converged"]
    assert kpis["nonconverged_hours"] == failed.sum() == 3
    assert kpis["nonconverged_clock_hours"] == hourly["hour"][failed].tolist()
    # After the hours that failed the day goes on to its end.
    assert hourly["converged"].iloc[-1]
    for name in ("loss_mw", "min_vm_pu", "min_vm_bus", "max_line_loading_percent", "slack_p_mw"):
        assert (hourly[name].isna() == failed).all(), name
    assert (overloaded.bus_hour.groupby("hour_index")["vm_pu"].count() == 33 * ~failed).all()
    assert kpis["loss_energy_mwh"] is None
    for name in ("max_loss_mw", "max_loss_hour", "min_vm_pu", "min_vm_hour", "max_vm_pu"):
        assert kpis[name] is None, name
    assert kpis["system_peak_mw"] == hourly["total_mw"].max()
    json.dumps(kpis, allow_nan=False)


def test_a_feeder_that_never_converges_has_no_voltages(tmp_path):
    results = run(Scenario(strategy="none", base_load={"scale": 20.0})).results
    assert results.kpis["nonconverged_hours"] == 24
    assert [name for name in VOLTAGE_KPIS.split() if results.kpis[name] is not None] == []
    store.write_run(OutputFolder(tmp_path), results)
    assert pd.read_parquet(tmp_path / "hourly.parquet")["min_vm_pu"].isna().all()


# --- the folder on disk ------------------------------------------------------------------------


def strict_json(path):
    def refuse(token):
        raise ValueError(f"{token} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def written(folder, results):
    folder.mkdir()
    store.write_run(OutputFolder(folder), results, wall_s=0.5)
    return folder


@pytest.mark.parametrize(
    ("wanted", "most", "there"),
    [(None, 24 * 65, True), (None, 24 * 65 - 1, False), (True, 0, True), (False, 9999, False)],
)
def test_tables_of_every_load_flow_are_written_up_to_a_size(
    tmp_path, monkeypatch, wanted, most, there
):
    monkeypatch.setattr("abm.results.flows.MOST_ROWS", most)
    results = run(small_paper(strategy="none", record={"flow_tables": wanted})).results
    folder = written(tmp_path / "run", results)
    for name in ("bus_hour", "line_hour"):
        assert (folder / f"{name}.parquet").is_file() == there
        assert name not in vars(results)
        assert len(getattr(results, name)) > 0
    assert (folder / "hourly.parquet").is_file()


def test_a_run_s_folder_reads_back(tmp_path, results):
    folder = written(tmp_path / "run", results)
    for name in COLUMNS:
        pd.testing.assert_frame_equal(
            pd.read_parquet(folder / f"{name}.parquet"), getattr(results, name)
        )
    assert strict_json(folder / "kpis.json") == results.kpis
    manifest = strict_json(folder / "manifest.json")
    assert manifest["strategies"] == [results.record.scenario.strategy]
    assert (manifest["seed"], manifest["solver"]) == (1, "power-grid-model")
    assert Scenario.load(folder / "scenario.yaml") == results.record.scenario
    assert run(Scenario.load(folder / "scenario.yaml")).results.kpis == results.kpis


def test_missing_values_are_valid_json(tmp_path, overloaded):
    kpis = strict_json(written(tmp_path / "run", overloaded) / "kpis.json")
    assert kpis["loss_energy_mwh"] is None
    with pytest.raises(ValueError, match="JSON"):
        OutputFolder(tmp_path).write("x.json", {"a": float("nan")})


def test_the_same_scenario_and_seed_give_the_same_bytes(tmp_path):
    studied = small_paper(strategy="evms")
    first, second = (written(tmp_path / name, run(studied).results) for name in "ab")
    other = written(tmp_path / "c", run(studied.override(seed=2)).results)
    for name in (*(f"{table}.parquet" for table in COLUMNS), "kpis.json", "scenario.yaml"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    for name in ("ev.parquet", "kpis.json", "scenario.yaml"):
        assert (first / name).read_bytes() != (other / name).read_bytes(), name


def test_the_written_scenario_gives_the_run_again_under_another_seed(tmp_path):
    results = run(small_paper(), seed=5).results
    folder = written(tmp_path / "run", results)
    assert run(Scenario.load(folder / "scenario.yaml")).results.kpis == results.kpis


@pytest.mark.parametrize(
    ("strategy", "lacks"),
    [
        ("uncoordinated", [20 - 2 * 4.86, 20 - 3 * 4.86, 0.0]),
        # Nobody may charge before the horizon ends; five hours would do.
        ("idle", [20.0, 20 - 4.86, 0.0]),
    ],
)
def test_what_the_end_of_the_horizon_cuts_off_is_missing(strategy, lacks):
    """20 kWh of 40 wanted; the horizon ends at minute 1440, and an hour at 5.4 kW gives 4.86 kWh.

    The stays begin two hours before it, and go on for none, one and five hours after it.
    """
    rows = [
        ev(name, arrival=1320, departure=last, capacity=40, soc=0.3, target=0.8)
        for name, last in (("a", 1440), ("b", 1500), ("c", 1740))
    ]
    fields = {"requirement": {"kind": "energy_balanced"}, "ev": {"efficiency": 0.9}}
    if strategy == "idle":
        strategy = {"rule": "g2v_only", "admission": "below_limit"}
        fields["grid"] = {"demand_limit_mw": 0.1}
    results = run(scenario(*rows, strategy=strategy, **fields)).results
    assert results.kpis["evs_still_plugged"] == 2
    assert results.ev["shortfall_kwh"].tolist() == pytest.approx(lacks)
    assert results.kpis["energy_short_kwh"] == pytest.approx(sum(lacks))
    assert results.kpis["evs_short"] == sum(lack > 0.4 for lack in lacks)
