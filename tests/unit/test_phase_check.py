"""The solver of a three-phase feeder is compared with others before it is used."""

import dataclasses

import numpy as np
import pytest
from three_phase import Network, street

from abm.errors import LoadFlowError
from abm.grid import LoadFlowWarning, UnsupportedFeederError, agreement, phase_check
from abm.grid.phase_check import NodeVoltages, disagreement, three_phase_solver
from abm.grid.phase_power_grid_model import PowerGridModelPhases
from abm.grid.phase_solve import ThreePhaseSolver


@pytest.fixture(autouse=True)
def no_solvers(monkeypatch):
    monkeypatch.setattr(phase_check, "_SOLVERS", {})


def three_phases(delta=(True, False), lag=30, z1=0.05 + 0.5j):
    """What power-grid-model can model, with all that it has."""
    net = Network(11.0, vm_pu=1.02, va_degree=20.0, z1=z1)
    lopsided = np.diag([0.8 + 0.5j, 0.9 + 0.6j, 1.0 + 0.7j]) + 0.2 + 0.2j
    net.line("source", "m", z=(1.0 + 1.2j, 0.4 + 0.4j), y=(2e-4j, 3e-4j))
    net.line("m", "mv", z=lopsided, y=(2e-6j, 3e-6j))
    net.transformer("mv", "low", to_kv=0.4, delta=delta, lag=lag, tap_from=0.975, tap_to=1.025)
    net.line("low", "end", z=(0.9 + 0.3j, 0.3 + 0.08j), km=0.1)
    net.capacitor("end", 1e-3j * np.eye(3)).home("end", "abc")
    if not delta[1]:
        net.home("end", "a").home("low", "bc")
    return net.values()


@pytest.mark.parametrize(
    ("delta", "lag"),
    [((True, False), lag) for lag in range(30, 360, 60)]
    + [((False, True), lag) for lag in range(30, 360, 60)]
    + [(both, lag) for both in ((True, True), (False, False)) for lag in range(0, 360, 60)],
)
@pytest.mark.parametrize("other", [PowerGridModelPhases, NodeVoltages])
def test_others_find_the_same_voltages(delta, lag, other, monkeypatch):
    monkeypatch.setattr(phase_check, "AGREE_PU", 1e-8)
    values = three_phases(delta, lag)
    assert disagreement(ThreePhaseSolver(values), other(values)) == ""


@pytest.mark.parametrize("z1", [0.0, 0.05 + 0.5j])
def test_power_grid_model_is_asked_first(z1):
    assert three_phase_solver(three_phases(z1=z1), "key").checked_by == "power-grid-model"


def test_what_it_does_not_model_is_said_and_all_admittances_are_asked():
    solver = three_phase_solver(street(), "key")
    lacks = "power-grid-model cannot model 4 loads between phases"
    assert solver.checked_by == f"the admittances of all nodes, as {lacks}"
    assert three_phase_solver(street(), "key") is solver
    net = Network(0.4).line("source", "one", z=(0.2, 0.2), phases="a").home("one")
    net.capacitor("one", np.diag([1e-4j, 0.0, 0.0]))
    with pytest.raises(
        UnsupportedFeederError,
        match="1 lines without all three phases, 1 capacitors that differ by phase",
    ):
        PowerGridModelPhases(net.values())


def test_a_difference_is_a_warning(monkeypatch):
    voltages = NodeVoltages.voltages
    monkeypatch.setattr(NodeVoltages, "voltages", lambda *a: voltages(*a) * (1.0 + 2e-6))
    said = r"z-bus differs from the admittances of all nodes by 2.* p\.u\."
    with pytest.warns(LoadFlowWarning, match=said):
        three_phase_solver(street(), "key")


def test_a_check_is_remembered(monkeypatch, tmp_path):
    monkeypatch.setenv("EVENFALL_CACHE", str(tmp_path))
    three_phase_solver(street(), "one")
    files = set(tmp_path.glob("*.agrees"))
    assert len(files) == 1
    with monkeypatch.context() as patch:
        patch.setattr(phase_check, "disagreement", lambda *_: pytest.fail("asked again"))
        three_phase_solver(street(), "two")
    values = street()
    three_phase_solver(dataclasses.replace(values, home_p_kw=values.home_p_kw * 1.5), "three")
    assert len(set(tmp_path.glob("*.agrees"))) == 2


@pytest.mark.parametrize("package", ["numba", "numpy", "power-grid-model", "scipy"])
def test_another_version_of_what_solves_is_checked_again(package, monkeypatch, tmp_path):
    monkeypatch.setenv("EVENFALL_CACHE", str(tmp_path))
    three_phase_solver(street(), "one")
    version = agreement.version
    newer = {package: "99"}
    monkeypatch.setattr(agreement, "version", lambda name: newer.get(name) or version(name))
    three_phase_solver(street(), "two")
    assert len(set(tmp_path.glob("*.agrees"))) == 2


def test_a_nominal_load_without_a_solution_is_an_error():
    values = street()
    heavy = dataclasses.replace(values, home_p_kw=values.home_p_kw * 1e3)
    with pytest.raises(LoadFlowError, match="does not converge at nominal load"):
        three_phase_solver(heavy, "key")


def test_phases_in_the_air_leave_it_unchecked_and_say_so():
    net = Network(0.4).line("source", "one", z=(0.2, 0.2), phases="a").home("one")
    net.line("one", "two", z=(0.2, 0.2)).home("two")
    with pytest.warns(LoadFlowWarning, match="is not checked: .* phases that nothing supplies"):
        assert three_phase_solver(net.values(), "key").checked_by == ""


def test_a_switch_of_next_to_nothing_is_checked_and_silence_is_no_agreement(monkeypatch):
    # Rounding leaves more than the last digits of voltages beside 1e-7 ohm.
    net = Network(4.16, z1=1e-3 + 1e-2j).line("source", "one", z=(0.3 + 0.6j, 0.7 + 1.9j), km=0.6)
    net.line("one", "two", z=(0.1, 0.1), km=1e-6).line("two", "far", z=(0.5 + 0.8j, 1.0 + 2.0j))
    net.home("far", "ab", delta=True, p_kw=170.0).home("two", "c", p_kw=300.0)
    values = net.values()
    solver = ThreePhaseSolver(values)
    p, q = solver.nominal()
    assert np.isfinite(NodeVoltages(values).voltages(p[None], q[None])[0, -1]).all()
    assert disagreement(solver, NodeVoltages(values)) == ""
    nothing = np.full((3, len(values.bus), 3), np.nan + 0j)
    monkeypatch.setattr(NodeVoltages, "voltages", lambda *_: nothing)
    assert "is not checked: the admittances" in disagreement(solver, NodeVoltages(values))
