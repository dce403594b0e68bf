"""Figures of sweeps: lines for one factor, maps for two, bars for Sobol' indices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.equations import FloatArray
from abm.report.ensemble_figures import legend_of, panels, styles
from abm.report.figures import BLUE, ORANGE, STYLE, WIDTH_IN, figure, legend_below, save
from abm.results.indicators import kpi_label
from abm.study.ensemble import Ensemble
from abm.study.sweep import FactorRange

if TYPE_CHECKING:
    import pandas as pd

Write = Callable[[str, Callable[[Path], Any]], None]
# A map with more cells than this in a row has no room for numbers.
NUMBERS = 6
# Letters of a label beside an axis.
LONGEST = 24


def sweep_figures(
    ensemble: Ensemble,
    written: Mapping[str, pd.DataFrame],
    ranges: Sequence[FactorRange],
    kpis: Sequence[str],
    write: Write,
) -> None:
    """A figure per KPI, where there is one for so many factors."""
    factors = [label for label in ensemble.cases[0].labels if label != "strategy"]
    for kpi in kpis:
        if kpi not in ensemble.measures:
            continue
        if ranges:
            rows = written["sobol"][written["sobol"]["kpi"] == kpi]
            fig = sobol_bars(kpi, rows) if len(rows) else None
        elif len(factors) == 1:
            fig = sweep_lines(ensemble, kpi, factors[0])
        elif len(factors) == 2:
            fig = sweep_maps(ensemble, written["summary"], kpi, factors)
        else:
            fig = None
        if fig is not None:
            write(f"figures/{kpi}.png", _saver(fig))


def _saver(fig: Figure) -> Callable[[Path], None]:
    return lambda path: save(fig, path)


def _strategies(ensemble: Ensemble) -> list[str]:
    return list(dict.fromkeys(str(case.labels["strategy"]) for case in ensemble.cases))


def _levels(ensemble: Ensemble, factor: str) -> list[Any]:
    levels = list(dict.fromkeys(case.labels[factor] for case in ensemble.cases))
    return sorted(levels) if all(map(_is_number, levels)) else levels


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def sweep_lines(ensemble: Ensemble, kpi: str, factor: str) -> Figure:
    """Mean against the factor with the band of nine tenths of the replications, by strategy."""
    fig, axes = figure(f"{kpi_label(kpi).partition(' (')[0]}, {ensemble.n} replications")
    levels, names = _levels(ensemble, factor), _strategies(ensemble)
    numeric = all(map(_is_number, levels))
    x = np.array(levels if numeric else range(len(levels)), dtype=np.float64)
    values = ensemble.values(kpi)
    with mpl.rc_context(STYLE):
        for name, (color, style) in zip(names, styles(len(names)), strict=True):
            rows = np.full((len(levels), ensemble.n), np.nan)
            for case, row in zip(ensemble.cases, values, strict=True):
                if str(case.labels["strategy"]) == name:
                    rows[levels.index(case.labels[factor])] = row
            low, mean, high = (_each(rows, f) for f in (_q05, np.mean, _q95))
            axes.fill_between(x, low, high, color=color, alpha=0.2, lw=0)
            axes.plot(x, mean, color=color, ls=style, marker="o", ms=2.5)
        if not numeric or len(levels) <= NUMBERS:
            axes.set_xticks(x, [_short(level) for level in levels])
        axes.set_xlabel(factor)
        axes.set_ylabel(kpi_label(kpi))
        legend_of(fig, [f"{name}: mean, 5 to 95 %" for name in names], columns=2)
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
        fig.suptitle(f"{kpi_label(kpi)}, mean of {ensemble.n}", fontsize=8)
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


def sobol_bars(kpi: str, rows: pd.DataFrame) -> Figure:
    """First-order and total index of each factor with the interval, a panel per strategy."""
    names = list(dict.fromkeys(rows["strategy"]))
    n = rows["factor"].nunique()
    size = (WIDTH_IN, 0.8 + len(names) * (0.35 + 0.34 * n))
    fig, axes = panels(len(names), 1, size, sharex=True)
    with mpl.rc_context(STYLE):
        fig.suptitle(f"Sobol' indices of {kpi_label(kpi).partition(' (')[0].lower()}", fontsize=8)
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
