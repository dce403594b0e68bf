"""Feeders from tables: positions, classes, topology, and what is said about a wrong table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest

from abm.errors import InputError, LoadFlowError
from abm.grid import build_feeder, load_net, loading_percent, make_solver
from abm.scenario import Scenario
from abm.scenario.feeder_table import FeederTable, LineValues


@pytest.fixture(scope="module")
def table() -> FeederTable:
    return Scenario.load("paper").inputs.feeder


def plain_table(net: str, numbers: list[int]) -> FeederTable:
    none = np.array([], dtype=np.int64)
    return FeederTable(
        name="plain",
        net=net,
        buses=np.array(numbers),
        customer_class=np.array([f"class of {number}" for number in numbers]),
        zone=np.zeros(len(numbers), dtype=np.int64),
        line_from=none,
        line_to=none,
        ampacity_a=np.array([]),
    )


def saved(net: pp.pandapowerNet, folder: Path) -> str:
    path = folder / "net.json"
    pp.to_json(net, str(path))
    return str(path)


def three_buses() -> pp.pandapowerNet:
    """Indices 7, 3, 5 (paper 8, 4, 6), fed at 5: two parallel systems 5-3, one line 3-7."""
    net = pp.create_empty_network()
    for index in (7, 3, 5):
        pp.create_bus(net, vn_kv=20.0, index=index)
    pp.create_ext_grid(net, 5, vm_pu=1.02)
    for start, end, parallel in ((5, 3, 2), (3, 7, 1)):
        pp.create_line_from_parameters(
            net, start, end, 1.5, 0.1, 0.2, 10.0, max_i_ka=0.25, parallel=parallel
        )
    pp.create_load(net, 7, p_mw=0.4, q_mvar=0.1, scaling=0.5)
    pp.create_load(net, 7, p_mw=9.0, q_mvar=9.0, in_service=False)
    pp.create_sgen(net, 3, p_mw=0.3, q_mvar=0.05)
    return net


def test_nominal_load_and_classes(table: FeederTable) -> None:
    feeder = build_feeder(table)
    assert (feeder.n_bus, feeder.n_line) == (33, 32)
    assert feeder.class_names == ("residential", "commercial", "industrial")
    by_class = {
        name: feeder.p_mw[feeder.bus_class == i].sum() * 1e3
        for i, name in enumerate(feeder.class_names)
    }
    assert by_class == pytest.approx({"residential": 1295, "industrial": 1320, "commercial": 1100})
    assert feeder.q_mvar.sum() == pytest.approx(2.3)
    assert feeder.zone_bus.tolist() == list(range(15))
    assert (feeder.slack_bus, feeder.base_kv, feeder.base_mva) == (0, 12.66, 10.0)


def test_ampacities_reach_the_net(table: FeederTable) -> None:
    feeder = build_feeder(table)
    assert feeder.ampacity_a[[0, 5, 7, 31]].tolist() == pytest.approx([400, 300, 200, 200])
    assert feeder.net.line["max_i_ka"].iloc[:2].tolist() == pytest.approx([0.4, 0.4])
    loading = loading_percent(np.full((2, 32), 100.0), feeder.ampacity_a)
    assert loading[:, 0].tolist() == pytest.approx([25.0, 25.0])


def test_the_shipped_tables_are_the_net_of_pandapower(table: FeederTable) -> None:
    """Loads, impedances, matrices and voltages, to the byte."""
    none = np.array([], dtype=np.int64)
    of_net = build_feeder(
        replace(
            table,
            net="pandapower.networks:case33bw",
            values=None,
            line_from=none,
            line_to=none,
            ampacity_a=np.array([]),
            is_open=none,
        )
    )
    of_tables = build_feeder(table)
    for name in ("bus_index", "line_index", "line_from", "line_to", "vn_kv", "slack_buses"):
        assert np.array_equal(getattr(of_tables, name), getattr(of_net, name)), name
    one, other = of_tables.network, of_net.network
    for name in ("y_bus", "y_from", "y_to"):
        for part in ("data", "indices", "indptr"):
            found, wanted = (getattr(getattr(net, name), part) for net in (one, other))
            assert found.tobytes() == wanted.tobytes(), (name, part)
    for name, wanted in vars(other.branches).items():
        assert np.array_equal(getattr(one.branches, name), wanted), name
    load = (of_net.p_mw[np.newaxis], of_net.q_mvar[np.newaxis])
    assert load[0].tobytes() == of_tables.p_mw.tobytes()
    assert load[1].tobytes() == of_tables.q_mvar.tobytes()
    for solver in ("power-grid-model", "pandapower"):
        flows = [make_solver(solver, feeder).solve(*load) for feeder in (of_tables, of_net)]
        for name, wanted in vars(flows[1]).items():
            assert getattr(flows[0], name).tobytes() == wanted.tobytes(), (solver, name)


def line_table(**changes: Any) -> FeederTable:
    """Buses 8, 4, 6 at 20 kV, fed at 6 with 1.02 p.u.; lines 6-4 and 4-8; 0.2 MW at bus 8."""
    values = LineValues(
        vn_kv=20.0,
        slack_bus=6,
        slack_vm_pu=1.02,
        p_mw=np.array([0.2, -0.3, 0.0]),
        q_mvar=np.array([0.05, -0.05, 0.0]),
        r_ohm=np.array([0.075, 0.15]),
        x_ohm=np.array([0.15, 0.3]),
    )
    table = replace(
        plain_table("", [8, 4, 6]),
        line_from=np.array([6, 4]),
        line_to=np.array([4, 8]),
        ampacity_a=np.array([500.0, 250.0]),
        values=values,
    )
    return replace(table, **changes)


def test_a_feeder_of_tables() -> None:
    """Rows of buses.csv in any order; the net that is made of it for pandapower is the same."""
    feeder = build_feeder(line_table())
    assert feeder.bus_index.tolist() == [3, 5, 7]
    assert feeder.p_mw.tolist() == [-0.3, 0.0, 0.2]
    assert (feeder.slack_bus, feeder.base_kv) == (1, 20.0)
    assert feeder.downstream_buses(0).tolist() == [0, 2]
    assert feeder.is_radial
    assert make_solver("power-grid-model", feeder).name == "power-grid-model"
    own = feeder.net
    pp.runpp(own, numba=False, tolerance_mva=1e-10)
    flow = make_solver("power-grid-model", feeder).solve(
        *(v[None] for v in (feeder.p_mw, feeder.q_mvar))
    )
    np.testing.assert_allclose(flow.vm_pu[0], own.res_bus["vm_pu"], atol=1e-9)
    assert flow.vm_pu[0, 1] == pytest.approx(1.02)
    assert own.line["max_i_ka"].tolist() == [0.5, 0.25]


def test_a_mesh_of_tables_is_not_radial() -> None:
    values = line_table().values
    assert values is not None
    feeder = build_feeder(
        line_table(
            line_from=np.array([6, 4, 8]),
            line_to=np.array([4, 8, 6]),
            ampacity_a=np.full(3, 250.0),
            values=replace(values, r_ohm=np.full(3, 0.1), x_ohm=np.full(3, 0.2)),
        )
    )
    assert not feeder.is_radial
    assert feeder.downstream_buses(0).tolist() == []
    flows = [
        make_solver(name, feeder).solve(feeder.p_mw[None], feeder.q_mvar[None])
        for name in ("power-grid-model", "pandapower")
    ]
    np.testing.assert_allclose(flows[0].i_a, flows[1].i_a, atol=1e-6)


def one_class(table: FeederTable) -> FeederTable:
    return replace(table, customer_class=np.full(len(table.buses), "residential"))


@pytest.mark.parametrize("kind", ["sgen", "load", "tables", "beside a load"])
def test_generation_that_would_follow_the_load_is_refused(kind: str, tmp_path: Path) -> None:
    """In a class that has load elsewhere, or at a bus with load; the bus and feeder are named."""
    net = three_buses()
    if kind == "load":
        net.sgen = net.sgen.iloc[:0]
        pp.create_load(net, 3, p_mw=-0.3)
    elif kind == "beside a load":
        pp.create_load(net, 3, p_mw=0.5)
    table = plain_table(saved(net, tmp_path), [4, 6, 8])
    if kind == "tables":
        table = line_table()
    if kind != "beside a load":
        assert build_feeder(table).p_mw.min() == pytest.approx(-0.3)
        table = one_class(table)
    with pytest.raises(InputError) as caught:
        build_feeder(table)
    (problem,) = caught.value.problems
    assert (problem.field, problem.value) == ("feeder.generation", "N4 of feeder 'plain'")
    assert "in generation.csv" in problem.allowed
    assert "a class of its own in buses.csv" in problem.allowed


def test_what_does_not_generate_is_no_generation(tmp_path: Path) -> None:
    """Out of service, scaled to nothing, reactive power alone, or a generator that consumes."""
    net = three_buses()
    net.sgen = net.sgen.iloc[:0]
    pp.create_sgen(net, 3, p_mw=0.3, in_service=False)
    pp.create_sgen(net, 3, p_mw=0.3, scaling=0.0)
    pp.create_sgen(net, 3, p_mw=0.0, q_mvar=0.1)
    pp.create_sgen(net, 3, p_mw=-0.1)
    feeder = build_feeder(one_class(plain_table(saved(net, tmp_path), [4, 6, 8])))
    assert feeder.p_mw.tolist() == pytest.approx([0.1, 0.0, 0.2])


def test_loads_that_follow_the_voltage_are_refused(tmp_path: Path) -> None:
    net = three_buses()
    net.sgen = net.sgen.iloc[:0]
    shares = [name for name in net.load if name.startswith("const_z")]
    net.load.loc[net.load.index[0], shares] = 30.0
    with pytest.raises(LoadFlowError, match="constant power are known here, but those at N"):
        build_feeder(one_class(plain_table(saved(net, tmp_path), [4, 6, 8])))


def test_feeders_of_tables_that_cannot_be_solved() -> None:
    values = line_table().values
    assert values is not None
    with pytest.raises(LoadFlowError, match="'plain': buses without supply: N8"):
        build_feeder(line_table(line_to=np.array([4, 6])))
    heavy = build_feeder(line_table(values=replace(values, p_mw=values.p_mw * 1e5)))
    for name in ("power-grid-model", "pandapower"):
        with pytest.raises(LoadFlowError, match="'plain': the load flow does not converge at nom"):
            make_solver(name, heavy)


def test_topology(table: FeederTable) -> None:
    feeder = build_feeder(table)
    assert feeder.is_radial
    assert feeder.downstream_buses(0).tolist() == list(range(1, 33))
    assert feeder.downstream_buses(16).tolist() == [17]  # N17-N18
    assert feeder.downstream_buses(17).tolist() == [18, 19, 20, 21]  # N2-N19


def test_a_mesh_is_not_radial(tmp_path: Path) -> None:
    net = three_buses()
    pp.create_line_from_parameters(net, 5, 7, 1.0, 0.1, 0.2, 10.0, max_i_ka=0.25)
    feeder = build_feeder(plain_table(saved(net, tmp_path), [4, 6, 8]))
    assert not feeder.is_radial
    assert feeder.downstream_buses(0).tolist() == []


def test_bus_positions_follow_sorted_indices(tmp_path: Path) -> None:
    table = replace(
        plain_table(saved(three_buses(), tmp_path), [8, 4, 6]),
        customer_class=np.array(["industrial", "residential", "residential"]),
        zone=np.array([1, 2, 0]),
        line_from=np.array([4]),
        line_to=np.array([6]),
        ampacity_a=np.array([300.0]),
    )
    feeder = build_feeder(table)
    assert feeder.bus_index.tolist() == [3, 5, 7]
    assert feeder.p_mw.tolist() == pytest.approx([-0.3, 0.0, 0.2])
    assert feeder.q_mvar.tolist() == pytest.approx([-0.05, 0.0, 0.05])
    assert feeder.slack_bus == 1
    assert feeder.zone_bus.tolist() == [2, 0]
    assert [feeder.class_names[i] for i in feeder.bus_class] == [
        "residential",
        "residential",
        "industrial",
    ]
    assert list(zip(feeder.line_from, feeder.line_to, strict=True)) == [(1, 0), (0, 2)]
    # 300 A for the two systems together; the other line keeps the net's own 250 A.
    assert feeder.ampacity_a.tolist() == pytest.approx([300.0, 250.0])
    assert feeder.net.line["max_i_ka"].tolist() == pytest.approx([0.15, 0.25])


def test_same_values_give_the_same_feeder(table: FeederTable) -> None:
    again = replace(table, ampacity_a=table.ampacity_a.copy())
    assert build_feeder(again) is build_feeder(table)
    other = build_feeder(replace(table, ampacity_a=table.ampacity_a * 2))
    assert other is not build_feeder(table)
    assert other.ampacity_a[0] == pytest.approx(800.0)
    assert build_feeder(table).ampacity_a[0] == pytest.approx(400.0)


def test_a_changed_file_is_another_feeder(tmp_path: Path) -> None:
    net = three_buses()
    table = plain_table(saved(net, tmp_path), [4, 6, 8])
    before = build_feeder(table)
    net.load.loc[0, "p_mw"] = 0.8
    saved(net, tmp_path)
    assert build_feeder(table).p_mw.sum() == pytest.approx(before.p_mw.sum() + 0.2)


def test_arrays_cannot_be_written(table: FeederTable) -> None:
    with pytest.raises(ValueError, match="read-only"):
        build_feeder(table).p_mw[0] = 1.0


def test_all_problems_of_a_table_at_once(table: FeederTable) -> None:
    """Against a net; then a table without one, whose own buses are the network's."""
    buses, zone = table.buses.copy(), table.zone.copy()
    buses[32] = 34
    zone[1] = 1
    ampacity = table.ampacity_a.copy()
    ampacity[2] = -5.0
    line_to = table.line_to.copy()
    line_to[3] = 17
    with pytest.raises(InputError) as caught:
        build_feeder(
            replace(
                table,
                net="pandapower.networks:case33bw",
                values=None,
                buses=buses,
                zone=zone,
                ampacity_a=ampacity,
                line_to=line_to,
            )
        )
    found = {(problem.field, problem.value) for problem in caught.value.problems}
    assert found == {
        ("feeder.buses", "N34"),
        ("feeder.buses", "N33"),
        ("feeder.zone", "1 (N1, N2)"),
        ("feeder.zone", "2 (no bus)"),
        ("feeder.ampacity_a", "-5 (N3-N4)"),
        ("feeder.lines", "N4-N17"),
    }
    with pytest.raises(InputError) as caught:
        build_feeder(line_table(zone=np.array([2, 0, 0]), line_to=np.array([4, 9])))
    found = {(problem.field, problem.value) for problem in caught.value.problems}
    assert found == {("feeder.zone", "1 (no bus)"), ("feeder.lines", "N4-N9")}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("pandapower.networks:case33bv", "did you mean 'case33bw'"),
        ("pandapower.networks:pi", "no attribute 'pi'"),
        ("pandapower.network:case33bw", "no module pandapower.network"),
        ("math:pi", "math is Python's"),
        ("pandapower:pandapowerNet", "a function without arguments"),
        ("pandapower:create_empty_network", "no buses"),
        ("pandapower:create_bus", "a function without arguments"),
        ("nowhere/net.json", "no such file"),
    ],
)
def test_a_net_that_is_not_there(source: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load_net(source)
    assert caught.value.problems[0].field == "feeder.net"


def test_a_file_that_is_no_net(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    path.write_text("{ half a", encoding="utf-8")
    with pytest.raises(InputError, match="not a pandapower JSON file"):
        load_net(str(path))


def test_feeders_that_cannot_be_solved(tmp_path: Path) -> None:
    heavy = three_buses()
    heavy.load.loc[0, "p_mw"] = 5e4
    with pytest.raises(LoadFlowError, match="'plain': the load flow does not converge"):
        build_feeder(plain_table(saved(heavy, tmp_path), [4, 6, 8]))
    dark = three_buses()
    dark.line.loc[1, "in_service"] = False
    with pytest.raises(LoadFlowError, match="without supply: N8"):
        build_feeder(plain_table(saved(dark, tmp_path), [4, 6, 8]))
    sourceless = three_buses()
    sourceless.ext_grid["in_service"] = False
    with pytest.raises(InputError, match="ext_grid: missing"):
        build_feeder(plain_table(saved(sourceless, tmp_path), [4, 6, 8]))
    regulated = three_buses()
    pp.create_gen(regulated, 7, p_mw=0.1)
    with pytest.raises(LoadFlowError, match="1 x gen"):
        build_feeder(plain_table(saved(regulated, tmp_path), [4, 6, 8]))
