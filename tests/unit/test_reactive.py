"""Reactive power of the chargers: by hand, beside pandapower, in runs, cities and messages."""

import copy
import math

import numpy as np
import pandapower as pp
import pytest
from helpers import run, same, small_paper

from abm import Scenario, V2GModel
from abm.equations.reactive import droop, room_for_reactive, taken_per_kw
from abm.errors import InputError
from abm.grid import build_feeder, make_solver
from abm.grid.reactive import VoltVarCurve, rated_in_use, sensitivity, solve_volt_var

CATEGORY_B = VoltVarCurve(np.array([0.92, 0.98, 1.02, 1.08]), np.array([0.44, 0.0, 0.0, -0.44]))


@pytest.fixture(scope="module")
def feeder():
    return build_feeder(Scenario().inputs.feeder)


def test_power_factor_by_hand():
    assert taken_per_kw(1.0) == taken_per_kw(-1.0) == 0.0
    assert taken_per_kw(0.8) == pytest.approx(0.75)
    assert taken_per_kw(-0.8) == pytest.approx(-0.75)


def test_room_is_what_active_power_leaves_of_the_circle():
    # One charger of 1 MW: idle, at its rating, and half of the time each.
    one = np.ones(1)
    assert room_for_reactive(one, 0 * one, 1.25) == pytest.approx(1.25)
    assert room_for_reactive(one, one, 1.25) == pytest.approx(0.75)
    assert room_for_reactive(one, one / 2, 1.25) == pytest.approx(1.0)
    assert room_for_reactive(one, one, 1.0) == 0.0
    through = np.linspace(0.0, 1.0, 11)
    assert (room_for_reactive(one, through, 1.25) <= np.sqrt(1.25**2 - through**2) + 1e-12).all()


def test_droop_between_its_points_and_beyond():
    at = np.array([0.8, 0.92, 0.95, 1.0, 1.05, 1.2])
    share, slope = droop(at, CATEGORY_B.vm_pu, CATEGORY_B.share)
    assert share == pytest.approx([0.44, 0.44, 0.22, 0.0, -0.22, -0.44])
    assert slope == pytest.approx([0.0, -0.44 / 0.06, -0.44 / 0.06, 0.0, -0.44 / 0.06, 0.0])


def test_sensitivity_is_the_difference_of_two_load_flows(feeder):
    solver, at, step = make_solver("power-grid-model", feeder), feeder.zone_bus, 1e-3
    none = np.zeros((1, feeder.n_bus))
    before = solver.solve(none, none).vm_pu[0, at]
    for zone in (0, 7, 14):
        supplied = none.copy()
        supplied[0, at[zone]] = -step
        by_p = (solver.solve(supplied, none).vm_pu[0, at] - before) / step
        by_q = (solver.solve(none, supplied).vm_pu[0, at] - before) / step
        found = sensitivity(feeder)[:, zone]
        np.testing.assert_allclose(found, by_p + 1j * by_q, atol=1e-5)


@pytest.mark.parametrize("steep", [1.0, 4.0])
def test_volt_var_settles_on_its_curve(feeder, steep):
    rng, solver = np.random.default_rng(3), make_solver("power-grid-model", feeder)
    factor = rng.uniform(-1.0, 1.8, (40, 1))
    p, q, room = factor * feeder.p_mw, factor * feeder.q_mvar, rng.uniform(0.0, 0.4, (40, 15))
    curve = VoltVarCurve(1.0 + (CATEGORY_B.vm_pu - 1.0) / steep, CATEGORY_B.share)
    flow, supplied = solve_volt_var(solver, feeder, p, q, room, curve)
    assert flow.converged.all()
    share, _ = droop(flow.vm_pu[:, feeder.zone_bus], curve.vm_pu, curve.share)
    np.testing.assert_allclose(supplied, room * share, atol=1e-6)
    assert supplied.max() > 0.1
    assert supplied.min() < -0.1
    # Rows do not influence each other, and no load is a row like any other.
    alone, own = solve_volt_var(solver, feeder, p[7:8], q[7:8], room[7:8], curve)
    assert same(alone.vm_pu[0], flow.vm_pu[7])
    assert same(own[0], supplied[7])
    net = copy.deepcopy(feeder.net)
    net.load["p_mw"] = net.load["q_mvar"] = 0.0
    for bus in range(feeder.n_bus):
        pp.create_load(net, feeder.bus_index[bus], p[7, bus], q[7, bus])
    for zone, bus in enumerate(feeder.zone_bus):
        pp.create_sgen(net, feeder.bus_index[bus], p_mw=0.0, q_mvar=supplied[7, zone])
    pp.runpp(net, numba=False, tolerance_mva=1e-10)
    np.testing.assert_allclose(flow.vm_pu[7], net.res_bus["vm_pu"], atol=1e-8)


