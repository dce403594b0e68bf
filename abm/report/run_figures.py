"""The figures of a run (of one feeder, of a city, of days in a row) and of several compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from abm.equations import FloatArray
from abm.report.city_figures import city_demand, city_spread
from abm.report.demand_figures import demand_curves, demand_figure
from abm.report.economy_figures import ageing_figure, has_parts, prices_figure
from abm.report.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    POWER,
    STYLE,
    WIDTH_IN,
    Drawings,
    limit_line,
    panels,
    zone_map,
)
from abm.report.home_figure import home_voltage_figure
from abm.report.season_figures import by_the_day, carpet_figure, season_figure
from abm.report.supply_figure import balance_figure
from abm.report.swing_figure import swing_figure, swings
from abm.report.transformer_figures import heat_figure
from abm.report.voltage_figure import voltage_figure
from abm.results import Results
from abm.results.day_tables import days_together
from abm.results.flows import zone_load
from abm.results.folder import strategy_label
from abm.scenario import Scenario


def run_figures(
    results: Results, label: str | None = None, limit_mw: float | None = None
) -> Drawings:
    """The figures of one run.

    Of one feeder demand, EV power by zone and voltages; of a city demand, and how the feeders
    differ; with PV or batteries the balance of the zones; prices where they have parts, and ageing
    where the SoC is followed; of several days also these. label, limit_mw: take the place of the
    scenario's strategy in the titles and of its limit.
    """
    scenario, record = results.record.scenario, results.record
    name = label or results.label or strategy_label(scenario)
    title = f"{scenario.name}, {name}"
    found: dict[str, Callable[[], Figure]] = {}
    if results.n_feeders > 1:
        found["demand"] = lambda: city_demand(
            f"Demand of a feeder: {title}", results, limit_mw, name
        )
        found["spread"] = lambda: city_spread(title, results, name)
    elif by_the_day(results):
        zones = "EV power by day and hour (negative: V2G)"
        found["demand"] = lambda: season_figure(f"Demand: {title}", results, limit_mw)
        found["hours"] = lambda: carpet_figure(zones, results)
    else:
        found["demand"] = lambda: demand_figure(f"Demand: {title}", results, limit_mw, name)
        found["zones"] = lambda: _zones(results)
    if swings(results):
        found["swing"] = lambda: swing_figure(name, results)
    if results.n_feeders == 1:
        found["voltage"] = lambda: _voltage(results)
    if record.supply is not None:
        balance = f"PV and storage of the zones: {title}"
        found["balance"] = lambda: balance_figure(balance, results)
    if record.heat is not None:
        hottest = f"Hottest transformer: {title}"
        found["transformers"] = lambda: heat_figure(hottest, {name: results})
    if has_parts(results):
        found["prices"] = lambda: prices_figure(title, results)
    if record.ageing.use.mean_soc is not None:
        found["ageing"] = lambda: ageing_figure(title, results)
    if record.n_days > 1:
        found["days"] = lambda: days_figure(f"Days: {title}", results)
    return found


def comparison_figures(
    scenario: Scenario, runs: Mapping[str, Results], bound: Results | None
) -> Drawings:
    """The system demand of several strategies, with the bound where there is one.

    And the hottest transformer under each, where temperatures are worked out.
    """
    copies = scenario.feeder.copies
    of_whom = "" if copies == 1 else f", mean of {copies} feeders"
    title = f"System demand by strategy: {scenario.name}"
    found = {"demand": lambda: demand_curves(title, runs, f"{POWER}{of_whom}", bound)}
    if all(results.record.heat is not None for results in runs.values()):
        hottest = f"Hottest transformer by strategy: {scenario.name}"
        found["transformers"] = lambda: heat_figure(hottest, runs)
    return found


def _voltage(results: Results) -> Figure:
    if results.has_homes:
        return home_voltage_figure("Voltage of every home along the feeder", results)
    return voltage_figure(results)


def _zones(results: Results) -> Figure:
    """EV power by zone and hour; where there is none at all, what the zones draw without EVs."""
    if results.zone_kw.any():
        title = "EV power by zone (negative: V2G)"
        return zone_map(title, results.zone_kw.T, results.clock_hours, "kW", True)
    load_mw = zone_load(results.record)[:, 0]
    load_mw = load_mw.reshape(results.n_hours, -1, load_mw.shape[-1])
    title = "No EV draws power: demand of the zones without EVs"
    return zone_map(title, 1e3 * load_mw.mean(axis=1).T, results.clock_hours, "kW")


# Days that differ by a smaller part than this are alike.
ALIKE = 1e-3
# Up to so many days each has a mark and the letters of its weekday.
FEW_DAYS = 10
PANELS = (
    ("v2g_share", 100.0, "Take part\nin V2G (%)", BLUE),
    ("peak_15min_mw", 1.0, "Highest demand\nof 15 min (MW)", BLACK),
    ("energy_short_kwh", 1e-3, "Missing on\ndeparture (MWh)", ORANGE),
    ("net_cost_usd", 1.0, "Net cost\n($)", GREEN),
)


def days_figure(title: str, results: Results) -> Figure:
    """Share of V2G, highest demand, missing energy and net cost of every day; weekends in grey."""
    table = days_together(results.record)
    day = table["day"].to_numpy()
    weekend = table["weekday"].isin(("saturday", "sunday")).to_numpy()
    shown, words = [], []
    for name, factor, label, color in PANELS:
        values = factor * table[name].to_numpy(dtype=np.float64)
        if _alike(values):
            # What is the same every day is said, not drawn.
            what, unit = " ".join(label.split()).rstrip(")").rsplit(" (", 1)
            words.append(f"{what}, every day: {values[0]:.4g} {unit}")
        else:
            shown.append((name, values, label, color))
    fig, rows = panels(max(len(shown), 1), 1, (WIDTH_IN, 0.8 + 0.95 * len(shown)), sharex=True)
    with mpl.rc_context(STYLE):
        fig.suptitle("\n".join([title, *words]), fontsize=8)
        for axes, (name, values, label, color) in zip(rows, shown, strict=False):
            mark = "o" if len(day) <= FEW_DAYS else None
            # Above the frame: a line along zero would vanish behind it.
            look: dict[str, Any] = {"color": color, "marker": mark, "ms": 2.5, "lw": 1.2}
            axes.plot(day, values, clip_on=False, zorder=3, **look)
            for number in day[weekend]:
                axes.axvspan(number - 0.5, number + 0.5, color="#ECECEC", lw=0, zorder=0)
            axes.set_ylabel(label)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            if name == "v2g_share":
                axes.yaxis.set_major_locator(FixedLocator([0, 25, 50, 75, 100]))
                axes.set_ylim(0.0, 105.0)
            elif name == "peak_15min_mw":
                _limit(axes, values, results)
            else:
                top = 1.1 * float(values.max(initial=0.0))
                axes.set_ylim(0.0 if values.min() >= 0.0 else None, top if top > 0.0 else 1.0)
        axes = rows[-1]
        axes.set_visible(bool(shown))
        axes.set_xlim(0.5, day[-1] + 0.5)
        if len(day) <= FEW_DAYS:
            axes.xaxis.set_major_locator(FixedLocator([int(number) for number in day]))
            axes.set_xticklabels(
                [f"{n}\n{word[:3].title()}" for n, word in zip(day, table["weekday"], strict=True)]
            )
        axes.set_xlabel("Day" + (" (grey: Saturday, Sunday)" if weekend.any() else ""))
        fig.align_ylabels(rows)
    return fig


def _alike(values: FloatArray) -> bool:
    """Whether the values differ by no more than what rounding to whole chargers leaves."""
    return float(np.ptp(values)) <= ALIKE * max(float(np.abs(values).max()), 1e-9)


def _limit(axes: Axes, values: FloatArray, results: Results) -> None:
    """The demand limit, of all feeders together, with room for it and its name."""
    limit = results.n_feeders * float(results.record.limit_mw().min())
    limit_line(axes, limit)
    low, high = min(float(values.min()), limit), max(float(values.max()), limit)
    # A tenth at least: rounding to whole chargers is not to look like a mountain.
    span = max(high - low, 0.1 * high)
    axes.set_ylim(low - 0.3 * span, high + 0.6 * span)
    axes.legend(loc="upper right", labelcolor=GREY)
