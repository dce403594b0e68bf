"""Code that a scenario names: who may load it, where it is found, what it may be."""

import pickle
import sys
import warnings

import numpy as np
import pytest
from helpers import run, small_paper

from abm import Scenario, V2GModel
from abm.control import make_rule
from abm.errors import InputError, PluginError
from abm.scenario.code import Code
from abm.scenario.modules import Plugin, installed
from abm.scenario.trust import trusted_folders

RULES = """
import pathlib
import helper_beside
from subprocess import Popen
pathlib.Path(__file__).with_name("loaded").touch()
class Night:
    mode = helper_beside.MODE
    def decide(self, fleet, broadcast, minute):
        return [self.mode]
class Inherited(Night): ...
class Nothing: ...
class Late:
    def decide(self, fleet, broadcast, minute):
        import helper_of_later
        return [helper_of_later.MODE]
def decide(fleet, broadcast, minute): ...
number = 3
made = Night
"""
YAML = "fleet: {evs_per_zone: 1}\nclock: {step_s: 3600}\nstrategy: {rule: 'my_rules:Night'}\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a scenario and its rule; the working folder is another one."""
    monkeypatch.setenv("EVENFALL_CONFIG", str(tmp_path / "config.toml"))
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "my_rules.py").write_text(RULES)
    (folder / "helper_beside.py").write_text("import json\nMODE = 1\n")
    (folder / "helper_of_later.py").write_text("MODE = -1\n")
    (folder / "mine.yaml").write_text(YAML)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


def refused(scenario, *words):
    with pytest.raises(InputError) as caught:
        V2GModel(scenario)
    for word in words:
        assert word in str(caught.value)


def test_code_is_loaded_only_where_somebody_said_so(place):
    scenario = Scenario.load(place / "mine.yaml")
    refused(scenario, "mine.yaml:3: strategy.rule = my_rules:Night", "my_rules", "--trust")
    assert not (place / "loaded").exists()
    assert type(make_rule(scenario.override(trust=True))).__name__ == "Night"
    assert (place / "loaded").exists()
    refused(scenario.override(trust=True).override(trust=False), "--trust")


def test_trust_stays_with_a_scenario(place):
    trusted = Scenario.load(place / "mine.yaml", trust=True)
    assert run(trusted.override(seed=3)).meter.charge_kw.max() > 0
    assert run(trusted.override(strategy="none")).fleet.n == 0


def test_all_that_is_named_is_named_at_once(place):
    groups = {"a": {"share": 1.0, "behaviour": "my_days:Day"}}
    own = {"rule": "my_rules:Night", "admission": "my_admissions:All"}
    scenario = small_paper(strategy=own, owners={"groups": groups})
    with pytest.raises(InputError) as caught:
        V2GModel(scenario)
    fields = {problem.field for problem in caught.value.problems}
    assert fields == {"strategy.rule", "strategy.admission", "owners.groups.a.behaviour"}


# --- the user's own list -----------------------------------------------------------------------


def trust(place, *folders):
    (place.parent / "config.toml").write_text(f"trusted = {[str(one) for one in folders]!r}\n")


def test_a_folder_in_the_user_s_own_list_is_trusted(place):
    trust(place, place.parent / "other", place)
    assert run(Scenario.load(place / "mine.yaml")).fleet.n == 15
    # The file that names the code counts, and what is typed is in no file.
    typed = Scenario.load("paper").override(strategy={"rule": "my_rules:Night"})
    refused(typed, "--trust")
    child = place.parent / "elsewhere" / "child.yaml"
    child.write_text("extends: ../study/mine.yaml\n")
    with pytest.warns(UserWarning, match="leads out of its folder"):
        assert run(Scenario.load(child)).fleet.n == 15
    (place / "child.yaml").write_text("extends: ../elsewhere/parent.yaml\n")
    (place.parent / "elsewhere" / "parent.yaml").write_text(YAML)
    with warnings.catch_warnings(record=True):
        refused(Scenario.load(place / "child.yaml"), "parent.yaml:3: strategy.rule", "--trust")


def test_a_worker_takes_over_what_the_list_said(place):
    trust(place, place)
    scenario = Scenario.load(place / "mine.yaml")
    assert all(code.trusted for code in scenario.code)
    (place.parent / "config.toml").unlink()  # as on another machine
    assert run(pickle.loads(pickle.dumps(scenario)).override(seed=2)).fleet.n == 15


