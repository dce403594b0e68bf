"""What studies come to: tables and KPIs of the objects are those of the functions behind them."""

import re

import numpy as np
import pytest
from helpers import small_paper
from study_helpers import call

from abm.control import resolve_strategy
from abm.errors import InputError
from abm.scenario import Scenario
from abm.study.bound import optimum
from abm.study.breakeven import break_even
from abm.study.compare import bound_beside, compare, foresight_costs, under
from abm.study.fingerprint import question
from abm.study.hosting import ask, hosting
from abm.study.hosting_limits import as_asked
from abm.study.montecarlo import montecarlo
from abm.study.outcomes import (
    BreakEven,
    Comparison,
    HostingStudy,
    MonteCarlo,
    PaperStudy,
    Sweep,
)
from abm.study.reconfigure import reconfiguration_study
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


def same_as_the_verb(outcome, folder, *words):
    """What is saved and what the verb writes are the same, and hold."""
    call(*words, "--out", folder / "verb")
    outcome.save(folder / "saved")
    found, wanted = contents(folder / "saved"), contents(folder / "verb")
    assert list(found) == list(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []
    call("verify", folder / "saved")
    assert {name for name, _ in outcome.files()} == set(found)


def few():
    return Scenario.load("paper", settings=["fleet.evs_per_zone=1", "clock.step_s=900"])


FEW = ("paper", "--set", "fleet.evs_per_zone=1", "--set", "clock.step_s=900")


def test_a_comparison_is_saved_as_the_verb_writes_it(tmp_path):
    bound, _ = bound_beside(few())
    runs = compare(few(), ["none", "evms"])
    found = Comparison(few(), runs, bound, foresight_costs(runs, bound))
    same_as_the_verb(found, tmp_path, "compare", *FEW, "--strategies", "none,evms")
    assert found.kinds == ("demand",)


def test_a_bound_is_saved_as_the_verb_writes_it(tmp_path):
    same_as_the_verb(optimum(few()), tmp_path, "bound", *FEW)


def test_replications_are_saved_as_the_verb_writes_them(tmp_path):
    asked = question("montecarlo", few(), ["evms"], 2, [few()], until=None)
    found = MonteCarlo(few(), montecarlo(few(), 2), asked, 1.0)
    same_as_the_verb(found, tmp_path, "montecarlo", *FEW, "--replications", 2, "--workers", 1)


def test_hosting_is_saved_as_the_verb_writes_it(tmp_path):
    scenario = Scenario.load("cigre_mv", settings=["clock.step_s=900"])
    study = hosting(ask(scenario, (0.0, 0.02), replications=5, within=1.0))
    own = [study.asked.cases[0].scenario]
    how = {"shares": "0,0.02", "within": 1.0, "risk": 0.05, "limits": as_asked(study.asked.limits)}
    asked = question("hosting", scenario, list(study.asked.strategies), 5, own, **how)
    found = HostingStudy(study, asked, 1.0)
    words = ("--shares", "0,0.02", "--within", 1, "--replications", 5, "--no-bound")
    verb = ("hosting", "cigre_mv", "--set", "clock.step_s=900", *words, "--workers", 1)
    same_as_the_verb(found, tmp_path, *verb)
    assert set(found.tables) == {"hosting", "shares", "elements", "replications"}


def test_a_reconfiguration_is_saved_as_the_verb_writes_it(tmp_path):
    study = reconfiguration_study(few(), "nominal", str(tmp_path / "verb" / "feeder"))
    same_as_the_verb(study, tmp_path, "reconfigure", *FEW)
    assert set(study.tables) == {"kpis", "lines"}


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
