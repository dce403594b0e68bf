"""The fixed point of three-phase load flows: what it says of itself."""

import dataclasses
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from three_phase import Network, street

from abm.errors import LoadFlowError
from abm.grid import phase_solve
from abm.grid.phase_check import NodeVoltages, disagreement
from abm.grid.phase_solve import MISMATCH_LIMIT_MVA, ThreePhaseSolver


def loads(values, rows, seed=1, kw=3.0):
    """Random powers of the terminals, MW and Mvar, some of them feeding in."""
    solver = ThreePhaseSolver(values)
    p = np.random.default_rng(seed).normal(0.5, 1.0, (rows, len(solver.terminals.home))) * kw / 1e3
    return solver, p, 0.3 * np.abs(p)


def test_one_home_behind_one_line_is_a_quadratic_equation():
    r, kw = 0.2, 5.0
    net = Network(0.4, z1=0.0, z0=0.0).line("source", "end", z=(r, r)).home("end", "b")
    solver = ThreePhaseSolver(net.values())
    flow = solver.solve(np.array([[kw / 1e3]]), np.zeros((1, 1)))
    volts = 400 / np.sqrt(3)
    expected = volts / 2 + np.sqrt(volts**2 / 4 - r * kw * 1e3)
    assert flow.converged.all()
    assert flow.vm_pu[0, 0] == pytest.approx(expected / volts, abs=1e-10)
    current = kw * 1e3 / expected
    assert flow.i_phase_a[0, 0] == pytest.approx([0.0, current, 0.0])
    assert flow.neutral_a[0] == pytest.approx(current)
    assert flow.loss_mw[0] == pytest.approx(r * current**2 / 1e6)
    assert flow.level_loss_mw[0] == pytest.approx([0.0, 0.0, r * current**2 / 1e6])


def test_losses_of_all_levels_are_what_the_source_gives_beyond_the_loads():
    solver, p, q = loads(street(), 20)
    flow = solver.solve(p, q)
    assert flow.converged.all()
    assert flow.mismatch_mva.max() <= MISMATCH_LIMIT_MVA
    np.testing.assert_allclose(flow.level_loss_mw.sum(axis=1), flow.loss_mw, rtol=0, atol=1e-9)
    assert (flow.level_loss_mw[:, 1:] > 0.0).all()


@pytest.mark.parametrize("shunts", [True, False])
def test_a_row_has_the_same_bits_alone_and_anywhere_in_a_batch(shunts):
    solver, p, q = loads(street(seed=2, shunts=shunts), 21)
    # Neighbours that take long, have no solution, or are no numbers.
    p[3] *= 1e3
    p[7] = np.nan
    p[11] *= 10.0
    together = solver.solve(p, q)
    assert not together.converged[[3, 7]].any()
    for rows in ([0], [20], [4, 3, 7, 5], list(range(20, -1, -1)), list(range(5, 21))):
        apart = solver.solve(p[rows], q[rows])
        for name, values in vars(apart).items():
            assert values.tobytes() == getattr(together, name)[rows].tobytes(), name


def test_the_layout_of_the_loads_in_memory_does_not_matter():
    solver, p, q = loads(street(buses=60), 5)
    flow = solver.solve(p, q)
    for name, values in vars(solver.solve(np.asfortranarray(p), np.asfortranarray(q))).items():
        assert values.tobytes() == getattr(flow, name).tobytes(), name


