"""What studies come to: tables and KPIs of the objects are those of the functions behind them."""

import pytest
from helpers import small_paper

from abm.study.breakeven import break_even
from abm.study.compare import compare
from abm.study.fingerprint import question
from abm.study.montecarlo import montecarlo
from abm.study.outcomes import BreakEven, Comparison, MonteCarlo, PaperStudy, Sweep
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
