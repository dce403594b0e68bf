"""Files of other people: sizes, pipes, links that lead out, nets, names to be shown as they are."""

import io
import json
import os
import shutil
import warnings

import pandapower as pp
import pytest

from abm import Scenario
from abm.errors import InputError, Problem, printable
from abm.grid import build_feeder, load_net
from abm.report.figures import figure, png
from abm.report.terminal import Plain, new_table
from abm.results.folder import folder_name
from abm.scenario.feeder import read_feeder
from abm.scenario.names import shipped_files
from abm.scenario.tables import read_edges
from abm.scenario.yamlio import MAX_INPUT_MB, read_text

SECRET = "password: hunter2\nev: {efficiency: 7}\n"


def said(call, *args, **kwargs):
    with warnings.catch_warnings(record=True), pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


# --- what is read ------------------------------------------------------------------------------


def special(folder, kind):
    path = folder / "it.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(200_000_000)
    elif kind == "brackets":
        path.write_text("a: " + "[" * 500 + "]" * 500)
    elif kind == "nested":
        path.write_text("strategy: {rule_options: {x: " + "[" * 100 + "]" * 100 + "}}")
    elif kind == "bytes":
        path.write_bytes(b"\xff\xfe\x00a")
    else:
        path.write_text(f"seed: {kind}\n")
    return path


KINDS = ["pipe", "device", "folder", "loop", "large", "brackets", "nested", "bytes"]
NUMBERS = ["9" * 100_000, "0x" + "f" * 100_000, "0o" + "7" * 100_000, "1e" + "9" * 100_000]


