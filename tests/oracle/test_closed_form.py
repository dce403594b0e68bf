"""Whole runs against formulas that need no simulation, and the published base case."""

import numpy as np
import pytest
from helpers import ev, run, scenario

from abm import Scenario


@pytest.fixture(scope="module")
def base():
    return run(Scenario.load("paper").override(strategy="none")).results


def test_the_published_base_case(base):
    """Baran and Wu: 202.68 kW, 0.91309 p.u. at N18; the paper: 65.09 MWh, 3.715 MW at 20:00."""
    kpis = base.kpis
    assert kpis["feeder_energy_mwh"] == pytest.approx(65.09, abs=0.005)
    assert kpis["system_peak_mw"] == pytest.approx(3.715, abs=1e-9)
    assert kpis["max_loss_mw"] == pytest.approx(0.20268, abs=5e-6)
    assert kpis["min_vm_pu"] == pytest.approx(0.91309, abs=5e-6)
    hours = [kpis[f"{name}_hour"] for name in ("system_peak", "max_loss", "min_vm")]
    assert hours == [20, 20, 20]
    assert kpis["min_vm_bus"] == 18


def fleets():
    """The paper's sample, and 60 stays at fractional times with batteries of every size."""
    rng = np.random.default_rng(7)
    odd = []
    for i in range(60):
        arrival = rng.uniform(0, 1300)
        odd.append(
            ev(
                str(i),
                zone=1 + i % 15,
                arrival=arrival,
                departure=arrival + rng.exponential(90),
                capacity=rng.uniform(1, 60),
                soc=rng.random(),
                target=rng.random(),
                p_max_kw=rng.uniform(1, 22),
                efficiency=rng.uniform(0.7, 1),
            )
        )
    return {
        "paper": lambda **fields: Scenario(strategy="uncoordinated", **fields),
        "odd": lambda **fields: scenario(*odd, strategy="uncoordinated", **fields),
    }


@pytest.mark.parametrize("fleet", fleets())
@pytest.mark.parametrize("step_s", [60, 300])
@pytest.mark.parametrize(("kind", "factor"), [("as_printed", 0.85), ("energy_balanced", 1.0)])
def test_uncoordinated_charging(fleet, step_s, kind, factor):
    """min(need, rating x minutes / 60) for each EV."""
    fields = {"requirement": {"kind": kind}, "clock": {"step_s": step_s}}
    table = run(fleets()[fleet](**fields)).results.ev
    soc_req = np.maximum(factor * (table["soc_target"] - table["soc_arrival"]), 0.0)
    need = soc_req * table["capacity_kwh"] / table["efficiency"]
    minutes = np.minimum(table["departure_min"], 1440) - table["arrival_min"]
    expected = np.minimum(need, table["p_max_kw"] * minutes / 60)
    # A time within a millionth of a step's edge is taken to be on it.
    assert table["charged_kwh"].to_numpy() == pytest.approx(expected, abs=22 * step_s / 3600e6)
    assert (need < expected + 1e-9).any()
    assert fleet == "paper" or (expected < need - 1e-9).any()


@pytest.mark.parametrize("arrival", [500, 500.25])
@pytest.mark.parametrize("soc", [0.5, 0.8, 0.2, 0.1])
@pytest.mark.parametrize(("kind", "factor"), [("as_printed", 0.85), ("energy_balanced", 1.0)])
def test_eq13_on_a_single_ev(arrival, soc, kind, factor):
    """Eqs. (14)-(18): discharge to the threshold while demand is high, then charge."""
    limits = {"grid": {"demand_limit_mw": 3.7}}  # base demand is above from 20:00 to 21:00
    row = ev(arrival=arrival, departure=1439, capacity=30, soc=soc, target=0.9)
    fields = {"requirement": {"kind": kind}, "ev": {"efficiency": 0.9}, **limits}
    results = run(scenario(row, strategy="evms_immediate", **fields)).results

    table, power = results.ev.iloc[0], results.zone_minute.query("zone == 1")
    stored = max(soc - 0.2, 0.0) * 30  # eq. (18)
    t_dg = stored * 0.9 * 60 / 7.5  # eq. (15)
    available = 540 - arrival  # the hour ends at minute 540
    assert table["discharged_kwh"] == pytest.approx(7.5 * min(t_dg, available) / 60)
    if t_dg < available:
        assert table["discharged_kwh"] == pytest.approx(stored * 0.9)  # eq. (17)
    left = soc - table["discharged_kwh"] / 0.9 / 30
    goal = 0.9 if kind == "energy_balanced" else left + factor * max(0.9 - soc, 0)
    e_cg = (goal - left) * 30 / 0.9  # eq. (2)
    assert table["charged_kwh"] == pytest.approx(e_cg)
    assert table["soc_departure"] == pytest.approx(goal)

    t_cg = (goal - left) * 30 / (5.4 * 0.9) * 60  # eq. (1)
    gave, took = (power[f"{way}_kw"].to_numpy() for way in ("discharge", "charge"))
    assert gave.sum() / 7.5 == pytest.approx(min(t_dg, available))
    assert took.sum() / 5.4 == pytest.approx(t_cg)
    # One block each, charging after discharging, together T of eq. (14) and its started minutes.
    for block in (gave, took):
        on = np.flatnonzero(block)
        assert len(on) == 0 or (np.diff(on) == 1).all()
    total = t_cg + (min(t_dg, available) if soc > 0.2 else 0.0)  # eq. (14)
    assert np.flatnonzero(gave + took)[-1] + 1 - np.floor(arrival) == pytest.approx(total, abs=2)
    if gave.any():
        assert np.flatnonzero(gave)[0] == 500
        assert np.flatnonzero(took)[0] > np.flatnonzero(gave)[-1]
    net = e_cg - (table["discharged_kwh"] if soc > 0.2 else 0.0)  # eq. (16)
    assert (took - gave).sum() / 60 == pytest.approx(net)
