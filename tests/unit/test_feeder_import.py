"""Imported feeders: rules, generation, and what is said about a source that is wrong."""

import json
import pickle
import sys
import types
import warnings

import numpy as np
import pandapower as pp
import pandas as pd
import pytest

from abm import Scenario, V2GModel
from abm.cli import main
from abm.errors import InputError, LoadFlowError
from abm.fleet import Population
from abm.fleet.expected_arrivals import expected_arrivals
from abm.fleet.owners import neighbours_of
from abm.grid import build_feeder, make_solver
from abm.grid.import_rules import Loads, zones_of
from abm.grid.importing import import_feeder
from abm.results.staging import write_content
from abm.scenario.feeder import read_feeder
from abm.study.size import run_size


def street(kv=20.0):
    """A source at 0, five buses in a row with loads from 2 on, a tie from 1 to 5."""
    net = pp.create_empty_network()
    for at in range(6):
        pp.create_bus(net, kv, name=f"Pole {at}", geodata=(at, 0.5 * at))
    pp.create_ext_grid(net, 0)
    for one, other in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (1, 5)):
        pp.create_line_from_parameters(
            net, one, other, 1.0 + 0.1 * one, 0.2, 0.1, 10.0, max_i_ka=0.3, name=f"L{one}{other}"
        )
    net.line.loc[5, "in_service"] = False
    for at, words in ((2, "R2"), (3, "shop"), (4, "industrial estate"), (5, "R5")):
        pp.create_load(net, at, 0.1 * at, 0.02, name=words)
    return net


def saved(net, folder):
    pp.to_json(net, str(folder / "street.json"))
    return str(folder / "street.json")


def imported(net, folder, **rules):
    return import_feeder(saved(net, folder), **rules)


def refused(net, folder):
    with pytest.raises(InputError) as caught:
        imported(net, folder)
    return [(problem.field, problem.value, problem.allowed) for problem in caught.value.problems]


def zones(made):
    table = made.files["buses.csv"].dropna(subset="zone")
    return table["bus"].tolist()


# --- rules -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("loads", [2, 3, 4, 5]),
        ("loads:residential", [2, 5]),
        ("farthest:2", [4, 5]),
        ("buses:5,1", [1, 5]),
        ("none", []),
    ],
)
def test_zones(rule, wanted, tmp_path):
    assert zones(imported(street(), tmp_path, zones=rule)) == wanted


def test_random_zones_follow_their_seed(tmp_path):
    of = Loads(None, 0, list(range(6)), dict.fromkeys((2, 3, 4, 5), 0.1))
    drawn = [tuple(zones_of(of, f"random:2:{seed}", {}, [])) for seed in range(1, 9)]
    assert drawn[0] == tuple(zones_of(of, "random:2", {}, []))
    assert len(set(drawn)) > 2
    assert all(len(buses) == 2 and set(buses) <= {2, 3, 4, 5} for buses in drawn)


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("words", ["residential", "commercial", "industrial", "residential"]),
        ("all:commercial", ["commercial"] * 4),
        ("voltage:30", ["residential"] * 4),
        ("voltage:1", ["commercial"] * 4),
    ],
)
def test_classes(rule, wanted, tmp_path):
    table = imported(street(), tmp_path, classes=rule).files["buses.csv"]
    assert table["customer_class"].tolist()[2:] == wanted


def test_classes_of_a_file(tmp_path):
    (tmp_path / "classes.csv").write_text(
        "bus,customer_class\n" + "".join(f"{bus},kind{bus}\n" for bus in range(6))
    )
    made = imported(street(), tmp_path, classes=f"file:{tmp_path / 'classes.csv'}")
    assert made.files["buses.csv"]["customer_class"].tolist() == [f"kind{bus}" for bus in range(6)]
    (tmp_path / "classes.csv").write_text("bus,customer_class\n0,a\n0,b\n9,c\n")
    with pytest.raises(InputError) as caught:
        imported(street(), tmp_path, classes=f"file:{tmp_path / 'classes.csv'}")
    assert [problem.line for problem in caught.value.problems] == [3, 4]


