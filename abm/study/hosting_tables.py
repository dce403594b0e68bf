"""The tables and files that a study of hosting capacity leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.results.kpis import plain
from abm.results.staging import Content
from abm.study.hosting_limits import UNSOLVED, as_asked
from abm.study.hosting_results import BOUND, LEAST_DEMAND, Hosting, Outcome

if TYPE_CHECKING:
    import pandas as pd


def share_table(study: Hosting) -> pd.DataFrame:
    """One row per strategy and share that was looked at.

    replications: those that ran; failed: those that did not. broken: how many broke any limit or
    were not solved; probability: their part, low and high its interval. verdict: kept or broken
    where the interval is clear of the risk, else open. p_*: the part that broke each limit. limit,
    element: what was broken most often, and where. evs_short_percent, energy_short_kwh: means of
    what EVs lack on leaving. Of the bound least_demand_mw, the mean of the least demand that any
    plan has, and p_no_plan, the part of the replications in which it is above what the head of the
    feeder carries.
    """
    import pandas as pd

    rungs = study.asked.ladder
    rows = []
    for (name, at), one in study.outcomes.items():
        low, high = rungs.interval(one.bad)
        ran = len(one.bad)
        verdict = "broken" if low > rungs.risk else "kept" if high <= rungs.risk else "open"
        kind, element = one.binds() if one.bad.any() else ("", "")
        hopeless = study.hopeless(one)
        rows.append(
            {
                "strategy": name,
                "share": rungs.shares[at],
                "evs": rungs.evs[at],
                "replications": ran,
                "failed": one.n - ran,
                "broken": int(one.bad.sum()),
                "probability": _part(one.bad),
                "low": low,
                "high": high,
                "verdict": verdict,
                **{f"p_{limit}": _part(bad) for limit, bad in one.by_limit.items()},
                "limit": kind,
                "element": element,
                **_short(one),
                LEAST_DEMAND: one.mean(LEAST_DEMAND),
                "p_no_plan": np.nan if hopeless is None else _part(hopeless),
            }
        )
    return pd.DataFrame(rows)


def _part(bad: Any) -> float:
    return float(np.mean(bad)) if len(bad) else float("nan")


def _short(one: Outcome) -> dict[str, float]:
    """What EVs lack on leaving, means over the replications."""
    evs = one.mean("evs")
    short = 100.0 * one.mean("evs_short") / evs if evs > 0.0 else 0.0
    return {"evs_short_percent": short, "energy_short_kwh": one.mean("energy_short_kwh")}


def capacity_table(study: Hosting) -> pd.DataFrame:
    """One row per strategy: what it hosts.

    share, evs: up to it no more replications than the risk broke a limit; missing where the lowest
    share does. low, high: interval of the share, see docs/hosting.md; high is missing where no
    share is surely too much. next_share: the first that was looked at and does not keep the risk,
    missing where all do; limit, element: what binds there, probability: how often any is broken
    there. evs_short_percent, energy_short_kwh: at `share`. replications: of all shares together.
    falls: pairs of shares of which the higher is better, in words.
    """
    import pandas as pd

    shares, rows = study.asked.ladder.shares, []
    for name, found in study.capacities.items():
        of_rung = study.of(name)
        here = None if found.last is None else of_rung[found.last]
        there = None if found.first is None else of_rung[found.first]
        kind, element = ("", "") if there is None else there.binds()
        rows.append(
            {
                "strategy": name,
                "share": np.nan if found.last is None else shares[found.last],
                "low": np.nan if found.sure is None else shares[found.sure],
                "high": np.nan if found.too_much is None else shares[found.too_much],
                "evs": np.nan if found.last is None else study.asked.ladder.evs[found.last],
                "next_share": np.nan if found.first is None else shares[found.first],
                "limit": kind,
                "element": element,
                "probability": np.nan if there is None else _part(there.bad),
                **(_short(here) if here is not None else dict.fromkeys(_SHORT, np.nan)),
                "replications": sum(len(one.bad) for one in of_rung.values()),
                "falls": "; ".join(
                    f"{fall.lower:g} to {fall.higher:g}"
                    for fall in study.falls
                    if fall.strategy == name
                ),
            }
        )
    return pd.DataFrame(rows)


_SHORT = ("evs_short_percent", "energy_short_kwh")


def mean_kpis(
    study: Hosting, names: Sequence[str]
) -> dict[str, dict[float, dict[str, float | None]]]:
    """Means of KPIs over the replications by strategy and share; None where none has a value."""
    found: dict[str, dict[float, dict[str, float | None]]] = {}
    rows = study.table.to_pandas()
    for (strategy, share), of_share in rows.groupby(["strategy", "share"], sort=False):
        means = {kpi: float(of_share[kpi].mean()) if kpi in rows else np.nan for kpi in names}
        found.setdefault(strategy, {})[share] = {
            kpi: None if np.isnan(mean) else mean for kpi, mean in means.items()
        }
    return found


def element_table(study: Hosting) -> pd.DataFrame:
    """In how many replications each element broke a limit, by strategy and share.

    replications: those that ran.
    """
    import pandas as pd

    rows = [
        {
            "strategy": name,
            "share": study.asked.ladder.shares[at],
            "limit": kind,
            "element": element,
            "broken": count,
            "replications": len(one.bad),
        }
        for (name, at), one in study.outcomes.items()
        for kind in study.asked.limits
        for element, count in one.elements(kind).items()
    ]
    names = ["strategy", "share", "limit", "element", "broken", "replications"]
    return pd.DataFrame(rows, columns=names)


def hosting_summary(study: Hosting) -> dict[str, Any]:
    """What each strategy hosts, as plain data; None for what is not there."""
    rows = capacity_table(study).to_dict("records")
    asked = study.asked
    return {
        "risk": asked.ladder.risk,
        "replications": asked.ladder.replications,
        "level": asked.ladder.level,
        "limits": as_asked(asked.limits),
        "head_mva": study.head_mva,
        "failed": len(study.failures),
        "not_solved": sum(int(one.by_limit[UNSOLVED].sum()) for one in study.outcomes.values()),
        "no_plan_from_share": no_plan_from(study),
        "strategies": {
            str(row["strategy"]): {
                str(name): plain(value) for name, value in row.items() if name != "strategy"
            }
            for row in rows
        },
    }


def no_plan_from(study: Hosting) -> float | None:
    """The lowest share at which no plan keeps the head of the feeder in more than the risk.

    None where there is none, or it is not known.
    """
    for at, one in study.of(BOUND).items():
        hopeless = study.hopeless(one)
        if hopeless is not None and _part(hopeless) > study.asked.ladder.risk:
            return study.asked.ladder.shares[at]
    return None


def hosting_files(study: Hosting) -> Iterator[tuple[str, Content]]:
    """What `hosting` leaves besides its figures, by name of the file."""
    yield "scenario.yaml", study.asked.scenario.to_yaml()
    yield "replications.parquet", study.table
    yield "shares.csv", share_table(study)
    yield "hosting.csv", capacity_table(study)
    yield "elements.csv", element_table(study)
    yield "kpis.json", hosting_summary(study)
