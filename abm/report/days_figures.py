"""Days in a row: how they differ, and where they lead to."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from abm.equations import FloatArray
from abm.report.figures import BLACK, BLUE, GREEN, GREY, ORANGE, STYLE, WIDTH_IN, limit_line
from abm.results import Results
from abm.results.days import days_together

# Up to so many days each has a mark and the letters of its weekday.
FEW_DAYS = 10
PANELS = (
    ("v2g_share", 100.0, "Take part\nin V2G (%)", BLUE),
    ("system_peak_mw", 1.0, "Highest demand\n(MW)", BLACK),
    ("energy_short_kwh", 1e-3, "Missing on\ndeparture (MWh)", ORANGE),
    ("net_cost_usd", 1.0, "Net cost\n($)", GREEN),
)


def days_figure(title: str, results: Results) -> Figure:
    """Share of V2G, highest demand, missing energy and net cost of every day; weekends in grey."""
    table = days_together(results)
    day = table["day"].to_numpy()
    weekend = table["weekday"].isin(("saturday", "sunday")).to_numpy()
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(WIDTH_IN, 4.4), layout="constrained")
        FigureCanvasAgg(fig)
        panels = fig.subplots(len(PANELS), 1, sharex=True)
        fig.suptitle(title, fontsize=8)
        for axes, (name, factor, label, color) in zip(panels, PANELS, strict=True):
            values = factor * table[name].to_numpy(dtype=np.float64)
            mark = "o" if len(day) <= FEW_DAYS else None
            # Above the frame: a line along zero would vanish behind it.
            look = {"color": color, "marker": mark, "ms": 2.5, "lw": 1.2}
            axes.plot(day, values, clip_on=False, zorder=3, **look)
            for number in day[weekend]:
                axes.axvspan(number - 0.5, number + 0.5, color="#ECECEC", lw=0, zorder=0)
            axes.set_ylabel(label)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            if name == "v2g_share":
                axes.yaxis.set_major_locator(FixedLocator([0, 25, 50, 75, 100]))
                axes.set_ylim(0.0, 105.0)
            elif name == "system_peak_mw":
                _limit(axes, values, results)
            else:
                top = 1.1 * float(values.max(initial=0.0))
                axes.set_ylim(0.0 if values.min() >= 0.0 else None, top if top > 0.0 else 1.0)
        axes = panels[-1]
        axes.set_xlim(0.5, day[-1] + 0.5)
        if len(day) <= FEW_DAYS:
            axes.xaxis.set_major_locator(FixedLocator([int(number) for number in day]))
            axes.set_xticklabels(
                [f"{n}\n{word[:3].title()}" for n, word in zip(day, table["weekday"], strict=True)]
            )
        axes.set_xlabel("Day" + (" (grey: Saturday, Sunday)" if weekend.any() else ""))
        fig.align_ylabels(panels)
    return fig


def _limit(axes: Axes, values: FloatArray, results: Results) -> None:
    """The demand limit, of all feeders together, with room for it and its name."""
    limit = results.n_feeders * results.record.scenario.grid.demand_limit_mw
    limit_line(axes, limit)
    low, high = min(float(values.min()), limit), max(float(values.max()), limit)
    # A tenth at least: rounding to whole chargers is not to look like a mountain.
    span = max(high - low, 0.1 * high)
    axes.set_ylim(low - 0.3 * span, high + 0.6 * span)
    axes.legend(loc="upper right", labelcolor=GREY)