@pytest.mark.parametrize(
    ("rules", "option"),
    [
        ({"zones": "near:2"}, "--zones"),
        ({"zones": "farthest:5"}, "--zones"),
        ({"zones": "random:0"}, "--zones"),
        ({"zones": "random:1:x"}, "--zones"),
        ({"zones": "buses:2,2"}, "--zones"),
        ({"zones": "buses:7"}, "--zones"),
        ({"zones": "loads:rural"}, "--zones"),
        ({"classes": "voltage:high"}, "--classes"),
        ({"classes": "all:"}, "--classes"),
        ({"customers": "kw:0"}, "--customers"),
        ({"customers": "many"}, "--customers"),
    ],
)
def test_a_rule_that_cannot_be_followed(rules, option, tmp_path):
    with pytest.raises(InputError) as caught:
        imported(street(), tmp_path, **rules)
    assert [problem.field for problem in caught.value.problems] == [option]


def test_customers_are_loads_where_voltage_is_low_and_power_above(tmp_path):
    low = street(0.4)
    low.load[["p_mw", "q_mvar"]] *= 0.001
    pp.create_load(low, 5, 0.001)
    made = imported(low, tmp_path)
    assert made.files["buses.csv"]["customers"].tolist() == ["0", "0", "1", "1", "1", "2"]
    made = imported(street(), tmp_path)
    assert made.files["buses.csv"]["customers"].tolist() == ["0", "0", "133", "200", "267", "333"]
    assert any("1.5 kW, an assumption" in note for note in made.notes)
    made = imported(street(), tmp_path, customers="kw:2")
    assert made.files["buses.csv"]["customers"].tolist()[2:] == ["100", "150", "200", "250"]


# --- what comes along --------------------------------------------------------------------------


def test_names_places_ratings_and_open_lines_come_along(tmp_path):
    made = imported(street(), tmp_path)
    for name, content in made.files.items():
        write_content(tmp_path / name, content, (tmp_path / name).suffix)
    table = read_feeder(tmp_path, None)
    assert table.labels.bus.tolist() == [f"Pole {at}" for at in range(6)]
    assert table.labels.line.tolist() == ["L01", "L12", "L23", "L34", "L45", "L15"]
    assert (table.labels.x.tolist(), table.labels.y[3]) == ([0, 1, 2, 3, 4, 5], 1.5)
    assert table.is_open.tolist() == [False] * 5 + [True]
    assert table.ampacity_a.tolist() == [300.0] * 6
    feeder = build_feeder(table)
    assert feeder.bus_names == ("N0", "N1", "N2", "N3", "N4", "N5")
    assert feeder.line_names[-1] == "N4-N5"
    assert feeder.labels.line.tolist() == ["L01", "L12", "L23", "L34", "L45"]


def test_a_line_is_opened_and_another_closed_by_the_table(tmp_path):
    made = imported(street(), tmp_path)
    made.files["lines.csv"]["open"] = [0, 0, 1, 0, 0, 0]
    for name, content in made.files.items():
        write_content(tmp_path / name, content, (tmp_path / name).suffix)
    feeder = build_feeder(read_feeder(tmp_path, None))
    assert feeder.line_names == ("N0-N1", "N1-N2", "N3-N4", "N4-N5", "N1-N5")
    assert feeder.is_radial
    assert feeder.labels.line.tolist() == ["L01", "L12", "L34", "L45", "L15"]


def test_generation_stands_beside_load(tmp_path):
    net = street()
    pp.create_sgen(net, 3, 0.2, 0.05, type="PV")
    pp.create_sgen(net, 3, 0.1, 0.0, name="wind mill")
    pp.create_sgen(net, 4, -0.1, -0.02, name="pump")
    made = imported(net, tmp_path)
    rows = made.files["generation.csv"]
    assert rows[["bus", "generation_class", "p_mw"]].values.tolist() == [
        [3, "pv", 0.2],
        [3, "wind", 0.1],
    ]
    for name, content in made.files.items():
        write_content(tmp_path / name, content, (tmp_path / name).suffix)
    feeder = build_feeder(read_feeder(tmp_path, None))
    assert feeder.load_p_mw.tolist() == pytest.approx([0, 0, 0.2, 0.3, 0.5, 0.5])
    assert feeder.p_mw.tolist() == pytest.approx([0, 0, 0.2, 0.0, 0.5, 0.5])
    assert made.classes == ("residential", "commercial", "industrial", "pv", "wind")


