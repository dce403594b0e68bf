"""Scenarios: reading, extends, overrides, and what a user is told about mistakes."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from pydantic import Field

from abm.errors import InputError
from abm.scenario import (
    Scenario,
    TimeOfDay,
    parse_setting,
    shipped_dir,
    shipped_feeders,
    shipped_profiles,
    shipped_scenarios,
    shipped_tariffs,
    stay_windows,
    window_minutes,
)
from abm.scenario import scenario as scenario_module
from abm.scenario.document import Document
from abm.scenario.fields import ShortName, section_of
from abm.scenario.references import REFERENCES
from abm.scenario.schema import ScenarioFields
from abm.scenario.yamlio import parse_yaml, yaml_text


def put(folder: Path, text: str, name: str = "s.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def problems(call, *args, **kw):
    with pytest.raises(InputError) as caught:
        call(*args, **kw)
    for problem in caught.value.problems:
        for jargon in ("pydantic", "Input should", "function-", "http"):
            assert jargon not in str(problem)
    return caught.value.problems


def only(call, *args, **kw):
    found = problems(call, *args, **kw)
    assert len(found) == 1, [str(p) for p in found]
    return found[0]


def test_paper_is_the_default_study_spelled_out():
    paper, code = Scenario.load("paper"), Scenario()
    assert paper == code.override(name=paper.name, description=paper.description)
    data, _ = parse_yaml((shipped_dir() / "paper.yaml").read_text())
    assert list(data) == list(paper.model_dump())
    assert {k: set(v) for k, v in data.items() if isinstance(v, dict)} == {
        k: set(v) for k, v in paper.model_dump().items() if isinstance(v, dict)
    }


def test_shipped_inputs_of_the_paper():
    inputs = Scenario().inputs
    feeder = inputs.feeder
    assert (feeder.name, feeder.net) == ("case33bw", "")
    values = feeder.values
    assert (values.vn_kv, values.slack_bus, values.slack_vm_pu) == (12.66, 1, 1.0)
    assert (values.p_mw.sum(), values.q_mvar.sum()) == (pytest.approx(3.715), pytest.approx(2.3))
    assert (values.r_ohm[0], values.x_ohm[31]) == (0.0922, 0.5302)
    assert feeder.n_zones == 15
    assert feeder.zone[:16].tolist() == [*range(1, 16), 0]
    assert (~feeder.is_open).sum() == 32
    assert feeder.line_from[feeder.is_open].tolist() == [21, 9, 12, 18, 25]
    assert np.unique(feeder.ampacity_a).tolist() == [200, 300, 400]
    assert (feeder.customer_class == "industrial").sum() == 8
    assert inputs.profile.series.values[20].tolist() == [1, 1, 1]
    assert (inputs.tariff.unit, inputs.tariff.series.values[20, 0]) == ("$/kWh", 0.224)
    with pytest.raises(ValueError, match="read-only"):
        inputs.tariff.series.values[0] = 1


def test_every_shipped_thing_loads_and_is_described():
    for name, text in shipped_scenarios().items():
        assert text
        assert Scenario.load(name).name == name
    for kind, listing in (
        ("tariff.prices", shipped_tariffs()),
        ("base_load.profile", shipped_profiles()),
        ("grid.feeder", shipped_feeders()),
    ):
        assert listing
        for name, text in listing.items():
            assert text
            assert Scenario().override({kind: name})


def test_a_subclass_loads_as_itself():
    class Mine(Scenario):
        pass

    assert type(Mine.load("paper")) is Mine
    assert type(Mine().override(seed=2)) is Mine


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("18:30", "18:30"),
        ("yes", "yes"),
        ("1_000", "1_000"),
        ("2020-01-01", "2020-01-01"),
        ("0o17", 15),
        ("017", 17),
        ("~", None),
        ("True", True),
        ("'0.9'", "0.9"),
    ],
)
def test_yaml_1_2_scalars(text, value):
    read = parse_yaml(f"a: {text}")[0]["a"]
    assert read == value
    assert type(read) is type(value)


def test_yaml_text_reads_back():
    data = {
        "a": "12:00",
        "b": [1e-5, 1e22, -0.5, 10**20, True, None],
        "c": {"x y": {}, "q": ["null", "1e3", "", ".5"]},
        "d": 'é \x7f\u2028\ufeff\U0001f600 "quoted" \\ # not: a comment\n\ttab',
    }
    assert parse_yaml(yaml_text(data))[0] == data


# Ten times as long with every line.
GROWING = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", None, "empty"),
        ("# only a comment\n", None, "empty"),
        ("- 1\n", 1, "mapping"),
        ("just text\n", 1, "mapping"),
        ("seed: 1\nev:\n\tefficiency: 1\n", 3, "tab"),
        ("seed: 1\nseed: 2\n", 2, "line 1 already"),
        ("seed: [1\n", 2, "cannot be read"),
        ("a: &x [*x]\n", 1, "anchor"),
        ("seed: 1\nev: {efficiency: *x}\n", 2, "anchor"),
        ("seed: 1\nev: {{a: 1}: 2}\n", 2, "keys that are text"),
        ("a0: &a0 [1, 2]\n" + GROWING, None, "too large"),
        ("# as %YAML 1.1 says\n%YAML 1.1\n---\nseed: 1\n", 2, "YAML 1.2"),
        ("seed: !!int 1\n", 1, "tag"),
        ("seed: 1\n---\nseed: 2\n", 2, "one document"),
        ("seed: " + "[" * 3000, None, "deeply nested"),
        (b"seed: 1\nname: \xff\n", 2, "UTF-8"),
        ("seed: \x00\n", None, "cannot be read"),
    ],
)
def test_unreadable_file_is_one_problem(tmp_path, text, line, said):
    path = tmp_path / "s.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    problem = only(Scenario.load, path)
    assert (problem.file, problem.line) == (str(path), line)
    assert said in problem.allowed


def test_lines_of_keys():
    """Behind an alias a value stands where it is written, with the name it has there."""
    text = "# x\n'seed': 1\nev: {a: 1,\n  b: [2, {c: 3}]}\nbase: &b\n  low: 1\nother: *b\n"
    data, lines = parse_yaml(text)
    assert data["other"] == data["base"] == {"low": 1}
    assert {".".join(path): line for path, line in lines.items()} == {
        "seed": 2,
        "ev": 3,
        "ev.a": 3,
        "ev.b": 4,
        "ev.b.1.c": 4,
        "base": 5,
        "base.low": 6,
        "other": 7,
        "other.low": 6,
    }


def test_all_that_is_wrong_with_the_keys_of_a_file():
    found = problems(
        parse_yaml, "%YAML 1.1\n---\na: 1\na: !!int 2\n? [1]\n: 3\nb: {c: 1, c: *d}\n---\n[\n"
    )
    assert [(p.line, p.field, p.value) for p in found] == [
        (1, "YAML", "%YAML directive"),
        (4, "a", "tag:yaml.org,2002:int"),
        (4, "a", ""),
        (5, "YAML", ""),
        (7, "b.c", "*d"),
        (7, "b.c", ""),
        (8, "YAML", "---"),
    ]
    assert "on line 3 already" in found[2].allowed


def test_byte_order_mark_and_windows_lines_are_tolerated(tmp_path):
    path = put(tmp_path, "\ufeffseed: 7\r\nstrategy: none\r\n")
    assert (Scenario.load(path).seed, Scenario.load(path).strategy) == (7, "none")


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("papr", "neither", "'paper'"),
        ("nope.yaml", "not found", "shipped: boost_override, cigre_mv, city"),
        ("somewhere/paper.yaml", "not found", "'paper'"),
        ("", "a name or a file", "paper"),
    ],
)
def test_unknown_scenario(name, said, hint):
    problem = only(Scenario.load, name)
    assert said in problem.allowed
    assert hint in problem.hint


def test_folder_is_no_scenario(tmp_path):
    assert "folder" in only(Scenario.load, tmp_path).allowed


def test_path_from_the_working_folder(tmp_path, monkeypatch):
    put(tmp_path, "seed: 5\n", "scenarios/mine.yaml")
    monkeypatch.chdir(tmp_path)
    scenario = Scenario.load("scenarios/mine.yaml")
    assert (scenario.seed, scenario.name) == (5, "mine")


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("ev: {efficiency: 1.5}", "ev.efficiency", "above 0 and at most 1"),
        ('ev: {efficiency: "0.9"}', "ev.efficiency", "a number"),
        ("ev: {efficiency: true}", "ev.efficiency", "a number"),
        ("ev: {efficiency: .nan}", "ev.efficiency", "a number"),
        ("ev: {efficiency: null}", "ev.efficiency", "a number"),
        ("seed: 1.5", "seed", "a whole number"),
        ("seed: 1.0", "seed", "a whole number"),
        ("seed: true", "seed", "a whole number"),
        ("seed: -1", "seed", "at least 0"),
        ("name: 3", "name", "letters"),
        ("name: a/b", "name", "letters"),
        ("description: 3", "description", "text"),
        ("ev:", "ev", "a mapping with the keys efficiency"),
        ("ev: [1]", "ev", "a mapping"),
        ("eq13: {one_discharge_per_stay: 1}", "eq13.one_discharge_per_stay", "true or false"),
        ("requirement: {kind: as_print}", "requirement.kind", "one of: as_printed"),
        ("clock: {step_s: 7}", "clock.step_s", "divides 3600"),
        ('clock: {start: "12:30"}', "clock.start", "on the hour"),
        ('clock: {start: "24:00"}', "clock.start", "on the hour"),
        ("clock: {start: 720}", "clock.start", "on the hour"),
        ("strategy: emvs", "strategy", "one of: none"),
        ("strategy: true", "strategy", "one of: none"),
        ("strategy: {}", "strategy.rule", "missing"),
        ("fleet: {arrival: {low: 16, high: '24:00', sd_h: 1}}", "fleet.arrival.low", "clock time"),
        ("strategy: {rule: eq14}", "strategy.rule", "module:Class"),
        ("strategy: {rule: eq13, name: 3}", "strategy.name", "unknown field"),
        ("grid: {solver: pgm}", "grid.solver", "power-grid-model"),
        ("grid: {feeder: case33}", "grid.feeder", "not found"),
        ("grid: {feeder: ''}", "grid.feeder", "a feeder"),
        ("base_load: {profile: 3}", "base_load.profile", "text"),
        ("tariff: {prices: .}", "tariff.prices", "not one"),
        ("fleet: {sessions: none.csv}", "fleet.sessions", "not found"),
        ('fleet: {arrival: {low: "16:00", sd_h: 1}}', "fleet.arrival.high", "missing"),
        ("fleet: {soc_target: {low: .9, high: .8}}", "fleet.soc_target.low", "at most"),
        ("fleet: {capacity: {high: 4}}", "fleet.capacity.high", "at least fleet.capacity.low = 5"),
        ("fleet: {capacity: {low: 12}}", "fleet.capacity.low", "at most fleet.capacity.high = 9"),
        ("ev: {soc_upper: 0.85}", "ev.soc_upper", "at least fleet.soc_target.high = 0.9"),
        ("ev: {soc_min: 0.1, soc_lower: 0.15}", "ev.soc_lower", "at most"),
        ("grid: {vm_min_pu: 1.1}", "grid.vm_min_pu", "below grid.vm_max_pu"),
        ("clock: {hours: 12}", "clock.hours", "inside the horizon of 720 min"),
        ("extends: [paper]", "extends", "one scenario"),
        ("extends: papr", "extends", "neither"),
        ("extends: s.yaml", "extends", "in turn"),
    ],
)
def test_one_mistake_one_problem(tmp_path, text, field, said):
    path = put(tmp_path, "description: x\n" + text if "description" not in text else "#\n" + text)
    found = problems(Scenario.load, path)
    named = [p for p in found if p.field == field]
    assert len(named) == 1, [str(p) for p in found]
    assert said in named[0].allowed
    assert (named[0].file, named[0].line) == (str(path), 2)
    # Only the horizon of 12 h cuts off two windows; everything else is one mistake, said once.
    assert len(found) == (1 if field != "clock.hours" else len(found))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("strategy: emvs", "'evms'"),
        ("stratgy: evms", "'strategy'"),
        ("fleet: {ev_per_zone: 3}", "'evs_per_zone'"),
        ("strategy: {rule: eq14}", "'eq13'"),
        ("requirement: {kind: as_print}", "'as_printed'"),
        ('ev: {efficiency: "0.9"}', "without quotes"),
        ("grid: {feeder: case33}", "'case33bw'"),
        ("tariff: {prices: demand-linked}", "'demand_linked'"),
        ("ev: {zzz: 1}", "known: efficiency"),
    ],
)
def test_hints(tmp_path, text, hint):
    assert hint in only(Scenario.load, put(tmp_path, text)).hint


def test_everything_at_once_in_reading_order(tmp_path):
    put(tmp_path, "hour,price\n0,x\n", "t.csv")
    text = (
        "tariff:\n  prices: t.csv\nev:\n  eficiency: 1\n  soc_min: 2\nclock: {step_s: 7}\nseed: a\n"
    )
    path = put(tmp_path, text + "grid:\n  vm_min_pu: 1.2\n")
    found = problems(Scenario.load, path)
    assert [(Path(p.file).name, p.line, p.field) for p in found] == [
        ("s.yaml", 4, "ev.eficiency"),
        ("s.yaml", 5, "ev.soc_min"),
        ("s.yaml", 6, "clock.step_s"),
        ("s.yaml", 7, "seed"),
        ("s.yaml", 9, "grid.vm_min_pu"),
        ("t.csv", 2, "price"),
    ]


def test_extends_merges_and_remembers_where(tmp_path):
    parent = "name: parent\nseed: 3\nev:\n  efficiency: 0.9\n  soc_min: 0.3\n"
    put(tmp_path, parent + "strategy: {rule: eq13, rule_options: {a: 1}}\n", "base/p.yaml")
    put(
        tmp_path,
        "extends: base/p.yaml\nev: {soc_min: 0.25}\nstrategy: {rule: g2v_only}\n",
        "c.yaml",
    )
    child = Scenario.load(tmp_path / "c.yaml")
    assert (child.name, child.seed) == ("c", 3)
    assert (child.ev.efficiency, child.ev.soc_min) == (0.9, 0.25)
    assert child.strategy.model_dump() == {
        "rule": "g2v_only",
        "admission": "all_at_once",
        "rule_options": {},
        "admission_options": {},
    }
    assert "extends" not in child.model_dump()
    bad = put(tmp_path, "seed: 1\nev:\n  efficiency: 9\n", "base/p.yaml")
    problem = only(Scenario.load, tmp_path / "c.yaml")
    assert (problem.file, problem.line, problem.field) == (str(bad), 3, "ev.efficiency")


def test_extends_shipped_name_and_longer_circle(tmp_path):
    assert Scenario.load(put(tmp_path, "extends: paper_balanced\n")).ev.efficiency == 0.9
    put(tmp_path, "extends: b.yaml\n", "a.yaml")
    b = put(tmp_path, "extends: a.yaml\n", "b.yaml")
    problem = only(Scenario.load, tmp_path / "a.yaml")
    assert (problem.field, problem.file, problem.line) == ("extends", str(b), 1)


def test_references_start_from_the_file_that_names_them(tmp_path, monkeypatch):
    prices = "".join(f"{hour},{hour}\n" for hour in reversed(range(24)))
    put(tmp_path, "# unit: EUR/kWh\nhour,price\n" + prices, "base/t.csv")
    put(tmp_path, "tariff: {prices: t.csv}\n", "base/p.yaml")
    child = Scenario.load(put(tmp_path, "extends: base/p.yaml\n", "c.yaml"))
    assert child.inputs.tariff.series.values[:, 0].tolist() == list(range(24))
    assert child.inputs.tariff.unit == "EUR/kWh"
    with pytest.warns(
        UserWarning, match=r"tariff\.prices = .* leads out of its folder, to .*t\.csv"
    ):
        again = Scenario.load(put(tmp_path, child.to_yaml(), "elsewhere/again.yaml"))
    assert again == child
    assert again.tariff.prices == str((tmp_path / "base/t.csv").resolve())
    assert again.grid.feeder == "case33bw"
    monkeypatch.chdir(tmp_path / "base")
    assert Scenario(tariff={"prices": "t.csv"}).inputs.tariff.series.values[3, 0] == 3


@pytest.mark.parametrize("name", ["paper", "paper_balanced"])
def test_round_trip_and_pickle(tmp_path, name):
    scenario = Scenario.load(name).override(
        strategy={"rule": "my.mod:Rule", "rule_options": {"x": [1e-7, "12:00", None, {"y": "no"}]}},
        description="a: 'b' # é\n\u2028 0.9",
    )
    again = Scenario.load(put(tmp_path, scenario.to_yaml()))
    assert again == scenario == pickle.loads(pickle.dumps(scenario))
    assert hash(again) == hash(scenario)
    assert again != scenario.override(seed=99)


def test_override():
    base = Scenario.load("paper")
    new = base.override({"ev.efficiency": 0.9, "fleet.arrival.low": "17:00"}, strategy="none")
    assert (new.ev.efficiency, new.fleet.arrival.low, new.strategy) == (0.9, "17:00", "none")
    assert (new.fleet.arrival.high, base.ev.efficiency) == ("24:00", 0.98)
    assert new.override({"strategy": {"rule": "eq13"}}).strategy.rule == "eq13"
    # A change goes into the defaults of what was never written.
    assert Scenario().override(fleet={"arrival": {"low": "17:00"}}).fleet.arrival.high == "24:00"
    assert base.override(seed=np.int64(4)).seed == 4


@pytest.mark.parametrize(
    ("key", "value", "said", "hint"),
    [
        ("ev.efficiency", 2, "at most 1", ""),
        ("ev.eficiency", 0.9, "unknown field", "'ev.efficiency'"),
        ("evv.efficiency", 0.9, "unknown field", "'ev.efficiency'"),
        ("ev.efficiency.x", 1, "nothing lies below", ""),
        ("strategy.rule", "eq13", 'the name "evms"', ""),
        ("clock.hours", 12, "inside the horizon", ""),
        ("ev.soc_upper", 0.8, "fleet.soc_target.high", ""),
        ("tariff.prices", "three_stp", "not found", "'three_step'"),
        ("extends", "paper", "unknown field", ""),
    ],
)
def test_override_and_settings_are_named_in_problems(key, value, said, hint):
    paper = Scenario.load("paper")
    problem = only(paper.override, {key: value})
    assert (problem.file, problem.line, problem.field) == ("override", None, key)
    assert said in problem.allowed
    assert hint in problem.hint
    setting = only(Scenario.load, "paper", settings=[f"{key}={value}"])
    assert (setting.file, setting.field) == (f"--set {key}", key)


def test_settings_and_file_are_judged_together(tmp_path):
    path = put(tmp_path, "seed: -1\n")
    found = problems(Scenario.load, path, settings=["ev.efficency=1", "grid.demand_limit_mw=0"])
    assert {p.field for p in found} == {"seed", "ev.efficency", "grid.demand_limit_mw"}
    assert Scenario.load(path, settings=["seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("ev.efficiency=0.9", ("ev.efficiency", 0.9)),
        ('clock.start="12:00"', ("clock.start", "12:00")),
        ("clock.start=12:00", ("clock.start", "12:00")),
        ("fleet.sessions=null", ("fleet.sessions", None)),
        ("description=a=b", ("description", "a=b")),
        ("strategy={rule: eq13}", ("strategy", {"rule": "eq13"})),
    ],
)
def test_parse_setting(text, pair):
    assert parse_setting(text) == pair


@pytest.mark.parametrize("text", ["", "a", "=1", "a..b=1", "a b=1", "a=", "a=[1", "a=1\n---\n2"])
def test_bad_setting(text):
    only(parse_setting, text)


def test_code_problems_have_no_file():
    found = problems(Scenario, sed=1, ev={"efficiency": "0.9"}, name="a b")
    assert {(p.file, p.line, p.field) for p in found} == {
        ("", None, "sed"),
        ("", None, "ev.efficiency"),
        ("", None, "name"),
    }
    options = {"rule": "eq13", "rule_options": {"f": object()}}
    assert only(Scenario, strategy=options).field == "strategy.rule_options"


@pytest.mark.parametrize(
    ("low", "high", "mean", "start", "window"),
    [
        ("16:00", "24:00", "20:00", "12:00", (240, 720, 480)),
        ("7:00", "9:00", None, "12:00", (1140, 1260, 1200)),
        ("22:00", "2:00", "0:00", "12:00", (600, 840, 720)),
        ("12:00", "12:00", None, "12:00", (0, 1440, 720)),
        ("0:00", "24:00", "24:00", "0:00", (0, 1440, 1440)),
        ("11:00", "13:00", None, "12:00", (1380, 1500, 1440)),
    ],
)
def test_window_minutes(low, high, mean, start, window):
    assert window_minutes(TimeOfDay(low=low, high=high, mean=mean, sd_h=1), start) == window


def test_departure_follows_the_last_arrival():
    assert stay_windows(Scenario()) == ((240, 720, 480), (1140, 1260, 1200))
    late = {"low": "22:00", "high": "8:00", "sd_h": 1}
    scenario = Scenario(fleet={"arrival": late}, clock={"hours": 48})
    assert stay_windows(scenario)[1] == (2580, 2700, 2640)
    found = only(Scenario, fleet={"arrival": late})
    assert "end at minute 2700" in found.allowed
    assert Scenario(fleet={"arrival": late, "evs_per_zone": 0})


@pytest.mark.parametrize("word", ["a\0b", "y" * 300, " "])
def test_names_that_no_file_can_have(word):
    keys = ("grid.feeder", "base_load.profile", "tariff.prices", "fleet.sessions")
    found = problems(Scenario().override, dict.fromkeys(keys, word))
    assert sorted(p.field for p in found) == sorted(keys)
    only(Scenario.load, word)


def test_keys_that_are_not_text_do_not_hang():
    assert only(Scenario, ev={1: 2}).field == "ev.1"
    options = {"rule": "eq13", "rule_options": {1: 2}}
    assert all(p.field.startswith("strategy") for p in problems(Scenario, strategy=options))


def test_mean_has_to_lie_in_its_window():
    problem = only(Scenario.load, "paper", settings=["fleet.arrival.low=21:00"])
    assert problem.field == "fleet.arrival.mean"
    found = only(Scenario, fleet={"soc_target": {"low": 0.8, "high": 0.9, "mean": 0.7}})
    assert found.field == "fleet.soc_target.mean"


FEEDER = {
    "feeder.yaml": "net: net.json\n",
    "net.json": "{}",
    "buses.csv": "bus,customer_class,zone\n1,residential,1\n2,industrial,\n3,commercial,2\n",
    "lines.csv": "from_bus,to_bus,ampacity_a\n1,2,400\n2,3,200\n",
}


def test_own_feeder(tmp_path):
    for name, text in FEEDER.items():
        put(tmp_path, text, f"mine/{name}")
    feeder = Scenario(grid={"feeder": str(tmp_path / "mine")}).inputs.feeder
    assert (feeder.name, feeder.net) == ("mine", str((tmp_path / "mine/net.json").resolve()))
    assert feeder.zone.tolist() == [1, 0, 2]
    assert feeder.ampacity_a.tolist() == [400, 200]


@pytest.mark.parametrize(
    ("file", "text", "where"),
    [
        ("feeder.yaml", "description: x\n", [(None, "net")]),
        ("feeder.yaml", "net: other.json\nnett: x\n", [(1, "net"), (2, "nett")]),
        ("feeder.yaml", "net: null\n", [(1, "net")]),
        (
            "buses.csv",
            "bus,customer_class,zone\n1,residental,1\n1,residential,3\n",
            [(2, "customer_class"), (3, "bus")],
        ),
        (
            "buses.csv",
            "bus,customer_class,zone\n1,residential,1\n2,residential,3\n3,commercial,\n",
            [(3, "zone")],
        ),
        (
            "buses.csv",
            "bus,customer_class,zone\n1,residential,1\n2,residential,1\n3,commercial,x\n",
            [(3, "zone"), (4, "zone")],
        ),
        ("buses.csv", "bus,customer_class\n1,residential\n", [(1, "zone")]),
        (
            "buses.csv",
            "bus,customer_class,zone\n1,residential,\n2,residential,\n3,residential,\n",
            [(None, "grid.feeder")],
        ),
        (
            "lines.csv",
            "from_bus,to_bus,ampacity_a\n1,9,400\n2,1,0\n1,2,5\n3,3,1\n",
            [(2, "to_bus"), (3, "ampacity_a"), (4, "from_bus"), (5, "to_bus")],
        ),
    ],
)
def test_bad_feeder(tmp_path, file, text, where):
    for name, good in {**FEEDER, file: text}.items():
        put(tmp_path, good, name)
    found = problems(Scenario, grid={"feeder": str(tmp_path)})
    assert [(p.line, p.field) for p in found] == where


TABLED = {
    "feeder.yaml": "vn_kv: 20\nslack_bus: 2\n",
    "buses.csv": "bus,customer_class,zone,p_mw,q_mvar\n1,residential,1,0.4,0\n2,industrial,,-1,1\n",
    "lines.csv": "from_bus,to_bus,ampacity_a,r_ohm,x_ohm\n1,2,400,0,0.5\n",
}


def test_own_feeder_of_tables(tmp_path):
    for name, text in TABLED.items():
        put(tmp_path, text, f"mine/{name}")
    feeder = Scenario(grid={"feeder": str(tmp_path / "mine")}).inputs.feeder
    values = feeder.values
    assert (feeder.net, values.vn_kv, values.slack_bus, values.slack_vm_pu) == ("", 20.0, 2, 1.0)
    assert (values.p_mw.tolist(), values.q_mvar.tolist()) == ([0.4, -1.0], [0.0, 1.0])
    assert (values.r_ohm.tolist(), values.x_ohm.tolist()) == ([0.0], [0.5])


@pytest.mark.parametrize(
    ("file", "text", "where"),
    [
        ("feeder.yaml", "vn_kv: 0\n", [(None, "slack_bus"), (1, "vn_kv")]),
        ("feeder.yaml", "vn_kv: 20\nslack_bus: 1.0\n", [(2, "slack_bus")]),
        ("feeder.yaml", f"vn_kv: {'9' * 400}\nslack_bus: 1\n", [(1, "vn_kv")]),
        (
            "buses.csv",
            "bus,customer_class,zone,p_mw,q_mvar\n1,residential,1e30,0,0\n1e30,industrial,,1,0\n",
            [(2, "zone"), (3, "bus")],
        ),
        (
            "buses.csv",
            "bus,customer_class,zone,p_mw,q_mvar\n1,residential,1,x,0\n2,industrial,3,1,0\n",
            [(2, "p_mw"), (3, "zone")],
        ),
        ("feeder.yaml", "slack_bus: 7\nvn_kv: true\n", [(None, "slack_bus"), (2, "vn_kv")]),
        ("feeder.yaml", "vn_kv: 20\nslack_bus: 1\nslack_vm_pu: x\n", [(3, "slack_vm_pu")]),
        ("feeder.yaml", "vn_kv: 20\nslack_buss: 1\n", [(None, "slack_bus"), (2, "slack_buss")]),
        (
            "buses.csv",
            "bus,customer_class,zone,p_mw,q_mvar\n1,residential,1,,0\n2,industrial,,1,x\n",
            [(2, "p_mw"), (3, "q_mvar")],
        ),
        ("buses.csv", FEEDER["buses.csv"], [(1, "p_mw"), (1, "q_mvar")]),
        (
            "lines.csv",
            "from_bus,to_bus,ampacity_a,r_ohm,x_ohm\n1,2,400,-1,0\n",
            [(2, "r_ohm"), (2, "x_ohm")],
        ),
        ("lines.csv", "from_bus,to_bus,ampacity_a\n1,2,4\n", [(1, "r_ohm"), (1, "x_ohm")]),
    ],
)
def test_bad_feeder_of_tables(tmp_path, file, text, where):
    for name, good in {**TABLED, file: text}.items():
        put(tmp_path, good, name)
    found = problems(Scenario, grid={"feeder": str(tmp_path)})
    assert [(p.line, p.field) for p in found] == where


def test_a_net_and_tables_exclude_each_other(tmp_path):
    for name, good in {**FEEDER, "feeder.yaml": "vn_kv: 20\nnet: net.json\n"}.items():
        put(tmp_path, good, name)
    problem = only(Scenario, grid={"feeder": str(tmp_path)})
    assert (problem.line, problem.field) == (2, "net")
    assert "either net, or vn_kv" in problem.allowed


@pytest.mark.parametrize(
    ("key", "text", "where"),
    [
        (
            "tariff.prices",
            "hour,price\n0,1\n0,2\n24,1\n1.5,1\n1,nan\n",
            [(3, "hour"), (4, "hour"), (5, "hour"), (6, "price")],
        ),
        ("tariff.prices", "hour,price\n0,1\n", [(2, "hour")]),
        ("tariff.prices", "hour,price\n0,1\n0,x\n,1\n", [(3, "hour"), (3, "price"), (4, "hour")]),
        (
            "base_load.profile",
            "model_config,hour\n-1,0\n1e999,1\n",
            [(2, "model_config"), (3, "model_config")],
        ),
        ("tariff.prices", "hour;price\n0;1\n", [(1, "columns")]),
        ("base_load.profile", "hour\n0\n", [(1, "columns")]),
        ("base_load.profile", "hour,residential\n0,-1\n1\n", [(2, "residential"), (3, "row")]),
    ],
)
def test_bad_hourly_table(tmp_path, key, text, where):
    found = problems(Scenario().override, {key: str(put(tmp_path, text, "t.csv"))})
    assert sorted((p.line or 0, p.field) for p in found) == sorted((n or 0, f) for n, f in where)


def test_classes_of_buses_have_to_be_in_the_profile(tmp_path):
    rows = "".join(f"{hour},1\n" for hour in range(24))
    path = put(tmp_path, "hour,residential\n" + rows, "p.csv")
    found = problems(Scenario, base_load={"profile": str(path)})
    assert [(p.field, p.value) for p in found] == [
        ("customer_class", "commercial"),
        ("customer_class", "industrial"),
    ]


FILE = re.compile(r"CSV|a file as for|buses\.csv")


def fields_of_files(section, path=()):
    """Paths of the fields that name a file or a folder, by what they say of themselves."""
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        if inner is not None:
            yield from fields_of_files(inner, (*path, name))
        elif field.annotation in (str, str | None) and FILE.search(field.description or ""):
            yield (*path, name)


def test_every_field_that_names_a_file_is_known_as_one():
    # Their files are hashed, and a resolved scenario names them from anywhere.
    assert set(fields_of_files(ScenarioFields)) == set(REFERENCES)


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        ({"x y": {"a": 1}, "good": {"b": 2}}, {"good": {"b": 2}}),
        ({"good": {"b c": 3, "d": "text", "e": 4}}, {"good": {"e": 4}}),
        ({"x y": {"a b": 1}, "z ": 3}, {}),
        ({1: {"a": 2}}, {}),
    ],
)
def test_a_bad_name_in_a_mapping_with_rules_for_names_is_taken_out(monkeypatch, named, kept):
    judged = []

    class Fields(ScenarioFields):
        named: dict[ShortName, dict[ShortName, int]] = Field(default_factory=dict)

        @classmethod
        def model_validate(cls, data):
            judged.append(data)
            assert len(judged) < 5, "for ever"
            return super().model_validate(data)

    monkeypatch.setattr(scenario_module, "ScenarioFields", Fields)
    fields, found, bad = scenario_module._fields(Document(data={"named": named, "seed": 3}))
    assert (fields.named, fields.seed) == (kept, 3)
    assert len(found) == len(bad) > 0


def test_what_a_file_says_can_be_handed_in_as_a_mapping():
    said = {"extends": "paper_balanced", "strategy": "evms_guaranteed", "ev": {"soc_upper": 0.95}}
    made = Scenario.load(said, settings=["ev.efficiency=0.8", ("fleet.evs_per_zone", 3)])
    assert (made.requirement.kind, made.strategy) == ("energy_balanced", "evms_guaranteed")
    assert (made.ev.soc_upper, made.ev.efficiency, made.fleet.evs_per_zone) == (0.95, 0.8, 3)
    assert Scenario.load({"ev": {"efficiency": 0.8}}) == Scenario(ev={"efficiency": 0.8})
    with pytest.raises(InputError) as caught:
        Scenario.load({**said, "evs": 1}, settings=[("ev.efficiency", 7), "ev"])
    named = {problem.field for problem in caught.value.problems}
    assert named == {"evs", "ev.efficiency", "--set"}
