"""What studies come to: tables and KPIs of the objects are those of the functions behind them."""

import re

import numpy as np
import pytest
from helpers import small_paper
from study_helpers import call

import abm
from abm.control import resolve_strategy
from abm.errors import InputError
from abm.scenario import Scenario
from abm.study.breakeven import break_even
from abm.study.compare import compare, under
from abm.study.fingerprint import question
from abm.study.montecarlo import montecarlo
from abm.study.outcomes import (
    BreakEven,
    Comparison,
    MonteCarlo,
    PaperStudy,
    Sweep,
)
from abm.study.reproduce import reproduce

COARSE = {"clock": {"step_s": 900}}


def test_a_comparison_has_a_row_and_kpis_for_each_strategy():
    scenario = small_paper(**COARSE)
    runs = compare(scenario, ["uncoordinated", "evms"])
    found = Comparison(scenario, runs, None, {})
    assert found.tables["comparison"]["strategy"].tolist() == ["uncoordinated", "evms"]
    for name, run in runs.items():
        assert found.kpis[name] == found.results[name].kpis == run.results.kpis


def test_a_study_of_replications_holds_tables_chunks_and_how_it_went():
    scenario = small_paper(**COARSE)
    ensemble = montecarlo(scenario, 3, ["uncoordinated", "evms"])
    asked = question("montecarlo", scenario, ["uncoordinated", "evms"], 3)
    found = MonteCarlo(scenario, ensemble, asked, 1.5)
    assert {name: len(table) for name, table in found.tables.items()} == {
        "replications": 6,
        "bands": len(ensemble.bands),
        "summary": 2 * len(ensemble.measures),
        "differences": len(ensemble.measures),
    }
    peak = found.kpis["evms"]["peak_15min_mw"]
    assert peak["n"] == 3
    assert peak["mean"] == pytest.approx(ensemble.values("peak_15min_mw")[1].mean())
    assert (found.total, found.failures, found.ending["wall_s"]) == (6, [], 1.5)
    # All that was computed, to be gone on with.
    assert sum(len(part) for part in found.parts.values()) > 0
    swept = Sweep(scenario, ensemble, asked, 1.5)
    assert list(swept.tables) == ["summary"]
    assert swept.kpis["failed"] == 0


def test_the_paper_s_study_has_its_tables_and_each_run_once():
    found = PaperStudy(reproduce())
    assert list(found.tables) == ["table2", "table3"]
    assert set(found.kpis) == {"base", "g2v-as-printed", "evms-as-printed"} | {
        "g2v-balanced",
        "evms-balanced",
    }
    assert found.scenario.name == "paper"


def test_a_break_even_table_has_those_that_use_v2g():
    scenario = small_paper(**COARSE)
    found = BreakEven(scenario, ["none"], break_even(scenario, ["none"]))
    assert found.kpis == {}
    assert found.tables["breakeven"].empty


# --- files -------------------------------------------------------------------------------------

TIMES = re.compile(rb'"(wall_s|solver_s|seconds)": [0-9.e-]+')
SEALS = re.compile(rb'"(seal|(?:[\w./+-]*/)?(?:manifest|bound).json)": "[0-9a-f]{64}"')