def test_the_same_source_gives_the_same_bytes(tmp_path):
    one, other = (imported(street(), tmp_path).files for _ in range(2))
    for name, content in one.items():
        if isinstance(content, pd.DataFrame):
            pd.testing.assert_frame_equal(content, other[name])
        else:
            assert content == other[name]


def test_what_is_left_out_is_said(tmp_path):
    net = street()
    pp.create_bus(net, 20.0)
    pp.create_bus(net, 20.0, in_service=False)
    pp.create_storage(net, 2, 0.1, max_e_mwh=1.0)
    trafo = pp.create_transformer(net, 5, pp.create_bus(net, 0.4), "0.25 MVA 20/0.4 kV", tap_pos=2)
    net.trafo["tap_changer_type"] = None
    net.line["max_i_ka"] = 99999.0
    made = imported(net, tmp_path)
    said = "\n".join(made.notes)
    assert "2 buses without supply and without load left out: N6, N7" in said
    assert "1 x storage left out" in said
    assert f"trafo {trafo}: tap_pos 2 has no effect" in said
    assert "6 of 6 lines have no rating" in said
    assert made.files["lines.csv"]["ampacity_a"].isna().all()


@pytest.mark.parametrize("solver", ["power-grid-model", "pandapower"])
def test_a_transformer_without_a_rating_has_no_loading(solver, tmp_path):
    """99,999 MVA, as cases of MATPOWER come without a limit of its branch."""
    net = street()
    for at, mva in ((2, 99_999.0), (3, 0.25)):
        bus = pp.create_bus(net, 0.4)
        index = pp.create_transformer(net, at, bus, "0.25 MVA 20/0.4 kV")
        net.trafo.loc[index, ["vk_percent", "vkr_percent"]] *= mva / 0.25
        net.trafo.loc[index, "i0_percent"] *= 0.25 / mva
        net.trafo.loc[index, "sn_mva"] = mva
        pp.create_load(net, bus, 0.2)
    made = imported(net, tmp_path)
    assert "1 of 2 transformers have no rating that is known" in made.notes
    for name, content in made.files.items():
        write_content(tmp_path / name, content, (tmp_path / name).suffix)
    feeder = build_feeder(read_feeder(tmp_path, None))
    flow = make_solver(solver, feeder).solve(feeder.p_mw[None], feeder.q_mvar[None])
    unrated, rated = flow.transformer_percent[0]
    assert np.isnan(unrated)
    assert 80.0 < rated < 90.0


# --- what is wrong -----------------------------------------------------------------------------


def test_dead_loads_and_two_sources_are_named(tmp_path):
    net = street()
    net.line.loc[[2, 4], "in_service"] = False  # 3 and 4 on their own, 5 too
    pp.create_ext_grid(net, 2)
    found = refused(net, tmp_path)
    assert [(field, value) for field, value, _ in found] == [
        ("ext_grid 0, 1", "N0, N2"),
        ("load 1, bus", "N3"),
        ("load 2, bus", "N4"),
        ("load 3, bus", "N5"),
    ]


def test_an_island_with_a_source_of_its_own_is_fine(tmp_path):
    net = street()
    net.line.loc[3, "in_service"] = False
    pp.create_ext_grid(net, 4)
    assert "2 sources" in imported(net, tmp_path).summary[0]


