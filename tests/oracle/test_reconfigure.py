"""Reconfiguration: the published optimum of the 33-bus feeder, and every tree of a small one."""

import itertools
import json
from dataclasses import replace

import networkx as nx
import numpy as np
import pandapower as pp
import pandas as pd
import pytest

from abm import Scenario
from abm.cli import main
from abm.errors import InputError
from abm.grid import build_feeder, make_solver
from abm.grid.feeder_files import feeder_files
from abm.grid.importing import import_feeder
from abm.grid.reconfigure import all_lines, reconfigure
from abm.grid.solve import PowerGridModelSolver
from abm.results.staging import write_content
from abm.scenario.feeder import read_feeder


def shipped():
    return Scenario().inputs.feeder


def test_the_33_bus_feeder_has_its_published_optimum():
    """Open 7-8, 9-10, 14-15, 25-29, 32-33: 139.55 kW; 202.68 kW as it is."""
    found = reconfigure(shipped())
    is_open = found.names(np.flatnonzero(found.after.is_open))
    assert sorted(is_open) == ["N14-N15", "N25-N29", "N32-N33", "N7-N8", "N9-N10"]
    assert 1e3 * found.loss_mw[0] == pytest.approx(202.68, abs=0.005)
    assert 1e3 * found.loss_mw[1] == pytest.approx(139.55, abs=0.005)
    feeder = build_feeder(found.after)
    assert feeder.is_radial
    assert feeder.n_line == 32
    # pandapower, on the net as it is now.
    pp.runpp(feeder.net, numba=False)
    assert 1e3 * feeder.net.res_line["pl_mw"].sum() == pytest.approx(
        1e3 * found.loss_mw[1], abs=1e-5
    )
    # What is best already stays.
    again = reconfigure(found.after)
    assert not len(again.opened)
    assert not len(again.closed)


def ring(sources=(0,)):
    """Two rings over seven buses, with two open lines, one of them at a switch; one transformer."""
    net = pp.create_empty_network()
    for at in range(7):
        pp.create_bus(net, 20.0, name=f"B{at}")
    grid = pp.create_bus(net, 110.0)
    pp.create_transformer(net, grid, 0, "25 MVA 110/20 kV")
    pp.create_ext_grid(net, grid)
    if len(sources) > 1:
        pp.create_ext_grid(net, sources[1])
    ends = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (2, 5), (5, 6), (6, 0)]
    for number, (one, other) in enumerate(ends):
        pp.create_line_from_parameters(net, one, other, 2.0 + number, 0.3, 0.2, 200.0, max_i_ka=0.4)
    pp.create_switch(net, 1, 0, et="l", closed=False)
    net.line.loc[7, "in_service"] = False
    for at, mw in ((1, 1.0), (2, 0.5), (3, 2.0), (4, 0.3), (5, 1.2), (6, 0.7)):
        pp.create_load(net, at, mw, 0.3 * mw)
    return net


def table_of(net, folder):
    pp.to_json(net, str(folder / "source.json"))
    for name, content in import_feeder(str(folder / "source.json")).files.items():
        write_content(folder / name, content, (folder / name).suffix)
    return read_feeder(folder, None)


def every_configuration(table):
    """Loss of each radial configuration, by its open lines, with the solver on each feeder."""
    table = all_lines(table)
    found = {}
    n_line = len(table.line_from)
    for open_rows in itertools.combinations(range(n_line), int(table.is_open.sum())):
        is_open = np.isin(np.arange(n_line), open_rows)
        graph = nx.MultiGraph(zip(table.line_from[~is_open], table.line_to[~is_open], strict=True))
        if len(graph) < 7 or not nx.is_forest(graph) or nx.number_connected_components(graph) > 1:
            continue
        feeder = build_feeder(replace(table, is_open=is_open))
        flow = PowerGridModelSolver(feeder).solve(feeder.p_mw[None], feeder.q_mvar[None])
        found[open_rows] = flow.loss_mw[0]
    return found


