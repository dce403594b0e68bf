"""Three-phase load flows beside OpenDSS: voltages to 1e-6 p.u., currents, losses, transformers."""

import numpy as np
import pytest
from opendss import OpenDSS
from three_phase import Network, shared_data, street

from abm.grid.phase_solve import ThreePhaseSolver
from abm.scenario.feeder import read_feeder
from abm.scenario.names import shipped_files

pytest.importorskip("opendssdirect", reason="OpenDSS is not installed: pip install -e .[opendss]")

ALPHA = np.exp(2j * np.pi / 3)


def compare(values, p_mw, q_mvar, volts=1e-8):
    """All that both give; volts: how far voltages may be apart, p.u."""
    solver, dss = ThreePhaseSolver(values), OpenDSS(values)
    terminals = solver.terminals
    flow = solver.solve(p_mw, q_mvar)
    assert flow.converged.all()
    base = 1e3 * values.vn_kv / np.sqrt(3.0)
    for row, (p, q) in enumerate(zip(p_mw, q_mvar, strict=True)):
        found = dss.solve(p, q)
        bus = values.home_bus[terminals.home]
        other = np.where(terminals.to_phase >= 0, found.v[bus, terminals.to_phase], 0.0)
        size = np.abs(found.v[bus, terminals.phase] - other) / base[bus]
        size /= np.where(terminals.to_phase >= 0, np.sqrt(3.0), 1.0)
        low = np.minimum.reduceat(size, terminals.first)
        high = np.maximum.reduceat(size, terminals.first)[terminals.several()]
        np.testing.assert_allclose(flow.vm_pu[row], low, rtol=0, atol=volts)
        np.testing.assert_allclose(flow.vm_high_pu[row], high, rtol=0, atol=volts)
        # OpenDSS takes currents of short lines from differences of voltages.
        currents = np.abs(found.i_line).max(axis=1)
        np.testing.assert_allclose(flow.i_phase_a[row], currents, rtol=1e-6, atol=2e-4)
        loss = found.line_loss_w.sum() + found.transformer_loss_w.sum()
        np.testing.assert_allclose(flow.loss_mw[row] * 1e6, loss, rtol=1e-6, atol=0.1)
        np.testing.assert_allclose(
            flow.level_loss_mw[row, 1] * 1e6, found.transformer_loss_w.sum(), rtol=1e-6, atol=0.01
        )
        given = (flow.slack_p_mw[row] + 1j * flow.slack_q_mvar[row]) * 1e6
        np.testing.assert_allclose(given, found.source_va, rtol=1e-6, atol=0.1)
        rated = 1e3 * values.sn_kva[:, None] / 3.0
        rated = rated / np.stack([values.vn_from_kv, values.vn_to_kv], axis=1) / 1e3
        rated *= np.where(np.stack([values.from_delta, values.to_delta], axis=1), 1.0, np.sqrt(3.0))
        percent = 100.0 * (found.winding_a / rated[:, :, None]).max(axis=(1, 2))
        # Its windings have the antifloat reactance in them, 1e-6 p.u.
        np.testing.assert_allclose(flow.transformer_percent[row], percent, rtol=1e-6, atol=1e-4)
        low_voltage = values.vn_kv[values.line_from] <= 1.0
        residual = np.abs(found.i_line.sum(axis=2)).max(axis=1) * low_voltage
        np.testing.assert_allclose(flow.neutral_a[row], residual.max(), rtol=1e-6, atol=2e-4)
        if flow.vuf_at[row] >= 0 and flow.vuf_percent[row] > 0:
            a, b, c = found.v[flow.vuf_at[row]]
            vuf = abs(a + ALPHA**2 * b + ALPHA * c) / abs(a + ALPHA * b + ALPHA**2 * c)
            np.testing.assert_allclose(flow.vuf_percent[row], 100.0 * vuf, rtol=1e-6, atol=1e-6)
    return flow


def random_loads(values, rows, kw, seed=0):
    count = len(ThreePhaseSolver(values).terminals.home)
    p = np.random.default_rng(seed).normal(0.4, 1.0, (rows, count)) * kw / 1e3
    return p, 0.3 * np.abs(p)


@pytest.mark.parametrize("seed", range(6))
def test_streets_of_all_sorts_of_homes(seed):
    values = street(seed, shunts=seed % 2 == 0)
    compare(values, *random_loads(values, 3, 4.0, seed))