@pytest.mark.parametrize("kind", [*KINDS, *NUMBERS], ids=lambda kind: kind[:8])
def test_what_is_no_scenario_is_refused_at_once(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = said(Scenario.load, special(tmp_path, kind).name)
    assert "it.yaml" in text
    assert len(text) < 1000


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop", "large", "bytes"])
@pytest.mark.parametrize("field", ["extends", "fleet.sessions", "tariff.prices", "belief.sessions"])
def test_so_are_the_files_that_it_names(tmp_path, kind, field):
    special(tmp_path, kind)
    key, _, inner = field.partition(".")
    value = f"{{{inner}: it.yaml}}" if inner else "it.yaml"
    (tmp_path / "mine.yaml").write_text(f"{key}: {value}\n")
    assert len(said(Scenario.load, tmp_path / "mine.yaml")) < 1000


def test_the_limit_can_be_raised_and_lowered(tmp_path, monkeypatch):
    path = tmp_path / "a.yaml"
    path.write_text("# " + "x" * 300_000 + "\nseed: 3\n")
    assert "at most 0.25 MB" in said(Scenario.load, path)
    monkeypatch.setenv(MAX_INPUT_MB, "2")
    assert Scenario.load(path).seed == 3
    monkeypatch.setenv(MAX_INPUT_MB, "0.2")
    assert "at most 0.2 MB" in said(Scenario.load, path)
    for wrong in ("many", "-1", "nan", "inf"):
        monkeypatch.setenv(MAX_INPUT_MB, wrong)
        assert MAX_INPUT_MB in said(read_text, path, "a")


def test_a_table_of_very_many_rows_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(MAX_INPUT_MB, "0.001")
    path = tmp_path / "edges.csv"
    path.write_text("ev_a,ev_b\n" + "1,2\n" * 9)
    assert len(read_edges(path, "edges.csv", None)) == 1
    path.write_text("ev_a,ev_b\n" + "1,2\n" * 11)
    assert "edges.csv:12: row: at most 10 rows" in said(read_edges, path, "edges.csv", None)


# --- files outside -----------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path):
    (tmp_path / "secret.yaml").write_text(SECRET)
    (tmp_path / "secret.csv").write_text("root:x:0:0:hunter2\n")
    (tmp_path / "good.yaml").write_text("seed: 5\n")
    folder = tmp_path / "study"
    (folder / "feeder").mkdir(parents=True)
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    for name in ("feeder.yaml", "buses.csv", "lines.csv"):
        (folder / "feeder" / name).symlink_to(tmp_path / "secret.csv")
    shutil.copytree(shipped_files("feeders")["case33bw"], folder / "homes")
    (folder / "homes" / "customers.csv").symlink_to(tmp_path / "secret.csv")
    return folder


OUTSIDE = [
    "extends: ../secret.yaml", "extends: '{}/secret.yaml'", "extends: link.yaml",
    "extends: ../secret.csv", "extends: link.csv", "tariff: {{prices: ../secret.csv}}",
    "base_load: {{profile: link.csv}}", "fleet: {{sessions: '{}/secret.csv'}}",
    "grid: {{feeder: feeder}}", "grid: {{feeder: homes}}", "base_load: {{customers: link.csv}}",
    "base_load: {{reactive: link.csv}}", "base_load: {{variety: {{kind: pool, pool: link.csv}}}}",
]  # fmt: skip


@pytest.mark.parametrize("line", OUTSIDE)
def test_nothing_of_a_file_outside_is_shown(place, line):
    mine = place / "mine.yaml"
    mine.write_text(line.format(place.parent) + "\n")
    text = said(Scenario.load, mine)
    assert "hunter2" not in text
    assert "password" not in text
    assert "mine.yaml:1" in text


def test_who_trusts_is_told_what_is_wrong(place):
    (place / "mine.yaml").write_text("extends: ../secret.yaml\n")
    assert "hunter2" in said(Scenario.load, place / "mine.yaml", trust=True)


def test_what_leads_out_is_said(place):
    mine = place / "mine.yaml"
    mine.write_text("extends: ../good.yaml\n")
    with pytest.warns(UserWarning, match=r'mine\.yaml:1: extends = "\.\./good\.yaml" leads out'):
        assert Scenario.load(mine).seed == 5
    assert Scenario.load(mine, trust=True).seed == 5  # a warning would be an error
    mine.write_text(f"extends: paper\ntariff: {{prices: {Scenario().tariff.prices}}}\n")
    assert Scenario.load(mine).seed == 1
    assert Scenario.load(mine, settings=["ev.efficiency=0.9"]).ev.efficiency == 0.9


def test_no_head_of_a_file_that_is_no_scenario_is_shown(tmp_path):
    (tmp_path / "notes.txt").write_text("root:x:0:0:hunter2\nmore\n")
    assert "hunter2" not in said(Scenario.load, tmp_path / "notes.txt")


# --- nets --------------------------------------------------------------------------------------


def net():
    made = pp.create_empty_network()
    for _ in range(3):
        pp.create_bus(made, vn_kv=20.0)
    pp.create_ext_grid(made, 0)
    for to in (1, 2):
        pp.create_line_from_parameters(made, to - 1, to, 1.0, 0.1, 0.1, 0.0, 0.3)
    pp.create_load(made, 1, p_mw=0.1, q_mvar=0.05)
    return made


def feeder_folder(folder, text="net: net.json\n"):
    (folder / "feeder.yaml").write_text(text)
    (folder / "buses.csv").write_text(
        "bus,customer_class,zone\n1,residential,\n2,residential,1\n3,residential,\n"
    )
    (folder / "lines.csv").write_text("from_bus,to_bus,ampacity_a\n1,2,300\n")
    return read_feeder(folder, ("residential",))


NAN = float("nan")
WRONG_NETS = {
    ("line", 0, "length_km", 0.0): "line 0 (N1-N2), length_km = 0.0",
    ("line", 1, "x_ohm_per_km", NAN): "line 1 (N2-N3), x_ohm_per_km = nan",
    ("line", 1, "to_bus", 7): "line 1, to_bus = 7: a bus of the net: 0, 1, 2",
    ("load", 0, "p_mw", NAN): "load 0 (N2), p_mw = nan",
    ("load", 0, "bus", 7): "load 0, bus = 7: a bus of the net: 0, 1, 2",
    ("ext_grid", 0, "vm_pu", NAN): "ext_grid 0 (N1), vm_pu = nan",
    ("ext_grid", 0, "in_service", False): "ext_grid: missing",
    ("bus", 1, "vn_kv", 0.0): "bus 1 (N2), vn_kv = 0.0",
}


@pytest.mark.parametrize("change", WRONG_NETS, ids=lambda change: f"{change[0]} {change[2]}")
def test_what_is_wrong_in_a_net_has_file_element_and_value(tmp_path, change):
    table, index, column, value = change
    made = net()
    made[table].loc[index, column] = value
    pp.to_json(made, str(tmp_path / "net.json"))
    text = said(build_feeder, feeder_folder(tmp_path))
    assert f"net.json: {WRONG_NETS[change]}" in text


def test_a_line_without_impedance_is_named(tmp_path):
    made = net()
    made.line.loc[1, ["r_ohm_per_km", "x_ohm_per_km"]] = 0.0
    pp.to_json(made, str(tmp_path / "net.json"))
    text = said(build_feeder, feeder_folder(tmp_path))
    assert "net.json: line 1 (N2-N3), r_ohm_per_km and x_ohm_per_km = 0" in text


def test_an_island_of_a_table_is_named_with_its_line(tmp_path):
    feeder_folder_text = "vn_kv: 20\nslack_bus: 1\n"
    (tmp_path / "feeder.yaml").write_text(feeder_folder_text)
    (tmp_path / "buses.csv").write_text(
        "bus,customer_class,zone,p_mw,q_mvar\n1,r,,0,0\n2,r,1,1,0\n3,r,,1,0\n4,r,,0,0\n"
    )
    (tmp_path / "lines.csv").write_text(
        "from_bus,to_bus,ampacity_a,r_ohm,x_ohm\n2,1,300,0.1,0.1\n3,4,300,0.1,0.1\n"
    )
    text = said(read_feeder, tmp_path, ("r",))
    for line, bus in ((4, 3), (5, 4)):
        assert f"buses.csv:{line}: bus = {bus}: a bus with supply" in text


EVIL = {"_module": "antigravity", "_class": "Fly", "_object": "{}"}


@pytest.mark.parametrize("how", ["object", "text", "cell", "function", "path"])
def test_a_net_that_holds_code_of_others_is_refused(tmp_path, how):
    import sys

    pp.to_json(net(), str(tmp_path / "net.json"))
    data = json.loads((tmp_path / "net.json").read_text())
    inside = data["_object"]
    if how == "object":
        inside["more"] = EVIL
    elif how == "text":
        inside["more"] = json.dumps(EVIL)
    elif how == "function":
        inside["more"] = {"_module": "numpy", "_class": "function", "_object": "save"}
    elif how == "path":
        inside["bus"]["_object"] = "/etc/table.json"
    else:
        table = json.loads(inside["bus"]["_object"])
        table["columns"].append("more")
        for row in table["data"]:
            row.append(json.dumps(EVIL))
        inside["bus"]["_object"] = json.dumps(table)
    (tmp_path / "net.json").write_text(json.dumps(data))
    assert "pandapower's own classes" in said(load_net, str(tmp_path / "net.json"))
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("text", ["[1, 2]", '"x"', "null", "{}", "9" * 100_000, "[" * 100_000])
def test_json_that_is_no_net_is_one_problem(tmp_path, text):
    (tmp_path / "net.json").write_text(text)
    assert "not a pandapower JSON file" in said(load_net, str(tmp_path / "net.json"))


# --- names -------------------------------------------------------------------------------------

NAUGHTY = "[bold]x[/bold] \x1b[31m :smile: \u202e\x9b \x07"


def test_controls_are_escaped_and_nothing_else():
    assert printable("Größe 4 µm, \\n stays") == "Größe 4 µm, \\n stays"
    shown = str(Problem(NAUGHTY, NAUGHTY, NAUGHTY, NAUGHTY, 1, NAUGHTY))
    assert shown.isprintable()
    assert r"\x1b[31m" in shown
    assert r"\u202e\x9b \x07" in shown
    assert str(Problem("x" * 10_000, "y" * 10_000, "z")).count("x") < 200


def test_tables_show_markup_and_controls_and_obey_none():
    out = io.StringIO()
    console = Plain(width=200)
    console.file = out
    table = new_table(NAUGHTY, ("[red]name[/red]",), ())
    table.add_row(NAUGHTY)
    console.print(table)
    console.print(NAUGHTY)
    text = out.getvalue()
    for word in ("[bold]x[/bold]", r"\x1b[31m", ":smile:", r"\u202e", "[red]name[/red]"):
        assert word in text
    assert "\x1b[31m" not in text


def test_long_names_are_refused_or_cut_before_anything_runs(tmp_path):
    assert "at most 80" in said(Scenario, name="x" * 81)
    path = tmp_path / ("x" * 200 + ".yaml")
    path.write_text("seed: 1\n")
    assert Scenario.load(path).name == "x" * 80
    long = [f"m:{'R' * 200}{end}+first_come" for end in "ab"]
    names = [folder_name(label) for label in long]
    assert len(set(names)) == 2
    assert max(map(len, names)) <= 100


def test_a_name_with_dollars_is_no_formula():
    fig, axes = figure("$\\frac{$")
    axes.set_xticks([0, 1], ["$\\frac{$", "cost, $"])
    assert png(fig).startswith(b"\x89PNG")


def test_halves_of_a_character_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text('description: "\\ud800"\n"\\udfff": 1\n')
    text = said(Scenario.load, tmp_path / "a.yaml")
    assert text.count("halves of a character") == 2