@pytest.mark.parametrize("rows", [1, 33, 150])
def test_threads_leave_the_same_bytes(rows, monkeypatch):
    solver, p, q = loads(street(seed=5), rows)
    p[rows // 2] = np.nan
    monkeypatch.setattr(phase_solve, "threads_there", lambda: 1)
    alone = solver.solve(p, q)
    assert alone.converged.sum() == rows - 1
    for threads in (2, 3, 64):
        monkeypatch.setattr(phase_solve, "threads_there", lambda threads=threads: threads)
        for name, values in vars(solver.solve(p, q)).items():
            assert values.tobytes() == getattr(alone, name).tobytes(), name


def test_rows_without_a_solution_are_no_numbers():
    solver, p, q = loads(street(), 4)
    p[0, 0], p[1, 0], p[2] = np.nan, np.inf, 1.0
    flow = solver.solve(p, q)
    assert flow.converged.tolist() == [False, False, False, True]
    for name, values in vars(flow).items():
        lost = values[:3]
        if name != "converged":
            assert (lost == -1 if values.dtype.kind == "i" else np.isnan(lost)).all(), name


def test_maxima_are_those_of_the_lines():
    values = street(seed=4)
    solver, p, q = loads(values, 30, kw=20.0)
    flow = solver.solve(p, q)
    percent = 100.0 * flow.i_phase_a / values.line_ampacity_a[:, None]
    highest = np.nanmax(percent, axis=(1, 2))
    np.testing.assert_allclose(flow.line_percent, highest, rtol=1e-12)
    rows = np.arange(len(p))
    np.testing.assert_allclose(percent[rows, flow.line_at, flow.line_phase], highest, rtol=1e-12)
    assert np.array_equal(flow.lines_over, (percent > 100.0).any(axis=2).sum(axis=1))
    assert flow.lines_over.any()
    np.testing.assert_array_equal(flow.i_a, flow.i_phase_a.max(axis=2))
    short = solver.solve(p, q, lines=False)
    assert short.i_a.shape == (30, 0)
    assert short.i_phase_a.shape == (30, 0, 3)
    for name in ("line_percent", "lines_over", "vm_pu", "neutral_a", "vuf_percent"):
        assert getattr(short, name).tobytes() == getattr(flow, name).tobytes()


def test_what_has_no_supply_is_named():
    net = Network(0.4).line("source", "one", z=(0.2, 0.2), phases="a").home("one", "b")
    with pytest.raises(LoadFlowError, match=r"home 1 at one\.b"):
        ThreePhaseSolver(net.values())
    net = Network(0.4).line("source", "one", z=(0.2, 0.2), phases="a")
    net.line("one", "two", z=(0.2, 0.2), phases="abc").home("two", "b")
    with pytest.raises(LoadFlowError, match="phases bc of bus two are not supplied"):
        ThreePhaseSolver(net.values())
    net = Network(0.4).line("source", "one", z=(0.2, 0.2)).home("one")
    net.bus += ["island"]
    net.vn_kv += [0.4]
    with pytest.raises(LoadFlowError, match="buses without supply: island"):
        ThreePhaseSolver(net.values())


def test_windings_have_their_lags():
    for delta, lags in (((True, False), range(30, 360, 60)), ((True, True), range(0, 360, 60))):
        for lag in lags:
            net = Network().transformer("source", "low", to_kv=0.4, delta=delta, lag=lag)
            ThreePhaseSolver(net.home("low", "ab", delta=True).values())
    net = Network().transformer("source", "low", to_kv=0.4, delta=(True, False), lag=0)
    with pytest.raises(LoadFlowError, match="delta and wye do not shift the voltage by 0 degrees"):
        ThreePhaseSolver(net.home("low").values())


def balanced_street(z=0.4 + 0.2j):
    """Lines with a zero sequence of their own, and the ends of each."""
    net = Network(0.4, vm_pu=1.02, z1=0.0, z0=0.0)
    ends = [("source", "b1"), ("b1", "b2"), ("b2", "b3"), ("b1", "b4")]
    for one, other in ends:
        net.line(one, other, z=(3.0 * z + 0.1, z), km=0.1)
    for bus in net.bus[1:]:
        net.home(bus, "abc")
    return net, ends


def test_balanced_load_on_three_phases_is_what_the_balanced_solver_says():
    from abm.grid import build_feeder
    from abm.grid.solve import PowerGridModelSolver
    from abm.scenario.feeder import read_feeder

    z = 0.4 + 0.2j
    net, ends = balanced_street(z)
    solver = ThreePhaseSolver(net.values())
    rng = np.random.default_rng(5)
    p = rng.normal(5.0, 5.0, (4, 4)) / 1e3
    q = 0.3 * np.abs(p)
    flow = solver.solve(np.repeat(p / 3.0, 3, axis=1), np.repeat(q / 3.0, 3, axis=1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "feeder.yaml").write_text("slack_bus: 1\nslack_vm_pu: 1.02\nvn_kv: 0.4\n")
        rows = [f"{bus + 1},residential,{bus + 1},0.0,0.0" for bus in range(5)]
        head = "bus,customer_class,zone,p_mw,q_mvar"
        (folder / "buses.csv").write_text("\n".join([head, *rows]) + "\n")
        rows = [
            f"{net.bus.index(one) + 1},{net.bus.index(other) + 1},{0.1 * z.real},{0.1 * z.imag},100"
            for one, other in ends
        ]
        head = "from_bus,to_bus,r_ohm,x_ohm,ampacity_a"
        (folder / "lines.csv").write_text("\n".join([head, *rows]) + "\n")
        feeder = build_feeder(read_feeder(folder, None))
    none = np.zeros((4, 1))
    other = PowerGridModelSolver(feeder).solve(np.hstack([none, p]), np.hstack([none, q]))
    np.testing.assert_allclose(flow.vm_pu, other.vm_pu[:, 1:], rtol=0, atol=1e-9)
    np.testing.assert_allclose(flow.i_a, other.i_a, rtol=1e-8)
    np.testing.assert_allclose(flow.loss_mw, other.loss_mw, rtol=0, atol=1e-9)
    np.testing.assert_allclose(flow.slack_q_mvar, other.slack_q_mvar, rtol=0, atol=1e-9)
    np.testing.assert_allclose(flow.vuf_percent, 0.0, rtol=0, atol=1e-9)
    np.testing.assert_allclose(flow.neutral_a, 0.0, rtol=0, atol=1e-9)


def test_other_names_of_the_phases_give_the_same_in_other_places():
    values = street(seed=7)
    solver, p, q = loads(values, 5)
    flow = solver.solve(p, q)
    # a becomes b, b becomes c, c becomes a; the source, too, so that it is a matter of names.
    turned = dataclasses.replace(
        values,
        source_va_degree=values.source_va_degree - 240.0,
        home_phases=np.roll(values.home_phases, 1, axis=1),
        line_z_ohm=np.roll(values.line_z_ohm, (1, 1), axis=(1, 2)),
    )
    other = ThreePhaseSolver(turned)
    one, two = solver.terminals, other.terminals
    # Where each terminal of the first has gone: by home and phase.
    place = {key: at for at, key in enumerate(zip(two.home, two.phase, strict=True))}
    order = [place[home, (phase + 1) % 3] for home, phase in zip(one.home, one.phase, strict=True)]
    p_two, q_two = np.zeros_like(p), np.zeros_like(q)
    p_two[:, order], q_two[:, order] = p, q
    again = other.solve(p_two, q_two)
    for name in ("vm_pu", "i_a", "loss_mw", "neutral_a", "vuf_percent", "transformer_percent"):
        wanted = getattr(flow, name)
        np.testing.assert_allclose(getattr(again, name), wanted, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(again.i_phase_a, np.roll(flow.i_phase_a, 1, axis=2), atol=1e-9)
    assert not np.allclose(again.i_phase_a, flow.i_phase_a, atol=1e-3)


def test_the_order_of_lines_and_homes_does_not_matter():
    values = street(seed=8)
    solver, p, q = loads(values, 3)
    rng = np.random.default_rng(0)
    lines, homes = rng.permutation(len(values.line)), rng.permutation(values.n_home)
    # The lengths of lines are not always known.
    assert len(values.line_length_m) == 0
    names = [name for name in vars(values) if name.startswith("line") and name != "line_length_m"]
    mixed = dataclasses.replace(values, **{name: getattr(values, name)[lines] for name in names})
    names = [name for name in vars(values) if name.startswith("home")]
    mixed = dataclasses.replace(mixed, **{name: getattr(values, name)[homes] for name in names})
    other = ThreePhaseSolver(mixed)
    order = np.concatenate([np.flatnonzero(solver.terminals.home == home) for home in homes])
    flow, again = solver.solve(p, q), other.solve(p[:, order], q[:, order])
    np.testing.assert_allclose(again.vm_pu, flow.vm_pu[:, homes], rtol=0, atol=1e-12)
    np.testing.assert_allclose(again.i_a, flow.i_a[:, lines], rtol=1e-9)


def test_it_goes_to_the_greatest_load_that_can_be_supplied():
    net = Network(0.4, z1=0.0, z0=0.0).line("source", "end", z=(0.2, 0.2)).home("end", "b")
    solver = ThreePhaseSolver(net.values())
    greatest = (400.0 / np.sqrt(3.0)) ** 2 / (4.0 * 0.2) / 1e6
    p = greatest * np.array([[0.9999], [1.0001], [-50.0]])
    flow = solver.solve(p, 0.0 * p)
    assert flow.converged.tolist() == [True, False, False]  # the last one above 2 p.u.
    assert flow.vm_pu[0, 0] == pytest.approx(0.5 * (1.0 + np.sqrt(1.0 - 0.9999)), abs=1e-6)


def ring(buses):
    """Homes around a loop of low voltage."""
    net = Network(0.4)
    names = ["source", *(f"b{i}" for i in range(buses))]
    for one, other in zip(names, [*names[1:], "source"], strict=True):
        net.line(one, other, z=(0.9 + 0.3j, 0.3 + 0.08j), y=(1e-4j, 1e-4j), km=0.03)
    return net.home("b7", "b").home("b20", "abc", delta=True).home("b29", "ca").values()


RING = """
import hashlib
from abm.grid.phase_solve import ThreePhaseSolver
from test_phase_solve import ring
print(hashlib.sha256(ThreePhaseSolver(ring(80))._tree.core_z.tobytes()).hexdigest())
"""


def test_loops_have_the_same_bits_with_any_number_of_threads():
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    found = set()
    for threads in ("1", "2"):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, "PYTHONPATH": paths, **dict.fromkeys(names, threads)}
        command = [sys.executable, "-c", RING]
        ran = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        found.add(ran.stdout)
    assert len(found) == 1


def test_the_impedances_of_a_loop_are_the_inverse_of_its_admittances():
    solver = ThreePhaseSolver(ring(30))
    assert disagreement(solver, NodeVoltages(solver.values)) == ""
    assert solver._tree.core_z.shape == (93, 93, 2)


def test_without_lines_of_low_voltage_no_neutral_current_is_known():
    net = Network(11.0).line("source", "end", z=(0.2, 0.2)).home("end", "b", p_kw=50.0)
    solver = ThreePhaseSolver(net.values())
    p, q = solver.nominal()
    flow = solver.solve(p[None], q[None])
    assert flow.converged.all()
    assert np.isnan(flow.neutral_a).all()
