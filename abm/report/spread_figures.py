"""Figures of replications: how far demand and KPIs spread, and how sure their means are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from abm.equations import FloatArray
from abm.report.figures import (
    BLACK,
    GREY,
    STYLE,
    WIDE_IN,
    WIDTH_IN,
    clock_axis,
    from_zero,
    legend_of,
    limit_line,
    panels,
)
from abm.report.look import Look, looks_of
from abm.report.sentences import count
from abm.results.indicators import kpi_label
from abm.study.ensemble import Ensemble
from abm.study.replications import LEADING_BAND
from abm.study.statistics import running_half_width

if TYPE_CHECKING:
    import pandas as pd

SHOWN = ("peak_15min_mw", "min_vm_pu", "net_cost_usd")
# More than this have no room beside each other.
MOST_SHOWN = 4
BINS = 25
# Of fewer replications than this each has a mark: a line of one point is none.
FEW = 10
# Values that differ by a smaller part of their mean than this are alike: solver, rounding, and the
# last charger that fits. They are said, not drawn; and no histogram shows less than twice as much.
ALIKE = 1e-3


# --- demand ---------------------------------------------------------------------------------------


def fan_chart(ensemble: Ensemble, bands: pd.DataFrame) -> Figure:
    """System demand of each strategy: mean, half of the replications, nine tenths of them.

    Below each the bands less the mean, on a scale of their own: demand is so much larger than what
    it differs by that they could not be seen.
    """
    cases, found = ensemble.cases, bands[bands["quantity"] == LEADING_BAND]
    columns = len(cases) if len(cases) <= 3 else (2 if len(cases) == 4 else 3)
    rows = math.ceil(len(cases) / columns)
    size = (WIDTH_IN if columns == 1 else WIDE_IN, 0.8 + 2.3 * rows)
    fig, axes = panels(2 * rows, columns, size, sharex=True, height_ratios=[1.5, 1.0] * rows)
    looks = looks_of(map(str, cases))
    widest = 0.0
    pairs: list[tuple[Axes, Axes]] = []
    with mpl.rc_context(STYLE):
        title = f"System demand, {count(ensemble.n, 'replication')}: {cases[0].scenario.name}"
        fig.suptitle(title, fontsize=8)
        for at in range(rows * columns):
            row, column = divmod(at, columns)
            above, below = (axes[(2 * row + i) * columns + column] for i in (0, 1))
            if at >= len(cases):
                above.set_visible(False)
                below.set_visible(False)
                continue
            pairs.append((above, below))
            case = cases[at]
            band = found[found["strategy"] == case.labels["strategy"]]
            look = looks[str(case)]
            above.set_title(str(case), fontsize=7.5, color=look.ink)
            if not len(band):
                above.text(0.5, 0.5, "no values", transform=above.transAxes, ha="center")
                continue
            mean = band["mean"].to_numpy()
            edges = np.linspace(0, band["hour_index"].max() + 1, len(band) + 1)
            _bands(above, edges, band, np.zeros_like(mean), look)
            above.stairs(mean, edges, baseline=None, color=look.color, lw=1.0)
            hours_s = np.arange(case.scenario.hours) * 3600
            limit_line(above, case.scenario.demand_limit.mean(hours_s, 3600)[:, 0])
            _bands(below, edges, band, mean, look)
            spread = band[["q05", "q95"]].to_numpy() - mean[:, None]
            widest = max(widest, float(np.nanmax(np.abs(spread), initial=0.0)))
            below.axhline(0.0, color=look.color, lw=0.8)
            if not spread.any():
                said = "alike in all replications"
                below.text(0.5, 0.6, said, transform=below.transAxes, ha="center", fontsize=6.5)
            clock_axis(below, band["hour"][band["minute"] == 0].to_numpy(), most_ticks=7)
            last = at >= len(cases) - columns
            below.tick_params(labelbottom=last)
            if not last:
                below.set_xlabel("")
            if column == 0:
                above.set_ylabel("Mean of 15 min\n(MW)")
                below.set_ylabel("less the mean\n(MW)")
        _same_scales(pairs, widest)
        fig.align_ylabels(axes)
    shades = [
        mpl.patches.Patch(color=GREY, alpha=alpha, lw=0, label=label) for alpha, label in SHADES
    ]
    handles = [*shades, Line2D([], [], color=GREY, lw=1.2)]
    labels = [*(label for _, label in SHADES), "mean"]
    legend_of(fig, handles, labels, 3)
    return fig


SHADES = ((0.3, "5 to 95 % of replications"), (0.6, "25 to 75 %"))


def _bands(ax: Axes, edges: FloatArray, band: pd.DataFrame, less: FloatArray, look: Look) -> None:
    """Nine tenths and half of the replications, less a value for each step."""
    for (low, high), (alpha, _) in zip((("q05", "q95"), ("q25", "q75")), SHADES, strict=True):
        low_y, high_y = (
            np.append(v, v[-1:]) for v in (band[name].to_numpy() - less for name in (low, high))
        )
        ax.fill_between(edges, low_y, high_y, step="post", color=look.color, alpha=alpha, lw=0)


def _same_scales(pairs: list[tuple[Axes, Axes]], widest: float) -> None:
    """One scale for all demands from 0, and one for all that is less the mean."""
    from_zero([above for above, _ in pairs], 1.0)
    for _, below in pairs:
        below.set_ylim(*(np.array([-1.1, 1.1]) * (widest or 1.0)))
        below.yaxis.set_major_locator(MaxNLocator(4))


# --- KPIs -----------------------------------------------------------------------------------------


def distributions(ensemble: Ensemble, shown: Sequence[str] = SHOWN) -> Figure:
    """How KPIs spread over the replications: of one strategy histograms, of several side by side.

    Several share the scale of a KPI, so that what differs between seeds is seen beside what differs
    between strategies.
    """
    kpis, title = _known(f"Distributions over {count(ensemble.n, 'replication')}", ensemble, shown)
    looks = looks_of(map(str, ensemble.cases))
    n_cases = len(ensemble.cases)
    tall = 2.2 if n_cases == 1 else 1.1 + 0.26 * n_cases
    fig, axes = panels(1, max(len(kpis), 1), (WIDE_IN, tall), sharey=n_cases > 1)
    with mpl.rc_context(STYLE):
        fig.suptitle(title, fontsize=8)
        for ax, kpi in zip(axes, kpis, strict=False):
            rows = [row[np.isfinite(row)] for row in ensemble.values(kpi)]
            ax.set_xlabel(kpi_label(kpi, ensemble.flow_min).replace(", ", ",\n"))
            if n_cases == 1:
                histogram(ax, rows[0], next(iter(looks.values())).color)
            else:
                _strips(ax, rows, list(looks.values()))
        if not kpis:
            axes[0].text(0.5, 0.5, "no values", transform=axes[0].transAxes, ha="center")
        elif n_cases == 1:
            axes[0].set_ylabel(f"{ensemble.cases[0]}\nreplications (%)")
    if n_cases > 1 and kpis:
        key: dict[str, Any] = {"color": GREY, "solid_capstyle": "butt"}
        handles = [
            Line2D([], [], lw=1.0, **key), Line2D([], [], lw=4.0, **key),
            Line2D([], [], ls="", marker="|", color=BLACK, ms=7),
        ]  # fmt: skip
        legend_of(fig, handles, ["5 to 95 %", "25 to 75 %", "mean"], 3)
    return fig


def _known(title: str, ensemble: Ensemble, shown: Sequence[str]) -> tuple[list[str], str]:
    """KPIs with any value, and a title that names those without."""
    kpis = [kpi for kpi in shown if kpi in ensemble.measures]
    known = [kpi for kpi in kpis if np.isfinite(ensemble.values(kpi)).any()]
    lines = [f"{kpi_name(kpi, ensemble)}: not known" for kpi in kpis if kpi not in known]
    return known, "\n".join([title, *lines])


def alike(values: FloatArray) -> str:
    """Between which two values all are, where these are alike; "" where they are not."""
    low, high = float(values.min()), float(values.max())
    if high - low > ALIKE * max(abs(low), abs(high)):
        return ""
    ends = f"{low:.5g}" if f"{low:.5g}" == f"{high:.5g}" else f"{low:.5g} to {high:.5g}"
    exact = high - low <= 1e-9 * max(abs(low), abs(high))
    return f"all {ends}" if exact else f"alike within {100.0 * ALIKE:g} %:\n{ends}"


def histogram(ax: Axes, values: FloatArray, color: str, whole: float = 100.0) -> None:
    """Values as shares of `whole`, with their mean; said in words where they are all alike."""
    ax.set_yticks([])
    if not len(values) or (said := alike(values)):
        said = said if len(values) else "no values"
        ax.text(0.5, 0.5, said, transform=ax.transAxes, ha="center", va="center")
        ax.set_xticks([])
        return
    low, high = float(values.min()), float(values.max())
    span = max(high - low, 2.0 * ALIKE * max(abs(low), abs(high)))
    middle = 0.5 * (low + high)
    bins = min(BINS, math.ceil(2.0 * len(values) ** (1 / 3)))
    edges = middle + span * np.linspace(-0.5, 0.5, bins + 1)
    share = whole * np.histogram(values, edges)[0] / len(values)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.stairs(share, edges, color=color, alpha=0.3, fill=True)
    ax.stairs(share, edges, color=color, lw=1.0)
    mean = float(values.mean())
    ax.axvline(mean, color=BLACK, lw=0.8, ls="--")
    ax.set_title(f"mean {mean:.5g}", fontsize=7)
    ax.set_ylim(0.0, None)
    few_ticks(ax)


def few_ticks(ax: Axes) -> None:
    """Ticks along x that have room for their numbers, written out."""
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.ticklabel_format(axis="x", useOffset=False)


def _strips(ax: Axes, rows: list[FloatArray], looks: list[Look]) -> None:
    """A row for each strategy: nine tenths, half and mean of its values on a common scale."""
    known = np.concatenate(rows)
    for at, (values, look) in enumerate(zip(rows, looks, strict=True)):
        if not len(values):
            continue
        ends = np.quantile(values, [0.05, 0.25, 0.75, 0.95])
        key: dict[str, Any] = {"color": look.color, "solid_capstyle": "butt"}
        ax.plot(ends[[0, 3]], [at, at], lw=1.0, **key)
        ax.plot(ends[[1, 2]], [at, at], lw=4.0, alpha=0.6, **key)
        ax.plot(values.mean(), at, marker="|", color=BLACK, ms=7)
    ax.set_yticks(range(len(looks)), [look.label for look in looks])
    ax.set_ylim(len(looks) - 0.5, -0.5)
    ax.grid(False, axis="y")
    if len(known):
        low, high = float(known.min()), float(known.max())
        span = max(high - low, 2.0 * ALIKE * max(abs(low), abs(high)), 1e-9)
        ax.set_xlim(0.5 * (low + high) - 0.56 * span, 0.5 * (low + high) + 0.56 * span)
    few_ticks(ax)


def convergence(ensemble: Ensemble, shown: Sequence[str] = SHOWN) -> Figure:
    """Half-width of the 95 % interval, in % of the mean, by number of replications."""
    kpis, title = _known("Half-width of the mean's 95 % interval", ensemble, shown)
    rows = max(len(kpis), 1)
    fig, axes = panels(rows, 1, (WIDTH_IN, 0.8 + 1.35 * rows), sharex=True)
    n = np.arange(1, ensemble.n + 1)
    looks = looks_of(map(str, ensemble.cases))
    with mpl.rc_context(STYLE):
        fig.suptitle(title, fontsize=8)
        for ax, kpi in zip(axes, kpis, strict=False):
            for row, look in zip(ensemble.values(kpi), looks.values(), strict=True):
                half, mean = running_half_width(row)
                share = np.full(len(n), np.nan)
                np.divide(100.0 * half, np.abs(mean), out=share, where=np.abs(mean) > 0)
                share[:3] = np.nan  # of two or three values it says nothing and dwarfs the rest
                share[share < 1e-4] = np.nan  # no spread at all has no place on this scale
                ax.plot(n, share, **look.line, lw=1.1, marker="." if ensemble.n < FEW else "")
            ax.set_title(kpi_name(kpi, ensemble), fontsize=7.5)
            ax.set_ylabel("% of mean")
            _log_log(ax, ensemble.n)
        axes[-1].set_xlabel("Replications")
    lines = [Line2D([], [], **look.line) for look in looks.values()]
    legend_of(fig, lines, list(looks), 3)
    return fig


def _log_log(ax: Axes, n: int) -> None:
    ax.set_yscale("log")
    if n > 10:
        ax.set_xscale("log")
        ax.set_xlim(4, n)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axis in (ax.xaxis, ax.yaxis):
        if axis is ax.yaxis or n > 10:
            low, high = axis.get_view_interval()
            # Within a decade or two every 1, 2 and 5; over more the powers of ten.
            steps = (1.0, 2.0, 5.0) if high < 120.0 * max(low, 1e-12) else (1.0,)
            axis.set_major_locator(LogLocator(subs=steps, numticks=8))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def kpi_name(kpi: str, ensemble: Ensemble) -> str:
    """What a KPI is called, without its unit."""
    return kpi_label(kpi, ensemble.flow_min).partition(" (")[0]
