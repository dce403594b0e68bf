"""Figure and tables of docs/coordinated.md: `python docs/figures/coordinated.py`.

50 seeds of `paper_balanced` in one model for every line. `--figure` leaves out the tables,
`--bound` solves the linear programme for each of the seeds instead.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from _common import ROOT, few, load, options, output

from abm import V2GModel
from abm.report import figures as fig
from abm.study import bound

SEEDS = few(range(1, 51))
EARLY = {"probability": 0.1, "early_h": {"low": 1.0, "high": 1.0}}
LATE = {"probability": 0.1, "delay_h": {"low": 1.0, "high": 1.0}}
ERRORS: dict[str, dict[str, Any]] = {
    "none": {},
    "forecast 5 % too high": {"forecast.bias": 0.05},
    "forecast 5 % too low": {"forecast.bias": -0.05},
    "each hour off by 5 % (sd)": {"forecast.noise": 0.05},
    "5 % too high, not revised": {"forecast.bias": 0.05, "forecast.revise": False},
    "5 % too low, not revised": {"forecast.bias": -0.05, "forecast.revise": False},
    "each hour off by 5 %, not revised": {"forecast.noise": 0.05, "forecast.revise": False},
    "broadcasts lost, p = 0.2": {"broadcast.loss_probability": 0.2},
    "an hour early, p = 0.1": {"owners.early_departure": EARLY},
    "an hour late, p = 0.1": {"owners.late_return": LATE},
    "each hour off, lost, early": {
        "forecast.noise": 0.05,
        "broadcast.loss_probability": 0.2,
        "owners.early_departure": EARLY,
    },
    "5 % too low, not revised, lost, early": {
        "forecast.bias": -0.05,
        "forecast.revise": False,
        "broadcast.loss_probability": 0.2,
        "owners.early_departure": EARLY,
    },
}


def run(strategy: str, **fields: Any) -> tuple[V2GModel, np.ndarray]:
    """All seeds; also the level of each hour, mean over them [MW], NaN where nobody plans."""
    scenario = load("paper_balanced", **fields).override(strategy=strategy)
    model = V2GModel(scenario, seed=SEEDS)
    levels: list[float] = []

    def note() -> None:
        hour = len(levels)
        planner = model.home.rule.planner
        plans = list(planner.plans.values()) if planner.hour == hour else []
        levels.append(float(plans[0].level_kw.mean()) / 1e3 if plans else np.nan)

    model.run(on_hour=note if strategy == "coordinated" else None)
    return model, np.array(levels)


def figure(path: Path) -> None:
    """Demand by hour without EVs and under three strategies, and the level."""
    drawing, axes = fig.figure("Demand of the feeder, mean of 50 seeds", height_in=3.0)
    curves = (
        ("uncoordinated", fig.ORANGE, "--"),
        ("evms", fig.GREEN, "-."),
        ("coordinated", fig.BLUE, "-"),
    )
    for strategy, color, dashes in curves:
        model, levels = run(strategy)
        record = model.results.record
        if strategy == "uncoordinated":
            base = record.base_mw
            axes.stairs(base, np.arange(len(base) + 1), fill=True, color="#E4E4E4", label="base")
        demand = record.total_mw.mean(axis=1)
        fig.hour_steps(axes, demand, color=color, ls=dashes, lw=1.4, label=strategy)
        if strategy == "coordinated":
            # After the last departure there is nothing left to plan.
            there = (record.plugged_peak > 0).any(axis=1)
            level = np.where(there, levels, np.nan)
            hours = np.arange(len(level)) + 0.5
            style = {"marker": "o", "ms": 2.8, "mew": 0.7, "mfc": "white", "zorder": 3}
            axes.plot(hours, level, ls="", color=fig.BLACK, label="level", **style)
            fig.clock_axis(axes, model.results_of(0).clock_hours)
    axes.set_ylabel("Mean power of the hour (MW)")
    axes.set_ylim(0.0, 6.0)
    fig.legend_below(drawing, axes, 3)
    fig.save(drawing, path)


def line(name: str, model: V2GModel) -> str:
    """A row of a table: peak, EVs short, V2G, cost."""
    kpis = model.results.kpi_columns
    peak = kpis["plugged_peak_mw"]
    cells = (
        f"{peak.mean():.3f}",
        f"{peak.std(ddof=1):.3f}",
        f"{peak.max():.3f}",
        f"{kpis['system_peak_mw'].mean():.3f}",
        f"{kpis['evs_short'].sum() / len(SEEDS):.3g}",
        f"{kpis['energy_short_kwh'].mean():.1f}",
        f"{kpis['ev_discharged_mwh'].mean():.2f}",
        f"{kpis['net_cost_usd'].mean():.0f}",
    )
    return f"| {name} | {' | '.join(cells)} |"


def gap() -> str:
    """How far the rule is above the lowest peak there is, seed by seed."""
    studied = load("paper_balanced")
    least = [bound.optimum(studied.override(seed=seed)) for seed in SEEDS]
    lowest = np.array([found.results.kpis["plugged_peak_mw"] for found in least])
    cost = np.array([found.results.kpis["net_cost_usd"] for found in least])
    peak = run("coordinated")[0].results.kpi_columns["plugged_peak_mw"]
    above = 100.0 * (peak / lowest - 1.0)
    return (
        f"\nBound: {lowest.mean():.4f} MW (sd {lowest.std(ddof=1):.4f}, max {lowest.max():.4f}), "
        f"{cost.mean():.0f} $; coordinated is {above.mean():.2f} % above it, at most "
        f"{above.max():.2f} %"
    )


def head(first: str) -> str:
    """The head of such a table."""
    names = "mean | sd | max | system peak, MW | EVs short | kWh short | V2G, MWh | net cost, $"
    return f"\n| {first} | {names} |\n|{' --- |' * 9}"


def main() -> int:
    """Draw the figure and print the tables."""
    parser = options(__doc__)
    parser.add_argument("--figure", action="store_true", help="only the figure")
    parser.add_argument("--bound", action="store_true", help="only the bound, some four minutes")
    args = parser.parse_args()
    if args.bound or args.smoke:
        print(gap())
    if args.bound:
        return 0
    figure(output(ROOT / "docs" / "img") / "coordinated.png")
    if args.figure:
        return 0
    print(head("strategy"))
    for strategy in ("uncoordinated", "evms", "evms_guaranteed", "coordinated"):
        print(line(f"`{strategy}`", run(strategy)[0]))
    print(head("error"))
    for name, error in few(ERRORS.items()):
        print(line(name, run("coordinated", **error)[0]))
    print(head("weight"))
    for tenth in few(range(11)):
        weight = tenth / 10
        print(line(f"{weight:g}", run("coordinated", **{"coordinated.price_weight": weight})[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
