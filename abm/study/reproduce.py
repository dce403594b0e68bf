"""The paper's study: base, G2V and EVMS under both requirements, beside the paper's own tables.

Of one seed, and of many with how sure each number is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from abm.equations import FloatArray
from abm.equations.economics import financial_benefit, total_benefit
from abm.errors import InputError, Problem
from abm.results import Results
from abm.results.kpis import TIE_MW
from abm.scenario import Scenario, shipped_dir
from abm.scenario.yamlio import show
from abm.study.cluster import Cluster
from abm.study.ensemble import Ensemble
from abm.study.montecarlo import OnDone, run_study
from abm.study.replications import Case
from abm.study.runs import Run, run_once
from abm.study.statistics import describe, prediction_half_width

if TYPE_CHECKING:
    import pandas as pd

CASES = ("base", "g2v", "evms")
STRATEGY_OF = {"base": "none", "g2v": "uncoordinated", "evms": "evms"}
READINGS = ("as_printed", "energy_balanced")
SCENARIO_OF = {"as_printed": "paper", "energy_balanced": "paper_balanced"}
MONEY = ("g2v_cost", "evms_net_cost", "benefit")
# Quantity of Table II -> KPI, unit; rows of `table2`.
TABLE2_KPIS = {
    "system_peak": ("system_peak_mw", "MW"),
    "peak_hour": ("system_peak_hour", "h"),
    "daily_feeder_demand": ("feeder_energy_mwh", "MWh"),
    "max_active_loss": ("max_loss_mw", "MW"),
    "min_node_voltage": ("min_vm_pu", "p.u."),
}


@dataclass(frozen=True)
class Reproduction:
    """The runs of the study by (case, reading), and the tables made from them."""

    runs: Mapping[tuple[str, str], Run]

    def results(self, case: str, reading: str) -> Results:
        """Results of one run."""
        return self.runs[case, reading].results

    def kpis(self, case: str, reading: str) -> dict[str, Any]:
        """KPIs of one run."""
        return self.results(case, reading).kpis


def run_names() -> dict[tuple[str, str], str]:
    """Folder name of each run; the base case is the same under both readings and stands once."""
    names = {("base", "as_printed"): "base"}
    for reading, suffix in (("as_printed", "as-printed"), ("energy_balanced", "balanced")):
        names |= {(case, reading): f"{case}-{suffix}" for case in ("g2v", "evms")}
    return names


# Fields that make the study what it is.
FIXED = ("strategy", "requirement", "feeder", "horizon", "clock.hours", "clock.start",
         "grid.feeder")  # fmt: skip
READING_WORDS = {"as_printed": "as printed", "energy_balanced": "energy-balanced"}


def paper_scenarios(
    settings: Sequence[str | tuple[str, Any]] = (), trust: bool = False
) -> dict[str, Scenario]:
    """The scenario of each reading, with fields changed as in `Scenario.load`.

    Raises InputError, also for `FIXED`.
    """
    found = {
        reading: Scenario.load(name, settings=settings, trust=trust)
        for reading, name in SCENARIO_OF.items()
    }
    said = "left as it is: the study runs its strategies and requirements on its day and feeder"
    problems = [
        Problem(name, show(value), said, f"--set {name}")
        for name, value, _ in changes(found)
        if any(name == one or name.startswith(f"{one}.") for one in FIXED)
    ]
    if problems:
        raise InputError(problems)
    return found


def changes_in_words(scenarios: Mapping[str, Scenario]) -> tuple[str, ...]:
    """Fields, but for the seed, in which a study is not the paper's, with the paper's values."""
    lines = []
    for name, value, before in changes(scenarios):
        paper = " and ".join(
            f"{show(of_paper)} {READING_WORDS[reading]}" if len(before) > 1 else show(of_paper)
            for reading, of_paper in before.items()
        )
        lines.append(f"{name} = {show(value)} instead of {paper}")
    return tuple(lines)


def changes(scenarios: Mapping[str, Scenario]) -> list[tuple[str, Any, dict[str, Any]]]:
    """Of each reading's scenario what is not the paper's but the seed: field, value, the paper's.

    The latter by reading: of one where they are the same.
    """
    found: dict[str, tuple[Any, dict[str, Any]]] = {}
    for reading, scenario in scenarios.items():
        for one in scenario.differences(Scenario.load(SCENARIO_OF[reading])):
            if one.field != "seed":
                before = found.setdefault(one.field, (one.value, {}))[1]
                if one.default not in before.values():
                    before[reading] = one.default
    return [(name, value, before) for name, (value, before) in found.items()]


def reproduce(
    scenarios: Mapping[str, Scenario] | None = None, on_hour: Callable[[], None] | None = None
) -> Reproduction:
    """Run the six models of the study; scenarios: of each reading (`paper_scenarios`)."""
    runs = {}
    for reading, scenario in (scenarios or paper_scenarios()).items():
        for case in CASES:
            runs[case, reading] = run_once(scenario.override(strategy=STRATEGY_OF[case]), on_hour)
    return Reproduction(runs)


def table2(study: Reproduction) -> pd.DataFrame:
    """Table II, one row per quantity and case, the paper's figure beside both readings.

    Differences are in % of the paper's figure; in hours for the hour of the peak, with the hours
    that share it (`peak_hours`) beside it.
    """
    import pandas as pd

    paper = pd.read_csv(shipped_dir() / "reference" / "table2.csv", comment="#", index_col=0)
    rows = []
    for quantity, (kpi, unit) in TABLE2_KPIS.items():
        for case in CASES:
            found = {reading: study.kpis(case, reading)[kpi] for reading in READINGS}
            row = _row(quantity, unit, case, _cell(paper, quantity, case), found)
            for reading in READINGS:
                ties = peak_hours(study.results(case, reading)) if unit == "h" else []
                row[f"{reading}_ties"] = " ".join(map(str, ties[1:]))
            rows.append(row)
    return pd.DataFrame(rows)


def peak_hours(results: Results) -> list[int]:
    """Clock hours in which demand is within TIE_MW of the hourly peak, the highest first."""
    demand = results.total_mw
    order = np.argsort(-demand, kind="stable")
    return [int(results.clock_hours[i]) for i in order if demand[i] >= demand.max() - TIE_MW]


def table3(study: Reproduction) -> pd.DataFrame:
    """Table III, one row per zone and quantity, the total as zone "total"; $.

    Quantities: g2v_cost, eq. (19); evms_net_cost, eq. (20) less (21); benefit, eqs. (22), (23).
    """
    import pandas as pd

    paper = pd.read_csv(shipped_dir() / "reference" / "table3.csv", comment="#", index_col=0)
    found = {reading: zone_money(study, reading) for reading in READINGS}
    rows = []
    for zone in paper.index:
        for quantity in MONEY:
            values = {
                reading: total_benefit(money[quantity])
                if zone == "total"
                else float(money[quantity][int(zone) - 1])
                for reading, money in found.items()
            }
            printed = _cell(paper, zone, f"{quantity}_usd")
            rows.append({"zone": zone, **_row(quantity, "USD", "", printed, values)})
    return pd.DataFrame(rows).drop(columns="case")


def zone_money(study: Reproduction, reading: str) -> dict[str, np.ndarray[Any, Any]]:
    """Cost of G2V, net cost of EVMS and benefit of every RPZ, (n_zones,) [$], eqs. (19)-(22)."""
    g2v = study.results("g2v", reading).zones["purchase_usd"].to_numpy()
    evms = study.results("evms", reading).zones
    purchase, sale = evms["purchase_usd"].to_numpy(), evms["sale_usd"].to_numpy()
    return {
        "g2v_cost": g2v,
        "evms_net_cost": purchase - sale,
        "benefit": financial_benefit(g2v, purchase, sale),
    }


def _cell(table: pd.DataFrame, row: Any, column: str) -> float:
    return float(cast(float, table.loc[row, column]))


def _row(
    quantity: str, unit: str, case: str, paper: float, found: Mapping[str, float | None]
) -> dict[str, Any]:
    row: dict[str, Any] = {"quantity": quantity, "unit": unit, "case": case, "paper": paper}
    for reading in READINGS:
        value = found[reading]
        if value is None:
            difference = np.nan
        elif unit == "h":
            difference = (value - paper + 12) % 24 - 12
        else:
            difference = 100.0 * (value / paper - 1.0)
        row[reading] = value
        row[f"{reading}_difference"] = difference
    return row


# A peak is flat where another hour is lower by no more than this part of it.
FLAT = 0.01


def findings(study: Reproduction) -> list[str]:
    """What the energy balance changes, in plain sentences computed from the runs.

    A fleet that is not the paper's has sentences of its own where the paper's would not hold.
    """
    printed, balanced = (study.kpis("evms", reading) for reading in READINGS)
    if not balanced["evs"]:
        return ["There is no EV, and nothing of the paper to compare."]
    g2v = study.kpis("g2v", "energy_balanced")
    saving = {}
    for reading in READINGS:
        cost = study.kpis("g2v", reading)["net_cost_usd"]
        saving[reading] = 100.0 * (1.0 - study.kpis("evms", reading)["net_cost_usd"] / cost)
    charged = study.kpis("g2v", "as_printed")
    hours = peak_hours(study.results("evms", "as_printed"))
    demand = study.results("evms", "as_printed")
    below_kw = 1e3 * (demand.total_mw.max() - demand.total_mw[demand.clock_hours == 1].max())
    lacks = {
        case: study.kpis(case, "as_printed")["energy_short_kwh"] / 1e3 for case in ("g2v", "evms")
    }
    missing, evs, short = balanced["energy_short_kwh"], balanced["evs"], balanced["evs_short"]
    flat = ""
    if below_kw <= FLAT * 1e3 * demand.total_mw.max():
        flat = ": it is flat at the limit, and which hour is highest says little"
    peak = f"its peak stays at {balanced['system_peak_mw']:.2f} MW"
    same = "With the energy balanced (paper_balanced) the same rule"
    left = f"{same} leaves no EV more than 1 % short, and {peak}."
    if short:
        left = (
            f"{same} still leaves {short} of {evs} EVs short, {missing / 1e3:.2f} MWh in all or "
            f"{missing / short:.1f} kWh each: that is how {peak}."
        )
    partly = ", part of which is energy they did not get" if short else ""
    return [
        f"As printed, EVs lack {lacks['evms']:.2f} MWh of the SoC they asked for under EVMS, for "
        f"eqs. (14)-(16) never charge back what V2G took, and {lacks['g2v']:.2f} MWh in plain G2V, "
        f"for eq. (7) charges 0.85 of what is asked. That factor alone leaves "
        f"{charged['evs_short']} of {charged['evs']} EVs more than 1 % short, EVMS "
        f"{printed['evs_short']}: the energy says what the count does not. The saving looks like "
        f"{saving['as_printed']:.0f} %.",
        f"The EVMS peak is at {_clock(hours)}, the paper's at 1:00, where demand is {below_kw:.1f} "
        f"kW lower{flat}.",
        left,
        f"The owners then pay ${balanced['net_cost_usd']:.0f} instead of "
        f"${g2v['net_cost_usd']:.0f}, a saving of {saving['energy_balanced']:.0f} % (the paper "
        f"says 89 %){partly}.",
        f"Uncoordinated charging that fills every car peaks at {g2v['system_peak_mw']:.2f} MW "
        f"(paper: 5.28) with {g2v['min_vm_pu']:.3f} p.u. at N{g2v['min_vm_bus']} "
        f"and {g2v['evs_short']} EVs short.",
    ]


def _clock(hours: list[int]) -> str:
    """Hours as "18:00", those that share the peak behind it."""
    first, *others = (f"{hour}:00" for hour in hours)
    within = f"within {TIE_MW:g} MW"
    return f"{first}, a tie with {' and '.join(others)} {within}" if others else first


# --- many seeds --------------------------------------------------------------------------------

# The base case is the same under both readings and runs once.
RUNS = (
    ("base", "as_printed"),
    ("g2v", "as_printed"),
    ("evms", "as_printed"),
    ("g2v", "energy_balanced"),
    ("evms", "energy_balanced"),
)
_ENDS = ("ci95_low", "ci95_high", "prediction95_low", "prediction95_high")


def reproduce_replications(
    replications: int,
    scenarios: Mapping[str, Scenario] | None = None,
    *,
    workers: int = 1,
    cluster: str | Cluster | None = None,
    on_done: OnDone | None = None,
) -> Ensemble:
    """Replications of the paper's five different runs on the same EVs; raises as `montecarlo`."""
    readings, cases = scenarios or paper_scenarios(), []
    for case, reading in RUNS:
        scenario = readings[reading].override(strategy=STRATEGY_OF[case])
        cases.append(Case({"strategy": case, "reading": reading}, scenario))
    seed = cases[0].scenario.seed
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
                row = _interval_row(printed, found)
                if unit == "h":
                    row |= {name: row[name] % 24.0 for name in ("mean", *_ENDS)}
                tied = ensemble.values("system_peak_tied_hours")[_index(case, reading)] > 0
                rows.append(names | row | {"tied": int(tied.sum()) if unit == "h" else 0})
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
                rows.append(names | _interval_row(printed, values))
    return pd.DataFrame(rows)


def _paper(name: str) -> pd.DataFrame:
    import pandas as pd

    # As text, since how many digits were printed matters.
    path = shipped_dir() / "reference" / f"{name}.csv"
    return pd.read_csv(path, comment="#", index_col=0, dtype=str)


def _index(case: str, reading: str) -> int:
    return RUNS.index((case, "as_printed" if case == "base" else reading))


def _interval_row(printed: str, values: FloatArray) -> dict[str, Any]:
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
