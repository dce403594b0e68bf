"""Figure of the transformers' heat: the hottest of a run, or of each strategy compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.equations import FloatArray
from abm.equations.thermal import RATED_HOT_SPOT_C
from abm.report.figures import (
    GREY,
    SKY,
    STYLE,
    WIDTH_IN,
    clock_axis,
    hour_steps,
    legend_below,
    panels,
    width_for,
)
from abm.report.look import looks_of
from abm.report.season_figures import HOURS, by_the_day, days_label
from abm.results import Results


def heat_figure(title: str, runs: Mapping[str, Results]) -> Figure:
    """Hot spot and load of the hottest transformer of each run.

    By the hour; of a long run by the day, of several long ones how many hours are above each value.
    Of one run the top oil as well. runs: by what the legend calls them, all with temperatures.
    """
    first = next(iter(runs.values()))
    section = first.record.scenario.transformers
    draw: Callable[..., None] = hour_steps
    if by_the_day(first):
        draw = _daily if len(runs) == 1 else _sorted
    fig, (above, below) = panels(2, 1, (width_for(first.n_hours), 3.8), sharex=True)
    with mpl.rc_context(STYLE):
        above.set_title(title)
        looks = looks_of(runs)
        for name, results in runs.items():
            hot_spot, top_oil, load = _hottest(results)
            look: dict[str, Any] = {**looks[name].line, "lw": 1.0}
            known = "" if np.isfinite(hot_spot).all() else ": not known, not converged"
            if len(runs) == 1:
                draw(above, top_oil, color=SKY, lw=1.0, ls="--", label="top oil")
                name = "hot spot"
            draw(above, hot_spot, label=f"{name}{known}", **look)
            draw(below, 100.0 * load, **look)
        for limit, ls in ((RATED_HOT_SPOT_C[section.paper], ":"), (section.hot_spot_limit_c, "-.")):
            label = f"{limit:g} degC: " + ("rated pace of ageing" if ls == ":" else "limit")
            above.axhline(limit, color=GREY, ls=ls, lw=0.8, label=label)
        below.axhline(100.0, color=GREY, ls=":", lw=0.8)
        grain = "day" if draw is _daily else "hour"
        above.set_ylabel(f"Temperature, highest\nof the {grain} (degC)")
        of = "highest hour of\nthe day" if draw is _daily else "mean of\nthe hour"
        below.set_ylabel(f"Load, {of} (% of rating)")
        below.set_ylim(bottom=0.0)
        if draw is _daily:
            below.set_xlim(0.5, first.n_hours // HOURS + 0.5)
            below.set_xlabel(days_label(first))
        elif draw is _sorted:
            below.set_xscale("log")
            below.set_xlim(1, first.n_hours)
            below.xaxis.set_major_formatter("{x:,.0f}")
            below.set_xlabel(f"Hours with as much or more, of {first.n_hours:,} (h)")
        else:
            clock_axis(below, first.clock_hours)
    fig.align_ylabels([above, below])
    legend_below(fig, above, 2 if width_for(first.n_hours) == WIDTH_IN else 4)
    return fig


def _hottest(results: Results) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Hot spot, top oil [degC] and load [p.u.] of the transformer that gets hottest, (H,) each."""
    heat = results.record.heat
    assert heat is not None
    hot_spot = heat.hot_spot_c.reshape(results.n_hours, -1)
    at = int(np.nan_to_num(hot_spot, nan=-np.inf).max(axis=0).argmax())
    top_oil, load = (
        values.reshape(results.n_hours, -1)[:, at] for values in (heat.top_oil_c, heat.load)
    )
    return hot_spot[:, at], top_oil, load


def _daily(axes: Axes, values: FloatArray, **look: Any) -> None:
    """The highest hour of each day."""
    of_day = values.reshape(-1, HOURS).max(axis=1)
    axes.plot(np.arange(1, len(of_day) + 1), of_day, **look)


def _sorted(axes: Axes, values: FloatArray, **look: Any) -> None:
    """All hours from the highest to the lowest; those that are not known come last."""
    axes.plot(np.arange(1, len(values) + 1), -np.sort(-values), **look)
