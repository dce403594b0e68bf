"""The fixed point of three-phase load flows: what it says of itself."""

import numpy as np
import pytest
from three_phase import Network, street

from abm.errors import LoadFlowError
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