def two_rings(folder):
    """Eight lines over seven buses, two of them open."""
    (folder / "feeder.yaml").write_text("vn_kv: 20\nslack_bus: 1\n")
    load = ((1, 0), (2, 1.0), (3, 0.5), (4, 2.0), (5, 0.3), (6, 1.2), (7, 0.7))
    rows = [f"{bus},residential,,{mw},{0.3 * mw:.3g}" for bus, mw in load]
    (folder / "buses.csv").write_text("\n".join(["bus,customer_class,zone,p_mw,q_mvar", *rows, ""]))
    ends = ("1,2", "2,3", "3,4", "4,5", "5,1", "3,6", "6,7", "7,1")
    rows = [f"{pair},400,{0.6 + 0.3 * at:.2f},0.5,{at in (2, 6):d}" for at, pair in enumerate(ends)]
    (folder / "lines.csv").write_text(
        "\n".join(["from_bus,to_bus,ampacity_a,r_ohm,x_ohm,open", *rows, ""])
    )
    return read_feeder(folder, None)


def test_no_configuration_of_two_rings_is_better(tmp_path):
    table = two_rings(tmp_path)
    found = reconfigure(table)
    every = every_configuration(table)
    assert len(every) == 21
    best = min(every, key=every.get)
    assert tuple(np.flatnonzero(found.after.is_open)) == best
    assert found.loss_mw[1] == pytest.approx(every[best], rel=1e-9)
    assert found.loss_mw[0] == pytest.approx(every[2, 6], rel=1e-9)


def test_switches_of_a_net_are_set(tmp_path):
    table = table_of(ring(), tmp_path)
    found = reconfigure(table)
    before, after = build_feeder(table), build_feeder(found.after)
    assert len(found.opened) > 0
    assert found.names(found.closed) == ["N0-N1", "N6-N0"]
    assert not before.net.switch["closed"].iat[0]
    assert after.net.switch["closed"].iat[0]
    pp.runpp(after.net, numba=False)
    lost = after.net.res_line["pl_mw"].sum() + after.net.res_trafo["pl_mw"].sum()
    assert found.loss_mw[1] == pytest.approx(lost, abs=1e-7)


def test_names_of_the_table_stay(tmp_path):
    net = ring()
    net.line["name"] = [f"L{at}" for at in range(8)]
    table = table_of(net, tmp_path)
    labels = replace(table.labels, line=np.array([f"cable {at}" for at in range(8)]))
    named = replace(table, labels=labels)
    assert all_lines(named).labels.line.tolist() == labels.line.tolist()
    # Lines without a row keep the name that the net has.
    some = replace(named, **{name: getattr(table, name)[:5] for name in (
        "line_from", "line_to", "ampacity_a", "is_open", "line_index")},
        labels=replace(labels, line=labels.line[:5]))  # fmt: skip
    assert all_lines(some).labels.line.tolist() == [*labels.line[:5], "L5", "L6", "L7"]


def test_loops_are_opened(tmp_path):
    net = ring()
    net.switch["closed"] = True
    net.line["in_service"] = True
    table = table_of(net, tmp_path)
    found = reconfigure(table)
    assert found.names(found.opened) == found.names(np.flatnonzero(found.after.is_open))
    assert len(found.opened) == 2
    # Loops lose less than any tree: what was there before is said all the same.
    assert found.loss_mw[0] < found.loss_mw[1]
    assert build_feeder(found.after).is_radial


def test_two_sources_share_what_is_between_them(tmp_path):
    net = ring(sources=(0, 3))
    net.line.loc[[3], "in_service"] = False
    found = reconfigure(table_of(net, tmp_path))
    feeder = build_feeder(found.after)
    assert feeder.is_radial
    assert len(feeder.slack_buses) == 2
    assert found.loss_mw[1] < found.loss_mw[0]


