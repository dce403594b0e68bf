"""How the feeders of a city differ."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from abm.report.days_figures import days_figure
from abm.report.figures import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    SKY,
    STYLE,
    WIDTH_IN,
    clock_axis,
    figure,
    hour_steps,
    legend_below,
    limit_line,
    save,
    width_for,
)
from abm.results import Results
from abm.results.city import coincidence_by_number
from abm.results.store import strategy_label


def city_figures(results: Results, folder: Path, label: str | None = None) -> None:
    """Write `demand.png`, the feeders' demand, and `spread.png`, peaks, voltages, coincidence.

    Of several days also `days.png`.
    label: stands in the titles where it is not the scenario's strategy.
    """
    folder.mkdir(exist_ok=True)
    scenario = results.record.scenario
    title = f"{scenario.name}, {label or strategy_label(scenario.strategy)}"
    save(_demand(results, title), folder / "demand.png")
    save(_spread(results, title), folder / "spread.png")
    if results.record.n_days > 1:
        save(days_figure(f"Days: {title}", results), folder / "days.png")


def _demand(results: Results, title: str) -> Figure:
    fig, axes = figure(f"Demand of a feeder: {title}", width_in=width_for(results.n_hours))
    total = results.record.total_mw
    edges = np.arange(results.n_hours + 1)
    low, high = (np.append(q, q[-1]) for q in np.quantile(total, [0.05, 0.95], axis=1))
    axes.fill_between(
        edges, low, high, step="post", color=SKY, alpha=0.5, lw=0, label="5-95 % of feeders"
    )
    hour_steps(axes, total.mean(axis=1), color=BLUE, lw=1.5, label="mean of feeders")
    hour_steps(axes, results.base_mw, color=BLACK, ls="--", lw=1.0, label="without EVs")
    limit_line(axes, results.record.scenario.grid.demand_limit_mw)
    axes.set_ylabel("Mean power of the hour (MW)")
    clock_axis(axes, results.clock_hours)
    legend_below(fig, axes, 2)
    return fig


def _spread(results: Results, title: str) -> Figure:
    columns, grid = results.kpi_columns, results.record.scenario.grid
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(WIDTH_IN, 5.4), layout="constrained")
        FigureCanvasAgg(fig)
        peaks, voltages, coincidence = fig.subplots(3, 1)
        fig.suptitle(f"{results.n_feeders} feeders: {title}", fontsize=8)
        for axes, name, label, limit in (
            (peaks, "system_peak_mw", "Peak demand of a feeder (MW)", grid.demand_limit_mw),
            (voltages, "min_vm_pu", "Lowest voltage of a feeder (p.u.)", grid.vm_min_pu),
        ):
            known = columns[name][np.isfinite(columns[name])]
            if not len(known):
                axes.set_title("no load flow converged")
                continue
            axes.hist(known, bins=min(40, max(5, len(known) // 10)), color=BLUE)
            middle = float(np.median(known))
            axes.axvline(middle, color=BLACK, ls=":", lw=1.2, label=f"median {middle:.4g}")
            # A limit far away would press the feeders into one line; the legend still tells it.
            near = abs(limit - middle) < 5.0 * float(np.ptp(known))
            words = f"limit {limit:g}" + ("" if near else ", off the scale")
            axes.plot([], [], color=ORANGE, ls="--", lw=1.2, label=words)
            if near:
                axes.axvline(limit, color=ORANGE, ls="--", lw=1.2)
            axes.ticklabel_format(axis="x", useOffset=False)
            axes.set_ylim(0.0, 1.3 * axes.get_ylim()[1])
            axes.set_xlabel(label)
            axes.set_ylabel("Feeders")
            axes.legend(loc="upper center", ncols=2)
        numbers, factor = coincidence_by_number(results)
        coincidence.plot(numbers, factor, color=BLUE, marker="o", ms=1.5, lw=0.8)
        coincidence.axhline(1.0, color=GREY, ls=":", lw=1.0)
        coincidence.set_xscale("log")
        coincidence.set_ylim(min(0.9, float(np.nanmin(factor, initial=1.0)) - 0.02), 1.01)
        coincidence.ticklabel_format(axis="y", useOffset=False)
        coincidence.set_xlabel("Number of feeders")
        coincidence.set_ylabel("Coincidence of feeders\n(peaks of EV demand)")
    return fig
