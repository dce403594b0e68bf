"""The command line from end to end, in a temporary folder."""

import io
import json
import os
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import ev, write_sessions

from abm.cli import build_parser, main
from abm.scenario import (
    Scenario,
    shipped_feeders,
    shipped_profiles,
    shipped_pv,
    shipped_scenarios,
    shipped_tariffs,
)
from abm.scenario.names import (
    ADMISSIONS,
    READY_PROFILES,
    RULES,
    SOLVERS,
    STRATEGIES,
    shipped_pools,
)

ROOT = Path(__file__).parents[2]
SMALL = ("--set", "fleet.evs_per_zone=1")
TABLES = ("hourly", "zone_minute", "ev", "bus_hour", "line_hour", "violations", "zones", "record")
OTHERS = ("manifest.json", "scenario.yaml", "kpis.json", "datapackage.json")
RUN_FILES = {*OTHERS, *(f"{t}.parquet" for t in TABLES)}
PNG = b"\x89PNG\r\n"


def call(*argv, code=0):
    """Exit code checked; what was printed. Never a traceback."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            found = main(argv)
        except SystemExit as stop:  # argparse: --help and unknown options
            found = stop.code
    assert found == code, err.getvalue()
    return SimpleNamespace(out=out.getvalue(), err=err.getvalue())


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder; what `main` sets for the whole process is put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    return tmp_path


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduce")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", list(sys.path))
        patch.setattr(warnings, "showwarning", warnings.showwarning)
        return folder, call("reproduce")


def refused(folder, *argv, says=()):
    """Exit code 2, the words in the message, and nothing written."""
    before = sorted(folder.rglob("*"))
    result = call(*argv, code=2)
    for word in says:
        assert word in result.err
    assert result.out == ""
    assert "Traceback" not in result.err
    assert sorted(folder.rglob("*")) == before


# --- reproduce ---------------------------------------------------------------------------------


def test_reproduce_writes_the_whole_study(reproduced):
    folder, _ = reproduced
    out = folder / "outputs" / "paper"
    runs = {"base", "g2v-as-printed", "evms-as-printed", "g2v-balanced", "evms-balanced"}
    tables = {"table2.csv", "table3.csv", "datapackage.json"}
    others = {*tables, "figures", "report.html", "manifest.json"}
    assert {path.name for path in out.iterdir()} == runs | others
    assert [path.name for path in (folder / "outputs").iterdir()] == ["paper"]
    for run in runs:
        assert {path.name for path in (out / run).iterdir()} == RUN_FILES | {"figures"}
    figures = sorted(path.name for path in (out / "figures").iterdir())
    assert len(figures) == 8
    for number, name in enumerate(figures, start=1):
        assert str(number) in name
    for figure in out.rglob("*.png"):
        assert figure.read_bytes().startswith(PNG)


def test_reproduce_s_tables_hold_what_the_runs_found(reproduced):
    out = reproduced[0] / "outputs" / "paper"
    table2, table3 = pd.read_csv(out / "table2.csv"), pd.read_csv(out / "table3.csv")
    assert len(table2) == 5 * 3
    for row in table2.query("quantity == 'daily_feeder_demand'").itertuples():
        for reading, suffix in (("as_printed", "-as-printed"), ("energy_balanced", "-balanced")):
            name = "base" if row.case == "base" else f"{row.case}{suffix}"
            kpis = json.loads((out / name / "kpis.json").read_text())
            found = getattr(row, reading)
            assert found == pytest.approx(kpis["feeder_energy_mwh"])
            difference = getattr(row, f"{reading}_difference")
            assert difference == pytest.approx(100 * (found / row.paper - 1))
    cost = table3.query("quantity == 'g2v_cost'").set_index("zone")
    assert len(cost) == 16
    assert cost.loc["total", "as_printed"] == pytest.approx(cost["as_printed"][:15].sum())
    zones = pd.read_parquet(out / "g2v-balanced" / "zones.parquet")
    assert cost["energy_balanced"][:15].to_numpy() == pytest.approx(
        zones["purchase_usd"].to_numpy()
    )
    total = table3.query("zone == 'total'").set_index("quantity")
    for reading in ("as_printed", "energy_balanced"):
        saved = total.loc["g2v_cost", reading] - total.loc["evms_net_cost", reading]
        assert total.loc["benefit", reading] == pytest.approx(saved)


def test_reproduce_says_it_in_the_terminal(reproduced):
    folder, printed = reproduced
    for word in ("Table II", "Table III", "65.09", "71.90", "67.55", "1405.38", "155.70", "short"):
        assert word in printed.out
    kpis = json.loads((folder / "outputs/paper/evms-balanced/kpis.json").read_text())
    assert f"{kpis['evs_short']} of 600" in printed.out
    assert "MWh" in printed.err or "Six days" in printed.err  # the progress bar


def test_reproduce_says_why_evs_are_short_and_which_hours_share_a_peak(reproduced):
    folder, printed = reproduced
    out, said = folder / "outputs" / "paper", " ".join(printed.out.split())
    for run in ("g2v-as-printed", "evms-as-printed"):
        kpis = json.loads((out / run / "kpis.json").read_text())
        assert kpis["evs_short"] == 600
        assert f"{kpis['energy_short_kwh'] / 1e3:.2f} MWh" in said
    assert "eq. (7) charges 0.85" in said
    assert "the paper's at 1:00" in said
    table = pd.read_csv(out / "table2.csv", dtype=str, keep_default_na=False)
    hours = table[(table["quantity"] == "peak_hour") & (table["case"] == "evms")].iloc[0]
    hourly = pd.read_parquet(out / "evms-balanced" / "hourly.parquet")
    close = hourly.loc[hourly["total_mw"] >= hourly["total_mw"].max() - 0.001, "hour"]
    shared = {hours["energy_balanced"], *hours["energy_balanced_ties"].split()}
    assert {int(float(hour)) for hour in shared} == set(close)
    assert len(close) > 1


def test_reproduce_does_not_write_over_a_study(reproduced, monkeypatch):
    folder, _ = reproduced
    monkeypatch.chdir(folder)
    refused(folder, "reproduce", says=["--out", "--force"])


def test_without_a_verb_it_is_reproduce(monkeypatch):
    seen = []

    def parse_args(argv):
        seen.append(list(argv))
        return SimpleNamespace(verb=lambda options: 0)

    monkeypatch.setattr("abm.cli.build_parser", lambda: SimpleNamespace(parse_args=parse_args))
    monkeypatch.setattr(sys, "argv", ["run.py"])
    assert main() == main([]) == main(["reproduce"]) == main(["list"]) == 0
    assert seen == [["reproduce"]] * 3 + [["list"]]


# --- run ---------------------------------------------------------------------------------------


def test_run_writes_its_folder(folder):
    printed = call("run", "paper", *SMALL, "--seed", "7", "--strategy", "uncoordinated")
    out = folder / "outputs" / "paper-uncoordinated-seed7"
    assert {path.name for path in out.iterdir()} == RUN_FILES | {"figures", "report.html"}
    assert all(p.read_bytes().startswith(PNG) for p in (out / "figures").iterdir())
    assert str(out.relative_to(folder)) in printed.out
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["strategies"], manifest["seed"]) == (["uncoordinated"], 7)
    studied = Scenario.load(out / "scenario.yaml")
    assert (studied.seed, studied.strategy, studied.fleet.evs_per_zone) == (7, "uncoordinated", 1)
    assert len(pd.read_parquet(out / "ev.parquet")) == 15


def test_json_is_alone_on_stdout(folder):
    printed = call("run", "paper", *SMALL, "--json", "--no-figures", "--out", "here")
    kpis = json.loads(printed.out)
    assert kpis == json.loads((folder / "here" / "kpis.json").read_text())
    assert kpis["evs"] == 15
    assert "24/24" in printed.err
    assert not (folder / "here" / "figures").exists()


def test_set_strategy_and_seed_change_the_run():
    def kpis(*argv):
        argv = ("run", "paper", *SMALL, "--json", "--no-figures", *argv)
        return json.loads(call(*argv, "--force", "--out", "here").out)

    usual = kpis()
    assert kpis() == usual
    assert kpis("--seed", "1") == usual
    assert kpis("--seed", "2") != usual
    assert kpis("--set", "seed=2") == kpis("--seed", "2")
    assert kpis("--set", "strategy=uncoordinated") == kpis("--strategy", "uncoordinated") != usual
    assert kpis("--set", "tariff.sale_ratio=0")["sale_usd"] == 0 < usual["sale_usd"]
    assert kpis("--strategy", "none")["evs"] == 0


def test_a_scenario_file_with_sessions_and_a_rule_beside_it(folder):
    write_sessions(folder / "cars.csv", [ev("a"), ev("b", zone=4, arrival=500.5)])
    (folder / "lazy_rules.py").write_text(
        "class Never:\n    def decide(self, fleet, broadcast, minute):\n        return [0]\n"
    )
    (folder / "mine.yaml").write_text(
        "extends: paper\nfleet: {sessions: cars.csv}\n"
        "strategy: {rule: 'lazy_rules:Never', admission: all_at_once}\n"
    )
    call("run", "mine.yaml", "--trust", "--no-figures", "--out", "here")
    table = pd.read_parquet(folder / "here" / "ev.parquet")
    assert table["ev_id"].tolist() == ["a", "b"]
    assert (table["charged_kwh"] == 0).all()


BAD = {
    "scenario": (["run", "papper"], ["papper", "did you mean 'paper'"]),
    "file": (["run", "nowhere/x.yaml"], ["nowhere/x.yaml"]),
    "strategy": (["run", "paper", "--strategy", "evsm"], ["evsm", "did you mean 'evms'"]),
    "key": (
        ["run", "paper", "--set", "fleet.evs_per_zon=3"],
        ["evs_per_zon", "did you mean 'fleet.evs_per_zone'"],
    ),
    "value": (["run", "paper", "--set", "ev.efficiency=2"], ["ev.efficiency", "2"]),
    "setting": (["run", "paper", "--set", "ev.efficiency"], ["ev.efficiency"]),
    "seed": (["run", "paper", "--seed", "x"], ["seed", "whole number"]),
    "seed of reproduce": (["reproduce", "--seed", "-3"], ["seed"]),
    "several": (
        ["run", "paper", "--strategy", "evsm", "--seed", "x", "--set", "ev.soc_mim=1"],
        ["3 problems", "evsm", "seed", "did you mean 'ev.soc_min'"],
    ),
    "strategies": (
        ["compare", "paper", "--strategies", "evms,uncordinated"],
        ["uncordinated", "did you mean 'uncoordinated'"],
    ),
    "pair": (["compare", "paper", "--strategies", "eq13+firstcome"], ["eq13+firstcome", "pair"]),
    "class of a pair": (
        ["montecarlo", "paper", "--trust", "--strategies", "evms,nowhere_at_all:X+first_come"],
        ["nowhere_at_all:X", "can be imported"],
    ),
    "class of a pair that nobody trusts": (
        ["compare", "paper", "--strategies", "evms,nowhere_at_all:X+first_come"],
        ["nowhere_at_all:X", "--trust"],
    ),
    "strategies twice": (["compare", "paper", "--strategies", "evms,evms"], ["once"]),
    "no strategies": (["compare", "paper", "--strategies", ""], ["--strategies"]),
    "rule": (
        ["run", "paper", "--set", "strategy={rule: 'nowhere_at_all:X', admission: first_come}"],
        ["strategy.rule", "nowhere_at_all"],
    ),
    "feeder": (["run", "paper", "--set", "grid.feeder=case33"], ["grid.feeder", "case33bw"]),
    "verb": (["rum", "paper"], ["rum"]),
    "option": (["run", "paper", "--sed", "3"], []),
    "validate": (["validate", "nowhere.yaml"], ["nowhere.yaml"]),
}


@pytest.mark.parametrize(("argv", "says"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_said_and_nothing_written(folder, argv, says):
    refused(folder, *argv, says=says)


def test_an_existing_folder_is_replaced_only_with_force(folder):
    argv = ("run", "paper", *SMALL, "--no-figures", "--out", "here")
    call(*argv)
    refused(folder, *argv, says=["here", "--force"])
    call(*argv, "--seed", "2", "--force")
    assert json.loads((folder / "here" / "manifest.json").read_text())["seed"] == 2
    assert [path.name for path in folder.iterdir()] == ["here"]
    (folder / "here" / "note.txt").write_text("mine")
    assert "here: left as it was, not written by Evenfall: note.txt" in call(*argv, "--force").err
    assert (folder / "here" / "note.txt").read_text() == "mine"


def test_verify_says_what_is_not_as_it_was_written(folder):
    call("run", "paper", *SMALL, "--no-figures", "--out", "here")
    assert call("verify", "here").out == "here: 11 files, all as they were written\n"
    (folder / "here" / "note.txt").write_text("mine")
    said = call("verify", "here").out.splitlines()
    assert said == ["here: extra: note.txt", "here: 11 files, all as they were written"]
    (folder / "here" / "kpis.json").write_text("{}")
    (folder / "here" / "ev.parquet").unlink()
    said = call("verify", "here", code=1).out.splitlines()
    wanted = ["missing: ev.parquet", "changed: kpis.json", "extra: note.txt"]
    assert said == [f"here: {line}" for line in wanted]
    with (folder / "here" / "manifest.json").open("r+") as file:
        file.write("{x")
    assert call("verify", "here", code=1).out == "here: changed: manifest.json\n"
    for other in (".", "nowhere", "here/note.txt"):
        assert "FOLDER" in call("verify", other, code=2).err


@pytest.mark.parametrize("verb", [("reproduce",), ("run", "paper"), ("compare", "paper")])
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_folder_of_somebody_else_is_never_replaced(folder, verb, force):
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter1.tex").write_text("years of work")
    refused(folder, *verb, "--out", "thesis", *force, says=["thesis", "not written by Evenfall"])
    assert (folder / "thesis" / "chapter1.tex").read_text() == "years of work"


def test_a_folder_that_cannot_be_made_is_an_error_of_the_user(folder):
    (folder / "file").write_text("a file")
    refused(folder, "run", "paper", *SMALL, "--no-figures", "--out", "file/below", says=["--out"])


# --- the other verbs ---------------------------------------------------------------------------


def test_compare_shows_the_rebound_of_the_herd(folder):
    names = "uncoordinated,evms,evms_immediate,evms_herd,evms_guaranteed"
    printed = call("compare", "paper_balanced", "--strategies", names, "--out", "here")
    table = pd.read_csv(folder / "here" / "comparison.csv").set_index("strategy")
    assert list(table.index) == [*names.split(","), "bound"]
    assert table.loc["evms_herd", "rebound_ratio"] > 1.5
    assert table.loc["evms", "rebound_ratio"] <= 1.0
    assert table.loc["evms_guaranteed", "evs_short"] == 0 < table.loc["evms", "evs_short"]
    assert table.loc["uncoordinated", "ev_discharged_mwh"] == 0
    assert all(name in printed.out for name in table.index)
    assert "no bound on cost" in " ".join(printed.out.split())
    assert (folder / "here" / "figures" / "demand.png").read_bytes().startswith(PNG)
    for name in table.index:
        files = {path.name for path in (folder / "here" / name).iterdir()}
        assert files >= RUN_FILES
        kpis = json.loads((folder / "here" / name / "kpis.json").read_text())
        for quantity in table.columns.drop(["gap_to_optimum_percent", "foresight_cost_usd"]):
            wanted = np.nan if kpis[quantity] is None else kpis[quantity]
            found = table.loc[name, quantity]
            assert found == pytest.approx(wanted, nan_ok=True), quantity
    # Above the peak of the lowest cost all cost the same; who leaves EVs short has none.
    foresight = table["foresight_cost_usd"]
    assert foresight["uncoordinated"] == foresight["evms_herd"] == pytest.approx(860.21, abs=0.01)
    assert np.isnan(foresight["evms"])
    # What a programme of its own found, by the quarter of an hour; nobody is short.
    least = table.loc["bound"]
    assert least["plugged_peak_15min_mw"] == pytest.approx(3.164, abs=0.001)
    assert least["ev_discharged_mwh"] == pytest.approx(1.8, abs=0.1)
    assert least["evs_short"] == 0
    metric = table["plugged_peak_15min_mw"]
    gap = 100 * (metric / least["plugged_peak_15min_mw"] - 1)
    assert table["gap_to_optimum_percent"].to_numpy() == pytest.approx(gap.to_numpy())
    # The same EVs under every strategy.
    evs = [pd.read_parquet(folder / "here" / name / "ev.parquet") for name in table.index]
    assert all((one["soc_arrival"] == evs[0]["soc_arrival"]).all() for one in evs)


def test_compare_as_json_takes_every_strategy_by_default():
    found = json.loads(call("compare", "paper", *SMALL, "--json").out)
    assert list(found) == [*STRATEGIES, "bound"]
    assert found["none"]["evs"] == 0


def test_compare_takes_rules_of_ones_own(folder):
    """The scenario's own strategy by default, with its options; a pair, and shipped names."""
    (folder / "idle_rules.py").write_text(
        "class Never:\n"
        "    def __init__(self, mode=0):\n        self.mode = mode\n"
        "    def decide(self, fleet, broadcast, minute):\n        return [self.mode]\n"
    )
    (folder / "mine.yaml").write_text(
        "extends: paper\nfleet: {evs_per_zone: 1}\n"
        "strategy: {rule: 'idle_rules:Never', rule_options: {mode: 1}}\n"
    )
    own, pair = "idle_rules:Never+all_at_once", "idle_rules:Never+first_come"
    found = json.loads(call("compare", "mine.yaml", "--trust", "--json", "--no-bound").out)
    assert list(found) == [own, *STRATEGIES]
    assert found[own]["ev_charged_mwh"] == found["uncoordinated"]["ev_charged_mwh"] > 0
    listed = f"{pair}, evms ,eq13+below_limit"
    here = ("--out", "here", "--no-bound", "--trust")
    call("compare", "mine.yaml", "--strategies", listed, *here)
    table = pd.read_csv(folder / "here" / "comparison.csv").set_index("strategy")
    assert list(table.index) == [pair, "evms", "eq13+below_limit"]
    assert table.loc[pair, "ev_charged_mwh"] == 0
    assert (folder / "here" / "idle_rules.Never+first_come" / "kpis.json").is_file()
    # In replications and at the points of a sweep, too.
    few = ("--replications", "2", "--workers", "1", "--json", "--trust")
    named = ("mine.yaml", "--strategies", f"{own},evms", *few)
    found = json.loads(call("montecarlo", *named, "--out", "many").out)["strategies"]
    assert list(found) == [own, "evms"]
    assert found[own]["ev_charged_mwh"]["mean"] > 0
    call("sweep", *named, "--vary", "fleet.evs_per_zone=1,2", "--out", "swept")
    table = pd.read_csv(folder / "swept" / "summary.csv")
    assert list(dict.fromkeys(table["strategy"])) == [own, "evms"]
    # What a study goes on with is the same rule.
    (folder / "idle_rules.py").write_text((folder / "idle_rules.py").read_text() + "# other\n")
    again = (*named, "--out", "many", "--resume")
    assert "strategy.rule" in call("montecarlo", *again, code=2).err


