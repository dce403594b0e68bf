"""Feeders out of OpenDSS scripts: the same equations, and what is said about the rest."""
# ruff: noqa: E501

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from helpers import small_paper

from abm import V2GModel
from abm.cli import main
from abm.errors import InputError, LoadFlowError
from abm.grid.importing import import_feeder
from abm.grid.opendss import read_opendss
from abm.grid.phase_importing import lowest_voltages, nominal_flow
from abm.report.interactive_runs import voltages
from abm.report.phase_terminal import phase_lines
from abm.scenario.feeder import read_feeder
from abm.scenario.names import shipped_files
from abm.scenario.phase_feeder import line_lengths

pytest.importorskip("opendssdirect", reason="opendssdirect.py is not there: the extra opendss")

HEAD = """clear
set defaultbasefrequency=50
new circuit.town bus1=sub basekv=11 pu=1.03 angle=15 mvasc3=120 mvasc1=90
"""
FOOT = """set voltagebases=[11 0.4]
calcvoltagebases
solve
"""
# All that is supported, in odd units, orders and connections; a loop of medium voltage.
TOWN = (
    HEAD
    + """new linecode.ohl nphases=3 r1=0.6 x1=0.5 r0=1.1 x0=2.4 c1=9 c0=4 units=mi normamps=250
new linecode.odd nphases=3 units=kft
~ rmatrix=(0.09 | 0.03 0.088 | 0.028 0.03 0.089)   ! by rows
~ xmatrix=(0.2 | 0.09 0.21 | 0.07 0.08 0.2)
~ cmatrix=(3 | -0.5 3.1 | -0.4 -0.3 2.9)
new linecode.two nphases=2 rmatrix=(0.5 | 0.1 0.6) xmatrix=(0.4 | 0.15 0.42) units=km
/* a block
of words */
New Line.L1 bus1=sub bus2=north linecode=ohl length=2 units=km  // a remark
new line.l2 bus1=sub bus2=south linecode=odd length=1500 units=ft
new line.l3 bus1=north.3.1.2 bus2=south.3.1.2 linecode=odd length=300 units=m
new transformer.t1 buses=(north n0) conns=(delta wye) kvs=(11 0.4) kvas=(250 250) xhl=4.2
~ %rs=(0.6 0.7) %noloadloss=0.2 %imag=0.6 leadlag=lead wdg=1 tap=1.025
new transformer.t2 buses=(south s0) conns=(wye wye) kvs=(11 0.42) kvas=(160 160) xhl=4 %loadloss=1.4
new transformer.t3 buses=(south d0) conns=(wye delta) kvs=(11 0.4) kvas=(100 50) xhl=4
new line.n1 bus1=n0 bus2=n1 r1=0.3 x1=0.08 r0=1.2 x0=0.3 c1=0 c0=0 length=0.12 units=km normamps=180
new line.n2 bus1=n1.2.3 bus2=n2.2.3 linecode=two length=80 units=m
new line.n3 bus1=n1.1 bus2=n3.1 phases=1 r1=0.9 x1=0.09 r0=0.9 x0=0.09 c1=0 c0=0 length=0.05 units=km
new line.tie bus1=n1 bus2=n4 linecode=ohl length=10 units=m
new line.old bus1=n1 bus2=n4 linecode=ohl length=10 units=m enabled=no
new line.spare bus1=n0 bus2=n4 linecode=ohl length=12 units=m
open line.spare term=1
new capacitor.c1 bus1=north kv=11 kvar=200
new capacitor.c2 bus1=s0 kv=0.4 kvar=20 conn=delta
new capacitor.c3 bus1=n1.2 phases=1 kv=0.231 kvar=3
new load.a bus1=n3.1 phases=1 kv=0.23 kw=4 pf=0.95
new load.b bus1=n2.2 phases=1 kv=0.23 kw=3 kvar=1.2
new load.c bus1=n2.2.3 phases=1 kv=0.4 kw=2 pf=0.9 conn=delta
new load.three bus1=n4 phases=3 kv=0.4 kw=20 pf=0.97
new load.ring bus1=d0 phases=3 kv=0.4 kw=15 pf=0.92 conn=delta
new load.s bus1=s0.3 phases=1 kv=0.24 kw=6 kvar=-1 daily=day
new loadshape.day npts=24 interval=1 csvfile=nowhere.csv
new energymeter.m line.l1 1
load.s.kw=7
"""
    + FOOT
)


