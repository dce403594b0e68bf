"""Tables of docs/mpc.md: `python docs/figures/mpc.py`.

`coordinated` and `mpc` beside the bound of the same EVs: ten seeds of `paper_balanced`, three of
each case where something is believed or forecast wrongly. Some ten minutes.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from _common import few, load, options

from abm import Results, V2GModel
from abm.study import bound

SEEDS = few(range(1, 11))
STRATEGIES = ("coordinated", "mpc")
CASE_SEEDS = few((1, 2, 3))
CASES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "arrivals believed 2 h later": {"belief.arrival_shift_h": 2.0},
    "30 % too few EVs believed": {"belief.evs_per_zone": 28},
    "30 % too many EVs believed": {"belief.evs_per_zone": 52},
    "nobody expected": {"belief.arrivals": "nobody"},
    "each hour's forecast off by 10 % (sd)": {"forecast.noise": 0.1},
    "20 EVs per zone": {"fleet.evs_per_zone": 20},
    "plans every 5 minutes": {"mpc.interval_min": 5},
    "plans every 30 minutes": {"mpc.interval_min": 30},
    "plans every hour": {"mpc.interval_min": 60},
}
KPIS = (
    "plugged_peak_15min_mw",
    "plugged_peak_1min_mw",
    "mode_switches_per_ev",
    "evs_short",
    "net_cost_usd",
)


def numbers(results: Results) -> np.ndarray:
    """Peaks over 15 minutes and in a minute, switches, EVs short, cost."""
    return np.array([results.kpis[name] for name in KPIS])


def ran(strategy: str, seeds: list[int], changes: dict[str, Any]) -> tuple[np.ndarray, float]:
    """The numbers of each seed, (n_seeds, 5), and seconds of processor per seed."""
    began = time.process_time()
    scenario = load("paper_balanced", **changes).override(strategy=strategy)
    model = V2GModel(scenario, seed=seeds).run()
    took = (time.process_time() - began) / len(seeds)
    return np.array([numbers(model.results_of(k)) for k in range(len(seeds))]), took


def bounds(seeds: list[int], changes: dict[str, Any]) -> np.ndarray:
    """The same of the bound."""
    studied = load("paper_balanced", **changes)
    least = [bound.optimum(studied.override(seed=seed)).results for seed in seeds]
    return np.array([numbers(results) for results in least])


def line(name: str, found: np.ndarray, least: np.ndarray) -> str:
    """A row: 15 minutes, above the bound (mean and worst), worst minute, switches, short, cost."""
    peak, minute, switches, short, cost = found.T
    above = 100.0 * (peak / least[:, 0] - 1.0)
    worst = (100.0 * (minute / least[:, 0] - 1.0)).max()
    return (
        f"| {name} | {peak.mean():.3f} | {above.mean():.2f} | {above.max():.2f} | {worst:.1f} | "
        f"{switches.mean():.1f} | {short.sum():.0f} | {cost.mean():.0f} |"
    )


def head(first: str) -> str:
    """The head of such a table."""
    names = (
        "MW | above the bound, % | at most, % | worst minute, % | switches | EVs short | cost, $"
    )
    return f"\n| {first} | {names} |\n|{' --- |' * 8}"


def main() -> int:
    """Print the tables."""
    options(__doc__).parse_args()
    known: dict[str, np.ndarray] = {}

    def least_of(seeds: list[int], changes: dict[str, Any]) -> np.ndarray:
        # Beliefs, forecasts and options are nothing to who knows everything.
        key = str(changes.get("fleet.evs_per_zone", ""))
        if key not in known:
            known[key] = bounds(seeds, {k: v for k, v in changes.items() if k.startswith("fleet")})
        return known[key][: len(seeds)]

    least = least_of(SEEDS, {})
    print(head("strategy"))
    for strategy in STRATEGIES:
        found, seconds = ran(strategy, SEEDS, {})
        print(line(f"`{strategy}`, {seconds:.1f} s a day", found, least), flush=True)
    print(line("the bound", least, least), flush=True)
    print(head("case"))
    for name, changes in few(CASES.items()):
        lowest = least_of(CASE_SEEDS, changes)
        plans = any(key.startswith("mpc") for key in changes)
        for strategy in ("mpc",) if plans else STRATEGIES:
            found, _ = ran(strategy, CASE_SEEDS, changes)
            print(line(f"{name}: `{strategy}`", found, lowest), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