def test_validate_reports_all_problems_of_all_files(folder):
    (folder / "one.yaml").write_text("ev: {eficiency: 0.9}\nclock:\n  step_s: 7\n")
    (folder / "two.yaml").write_text("strategy: evsm\nfleet: {sessions: cars.csv}\n")
    write_sessions(folder / "cars.csv", [ev("a", zone=99), ev("b", soc=3)])
    result = call("validate", "paper", "one.yaml", "two.yaml", code=2)
    assert "paper: valid" in result.out
    for text in (
        "5 problems",
        "one.yaml:1: ev.eficiency",
        "did you mean 'efficiency'",
        "one.yaml:3: clock.step_s = 7",
        "two.yaml:1: strategy",
        "cars.csv:2: zone = 99",
        "cars.csv:3: soc_arrival = 3",
    ):
        assert text in result.err
    assert "2 problems" not in result.err


def test_the_shipped_scenarios_are_valid():
    printed = call("validate", *shipped_scenarios())
    assert printed.out.count("valid") == len(shipped_scenarios()) >= 2


def test_schema_is_json():
    schema = json.loads(call("schema").out)
    assert {"clock", "fleet", "ev", "grid", "strategy", "seed", "tariff"} <= set(
        schema["properties"]
    )


def test_list_mentions_everything():
    printed = call("list").out
    kinds = {
        "scenarios": shipped_scenarios(),
        "strategies": STRATEGIES,
        "rules": RULES,
        "admissions": ADMISSIONS,
        "feeders": shipped_feeders(),
        "tariffs": shipped_tariffs(),
        "profiles": {**shipped_profiles(), **READY_PROFILES},
        "pools": shipped_pools(),
        "pv": shipped_pv(),
        "solvers": SOLVERS,
    }
    found = json.loads(call("list", "--json").out)
    for kind, names in kinds.items():
        assert f"{kind}:" in printed
        assert list(found[kind]) == list(names)
        assert len(names) > 0
        assert all(name in printed for name in names)


