"""Rules of the real world on a three-phase feeder: homes are the connections."""

import numpy as np
import pytest

from abm import Scenario, V2GModel
from abm.agents.network_use import NetworkUse


def street(**changes):
    """The street with a third of the messages, so that it is quick."""
    return Scenario.load("rules_street").override(
        {"broadcast.interval_min": 15, **{k.replace("__", "."): v for k, v in changes.items()}}
    )


# Homes that do not change by the minute: what was measured is what comes.
STEADY = {"base_load__variety__kind": "none", "operating_envelopes__margin": 0.15}


@pytest.fixture(scope="module")
def held():
    return V2GModel(street(**STEADY), seed=[3, 4]).run()


def test_envelopes_keep_the_voltages_of_all_homes(held):
    plain = V2GModel(street(strategy="uncoordinated", **STEADY), seed=[3, 4]).run().results
    assert (plain.kpi_columns["min_vm_pu"] < 0.92).all()
    assert (held.results.kpi_columns["min_vm_pu"] >= 0.94).all()
    assert (held.results.kpi_columns["homes_below"] == 0).all()
    assert (held.results.kpi_columns["energy_short_kwh"] < 1e-6).all()
    # It binds, and no more than it has to.
    charged = held.results.kpi_columns["ev_peak_mw"]
    assert (charged < plain.kpi_columns["ev_peak_mw"]).all()
    assert (held.results.kpi_columns["min_vm_pu"] < 0.96).all()


def test_a_street_does_not_see_its_neighbours(held):
    alone = V2GModel(street(**STEADY), seed=4).run()
    assert held.results_of(1).kpis == alone.results.kpis
    assert held.results_of(1).ev.equals(alone.results.ev)


def test_the_operator_sees_the_network_as_it_is():
    model = V2GModel(street(strategy="operating_envelopes"), seed=3)
    for _ in range(8 * 60 + 1):
        model.step()
    grid = model.grid
    measured = grid._measured
    at_points = measured.zones.point_mw.reshape(1, -1) * 1e3
    assert at_points.sum() > 20.0
    use = NetworkUse(grid, measured)
    flow = grid.flow_of(measured)
    assert use(0, at_points) == pytest.approx(use.of(flow), rel=1e-9, abs=1e-12)


def test_two_evs_of_a_home_share_what_is_left_to_it():
    two = street(
        strategy="dimming", fleet__evs_per_customer=2.0, grid__demand_limit_mw=0.02,
        dimming__end_below=0.0,
    )  # fmt: skip
    model = V2GModel(two, seed=3)
    fleet, seen = model.fleet, []
    home = model.grid.feeder.points.home[fleet.point]
    assert (np.bincount(home) == 2).all()
    while not model.clock.finished:
        model.step()
        together = np.bincount(home, weights=fleet.p_kw)
        seen.append((together.max(), fleet.p_kw.max()))
    # From the first message with a load on: 4.2 kW x (1 + 0.8).
    most = np.array(seen)[30:]
    assert most[:, 0].max() == pytest.approx(7.56)
    assert most[:, 1].max() == pytest.approx(7.2)


def test_an_ev_with_many_dates_has_one_charger():
    """Stays of three days by their energy: a row for each EV and date."""
    spec = {"energy_kwh": {"low": 10, "high": 40, "mean": 30, "sd": 3}}
    long = street(
        strategy="dimming", fleet__stays={"weekday": spec}, horizon__days=3,
        grid__demand_limit_mw=0.001,
    )  # fmt: skip
    model = V2GModel(long, seed=3)
    most = 0.0
    for _ in range(12 * 60):
        model.step()
        if model.clock.step > 60:
            most = max(most, model.fleet.p_kw.max())
    assert most == pytest.approx(4.2)