def one_home_of_each_sort(net, bus):
    for phases, delta in (("a", False), ("bc", False), ("abc", True), ("ca", True), ("abc", False)):
        net.home(bus, phases, delta=delta)
    return net.values()


@pytest.mark.parametrize(
    ("delta", "lag"),
    [((True, False), lag) for lag in range(30, 360, 60)]
    + [((False, True), lag) for lag in range(30, 360, 60)]
    + [(both, lag) for both in ((True, True), (False, False)) for lag in (0, 120, 240)],
)
def test_connections_and_taps(delta, lag):
    net = Network(11.0, vm_pu=1.02, va_degree=20.0)
    net.line("source", "mv", z=(1.0 + 1.2j, 0.4 + 0.4j), y=(2e-4j, 3e-4j), km=1.5)
    net.transformer("mv", "low", to_kv=0.4, delta=delta, lag=lag, tap_from=0.975, tap_to=1.025)
    net.line("low", "end", z=(0.9 + 0.3j, 0.3 + 0.08j), km=0.1)
    values = one_home_of_each_sort(net, "end")
    p, q = random_loads(values, 2, 4.0)
    if delta[1]:
        # Nothing but the antifloat reactance joins a winding in delta to earth.
        wye = ThreePhaseSolver(values).terminals.to_phase < 0
        p[:, wye] = q[:, wye] = 0.0
    compare(values, p, q, volts=1e-7)


def test_capacitors_parts_of_phases_loops_and_two_levels():
    net = Network(33.0, z1=0.2 + 2.0j, z0=0.3 + 1.5j)
    net.transformer("source", "bar", to_kv=11.0, sn_kva=5000.0, lag=30)
    z, y = (1.0 + 1.2j, 0.4 + 0.4j), (2e-6j, 3e-6j)
    lopsided = np.array(
        [[0.5 + 0.9j, 0.1 + 0.4j, 0.1 + 0.3j], [0, 0.6 + 0.8j, 0.1 + 0.5j], [0, 0, 0.7 + 1.0j]]
    )
    lopsided = np.triu(lopsided) + np.triu(lopsided, 1).T
    for one, other in (("bar", "m1"), ("m1", "m2"), ("m2", "bar"), ("m2", "m3")):
        net.line(one, other, z=lopsided if one == "m1" else z, y=y, km=2.0, ampacity_a=100.0)
    net.capacitor("m1", np.diag([3e-4j, 3e-4j, 2e-4j]))
    net.capacitor("m3", 1e-4j * (3.0 * np.eye(3) - 1.0))
    for at, lag in (("m1", 330), ("m3", 30)):
        net.transformer(at, f"low {at}", to_kv=0.4, lag=lag)
        net.line(f"low {at}", f"one {at}", z=(0.9 + 0.3j, 0.3 + 0.1j), phases="ac", km=0.1)
        net.line(f"one {at}", f"two {at}", z=(0.9 + 0.3j, 0.3 + 0.1j), phases="c", km=0.1)
        net.home(f"two {at}", "c").home(f"one {at}", "ac", delta=True).home(f"low {at}", "abc")
    net.home("m2", "bc", delta=True)
    values = net.values()
    compare(values, *random_loads(values, 3, 4.0))


def test_the_european_feeder_from_light_load_to_feeding_in():
    values = read_feeder(shipped_files("feeders")["ieee_european_lv"], None).phases
    p, _ = ThreePhaseSolver(values).nominal()
    kw = np.random.default_rng(3).gamma(1.0, 1.5, (3, len(p)))
    evs = 7.0 * (np.random.default_rng(4).random((3, len(p))) < 0.3)
    loads = np.concatenate([[p, 0.1 * p], kw / 1e3, (kw + evs) / 1e3, (kw - 2.0 * evs) / 1e3])
    compare(values, loads, np.abs(loads) * 0.3)


def test_a_feeder_of_five_thousand_homes():
    from abm.grid.opendss import read_opendss

    source, _ = read_opendss(shared_data("ausnet_hpk11/hpk11.dss.gz"))
    values = source.table(source.files(), "hpk11").phases
    p, q = ThreePhaseSolver(values).nominal()
    evs = 7e-3 * (np.random.default_rng(4).random(len(p)) < 0.3)
    compare(values, np.stack([p, p - evs]), np.stack([q, q]))
