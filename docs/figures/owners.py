"""The numbers and the figure of docs/owners.md: `python docs/figures/owners.py`, half a minute.

Ten feeders (seeds 1 to 10) of each scenario run side by side in one model.
"""

from __future__ import annotations

import sys
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from _common import ROOT, SMOKE, few, load, options, output
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from abm import V2GModel
from abm.report.figures import BLUE, GREEN, ORANGE, STYLE, WIDE_IN, limit_line, save
from abm.results import Results

SEEDS = few(range(1, 11))
ENDINGS = (
    ("spreads: as it stands", {}, BLUE, "-"),
    ("collapses: sale_ratio 0.6", {"tariff.sale_ratio": 0.6}, ORANGE, "--"),
    ("stays at half: strategy evms", {"strategy": "evms"}, GREEN, "-."),
)
KPIS = {
    "system_peak_mw": ("peak, MW", 3),
    "ev_discharged_mwh": ("V2G, MWh", 2),
    "evs_short": ("short", 0),
    "energy_short_kwh": ("missing, kWh", 0),
    "net_cost_usd": ("net cost, $", 0),
}


def run(name: str, **changes: Any) -> Results:
    """All seeds of a scenario."""
    scenario = load(name, **changes)
    if SMOKE and scenario.horizon.days > 7:
        scenario = scenario.override({"horizon.days": 3})
    return V2GModel(scenario, seed=SEEDS).run().results


def adoption() -> dict[str, Results]:
    """Draw the three endings of `v2g_adoption`, print where they are on the last day."""
    endings = {label: run("v2g_adoption", **changes) for label, changes, _, _ in ENDINGS}
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(WIDE_IN, 2.8), layout="constrained")
        FigureCanvasAgg(fig)
        shares, peaks = fig.subplots(1, 2)
        for (label, results), (_, _, color, style) in zip(endings.items(), ENDINGS, strict=True):
            for axes, column, factor in (
                (shares, "v2g_share", 100.0),
                (peaks, "system_peak_mw", 1),
            ):
                days = factor * results.days.pivot(index="day", columns="feeder", values=column)
                axes.fill_between(
                    days.index, days.min(axis=1), days.max(axis=1), color=color, alpha=0.2, lw=0
                )
                axes.plot(days.index, days.mean(axis=1), color=color, ls=style, label=label)
                axes.set_xlabel("Day")
                axes.set_xlim(1, days.index[-1])
                axes.set_xticks([1, 5, 10, 15, 20, 25, 30])
        shares.set_ylabel("Owners who take part in V2G (%)")
        shares.set_ylim(0, 102)
        peaks.set_ylabel("Highest demand of the day (MW)")
        limit_line(peaks, load("v2g_adoption").grid.demand_limit_mw)
        handles, labels = peaks.get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=4)
        fig.suptitle(
            f"v2g_adoption: three endings; mean and range of {len(SEEDS)} seeds", fontsize=8
        )
    save(fig, output(ROOT / "docs" / "img") / "owners_adoption.png")
    for label, results in endings.items():
        last = results.days[results.days["day"] == results.record.n_days]
        share, peak = 100.0 * last["v2g_share"], last["system_peak_mw"]
        cost, short = last["net_cost_usd"], last["energy_short_kwh"]
        print(
            f"{label}: day 30 {share.mean():.0f} % ({share.min():.0f} to {share.max():.0f}), peak "
            f"{peak.mean():.2f} MW, net cost {cost.mean():.0f} $, missing {short.mean():.0f} kWh"
        )
    return endings


def row(label: str, results: Results) -> str:
    """A line of the table: mean and standard deviation over the seeds."""
    cells = []
    for kpi, (_, digits) in KPIS.items():
        values = results.kpi_columns[kpi].astype(np.float64)
        cells.append(f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}")
    return f"| {label} | " + " | ".join(cells) + " |"


def one_day() -> None:
    """Print the scenarios of one day beside those that they change."""
    print("| scenario | " + " | ".join(label for label, _ in KPIS.values()) + " |")
    print("| --- |" + " ---: |" * len(KPIS))
    guaranteed = {"strategy": "evms_guaranteed"}
    for label, name, changes in (
        ("`paper_balanced`", "paper_balanced", {}),
        ("`range_anxiety`", "range_anxiety", {}),
        ("`boost_override`", "boost_override", {}),
        ("`paper_balanced`, `evms_guaranteed`", "paper_balanced", guaranteed),
        ("`early_birds` (`evms_guaranteed`)", "early_birds", {}),
        ("`early_birds`, `uncoordinated`", "early_birds", {"strategy": "uncoordinated"}),
        ("`early_birds`, `evms`", "early_birds", {"strategy": "evms"}),
    ):
        results = run(name, **changes)
        print(row(label, results))
        if name == "range_anxiety":
            groups = results.groups.set_index("group")
            per_ev = groups[["discharged_kwh", "net_cost_usd", "benefit_usd"]].div(
                groups["evs"], axis=0
            )
            per_ev["short_percent"] = 100.0 * groups["evs_short"] / groups["evs"]
            print(per_ev.round(2).to_string(), file=sys.stderr)


def week() -> None:
    """Print the week of `weekend` beside the same without a weekend."""
    found = {}
    for label, changes in (("weekend", {}), ("every day alike", {"owners.weekend": None})):
        days = run("weekend", **changes).days
        found[label] = days.groupby("day")["energy_short_kwh"].mean().round(0)
        if not changes:
            found["weekday"] = days.groupby("day")["weekday"].first()
            found["home with, SoC"] = days.groupby("day")["soc_arrival_mean"].mean().round(2)
    print(pd.DataFrame(found).to_string())


if __name__ == "__main__":
    options(__doc__).parse_args()
    one_day()
    week()
    adoption()
