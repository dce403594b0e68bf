"""What figures of runs show: curves with names, voltages where they are lowest, no blanks."""

import itertools

import numpy as np
import pytest
from helpers import run, small_paper

from abm.grid import build_feeder
from abm.report.demand_figures import demand_curves, demand_figure
from abm.report.figures import figure, png
from abm.report.labels import name_curves
from abm.report.look import look_of
from abm.report.run_figures import days_figure, run_figures
from abm.report.swing_figure import swing_figure, swings
from abm.report.voltage_figure import along, lowest_flow, voltage_figure
from abm.scenario import Scenario


@pytest.fixture(scope="module")
def base():
    return run(small_paper(strategy="none")).results


@pytest.fixture(scope="module")
def evening():
    return run(small_paper(strategy="uncoordinated")).results


def texts(axes):
    return {text.get_text() for text in axes.texts}


# --- names of curves ------------------------------------------------------------------------------


def test_names_stand_beside_their_curves_and_over_nothing():
    fig, axes = figure("three")
    x = np.linspace(0.0, 10.0, 50)
    for level, name in enumerate(("low", "middle", "high")):
        axes.plot(x, level + 0.1 * np.sin(x), label=name)
    axes.margins(y=0.15)
    name_curves(fig, axes)
    assert not fig.legends
    assert texts(axes) == {"low", "middle", "high"}
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    inverse = axes.transData.inverted()
    for text, level in zip(axes.texts, range(3), strict=True):
        # Nearest to its own curve, and no curve runs through it.
        _, y = text.get_position()
        assert round(y) == level
        (left, bottom), (right, top) = inverse.transform(text.get_window_extent().get_points())
        here = (x >= left) & (x <= right)
        for line in axes.get_lines():
            assert not ((line.get_ydata()[here] > bottom) & (line.get_ydata()[here] < top)).any()


def test_curves_that_lie_on_each_other_have_a_legend():
    fig, axes = figure("alike")
    for name in ("one", "other"):
        axes.plot([0.0, 1.0], [0.0, 1.0], label=name)
    name_curves(fig, axes)
    assert not axes.texts
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["one", "other"]


# --- demand ---------------------------------------------------------------------------------------


