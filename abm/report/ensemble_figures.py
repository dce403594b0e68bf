"""Figures of ensembles: fans of demand, distributions, convergence of the interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter

from abm.equations import FloatArray
from abm.report.figures import BLACK, BLUE, CYCLE, GREY, STYLE, WIDTH_IN, clock_axis, save
from abm.results.indicators import kpi_label
from abm.study.ensemble import Ensemble
from abm.study.statistics import running_half_width

if TYPE_CHECKING:
    import pandas as pd

SHOWN = ("system_peak_mw", "min_vm_pu", "net_cost_usd")
# Names of strategies beside each other need room; more than this many go into two columns.
STACKED = 3
BINS = 25


def panels(
    rows: int, columns: int, size_in: tuple[float, float], **shared: Any
) -> tuple[Figure, list[Axes]]:
    """An empty figure with rows x columns axes, in reading order; size_in: of the whole."""
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=size_in, layout="constrained")
        FigureCanvasAgg(fig)
        axes = fig.subplots(rows, columns, squeeze=False, **shared)
    return fig, list(axes.ravel())


def ensemble_figures(
    ensemble: Ensemble, bands: pd.DataFrame, write: Callable[[str, Callable[[Path], Any]], None]
) -> None:
    """Make the figures of a Monte Carlo study; write: (name, function that saves to a path)."""
    figures = {
        "fan": fan_chart(ensemble, bands),
        "distributions": distributions(ensemble),
        "convergence": convergence(ensemble),
    }
    for name, fig in figures.items():
        write(f"figures/{name}.png", _saver(fig))


def _saver(fig: Figure) -> Callable[[Path], None]:
    return lambda path: save(fig, path)


def fan_chart(ensemble: Ensemble, bands: pd.DataFrame) -> Figure:
    """System demand of each strategy: mean, half of the replications, nine tenths of them."""
    cases, found = ensemble.cases, bands[bands["quantity"] == "total_mw"]
    columns = 1 if len(cases) <= STACKED else 2
    rows = math.ceil(len(cases) / columns)
    size = (WIDTH_IN * (1.0 if columns == 1 else 2.0), 0.9 + 1.45 * rows)
    fig, axes = panels(rows, columns, size, sharex=True, sharey=True)
    title = f"System demand, {ensemble.n} replications: {cases[0].scenario.name}"
    with mpl.rc_context(STYLE):
        fig.suptitle(title, fontsize=8)
        for i, (ax, case) in enumerate(zip(axes, cases, strict=False)):
            band = found[found["strategy"] == case.labels["strategy"]]
            if not len(band):
                ax.text(0.5, 0.5, "no values", transform=ax.transAxes, ha="center")
                continue
            _fan(ax, band)
            limit = case.scenario.grid.demand_limit_mw
            ax.axhline(limit, color=GREY, ls=":", lw=1.0, label=f"limit {limit:g} MW")
            ax.set_title(str(case), fontsize=7.5)
            clock_axis(ax, band["hour"].to_numpy(), most_ticks=7)
            if i < len(cases) - columns:
                ax.set_xlabel("")
            else:
                ax.tick_params(labelbottom=True)
            if i % columns == 0:
                ax.set_ylabel("Demand (MW)")
        axes[0].set_ylim(0.0, None)
        for ax in axes[len(cases) :]:
            ax.set_visible(False)
        handles, labels = axes[0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=2 * columns)
    return fig


def _fan(ax: Axes, band: pd.DataFrame) -> None:
    edges = np.arange(len(band) + 1)

    def steps(name: str) -> FloatArray:
        values = band[name].to_numpy()
        return np.append(values, values[-1:])

    for low, high, color, label in (
        ("q05", "q95", "#C9DFEE", "5 to 95 %"),
        ("q25", "q75", "#7FB8DA", "25 to 75 %"),
    ):
        ax.fill_between(edges, steps(low), steps(high), step="post", color=color, lw=0, label=label)
    ax.stairs(band["mean"], edges, baseline=None, color=BLUE, lw=1.2, label="mean")


def distributions(ensemble: Ensemble) -> Figure:
    """Histograms of SHOWN, a row of panels per strategy, each over its own range."""
    kpis = [kpi for kpi in SHOWN if kpi in ensemble.measures] or list(SHOWN)
    n_cases = len(ensemble.cases)
    size = (2.0 * WIDTH_IN, 0.55 + 1.35 * n_cases)
    fig, axes = panels(n_cases, len(kpis), size)
    with mpl.rc_context(STYLE):
        fig.suptitle(f"Distributions over {ensemble.n} replications", fontsize=8)
        for column, kpi in enumerate(kpis):
            values = ensemble.values(kpi) if kpi in ensemble.measures else np.empty((n_cases, 0))
            for row in range(n_cases):
                ax = axes[row * len(kpis) + column]
                color = styles(n_cases)[row][0]
                _histogram(ax, values[row][np.isfinite(values[row])], color)
                if column == 0:
                    ax.set_ylabel(f"{ensemble.cases[row]}\nreplications (%)")
                if row == n_cases - 1:
                    ax.set_xlabel(kpi_label(kpi))
    return fig


def _histogram(ax: Axes, values: FloatArray, color: str) -> None:
    if not len(values):
        ax.text(0.5, 0.5, "no values", transform=ax.transAxes, ha="center")
        return
    low, high = float(values.min()), float(values.max())
    bins = min(BINS, math.ceil(2.0 * len(values) ** (1 / 3)))
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        # What never changes is one bar, not a picture of its last digits.
        pad = 0.01 * abs(low) or 1.0
        low, high, bins = low - pad, high + pad, BINS
    edges = np.linspace(low, high, bins + 1)
    share = 100.0 * np.histogram(values, edges)[0] / len(values)
    ax.stairs(share, edges, color=color, alpha=0.3, fill=True)
    ax.stairs(share, edges, color=color, lw=1.0)
    ax.axvline(float(values.mean()), color=BLACK, lw=0.8, ls="--")
    ax.set_ylim(0.0, None)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.ticklabel_format(axis="x", useOffset=False)


def convergence(ensemble: Ensemble) -> Figure:
    """Half-width of the 95 % interval, in % of the mean, by number of replications."""
    kpis = [kpi for kpi in SHOWN if kpi in ensemble.measures]
    rows = max(len(kpis), 1)
    fig, axes = panels(rows, 1, (WIDTH_IN, 0.8 + 1.35 * rows), sharex=True)
    n = np.arange(1, ensemble.n + 1)
    with mpl.rc_context(STYLE):
        fig.suptitle("Half-width of the mean's 95 % interval", fontsize=8)
        for ax, kpi in zip(axes, kpis, strict=False):
            values = ensemble.values(kpi)
            for row, (color, style) in zip(values, styles(len(values)), strict=True):
                half, mean = running_half_width(row)
                share = np.full(len(n), np.nan)
                np.divide(100.0 * half, np.abs(mean), out=share, where=np.abs(mean) > 0)
                share[:3] = np.nan  # of two or three values it says nothing and dwarfs the rest
                share[share < 1e-4] = np.nan  # no spread at all has no place on this scale
                ax.plot(n, share, color=color, ls=style, lw=1.1)
            ax.set_title(kpi_label(kpi).partition(" (")[0], fontsize=7.5)
            ax.set_ylabel("% of mean")
            _log_log(ax, ensemble.n)
        axes[-1].set_xlabel("Replications")
        legend_of_cases(fig, ensemble)
    return fig


def _log_log(ax: Axes, n: int) -> None:
    ax.set_yscale("log")
    if n > 10:
        ax.set_xscale("log")
        ax.set_xlim(4, n)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def styles(n: int) -> list[tuple[str, Any]]:
    """Colour and line style of each of n curves."""
    return [CYCLE[i % len(CYCLE)] for i in range(n)]


def legend_of_cases(fig: Figure, ensemble: Ensemble) -> None:
    """A legend with the strategies, under the axes."""
    names = [str(case) for case in ensemble.cases]
    legend_of(fig, names)


def legend_of(fig: Figure, names: Sequence[str], columns: int = 3) -> None:
    """A legend with these names in the styles of `styles`, under the axes."""
    lines = [Line2D([], [], color=color, ls=style) for color, style in styles(len(names))]
    fig.legend(lines, names, loc="outside lower center", ncols=min(columns, len(names)))
