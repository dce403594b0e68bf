"""Load flows against published numbers, against a second program, and against hand work."""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import power_grid_model
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from abm.errors import InputError
from abm.grid import (
    Feeder,
    LoadFlowWarning,
    PandapowerSolver,
    PowerFlow,
    PowerGridModelSolver,
    Solver,
    UnsupportedFeederError,
    build_feeder,
    disagreement,
    make_solver,
    power_mismatch,
)
from abm.scenario.feeder_table import FeederTable

VALUES = ("vm_pu", "va_rad", "i_a", "line_loss_mw", "loss_mw", "slack_p_mw", "slack_q_mvar")


def table_of(net: str, buses: NDArray[np.int64]) -> FeederTable:
    """The feeder as the net has it: one class, no zones, the net's own ampacities."""
    none = np.array([], dtype=np.int64)
    return FeederTable(
        name="test feeder",
        net=net,
        buses=buses,
        customer_class=np.array([f"class of {bus}" for bus in buses]),
        zone=np.zeros(len(buses), dtype=np.int64),
        line_from=none,
        line_to=none,
        ampacity_a=np.array([]),
    )


def feeder_of(net: pp.pandapowerNet, folder: Path) -> Feeder:
    path = folder / "net.json"
    pp.to_json(net, str(path))
    return build_feeder(table_of(str(path), net.bus.index.to_numpy() + 1))


@pytest.fixture(scope="module")
def feeder() -> Feeder:
    return build_feeder(table_of("pandapower.networks:case33bw", np.arange(1, 34)))


@pytest.fixture(scope="module")
def reference(feeder: Feeder) -> PandapowerSolver:
    return PandapowerSolver(feeder)


@pytest.fixture(scope="module")
def quick(feeder: Feeder) -> PowerGridModelSolver:
    return PowerGridModelSolver(feeder)


@pytest.fixture(params=["pandapower", "power-grid-model"])
def solver(request: pytest.FixtureRequest, feeder: Feeder) -> Solver:
    made = make_solver(request.param, feeder)
    assert made.name == request.param
    return made


def loads(feeder: Feeder, *factors: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    factor = np.array(factors)[:, np.newaxis]
    return factor * feeder.p_mw, factor * feeder.q_mvar


def assert_same(one: PowerFlow, other: PowerFlow, tolerance: float) -> None:
    for name in VALUES:
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=tolerance, atol=tolerance, err_msg=name
        )
    np.testing.assert_array_equal(one.converged, other.converged)


def test_published_base_case(feeder: Feeder, solver: Solver) -> None:
    """202.68 kW and 0.9131 p.u. at N18, as the literature on this feeder since 1989 has it."""
    flow = solver.solve(*loads(feeder, 1.0))
    assert flow.converged.all()
    assert feeder.p_mw.sum() == pytest.approx(3.715)
    assert feeder.q_mvar.sum() == pytest.approx(2.3)
    assert flow.loss_mw[0] * 1e3 == pytest.approx(202.68, abs=0.005)
    assert flow.vm_pu.argmin() == 17
    assert flow.vm_pu.min() == pytest.approx(0.91309, abs=5e-6)
    assert flow.slack_p_mw[0] == pytest.approx(3.715 + 0.20268, abs=5e-6)
    assert flow.line_loss_mw.sum() == pytest.approx(flow.loss_mw[0], abs=1e-9)
    assert flow.i_a[0, 0] == pytest.approx(210.4, abs=0.05)
    assert flow.mismatch_mva[0] < 1e-6


def test_no_load(feeder: Feeder, solver: Solver) -> None:
    flow = solver.solve(*loads(feeder, 0.0))
    np.testing.assert_allclose(flow.vm_pu, 1.0, atol=1e-9)
    np.testing.assert_allclose(flow.loss_mw, 0.0, atol=1e-9)


def test_empty_batch_and_wrong_shape(feeder: Feeder, solver: Solver) -> None:
    assert solver.solve(np.empty((0, 33)), np.empty((0, 33))).vm_pu.shape == (0, 33)
    with pytest.raises(ValueError, match=r"\[B, 33\]"):
        solver.solve(feeder.p_mw, feeder.q_mvar)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), low=st.sampled_from([-2.0, 0.0]))
