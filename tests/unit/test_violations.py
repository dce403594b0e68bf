"""The table of violations: its spans, its worst values, and the KPIs that count them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers import run, small_paper

from abm.results import Results
from abm.results.violations import KINDS
from abm.scenario.names import shipped_files


@pytest.fixture(scope="module")
def record():
    return run(small_paper(feeder={"copies": 2})).record


def with_flows(record, **changes):
    """The record with other results of its load flows."""
    return Results(replace(record, flows=replace(record.flows, **changes)))


def plain(record, vm_pu=1.0):
    """The record with all voltages in bounds and no current."""
    flows = record.flows
    return {"vm_pu": np.full_like(flows.vm_pu, vm_pu), "i_a": np.zeros_like(flows.i_a)}


def test_nothing_broken_is_an_empty_table(record):
    results = with_flows(record, **plain(record))
    assert len(results.violations) == 0
    assert results.kpis["violations"] == results.kpis["violation_hours"] == 0
    kinds = results.violations.dtypes.to_dict()
    assert kinds == with_flows(record, **plain(record, vm_pu=0.8)).violations.dtypes.to_dict()


def test_spans_by_hand(record):
    made = plain(record)
    vm_pu, i_a = made["vm_pu"], made["i_a"]
    vm_pu[[3, 4, 5, 9], 0, 17] = 0.89, 0.85, 0.88, 0.8  # bus 18, low twice
    vm_pu[23, 1, 32] = 1.2  # bus 33 of the second feeder, high in the last hour
    ampacity = record.feeder.ampacity_a
    i_a[0:2, 0, 0] = 1.5 * ampacity[0], 1.2 * ampacity[0]
    results = with_flows(record, **made)
    rows = (
        results.violations.drop(columns=["name", "unit", "end_min"]).to_numpy(dtype=object).tolist()
    )
    assert rows == [
        [1, "line", "N1-N2", 0, "12:00", "14:00", 2.0, pytest.approx(150.0), 100.0, 0],
        [1, "voltage_low", "N18", 180, "15:00", "18:00", 3.0, 0.85, 0.9, 240],
        [1, "voltage_low", "N18", 540, "21:00", "22:00", 1.0, 0.8, 0.9, 540],
        [2, "voltage_high", "N33", 1380, "11:00", "12:00", 1.0, 1.2, 1.1, 1380],
    ]
    assert results.violations["end_min"].tolist() == [120, 360, 600, 1440]
    assert results.violations["unit"].tolist() == ["%", "p.u.", "p.u.", "p.u."]
    assert results.kpi_columns["violations"].tolist() == [3, 1]
    assert results.kpi_columns["violation_hours"].tolist() == [6, 1]
    assert results.kpis["violations"] == 4
    assert results.of(1).violations.equals(
        results.violations.query("feeder == 2").drop(columns="feeder").reset_index(drop=True)
    )


def test_an_hour_without_solution_is_a_row_and_cuts_the_others(record):
    made = plain(record, vm_pu=0.8)
    made["vm_pu"][7, 0] = np.nan
    made["i_a"][7, 0] = np.nan
    converged = record.flows.converged.copy()
    converged[7, 0] = False
    table = with_flows(record, **made, converged=converged).violations
    own = table[table["feeder"] == 1]
    failed = own[own["kind"] == "not_converged"]
    assert failed[["element", "begin", "hours"]].to_numpy().tolist() == [["", "19:00", 1.0]]
    assert failed[["worst", "limit"]].isna().all(axis=None)
    one = own[own["element"] == "N5"]
    assert one[["begin_min", "end_min"]].to_numpy().tolist() == [[0, 420], [480, 1440]]


def test_what_has_no_rating_has_no_loading_and_no_row(record):
    record = replace(record)
    feeder = record.feeder
    results = with_flows(record, i_a=np.full_like(record.flows.i_a, 1e9))
    assert (results.violations["kind"] == "line").sum() == 2 * feeder.n_line
    results.record.__dict__["loading_percent"] = np.full_like(record.flows.i_a, np.nan)
    again = Results(results.record)
    assert not (again.violations["kind"] == "line").any()


def test_names_are_those_of_the_source(tmp_path):
    folder = tmp_path / "named"
    shutil.copytree(shipped_files("feeders")["case33bw"], folder)
    text = (folder / "buses.csv").read_text(encoding="utf-8")
    head, *rows = (line for line in text.splitlines() if not line.startswith("#"))
    rows = [f"{row},home {i + 1}" for i, row in enumerate(rows)]
    (folder / "buses.csv").write_text("\n".join([f"{head},name", *rows, ""]), encoding="utf-8")
    grid = {"feeder": str(folder), "vm_min_pu": 0.93, "demand_limit_mw": 3.1}
    table = run(small_paper(grid=grid)).results.violations.query("kind == 'voltage_low'")
    assert len(table) > 0
    assert table["name"].tolist() == [f"home {bus[1:]}" for bus in table["element"]]


def test_rows_are_the_bus_hours_that_the_kpis_count():
    for minutes in (60, 30):
        grid = {"vm_min_pu": 0.93, "flow_interval_min": minutes, "demand_limit_mw": 3.1}
        results = run(small_paper(grid=grid)).results
        table, kpis = results.violations, results.kpis
        assert set(table["kind"]) <= set(KINDS)
        low = table[table["kind"] == "voltage_low"]
        assert low["hours"].sum() == kpis["vm_below_bus_hours"] > 0
        assert low["worst"].min() == kpis["min_vm_pu"]
        assert table.loc[low["worst"].idxmin(), "element"] == f"N{kpis['min_vm_bus']}"
        lines = table[table["kind"] == "line"]
        assert lines["hours"].sum() == kpis["line_over_line_hours"]
        assert len(table) == kpis["violations"]
        assert kpis["violation_hours"] >= low["hours"].max()
