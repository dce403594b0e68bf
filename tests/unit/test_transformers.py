"""Loading of transformers: beside pandapower's, in the KPIs, the table and the terminal."""

from pathlib import Path

import numpy as np
import pandapower as pp
import pandapower.networks
import pytest
from helpers import run, small_paper

from abm import Scenario, V2GModel
from abm.grid import build_feeder, make_solver
from abm.report.terminal import print_kpis
from abm.results.claim import new_folder
from abm.results.folder import write_run
from abm.scenario.feeder_table import FeederTable
from abm.study import run_once


def kerber() -> pp.pandapowerNet:
    return pandapower.networks.create_kerber_landnetz_freileitung_1()


def three_windings() -> pp.pandapowerNet:
    """110/20/10 kV, a pair 20/0.4 kV of which each may carry 80 %, one open; two out of service."""
    net = pp.create_empty_network()
    high, middle, low, home = (pp.create_bus(net, vn_kv=kv) for kv in (110.0, 20.0, 10.0, 0.4))
    pp.create_ext_grid(net, high)
    pp.create_transformer3w(net, high, middle, low, "63/25/38 MVA 110/20/10 kV", tap_pos=2)
    for more in ({"parallel": 2, "df": 0.8}, {"in_service": False}, {}):
        last = pp.create_transformer(net, middle, home, "0.4 MVA 20/0.4 kV", **more)
    pp.create_switch(net, middle, last, et="t", closed=False)
    pp.create_transformer3w(net, high, middle, low, "63/25/38 MVA 110/20/10 kV", in_service=False)
    far = pp.create_bus(net, vn_kv=20.0)
    pp.create_line(net, middle, far, 6.0, "NA2XS2Y 1x185 RM/25 12/20 kV")
    pp.create_load(net, middle, p_mw=20.0, q_mvar=4.0)
    pp.create_load(net, low, p_mw=30.0, q_mvar=2.0)
    pp.create_load(net, home, p_mw=0.9, q_mvar=0.1)
    return net


def folder_of(net: pp.pandapowerNet, place: Path) -> Path:
    """A feeder folder with one class, and a zone at the last bus."""
    place.mkdir()
    pp.to_json(net, str(place / "net.json"))
    (place / "feeder.yaml").write_text("net: net.json\n", encoding="utf-8")
    numbers = [int(index) + 1 for index in net.bus.index]
    zones = dict.fromkeys(numbers, "") | {numbers[-1]: "1"}
    rows = [f"{number},residential,{zones[number]}" for number in numbers]
    table = "\n".join(["bus,customer_class,zone", *rows, ""])
    (place / "buses.csv").write_text(table, encoding="utf-8")
    lines = [f"{line.from_bus + 1},{line.to_bus + 1},300" for line in net.line.itertuples()]
    text = "\n".join(["from_bus,to_bus,ampacity_a", *lines, ""])
    (place / "lines.csv").write_text(text, encoding="utf-8")
    return place


def table_of(net: pp.pandapowerNet, folder: Path) -> FeederTable:
    return Scenario(grid={"feeder": str(folder_of(net, folder / "feeder"))}).inputs.feeder


@pytest.mark.parametrize("make", [kerber, three_windings])
@pytest.mark.parametrize("solver", ["power-grid-model", "pandapower"])
def test_loading_is_that_of_pandapower(make, solver: str, tmp_path: Path) -> None:
    feeder = build_feeder(table_of(make(), tmp_path))
    quick = make_solver(solver, feeder)
    assert quick.name == solver
    flow = quick.solve(np.array([feeder.p_mw] * 2), np.array([feeder.q_mvar] * 2))
    net = make()
    pp.runpp(net, numba=False, tolerance_mva=1e-10)
    wanted = np.concatenate([net.res_trafo["loading_percent"], net.res_trafo3w["loading_percent"]])
    np.testing.assert_allclose(flow.transformer_percent, [wanted[wanted > 0.0]] * 2, atol=1e-5)


def test_transformers_have_names(tmp_path: Path) -> None:
    feeder = build_feeder(table_of(three_windings(), tmp_path))
    assert feeder.network.transformers.names == ("T1 N2-N4", "T2 N2-N4", "T3 N1-N2-N3")


def village(tmp_path: Path, evs: int, **changes) -> Scenario:
    """Kerber's village: its transformer of 160 kVA, and EVs at the last house."""
    place = folder_of(kerber(), tmp_path / "village")
    grid = {"feeder": str(place), "demand_limit_mw": 0.2}
    return small_paper(grid=grid, fleet={"evs_per_zone": evs}, strategy="uncoordinated", **changes)


def test_an_overloaded_transformer_is_seen(tmp_path: Path, capsys) -> None:
    """In the KPIs, the table, the folder and the terminal."""
    scenario = village(tmp_path, 20)
    results = run_once(scenario).results
    kpis, table = results.kpis, results.transformer_hour
    assert list(table) == ["hour_index", "hour", "transformer", "loading_percent"]
    assert table["transformer"].tolist() == ["T1 N1-N2"] * 24
    worst = table.loc[table["loading_percent"].idxmax()]
    assert kpis["max_transformer_loading_percent"] == worst["loading_percent"] > 100.0
    assert kpis["max_transformer_loading_hour"] == worst["hour"]
    assert kpis["max_transformer_loading_transformer"] == "T1 N1-N2"
    over = int((table["loading_percent"] > 100.0).sum())
    assert kpis["transformer_over_transformer_hours"] == over > 0
    print_kpis("village", kpis)
    said = " ".join(capsys.readouterr().out.split())
    assert f"{over} transformer-hours above the transformer's rating." in said
    assert "T1 N1-N2" in said
    with new_folder(tmp_path / "out") as folder:
        write_run(folder, results, 1.0)
    assert (tmp_path / "out" / "transformer_hour.parquet").is_file()


def test_the_worst_transformer_of_a_city_is_named(tmp_path: Path) -> None:
    model = V2GModel(village(tmp_path, 6), seed=[1, 2, 3]).run()
    kpis, each = model.results.kpis, model.results.feeders["max_transformer_loading_percent"]
    assert kpis["max_transformer_loading_percent"] == each.max()
    assert kpis["max_transformer_loading_feeder"] == each.idxmax() + 1
    assert model.results.transformer_hour["feeder"].tolist() == [1] * 24 + [2] * 24 + [3] * 24


def test_a_feeder_without_transformers_has_no_loading(capsys) -> None:
    results = run(small_paper()).results
    kpis = results.kpis
    for name in ("percent", "transformer", "hour"):
        assert kpis[f"max_transformer_loading_{name}"] is None
    assert kpis["transformer_over_transformer_hours"] == 0
    assert len(results.transformer_hour) == 0
    print_kpis("case33bw", kpis)
    assert "transformer" not in capsys.readouterr().out