def test_every_verb_has_help():
    overview = call("--help").out
    for verb in ("reproduce", "run", "compare", "bound", "validate", "schema", "list"):
        assert verb in overview
        assert "usage" in call(verb, "--help").out


# --- as a program ------------------------------------------------------------------------------

HEAVY = {"pandapower", "mesa", "matplotlib", "power_grid_model", "pandas", "scipy", "simpy"}


# What a net of pandapower and pictures need.
HEAVIEST = {"pandapower", "matplotlib", "numba"}


@pytest.mark.parametrize(
    ("argv", "heavy"), [(["--help"], HEAVY), (["validate", "paper"], HEAVIEST)]
)
def test_help_and_validate_do_not_wait_for_heavy_imports(argv, heavy, folder):
    program = (
        "import sys\nfrom abm.cli import main\n"
        f"try:\n    main({argv!r})\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-c", program]
    # The first time the solvers are compared; that they agree is remembered.
    cache = {**os.environ, "EVENFALL_CACHE": str(folder / "cache")}
    for _ in range(2):
        done = subprocess.run(
            command, cwd=ROOT, env=cache, capture_output=True, text=True, check=True
        )
    loaded = set(done.stdout.split("LOADED")[1].split())
    assert "abm" in loaded
    assert loaded & heavy == set()


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["run", "paper", *SMALL, "--no-figures", "--json", "--out", "here"], 0),
        (["run", "papper"], 2),
    ],
)
def test_run_py_does_the_same(folder, argv, code):
    command = [sys.executable, str(ROOT / "run.py"), *argv]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    if code:
        assert "did you mean 'paper'" in done.stderr
        assert "Traceback" not in done.stderr
        assert list(folder.iterdir()) == []
    else:
        assert json.loads(done.stdout)["evs"] == 15
        assert np.isfinite(json.loads(done.stdout)["system_peak_mw"])