def test_agrees_with_pandapower(
    feeder: Feeder,
    reference: PandapowerSolver,
    quick: PowerGridModelSolver,
    seed: int,
    low: float,
) -> None:
    """Random loads at every bus, down to twice the nominal load fed in."""
    rng = np.random.default_rng(seed)
    p = feeder.p_mw * rng.uniform(low, 2.0, (4, 33))
    q = feeder.q_mvar * rng.uniform(-1.0, 2.0, (4, 33))
    wanted, found = reference.solve(p, q), quick.solve(p, q)
    assert wanted.converged.all()
    assert_same(found, wanted, 1e-6)
    assert max(wanted.mismatch_mva.max(), found.mismatch_mva.max()) < 1e-6


@pytest.mark.parametrize("solver_type", [PandapowerSolver, PowerGridModelSolver])
def test_mismatch_is_large_for_a_wrong_voltage(feeder: Feeder, solver_type: type) -> None:
    p, q = loads(feeder, 1.0, 0.3)
    flow = solver_type(feeder).solve(p, q)
    v = flow.vm_pu * np.exp(1j * flow.va_rad)
    network = feeder.network

    def mismatch(v: NDArray[np.complex128]) -> NDArray[np.float64]:
        return power_mismatch(v, feeder.y_bus, p + 1j * q, network.slack_nodes, feeder.base_mva)

    assert (mismatch(v) < 1e-6).all()
    v[1, 17] *= 1.001
    assert mismatch(v)[0] < 1e-6
    assert mismatch(v)[1] > 1e-3


def test_mismatch_by_hand() -> None:
    """Two buses, z = 0.1j p.u., V2 = 0.9 - 0.1j p.u., base 10 MVA.

    I = (1 - V2) / 0.1j = (0.1 + 0.1j) / 0.1j = 1 - 1j; S = V2 conj(I) = (0.9 - 0.1j)(1 + 1j)
    = 1.0 + 0.8j p.u. = 10 MW + 8 Mvar taken at bus 2.
    """
    y_bus = np.array([[-10j, 10j], [10j, -10j]])
    v = np.array([[1.0, 0.9 - 0.1j]] * 3)
    s_load = np.array([[5.0, 10 + 8j], [0.0, 7 + 4j], [0.0, 10 + 8.5j]])
    found = power_mismatch(v, y_bus, s_load, 0, 10.0)
    np.testing.assert_allclose(found, [0.0, 5.0, 0.5], atol=1e-12)


def test_rows_do_not_depend_on_their_neighbours(
    feeder: Feeder, quick: PowerGridModelSolver
) -> None:
    rng = np.random.default_rng(7)
    p = feeder.p_mw * rng.uniform(-2.0, 2.0, (20, 33))
    q = feeder.q_mvar * rng.uniform(0.0, 2.0, (20, 33))
    p[[3, 11]] *= 50.0
    whole = quick.solve(p, q)
    assert np.flatnonzero(~whole.converged).tolist() == [3, 11]
    chunked = PowerGridModelSolver(feeder, voltages_per_chunk=3 * 33).solve(p, q)
    assert_same(chunked, whole, 1e-12)
    for row in range(20):
        single = quick.solve(p[row : row + 1], q[row : row + 1])
        for name in VALUES:
            np.testing.assert_allclose(
                getattr(single, name)[0], getattr(whole, name)[row], rtol=1e-12, atol=1e-12
            )


def test_no_convergence_is_flagged_and_passes(feeder: Feeder, solver: Solver) -> None:
    p, q = loads(feeder, 1.0, 10.0, 1.0, 1.0, 1.0, 1.0, 0.5)
    p[2, 4], p[3, 4], q[4, 4], p[5, 4] = np.nan, np.inf, -np.inf, 1e300
    flow = solver.solve(p, q)
    assert flow.converged.tolist() == [True, False, False, False, False, False, True]
    bad = ~flow.converged
    for name in (*VALUES, "mismatch_mva"):
        assert np.isnan(getattr(flow, name)[bad]).all(), name
        assert np.isfinite(getattr(flow, name)[~bad]).all(), name
    assert not solver.solve(*loads(feeder, 10.0)).converged.any()
    good = solver.solve(*loads(feeder, 1.0, 0.5))
    for name in VALUES:
        np.testing.assert_allclose(getattr(flow, name)[~bad], getattr(good, name), atol=1e-12)


