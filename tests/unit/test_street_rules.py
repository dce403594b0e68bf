"""Rules of the real world on a three-phase feeder: homes are the connections."""

import numpy as np
import pytest
from test_phase_feeder import written

from abm import InputError, Scenario, V2GModel
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


def test_chargers_below_an_overloaded_transformer_are_dimmed(tmp_path):
    """Two streets: three homes below 30 kVA, and one below 100 kVA."""
    written(tmp_path, [("transformers.csv", "0.4,200", "0.4,30")])
    small = street(
        strategy="dimming", grid__feeder=str(tmp_path), grid__vm_min_pu=0.9, dimming__least_min=0.0,
        dimming__end_below=0.5, base_load__variety__kind="none", dimming__overload="transformers",
    )  # fmt: skip
    model = V2GModel(small, seed=[3, 4])
    fleet, feeder = model.fleet, model.grid.feeder
    # By default a zone is what is below a transformer.
    below = feeder.transformer_above[feeder.phases.home_bus]
    assert below.tolist() == feeder.zone_of.tolist() == [1, 1, 0, 1]
    pond, drew, told = fleet.zone == 0, [], []
    while not model.clock.finished:
        model.step()
        drew.append(fleet.p_kw.copy())
        told.append(model.broadcast.operator_kw)
    drew, told = np.array(drew), np.array(told)
    assert (drew <= told + 1e-12).all()
    assert drew[:, pond].max() == drew[:, ~pond].max() == pytest.approx(7.2)
    assert (told[:, pond] == np.inf).all()
    seen = []
    for k in range(2):
        of_street = told[::15, ~pond & (fleet.feeder == k)]
        assert set(np.unique(of_street)) == {4.2, np.inf}
        # A message goes by the load flow of the interval before it.
        load = model.results_of(k).record.flows.transformer_percent[:-1, 0, 1] / 100.0
        dimmed, wanted = np.isfinite(of_street), [False]
        for now in load:
            wanted.append(now >= 0.5 if wanted[-1] else now > 1.0)
        assert (dimmed == np.array(wanted)[:, None]).all()
        seen.append(wanted)
    # Each feeder by itself.
    assert seen[0] != seen[1]


def test_dimming_by_transformers_needs_some():
    with pytest.raises(InputError, match=r"dimming.overload = transformers: demand where no EV"):
        V2GModel(Scenario.load("rules").override({"dimming.overload": "transformers"}))


@pytest.mark.parametrize("overload", ["demand", "transformers"])
@pytest.mark.parametrize("strategy", ["dimming", "operating_envelopes"])
def test_a_street_without_evs_has_its_rules(strategy, overload):
    """As at the share of 0 in a study of hosting capacity."""
    low = {"grid__demand_limit_mw": 0.01, "dimming__begin_above": 0.01, "dimming__end_below": 0.0}
    more = {"fleet__evs_per_customer": 0.0, "dimming__overload": overload, "clock__hours": 2}
    kpis = V2GModel(street(strategy=strategy, **low, **more), seed=3).run().results.kpis
    assert kpis["ev_peak_mw"] == 0.0


def test_transformers_above_the_buses_of_a_balanced_feeder():
    """CIGRE's medium voltage: buses 1 to 11 below the one, 12 to 14 below the other."""
    feeder = V2GModel(Scenario.load("cigre_mv")).grid.feeder
    below = dict(zip(feeder.bus_names, feeder.transformer_above.tolist(), strict=True))
    assert below == {f"N{i}": -1 if i == 0 else 0 if i < 12 else 1 for i in range(15)}
