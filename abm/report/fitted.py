"""How near a fit is to the sessions it was made from, as tables and a figure."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from abm.report.figures import BLUE, GREY, STYLE, WIDE_IN, panels
from abm.report.terminal import new_table, print_lines, show
from abm.report.units import number
from abm.sessions.fit import QUANTITIES, Fit

LABELS = {
    "arrival_h": ("Arrival (h of the day)", 24.0, 24),
    "duration_h": ("Plugged in (h)", None, 40),
    "energy_kwh": ("Energy (kWh)", None, 40),
}
# What is drawn of a quantity with a long tail, and how many points of a cloud.
TAIL, CLOUD = 0.99, 800


def print_fit(fit: Fit) -> None:
    """What was chosen, how far off each shape is, and what a fleet drawn from it is like."""
    table = fit.table()
    shapes = list(dict.fromkeys(table["shape"]))
    shown = new_table(
        "Distance of each shape from the sessions, Kolmogorov-Smirnov (chosen: *)",
        ("day", "quantity"), ("sessions", "mean", *shapes),
    )  # fmt: skip
    for (day, quantity), rows in table.groupby(["day", "quantity"], sort=False):
        cells = {}
        for row in rows.to_dict("records"):
            cells[row["shape"]] = number(row["ks"], 3) + ("*" if row["chosen"] else "")
        first = rows.iloc[0]
        values = (f"{first['sessions']:,}", number(first["mean"], 2))
        shown.add_row(str(day), str(quantity), *values, *(cells.get(s, "-") for s in shapes))
    show(shown)
    drawn = new_table(
        "Drawn from the fit, beside the sessions", ("day", "what", "unit"),
        ("measured", "drawn", "KS", "Wasserstein"),
    )  # fmt: skip
    for row in fit.drawn_table().to_dict("records"):
        numbers = (number(row[name], 3) for name in ("measured", "drawn", "ks", "wasserstein"))
        drawn.add_row(str(row["day"]), str(row["what"]), str(row["unit"]), *numbers)
    show(drawn)
    print_lines(
        [
            f"{fit.evs} EVs; each charged {fit.kwh_per_ev_day:.2f} kWh a day, drawn "
            f"{fit.drawn_kwh_per_ev_day:.2f}. 99 of 100 sessions took at most "
            f"{fit.charger_kw:g} kW in the mean: ev.charger_kw."
        ]
    )


def fit_figure(title: str, fit: Fit) -> Figure:
    """Sessions and what is drawn from the fit: each quantity, and duration with energy."""
    days = fit.days
    fig, axes = panels(len(days), 4, (WIDE_IN, 2.0 * len(days) + 0.4))
    rows = fit.drawn_table().to_dict("records")
    of = {(row["day"], row["what"]): row for row in rows}
    with mpl.rc_context(STYLE):
        for at, (kind, day) in enumerate(days.items()):
            row, ends = axes[4 * at : 4 * at + 4], []
            for i, (name, unit) in enumerate(QUANTITIES.items()):
                label, end, bins = LABELS[name]
                data, drawn = day.data[:, i], day.drawn[:, i]
                end = float(np.quantile(data, TAIL)) if end is None else end
                ends.append(end)
                edges = np.linspace(0.0, end, bins + 1).tolist()
                ax = row[i]
                ax.hist(data, edges, density=True, color=GREY, alpha=0.45, label="sessions")
                look: dict[str, Any] = {"histtype": "step", "color": BLUE, "lw": 1.2}
                ax.hist(drawn, edges, density=True, label="drawn from the fit", **look)
                off = of[kind, name]
                ax.set_title(
                    f"{day.names[name]}: KS {off['ks']:.3f}, W {off['wasserstein']:.2f} {unit}",
                    fontsize=6.5,
                )
                ax.set_xlabel(label)
                ax.set_xlim(0.0, end)
                ax.set_yticks([])
            ax = row[3]
            for data, color, marker in ((day.data, GREY, "o"), (day.drawn, BLUE, "x")):
                some = data[:: max(len(data) // CLOUD, 1)]
                ax.plot(some[:, 1], some[:, 2], marker, ms=1.6, mew=0.4, color=color, alpha=0.6)
            ax.set_xlim(0.0, ends[1])
            ax.set_ylim(0.0, ends[2])
            ax.set_xlabel(LABELS["duration_h"][0])
            ax.set_ylabel(LABELS["energy_kwh"][0])
            pair = of[kind, "rank correlation of duration_h and energy_kwh"]
            ax.set_title(
                f"rank correlation {pair['measured']:.2f}, drawn {pair['drawn']:.2f}", fontsize=6.5
            )
            row[0].set_ylabel(f"{kind}s, density")
        fig.suptitle(title, fontsize=8)
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig
