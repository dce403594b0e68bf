"""Figures of many days, where an hour is less than a hair's breadth: by day, and day by hour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from abm.report.figures import (
    BLUE,
    GRAIN_MIN,
    ORANGE,
    POWER,
    STYLE,
    WIDE_IN,
    figure,
    legend_below,
    limit_line,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from abm.results import Results

# Days from which on figures are by the day.
MANY_DAYS = 60
HOURS = 24


def by_the_day(results: Results) -> bool:
    """Whether a run is so long that its figures are by the day."""
    return results.n_hours >= MANY_DAYS * HOURS and results.n_hours % HOURS == 0


def season_figure(title: str, results: Results, limit_mw: float | None = None) -> Figure:
    """Lowest to highest system and EV demand of every day of one run."""
    record, days = results.record, results.n_hours // HOURS
    fig, axes = figure(title, width_in=WIDE_IN)
    day = np.arange(1, days + 1)
    curves = (
        ("system", record.demand_mw(GRAIN_MIN)[:, 0], BLUE),
        ("EVs, net", record.ev_power_mw(GRAIN_MIN)[:, 0], ORANGE),
    )
    for label, values, color in curves:
        of_day = values.reshape(days, -1)
        low, high = of_day.min(axis=1), of_day.max(axis=1)
        axes.fill_between(day, low, high, color=color, alpha=0.3, lw=0, label=f"{label}, range")
        axes.plot(day, of_day.mean(axis=1), color=color, lw=1.0, label=f"{label}, mean of the day")
    limit = record.limit_mw() if limit_mw is None else np.atleast_1d(limit_mw)
    limit_line(axes, limit if (limit == limit[0]).all() else limit.reshape(days, -1).min(axis=1))
    axes.set_xlim(1, days)
    axes.set_ylabel(POWER)
    axes.set_xlabel(days_label(results))
    legend_below(fig, axes, 5)
    return fig


def carpet_figure(title: str, results: Results) -> Figure:
    """Net EV power by day and hour of the horizon's days, as a map of colours [MW]."""
    days = results.n_hours // HOURS
    values: np.ndarray[Any, Any] = results.ev_mw.reshape(days, HOURS).T
    fig, axes = figure(title, width_in=WIDE_IN)
    top = float(np.abs(values).max(initial=0.0)) or 1.0
    first = int(results.clock_hours[0])
    with mpl.rc_context(STYLE):
        image = axes.imshow(
            values,
            aspect="auto",
            origin="lower",
            interpolation="nearest",
            cmap="PuOr_r",
            extent=(0.5, days + 0.5, 0, HOURS),
            vmin=-top,
            vmax=top,
        )
        axes.grid(False)
        ticks = range(0, HOURS + 1, 6)
        axes.set_yticks(ticks, [f"{(first + hour) % HOURS}:00" for hour in ticks])
        axes.set_ylabel("Hour, by the clock of the first day")
        axes.set_xlabel(days_label(results))
        fig.colorbar(image, ax=axes, label="MW", pad=0.02)
    return fig


def days_label(results: Results) -> str:
    """What the axis of the days is called."""
    calendar, first = results.record.scenario.calendar, int(results.clock_hours[0])
    since = f" from {calendar.date_of(0).isoformat()}" if calendar.dated else ""
    # Where the clock jumps, the hours of a day are those of its beginning.
    return f"Day{since}, each from {first}:00 on"
