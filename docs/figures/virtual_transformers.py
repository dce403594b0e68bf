"""Virtual transformers of docs/rules.md: `python docs/figures/virtual_transformers.py`, 10 min.

Twenty replications of fifteen groups for a week, by share of owners who go by the price, by size of
the group, and by rated power; every replication has the same owners, cars and trips throughout.
"""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from _common import ROOT, few, load, options, output
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from abm import V2GModel
from abm.equations import FloatArray
from abm.report.figures import BLUE, ORANGE, STYLE, WIDE_IN, save
from abm.study.statistics import describe

SEEDS = few(range(1, 21), 2)
GROUPS = few(range(15), 2)
DAYS = 7
SHARES = few((0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0))
SIZES = few((2, 5, 10, 20, 40))
SIZE = SIZES[-1] if len(SIZES) < 3 else 10
KW_PER_EV = few((3.0, 4.0, 5.0))
KW = KW_PER_EV[1]
BY_PRICE = {"rule": "by_price", "admission": "by_price"}


def hours(size: int, kw_per_ev: float, strategy: Any, share: float = 1.0) -> FloatArray:
    """Overload hours of a group in a week, mean over the groups of each replication, (seeds,)."""
    scenario = load("virtual_transformers", strategy=strategy).override(
        {
            "fleet.evs_per_zone": size,
            "grid.demand_limit_mw": size * kw_per_ev / 1e3,
            "owners.timed": share,
            "feeder.copies": len(GROUPS),
            "clock.engine": "compiled" if len(SEEDS) > 2 else "numpy",
            "horizon.days": DAYS if len(SEEDS) > 2 else 1,
        }
    )
    found = V2GModel(scenario, seed=SEEDS).run().results.kpi_columns["overload_hours"]
    return np.asarray(found.astype(np.float64).reshape(len(SEEDS), -1).mean(axis=1))


def interval(values: FloatArray) -> tuple[float, float, float]:
    """Mean with its 95 % interval over replications."""
    found = describe(values[None, :])
    return tuple(float(found[name][0]) for name in ("mean", "ci95_low", "ci95_high"))


def turning(control: FloatArray, by_share: list[FloatArray]) -> tuple[str, str]:
    """Shares of owners with surely fewer overloads than in the control group, and surely more.

    -> the highest that has fewer, and the lowest from which on all have more.
    """
    paired = [interval(values - control) for values in by_share]
    fewer = [share for share, (_, _, high) in zip(SHARES, paired, strict=True) if high < 0.0]
    more = [low > 0.0 for _, low, _ in paired]
    first = next((i for i in range(len(SHARES)) if all(more[i:])), None)
    up_to = f"{max(fewer):.0%}" if fewer else "-"
    return up_to, "-" if first is None else f"{SHARES[first]:.0%}"


def cell(values: FloatArray) -> str:
    """Mean and half-width of its interval."""
    mean, low, high = interval(values)
    return f"{mean:.2f} ± {(high - low) / 2:.2f}"


if __name__ == "__main__":
    options(__doc__).parse_args()
    cases = list(dict.fromkeys([*((n, KW) for n in SIZES), *((SIZE, kw) for kw in KW_PER_EV)]))
    control, managed, prices = {}, {}, {}
    print("| EVs | rated, kW | control | time of use, all | managed | fewer up to | more from |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for n, kw in cases:
        control[n, kw] = hours(n, kw, "uncoordinated")
        managed[n, kw] = hours(n, kw, "coordinated")
        prices[n, kw] = [hours(n, kw, BY_PRICE, share) for share in SHARES]
        cells = [cell(control[n, kw]), cell(prices[n, kw][-1]), cell(managed[n, kw])]
        turns = " | ".join(turning(control[n, kw], prices[n, kw]))
        print(f"| {n} | {n * kw:g} | " + " | ".join(cells) + f" | {turns} |", flush=True)
    print("\n| owners on time of use | " + " | ".join(f"{n} EVs" for n in SIZES) + " |")
    print("| ---: |" + " ---: |" * len(SIZES))
    for i, part in enumerate(SHARES):
        cells = [cell(prices[n, KW][i] - control[n, KW]) for n in SIZES]
        print(f"| {part:.0%} | " + " | ".join(cells) + " |")
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(WIDE_IN, 2.9), layout="constrained")
        FigureCanvasAgg(fig)
        arms, share, rated = fig.subplots(1, 3, width_ratios=(0.9, 1, 1))
        at = np.arange(len(SIZES))
        for shift, (label, color, found) in enumerate(
            (
                ("control", ORANGE, control),
                ("time of use", "#AA3377", {key: prices[key][-1] for key in prices}),
                ("managed", BLUE, managed),
            )
        ):
            means = np.array([interval(found[n, KW]) for n in SIZES])
            error = np.abs(means[:, 1:].T - means[:, 0])
            arms.errorbar(
                at + 0.2 * (shift - 1), means[:, 0], error, fmt="o", ms=3, lw=1, color=color,
                label=label,
            )  # fmt: skip
        arms.set_xticks(at, [str(n) for n in SIZES])
        arms.set_xlabel(f"EVs in a group, rated {KW:g} kW each")
        arms.set_ylabel("Overload hours of a group in a week")
        arms.legend(loc="center right")
        shades = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, max(len(SIZES), len(KW_PER_EV))))
        for axes, keys, named in (
            (share, [(n, KW) for n in SIZES], [f"{n} EVs" for n in SIZES]),
            (rated, [(SIZE, kw) for kw in KW_PER_EV], [f"{SIZE * kw:g} kW" for kw in KW_PER_EV]),
        ):
            for key, name, color in zip(keys, named, shades, strict=False):
                paired = [interval(values - control[key]) for values in prices[key]]
                mean, low, high = np.array(paired).T
                axes.plot(np.array(SHARES) * 100, mean, "o-", ms=2.5, color=color, label=name)
                axes.fill_between(np.array(SHARES) * 100, low, high, color=color, alpha=0.25, lw=0)
            axes.axhline(0.0, color="0.3", lw=0.8)
            axes.set_yscale("symlog", linthresh=0.5)
            axes.set_xlabel("Owners on time of use (%)")
            axes.legend(loc="upper left")
        share.set_ylabel("More than the control group (h)")
        rated.set_title(f"groups of {SIZE}", fontsize=8)
        share.set_title(f"rated {KW:g} kW per EV", fontsize=8)
    save(fig, output(ROOT / "docs" / "img") / "virtual_transformers.png")
