"""A peak that several hours share is shown as shared; what is an hourly mean says so."""

import numpy as np
import pytest
from helpers import run, small_paper

from abm import Scenario
from abm.report.terminal import print_comparison, print_kpis
from abm.results.indicators import INDICATORS, kpi_label
from abm.results.kpis import tied_hours
from abm.study import comparison_table
from abm.study.runs import run_once


def test_clock_hours_within_the_tolerance_are_counted_once():
    hours = np.repeat([23, 0, 1, 23], 4)  # the last is of another day
    demand = np.array([1.0, 2.0, 2.0, 1.9, *[1.9985] * 4, *[1.9995] * 4, *[2.0] * 4])
    low = np.where(np.arange(16) == 5, 3.0, 1.0)
    ties = tied_hours(np.stack([demand, low], axis=1), hours, 0.001)
    assert ties.tolist() == [1, 0]


@pytest.fixture(scope="module")
def flat():
    """The paper's rule fills the night up to its limit."""
    return run_once(Scenario.load("paper_balanced").override(strategy="evms"))


def test_a_tie_is_shown_as_a_tie(flat, capsys):
    kpis, record = flat.results.kpis, flat.results.record
    demand = record.demand_mw(15.0)[:, 0]
    near = {int(h) for h in record.window_hours(15.0)[demand >= demand.max() - 1e-3]}
    assert kpis["peak_15min_tied_hours"] == len(near) - 1 > 1
    print_kpis("run", kpis)
    said = " ".join(capsys.readouterr().out.split())
    others = kpis["peak_15min_tied_hours"]
    assert f"at {kpis['peak_15min_time']}, a tie with {others} other hours within 0.001" in said
    alone = run_once(small_paper(strategy="none"))
    print_comparison(comparison_table({"evms": flat, "none": alone}), 600)
    said = capsys.readouterr().out
    assert f"{kpis['peak_15min_time']} +{others}" in said
    assert "+n behind a time: n other hours within 0.001 MW" in said
    # Four quarters of one hour are no tie, and nothing is said of one.
    assert alone.results.kpis["peak_15min_tied_hours"] == 0
    assert alone.results.kpis["peak_15min_time"] == "20:00"
    print_kpis("run", alone.results.kpis)
    assert "tie" not in capsys.readouterr().out


def test_a_city_has_the_ties_of_its_sum():
    model = run(small_paper(strategy="none", feeder={"copies": 3}))
    kpis = model.results.kpis
    assert kpis["system_peak_tied_hours"] == kpis["peak_15min_tied_hours"] == 0
    assert model.results.kpi_columns["peak_15min_tied_hours"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("flow_min", [30, 5])
def test_what_comes_of_load_flows_says_its_grain_in_a_label(flow_min):
    assert kpi_label("min_vm_pu", [flow_min]) == f"Lowest voltage, {flow_min} min means (p.u.)"
    assert kpi_label("vm_below_bus_hours", [60]) == (
        "Voltage below its limit, hourly means (bus-hours)"
    )
    assert kpi_label("loss_energy_mwh", [60, 15]) == "Losses, 15 min and hourly means (MWh)"
    assert kpi_label("net_cost_usd", [flow_min]) == "Net cost ($)"
    for name in ("system_peak_mw", "plugged_peak_mw"):
        assert "hourly mean" in kpi_label(name)
        assert "hourly mean" in INDICATORS[name].meaning