def test_the_parser_knows_the_issue_s_options():
    parse = build_parser().parse_args
    line = "run x --strategy a --set b=1 --set c=2 --seed 3 --out d --force --json"
    options = parse(line.split())
    assert (options.scenario, options.strategy, options.settings) == ("x", "a", ["b=1", "c=2"])
    assert (options.seed, options.out, options.force, options.json) == ("3", Path("d"), True, True)


def test_a_module_beside_the_scenario_never_hides_an_installed_one(folder):
    (folder / "place").mkdir()
    lying = "raise SystemExit('this must not be imported')\n"
    (folder / "place" / "xmlrpc.py").write_text(lying)
    (folder / "place" / "mine.yaml").write_text("strategy: {rule: 'xmlrpc:Night'}\n")
    refused(folder, "validate", "place/mine.yaml", says=["strategy.rule", "no attribute 'Night'"])
    refused(folder, "run", "place/mine.yaml", says=["strategy.rule", "xmlrpc", "--trust"])


def test_what_a_scenario_names_is_not_called_unless_it_is_a_rule(folder):
    (folder / "mine.yaml").write_text(
        "strategy: {rule: 'subprocess:Popen', rule_options: {args: [touch, made]}}\n"
    )
    for verb in ("validate", "run"):
        refused(folder, verb, "mine.yaml", "--trust", says=["strategy.rule", "a method decide"])
    assert not (folder / "made").exists()
