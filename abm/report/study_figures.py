"""Figures of studies: fans of demand, distributions, convergence; lines, maps, Sobol' indices."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter

from abm.equations import FloatArray
from abm.report.figures import (
    BLACK,
    BLUE,
    ORANGE,
    STYLE,
    WIDTH_IN,
    Drawings,
    clock_axis,
    figure,
    legend_below,
    limit_line,
    panels,
)
from abm.report.look import Look, looks_of
from abm.results.indicators import kpi_label, own_of
from abm.study.ensemble import Ensemble
from abm.study.replications import LEADING_BAND
from abm.study.statistics import running_half_width
from abm.study.sweep import INTEREST, FactorRange

if TYPE_CHECKING:
    import pandas as pd

SHOWN = ("peak_15min_mw", "min_vm_pu", "net_cost_usd")
# Names of strategies beside each other need room; more than this many go into two columns.
STACKED = 3
BINS = 25
# A map with more cells than this in a row has no room for numbers.
NUMBERS = 6
# Letters of a label beside an axis.
LONGEST = 24


def ensemble_figures(ensemble: Ensemble) -> Drawings:
    """The figures of a Monte Carlo study."""
    return {
        "fan": lambda: fan_chart(ensemble, ensemble.bands),
        "distributions": lambda: distributions(ensemble),
        "convergence": lambda: convergence(ensemble),
    }


def fan_chart(ensemble: Ensemble, bands: pd.DataFrame) -> Figure:
    """System demand of each strategy: mean, half of the replications, nine tenths of them."""
    cases, found = ensemble.cases, bands[bands["quantity"] == LEADING_BAND]
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
            hours_s = np.arange(case.scenario.hours) * 3600
            limit_line(ax, case.scenario.demand_limit.mean(hours_s, 3600)[:, 0])
            ax.set_title(str(case), fontsize=7.5)
            clock_axis(ax, band["hour"][band["minute"] == 0].to_numpy(), most_ticks=7)
            if i < len(cases) - columns:
                ax.set_xlabel("")
            else:
                ax.tick_params(labelbottom=True)
            if i % columns == 0:
                ax.set_ylabel("Mean of 15 min (MW)")
        axes[0].set_ylim(0.0, None)
        for ax in axes[len(cases) :]:
            ax.set_visible(False)
        handles, labels = axes[0].get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=2 * columns)
    return fig


def _fan(ax: Axes, band: pd.DataFrame) -> None:
    edges = np.linspace(0, band["hour_index"].max() + 1, len(band) + 1)

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
        looks = [*looks_of(map(str, ensemble.cases)).values()]
        for column, kpi in enumerate(kpis):
            values = ensemble.values(kpi) if kpi in ensemble.measures else np.empty((n_cases, 0))
            for row in range(n_cases):
                ax = axes[row * len(kpis) + column]
                color = looks[row].color
                _histogram(ax, values[row][np.isfinite(values[row])], color)
                if column == 0:
                    ax.set_ylabel(f"{ensemble.cases[row]}\nreplications (%)")
                if row == n_cases - 1:
                    ax.set_xlabel(kpi_label(kpi, ensemble.flow_min).replace(", ", ",\n"))
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
        looks = looks_of(map(str, ensemble.cases))
        for ax, kpi in zip(axes, kpis, strict=False):
            values = ensemble.values(kpi)
            for row, look in zip(values, looks.values(), strict=True):
                half, mean = running_half_width(row)
                share = np.full(len(n), np.nan)
                np.divide(100.0 * half, np.abs(mean), out=share, where=np.abs(mean) > 0)
                share[:3] = np.nan  # of two or three values it says nothing and dwarfs the rest
                share[share < 1e-4] = np.nan  # no spread at all has no place on this scale
                ax.plot(n, share, **look.line, lw=1.1)
            ax.set_title(_name(kpi, ensemble), fontsize=7.5)
            ax.set_ylabel("% of mean")
            _log_log(ax, ensemble.n)
        axes[-1].set_xlabel("Replications")
        legend_of(fig, looks.values())
    return fig


def _log_log(ax: Axes, n: int) -> None:
    ax.set_yscale("log")
    if n > 10:
        ax.set_xscale("log")
        ax.set_xlim(4, n)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def legend_of(fig: Figure, looks: Collection[Look], columns: int = 3) -> None:
    """A legend with these looks, under the axes."""
    lines = [Line2D([], [], marker=look.marker, ms=2.5, **look.line) for look in looks]
    labels = [look.label for look in looks]
    fig.legend(lines, labels, loc="outside lower center", ncols=min(columns, len(labels)))


# --- sweeps ------------------------------------------------------------------------------------


def sweep_figures(
    ensemble: Ensemble,
    tables: Mapping[str, pd.DataFrame],
    ranges: Sequence[FactorRange],
    kpis: Sequence[str],
) -> Drawings:
    """A figure per KPI, where there is one for so many factors; kpis: INTEREST when empty."""
    factors = [label for label in ensemble.cases[0].labels if label != "strategy"]
    usual = (*INTEREST, *own_of(ensemble.measures))
    known = [kpi for kpi in kpis or usual if kpi in ensemble.measures]
    if ranges:
        sobol = {kpi: tables["sobol"][tables["sobol"]["kpi"] == kpi] for kpi in known}
        return {
            kpi: partial(sobol_bars, _name(kpi, ensemble), rows)
            for kpi, rows in sobol.items()
            if len(rows)
        }
    if len(factors) == 1:
        return {kpi: partial(sweep_lines, ensemble, kpi, factors[0]) for kpi in known}
    if len(factors) == 2:
        summary = tables["summary"]
        return {kpi: partial(sweep_maps, ensemble, summary, kpi, factors) for kpi in known}
    return {}


def _name(kpi: str, ensemble: Ensemble) -> str:
    """What a KPI is called, without its unit."""
    return kpi_label(kpi, ensemble.flow_min).partition(" (")[0]


def _strategies(ensemble: Ensemble) -> list[str]:
    return list(dict.fromkeys(str(case.labels["strategy"]) for case in ensemble.cases))


def _levels(ensemble: Ensemble, factor: str) -> list[Any]:
    levels = list(dict.fromkeys(case.labels[factor] for case in ensemble.cases))
    return sorted(levels) if all(map(_is_number, levels)) else levels


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def sweep_lines(ensemble: Ensemble, kpi: str, factor: str) -> Figure:
    """Mean against the factor with the band of nine tenths of the replications, by strategy."""
    fig, axes = figure(f"{_name(kpi, ensemble)}, {ensemble.n} replications")
    levels, names = _levels(ensemble, factor), _strategies(ensemble)
    numeric = all(map(_is_number, levels))
    x = np.array(levels if numeric else range(len(levels)), dtype=np.float64)
    values = ensemble.values(kpi)
    with mpl.rc_context(STYLE):
        looks = looks_of(names)
        for name, look in looks.items():
            rows = np.full((len(levels), ensemble.n), np.nan)
            for case, row in zip(ensemble.cases, values, strict=True):
                if str(case.labels["strategy"]) == name:
                    rows[levels.index(case.labels[factor])] = row
            low, mean, high = (_each(rows, f) for f in (_q05, np.mean, _q95))
            axes.fill_between(x, low, high, color=look.color, alpha=0.2, lw=0)
            axes.plot(x, mean, **look.line, marker=look.marker, ms=2.5)
        if not numeric or len(levels) <= NUMBERS:
            axes.set_xticks(x, [_short(level) for level in levels])
        axes.set_xlabel(factor)
        axes.set_ylabel(kpi_label(kpi, ensemble.flow_min))
        legend_of(fig, looks.values())
    return fig


def _each(rows: FloatArray, f: Callable[[FloatArray], Any]) -> FloatArray:
    known = [row[np.isfinite(row)] for row in rows]
    return np.array([f(row) if len(row) else np.nan for row in known], dtype=np.float64)


def _q05(values: FloatArray) -> Any:
    return np.quantile(values, 0.05)


def _q95(values: FloatArray) -> Any:
    return np.quantile(values, 0.95)


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    # Of a long path the end tells most; all of it would leave no room for the curves.
    return text if len(text) <= LONGEST else f"...{text[3 - LONGEST :]}"


def sweep_maps(
    ensemble: Ensemble, summary: pd.DataFrame, kpi: str, factors: Sequence[str]
) -> Figure:
    """Mean over two factors as a map of colours, a panel per strategy on one scale."""
    names = _strategies(ensemble)
    xs, ys = (_levels(ensemble, factor) for factor in factors)
    found = summary[summary["kpi"] == kpi]
    maps = {name: np.full((len(ys), len(xs)), np.nan) for name in names}
    for case, mean in zip(ensemble.cases, found["mean"], strict=True):
        x, y = xs.index(case.labels[factors[0]]), ys.index(case.labels[factors[1]])
        maps[str(case.labels["strategy"])][y, x] = mean
    known = found["mean"][np.isfinite(found["mean"])]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    size = (WIDTH_IN, 0.6 + len(names) * (0.7 + 0.26 * max(len(ys), 3)))
    fig, axes = panels(len(names), 1, size, sharex=True)
    with mpl.rc_context(STYLE):
        label = kpi_label(kpi, ensemble.flow_min)
        fig.suptitle(f"{label}, mean of {ensemble.n}", fontsize=8)
        for ax, name in zip(axes, names, strict=True):
            image = ax.imshow(
                maps[name], aspect="auto", origin="lower", cmap="cividis", vmin=low, vmax=high
            )
            ax.grid(False)
            ax.set_title(name, fontsize=7.5)
            ax.set_yticks(range(len(ys)), [_short(y) for y in ys])
            ax.set_xticks(range(len(xs)), [_short(x) for x in xs])
            ax.set_ylabel(factors[1])
            if max(len(xs), len(ys)) <= NUMBERS:
                _numbers(ax, maps[name], low, high)
        axes[-1].set_xlabel(factors[0])
        fig.colorbar(image, ax=axes, pad=0.02)
    return fig


def _numbers(ax: Axes, values: FloatArray, low: float, high: float) -> None:
    for (y, x), value in np.ndenumerate(values):
        if np.isfinite(value):
            # Dark letters on the light end of the map, light ones on the dark end.
            dark = value > low + 0.55 * (high - low)
            ax.text(
                x, y, f"{value:.4g}", ha="center", va="center", fontsize=6.5,
                color="black" if dark else "white",
            )  # fmt: skip


def sobol_bars(of_what: str, rows: pd.DataFrame) -> Figure:
    """First-order and total index of each factor with the interval, a panel per strategy."""
    names = list(dict.fromkeys(rows["strategy"]))
    n = rows["factor"].nunique()
    size = (WIDTH_IN, 0.8 + len(names) * (0.35 + 0.34 * n))
    fig, axes = panels(len(names), 1, size, sharex=True)
    with mpl.rc_context(STYLE):
        fig.suptitle(f"Sobol' indices of {of_what.lower()}", fontsize=8)
        for ax, name in zip(axes, names, strict=True):
            mine = rows[rows["strategy"] == name]
            at = np.arange(n)
            for column, shift, color, hatch, label in (
                ("S1", -0.2, BLUE, "", "first order"),
                ("ST", 0.2, ORANGE, "//", "total"),
            ):
                ax.barh(
                    at + shift, mine[column], 0.38, xerr=mine[f"{column}_conf"], color=color,
                    hatch=hatch, edgecolor="white", error_kw={"lw": 0.8}, label=label,
                )  # fmt: skip
            ax.set_yticks(at, list(mine["factor"]))
            ax.invert_yaxis()
            ax.grid(False, axis="y")
            if len(names) > 1:
                ax.set_title(name, fontsize=7.5)
        axes[-1].set_xlabel("Share of the variance")
        legend_below(fig, axes[0])
    return fig
