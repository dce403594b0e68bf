"""report.html of studies: what the answer says, which figures there are, how to run it again."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import small_paper

from abm import Scenario
from abm.control.rules import G2VOnly
from abm.report.hosting import hosting_lines
from abm.report.html import report_html, report_of
from abm.report.report_parts import paper_settings
from abm.report.sentences import comparison_answer, listed
from abm.report.study_maps import ensemble_map, on_one_map
from abm.study.bound import optimum
from abm.study.breakeven import break_even
from abm.study.compare import bound_beside, compare, foresight_costs
from abm.study.fingerprint import question
from abm.study.hosting import ask, hosting
from abm.study.hosting_limits import as_asked
from abm.study.hosting_tables import capacity_table
from abm.study.montecarlo import montecarlo, run_study
from abm.study.outcomes import BreakEven, Comparison, HostingStudy, MonteCarlo, Sweep
from abm.study.reproduce import paper_scenarios
from abm.study.sweep import grid_cases, parse_grid, parse_ranges, sobol_cases

COARSE = {"clock": {"step_s": 900}, "requirement": {"kind": "energy_balanced"}}
BOTH = ["uncoordinated", "coordinated"]


def titles(report):
    return [chart.title for chart in report.charts]


def commands(report):
    return [command for _, command in report.again]


@pytest.fixture(scope="module")
def compared():
    scenario = small_paper(name="mine", **COARSE)
    runs = compare(scenario, BOTH)
    bound, why_not = bound_beside(scenario)
    return Comparison(scenario, runs, bound, foresight_costs(runs, bound), why_not)


def test_a_comparison_names_the_best_that_leaves_nobody_short(compared):
    report = report_of(compared)
    rows = {row["strategy"]: row for row in compared.tables["comparison"].to_dict("records")}
    peak = rows["coordinated"]["plugged_peak_15min_mw"]
    assert report.answer[0].startswith(
        "coordinated has the lowest demand of 15 minutes while EVs are plugged in on the same 30 "
        f"EVs: {peak:.3f} MW, "
    )
    assert "of perfect foresight; uncoordinated has the highest" in report.answer[0]
    assert report.answer[1].startswith("Every strategy gives every EV what it asked for; ")
    assert titles(report) == ["Demand by strategy", "Peak and cost", "Voltage"]
    assert [one["name"] for one in report.map.data["runs"]] == [*BOTH, "bound"]
    assert commands(report)[0] == (
        "evenfall compare scenario.yaml --strategies uncoordinated,coordinated"
    )
    assert len(report_html(compared).encode()) < 6_000_000


def test_a_strategy_that_no_command_knows_is_not_in_one():
    scenario = small_paper(strategy="evms", **COARSE)
    asked = {"mine": G2VOnly(), "evms": "evms"}
    report = report_of(Comparison(scenario, compare(scenario, asked), None, {}))
    assert report.again[0][1] == (
        "from abm import compare\n\n"
        "compare(\"scenario.yaml\", strategies={'mine': ..., 'evms': 'evms'})"
    )
    assert report.again[1] == (
        "Without mine:",
        "evenfall compare scenario.yaml --strategies evms --no-bound",
    )
    # An object may have the name of a strategy.
    report = report_of(Comparison(scenario, compare(scenario, {"evms": asked["mine"]}), None, {}))
    assert [text for _, text in report.again] == [
        "from abm import compare\n\ncompare(\"scenario.yaml\", strategies={'evms': ...})"
    ]


def test_strategies_that_leave_evs_short_are_no_winners():
    cheat = {"strategy": "cheat", "plugged_peak_15min_mw": 3.0, "peak_15min_mw": 3.0,
             "energy_short_kwh": 90.0, "evs_short": 9, "net_cost_usd": 1.0, "min_vm_pu": 0.95,
             "ev_charged_mwh": 1.0}  # fmt: skip
    fair = {**cheat, "strategy": "fair", "plugged_peak_15min_mw": 4.0, "energy_short_kwh": 0.0,
            "evs_short": 0, "net_cost_usd": 5.0}  # fmt: skip
    first, second, third = comparison_answer([cheat, fair])
    assert first.startswith("fair has the lowest demand")
    assert "among the strategies that give every EV what it asked for: 4.000 MW" in first
    assert second.startswith(
        "Demand is lower at the expense of the owners under cheat (9 EVs short)"
    )
    assert third.startswith("Of those that serve every EV, fair is the cheapest")
    # Less than what counts as short is missing all the same, and is said.
    little = {**cheat, "evs_short": 0, "energy_short_kwh": 0.42}
    _, second, _ = comparison_answer([little, fair])
    assert "under cheat (0.4 kWh missing)" in second
    first, second, _ = comparison_answer([little])
    assert "but 0.4 kWh missing in all (no strategy serves all)" in first
    assert second.startswith("Energy is missing under every strategy: cheat (0.4 kWh missing)")
    (tied, *_) = comparison_answer([fair, {**fair, "strategy": "same"}])
    assert tied.startswith("fair and same have the lowest demand")
    (nobody, *_) = comparison_answer([cheat])
    assert "but 9 EVs are left short (no strategy serves all)" in nobody
    assert listed(["a", "b", "c", "d", "e", "f"]) == "a, b, c, d and 2 more"


def test_replications_have_intervals_and_paired_differences():
    scenario = small_paper(**COARSE)
    ensemble = montecarlo(scenario, 4, BOTH)
    asked = question("montecarlo", scenario, BOTH, 4)
    outcome = MonteCarlo(scenario, ensemble, asked, 1.5)
    report = report_of(outcome)
    assert report.answer[0].startswith(
        "Over 4 replications the highest demand of 15 minutes is on average "
    )
    assert "95 % interval" in report.answer[0]
    assert report.answer[1].startswith("On the same EVs coordinated stays ")
    assert "Differences of the peak on the same EVs" in titles(report)
    # The map is that of a replication that gives the same again, and of no other.
    assert [one["name"] for one in report.map.data["runs"]] == BOTH
    assert report.map.about.startswith("The first of 4 replications. Voltages")
    gone = replace(ensemble, cases=(ensemble.cases[1], ensemble.cases[0]))
    assert ensemble_map(gone, scenario) is None
    fan = report.charts[0].chart
    assert [trace["visible"] for trace in fan["data"]] == 6 * [True] + 6 * [False]
    assert commands(report)[0] == (
        "evenfall montecarlo scenario.yaml --strategies uncoordinated,coordinated --replications 4"
    )
    # However long it took.
    again = MonteCarlo(scenario, ensemble, asked, 99.0)
    assert report_html(outcome) == report_html(again)
    one = montecarlo(scenario, 1, BOTH)
    alone = report_of(MonteCarlo(scenario, one, asked, 1.0))
    assert "says how sure that is" in alone.answer[1]
    assert "nan" not in " ".join(alone.answer)
    assert ": 1 replication, seed " in alone.title


def test_what_never_changes_is_said_and_not_drawn():
    scenario = small_paper(**COARSE, strategy="none")
    asked = question("montecarlo", scenario, ["none"], 2)
    report = report_of(MonteCarlo(scenario, montecarlo(scenario, 2, ["none"]), asked, 1.0))
    assert titles(report) == ["System demand over the replications"]
    assert "System peak of 15 min (MW): all 3.71" in report.note
    limits = swept(["grid.demand_limit_mw=0.5,0.6,0.7,0.8,0.9"], ["none"])
    assert limits.charts == []
    assert "EVs short: all 0." in limits.note
    # Nor is the same warning given at every point.
    assert [line for line in limits.cautions if "limit" in line][3:] == ["and 2 more such limits."]


def swept(vary, strategies=("evms",)):
    scenario = small_paper(**COARSE)
    factors = parse_grid(vary)
    ensemble = run_study(grid_cases(scenario, factors, list(strategies)), 2, scenario.seed)
    asked = question("sweep", scenario, list(strategies), 2, design="grid", vary=factors)
    return report_of(Sweep(scenario, ensemble, asked, 1.0))


def test_a_sweep_over_one_field_has_lines_with_intervals():
    report = swept(["fleet.evs_per_zone=1,2"], BOTH)
    assert report.answer[2].startswith("Net cost goes from $")
    assert "at EVs in each RPZ = 1 under" in report.answer[2]
    lines = [t for t in report.charts[0].chart["data"] if t["mode"] == "lines+markers"]
    assert [line["name"] for line in lines] == BOTH
    assert all(line["error_y"]["array"][0] is not None for line in lines)
    assert commands(report)[0].endswith("--replications 2 --vary fleet.evs_per_zone=1,2")


def test_a_sweep_over_two_fields_has_maps_and_over_three_a_tornado():
    two = swept(["fleet.evs_per_zone=1,2", "ev.efficiency=0.9,1.0"])
    assert two.charts[0].chart["data"][0]["type"] == "heatmap"
    most = swept(["fleet.evs_per_zone=1,3"], ["uncoordinated"]).map
    assert [one["name"] for one in most.data["runs"]] == [
        "fleet.evs_per_zone=3, uncoordinated",
        "fleet.evs_per_zone=1, uncoordinated",
    ]
    # What has other load flows is no second picture of the same hours.
    runs = {f"{m} min": compare(small_paper(grid={"flow_interval_min": m}, **COARSE), ["none"])
            for m in (60, 30)}  # fmt: skip
    runs = {name: one["none"].results for name, one in runs.items()}
    assert list(on_one_map(runs)) == ["60 min"]
    assert np.array(two.charts[0].chart["data"][0]["z"]).shape == (2, 2)
    # A long name is not cut off beside a figure.
    beside = two.charts[0].chart["layout"]["yaxis"]["title"]["text"]
    assert beside == "One-way efficiency between grid and<br>battery (fraction)"
    fields = ["fleet.evs_per_zone=1,2", "ev.efficiency=0.9,1.0", "grid.demand_limit_mw=3,3.2"]
    three = swept(fields)
    bars = three.charts[0].chart["data"]
    assert [bar["name"] for bar in bars] == ["lowest mean", "highest mean"]
    assert len(bars[0]["y"]) == 3


def test_sobol_indices_are_told_with_how_wide_they_are():
    pytest.importorskip("SALib")
    scenario = small_paper(**COARSE)
    ranges = parse_ranges(["fleet.evs_per_zone=1..3", "ev.efficiency=0.85..0.98"])
    ensemble = run_study(sobol_cases(scenario, ranges, 2, ["uncoordinated"]), 1, scenario.seed)
    vary = {r.field: f"{r.low:g}..{r.high:g}" for r in ranges}
    asked = question("sweep", scenario, ["uncoordinated"], 1, design="sobol:2", vary=vary)
    report = report_of(Sweep(scenario, ensemble, asked, 1.0, ranges))
    assert report.answer[0].startswith("System peak of 15 min under uncoordinated is moved most by")
    assert any("intervals of the Sobol' indices reach" in line for line in report.cautions)
    assert "--design sobol:2 --vary fleet.evs_per_zone=1..3" in commands(report)[0]


def test_hosting_says_the_share_and_what_is_broken_next():
    scenario = Scenario.load("cigre_mv", settings=["clock.step_s=900"])
    found = hosting(ask(scenario, (0.0, 0.02), replications=5, within=1.0))
    how = {"shares": "0,0.02", "within": 1.0, "risk": 0.05, "limits": as_asked(found.asked.limits)}
    about = question("hosting", scenario, list(found.asked.strategies), 5, **how)
    report = report_of(HostingStudy(found, about, 1.0))
    assert len(report.answer) == 3
    assert "of the customers" in report.answer[0] or report.answer[0].startswith("No strategy")
    assert "--shares 0,0.02" in commands(report)[0]
    assert commands(report)[0].endswith("--no-bound")
    assert titles(report)[0] == "How often a limit is broken"
    (shown,) = report.map.data["runs"]
    # Without any EV a limit is broken already.
    assert shown["name"] == "coordinated, 0 %"


def test_where_no_share_holds_the_page_names_none():
    scenario = Scenario.load("cigre_mv", settings=["clock.step_s=900"])
    asked = ask(scenario, (0.0, 0.02), replications=5, within=1.0, limits={"line": 1.0})
    found = hosting(asked)
    assert capacity_table(found)["share"].isna().all()
    assert hosting_lines(found)[0] == (
        "At each share looked at a limit is broken in more than 5 % of replications (5 at most "
        "of each share)."
    )


def test_the_bound_says_what_perfect_foresight_could_do():
    bound = optimum(small_paper(**COARSE))
    report = report_of(bound)
    least = bound.feeders[0].lowest_peak_mw
    assert f"could be as low as {least:.3f} MW" in report.answer[0]
    assert commands(report)[0] == (
        "evenfall bound scenario.yaml --objective peak --step 15 --metric 15"
    )
    assert f"{bound.wall_s:.1f} s" not in report.note
    cheap = report_of(optimum(small_paper(**COARSE), objective="cost", limit_mw=3.6))
    assert "could pay as little as $" in cheap.answer[0]
    assert f"and could be as low as {least:.3f} MW" in cheap.answer[0]


def test_a_break_even_says_what_v2g_is_worth():
    scenario = small_paper(**COARSE)
    names = ["uncoordinated", "evms"]
    report = report_of(BreakEven(scenario, names, break_even(scenario, names)))
    assert report.answer[0].startswith("At a sale ratio of ")
    assert "V2G under evms" in report.answer[0]
    assert report.map is None
    # It has no interactive figure: the picture stands there, without a word on plotly.
    page = report_html(BreakEven(scenario, names, break_even(scenario, names)))
    assert page.count("<img ") == 1
    assert "plotly" not in page.partition("How to run it again")[0].partition("<body>")[2]


@pytest.mark.parametrize("settings", [[], ["ev.efficiency=0.98"], ["ev.efficiency=0.9", "seed=4"]])
def test_the_paper_s_command_sets_what_is_not_the_paper_s(settings):
    # 0.98 is the default, and yet not the paper's where it is energy-balanced.
    said = [one for one in settings if not one.startswith("seed")]
    assert paper_settings(paper_scenarios(settings)) == said


def test_a_study_that_no_setting_gives_is_not_said_by_any():
    readings = {
        reading: scenario.override(strategy="evms_herd")
        for reading, scenario in paper_scenarios().items()
    }
    assert paper_settings(readings) is None