def test_what_does_not_settle_or_has_no_solution_is_not_converged(feeder):
    solver = make_solver("power-grid-model", feeder)
    # Straight up and down: between two voltages there is no share to settle on.
    cliff = VoltVarCurve(np.array([0.95, 0.95 + 1e-9]), np.array([1.0, -1.0]))
    p = np.array([[1.0], [0.0], [20.0]]) * feeder.p_mw
    q = np.array([[1.0], [0.0], [20.0]]) * feeder.q_mvar
    flow, supplied = solve_volt_var(
        solver, feeder, p, q, np.array([[0.2], [0.02], [0.2]]) * np.ones(15), cliff
    )
    assert flow.converged.tolist() == [False, True, False]
    assert np.isnan(flow.vm_pu[[0, 2]]).all()
    assert np.isnan(supplied[[0, 2]]).all()
    assert supplied[1] == pytest.approx(-0.02)


def test_what_only_support_can_solve_is_solved(feeder):
    solver = make_solver("power-grid-model", feeder)
    p, q = 3.8 * feeder.p_mw[None], 3.8 * feeder.q_mvar[None]
    assert not solver.solve(p, q).converged.any()
    flow, supplied = solve_volt_var(solver, feeder, p, q, np.full((1, 15), 0.4), CATEGORY_B)
    assert flow.converged.all()
    assert supplied[0, -1] == pytest.approx(0.4 * 0.44)


@pytest.mark.parametrize("minutes", [60, 15])
def test_both_ways_take_by_the_power_factor(minutes):
    base = small_paper(grid={"flow_interval_min": minutes, "demand_limit_mw": 3.1})
    none, some = run(base), run(base.override({"ev.power_factor": 0.8}))
    record = some.record
    assert none.results.kpis["ev_discharged_mwh"] > 0.0
    assert not none.record.flow_zone_mvar.any()
    kpis = some.results.kpis
    moved = kpis["ev_charged_mwh"] + kpis["ev_discharged_mwh"]
    assert kpis["ev_reactive_mvarh"] == pytest.approx(0.75 * moved)
    assert record.flow_zone_mvar.min() == 0.0
    # What the chargers take comes from the slack, but for the losses of the lines.
    more = record.flows.slack_q_mvar - none.record.flows.slack_q_mvar
    assert (more >= record.flow_zone_mvar.sum(axis=2) - 1e-9).all()
    supply = run(base.override({"ev.power_factor": -0.8})).record
    assert same(supply.flow_zone_mvar, -record.flow_zone_mvar)
    assert supply.flows.vm_pu.min() > none.record.flows.vm_pu.min() > record.flows.vm_pu.min()


def test_rating_in_use_is_that_of_who_is_plugged_in():
    model = V2GModel(small_paper(strategy="uncoordinated"))
    while model.clock.step < 9 * 60:
        model.step()
    rated = rated_in_use(model.fleet, 8 * 60, 9 * 60)
    counts = model.meter.plugged[8 * 60 : 9 * 60].mean(axis=0)
    assert counts.sum() > 10
    np.testing.assert_allclose(rated[0], counts * 7.5 / 1e3, rtol=1e-12)