@pytest.mark.parametrize(
    ("table", "row", "column", "value", "field", "said"),
    [
        ("line", 1, "max_i_ka", 300.0, "line 1 (N1-N2), max_i_ka", "is it in A?"),
        ("line", 1, "max_i_ka", 0.0, "line 1 (N1-N2), max_i_ka", "above 0"),
        ("line", 2, "length_km", 1200.0, "line 2 (N2-N3), impedance", "the length in m"),
        ("line", 2, "r_ohm_per_km", 200.0, "line 2 (N2-N3), impedance", "mOhm"),
        ("load", 2, "p_mw", 400.0, "load 2 (N4), p_mw", "is it in kW?"),
        ("trafo", 0, "sn_mva", 250.0, "trafo 0 (N5-N6), sn_mva", "is it in kVA?"),
        ("ext_grid", 0, "vm_pu", 20.4, "ext_grid 0, vm_pu", "is it in kV?"),
        ("load", 2, "bus", 17, "load 2, bus", "a bus of the net"),
        ("load", 2, "p_mw", np.nan, "load 2 (N4), p_mw", "a number"),
        ("line", 3, "x_ohm_per_km", np.nan, "line 3 (N3-N4), x_ohm_per_km", "a number"),
    ],
)
def test_a_value_that_no_feeder_has(table, row, column, value, field, said, tmp_path):
    net = street()
    if table == "trafo":
        pp.create_transformer(net, 5, pp.create_bus(net, 0.4), "0.25 MVA 20/0.4 kV")
    net[table][column] = net[table][column].astype(type(value))
    net[table].loc[row, column] = value
    (found, _, allowed), *_ = refused(net, tmp_path)
    assert found == field
    assert said in allowed


def test_volts_for_kilovolts(tmp_path):
    found = refused(street(20_000.0), tmp_path)
    assert [field for field, _, _ in found] == [f"bus N{bus}, vn_kv" for bus in range(6)]


def test_all_loads_off_by_a_thousand(tmp_path):
    net = street()
    net.load["p_mw"] *= 1000.0
    found = refused(net, tmp_path)
    assert [field for field, _, _ in found] == [
        "load 2 (N4), p_mw",
        "load 3 (N5), p_mw",
        "load, p_mw of all",
    ]


def test_loads_that_the_feeder_cannot_carry(tmp_path):
    net = street()
    net.load["p_mw"] *= 100.0
    with pytest.raises(LoadFlowError, match=r"does not converge.*in kW"):
        imported(net, tmp_path)


