"""The demand of a feeder over the horizon, of one run and under several strategies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.report.figures import (
    BLACK,
    GRAIN_MIN,
    GREY,
    LONG_H,
    POWER,
    STYLE,
    WIDE_IN,
    WIDTH_IN,
    base_area,
    base_curve,
    clock_axis,
    figure,
    from_zero,
    hour_steps,
    legend_below,
    limit_line,
    panels,
    width_for,
)
from abm.report.labels import name_curves
from abm.report.look import BOUND, look_of, looks_of
from abm.results import Results
from abm.results.folder import strategy_label
from abm.study.compare import gap_percent

# So many strategies are told apart in one set of axes, without the bound; more have a panel each.
TOGETHER = 2


def demand_figure(
    title: str, results: Results, limit_mw: float | None = None, name: str | None = None
) -> Figure:
    """Base, EV and system demand of one run; limit_mw, name where they are not the scenario's."""
    n_hours, record = results.n_hours, results.record
    fig, axes = figure(title, width_in=width_for(n_hours))
    long = n_hours > LONG_H
    thin = 0.6 if long else 1.0
    system, ev_mw = record.demand_mw(GRAIN_MIN)[:, 0], record.ev_power_mw(GRAIN_MIN)[:, 0]
    drawn = bool(ev_mw.any())
    if long:
        base_area(axes, results)
    elif drawn:
        look: dict[str, Any] = {"color": BLACK, "ls": "--", "lw": 1.0, "label": "without EVs"}
        hour_steps(axes, base_curve(results), n_hours, **look)
    color = look_of(name or strategy_label(record.scenario)).color
    label = "system" if drawn else "system: no EV draws power"
    hour_steps(axes, system, n_hours, color=color, lw=1.3 * thin, label=label)
    if drawn:
        # Dashes run together where a day is a centimetre wide.
        ls = "-" if long else "-."
        hour_steps(axes, ev_mw, n_hours, color=GREY, lw=1.1 * thin, ls=ls, label="EVs, net")
        axes.axhline(0.0, color=GREY, lw=0.4)
    else:
        from_zero([axes], 1.0)
    limit_line(axes, record.limit_mw() if limit_mw is None else limit_mw)
    axes.set_ylabel(POWER)
    clock_axis(axes, results.clock_hours)
    if long:
        legend_below(fig, axes, 4)
    else:
        axes.margins(y=0.1)
        name_curves(fig, axes)
    return fig


def demand_curves(
    title: str, runs: Mapping[str, Results], ylabel: str, bound: Results | None = None
) -> Figure:
    """System demand under several strategies, mean over the feeders, with base demand and limit.

    bound: the optimum, a line in every panel. With it, or from so many strategies on that no curve
    could be followed among the others, each has a panel of its own, all on the same axes.
    """
    if bound is not None or len(runs) > TOGETHER:
        return _by_strategy(title, runs, ylabel, bound)
    first = next(iter(runs.values()))
    fig, axes = figure(title, height_in=2.8, width_in=width_for(first.n_hours))
    base_area(axes, first)
    thin = 0.6 if first.n_hours > LONG_H else 1.0
    for name, look in looks_of(runs).items():
        hour_steps(axes, _mean(runs[name]), first.n_hours, **look.line, lw=1.2 * thin, label=name)
    limit_line(axes, first.record.limit_mw())
    axes.set_ylabel(ylabel)
    from_zero([axes])
    clock_axis(axes, first.clock_hours)
    if first.n_hours > LONG_H:
        legend_below(fig, axes, 4)
    else:
        name_curves(fig, axes)
    return fig


def _by_strategy(
    title: str, runs: Mapping[str, Results], ylabel: str, bound: Results | None
) -> Figure:
    """A panel for each strategy: its demand before that without EVs, the limit and the bound."""
    first = next(iter(runs.values()))
    long = first.n_hours > LONG_H
    columns = min(len(runs), 1 if long else (2 if len(runs) in (2, 4) else 3))
    rows = math.ceil(len(runs) / columns)
    width = WIDTH_IN if columns == 1 and not long else WIDE_IN
    tall = 2.8 if columns == 1 and not long else 0.8 + 1.4 * rows
    fig, axes = panels(rows, columns, (width, tall), sharex=True, sharey=True)
    thin = 0.6 if long else 1.0
    with mpl.rc_context(STYLE):
        fig.suptitle(title, fontsize=8)
        for at, (name, look) in enumerate(looks_of(runs).items()):
            ax, demand = axes[at], _mean(runs[name])
            base_area(ax, first)
            if bound is not None:
                line = {**look_of(BOUND).line, "lw": 0.9 * thin, "label": "bound"}
                hour_steps(ax, _mean(bound), first.n_hours, **line)
            hour_steps(ax, demand, first.n_hours, color=look.color, lw=1.4 * thin)
            limit_line(ax, first.record.limit_mw())
            gap = "" if bound is None else _gap(runs[name], bound)
            ax.set_title(f"{name}: {demand.max():.2f} MW{gap}", fontsize=7.5, color=look.ink)
            clock_axis(ax, first.clock_hours, most_ticks=9 if columns == 1 else 6)
            _outer(ax, at, len(runs), columns)
        from_zero(axes[: len(runs)])
        for ax in axes[len(runs) :]:
            ax.set_visible(False)
        if rows == 1:
            axes[0].set_ylabel(ylabel)
        else:
            fig.supylabel(ylabel, fontsize=STYLE["axes.labelsize"])
    handles, labels = axes[0].get_legend_handles_labels()
    if bound is not None:
        said = "bound (+ %: gap to it while EVs are plugged in)"
        labels = [said if label == "bound" else label for label in labels]
    with mpl.rc_context(STYLE):
        fig.legend(handles, labels, loc="outside lower center", ncols=3 if width > WIDTH_IN else 1)
    return fig


def _outer(ax: Axes, at: int, n: int, columns: int) -> None:
    """Ticks and name of the time below the last panel of a column alone."""
    last = at >= n - columns
    ax.tick_params(labelbottom=last)
    if not last:
        ax.set_xlabel("")


def _mean(results: Results) -> np.ndarray[Any, Any]:
    """Mean demand of the feeders by the quarter of an hour [MW]."""
    return np.asarray(results.record.demand_mw(GRAIN_MIN).mean(axis=1))


def _gap(results: Results, bound: Results) -> str:
    """Gap to the optimum as it stands behind a strategy's name."""
    gap = gap_percent(results, bound)
    return "" if gap is None else f", {gap:+.1f} %"