def test_volt_var_of_a_run_follows_the_voltage_within_the_kva():
    base = small_paper(ev={"volt_var": {"kva_per_kw": 1.25}}, feeder={"copies": 2})
    record = run(base).record
    assert same(record.only(1).flow_zone_mvar, record.flow_zone_mvar[:, [1]])
    share, _ = droop(
        record.flows.vm_pu[:, :, record.feeder.zone_bus], CATEGORY_B.vm_pu, CATEGORY_B.share
    )
    supplied = -record.flow_zone_mvar
    through = record.zone_charge_mw + record.zone_discharge_mw
    plugged = record.zone_plugged.astype(np.float64)  # most in the hour
    room = room_for_reactive(plugged * 7.5e-3, through, 1.25)
    assert (supplied <= room * share + 1e-6).all()
    assert supplied.max() > 0.002
    nobody = record.zone_plugged == 0
    assert (supplied[nobody] == 0.0).all()


def test_losses_that_are_broadcast_are_those_with_reactive_power():
    what = {"what": "net_with_losses", "interval_min": 15}
    heard = []
    for ev in ({}, {"power_factor": 0.8}, {"volt_var": {}}):
        model = V2GModel(small_paper(broadcast=what, ev=ev))
        losses = []
        while model.clock.step < 10 * 60:
            model.step()
            losses.append(model.broadcast.loss_mw[0])
        heard.append(np.nanmax(losses))
    assert heard[1] > heard[0] > heard[2]


@pytest.mark.parametrize("reactive", [{"power_factor": -0.9}, {"volt_var": {"kva_per_kw": 1.1}}])
def test_both_engines_leave_the_same_reactive_power(reactive):
    base = small_paper(ev=reactive, grid={"flow_interval_min": 15, "demand_limit_mw": 3.1})
    base = base.override({"broadcast": {"what": "net_with_losses", "interval_min": 15}})
    one, other = (run(base.override({"clock.engine": e})).record for e in ("numpy", "compiled"))
    assert np.abs(one.flow_zone_mvar).max() > 0.0
    assert same(one.flow_zone_mvar, other.flow_zone_mvar)
    assert same(one.flows.vm_pu, other.flows.vm_pu)


@pytest.mark.parametrize(
    ("ev", "field"),
    [
        ({"power_factor": 0.0}, "ev.power_factor"),
        ({"power_factor": 0.05}, "ev.power_factor"),
        ({"power_factor": 0.9, "volt_var": {}}, "ev.power_factor"),
        ({"volt_var": {"curve": [[1.0, 0.0]]}}, "ev.volt_var.curve"),
        ({"volt_var": {"curve": [[0.9, 0.1], [0.95, 0.2]]}}, "ev.volt_var.curve"),
        ({"volt_var": {"curve": [[0.95, 0.1], [0.9, 0.0]]}}, "ev.volt_var.curve"),
        ({"volt_var": {"curve": [[0.95, 1.0], [0.951, -1.0]]}}, "ev.volt_var.curve"),
        ({"volt_var": {"curve": [[0.95], [0.96, 0.0]]}}, "ev.volt_var.curve"),
        ({"volt_var": {"kva_per_kw": 0.9}}, "ev.volt_var.kva_per_kw"),
    ],
)
def test_what_cannot_be_is_refused(ev, field):
    with pytest.raises(InputError) as refused:
        Scenario(ev=ev)
    assert [problem.field for problem in refused.value.problems] == [field]


def test_an_empty_section_has_all_defaults():
    assert (
        Scenario().override({"ev.volt_var": {}}).ev.volt_var
        == Scenario(ev={"volt_var": {}}).ev.volt_var
    )
    assert Scenario().override({"ev.volt_var": {}}).override({"ev.volt_var": None}) == Scenario()
    assert math.isclose(Scenario(ev={"volt_var": {}}).ev.volt_var.kva_per_kw, 1.0)
