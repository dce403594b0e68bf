"""The demand of the EVs step by step, where a run swings: what a mean of 15 minutes hides."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from abm.report.figures import BLACK, GRAIN_MIN, GREY, STYLE, WIDE_IN, figure, hour_steps
from abm.report.labels import name_curves
from abm.report.look import look_of
from abm.results import Results
from abm.results.emergence import oscillation

# What counts as a swing: faster than this, and this part of the highest demand at least.
SLOWEST_MIN, LEAST_SHARE = 120.0, 0.03
# Periods that are shown, and minutes at least.
PERIODS, LEAST_MIN = 8, 180.0


def swings(results: Results) -> bool:
    """Whether the EVs of one feeder swing together, within a few broadcasts."""
    if results.n_feeders > 1:
        return False
    period, amplitude_mw = _cycle(results)
    highest = float(results.record.demand_mw(GRAIN_MIN).max())
    return bool(period <= SLOWEST_MIN and amplitude_mw >= LEAST_SHARE * highest)


def _cycle(results: Results) -> tuple[float, float]:
    """Period [min] and amplitude [MW] as the KPIs have them, without a load flow; NaN for none."""
    record = results.record
    period, kw = oscillation(record.ev_kw[:, 0], record.scenario.clock.step_s / 60.0)
    return period, kw / 1e3


def swing_figure(label: str, results: Results) -> Figure:
    """EV power by the step and the room below the limit, where it swings most.

    label: of the strategy. Raises ValueError for a run that does not swing.
    """
    if not swings(results):
        raise ValueError("a run that does not swing has no cycle to show")
    record = results.record
    step_min = record.scenario.clock.step_s / 60.0
    power = record.ev_kw[:, 0] / 1e3
    period, amplitude_mw = _cycle(results)
    span = min(round(max(PERIODS * period, LEAST_MIN) / step_min), len(power))
    first = _wildest(power, span)
    hours = (first + np.arange(span + 1)) * step_min / 60.0
    fig, axes = figure(
        f"{record.scenario.name}, {label}: the EVs swing by "
        f"{amplitude_mw:.2f} MW about their mean every {period:.0f} min",
        height_in=2.4,
        width_in=WIDE_IN,
    )
    with mpl.rc_context(STYLE):
        axes.stairs(
            power[first : first + span], hours, baseline=None, color=look_of(label).color, lw=1.2,
            label="EVs, net",
        )  # fmt: skip
        room = record.limit_mw() - results.base_mw
        hour_steps(axes, room, results.n_hours, color=BLACK, ls="--", lw=1.0,
                   label="limit less demand without EVs")  # fmt: skip
        axes.axhline(0.0, color=GREY, lw=0.6)
        axes.set_xlim(hours[0], hours[-1])
        start = int(results.clock_hours[0])
        axes.xaxis.set_major_locator(MultipleLocator(1.0))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{(start + x) % 24:.0f}:00"))
        axes.margins(y=0.12)
        axes.set_ylabel(f"Power of each {step_min:g} min (MW)")
        axes.set_xlabel("Time of day (h:min)")
        name_curves(fig, axes)
    return fig


def _wildest(power: np.ndarray[tuple[int], np.dtype[np.float64]], span: int) -> int:
    """First step of the span in which power varies most from one step to the next."""
    change = np.abs(np.diff(power, prepend=power[:1]))
    total = np.concatenate([[0.0], np.cumsum(change)])
    return int(np.argmax(total[span:] - total[:-span]))
