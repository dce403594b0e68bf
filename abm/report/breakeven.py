"""What V2G is worth, as a table and a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from abm.report.figures import BLACK, GREY, STYLE, WIDE_IN, panels
from abm.report.look import looks_of
from abm.report.terminal import new_table, print_lines, show
from abm.report.units import number, scaled
from abm.results.indicators import kpi_label
from abm.scenario import Scenario
from abm.study.breakeven import Worth

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "v2g_mwh": ("V2G\nMWh", 2),
    "sale_usd": ("earns\n$", 0),
    "more_purchase_usd": ("buys\nmore $", 0),
    "missing_usd": ("missing\n$", 0),
    "more_ageing_usd": ("ageing\n$", 0),
    "worth_usd": ("worth\n$", 0),
    "least_sale_ratio": ("least sale\nratio", 2),
    "most_pack_usd_per_kwh": ("dearest pack\n$/kWh", 0),
}
# What is drawn of the sale ratio at least, and of the price of a pack as a multiple.
RATIOS, PACKS = 1.5, 3.0


def print_break_even(scenario: Scenario, table: pd.DataFrame, names: Sequence[str]) -> None:
    """One row per strategy that uses V2G, and which do not."""
    ageing = scenario.ageing
    title = f"What V2G is worth, ageing by {ageing.model} at {ageing.pack_usd_per_kwh:g} $/kWh"
    more = [name for name in table.columns if name not in ("strategy", *COLUMNS)]
    columns = COLUMNS | {
        name: (kpi_label(name).replace(" (", "\n("), scaled(name, small=False)[0]) for name in more
    }
    shown = new_table(title, ("strategy",), [header for header, _ in columns.values()])
    for row in table.to_dict("records"):
        values = {name: number(row[name], digits) for name, (_, digits) in columns.items()}
        most = row["most_pack_usd_per_kwh"]
        if most is None or math.isnan(most):
            values["most_pack_usd_per_kwh"] = "any" if row["worth_usd"] > 0.0 else "none"
        elif most < 0.0:
            values["most_pack_usd_per_kwh"] = "none"
        shown.add_row(str(row["strategy"]), *values.values())
    if len(table):
        show(shown)
    used = set(table["strategy"]) if len(table) else set()
    without = [name for name in names if name not in used]
    print_lines([f"Without V2G: {', '.join(without)}."] if without else [])


def break_even_figure(scenario: Scenario, found: Mapping[str, Worth]) -> Figure:
    """Worth of V2G over the sale ratio and over the price of a pack, a line per strategy."""
    fig, (left, right) = panels(1, 2, (WIDE_IN, 3.0), sharey=True)
    pack, ratio = scenario.ageing.pack_usd_per_kwh, scenario.tariff.sale_ratio
    ratios = np.array([0.0, max(RATIOS, 1.2 * ratio)])
    packs = np.array([0.0, PACKS * max(pack, 50.0)])
    with mpl.rc_context(STYLE):
        looks = looks_of(found)
        for name, worth in found.items():
            look, color = looks[name].line, looks[name].color
            left.plot(ratios, [worth.at(sale_ratio=float(x)) for x in ratios], label=name, **look)
            right.plot(packs, [worth.at(pack_usd_per_kwh=float(x)) for x in packs], **look)
            for ax, end, zero in (
                (left, ratios[1], worth.least_sale_ratio),
                (right, packs[1], worth.most_pack_usd_per_kwh),
            ):
                if zero is not None and 0.0 <= zero <= end:
                    ax.plot(zero, 0.0, marker="o", ms=4, color=color, clip_on=False, zorder=3)
        for ax, now in ((left, ratio), (right, pack)):
            ax.axhline(0.0, color=BLACK, lw=0.6)
            ax.axvline(now, color=GREY, ls=":", lw=1.0)
            ax.annotate("scenario", (now, 1.0), (2, -8), xycoords=("data", "axes fraction"),
                        textcoords="offset points", fontsize=6.5, color=GREY)  # fmt: skip
            ax.margins(x=0.0)
        left.set_title(f"at {pack:g} $/kWh of pack")
        right.set_title(f"at a sale ratio of {ratio:g}")
        left.set_xlabel("Sale price over purchase price (-)")
        right.set_xlabel("Price of a pack ($/kWh)")
        left.set_ylabel("V2G is worth, all owners ($)")
        fig.suptitle(
            f"Where V2G stops paying: {scenario.name}, {scenario.ageing.model}", fontsize=8
        )
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return fig
