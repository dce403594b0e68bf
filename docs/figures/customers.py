"""Table and figure of docs/customers.md: `python docs/figures/customers.py`, a minute and a half.

A hundred feeders (seeds 1 to 100) of `customers_differ` for each way in which homes differ and each
strategy; a row of feeders has the same EVs and the same homes under every strategy.
"""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from _common import ROOT, few, load, options, output
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from abm import V2GModel
from abm.report.figures import BLUE, GREEN, ORANGE, STYLE, WIDE_IN, save
from abm.results import Results
from abm.study.statistics import describe

SEEDS = few(range(1, 101), 3)
FACTORS = {"kind": "lognormal", "spread": 0.5, "every": "hour"}
HOMES: dict[str, dict[str, Any]] = {
    "paper's profile": {"kind": "none"},
    "factors, independent": {**FACTORS, "correlation": 0.0},
    "factors, correlation 0.1": {**FACTORS, "correlation": 0.1},
    "mean of 100 days": {"kind": "average"},
    "each its own day": {"kind": "pool"},
}
STRATEGIES = {"uncoordinated": ORANGE, "evms": GREEN, "coordinated": BLUE}
KPIS = {
    "peak_15min_mw": ("peak of 15 min, MW", 3),
    "peak_1min_mw": ("peak of 1 min, MW", 3),
    "min_vm_pu": ("lowest voltage, p.u.", 4),
    "hours_above_limit": ("hours above the limit", 1),
    "evs_short": ("EVs short", 0),
}


def run(homes: str, strategy: str) -> Results:
    """All seeds with homes of a kind under a strategy."""
    of = {f"base_load.variety.{name}": value for name, value in HOMES[homes].items()}
    scenario = load("customers_differ", strategy=strategy, **of)
    return V2GModel(scenario, seed=SEEDS).run().results


def cell(results: Results, kpi: str, digits: int) -> str:
    """Mean with the half-width of its 95 % interval, and the standard deviation over seeds."""
    values = results.kpi_columns[kpi].astype(np.float64)
    found = describe(values[None, :])
    half = (found["ci95_high"] - found["ci95_low"])[0] / 2.0
    return f"{found['mean'][0]:.{digits}f} ± {half:.{digits}f} ({found['sd'][0]:.{digits}f})"


def table(found: dict[tuple[str, str], Results]) -> None:
    """Print the table."""
    print("| homes | strategy | " + " | ".join(label for label, _ in KPIS.values()) + " |")
    print("| --- | --- |" + " ---: |" * len(KPIS))
    for (homes, strategy), results in found.items():
        cells = [cell(results, kpi, digits) for kpi, (_, digits) in KPIS.items()]
        print(f"| {homes} | `{strategy}` | " + " | ".join(cells) + " |")


def figure(found: dict[tuple[str, str], Results]) -> None:
    """Draw a day's demand without EVs, and peak and lowest voltage by kind and strategy."""
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(WIDE_IN, 3.1), layout="constrained")
        FigureCanvasAgg(fig)
        day, peak, voltage = fig.subplots(1, 3, width_ratios=(1.15, 1, 1))
        bands = {"factors, correlation 0.1": "#AA3377", "each its own day": "#66CCEE"}
        for homes, color in bands.items():
            demand = found[homes, "evms"].record.base_demand_mw(15)
            low, high = np.quantile(demand, [0.05, 0.95], axis=1)
            hours = np.arange(len(demand)) / 4.0
            day.fill_between(hours, low, high, step="post", color=color, alpha=0.35, lw=0)
            day.step([], [], color=color, alpha=0.6, lw=4, label=f"{homes}, 5 to 95 %")
        for homes, ls in (("paper's profile", ":"), ("mean of 100 days", "-")):
            demand = found[homes, "evms"].record.base_demand_mw(15)[:, 0]
            day.step(
                np.arange(len(demand)) / 4.0, demand, where="post", color="0.15", lw=0.9, ls=ls,
                label=homes,
            )  # fmt: skip
        first = found["paper's profile", "evms"]
        ticks = np.arange(0, 25, 6)
        day.set_xticks(ticks, [f"{(first.clock_hours[0] + t) % 24}:00" for t in ticks])
        day.set_xlim(0, 24)
        day.set_xlabel("Clock time")
        day.set_ylabel("Demand without EVs, 15 min (MW)")
        day.set_ylim(1.4, 5.4)
        day.legend(loc="upper left", fontsize=6, frameon=True, framealpha=1.0, edgecolor="none")
        names = list(HOMES)
        limit = load("customers_differ").grid.demand_limit_mw
        for axes, kpi, label in (
            (peak, "peak_15min_mw", "Peak of 15 min (MW)"),
            (voltage, "min_vm_pu", "Lowest voltage (p.u.)"),
        ):
            for shift, (strategy, color) in zip(
                (-0.22, 0.0, 0.22), STRATEGIES.items(), strict=True
            ):
                for row, homes in enumerate(names):
                    values = found[homes, strategy].kpi_columns[kpi].astype(np.float64)
                    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
                    at = len(names) - 1 - row - shift
                    axes.plot([low, high], [at, at], color=color, lw=2.2, alpha=0.5)
                    axes.plot(
                        middle, at, "o", color=color, ms=3.2,
                        label=strategy if row == 0 and axes is peak else None,
                    )  # fmt: skip
            axes.set_yticks(range(len(names)), names[::-1] if axes is peak else [""] * len(names))
            axes.set_xlabel(label)
            axes.set_ylim(-0.6, len(names) - 0.4)
        peak.axvline(limit, color="0.4", lw=0.8, ls="--")
        peak.text(limit + 0.06, 3.5, "limit", fontsize=6, color="0.3", ha="left", va="center")
        handles, labels = peak.get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=3)
        fig.suptitle(
            f"customers_differ: 603 homes and 600 EVs; median and 5 to 95 % of {len(SEEDS)} seeds",
            fontsize=8,
        )
    save(fig, output(ROOT / "docs" / "img") / "customers.png")


if __name__ == "__main__":
    options(__doc__).parse_args()
    everything = {
        (homes, strategy): run(homes, strategy) for homes in HOMES for strategy in STRATEGIES
    }
    table(everything)
    figure(everything)
