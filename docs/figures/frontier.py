"""Frontier of docs/coordinated.md, peak against net cost: `python docs/figures/frontier.py`.

The bound is solved for each of a few seeds at several peak limits (a minute or two a seed); the
strategies are run on the same EVs. Means over the seeds.
"""

from __future__ import annotations

import sys

import numpy as np
from _common import ROOT, few, load, options, output

from abm import Scenario, V2GModel
from abm.report import figures as fig
from abm.report.look import look_of
from abm.study import bound

SEEDS = few((1, 2, 3))
WEIGHTS = np.arange(11) / 10
# Limits that the cheapest schedule has to keep, over the lowest peak there is.
ROOM = few((0.01, 0.03, 0.06, 0.1, 0.2, 0.3))
Points = list[tuple[float, float]]


def paper() -> Scenario:
    """The scenario of the page."""
    return load("paper_balanced")


def bound_points() -> Points:
    """Peak [MW] and net cost [$] of the optimum, from the lowest peak to the lowest cost."""
    points = []
    for seed in SEEDS:
        studied = paper().override(seed=seed)
        least = bound.optimum(studied)
        lowest = least.feeders[0].lowest_peak_mw
        if lowest is None:
            raise RuntimeError("nobody is plugged in")
        limits = [lowest * (1.0 + room) for room in ROOM]
        found = [least, *(bound.optimum(studied, "cost", limit_mw=limit) for limit in limits)]
        found.append(bound.optimum(studied, "cost"))
        points.append([point(each.results.kpis) for each in found])
    return means(points)


def strategy_point(strategy: str, **fields: float) -> tuple[float, float, float]:
    """Peak, net cost and EVs short of a strategy, means over the seeds."""
    model = V2GModel(paper().override(fields, strategy=strategy), seed=SEEDS).run()
    each = [model.results_of(k).kpis for k in range(len(SEEDS))]
    peak, cost = means([[point(kpis)] for kpis in each])[0]
    return peak, cost, float(np.mean([kpis["evs_short"] for kpis in each]))


def point(kpis: dict[str, float]) -> tuple[float, float]:
    """Highest 15 minutes while EVs are plugged in [MW], net cost [$]."""
    return kpis["plugged_peak_15min_mw"], kpis["net_cost_usd"]


def means(points: list[Points]) -> Points:
    """Means over the first axis."""
    return [(float(x), float(y)) for x, y in np.mean(np.array(points), axis=0)]


def main() -> int:
    """Solve, run, draw and print."""
    options(__doc__).parse_args()
    optimum = bound_points()
    rule = [strategy_point("coordinated", **{"coordinated.price_weight": w})[:2] for w in WEIGHTS]
    others = {name: strategy_point(name) for name in ("uncoordinated", "evms", "evms_guaranteed")}
    drawing, axes = fig.figure("Peak against net cost, mean of three seeds", height_in=3.0)
    axes.plot(*zip(*optimum, strict=True), color=look_of("bound").color, marker=".", ms=4)
    ours = look_of("coordinated")
    style = {"color": ours.color, "ls": "--", "marker": ours.marker, "ms": 3.0}
    axes.plot(*zip(*rule, strict=True), **style)
    for at, weight in ((0, "0"), (5, "0.5"), (10, "1")):
        beside = {"xytext": (-2, 5), "textcoords": "offset points", "fontsize": 6}
        axes.annotate(f"w = {weight}", rule[at], **beside)
    said = {"fontsize": 6.5, "textcoords": "offset points"}
    for name, (peak, cost, short) in others.items():
        label, look = f"{name},\n{short:.0f} EVs short" if short else name, look_of(name)
        axes.plot([peak], [cost], ls="", color=look.color, marker=look.marker, ms=5)
        right = peak > 5.0
        axes.annotate(label, (peak, cost), (-6 if right else 6, 0), color=look.ink, va="center",
                      ha="right" if right else "left", **said)  # fmt: skip
    axes.annotate("bound", optimum[-1], (4, -2), color=look_of("bound").ink, **said)
    axes.annotate("coordinated", rule[-1], (5, 0), color=ours.ink, **said)
    axes.set_xlabel("Highest 15 min while EVs are plugged in (MW)")
    axes.set_ylabel("Net cost of all owners ($)")
    fig.save(drawing, output(ROOT / "docs" / "img") / "frontier.png")
    for name, points in {"bound": optimum, "coordinated": rule}.items():
        print(name, *(f"{peak:.3f} MW {cost:.0f} $" for peak, cost in points), sep="\n  ")
    for name, (peak, cost, short) in others.items():
        print(f"{name}\n  {peak:.3f} MW {cost:.0f} $, {short:.0f} EVs short")
    return 0


if __name__ == "__main__":
    sys.exit(main())