def script(folder, text, name="town.dss"):
    path = folder / name
    path.write_text(text)
    return path


def shapes_first(text):
    """OpenDSS wants shapes before the loads that follow them."""
    shape = "new loadshape.day npts=24 interval=1 csvfile=nowhere.csv\n"
    return text.replace(shape, "").replace("new load.a", shape + "new load.a")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    path = script(tmp_path_factory.mktemp("town"), shapes_first(TOWN))
    source, solved = read_opendss(path)
    return source, solved, source.table(source.files(), str(path)).phases


def said(folder, text, **rules):
    path = script(folder, text)
    with pytest.raises(InputError) as caught:
        import_feeder(str(path), **rules)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


# --- what is right -------------------------------------------------------------------------------


def test_voltages_are_those_of_opendss(town):
    _, solved, values = town
    assert solved.converged
    flow = nominal_flow(values)
    assert flow.vm_pu[0] == pytest.approx(lowest_voltages(values, solved), abs=1e-8)
    assert flow.vm_pu[0].min() < 0.99


def test_lines_have_the_impedances_of_opendss(town, tmp_path):
    from opendssdirect import dss

    _, _, values = town
    engine = dss.NewContext()
    for line in shapes_first(TOWN).splitlines():
        if not line.startswith(("/*", "of words", "new loadshape", "new energymeter")):
            engine.Text.Command(line.replace("daily=day", ""))
    for at, name in enumerate(map(str, values.line)):
        engine.Circuit.SetActiveElement(f"line.{name}")
        n = int(values.line_phases[at].sum())
        y = np.array(engine.CktElement.YPrim()).view(complex).reshape(2 * n, 2 * n)
        nodes = np.argsort(engine.CktElement.NodeOrder()[:n])
        there = np.flatnonzero(values.line_phases[at])
        z, shunt = (array[at][np.ix_(there, there)]
                    for array in (values.line_z_ohm, values.line_y_siemens))  # fmt: skip
        pick = np.ix_(nodes, nodes)
        assert np.linalg.inv(-y[:n, n:])[pick] == pytest.approx(z, rel=1e-9)
        assert (y[:n, :n] + y[:n, n:])[pick] == pytest.approx(shunt / 2, abs=1e-12)


def test_elements_of_the_town(town):
    source, _, values = town
    assert values.line.tolist() == ["l1", "l2", "l3", "n1", "n2", "n3", "tie"]
    assert [row["connection"] for row in source.rows["transformers.csv"]] == [
        "Dyn11", "YNyn0", "YNd1"]  # fmt: skip
    assert values.tap_from.tolist() == [1.025, 1.0, 1.0]
    rated = dict(zip(values.line.tolist(), values.line_ampacity_a.tolist(), strict=True))
    assert rated["l1"] == 250.0
    assert rated["n1"] == 180.0
    assert np.isnan(rated["l2"])
    homes = {row["home"]: row for row in source.rows["homes.csv"]}
    assert homes["c"]["phases"] == "bc"
    assert homes["c"]["connection"] == "delta"
    assert homes["a"]["power_factor"] == 0.95
    assert homes["b"]["q_kvar"] == 1.2
    assert homes["s"]["p_kw"] == 7.0
    assert homes["s"]["q_kvar"] == pytest.approx(-7 / 6)
    assert values.capacitor_y_siemens[2, 1, 1] == pytest.approx(1j * 3e-3 / 0.231**2)
    assert source.head["source_va_degree"] == 15.0
    notes = " ".join(source.notes)
    assert "1 x disabled line left out: old" in notes
    assert "1 x line kept as open: spare" in notes
    assert "1 x energymeter left out" in notes
    assert "beyond 0.95 to 1.05 p.u." in notes


def test_import_and_folder_give_the_same_arrays(town, tmp_path):
    _source, _, values = town
    path = script(tmp_path, shapes_first(TOWN))
    out = tmp_path / "out"
    assert main(["feeder", "import", str(path), "--out", str(out)]) == 0
    read = read_feeder(out, ("residential",)).phases
    for name, array in vars(values).items():
        assert np.array_equal(getattr(read, name), array, equal_nan=array_is_float(array)), name


def array_is_float(array):
    return np.asarray(array).dtype.kind in "fc"


def test_the_report_names_the_difference(tmp_path, capsys):
    path = script(tmp_path, shapes_first(TOWN), "street.dss")
    out = str(tmp_path / "out")
    assert main(["feeder", "import", str(path), "--out", out, "--classes", "all:commercial"]) == 0
    shown = capsys.readouterr().out
    assert "6 homes (1 on a, 1 on b, 1 on c, 1 on bc, 2 on abc), 51 kW" in shown
    assert "largest difference from the voltages of OpenDSS: " in shown
    assert read_feeder(tmp_path / "out", None).customer_class.tolist() == ["commercial"] * 6


def test_a_difference_is_a_warning_with_the_worst_bus(town):
    from abm.grid.opendss import Solved
    from abm.grid.phase_importing import _difference

    _, solved, values = town
    moved = Solved({**solved.volts, ("n3", 0): 1.01 * solved.volts["n3", 0]}, True)
    notes = []
    names = [str(number) for number in range(values.n_home)]
    _difference(nominal_flow(values), values, names, moved, notes)
    assert notes[0].startswith("warning: voltages differ from OpenDSS's by up to 0.0")
    assert notes[0].endswith("most at home 0, bus n3")


def test_files_beside_it_packed_and_without_bases(tmp_path):
    (tmp_path / "Parts").mkdir()
    (tmp_path / "Parts" / "Lines.TXT").write_text(
        "new line.l bus1=sub bus2=b r1=.0003 x1=.0001 r0=.001 x0=.001 length=100 units=m\n"
    )
    (tmp_path / "Parts" / "places.csv").write_text("bus, x, y\nSUB, 1, 2\nb, 3, 4\n")
    text = (
        HEAD
        + "redirect Parts\\lines.txt\nnew load.a bus1=b.2 phases=1 kv=6.3 kw=4\nbuscoords parts/places.csv\nset loadmult=2\nsolve\n"
    )
    path = tmp_path / "own.dss.gz"
    path.write_bytes(gzip.compress(text.encode()))
    made = import_feeder(str(path))
    buses = made.files["buses.csv"]
    assert buses["bus"].tolist() == ["sub", "b"]
    assert buses["vn_kv"].tolist() == [11.0, 11.0]
    assert buses["y"].tolist() == [2.0, 4.0]
    assert made.files["homes.csv"]["p_kw"].tolist() == [8.0]
    assert made.name == "own"
    assert any("loads times 2" in note for note in made.notes)
    assert any("no voltage bases" in note for note in made.notes)


def test_scripts_as_they_are_written(tmp_path):
    """Continued circuits, two of them after each other, reports, coordinates by latitude, NULs."""
    (tmp_path / "places.csv").write_text("sub, 50.5, 8.5\n")
    circuit = HEAD.replace(" basekv=11", "\nphases=3 basekv=11").replace(" mvasc3", "\n\n~ mvasc3")
    text = (
        "Var @kw=4\n"
        + circuit.replace("town", "first")
        + "new load.gone bus1=sub kv=11 kw=1\nnew monitor.m load.gone\nset loadmult=3\n"
        + circuit
        + L
        + "new load.a bus1=b.1 phases=1 conn=delta kv=6.35 kw=@kw\0\r\n"
        + FOOT
        + "giscoords places.csv\nShow Voltages LN nodes\n~ more\nexp summary\nplot circuit\n\0"
    )
    made = import_feeder(str(script(tmp_path, text)))
    homes, buses = made.files["homes.csv"], made.files["buses.csv"]
    assert homes["home"].tolist() == ["a"]
    assert homes["p_kw"].tolist() == [4.0]
    # Between one phase and earth a load in "delta" is one in wye.
    assert "connection" not in homes
    assert buses[["x", "y"]].iloc[0].tolist() == [8.5, 50.5]
    assert [note for note in made.notes if "command" in note] == [
        "1 x command show left out", "1 x command export left out", "1 x command plot left out"
    ]  # fmt: skip
    assert not any("monitor" in note for note in made.notes)


def test_a_switch_in_metres_keeps_its_impedance(tmp_path):
    """1 ohm per unit on 0.001 of it, as OpenDSS has it: 1000 ohm/km on a millimetre."""
    text = (
        HEAD + L + A.replace("=b.1", "=c.1") + "new line.s bus1=b bus2=c switch=y units=m\n" + FOOT
    )
    source, solved = read_opendss(script(tmp_path, text))
    values = source.table(source.files(), "town.dss").phases
    assert values.line_z_ohm[1] == pytest.approx((1e-3 + 1e-3j) * np.eye(3), abs=1e-12)
    assert nominal_flow(values).vm_pu[0] == pytest.approx(lowest_voltages(values, solved), abs=1e-9)


def test_lengths_without_a_unit(tmp_path):
    """A line is in the unit of its code; without that, in km, which is said."""
    text = (
        HEAD
        + "new linecode.m nphases=3 r1=3e-4 x1=1e-4 r0=1e-3 x0=1e-3 c1=0 c0=0 units=m\n"
        + "new line.l bus1=sub bus2=b linecode=m length=100\n"
        + L.replace("line.l bus1=sub bus2=b", "line.k bus1=b bus2=c").replace(" units=km", "")
        + A.replace("b.1", "c.1")
        + FOOT
    )
    made = import_feeder(str(script(tmp_path, text)))
    assert made.files["lines.csv"]["length_m"].tolist() == [100.0, 100.0]
    assert "1 x line without unit of length, taken to be in km: k" in made.notes


def test_lengths_whose_unit_opendss_drops_are_told_by_the_impedance(tmp_path):
    """Impedances that come after `units` take it away; 0.3 milliohm are those of a metre."""
    text = HEAD + "new line.l bus1=sub bus2=b length=90 units=m r1=3e-4 x1=1e-4 r0=1e-3 x0=1e-3\n"
    made = import_feeder(str(script(tmp_path, text + A + FOOT)))
    assert made.files["lines.csv"]["length_m"].tolist() == [90.0]
    assert "1 x line without unit of length, taken to be in m: l" in made.notes


def test_ratings_come_of_like_and_of_batchedit(tmp_path):
    text = (
        HEAD
        + "new linecode.k r1=0.3 x1=0.1 r0=1 x0=1 c1=0 c0=0 units=km normamps=240\n"
        + "new linecode.k2 like=k units=km\n"
        + 'new "line.m 1" bus1=sub bus2=b linecode=k2 length=0.1 units=km\n'
        + L.replace("line.l bus1=sub bus2=b", "line.own bus1=b bus2=c normamps=99")
        + "new line.same like=own bus1=c bus2=d units=km\n"
        + L.replace("line.l bus1=sub bus2=b", "line.x1 bus1=d bus2=e")
        + L.replace("line.l bus1=sub bus2=b", "line.y1 bus1=e bus2=f")
        + A.replace("=b.1", "=f.1")
        + "batchedit line.x.* normamps=77\n"
        + FOOT
    )
    source, _ = read_opendss(script(tmp_path, text))
    values = source.table(source.files(), "town.dss").phases
    assert values.line.tolist() == ["m 1", "own", "same", "x1", "y1"]
    assert values.line_ampacity_a.tolist() == pytest.approx([240, 99, 99, 77, np.nan], nan_ok=True)


def test_what_is_open_is_left_out_and_fixed_loads_are_not_multiplied(tmp_path):
    text = (
        HEAD
        + L
        + T.replace("transformer.t", "transformer.spare")
        + "\n"
        + A
        + A.replace("load.a", "load.shut")
        + A.replace("load.a", "load.fix").replace("kw=4", "kw=5 status=fixed")
        + A.replace("load.a", "load.free").replace("kw=4", "kw=6 status=exempt")
        + "new capacitor.c1 bus1=b kv=11 kvar=20\n"
        + "open load.shut 1\nopen capacitor.c1 1\nopen transformer.spare 2\nset loadmult=2\n"
        + FOOT
    )
    source, solved = read_opendss(script(tmp_path, text))
    homes = {row["home"]: row["p_kw"] for row in source.rows["homes.csv"]}
    assert homes == {"a": 8.0, "fix": 5.0, "free": 6.0}
    assert source.rows["transformers.csv"] == source.rows["capacitors.csv"] == []
    for what in ("load left out: shut", "capacitor left out: c1", "transformer left out: spare"):
        assert f"1 x open {what}" in source.notes
    values = source.table(source.files(), "town.dss").phases
    assert nominal_flow(values).vm_pu[0] == pytest.approx(lowest_voltages(values, solved), abs=1e-9)


def imported(folder, text):
    """The network of a script, and that its homes have OpenDSS's voltages."""
    source, solved = read_opendss(script(folder, text))
    values = source.table(source.files(), "town.dss").phases
    assert nominal_flow(values).vm_pu[0] == pytest.approx(lowest_voltages(values, solved), abs=1e-8)
    return source, values


def test_options_are_known_by_their_first_letters(tmp_path):
    head = HEAD.replace("basefrequency", "basefreq")
    text = head + L.replace("1 length", "1 c1=200 c0=90 length")
    text += "new load.x bus1=b kv=11 xfkva=80 pf=.9\nset allocationfact=0.25\nset loadmu=1.5\n"
    source, values = imported(tmp_path, text + "set voltageb=[11]\ncalcv\n")
    assert source.head["f_hz"] == 50.0
    assert values.home_p_kw.tolist() == pytest.approx([80 * 0.25 * 0.9 * 1.5])
    assert values.line_y_siemens[0].real.max() == 0.0
    positive = values.line_y_siemens[0, 0] @ np.exp([0.0, -2j * np.pi / 3, 2j * np.pi / 3])
    assert positive.imag == pytest.approx(2 * np.pi * 50 * 200e-9 * 0.1)


def test_capacitors_are_as_opendss_builds_them(tmp_path):
    """Steps of a bank in delta are not what its kvar adds up to; one of two may be on."""
    cap = "new capacitor.{} bus1=b kv=11 {}\n"
    text = HEAD + L + A + cap.format("delta", "conn=delta numsteps=2 kvar=[200 150]")
    text += cap.format("one", "numsteps=2 kvar=[60 50] states=[1 0]")
    text += cap.format("off", "kvar=60 states=[0]") + FOOT
    source, _ = imported(tmp_path, text)
    assert [row["capacitor"] for row in source.rows["capacitors.csv"]] == ["delta", "one"]
    assert source.rows["capacitors.csv"][1]["kvar"] == pytest.approx(60.0)
    assert "1 x capacitor left out, which is off: off" in source.notes


def test_a_feeder_without_a_line(tmp_path):
    text = HEAD + T.replace("(b c)", "(sub c)") + " conns=(delta wye) xhl=4\n"
    text += "new load.a bus1=c.2 phases=1 kv=.23 kw=20\nnew load.b bus1=c kv=.4 kw=8\n" + FOOT
    imported(tmp_path, text)
    out = tmp_path / "out"
    out.mkdir()
    for name, content in import_feeder(str(tmp_path / "town.dss")).files.items():
        text = content if isinstance(content, str) else content.to_csv(index=False)
        (out / name).write_text(text)
    assert not (out / "lines.csv").exists()
    table = read_feeder(out, None)
    assert "lines: none" in phase_lines(table, *line_lengths(out))
    grid = {"feeder": str(out), "vm_max_pu": 1.05}
    results = V2GModel(small_paper(grid=grid, fleet={"evs_per_customer": 1})).run().results
    assert results.kpis["max_neutral_line"] is None
    # The report has the highest of all phases, and the limit that it is near to.
    traces = {one["name"]: one["y"] for one in voltages({"run": results}).chart["data"]}
    assert max(traces["highest"]) == pytest.approx(results.kpis["max_vm_pu"], abs=1e-4)
    assert max(traces["highest"]) > results.flows.vm_pu.max() + 1e-3
    assert set(traces["upper limit"]) == {1.05}


def test_a_frequency_that_only_some_elements_have(tmp_path):
    """OpenDSS solves at 60 Hz what is not said, and scales reactances of 50 Hz."""
    text = HEAD.replace("set defaultbasefrequency=50\n", "").replace(
        "mvasc1=90", "mvasc1=90 basefreq=50"
    )
    text += L + T.replace("kvas", "basefreq=50 kvas") + " conns=(delta wye) xhl=4\n"
    text += "new load.a bus1=c kv=.4 kw=40\n" + FOOT
    source, _ = imported(tmp_path, text)
    assert source.head["f_hz"] == 60.0
    assert source.rows["transformers.csv"][0]["x_percent"] == pytest.approx(4.0 * 60 / 50)


def test_rated_voltages_below_a_winding_in_delta_are_its_own(tmp_path):
    """OpenDSS goes by the voltage to earth, which floats there."""
    text = HEAD + L + T.replace("100 100", "50 50") + " conns=(wye delta) xhl=4\n"
    text += "new line.m bus1=c.2.3 bus2=d.2.3 phases=2 r1=.3 x1=.1 r0=1 x0=1 length=.1 units=km\n"
    text += "new capacitor.k bus1=c.1 phases=1 kv=.23 kvar=0.1\n"
    text += "new load.a bus1=d.2.3 phases=1 kv=.4 kw=4\n"
    source, _ = imported(tmp_path, text + "set voltagebases=[11 .69 .4]\ncalcvoltagebases\n")
    assert {row["bus"]: row["vn_kv"] for row in source.rows["buses.csv"]} == pytest.approx(
        {"sub": 11.0, "b": 11.0, "c": 0.4, "d": 0.4}
    )


# --- what is refused -----------------------------------------------------------------------------

L = "new line.l bus1=sub bus2=b r1=0.3 x1=0.1 r0=1 x0=1 length=0.1 units=km\n"
A = "new load.a bus1=b.1 phases=1 kv=6.35 kw=4\n"
T = "new transformer.t buses=(b c) kvs=(11 .4) kvas=(100 100)"

