"""Figures of the feeders of a city: their demand, and how far their KPIs spread."""

from __future__ import annotations

from textwrap import fill

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from abm.equations import FloatArray, IntArray
from abm.report.figures import (
    BLACK,
    GRAIN_MIN,
    GREY,
    LONG_H,
    POWER,
    STYLE,
    WIDTH_IN,
    base_curve,
    clock_axis,
    figure,
    hour_steps,
    legend_below,
    limit_line,
    panels,
    width_for,
)
from abm.report.look import look_of
from abm.report.spread_figures import alike, few_ticks, histogram
from abm.results import Results
from abm.results.city import coincidence_by_number
from abm.results.folder import strategy_label
from abm.results.indicators import grain_of

# Letters in a line above a figure of one column.
LETTERS = 62
# Feeders whose peaks add up to this part of the sum peak together.
TOGETHER = 0.995


def city_demand(
    title: str, results: Results, limit_mw: float | None = None, name: str | None = None
) -> Figure:
    """Mean demand of the feeders, and where nine tenths of them are.

    limit_mw, name: where they are not the scenario's.
    """
    record, n_hours = results.record, results.n_hours
    fig, axes = figure(title, width_in=width_for(n_hours))
    total = record.demand_mw(GRAIN_MIN)
    color = look_of(name or strategy_label(record.scenario)).color
    edges = np.linspace(0, n_hours, len(total) + 1)
    low, high = (np.append(q, q[-1]) for q in np.quantile(total, [0.05, 0.95], axis=1))
    axes.fill_between(
        edges, low, high, step="post", color=color, alpha=0.35, lw=0, label="5-95 % of feeders"
    )
    hour_steps(axes, total.mean(axis=1), n_hours, color=color, lw=1.3, label="mean of feeders")
    hour_steps(
        axes, base_curve(results), n_hours, color=BLACK, ls="--", lw=1.0, label="without EVs"
    )
    limit_line(axes, record.limit_mw() if limit_mw is None else limit_mw)
    axes.set_ylabel(POWER)
    clock_axis(axes, results.clock_hours)
    legend_below(fig, axes, 2 if n_hours <= LONG_H else 4)
    return fig


def city_spread(title: str, results: Results, name: str | None = None) -> Figure:
    """How the peaks and lowest voltages of the feeders differ, and how their peaks fall together.

    name: of what ran, where it is not the scenario's strategy.

    What is the same of all of them is said above, not drawn.
    """
    columns, record = results.kpi_columns, results.record
    grain = grain_of(record.flow_min)
    words, drawn = [], []
    for name, label, limit in (
        ("peak_15min_mw", "Peak of 15 min of a feeder (MW)", float(record.limit_mw().min())),
        (
            "min_vm_pu",
            f"Lowest voltage of a feeder, {grain} (p.u.)",
            record.scenario.grid.vm_min_pu,
        ),
        ("net_cost_usd", "Net cost of the EVs of a feeder ($)", None),
    ):
        known = columns[name][np.isfinite(columns[name])]
        missing = results.n_feeders - len(known)
        what = label.partition(" (")[0]
        if missing:
            words.append(f"{what}: not known of {missing} feeders, not converged")
        if len(known) and (said := alike(known)):
            unit = label.rpartition("(")[2].rstrip(")")
            behind = "" if limit is None else f" (limit {limit:g})"
            words.append(f"{what}: {' '.join(said.split())} {unit}{behind}")
        elif len(known):
            drawn.append((label, known, limit))
    numbers, factor = coincidence_by_number(record)
    alone = not np.isfinite(factor).any()
    if alone:
        words.append("No EV draws power at any peak")
    elif float(np.nanmin(factor)) > TOGETHER:
        alone = True
        words.append("The EVs of all feeders peak together (coincidence 1.00)")
    rows = len(drawn) + (not alone)
    head = fill(f"{results.n_feeders} feeders: {title}", LETTERS)
    said = "\n".join((head, *(fill(line, LETTERS) for line in words)))
    size = (WIDTH_IN, 0.4 + 0.14 * said.count("\n") + 1.7 * max(rows, 1))
    fig, axes = panels(max(rows, 1), 1, size)
    color = look_of(name or strategy_label(record.scenario)).color
    with mpl.rc_context(STYLE):
        fig.suptitle(said, fontsize=7.5)
        for ax, (label, known, limit) in zip(axes, drawn, strict=False):
            _feeders(ax, known, limit, color)
            ax.set_xlabel(label)
        if not alone:
            _coincidence(axes[-1], numbers, factor, color)
        axes[-1].set_visible(rows > 0)
    return fig


def _feeders(ax: Axes, known: FloatArray, limit: float | None, color: str) -> None:
    """A histogram of the feeders, with the limit where it is near."""
    histogram(ax, known, color, whole=float(len(known)))
    ax.set_ylabel("Feeders")
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    if limit is None:
        return
    # A limit far away would press the feeders into one line; the words above still tell it.
    near = abs(limit - float(np.median(known))) < 2.0 * float(np.ptp(known))
    told = f"limit {limit:g}" + ("" if near else ", off the scale")
    ax.set_title(f"mean {known.mean():.4g}, {told}", fontsize=7)
    if near:
        ax.axvline(limit, color=GREY, ls=":", lw=1.2)
    few_ticks(ax)


def _coincidence(ax: Axes, numbers: IntArray, factor: FloatArray, color: str) -> None:
    """Peak of the first n feeders together over the sum of their peaks."""
    ax.plot(numbers, factor, color=color, marker="o", ms=1.5, lw=0.8)
    if numbers[-1] > 10:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
    ax.axhline(1.0, color=GREY, ls=":", lw=1.0)
    ax.set_ylim(min(0.9, float(np.nanmin(factor)) - 0.02), 1.01)
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_xlabel("Number of feeders")
    ax.set_ylabel("Coincidence of feeders\n(peaks of EV demand)")
