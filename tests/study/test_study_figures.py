"""What figures of studies, cities and the paper show, and what they say instead of showing it."""

from itertools import pairwise

import numpy as np
import pytest
from helpers import small_paper

from abm import V2GModel
from abm.report.field_words import field_words
from abm.report.figures import figure, legend_below
from abm.report.paper_figures import paper_figures
from abm.report.run_figures import run_figures
from abm.report.spread_figures import alike, convergence, distributions, fan_chart, histogram
from abm.report.study_figures import design_size, sweep_figures, wide_line
from abm.study import reproduce
from abm.study.montecarlo import montecarlo, run_study
from abm.study.replications import LEADING_BAND
from abm.study.sweep import grid_cases, parse_grid, parse_ranges, sobol_cases, sweep_tables

COARSE = {"clock": {"step_s": 900}}


@pytest.fixture(scope="module")
def small():
    return small_paper(strategy="evms", **COARSE)


@pytest.fixture(scope="module")
def two(small):
    return montecarlo(small, 4, ["none", "uncoordinated"])


def test_a_legend_is_never_wider_than_its_figure():
    fig, axes = figure("long names")
    for i in range(3):
        axes.plot([0, 1], [i, i], label=f"{i}: a strategy with a very long name, mean, 5 to 95 %")
    legend_below(fig, axes, 3)
    fig.draw_without_rendering()
    (legend,) = fig.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0.0
    assert box.x1 <= fig.bbox.width
    fig, axes = figure("one that never fits in a line")
    axes.plot([0, 1], [0, 1], label="word " * 40)
    legend_below(fig, axes)
    fig.draw_without_rendering()
    box = fig.legends[0].get_window_extent()
    assert box.x0 >= 0.0
    assert box.x1 <= fig.bbox.width


# --- replications ---------------------------------------------------------------------------------


def test_bands_of_a_fan_are_shown_less_the_mean_on_a_scale_of_their_own(two):
    fig = fan_chart(two, two.bands)
    demands, bands = fig.axes[:2], fig.axes[2:]
    band = two.bands[two.bands["strategy"] == "uncoordinated"]
    band = band[band["quantity"] == LEADING_BAND]
    spread = (band[["q05", "q95"]].to_numpy() - band["mean"].to_numpy()[:, None]).ravel()
    # They fill most of the height, and both strategies have the same scale.
    assert bands[1].get_ylim()[1] == pytest.approx(1.1 * np.abs(spread).max())
    for row in (demands, bands):
        assert len({axes.get_ylim() for axes in row}) == 1
    assert [text.get_text() for text in bands[0].texts] == ["alike in all replications"]
    assert not bands[1].texts


def test_several_strategies_share_the_scale_of_their_kpis(two):
    fig = distributions(two)
    peak = fig.axes[0]
    assert [label.get_text() for label in peak.get_yticklabels()] == ["none", "uncoordinated"]
    low, high = peak.get_xlim()
    values = two.values("peak_15min_mw")
    assert low < values.min() < values.max() < high
    means = [line.get_xdata()[0] for line in peak.get_lines() if line.get_marker() == "|"]
    assert means == pytest.approx(values.mean(axis=1))


def test_what_is_alike_is_said_and_not_magnified(small):
    one = montecarlo(small, 3, ["none"])
    fig = distributions(one)
    assert fig.axes[0].texts[0].get_text() == "all 3.715"
    assert not fig.axes[0].patches
    assert "alike within 0.1 %" in alike(np.array([3.2383, 3.2386, 3.2388]))
    assert alike(np.array([3.2, 3.3])) == ""
    fig, axes = figure("narrow")
    histogram(axes, np.linspace(1.0, 1.0015, 20), "#000000")
    # Twice of what is alike at least.
    edges = axes.patches[0].get_data().edges
    assert edges[-1] - edges[0] == pytest.approx(2e-3 * 1.0015)


def test_convergence_names_every_strategy_and_has_ticks(two):
    fig = convergence(two)
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["none", "uncoordinated"]
    for axes in fig.axes:
        low, high = axes.get_ylim()
        assert sum(low <= tick <= high for tick in axes.yaxis.get_majorticklocs()) >= 2


def test_what_is_not_known_has_no_panel(small):
    collapsed = small.override({"base_load.scale": 5.0})
    ensemble = montecarlo(collapsed, 4, ["none", "uncoordinated"])
    for drawn in (distributions(ensemble), convergence(ensemble)):
        assert "Lowest voltage, hourly means: not known" in drawn.get_suptitle()
        assert not any("voltage" in ax.get_xlabel() + ax.get_title() for ax in drawn.axes)
    # Half a replication is none.
    ticks = drawn.axes[-1].xaxis.get_majorticklocs()
    assert np.array_equal(ticks, ticks.astype(int))


# --- sweeps ---------------------------------------------------------------------------------------


def test_fields_in_words():
    assert field_words("fleet.evs_per_zone") == "EVs in each RPZ"
    assert field_words("ev.charger_kw") == "G2V charger rating at the grid side (kW)"
    assert field_words("grid.demand_limit_mw") == "Desired level of the feeder's demand (MW)"
    assert field_words("broadcast.interval_min") == "Time between two messages (min)"
    assert field_words("fleet.arrival.mean").startswith("arrival: ")
    assert field_words("no.such_field") == "no.such_field"


def test_a_sweep_is_drawn_in_words(small):
    factors = parse_grid(["fleet.evs_per_zone=1,2"])
    ensemble = run_study(grid_cases(small, factors, ["evms", "uncoordinated"]), 2, 1)
    axes = sweep_figures(ensemble, sweep_tables(ensemble, [], 1), [], ["peak_15min_mw"])[
        "peak_15min_mw"
    ]().axes[0]
    assert axes.get_xlabel() == "EVs in each RPZ"
    assert axes.get_ylabel() == "System peak of 15 min (MW)"


def test_a_map_that_is_the_same_everywhere_is_said(small):
    factors = parse_grid(["fleet.evs_per_zone=1,2", "ev.charger_kw=3,5"])
    ensemble = run_study(grid_cases(small, factors, ["none", "uncoordinated"]), 1, 1)
    tables = sweep_tables(ensemble, [], 1)
    fig = sweep_figures(ensemble, tables, [], ["peak_15min_mw"])["peak_15min_mw"]()
    assert "none: 3.715 everywhere" in fig.get_suptitle()
    titles = [axes.get_title() for axes in fig.axes if axes.images]
    assert titles == ["uncoordinated"]


def test_sobol_bars_say_how_many_points_and_warn_of_wide_intervals(small):
    pytest.importorskip("SALib")
    ranges = parse_ranges(["ev.charger_kw=3..7", "ev.efficiency=0.8..1"])
    ensemble = run_study(sobol_cases(small, ranges, 2, ["uncoordinated"]), 1, 1)
    assert design_size(ensemble, ranges) == 2
    tables = sweep_tables(ensemble, ranges, 1)
    rows = tables["sobol"][tables["sobol"]["kpi"] == "net_cost_usd"].copy()
    fig = sweep_figures(ensemble, tables, ranges, ["net_cost_usd"])["net_cost_usd"]()
    assert "N = 2" in fig.get_suptitle()
    assert "too small to rank" in fig.get_suptitle()
    rows[["S1_conf", "ST_conf"]] = 0.05
    assert wide_line(rows, 512) == ""
    first = rows.sort_values("ST")["factor"].iloc[-1]
    label = fig.axes[0].get_yticklabels()[0].get_text().replace("\n", " ")
    assert label == field_words(first)


# --- a city, the paper ----------------------------------------------------------------------------


def test_a_city_says_what_its_feeders_share_and_draws_what_they_do_not(small):
    results = V2GModel(small.override({"feeder.copies": 6, "strategy": "uncoordinated"})).run()
    results = results.results
    fig = run_figures(results)["spread"]()
    drawn = [axes.get_xlabel() for axes in fig.axes]
    columns = results.kpi_columns
    for name, label in (("peak_15min_mw", "Peak"), ("net_cost_usd", "Net cost")):
        same = bool(alike(columns[name]))
        assert any(text.startswith(label) for text in drawn) != same
        assert (label in fig.get_suptitle()) == same
    for axes in fig.axes:
        fig.draw_without_rendering()
        if axes.get_ylabel() == "Feeders":
            counts = axes.yaxis.get_majorticklocs()
            assert np.array_equal(counts, counts.astype(int))
        boxes = [t.get_window_extent() for t in axes.get_xticklabels() if t.get_text()]
        assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_figures_of_the_paper_share_scale_and_axis():
    figures = paper_figures(reproduce())
    maps = [figures[name]().axes[0].images[0] for name in ("fig3_g2v_by_zone", "fig4_evms_by_zone")]
    assert maps[0].get_clim() == maps[1].get_clim()
    assert maps[0].get_cmap() == maps[1].get_cmap()
    assert max(np.abs(image.get_array()).max() for image in maps) == maps[0].get_clim()[1]
    six, seven = (figures[name]().axes[0] for name in ("fig6_system_g2v", "fig7_system_evms"))
    assert six.get_ylim() == seven.get_ylim()
