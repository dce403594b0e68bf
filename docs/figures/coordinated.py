"""Figure and tables of docs/coordinated.md: `python docs/figures/coordinated.py`.

50 seeds of `paper_balanced` in one model for every line. `--figure` leaves out the tables,
`--bound` solves the linear programme for each of the seeds instead, `--cases` for other fleets,
chargers, base loads and for wrong beliefs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _common import ROOT, few, load, options, output
from scipy import stats

from abm import V2GModel
from abm.control.planner import SLOTS_PER_H
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
        plans = list(planner.plans.values()) if planner.slot // SLOTS_PER_H == hour else []
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
            base = record.base_mw.mean(axis=1)
            axes.stairs(base, np.arange(len(base) + 1), fill=True, color="#E4E4E4", label="base")
        demand = record.demand_mw(fig.GRAIN_MIN).mean(axis=1)
        look = {"color": color, "ls": dashes, "lw": 1.3, "label": strategy}
        fig.hour_steps(axes, demand, record.n_hours, **look)
        if strategy == "coordinated":
            # After the last departure there is nothing left to plan.
            there = (record.plugged_peak > 0).any(axis=1)
            level = np.where(there, levels, np.nan)
            hours = np.arange(len(level)) + 0.5
            style = {"marker": "o", "ms": 2.8, "mew": 0.7, "mfc": "white", "zorder": 3}
            axes.plot(hours, level, ls="", color=fig.BLACK, label="level", **style)
            fig.clock_axis(axes, model.results_of(0).clock_hours)
    axes.set_ylabel(fig.POWER)
    axes.set_ylim(0.0, 6.0)
    fig.legend_below(drawing, axes, 3)
    fig.save(drawing, path)


def line(name: str, model: V2GModel) -> str:
    """A row of a table: peak, EVs short, V2G, cost."""
    kpis = model.results.kpi_columns
    peak = kpis["plugged_peak_15min_mw"]
    cells = (
        f"{peak.mean():.3f}",
        f"{peak.std(ddof=1):.3f}",
        f"{peak.max():.3f}",
        f"{kpis['plugged_peak_1min_mw'].max():.3f}",
        f"{kpis['mode_switches_per_ev'].mean():.1f}",
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
    lowest = np.array([found.results.kpis["plugged_peak_15min_mw"] for found in least])
    cost = np.array([found.results.kpis["net_cost_usd"] for found in least])
    kpis = run("coordinated")[0].results.kpi_columns
    above = 100.0 * (kpis["plugged_peak_15min_mw"] / lowest - 1.0)
    minute = 100.0 * (kpis["plugged_peak_1min_mw"] / lowest - 1.0)
    half = stats.t.ppf(0.975, len(above) - 1) * above.std(ddof=1) / np.sqrt(len(above))
    return (
        f"\nBound: {lowest.mean():.4f} MW (sd {lowest.std(ddof=1):.4f}, max {lowest.max():.4f}), "
        f"{cost.mean():.0f} $; coordinated is {above.mean():.2f} +- {half:.2f} % above it, at most "
        f"{above.max():.2f} %, in the worst minute {minute.max():.2f} %"
    )


FAST = {"ev.charger_kw": 22.0, "ev.discharger_kw": 22.0}
SLOW = {"ev.charger_kw": 3.3, "ev.discharger_kw": 3.3}
CASES: dict[str, dict[str, Any]] = {
    "as it stands": {},
    **{f"{n} EVs per zone": {"fleet.evs_per_zone": n} for n in (20, 30, 50, 80, 100, 120)},
    "3.3 kW both ways": SLOW,
    "11 kW both ways": {"ev.charger_kw": 11.0, "ev.discharger_kw": 11.0},
    "22 kW both ways": FAST,
    "arrivals with sd 0.5 h": {"fleet.arrival.sd_h": 0.5},
    "arrivals with sd 3 h": {"fleet.arrival.sd_h": 3.0},
    "efficiency 0.8": {"ev.efficiency": 0.8},
    "half of the owners in V2G": {"owners.v2g_participation": 0.5},
    "time steps of 5 min": {"clock.step_s": 300},
    "time steps of 15 min": {"clock.step_s": 900},
    "20 EVs with 22 kW": {"fleet.evs_per_zone": 20, **FAST},
    "20 EVs with 3.3 kW": {"fleet.evs_per_zone": 20, **SLOW},
    "20 EVs, half in V2G": {"fleet.evs_per_zone": 20, "owners.v2g_participation": 0.5},
    "120 EVs with 3.3 kW": {"fleet.evs_per_zone": 120, **SLOW},
    "sd 3 h and efficiency 0.8": {"fleet.arrival.sd_h": 3.0, "ev.efficiency": 0.8},
    "straight lines between hours": {"base_load.interpolation": "linear"},
}
BELIEFS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "arrivals 2 h later": {"belief.arrival_shift_h": 2.0},
    "arrivals 2 h earlier": {"belief.arrival_shift_h": -2.0},
    "30 % too few EVs": {"belief.evs_per_zone": 28},
    "30 % too many EVs": {"belief.evs_per_zone": 52},
    "30 % too few, 2 h later": {"belief.evs_per_zone": 28, "belief.arrival_shift_h": 2.0},
    "nobody": {"belief.arrivals": "nobody"},
    "SoC 0.1 too high": {"belief.soc_arrival": {"low": 0.3, "high": 0.85}},
    "SoC 0.1 too low": {"belief.soc_arrival": {"low": 0.1, "high": 0.65}},
    "forecast off by 5 % each hour": {"forecast.noise": 0.05},
    "forecast off by 10 % each hour": {"forecast.noise": 0.1},
    "10 %, not revised": {"forecast.noise": 0.1, "forecast.revise": False},
}
CASE_SEEDS = few(range(1, 11))
# What the bound does not depend on.
UNSEEN = ("belief.", "forecast.", "clock.step_s")


def _hump(hour: float, width_h: float) -> np.ndarray:
    away = (np.arange(24) - hour + 12.0) % 24.0 - 12.0
    return np.asarray(np.exp(-0.5 * (away / width_h) ** 2))


SHAPES = {
    "base load flat": np.ones(24),
    "base load of two peaks": 0.5 + 0.5 * _hump(8, 2) + 0.5 * _hump(20, 2),
    "base load that peaks at 13:00": 0.55 + 0.45 * _hump(13, 3),
    "base load of a hot summer day": 0.5 + 0.35 * _hump(15, 3) + 0.35 * _hump(20, 2.5),
    "base load that peaks at 23:00": 0.45 + 0.55 * _hump(23, 2.5),
}


def shaped(folder: Path) -> dict[str, dict[str, Any]]:
    """Cases of other base loads, with the same highest hour, as files in a folder."""
    found = {}
    for i, (name, shape) in enumerate(SHAPES.items()):
        path = folder / f"shape_{i}.csv"
        lines = (f"{hour},{v:.5f},{v:.5f},{v:.5f}" for hour, v in enumerate(shape / shape.max()))
        path.write_text("\n".join(("hour,residential,industrial,commercial", *lines)) + "\n")
        found[name] = {"base_load.profile": str(path)}
    return found


def cases() -> None:
    """The gap of other cases and of wrong beliefs, by seed."""
    names = "seeds | bound, MW | above it, % | at most, % | worst minute, % | switches | EVs short"
    known: dict[tuple[str, int], float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for what, table in (("case", CASES | shaped(Path(folder))), ("belief", BELIEFS)):
            print(f"\n| {what} | {names} |\n|{' --- |' * 8}")
            for name, changes in few(table.items()):
                print(case(name, changes, known), flush=True)


def case(name: str, changes: dict[str, Any], known: dict[tuple[str, int], float]) -> str:
    """A row of the table of cases; known: bounds by what they depend on, which is added to."""
    seen = str({key: v for key, v in changes.items() if not key.startswith(UNSEEN)})
    rows = []
    for seed in CASE_SEEDS:
        studied = load("paper_balanced", seed=seed, **changes)
        if (seen, seed) not in known:
            found = bound.optimum(studied).results.kpis
            known[seen, seed] = found["plugged_peak_15min_mw"]
        least = known[seen, seed]
        kpis = V2GModel(studied.override(strategy="coordinated")).run().results.kpis
        peaks = (kpis[f"plugged_peak_{grain}_mw"] for grain in ("15min", "1min"))
        above = [100.0 * (peak / least - 1.0) for peak in peaks]
        rows.append((least, *above, kpis["mode_switches_per_ev"], kpis["evs_short"]))
    least, quarter, minute, switches, short = np.array(rows).T
    half = stats.t.ppf(0.975, len(rows) - 1) * quarter.std(ddof=1) / np.sqrt(len(rows))
    cells = (
        name,
        str(len(rows)),
        f"{least.mean():.3f}",
        f"{quarter.mean():.1f} ± {half:.1f}",
        f"{quarter.max():.1f}",
        f"{minute.max():.1f}",
        f"{switches.mean():.1f} (at most {switches.max():.1f})",
        f"{short.sum():.0f}",
    )
    return f"| {' | '.join(cells)} |"


def head(first: str) -> str:
    """The head of such a table."""
    names = "mean | sd | max | worst minute | switches | EVs short | kWh short | V2G, MWh | cost, $"
    return f"\n| {first} | {names} |\n|{' --- |' * 10}"


def main() -> int:
    """Draw the figure and print the tables."""
    parser = options(__doc__)
    parser.add_argument("--figure", action="store_true", help="only the figure")
    parser.add_argument("--bound", action="store_true", help="only the bound, some ten minutes")
    parser.add_argument("--cases", action="store_true", help="only the cases, an hour or more")
    args = parser.parse_args()
    if args.bound or args.smoke:
        print(gap())
    if args.cases or args.smoke:
        cases()
    if args.bound or args.cases:
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
