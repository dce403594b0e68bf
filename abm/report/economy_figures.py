"""Figures of what energy costs and of what it does to the batteries."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from abm.fleet.cycles import BINS
from abm.report.figures import (
    BLACK,
    BLUE,
    GRAIN_MIN,
    GREEN,
    GREY,
    ORANGE,
    POWER,
    STYLE,
    WIDTH_IN,
    clock_axis,
    hour_steps,
    panels,
    width_for,
)
from abm.results import Results


def has_parts(results: Results) -> bool:
    """Whether the tariff has more than a price by the hour and a sale ratio."""
    scenario = results.record.scenario
    tariff, prices = scenario.tariff, scenario.inputs.prices
    more = prices.follows or prices.has_fee or prices.has_tax or prices.sale is not None
    return bool(more or tariff.time_of_use or prices.step_s < 3600)


def prices_figure(title: str, results: Results) -> Figure:
    """What a kWh costs and earns over the horizon, and the demand beside it."""
    record, n_hours = results.record, results.n_hours
    fig, (above, below) = panels(2, 1, (width_for(n_hours), 3.6), sharex=True)
    with mpl.rc_context(STYLE):
        above.set_title(f"Prices: {title}")
        several = f", mean of {record.n_feeders} feeders" if record.n_feeders > 1 else ""
        prices = record.prices
        curves = [(prices.buy, BLUE, "-", "bought"), (prices.sell, ORANGE, "--", "sold")]
        if (prices.buy != prices.alpha).any():
            curves.append((prices.alpha, GREY, ":", "bought, energy alone"))
        for values, color, style, label in curves:
            hour_steps(above, values.mean(axis=1), n_hours, color=color, ls=style, label=label)
        above.set_ylabel("Price ($/kWh)")
        demand = record.demand_mw(GRAIN_MIN).mean(axis=1)
        base = record.base_demand_mw(GRAIN_MIN).mean(axis=1)
        hour_steps(below, demand, n_hours, color=BLUE, label="with EVs")
        hour_steps(below, base, n_hours, color=BLACK, ls="--", lw=1.0, label="without EVs")
        below.set_ylabel(f"{POWER}{several}")
        clock_axis(below, results.clock_hours)
        for ax in (above, below):
            ax.legend(loc="upper center", ncols=3)
            ax.margins(y=0.2)
    return fig


def ageing_figure(title: str, results: Results) -> Figure:
    """Cycles of all EVs by their depth, and how much capacity each EV loses in a year."""
    record, ageing = results.record, results.record.ageing
    fig, (above, below) = panels(2, 1, (WIDTH_IN, 3.8))
    with mpl.rc_context(STYLE):
        above.set_title(f"Batteries: {title}")
        here = np.isfinite(ageing.loss_per_year) & (record.ev["cycles"] > 0.0)
        days = record.n_hours / 24.0
        per_day = record.ev["cycles_by_depth"][here].sum(axis=0) / days / max(here.sum(), 1)
        above.bar((np.arange(BINS) + 0.5) * 10, per_day, width=9.0, color=BLUE)
        above.set_xlabel("Depth of a rainflow cycle (%)")
        above.set_ylabel("Cycles per EV and day")
        loss = 100.0 * ageing.loss_per_year[here]
        if len(loss):
            below.hist(loss, bins=25, color=GREEN)
            middle = float(np.median(loss))
            below.axvline(middle, color=BLACK, ls=":", lw=1.2, label=f"median {middle:.3g} %")
            below.legend()
        below.set_xlabel(f"Capacity lost in a year, {record.scenario.ageing.model} (%)")
        below.set_ylabel("EVs")
    return fig
