"""Every example runs, writes its picture, and what its page says of it is so."""

import importlib
import re
import runpy
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from abm import V2GModel
from abm.control import AllAtOnce
from abm.scenario import Scenario, shipped_scenarios

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CASE33 = "pandapower.networks:case33bw"
SHIPPED = EXAMPLES.parent / "scenarios" / "feeders" / "case33bw"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))


@pytest.fixture
def example(tmp_path, monkeypatch, capsys):
    """Run a copy of an example, without its picture, as a script; its lines."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(name):
        for path in EXAMPLES.glob("*.*"):
            shutil.copy(path, tmp_path)
        (tmp_path / "img").mkdir()
        monkeypatch.setattr(sys, "argv", [str(tmp_path / f"{name}.py")])
        # The scenario imports the module by name; another test's copy is not to be found.
        monkeypatch.delitem(sys.modules, name, raising=False)
        runpy.run_path(str(tmp_path / f"{name}.py"), run_name="__main__")
        monkeypatch.delitem(sys.modules, name, raising=False)
        picture = tmp_path / "img" / f"{name}.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert (EXAMPLES / "img" / picture.name).is_file()
        return capsys.readouterr().out.strip().splitlines()

    return run


def test_timers_move_the_peak_and_a_spread_breaks_it(example):
    lines = example("night_tariff")
    peaks = [float(re.search(r"peak (\S+) MW", line)[1]) for line in lines]
    costs = [float(re.search(r"cost +(\S+) \$", line)[1]) for line in lines]
    none, half, everybody, spread = peaks
    assert half < none < everybody
    assert spread < half
    assert costs[2] < costs[1] < costs[0]
    assert "at 0:00" in lines[2].split("peak")[1]


def test_who_watches_is_never_short_and_the_others_pay(example):
    lines = example("watchful_owner")
    found = [re.search(r"short +(\d+) of +(\d+) watchful and +(\d+) of +(\d+)", x) for x in lines]
    own, owns, others, rest = zip(*[map(int, match.groups()) for match in found], strict=True)
    assert set(own) == {0}
    assert owns[-1] == 420
    shares = [short / n for short, n in zip(others, rest, strict=True)]
    assert shares == sorted(shares)


def test_long_ties_carry_adoption_further(example):
    lines = example("adoption_graphs")
    alone, zone, small_world, hubs = (float(re.search(r"(\S+) % on day", x)[1]) for x in lines)
    assert alone < 3.0 < zone < 50.0 < 90.0 < min(small_world, hubs)


def test_the_shipped_feeder_is_the_table_of_pandapowers_net(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["feeder_tables.py", CASE33, str(tmp_path)])
    runpy.run_path(str(EXAMPLES / "feeder_tables.py"), run_name="__main__")
    for name, columns in (
        ("buses.csv", ["bus", "p_mw", "q_mvar"]),
        ("lines.csv", ["from_bus", "to_bus", "r_ohm", "x_ohm", "open"]),
    ):
        written, shipped = (
            pd.read_csv(folder / name, comment="#")[columns] for folder in (tmp_path, SHIPPED)
        )
        pd.testing.assert_frame_equal(written, shipped, rtol=1e-11)


def test_the_shipped_policy_shaves_the_peak_and_leaves_nobody_short(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "train_policy", raising=False)
    scenario = Scenario.load("paper_balanced", settings=["fleet.evs_per_zone=10"])
    alone = V2GModel(scenario.override(strategy="uncoordinated")).run().results.kpis
    trained = importlib.import_module("train_policy").Trained()
    model = V2GModel(scenario, rule=trained, admission=AllAtOnce())
    found = model.run().results.kpis
    assert found["evs_short"] == 0
    assert found["plugged_peak_15min_mw"] < alone["plugged_peak_15min_mw"]


def test_every_example_has_its_test_and_its_place_on_the_page():
    with_picture = {"adoption_graphs", "night_tariff", "watchful_owner"}
    assert set(NAMES) == {"feeder_tables", "train_policy", *with_picture}
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"python examples/{name}.py" in page
        assert (f"(img/{name}.png)" in page) == (name in with_picture)


# --- the ready scenarios of owners -------------------------------------------------------------


def short(name, **changes):
    return V2GModel(Scenario.load(name).override(changes)).run().results


def test_the_ready_scenarios_show_what_they_say():
    described = shipped_scenarios()
    plain = short("paper_balanced").kpis
    anxious = short("range_anxiety").kpis
    assert anxious["ev_discharged_mwh"] < 0.7 * plain["ev_discharged_mwh"]
    assert anxious["evs_short"] < 0.7 * plain["evs_short"]
    boosted = short("boost_override").kpis
    assert boosted["system_peak_mw"] > boosted["demand_limit_mw"] > plain["system_peak_mw"]
    assert boosted["evs_short"] < 0.5 * plain["evs_short"]
    on_time = short("paper_balanced", strategy="evms_guaranteed").kpis
    early = short("early_birds").kpis
    assert on_time["evs_short"] == 0
    assert early["evs_short"] > 100
    assert early["energy_short_early_kwh"] == pytest.approx(early["energy_short_kwh"])
    week = short("weekend").days["energy_short_kwh"]
    alike = short("weekend", **{"owners.weekend": None}).days["energy_short_kwh"]
    assert week[1:5].sum() < 0.55 * alike[1:5].sum()
    assert week[6] > 0.9 * alike[6]
    for name in ("range_anxiety", "boost_override", "early_birds", "weekend", "v2g_adoption"):
        assert described[name]


@pytest.mark.parametrize(
    ("changes", "low", "high"),
    [
        ({}, 0.9, 1.0),
        ({"tariff.sale_ratio": 0.6}, 0.0, 0.08),
        ({"strategy": "evms"}, 0.4, 0.6),
    ],
)
def test_adoption_ends_in_one_of_three_ways(changes, low, high):
    changes = {"clock.step_s": 300, **changes}
    days = short("v2g_adoption", **changes).days
    assert 0.2 < days["v2g_share"].iloc[0] < 0.3
    assert low < days["v2g_share"].iloc[-5:].mean() < high