def test_a_net_function_is_code_of_the_feeder_s_folder(place):
    feeder = place / "feeder"
    feeder.mkdir()
    (feeder / "feeder.yaml").write_text("net: my_nets:made\n")
    rows = "".join(f"{bus},residential,{bus if bus < 4 else ''}\n" for bus in range(1, 34))
    (feeder / "buses.csv").write_text("bus,customer_class,zone\n" + rows)
    (feeder / "lines.csv").write_text("from_bus,to_bus,ampacity_a\n1,2,400\n")
    made = "def made():\n    from pandapower.networks import case33bw\n    return case33bw()\n"
    (place / "my_nets.py").write_text(made)
    (place / "mine.yaml").write_text("grid: {feeder: feeder}\nfleet: {evs_per_zone: 1}\n")
    refused(Scenario.load(place / "mine.yaml"), "feeder.yaml:1: net = my_nets:made", "--trust")
    assert V2GModel(Scenario.load(place / "mine.yaml", trust=True)).fleet.n == 3
    # Who trusts the folder of the feeder has not said so of the scenario's.
    trust(place, feeder)
    refused(Scenario.load(place / "mine.yaml"), "no module my_nets")
    (feeder / "my_nets.py").write_text(made)
    assert V2GModel(Scenario.load(place / "mine.yaml")).fleet.n == 3


def test_a_link_in_a_trusted_folder_trusts_nothing_outside(place):
    trust(place, place.parent / "good")
    (place.parent / "good").mkdir()
    (place.parent / "good" / "link.yaml").symlink_to(place / "mine.yaml")
    refused(Scenario.load(place.parent / "good" / "link.yaml"), "--trust")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("trusted = ['relative']\n", "whole paths"),
        ("trusted = 'x'\n", "whole paths"),
        ("trusted = [1]\n", "whole paths"),
        ("trusted = [\n", "TOML"),
    ],
)
def test_a_list_that_cannot_be_read_is_said(place, text, says):
    (place.parent / "config.toml").write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        V2GModel(Scenario.load(place / "mine.yaml"))
    assert "config.toml" in str(caught.value)