WRONG = {
    "an impedance of another unit": (
        HEAD + "new linecode.k nphases=1 rmatrix=(1) xmatrix=(.1) cmatrix=(0) units=m\n"
        + "new line.l bus1=sub.1 bus2=b.1 phases=1 linecode=k length=15 units=m\n" + A,
        ["town.dss:4: r_aa = 1000.0: from 0 to 100 ohm per km, or empty (linecode k)"],
    ),
    "a program": (
        HEAD + L + A + "shell touch /tmp/evil\ncd /\nallocateloads\n",
        [f"town.dss:{line}: command = {word}: no command that runs something or changes folders or "
         "the network: take the line out"
         for line, word in ((6, "shell touch /tmp/evil"), (7, "cd /"), (8, "allocateloads"))],
    ),
    "no such command": (
        HEAD + L + A + "nwe line.x bus1=b\n",
        ["town.dss:6: command = nwe line.x bus1=b: a command of OpenDSS that builds a network "
         "(did you mean 'new'?)"],
    ),
    "an element that is not there": (
        HEAD + L + A + "open line.x term=1\nLine.ll.r1=0.2\n",
        ["town.dss:6: command = line.x: an element that is there already: new CLASS.NAME above it"
         " (did you mean 'line.l'?)",
         "town.dss:7: command = line.ll: an element that is there already: new CLASS.NAME above it"
         " (did you mean 'line.l'?)"],
    ),
    "a matrix of a capacitor": (
        HEAD + L + A + "new capacitor.c bus1=b kv=11\n~ cmatrix=(1 | 1 1)\n",
        ["town.dss:7: capacitor.c = more cmatrix=(1 | 1 1): a capacitor by kv and kvar; cmatrix "
         "is not supported"],
    ),
    "a file that is not there": (
        HEAD + "redirect nothing.dss\nredirect town.dss\n" + L + A,
        ["town.dss:4: command = nothing.dss: a file; there is none of this name",
         "town.dss:5: command = town.dss: no script that is being read already"],
    ),
    "numbers in another file": (
        HEAD + L + A + "new linecode.x nphases=1 rmatrix=(file=/etc/passwd)\n",
        ["town.dss:6: linecode.x = new linecode.x nphases=1 rmatrix=(file=/etc/passwd): numbers "
         "in the script itself, not in another file"],
    ),
    "no circuit": (A, ["town.dss: file: an OpenDSS script with a circuit: new circuit.NAME"]),
    "what OpenDSS does not take": (
        HEAD + "new line.x bus1=sub bus2=b linecode=none length=1\n" + L + A + "new lood.b bus1=b\n",
        ['town.dss:4: line.x: OpenDSS says: Line.x.LineCode: LineCode object "none" not found.',
         'town.dss:7: lood.b: OpenDSS says: New Command: Object Type "lood" not found. new lood.b '
         "bus1=b"],
    ),
    "elements": (
        HEAD + L + A + T + "\nnew generator.g bus1=b kw=3\nnew pvsystem.p bus1=b kva=3 pmpp=3\n"
        "new reactor.r bus1=b kvar=10\nnew regcontrol.c transformer=t winding=2\n",
        [f"town.dss:{line}: {name}: lines, transformers, capacitors, loads and one source; this is"
         " not supported"
         for line, name in ((7, "generator.g"), (8, "pvsystem.p"), (9, "reactor.r"),
                            (10, "regcontrol.c"))],
    ),
    "transformers": (
        HEAD + L + A + "new transformer.one phases=1 buses=(b.1 d.1) kvs=(6.35 .23) kvas=(25 25)\n"
        "new transformer.split windings=3 buses=(b d d) kvs=(11 .4 .4) kvas=(9 9 9)\n"
        "new transformer.open buses=(b.1.2.3 c.1.2.3.4) conns=(delta wye) kvs=(11 .4) kvas=(9 9)\n",
        ["town.dss:6: transformer.one = 1 phases, 2 windings: three phases and two windings; "
         "others are not supported",
         "town.dss:7: transformer.split = 3 phases, 3 windings: three phases and two windings; "
         "others are not supported",
         "town.dss:8: transformer.open = c.1.2.3.4: phases 1, 2, 3, and an earthed neutral where "
         "it is wye"],
    ),
    "neutrals": (
        HEAD + L + "new line.four phases=4 bus1=sub.1.2.3.4 bus2=c.1.2.3.4 "
        "rmatrix=(1|0 1|0 0 1|0 0 0 1) xmatrix=(1|0 1|0 0 1|0 0 0 1) length=1 units=km\n"
        "new load.n bus1=c.1.4 phases=1 kv=6.35 kw=4\n",
        ["town.dss:5: line.four = 1.2.3.4: phases 1, 2 and 3; a conductor for the neutral (node 4, "
         "or 0 of a line) is not supported",
         "town.dss:6: load.n = c.1.4: phases 1, 2 and 3; a conductor for the neutral (node 4) is "
         "not supported"],
    ),
    "loads": (
        HEAD + L + A + "new load.z bus1=b.2 phases=1 kv=6.35 kw=4 model=2\n"
        "new load.sun bus1=b.2 phases=1 kv=6.35 kw=-4\n"
        "new load.v bus1=b.1.2.3 phases=2 conn=delta kv=11 kw=4\n",
        ["town.dss:6: load.z = model 2: model 1, constant power; other models of loads are not "
         "supported",
         "town.dss:7: load.sun = -4 kW: a load of 0 kW or more; generation is not supported",
         "town.dss:8: load.v = 2 phases: one phase (of two nodes) or three, in delta"],
    ),
    "lines of no length": (
        HEAD + L + A + "new line.x bus1=b bus2=c length=0\nnew line.y bus1=b bus2=d length=0\n",
        [f"town.dss:{line}: {name} = 0: a length above 0; join the buses, or make it a switch: "
         "switch=y" for line, name in ((6, "line.x"), (7, "line.y"))],
    ),
    "a line of no impedance": (
        HEAD + L + A + "new line.x bus1=b bus2=c r1=0 x1=0 r0=0 x0=0 c1=0 c0=0 length=1\n",
        ["town.dss:6: line.x: OpenDSS says: Y matrix build aborted"],
    ),
    "a source with more current to earth than there can be": (
        HEAD.replace("mvasc1=90", "mvasc1=200") + L + A,
        ["town.dss:3: vsource.source = -0.06398-0.1919j: a zero-sequence impedance above 0 ohm: mvasc1 "
         "at most 1.5 times mvasc3"],
    ),
    "loads of four phases": (
        HEAD + L + A + "new load.x bus1=b.1.2.3 kv=0.4 kw=1 Phases=4\nnew load.y bus1=b\nphases = 5\n",
        ["town.dss:6: load.x = phases=4: a load of 1, 2 or 3 phases",
         "town.dss:8: load.y = phases=5: a load of 1, 2 or 3 phases"],
    ),
    "twisted lines": (
        HEAD + L + A + "new line.t bus1=sub.1.2.3 bus2=c.2.3.1 length=0.1 units=km\n",
        ["town.dss:6: line.t = 1.2.3 to 2.3.1: the same phases in the same order at both ends, "
         "each once"],
    ),
    "an island": (
        HEAD + L + A + "new line.far bus1=x bus2=y length=0.1 units=km\n"
        "new load.far bus1=y.1 phases=1 kv=6.35 kw=1\nset voltagebases=[11]\ncalcvoltagebases\n",
        ["town.dss: bus = x: a bus that closed lines and transformers join to source_bus sub; it "
         "is one of 2 (x, y), with 1 homes (bus x)"],
    ),
    "a load of which a phase is open": (
        HEAD + L + "new load.a bus1=b phases=3 kv=11 kw=4\nopen load.a 1 2\n",
        ["town.dss:5: load.a: open or closed in all its phases"],
    ),
    "a bus behind an open line": (
        HEAD + L + A + L.replace("line.l bus1=sub bus2=b", "line.m bus1=b bus2=c")
        + "open line.m 1\nset voltagebases=[66 11]\n",
        ["town.dss: bus = c: a bus that closed lines and transformers join to source_bus sub; "
         "it is alone, with 0 homes (bus c)"],
    ),
    "a second source": (
        HEAD + L + A + "new vsource.two bus1=b basekv=11\n",
        ["town.dss:6: vsource.two: one source; source is one already"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_bad_scripts_are_refused_with_file_line_and_element(case, tmp_path):
    text, wanted = WRONG[case]
    found = said(tmp_path, text)
    assert [one[: len(more)] for one, more in zip(found, wanted, strict=True)] == wanted


def test_rules_of_balanced_feeders_are_refused(tmp_path):
    found = said(tmp_path, HEAD + L + A, zones="farthest:3", classes="voltage:1", customers="loads")
    assert [line.split(" = ")[0] for line in found] == ["--zones", "--customers", "--classes"]


def test_nothing_is_written_and_no_folder_changed(tmp_path, monkeypatch):
    text = shapes_first(TOWN) + (
        "set datapath=elsewhere\nset casename=mine\nset demandinterval=true\nset mode=daily\nsolve\n"
        "new monitor.m line.l1 1\nset editor=touch\n"
    )
    path = script(tmp_path, text)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    # OpenDSS goes back to the folder in which it was loaded, which is another one.
    read_opendss(Path("..", path.name))
    assert os.getcwd() == str(here)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["here", "town.dss"]
    assert list(here.iterdir()) == []


def test_a_bad_script_ends_with_code_2_and_writes_nothing(tmp_path, capsys):
    path = script(tmp_path, HEAD + L + A + "shell ls\n")
    assert main(["feeder", "import", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "town.dss:6: command = shell ls" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_no_script(tmp_path):
    with pytest.raises(InputError, match="a file; there is none of this name"):
        import_feeder(str(tmp_path / "none.dss"))
    (tmp_path / "bad.dss.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match="not a gzip file"):
        import_feeder(str(tmp_path / "bad.dss.gz"))
    (tmp_path / "bytes.dss").write_bytes(b"new circuit.x\0\1")
    with pytest.raises(InputError, match="which is text"):
        import_feeder(str(tmp_path / "bytes.dss"))


def test_wye_loads_in_a_network_without_earth_have_no_load_flow(tmp_path):
    below = T + " conns=(delta delta)\nnew load.a bus1=c phases=3 kv=0.4 kw=4\n"
    text = HEAD + L + below + "set voltagebases=[11 0.4]\n"
    with pytest.raises(LoadFlowError, match="below a winding in delta, where nothing is earthed"):
        import_feeder(str(script(tmp_path, text)))


def test_a_load_that_cannot_be_supplied_is_one_for_opendss_too(tmp_path):
    text = HEAD + L.replace("r1=0.3", "r1=30") + A.replace("kw=4", "kw=5000") + FOOT
    with pytest.raises(LoadFlowError, match="OpenDSS finds none either"):
        import_feeder(str(script(tmp_path, text)))


def test_the_shipped_european_feeder_is_what_its_script_gives():
    shared = shipped_files("feeders")["ieee_european_lv"]
    path = shared.parents[2].parent / "shared" / "data" / "ieee_european_lv" / "dss" / "Master.dss"
    if not path.is_file():
        pytest.skip("the OpenDSS text of the European feeder is not there: ../shared/data")
    made = import_feeder(str(path))
    for name in ("buses.csv", "linecodes.csv", "lines.csv", "transformers.csv", "homes.csv"):
        text = made.files[name].to_csv(index=False, lineterminator="\n")
        assert text == (shared / name).read_text()


def test_a_crash_of_opendss_is_an_error_like_others(tmp_path, capfd):
    path = script(tmp_path, HEAD + "new linecode.x 1000000000\n" + L + A)
    assert main(["feeder", "import", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "a script that OpenDSS can read; it crashed on this one" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