def transformers() -> pp.pandapowerNet:
    """110/20/0.4 kV with taps, a phase shift, cable capacitance, a shunt, a closed bus coupler and
    a cable open at its far end; the 110 kV side is held at 1.03 p.u."""
    net = pp.create_empty_network(sn_mva=5.0)
    buses = [pp.create_bus(net, vn_kv=kv) for kv in (110.0, 20.0, 20.0, 20.0, 0.4, 20.0)]
    pp.create_ext_grid(net, buses[0], vm_pu=1.03)
    pp.create_transformer(net, buses[0], buses[1], "25 MVA 110/20 kV", tap_pos=2)
    pp.create_switch(net, buses[1], buses[2], et="b")
    cable = "NA2XS2Y 1x185 RM/25 12/20 kV"
    pp.create_line(net, buses[2], buses[3], 6.0, cable, parallel=2)
    line = pp.create_line(net, buses[3], buses[5], 4.0, cable)
    open_end = pp.create_line(net, buses[2], buses[5], 9.0, cable)
    pp.create_switch(net, buses[5], open_end, et="l", closed=False)
    assert line == 1
    pp.create_transformer(net, buses[3], buses[4], "0.4 MVA 20/0.4 kV", tap_pos=1)
    pp.create_shunt(net, buses[5], q_mvar=-0.3, p_mw=0.01)
    pp.create_load(net, buses[4], p_mw=0.2, q_mvar=0.05)
    pp.create_load(net, buses[2], p_mw=6.0, q_mvar=1.5)
    pp.create_sgen(net, buses[5], p_mw=3.0)
    return net


def test_transformers_switches_and_shunts(tmp_path: Path) -> None:
    feeder = feeder_of(transformers(), tmp_path)
    assert feeder.is_radial
    assert feeder.n_line == 3
    quick = make_solver("power-grid-model", feeder)
    assert quick.name == "power-grid-model"
    load = loads(feeder, 1.0, 0.0, -1.0)
    wanted = PandapowerSolver(feeder).solve(*load)
    assert wanted.converged.all()
    assert_same(quick.solve(*load), wanted, 1e-6)
    assert wanted.loss_mw[1] > 0.01  # iron and shunt
    own = transformers()
    pp.runpp(own, numba=False, tolerance_mva=1e-10)
    np.testing.assert_allclose(wanted.vm_pu[0], own.res_bus["vm_pu"], atol=1e-9)
    np.testing.assert_allclose(wanted.i_a[0], 1e3 * own.res_line["i_ka"], atol=1e-6)


def test_two_external_grids(tmp_path: Path) -> None:
    net = transformers()
    pp.create_ext_grid(net, 3, vm_pu=1.01, va_degree=-150.0)
    feeder = feeder_of(net, tmp_path)
    assert feeder.slack_buses.tolist() == [0, 3]
    quick = make_solver("power-grid-model", feeder)
    assert quick.name == "power-grid-model"
    load = loads(feeder, 1.0, -1.0)
    assert_same(quick.solve(*load), PandapowerSolver(feeder).solve(*load), 1e-6)


def lopsided() -> pp.pandapowerNet:
    """An impedance that differs by direction, which power-grid-model has no component for."""
    net = pp.create_empty_network()
    one, two = (pp.create_bus(net, vn_kv=20.0) for _ in range(2))
    pp.create_ext_grid(net, one)
    pp.create_impedance(net, one, two, 0.01, 0.02, sn_mva=10.0, rtf_pu=0.02, xtf_pu=0.03)
    pp.create_load(net, two, p_mw=1.0)
    return net


def test_an_unsupported_feeder_falls_back(tmp_path: Path) -> None:
    feeder = feeder_of(lopsided(), tmp_path)
    with pytest.raises(UnsupportedFeederError, match="two ends differ"):
        PowerGridModelSolver(feeder)
    for _ in range(2):  # said again to whoever asks again
        with pytest.warns(LoadFlowWarning, match="'test feeder'.*pandapower is used instead"):
            assert make_solver("power-grid-model", feeder).name == "pandapower"
    flow = make_solver("pandapower", feeder).solve(*loads(feeder, 1.0))
    assert flow.converged.all()
    assert flow.mismatch_mva[0] < 1e-6


def spoil(monkeypatch: pytest.MonkeyPatch, factor: float = 1.01) -> None:
    """Let power-grid-model have another resistance of the fourth branch than the feeder says."""
    library = power_grid_model.PowerGridModel

    def wrong(grid: Any, **options: Any) -> Any:
        branches = grid[power_grid_model.ComponentType.generic_branch]
        branches["r1"][3] *= factor
        return library(grid, **options)

    monkeypatch.setattr(power_grid_model, "PowerGridModel", wrong)


