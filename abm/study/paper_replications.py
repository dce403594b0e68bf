"""Tables II and III with how sure each number is, over replications of the paper's study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abm.equations import FloatArray
from abm.equations.economics import financial_benefit
from abm.scenario import Scenario, shipped_dir
from abm.study.ensemble import Case, Ensemble
from abm.study.montecarlo import OnDone, run_study
from abm.study.reproduce import READINGS, SCENARIO_OF, STRATEGY_OF, TABLE2_KPIS
from abm.study.statistics import describe, prediction_half_width

if TYPE_CHECKING:
    import pandas as pd

# The base case is the same under both readings and runs once.
RUNS = (
    ("base", "as_printed"),
    ("g2v", "as_printed"),
    ("evms", "as_printed"),
    ("g2v", "energy_balanced"),
    ("evms", "energy_balanced"),
)
_ENDS = ("ci95_low", "ci95_high", "prediction95_low", "prediction95_high")
MONEY = ("g2v_cost", "evms_net_cost", "benefit")


def reproduce_replications(
    replications: int,
    seed: int | None = None,
    *,
    workers: int = 1,
    cluster: str | None = None,
    on_done: OnDone | None = None,
) -> Ensemble:
    """Replications of the paper's five different runs on the same EVs. Raises InputError."""
    cases = []
    for case, reading in RUNS:
        scenario = Scenario.load(SCENARIO_OF[reading]).override(strategy=STRATEGY_OF[case])
        cases.append(Case({"strategy": case, "reading": reading}, scenario))
    seed = cases[0].scenario.seed if seed is None else seed
    return run_study(cases, replications, seed, workers=workers, cluster=cluster, on_done=on_done)


def table2_replications(ensemble: Ensemble) -> pd.DataFrame:
    """Table II: one row per quantity, case and reading. Columns as in `_row`."""
    import pandas as pd

    paper = _paper("table2")
    rows = []
    for quantity, (kpi, unit) in TABLE2_KPIS.items():
        values = ensemble.values(kpi)
        for case in STRATEGY_OF:
            for reading in READINGS:
                printed = str(paper.loc[quantity, case])
                found = values[_index(case, reading)]
                if unit == "h":
                    # The hours of two runs about midnight lie beside each other.
                    found = float(printed) + (found - float(printed) + 12.0) % 24.0 - 12.0
                names = {"quantity": quantity, "unit": unit, "case": case, "reading": reading}
                row = _row(printed, found)
                if unit == "h":
                    row |= {name: row[name] % 24.0 for name in ("mean", *_ENDS)}
                rows.append(names | row)
    return pd.DataFrame(rows)


def table3_replications(ensemble: Ensemble) -> pd.DataFrame:
    """Table III: one row per zone, quantity and reading, the total as zone "total"; $."""
    import pandas as pd

    paper = _paper("table3")
    purchase, sale = (ensemble.array(f"zone_{name}_usd") for name in ("purchase", "sale"))
    found = {}
    for reading in READINGS:
        g2v, evms = (_index(case, reading) for case in ("g2v", "evms"))
        found[reading] = {
            "g2v_cost": purchase[g2v],
            "evms_net_cost": purchase[evms] - sale[evms],
            "benefit": financial_benefit(purchase[g2v], purchase[evms], sale[evms]),
        }
    rows = []
    for zone in paper.index:
        for quantity in MONEY:
            for reading in READINGS:
                by_zone = found[reading][quantity]
                values = by_zone.sum(axis=1) if zone == "total" else by_zone[:, int(zone) - 1]
                printed = str(paper.loc[zone, f"{quantity}_usd"])
                names = {"zone": zone, "quantity": quantity, "unit": "USD", "reading": reading}
                rows.append(names | _row(printed, values))
    return pd.DataFrame(rows)


def _paper(name: str) -> pd.DataFrame:
    import pandas as pd

    # As text, since how many digits were printed matters.
    path = shipped_dir() / "reference" / f"{name}.csv"
    return pd.read_csv(path, comment="#", index_col=0, dtype=str)


def _index(case: str, reading: str) -> int:
    return RUNS.index((case, "as_printed" if case == "base" else reading))


def _row(printed: str, values: FloatArray) -> dict[str, Any]:
    """The paper's number, and ours with the mean's interval and that of one run.

    paper_inside: whether the 95 % prediction interval of one run, mean +- t x sd x sqrt(1 + 1/n),
    holds a number that rounds to what the paper prints.
    """
    found = {name: column[0] for name, column in describe(values[None, :]).items()}
    half = float(prediction_half_width(found["sd"], found["n"]))
    low, high = found["mean"] - half, found["mean"] + half
    rounding = 0.5 * 10.0 ** -len(printed.partition(".")[2])
    paper = float(printed)
    inside = low - rounding <= paper <= high + rounding
    return {
        "paper": paper,
        "n": int(found["n"]),
        **{name: float(found[name]) for name in ("mean", "sd", "ci95_low", "ci95_high")},
        "prediction95_low": float(low),
        "prediction95_high": float(high),
        "paper_inside": bool(inside) if np.isfinite(half) else None,
    }
