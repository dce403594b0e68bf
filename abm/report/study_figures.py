"""Figures of replications and of sweeps: lines over one factor, maps over two, Sobol' indices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.equations import FloatArray
from abm.report.field_words import field_words, mid_sentence
from abm.report.figures import (
    BLUE,
    ORANGE,
    STYLE,
    WIDTH_IN,
    Drawings,
    figure,
    legend_below,
    panels,
)
from abm.report.labels import name_curves
from abm.report.look import looks_of
from abm.report.spread_figures import (
    MOST_SHOWN,
    SHOWN,
    convergence,
    distributions,
    fan_chart,
    kpi_name,
)
from abm.report.study_sentences import WIDE
from abm.results.indicators import kpi_label, own_of
from abm.study.ensemble import Ensemble
from abm.study.sweep import INTEREST, FactorRange

if TYPE_CHECKING:
    import pandas as pd

# A map with more cells than this in a row has no room for numbers.
NUMBERS = 6
# Letters of a label beside an axis.
LONGEST = 24


def ensemble_figures(ensemble: Ensemble, kpis: Sequence[str] = ()) -> Drawings:
    """The figures of a Monte Carlo study; kpis: the first of them are shown, SHOWN when empty."""
    shown = tuple(kpis)[:MOST_SHOWN] or SHOWN
    return {
        "fan": lambda: fan_chart(ensemble, ensemble.bands),
        "distributions": lambda: distributions(ensemble, shown),
        "convergence": lambda: convergence(ensemble, shown),
    }


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
        size = design_size(ensemble, ranges)
        return {
            kpi: partial(sobol_bars, kpi_name(kpi, ensemble), rows, size)
            for kpi, rows in sobol.items()
            if len(rows)
        }
    if len(factors) == 1:
        return {kpi: partial(sweep_lines, ensemble, kpi, factors[0]) for kpi in known}
    if len(factors) == 2:
        summary = tables["summary"]
        return {kpi: partial(sweep_maps, ensemble, summary, kpi, factors) for kpi in known}
    return {}


def _strategies(ensemble: Ensemble) -> list[str]:
    return list(dict.fromkeys(str(case.labels["strategy"]) for case in ensemble.cases))


def _levels(ensemble: Ensemble, factor: str) -> list[Any]:
    levels = list(dict.fromkeys(case.labels[factor] for case in ensemble.cases))
    return sorted(levels) if all(map(_is_number, levels)) else levels


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def sweep_lines(ensemble: Ensemble, kpi: str, factor: str) -> Figure:
    """Mean against the factor with the band of nine tenths of the replications, by strategy."""
    several = f",\nmean and 5 to 95 % of {ensemble.n} replications" if ensemble.n > 1 else ""
    fig, axes = figure(f"{kpi_name(kpi, ensemble)}{several}")
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
            axes.fill_between(x, low, high, color=look.color, alpha=0.25, lw=0)
            axes.plot(x, mean, **look.line, marker=look.marker, ms=3.0, label=name)
        if not numeric or len(levels) <= NUMBERS:
            axes.set_xticks(x, [_short(level) for level in levels])
        axes.set_xlabel(fill(field_words(factor), 60))
        axes.set_ylabel(kpi_label(kpi, ensemble.flow_min).replace(", ", ",\n"))
        axes.margins(y=0.12)
        name_curves(fig, axes, 3)
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
    # What is the same everywhere is said, not drawn.
    constant = {n: values for n, values in maps.items() if np.ptp(values) == 0.0}
    shown = [name for name in names if name not in constant]
    drawn = max(len(shown), 1)
    size = (WIDTH_IN, 0.7 + drawn * (0.7 + 0.26 * max(len(ys), 3)) + 0.13 * len(constant))
    fig, axes = panels(drawn, 1, size, sharex=True)
    with mpl.rc_context(STYLE):
        label = kpi_label(kpi, ensemble.flow_min)
        title = [f"{label.partition(' (')[0]}, mean of {ensemble.n}"]
        title += [f"{name}: {values.flat[0]:.4g} everywhere" for name, values in constant.items()]
        fig.suptitle("\n".join(title), fontsize=8)
        for ax, (name, look) in zip(axes, looks_of(shown or names[:1]).items(), strict=True):
            image = ax.imshow(
                maps[name], aspect="auto", origin="lower", cmap="cividis", vmin=low, vmax=high
            )
            ax.grid(False)
            ax.set_title(name, fontsize=7.5, color=look.ink)
            ax.set_yticks(range(len(ys)), [_short(y) for y in ys])
            ax.set_xticks(range(len(xs)), [_short(x) for x in xs])
            ax.set_ylabel(fill(field_words(factors[1]), 24))
            if max(len(xs), len(ys)) <= NUMBERS:
                _numbers(ax, maps[name], low, high)
        axes[-1].set_xlabel(fill(field_words(factors[0]), 60))
        fig.colorbar(image, ax=axes, pad=0.02, label=label)
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


def design_size(ensemble: Ensemble, ranges: Sequence[FactorRange]) -> int:
    """N of a Sobol' design, which has N (ranges + 2) points for each strategy."""
    return len(ensemble.cases) // len(_strategies(ensemble)) // (len(ranges) + 2)


def wide_line(rows: pd.DataFrame, size: int) -> str:
    """A sentence where the intervals of the indices are so wide that they rank nothing; else ""."""
    widest = float(np.nanmax(rows[["S1_conf", "ST_conf"]].to_numpy(), initial=0.0))
    if widest <= WIDE:
        return ""
    return f"intervals up to ±{widest:.2f}: N = {size} is too small to rank what is close"


def sobol_bars(of_what: str, rows: pd.DataFrame, size: int) -> Figure:
    """First-order and total index of each factor with the interval, a panel per strategy.

    size: N of the design. The factor with the largest total is the first.
    """
    names = list(dict.fromkeys(rows["strategy"]))
    order = rows.groupby("factor")["ST"].max().sort_values(ascending=False).index
    n = len(order)
    tall = 0.95 + len(names) * (0.35 + 0.34 * n)
    fig, axes = panels(len(names), 1, (WIDTH_IN, tall), sharex=True)
    with mpl.rc_context(STYLE):
        title = f"Sobol' indices of {mid_sentence(of_what)}, N = {size}"
        fig.suptitle("\n".join(filter(None, (title, wide_line(rows, size)))), fontsize=8)
        for ax, name in zip(axes, names, strict=True):
            mine = rows[rows["strategy"] == name].set_index("factor").loc[order]
            at = np.arange(n)
            for column, shift, color, hatch, label in (
                ("S1", -0.2, BLUE, "", "first order"),
                ("ST", 0.2, ORANGE, "//", "total"),
            ):
                ax.barh(
                    at + shift, mine[column], 0.38, xerr=mine[f"{column}_conf"], color=color,
                    hatch=hatch, edgecolor="white", error_kw={"lw": 0.8, "capsize": 1.5},
                    label=label,
                )  # fmt: skip
            ax.set_yticks(at, [fill(field_words(factor), LONGEST) for factor in order])
            ax.invert_yaxis()
            ax.grid(False, axis="y")
            ax.axvline(1.0, color="#7A7A7A", ls=":", lw=0.8)
            if len(names) > 1:
                ax.set_title(name, fontsize=7.5)
        axes[-1].set_xlabel("Share of the variance, 95 % interval")
        legend_below(fig, axes[0])
    return fig