def test_a_wrong_conversion_is_not_used(feeder: Feeder, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch)
    with pytest.warns(LoadFlowWarning, match="does not converge where pandapower does"):
        assert make_solver("power-grid-model", replace(feeder)).name == "pandapower"


def test_a_weak_source_is_noticed(feeder: Feeder, reference: PandapowerSolver) -> None:
    """power-grid-model's default source is an impedance that moves every voltage by 4e-4 p.u."""
    weak = PowerGridModelSolver(feeder, source_va=1e10)
    said = disagreement(weak, reference, feeder)
    assert re.fullmatch(r"differs from pandapower by 0\.000\d+ p\.u\. and \S+ MW", said)
    assert disagreement(PowerGridModelSolver(feeder), reference, feeder) == ""


def test_solvers_are_made_once(feeder: Feeder) -> None:
    assert make_solver("power-grid-model", feeder) is make_solver("power-grid-model", feeder)
    with pytest.raises(InputError, match="did you mean 'pandapower'"):
        make_solver("pandapwer", feeder)


def test_threads_share_a_solver(feeder: Feeder, solver: Solver) -> None:
    """Models that run in threads of the user's own have one solver for each feeder."""
    fast = solver.name == "power-grid-model"
    rows, times = (24, 100) if fast else (2, 4)
    batches = [loads(feeder, *(np.arange(rows) / (rows + i))) for i in range(4)]
    wanted = [solver.solve(*batch) for batch in batches]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda batch: solver.solve(*batch), times * batches))
    finally:
        sys.setswitchinterval(before)
    for i, one in enumerate(found):
        assert_same(one, wanted[i % 4], 0.0)


class Counted:
    """How often pandapower is asked for a load flow."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.flows = 0
        runpp = pp.runpp

        def counting(*args: Any, **options: Any) -> Any:
            self.flows += 1
            return runpp(*args, **options)

        monkeypatch.setattr(pp, "runpp", counting)

    def checks(self, feeder: Feeder) -> bool:
        """Whether power-grid-model is checked before it is used on a feeder, by a new process."""
        before = self.flows
        assert make_solver("power-grid-model", replace(feeder)).name == "power-grid-model"
        return self.flows > before


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "user" / "cache"
    monkeypatch.setenv("EVENFALL_CACHE", str(folder))
    return folder


def test_a_check_is_remembered(
    feeder: Feeder, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pandapower = Counted(monkeypatch)
    assert pandapower.checks(feeder)
    assert len(list(memory.iterdir())) == 1
    assert not pandapower.checks(feeder)
    monkeypatch.setenv("EVENFALL_CACHE", "")
    assert pandapower.checks(feeder)
    assert len(list(memory.iterdir())) == 1


def test_another_content_is_checked_again(
    feeder: Feeder, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Be it a line, an own source's voltage or the nominal load, and under the same name."""
    pandapower = Counted(monkeypatch)
    assert pandapower.checks(feeder)
    branches, r_pu = feeder.network.branches, feeder.network.branches.r_pu.copy()
    r_pu[5] = np.nextafter(r_pu[5], 1.0)
    network = replace(feeder.network, branches=replace(branches, r_pu=r_pu))
    assert pandapower.checks(replace(feeder, network=network))
    assert pandapower.checks(replace(feeder, p_mw=feeder.p_mw * 0.9))
    assert not pandapower.checks(feeder)
    assert len(list(memory.iterdir())) == 3


def test_a_spoiled_memory_is_no_memory(
    feeder: Feeder, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pandapower = Counted(monkeypatch)
    assert pandapower.checks(feeder)
    (file,) = memory.iterdir()
    for content in (b"", file.read_bytes()[:-1], b"\xff\x00"):
        file.write_bytes(content)
        assert pandapower.checks(feeder)
        assert not pandapower.checks(feeder)


def test_a_folder_that_cannot_be_written(
    feeder: Feeder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("EVENFALL_CACHE", str(tmp_path / "file" / "cache"))
    pandapower = Counted(monkeypatch)
    assert pandapower.checks(feeder)
    assert pandapower.checks(feeder)


def test_a_failed_check_is_not_remembered(
    feeder: Feeder, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        spoil(patch)
        for _ in range(2):
            with pytest.warns(LoadFlowWarning, match="pandapower is used instead"):
                assert make_solver("power-grid-model", replace(feeder)).name == "pandapower"
    assert not memory.exists()
    assert Counted(monkeypatch).checks(feeder)