def test_demand_of_a_run_has_the_colour_of_its_strategy(evening):
    fig = demand_figure("evening", evening)
    colours = {patch.get_label(): patch.get_edgecolor() for patch in fig.axes[0].patches}
    expected = tuple(int(look_of("uncoordinated").color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    assert colours["system"] == pytest.approx((*expected, 1.0))


def test_the_bound_is_drawn_as_it_is_everywhere(evening):
    bound = run_figures(evening, "bound_cost")["demand"]()
    colours = {patch.get_label(): patch.get_edgecolor() for patch in bound.axes[0].patches}
    assert colours["system"] == pytest.approx((0.0, 0.0, 0.0, 1.0))


def test_supply_is_not_cut_off():
    feeding = {"base_load": {"scale": 0.01}, "grid": {"demand_limit_mw": 0.005}}
    supplied = run(small_paper(strategy="evms", **feeding)).results
    low = supplied.record.demand_mw(15.0).min()
    assert low < 0.0
    for runs in ({"evms": supplied}, dict.fromkeys(("evms", "none", "coordinated"), supplied)):
        assert demand_curves("feeding", runs, "MW").axes[0].get_ylim()[0] < low


def test_without_evs_one_curve_is_drawn_and_it_is_said(base):
    fig = demand_figure("base", base)
    (patch,) = fig.axes[0].patches
    assert patch.get_label() == "system: no EV draws power"


def test_each_of_several_strategies_has_a_panel(base, evening):
    runs = {"none": base, "uncoordinated": evening, "evms": evening, "coordinated": evening}
    fig = demand_curves("several", runs, "MW")
    titles = [axes.get_title() for axes in fig.axes]
    assert [title.partition(":")[0] for title in titles] == list(runs)
    assert len({axes.get_ylim() for axes in fig.axes}) == 1
    fig = demand_curves("with the bound", {"uncoordinated": evening}, "MW", bound=evening)
    assert fig.axes[0].get_title().endswith("MW, +0.0 %")
    # Two are told apart in one set of axes.
    assert len(demand_curves("two", {"none": base, "evms": evening}, "MW").axes) == 1


# --- zones, days ----------------------------------------------------------------------------------


def test_zones_of_the_base_case_show_what_they_draw_without_evs(base, evening):
    image = run_figures(base)["zones"]().axes[0]
    assert image.get_title() == "No EV draws power: demand of the zones without EVs"
    assert np.ptp(image.images[0].get_array()) > 10.0
    charging = run_figures(evening)["zones"]().axes[0]
    assert np.allclose(charging.images[0].get_array(), evening.zone_kw.T)


def test_days_say_what_never_changes_and_draw_the_rest():
    results = run(small_paper(strategy="evms", horizon={"days": 3})).results
    fig = days_figure("three", results)
    labels = [axes.get_ylabel() for axes in fig.axes]
    assert "Take part\nin V2G (%)" not in labels
    assert "Net cost\n($)" in labels
    assert "Take part in V2G, every day: 100 %" in fig.get_suptitle()


# --- voltage --------------------------------------------------------------------------------------


def test_distance_along_the_papers_feeder_is_in_ohms():
    feeder = build_feeder(Scenario().inputs.feeder)
    found = along(feeder)
    assert found.axis == "Impedance of the lines from the source (ohm)"
    # Baran and Wu: 0.0922 + j 0.0470 and 0.4930 + j 0.2511 ohm.
    first, second = np.hypot(0.0922, 0.0470), np.hypot(0.4930, 0.2511)
    assert found.far[:3] == pytest.approx([0.0, first, first + second], rel=1e-3)
    numbers = [[bus + 1 for bus in branch] for branch in found.branches]
    assert numbers == [
        list(range(1, 19)),
        [6, *range(26, 34)],
        [2, *range(19, 23)],
        [3, *range(23, 26)],
    ]
    assert found.outside == ()


def test_distance_along_a_net_with_lengths_is_in_km():
    feeder = build_feeder(Scenario.load("cigre_mv").inputs.feeder)
    found = along(feeder)
    assert found.axis == "Length of the lines from the source (km)"
    net = feeder.net
    at = {int(index): i for i, index in enumerate(feeder.bus_index)}
    line = net.line.loc[feeder.line_index[0]]
    ends = found.far[[at[int(line["from_bus"])], at[int(line["to_bus"])]]]
    assert abs(ends[1] - ends[0]) == pytest.approx(line["length_km"])
    # Every way is counted once.
    drawn = sum(len(branch) - 1 for branch in found.branches) + len(found.outside)
    assert drawn == len({frozenset(pair[:2]) for pair in feeder.connections})


def test_voltage_is_drawn_when_it_is_lowest_and_laterals_have_names(evening):
    at = lowest_flow(evening)
    lowest = evening.flows.vm_pu[at].min()
    assert lowest == evening.flows.vm_pu.min() == evening.kpis["min_vm_pu"]
    axes = voltage_figure(evening).axes[0]
    assert axes.get_title().startswith(f"Lowest voltage {lowest:.4f} p.u. at N18, ")
    assert {"N1-N18", "N19-N22", "N23-N25", "N26-N33"} <= texts(axes)


def test_a_run_that_no_load_flow_solves_has_a_figure_that_says_so():
    results = run(small_paper(strategy="none", base_load={"scale": 20.0})).results
    axes = voltage_figure(results).axes[0]
    assert axes.get_title().startswith("No load flow converged")
    assert len(axes.get_lines()) == 1


def test_a_lowest_voltage_says_how_many_load_flows_are_not_in_it():
    results = run(small_paper(strategy="none", base_load={"scale": 6.0})).results
    failed = int((~results.flows.converged).sum())
    assert 0 < failed < 24
    title = voltage_figure(results).axes[0].get_title()
    assert title.endswith(f"{failed} of 24 load flows did not converge")


# --- swings ---------------------------------------------------------------------------------------


def test_a_swing_is_shown_by_the_minute_where_it_is(evening):
    assert not swings(evening)
    assert "swing" not in run_figures(evening)
    with pytest.raises(ValueError, match="no cycle"):
        swing_figure("uncoordinated", evening)
    results = run(Scenario.load("stale_broadcast")).results
    assert swings(results)
    axes = run_figures(results)["swing"]().axes[0]
    minutes = len(axes.patches[0].get_data().values)
    period = results.kpis["oscillation_period_min"]
    assert minutes == pytest.approx(8 * period, abs=1)
    first, last = axes.get_xlim()
    assert (last - first) * 60 == pytest.approx(minutes)
    power = results.record.ev_kw[:, 0] / 1e3
    shown = power[round(first * 60) : round(last * 60)]
    assert axes.patches[0].get_data().values == pytest.approx(shown)
    assert np.ptp(shown) == pytest.approx(np.ptp(power), rel=0.1)


def test_titles_are_no_wider_than_their_figures():
    fig, _ = figure("A scenario with a name that somebody made rather long, evms_guaranteed+own")
    fig.suptitle("And a title above that goes on and on, of a study with many words in its name")
    png(fig)
    fig.draw_without_rendering()
    for text in (fig.axes[0].title, *fig.texts):
        box = text.get_window_extent()
        assert box.x0 >= 0.0, text
        assert box.x1 <= fig.bbox.width, text


@pytest.mark.parametrize("copies", [1, 2])
def test_a_limit_that_was_asked_for_takes_the_place_of_the_scenario_s(copies):
    results = run(small_paper(feeder={"copies": copies}, clock={"step_s": 900})).results
    axes = run_figures(results, "bound", 2.5)["demand"]().axes[0]
    assert 2.5 in [line.get_ydata()[0] for line in axes.get_lines() if line.get_linestyle() == ":"]