def test_what_is_not_constant_power(tmp_path):
    net = street()
    pp.create_gen(net, 4, 0.1)
    pp.create_asymmetric_load(net, 3, p_a_mw=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.load["const_z_p_percent"] = [0.0, 50.0, 0.0, 0.0]
    found = refused(net, tmp_path)
    assert [field for field, _, _ in found] == ["gen", "asymmetric_load", "load 1"]
    assert "becomes a three-phase feeder" in found[1][2]


def test_no_source_and_no_column(tmp_path):
    net = street()
    net.ext_grid["in_service"] = False
    assert refused(net, tmp_path)[0][0] == "ext_grid"
    net = street()
    del net.line["max_i_ka"]
    ((field, _, said),) = refused(net, tmp_path)
    assert field == "SOURCE"
    assert "max_i_ka" in said


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("net.p", pickle.dumps({}), "no pickle"),
        ("net.txt", b"", "pandapower:NAME"),
        ("net.json", b"{}", "net"),
        ("net.xlsx", b"not a workbook", "an Excel workbook"),
        ("net.mat", b"not a case", "MATLAB"),
        ("cut.mat", b"MATLAB 5.0 MAT-file".ljust(126), "MATLAB"),
        ("net.m", b"function mpc = x\nmpc.bus = [1 2];\n", "baseMVA"),
    ],
)
def test_files_that_are_no_feeder(name, content, said, tmp_path, capsys):
    (tmp_path / name).write_bytes(content)
    out = tmp_path / "out"
    assert main(["feeder", "import", str(tmp_path / name), "--out", str(out)]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_tap_of_simbench_that_pandapower_leaves_out_is_noted(monkeypatch):
    """simbench says no type of tap, without which pandapower 3 does not heed its position."""
    net = street()
    bus = pp.create_bus(net, 0.4)
    index = pp.create_transformer(net, 2, bus, "0.4 MVA 20/0.4 kV", tap_pos=-1)
    net.trafo["tap_changer_type"] = None
    pp.runpp(net, numba=False)
    without = net.res_bus.at[bus, "vm_pu"]
    simbench = types.SimpleNamespace(
        __version__="0", collect_all_simbench_codes=lambda: ["x"], get_simbench_net=lambda _: net
    )
    monkeypatch.setitem(sys.modules, "simbench", simbench)
    made = import_feeder("simbench:x")
    assert f"trafo {index}: tap_pos -1 counts" in made.notes[0]
    pp.runpp(net, numba=False)
    assert net.res_bus.at[bus, "vm_pu"] > without + 0.02


def test_names_that_are_none():
    for reference, hint in (
        ("pandapower:create_cigre_network_mw", "create_cigre_network_mv"),
        ("pandapower:create_cigre_network_mv,with_dr=all", "with_der"),
        ("pandapower:create_line", "a function of pandapower.networks"),
        ("simbench:1-MV-rural-0-sw", "1-MV-rural--0-sw"),
        ("missing.json", "there is none"),
    ):
        with pytest.raises(InputError, match=hint):
            import_feeder(reference)


def test_a_workbook_without_openpyxl_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "net.xlsx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(InputError, match=r'pip install "evenfall\[excel\]"'):
        import_feeder(str(tmp_path / "net.xlsx"))


def test_code_in_a_workbook_is_not_run(tmp_path):
    nasty = json.dumps({"_module": "os", "_class": "function", "_object": "system"})
    with pd.ExcelWriter(tmp_path / "net.xlsx", engine="openpyxl") as book:
        pd.DataFrame({"vn_kv": [20.0]}).to_excel(book, sheet_name="bus")
        pd.DataFrame({"object": [nasty]}).to_excel(book, sheet_name="controller")
    with pytest.raises(InputError, match="sheet controller holds"):
        import_feeder(str(tmp_path / "net.xlsx"))


# --- cases of MATPOWER -------------------------------------------------------------------------

CASE = """function mpc = tiny
mpc.version = '2';
mpc.baseMVA = 10;
mpc.bus = [{comment}
	1 3 0 0 0 0 1 1 0 20 1 1.1 0.9;  % "]" in a comment
	2 1 1.5 0.5 0 0 1 1 0 20 1 1.1 0.9
];
mpc.gen = [1 0 0 9 -9 1 1 1 9 0];
mpc.branch = [1, 2, 0.01, 0.02, 0, 0, 0, 0, 0, 0, 1, -360, 360];
mpc.bus_name = {{'the % source'; 'the town'}};
{tail}"""


def case(tmp_path, tail="", comment=""):
    path = tmp_path / "tiny.m"
    path.write_text(CASE.format(tail=tail, comment=comment))
    return path


@pytest.mark.parametrize(
    ("tail", "mw"),
    [
        ("", 1.5),
        ("mpc.bus(:, 3) = mpc.bus(:, 3) / 1e3;", 0.0015),
        ("k = 2^2; mpc.bus(:, [3 4]) = (mpc.bus(:, [3, 4]) - 0.5) .* k ./ 2;", 2.0),
        ("%{\nmpc.bus(:, 3) = 0;\n%}\n", 1.5),
        ("mpc.bus(:, 3) = mpc.bus(:, 3) * cos(acos(0.5)) ...\n  / sqrt(4);", 0.375),
        ("return\nend\nfunction x = other(y)\nfor i = 1:3\nend\n", 1.5),
        ("mpc.bus(:,3:4) = mpc.bus(:,3:4)./1000;", 0.0015),
        ("define_constants;\nmpc.bus(:, [PD : QD]) = mpc.bus(:, PD:QD) * 2", 3.0),
    ],
)
def test_statements_are_carried_out(tail, mw, tmp_path):
    made = import_feeder(str(case(tmp_path, tail)))
    assert f"load: residential {mw:.4g} MW" in made.summary
    assert made.files["buses.csv"]["name"].tolist() == ["the % source", "the town"]


@pytest.mark.parametrize(
    "tail",
    [
        "for i = 1:2\n mpc.bus(i, 3) = 0;\nend",
        "mpc.bus(:, 3) = mpc.bus(:, 3) * mpc.bus(:, 4);",
        "mpc.bus(2, 3) = 1;",
        "mpc.bus(:, 3) = other(2);",
        "mpc.bus(:, 3) = UNKNOWN;",
        "mpc.bus(:, 99) = 0;",
        "mpc.bus(:, 1:2:5) = 0;",
        "mpc.bus(:, 4:3) = 0;",
        "mpc.bus(:, 3) = 9 ^ 9 ^ 9 ^ 9;",
        "mpc.bus(:, 3) = 1 / 0;",
        f"mpc.bus(:, 3) = {'-' * 5000}1;",
        "x.y.z = 3;",
        "mpc = scale_load(2, mpc);",
    ],
)
def test_a_statement_that_is_not_known_is_refused_with_its_line(tail, tmp_path):
    path = case(tmp_path, "\n\n" + tail)
    with pytest.raises(InputError) as caught:
        import_feeder(str(path))
    (problem,) = caught.value.problems
    assert problem.line == 13
    assert "savecase" in problem.allowed


@pytest.mark.parametrize(
    ("comment", "tail"),
    [
        (" %% (Pd and Qd are specified in kW & kVAr here)", ""),
        ("", "%% convert loads from kW to MW\n%  mpc.bus(:, [3, 4]) = mpc.bus(:, [3, 4]) / 1e3;"),
        ("", "%% convert branch impedances from Ohms to p.u."),
    ],
)
def test_a_unit_that_nothing_converts_is_refused(comment, tail, tmp_path):
    with pytest.raises(InputError, match="a statement that converts"):
        import_feeder(str(case(tmp_path, tail, comment)))


def test_tables_of_a_case_that_are_wrong_are_all_named(tmp_path):
    path = case(tmp_path)
    text = (
        path.read_text()
        .replace("= [1, 2, 0.01", "= [1, 7, 0.01")
        .replace("\t2 1 1.5", "\t2.5 1 1.5")
    )
    path.write_text(text.replace("[1 0 0 9 -9 1 1 1 9 0]", "[1 0 0]"))
    with pytest.raises(InputError) as caught:
        import_feeder(str(path))
    assert [problem.field for problem in caught.value.problems] == [
        "mpc.gen",
        "mpc.bus, row 2, BUS_I",
        "mpc.branch, row 1, T_BUS",
    ]


# --- EVs by customer ---------------------------------------------------------------------------


def small_town(tmp_path):
    """A folder with 0.4 kV, zones of 1, 1, 1 and 3 customers."""
    net = street(0.4)
    net.load[["p_mw", "q_mvar"]] *= 0.001
    for mw in (0.001, 0.002):
        pp.create_load(net, 5, mw)
    made = imported(net, tmp_path)
    for name, content in made.files.items():
        write_content(tmp_path / name, content, (tmp_path / name).suffix)
    return str(tmp_path)


def test_zones_have_evs_by_their_customers(tmp_path):
    scenario = Scenario(
        grid={"feeder": small_town(tmp_path)}, fleet={"evs_per_customer": 1.5}, strategy="evms"
    )
    # The three alike have 4.5 between them.
    assert scenario.zone_evs.tolist() == [2, 2, 1, 5]
    model = V2GModel(scenario, seed=[1, 2]).run()
    assert model.fleet.zone.tolist() == [0, 0, 1, 1, 2, 3, 3, 3, 3, 3] * 2
    assert model.results.zones["evs"].tolist() == [2, 2, 1, 5] * 2
    assert run_size(scenario, 1).counts["EVs"] == 10
    # An aggregator expects as many as there are; where it believes otherwise, as many as that.
    expected = expected_arrivals(scenario, 4)
    assert expected.weight * len(expected.arrival_min) == pytest.approx(10)
    believed = scenario.override({"belief.evs_per_zone": 3})
    expected = expected_arrivals(believed, 4)
    assert expected.weight * len(expected.arrival_min) == pytest.approx(12)


def test_zones_of_different_size_learn_from_their_own(tmp_path):
    scenario = Scenario(
        grid={"feeder": small_town(tmp_path)},
        fleet={"evs_per_customer": 2},
        horizon={"days": 2},
        owners={"learning": {"graph": "zone", "degree": 2}},
    )
    population = Population(scenario, 4, [1])
    neighbours = neighbours_of(population).toarray()
    assert neighbours.shape == (12, 12)
    assert neighbours[:2, :2].sum() == 2
    assert neighbours[6:, :6].sum() == 0


def test_customers_that_are_not_known_are_asked_for():
    with pytest.raises(InputError, match=r"evs_per_customer = 1.*missing: zone 1, 2"):
        Scenario(fleet={"evs_per_customer": 1})


# --- in a run ----------------------------------------------------------------------------------


def test_generation_follows_its_own_column_and_names_are_in_the_tables(tmp_path):
    net = street()
    pp.create_sgen(net, 3, 0.2, 0.05, type="PV")
    pp.create_sgen(net, 5, 0.1, 0.0, name="CHP")
    for name, content in imported(net, tmp_path).files.items():
        write_content(tmp_path / name, content, (tmp_path / name).suffix)
    given = {"profile": "bdew_generation", "scale": 0.5}
    scenario = Scenario(grid={"feeder": str(tmp_path)}, base_load=given, strategy="none")
    results = V2GModel(scenario).run().results
    buses = results.bus_hour.set_index(["hour", "bus"])["p_mw"]
    columns = scenario.inputs.profile
    at = {name: place for place, name in enumerate(columns.classes)}
    midnight, noon = columns.series.values[[0, 12]]
    assert noon[at["pv"]] > 0.6
    wanted = 0.5 * 0.3 * noon[at["commercial"]] - 0.2 * noon[at["pv"]]
    assert buses[12, 3] == pytest.approx(wanted)
    assert buses[0, 3] == pytest.approx(0.5 * 0.3 * midnight[at["commercial"]])
    assert buses[0, 5] == pytest.approx(0.5 * 0.5 * midnight[at["residential"]] - 0.1)
    total = results.hourly.set_index("hour")["base_mw"]
    assert total[12] == pytest.approx(buses[12].sum())
    assert results.bus_hour["bus_name"].unique().tolist() == [f"Pole {at}" for at in range(6)]
    assert results.line_hour["line_name"].unique().tolist() == ["L01", "L12", "L23", "L34", "L45"]
    assert results.zones["bus_name"].tolist() == ["Pole 2", "Pole 3", "Pole 4", "Pole 5"]
    with pytest.raises(InputError) as caught:
        Scenario(grid={"feeder": str(tmp_path)})
    assert [(one.field, one.value) for one in caught.value.problems] == [
        ("generation_class", "pv"),
        ("generation_class", "generation"),
    ]


def test_at_nominal_load_a_run_is_the_published_load_flow(tmp_path):
    made = import_feeder("pandapower:create_cigre_network_mv,with_der=pv_wind", zones="none")
    for name, content in made.files.items():
        write_content(tmp_path / name, content, (tmp_path / name).suffix)
    scenario = Scenario(
        grid={"feeder": str(tmp_path)},
        base_load={"profile": "flat"},
        strategy="none",
        fleet={"evs_per_zone": 0},
        clock={"hours": 1},
    )
    kpis = V2GModel(scenario).run().results.kpis
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = pp.networks.create_cigre_network_mv(with_der="pv_wind")
        pp.runpp(net, numba=False)
    assert kpis["min_vm_pu"] == pytest.approx(net.res_bus["vm_pu"].min(), abs=1e-6)
    assert kpis["min_vm_bus"] == net.res_bus["vm_pu"].idxmin()
    assert kpis["max_loss_mw"] == pytest.approx(
        net.res_line["pl_mw"].sum() + net.res_trafo["pl_mw"].sum(), abs=1e-6
    )


def test_a_case_that_cannot_be_solved_is_no_crash(tmp_path, monkeypatch):
    def fails(*given):
        raise FloatingPointError("divide by zero")

    monkeypatch.setattr("abm.grid.importing.solved_net", fails)
    with pytest.raises(LoadFlowError, match="cannot be solved"):
        import_feeder(str(case(tmp_path)))


def test_a_saved_structure_that_is_no_case(tmp_path):
    from scipy.io import savemat

    tables = {"bus": "text", "gen": np.zeros((1, 10)), "branch": np.zeros((1, 13))}
    savemat(tmp_path / "x.mat", {"mpc": {"baseMVA": 10.0, **tables}})
    with pytest.raises(InputError, match="a structure mpc of numbers"):
        import_feeder(str(tmp_path / "x.mat"))
    savemat(tmp_path / "x.mat", {"other": 1.0})
    with pytest.raises(InputError, match="baseMVA, bus, branch and gen"):
        import_feeder(str(tmp_path / "x.mat"))