def test_where_the_list_is(place, monkeypatch, tmp_path):
    assert trusted_folders() == ()
    monkeypatch.delenv("EVENFALL_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    (tmp_path / "xdg" / "evenfall").mkdir(parents=True)
    (tmp_path / "xdg" / "evenfall" / "config.toml").write_text("trusted = ['~/work', '/a']\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [str(folder) for folder in trusted_folders()] == [str(tmp_path / "work"), "/a"]


# --- finding -----------------------------------------------------------------------------------


def test_modules_beside_a_scenario_are_nobody_else_s(place):
    before = list(sys.path)
    for name in ("bottleneck_of_mine", "json"):
        (place / f"{name}.py").write_text("raise SystemExit('not to be imported')\n")
    assert run(Scenario.load(place / "mine.yaml", trust=True)).meter.charge_kw.max() > 0
    assert sys.path == before
    assert not {"my_rules", "helper_beside"} & set(sys.modules)
    assert installed("bottleneck_of_mine") is None
    assert sys.modules["json"].dumps({}) == "{}"


def test_a_module_can_import_what_lies_beside_it_at_any_time(place):
    scenario = Scenario.load(place / "mine.yaml", trust=True)
    late = scenario.override(strategy={"rule": "my_rules:Late"})
    quiet = run(late)  # found beside the scenario: what is typed may lie there, too
    assert quiet.meter.charge_kw.max() == 0


def test_two_folders_have_modules_of_one_name(place, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "my_rules.py").write_text(RULES)
    (other / "helper_beside.py").write_text("MODE = 0\n")
    (other / "mine.yaml").write_text(YAML)
    a, b = (Scenario.load(folder / "mine.yaml", trust=True) for folder in (place, other))
    assert [make_rule(one).mode for one in (a, b)] == [1, 0]
    assert a != b


def test_a_package_beside_a_scenario(place):
    (place / "pack").mkdir()
    (place / "pack" / "__init__.py").write_text("from .inner import Night\n")
    (place / "pack" / "inner.py").write_text(RULES + "from . import other\nassert other.X == 1\n")
    (place / "pack" / "other.py").write_text("X = 1\n")
    scenario = Scenario.load(place / "mine.yaml", trust=True)
    for name in ("pack:Night", "pack.inner:Night"):
        assert make_rule(scenario.override(strategy={"rule": name})).mode == 1


def test_a_folder_without_an_init_beside_a_scenario(place):
    (place / "folder").mkdir()
    (place / "folder" / "inner.py").write_text(RULES + "from . import other\nassert other.X == 1\n")
    (place / "folder" / "other.py").write_text("X = 1\n")
    scenario = Scenario.load(place / "mine.yaml", trust=True)
    assert make_rule(scenario.override(strategy={"rule": "folder.inner:Night"})).mode == 1


def test_a_module_that_exits_when_it_is_asked_for_a_name(place):
    (place / "my_rules.py").write_text("def __getattr__(name): raise SystemExit(0)\n")
    with pytest.raises(PluginError, match="looking at it raised SystemExit: 0"):
        make_rule(Scenario.load(place / "mine.yaml", trust=True))


def test_a_saved_scenario_says_where_its_module_lies(place, tmp_path):
    saved = tmp_path / "saved.yaml"
    saved.write_text(Scenario.load(place / "mine.yaml", trust=True).to_yaml())
    assert f"{place}/my_rules:Night" in saved.read_text()
    refused(Scenario.load(saved), "strategy.rule", "--trust")
    again = Scenario.load(saved, trust=True)
    assert make_rule(again).mode == 1
    assert again == Scenario.load(place / "mine.yaml")


# --- looking -----------------------------------------------------------------------------------

WRONG = {
    "my_rules:Nothing": "a method decide",
    "my_rules:decide": "a class",
    "my_rules:number": "a class",
    "my_rules:Missing": "no attribute 'Missing'",
    "my_rules:Popen": "defined in my_rules",
    "subprocess:Popen": "subprocess is Python's",
    "os:_exit": "os is Python's",
    "antigravity:Fly": "antigravity is Python's",
    "no_such_module:X": "no module no_such_module",
    "../study/no_such_module:X": "no module no_such_module",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_a_rule_is_seen_without_running_it_and_refused(place, name):
    scenario = Scenario.load(place / "mine.yaml", trust=True).override(strategy={"rule": name})
    (code,) = scenario.code
    for found in (code.look(), refusal(code)):
        (problem,) = found
        assert WRONG[name] in str(problem)
        assert problem.field == "strategy.rule"
    assert not (place / "loaded").exists() or name.startswith("my_rules")
    assert "antigravity" not in sys.modules


def refusal(code):
    with pytest.raises(InputError) as caught:
        code.load()
    return caught.value.problems


@pytest.mark.parametrize("name", ["my_rules:Night", "my_rules:Inherited", "my_rules:made"])
def test_what_may_be_a_rule_is_looked_at_and_not_run(place, name):
    scenario = Scenario.load(place / "mine.yaml").override(strategy={"rule": name})
    (code,) = scenario.code
    assert code.look() == []
    assert not (place / "loaded").exists()


def test_options_that_a_class_does_not_take_are_seen(place):
    (place / "my_rules.py").write_text(
        "class Night:\n    def __init__(self, mode): ...\n    def decide(self, f, b, m): ...\n"
    )
    own = {"rule": "my_rules:Night", "rule_options": {"mood": 1}}
    (code,) = Scenario.load(place / "mine.yaml").override(strategy=own).code
    (problem,) = code.look()
    assert problem.field == "strategy.rule_options.mood"
    assert "did you mean 'mode'" in str(problem)


def test_a_source_that_is_none_is_one_problem(place):
    (place / "my_rules.py").write_text("class Night:\n  def decide(\n")
    scenario = Scenario.load(place / "mine.yaml", trust=True)
    (problem,) = scenario.code[0].look()
    assert "my_rules.py:2" in str(problem)
    with pytest.raises(PluginError, match=r"importing it raised SyntaxError"):
        make_rule(scenario)


def test_a_function_needs_no_arguments(tmp_path):
    (tmp_path / "my_nets.py").write_text("def one(x): ...\ndef none(): ...\nmany = 3\n")

    def code(name):
        return Code("net", f"my_nets:{name}", (tmp_path,), trusted=True)

    assert callable(code("none").load())
    for name in ("one", "many"):
        assert "a function without arguments" in str(refusal(code(name))[0])


# --- calling -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [KeyError("x"), SystemExit(0), GeneratorExit(), RecursionError("deep")]
)
def test_whatever_code_of_ones_own_raises_is_said_with_its_name(error):
    with pytest.raises(PluginError, match=r"^strategy\.rule = test_trust:Mine: decide raised"):  # noqa: SIM117
        with Plugin("strategy.rule", Mine(), "decide"):
            raise error


class Mine: ...


class UnsayableError(Exception):
    def __str__(self):
        raise ValueError


def test_an_error_without_a_text_and_one_with_controls():
    for error, says in (
        (UnsayableError(), "without a text"),
        (ValueError("\x1b[2J"), r"\\x1b\[2J"),
    ):
        with pytest.raises(PluginError, match=says), Plugin("f", Mine(), "decide"):
            raise error


def test_what_we_raise_on_purpose_and_ctrl_c_pass():
    for error in (InputError([]), KeyboardInterrupt()):
        with pytest.raises(type(error)), Plugin("f", Mine(), "decide"):
            raise error


def test_a_behaviour_that_raises_is_named(place):
    (place / "days.py").write_text("class Day:\n    def plan(self, plan, rng): raise KeyError(1)\n")
    scenario = Scenario.load(place / "mine.yaml", trust=True)
    with pytest.raises(PluginError, match=r"days:Day: plan raised KeyError: 1 \(days\.py:2\)"):
        V2GModel(scenario.override({"owners.behaviour": "days:Day"}, strategy="evms"))


def test_the_seed_is_all_that_a_trusted_rule_depends_on(place):
    scenario = Scenario.load(place / "mine.yaml", trust=True)
    first, second = (run(scenario).meter.charge_kw for _ in range(2))
    assert np.array_equal(first, second)