def contents(folder):
    """What a folder holds, byte for byte, but for how long it took and what follows from that."""
    return {
        path.relative_to(folder).as_posix(): SEALS.sub(b"", TIMES.sub(b"", path.read_bytes()))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def same_as_the_verb(outcome, folder, *words, figures=True):
    """What is saved and what the verb writes are the same, and hold."""
    call(*words, "--out", folder / "out")
    # At the same place, since what runs again names the feeder that lies beside it.
    (folder / "out").rename(folder / "verb")
    outcome.save(folder / "out", figures=figures)
    found, wanted = contents(folder / "out"), contents(folder / "verb")
    if not figures:
        drawn = [name for name in wanted if "figures/" in name or name == "report.html"]
        wanted = {name: content for name, content in wanted.items() if name not in drawn}
        wanted |= {name: found[name] for name in wanted if name.endswith("manifest.json")}
    assert list(found) == list(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []
    call("verify", folder / "out")


def few():
    return Scenario.load("paper", settings=SETTINGS)


SETTINGS = ("fleet.evs_per_zone=1", "clock.step_s=900")
SET = [word for setting in SETTINGS for word in ("--set", setting)]
FEW = ("paper", *SET)


def test_a_run_is_saved_as_the_verb_writes_it(tmp_path):
    found = abm.run("paper", strategy="evms", set=SETTINGS, seed=3)
    same_as_the_verb(found, tmp_path, "run", *FEW, "--strategy", "evms", "--seed", 3)


def test_a_comparison_is_saved_as_the_verb_writes_it(tmp_path):
    found = abm.compare("paper", ["none", "evms"], set=SETTINGS)
    same_as_the_verb(found, tmp_path, "compare", *FEW, "--strategies", "none,evms")
    assert found.kinds[0] == "demand"


def test_a_bound_is_saved_as_the_verb_writes_it(tmp_path):
    found = abm.bound("paper", objective="cost", limit=4.0, set=SETTINGS)
    words = ("--objective", "cost", "--limit", 4.0)
    same_as_the_verb(found, tmp_path, "bound", *FEW, *words)
    written = {
        path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.glob("out/**/*.*")
    }
    # What a folder with tables has besides comes of what is written there.
    assert {name for name, _ in found.files()} | {"datapackage.json"} == written


def test_replications_are_saved_as_the_verb_writes_them(tmp_path):
    how = {"strategies": ["none", "evms"], "until": "cost:50%", "at_least": 2}
    found = abm.montecarlo("paper", 3, **how, set=SETTINGS)
    words = ("--strategies", "none,evms", "--until", "cost:50%", "--at-least", 2)
    verb = ("montecarlo", *FEW, "--replications", 3, *words, "--workers", 1)
    same_as_the_verb(found, tmp_path, *verb)
    # It goes on from there.
    grown = [word if word != 3 else 4 for word in verb]
    call(*grown, "--out", tmp_path / "out", "--resume")


def test_a_sweep_is_saved_as_the_verb_writes_it(tmp_path):
    vary = {"ev.efficiency": [0.85, 0.98]}
    found = abm.sweep("paper", vary, replications=2, kpis=["cost", "peak"], set=SETTINGS)
    words = ("--vary", "ev.efficiency=0.85,0.98", "--kpi", "cost,peak", "--replications", 2)
    same_as_the_verb(found, tmp_path, "sweep", *FEW, *words, "--workers", 1)
    assert found.kinds == ("net_cost_usd", "peak_15min_mw")


def test_a_design_is_saved_as_the_verb_writes_it(tmp_path):
    vary = {"ev.efficiency": (0.85, 0.98), "tariff.sale_ratio": (0.5, 1.0)}
    found = abm.sweep("paper", vary, design="sobol:2", set=SETTINGS)
    ranges = [f"{name}={low}..{high}" for name, (low, high) in vary.items()]
    words = [word for one in ranges for word in ("--vary", one)]
    verb = ("sweep", *FEW, *words, "--design", "sobol:2", "--workers", 1)
    same_as_the_verb(found, tmp_path, *verb)
    assert "sobol" in found.tables


def test_hosting_is_saved_as_the_verb_writes_it(tmp_path):
    how = {"shares": (0, 0.02), "within": 1.0, "replications": 5, "bound": False}
    limits = {"line": 75, "voltage_low": None}
    found = abm.hosting("cigre_mv", **how, limits=limits, set=["clock.step_s=900"])
    words = ("--shares", "0,0.02", "--within", 1, "--replications", 5, "--no-bound")
    verb = ("hosting", "cigre_mv", "--set", "clock.step_s=900", *words, "--workers", 1)
    same_as_the_verb(found, tmp_path, *verb, "--limits", "line=75,voltage_low")
    assert set(found.tables) == {"hosting", "shares", "elements", "replications"}


def test_the_paper_s_study_is_saved_as_the_verb_writes_it(tmp_path):
    found = abm.reproduce(set=SETTINGS, replications=2)
    # Figures of five runs and of the study take a while to draw.
    same_as_the_verb(
        found, tmp_path, "reproduce", *SET, "--replications", 2, "--workers", 1, figures=False
    )
    assert len(found.kinds) == 8


def test_a_reconfiguration_is_saved_as_the_verb_writes_it(tmp_path):
    found = abm.reconfigure("paper", set=SETTINGS)
    same_as_the_verb(found, tmp_path, "reconfigure", *FEW)
    assert set(found.tables) == {"kpis", "lines"}


def test_a_break_even_is_saved_as_the_verb_writes_it(tmp_path):
    found = abm.breakeven("paper", ["evms"], set=SETTINGS)
    same_as_the_verb(found, tmp_path, "breakeven", *FEW, "--strategies", "evms")


# --- strategies by name ------------------------------------------------------------------------


class Never:
    def decide(self, fleet, broadcast, minute):
        return np.zeros(fleet.n, dtype=np.int8)


class Always:
    def decide(self, fleet, broadcast, minute):
        return np.ones(fleet.n, dtype=np.int8)

    def admit(self, fleet, request, broadcast, minute):
        return request


def test_strategies_are_called_what_their_names_say():
    rule, both = Never(), Always()
    given = {
        "evms": "evms",
        "plain": "g2v_only+all_at_once",
        "never": rule,
        "always": both,
        "half": (rule, "all_at_once"),
        "other half": (None, both),
    }
    found = under(few(), given)
    assert list(found) == list(given)
    assert found["evms"].strategy == "evms"
    pairs = {name: resolve_strategy(one) for name, one in found.items()}
    assert (pairs["plain"].rule, pairs["plain"].admission) == ("g2v_only", "all_at_once")
    # The other half of an object alone is that of the scenario's own strategy.
    assert found["never"].objects.rule is rule
    assert pairs["never"].admission == resolve_strategy(few()).admission
    assert found["always"].objects.rule is found["always"].objects.admission is both
    assert (found["half"].objects.rule, pairs["half"].admission) == (rule, "all_at_once")
    assert (found["other half"].objects.rule, pairs["other half"].rule) == (None, "eq13")
    runs = compare(few(), {"never": rule, "always": both})
    assert runs["never"].results.kpis["ev_charged_mwh"] == 0.0
    assert runs["always"].results.kpis["ev_charged_mwh"] > 0.0


def test_all_that_is_no_strategy_is_said_at_once():
    with pytest.raises(InputError) as caught:
        under(few(), {"bound": "evms", "a/b": "evms", "x": "evsm", "y": 7, "z": (Never, None)})
    problems = caught.value.problems
    assert [p.field for p in problems] == ["--strategies"] * 3 + ["rule", "rule"]
    assert [p.value for p in problems[:3]] == ["bound", "a/b", "evsm"]
    assert [p.file for p in problems[3:]] == ["--strategies y", "--strategies z"]
    with pytest.raises(InputError, match="a list, or a mapping"):
        under(few(), "evms")
