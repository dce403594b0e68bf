"""The bound on 600 EVs, seed by seed: `python benchmarks/bound.py [--seeds N] [--large]`.

How long the two phases take against the budget, with model, load flows and KPIs; what peaks by the
hour cost, in steps of 30 minutes; with --large, how it grows to the 3,000 EVs up to which `compare`
has it.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

from _common import load, machine, options, print_table, sized

from abm import Scenario
from abm.study import Bound, optimum

BUDGET_S = 30.0
# Few EVs cannot bring the evening below 3.57 MW.
LIMIT_MW = sized(3.24, 3.6)


def timed(scenario: Scenario, name: str, **options: Any) -> tuple[Bound, list[str]]:
    """A bound and its row of the table."""
    bound = optimum(scenario, **options)
    kpis = bound.results.kpis
    size = bound.feeders[0].size
    row = [
        name,
        f"{kpis['plugged_peak_15min_mw']:.4f}",
        f"{kpis['net_cost_usd']:.2f}",
        f"{kpis['ev_discharged_mwh']:.3f}",
        str(kpis["evs_short"]),
        f"{size['columns']:,}",
        *(
            f"{bound.feeders[0].phases[p].seconds:.1f}" if p in bound.feeders[0].phases else "-"
            for p in ("peak", "cost")
        ),
        f"{bound.wall_s:.1f}",
        f"{bound.wall_s / BUDGET_S:.0%}",
    ]
    return bound, row


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--seeds", metavar="N", type=int, default=sized(5, 1), help="seeds 1 to N")
    parser.add_argument("--large", action="store_true", help="also 1,500 and 3,000 EVs")
    args = parser.parse_args()
    balanced = load("paper_balanced")
    optimum(balanced.override({"fleet.evs_per_zone": 1}))  # the feeder is checked once
    seeds = range(1, args.seeds + 1)
    rows = [timed(balanced.override(seed=seed), f"peak, seed {seed}")[1] for seed in seeds]
    rows.append(timed(balanced, "hourly peak", step_min=30, metric_min=60)[1])
    free, row = timed(balanced, "cost", objective="cost")
    rows.append(row)
    capped = timed(balanced, f"cost, {LIMIT_MW:g} MW", objective="cost", limit_mw=LIMIT_MW)
    rows.append(capped[1])
    if args.large:
        for per_zone in (100, 200):
            many = balanced.override({"fleet.evs_per_zone": per_zone})
            rows.append(timed(many, f"peak, {15 * per_zone:,} EVs")[1])
    print(f"{machine()}, HiGHS {version('highspy')}; {free.feeders[0].phases['cost'].status}")
    print_table(
        f"paper_balanced, 600 EVs x 24 h, steps of 15 min; budget {BUDGET_S:g} s in all",
        ("case", "peak MW", "net cost $", "V2G MWh", "short", "columns",
         "peak s", "cost s", "all s", "budget"),
        rows,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