def test_nothing_to_reconfigure(tmp_path):
    table = shipped()
    alone = replace(table, is_open=np.zeros(0, dtype=bool), line_from=table.line_from[:32],
                    line_to=table.line_to[:32], ampacity_a=table.ampacity_a[:32],
                    values=replace(table.values, r_ohm=table.values.r_ohm[:32],
                                   x_ohm=table.values.x_ohm[:32]))  # fmt: skip
    with pytest.raises(InputError, match="no other configuration"):
        reconfigure(alone)


def test_the_least_loss_of_many_hours_weighs_them_all():
    """Bus 30 alone under load has another best configuration than all of them."""
    table = shipped()

    def one_bus(feeder):
        p_mw = np.zeros((2, feeder.n_bus))
        p_mw[:, 29] = (0.5, 1.5)
        return p_mw, 0.5 * p_mw

    found = reconfigure(table, one_bus)
    usual = reconfigure(table)
    assert found.after.is_open.tolist() != usual.after.is_open.tolist()
    feeder = build_feeder(usual.after)
    loss = make_solver("power-grid-model", feeder).solve(*one_bus(feeder)).loss_mw.mean()
    assert found.loss_mw[1] < loss


@pytest.mark.parametrize("of_net", [False, True], ids=["tables", "net"])
def test_the_files_of_a_feeder_are_read_as_the_same_feeder(of_net, tmp_path):
    (tmp_path / "in").mkdir()
    table = table_of(ring(), tmp_path / "in") if of_net else shipped()
    after = reconfigure(table).after
    (tmp_path / "out").mkdir()
    for name, content in feeder_files(after):
        write_content(tmp_path / "out" / name, content, (tmp_path / "out" / name).suffix)
    again = build_feeder(read_feeder(tmp_path / "out", None))
    wanted = build_feeder(after)
    assert again.line_names == wanted.line_names
    assert again.bus_names == wanted.bus_names
    assert again.zone_bus.tolist() == wanted.zone_bus.tolist()
    assert again.ampacity_a == pytest.approx(wanted.ampacity_a)
    assert np.abs(again.network.y_bus - wanted.network.y_bus).max() < 1e-12
    assert again.labels.bus.tolist() == wanted.labels.bus.tolist()


def test_the_verb_runs_the_study_on_both(tmp_path, capsys):
    out = tmp_path / "out"
    words = ["reconfigure", "paper", "--set", "fleet.evs_per_zone=2", "--out", str(out)]
    assert main([*words, "--no-figures"]) == 0
    said = capsys.readouterr().out
    assert "opened: N7-N8, N9-N10, N14-N15, N32-N33" in said
    assert "202.68 kW before, 139.55 after (-31.1 %)" in said
    kpis = pd.read_csv(out / "kpis.csv").set_index("kpi")
    before, after = (
        json.loads((out / name / "kpis.json").read_text()) for name in ("before", "after")
    )
    assert float(kpis.at["loss_energy_mwh", "before"]) == pytest.approx(before["loss_energy_mwh"])
    assert after["loss_energy_mwh"] < before["loss_energy_mwh"]
    assert after["min_vm_pu"] > before["min_vm_pu"]
    # The same EVs do the same; only the feeder is another.
    assert after["net_cost_usd"] == before["net_cost_usd"]
    lines = pd.read_csv(out / "lines.csv")
    assert lines["open_after"].sum() == 5
    # The run after, and the new feeder, run again by themselves.
    again = str(tmp_path / "again")
    assert main(["run", str(out / "after/scenario.yaml"), "--out", again, "--no-figures"]) == 0
    assert json.loads((tmp_path / "again" / "kpis.json").read_text()) == after
    changed = ["--set", f"grid.feeder={out / 'feeder'}", "--load", "base", "--force"]
    assert main([*words[:4], *changed, "--out", again]) == 0
    assert (tmp_path / "again" / "figures" / "reconfiguration.png").read_bytes()[1:4] == b"PNG"
