"""The answer of a study of many replications, in three sentences with numbers and intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from abm.report.field_words import field_words, mid_sentence
from abm.report.sentences import count, listed
from abm.report.units import below_a_megawatt, dollars, in_kilo, number, scaled_mean
from abm.results.indicators import indicator, kpi_label
from abm.study.ensemble import Ensemble
from abm.study.hosting_limits import in_words
from abm.study.hosting_results import BOUND, Hosting
from abm.study.hosting_tables import capacity_table

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[Any, Any]
# Half-widths of Sobol' indices from which on they say little.
WIDE = 0.1


def value_text(kpi: str, value: float, small: bool, digits: int | None = None) -> str:
    """A mean of a KPI with its unit, in so many digits."""
    row, usual = scaled_mean(kpi, dict.fromkeys(("mean", "sd", "ci95_low", "ci95_high"), value),
                             small)  # fmt: skip
    digits = usual if digits is None else digits
    known = indicator(kpi)
    unit = known.unit if known is not None and known.unit != "-" else ""
    text = number(row["mean"], digits)
    if unit == "$":
        return dollars(row["mean"], digits)
    return f"{text} {in_kilo(unit) if small else unit}".rstrip()


def mean_text(kpi: str, row: Row, small: bool) -> str:
    """A mean with its unit and its interval."""
    scaled_row, digits = scaled_mean(kpi, row, small)
    text = value_text(kpi, row["mean"], small, digits)
    if not math.isfinite(row["ci95_low"]):
        return text
    low, high = scaled_row["ci95_low"], scaled_row["ci95_high"]
    if text.removeprefix("-").startswith("$"):
        return f"{text} ({dollars(low, digits)} to {dollars(high, digits)})"
    return f"{text} ({number(low, digits)} to {number(high, digits)})"


def ensemble_answer(ensemble: Ensemble) -> list[str]:
    """Peak by strategy, paired differences or the voltage, and who is short at what cost."""
    rows = ensemble.summary.to_dict("records")
    found = {(row["kpi"], row["strategy"]): row for row in rows}
    names = [str(case) for case in ensemble.cases]
    if not rows or all(row["n"] == 0 for row in rows):
        return ["No replication gave a result."]
    small = below_a_megawatt(row["mean"] for row in rows if row["kpi"] == "peak_15min_mw")
    runs = count(ensemble.n, "replication")
    sure = " (in brackets the mean's 95 % interval)" if ensemble.n > 1 else ""

    def each(kpi: str) -> str:
        known = [(name, found[kpi, name]) for name in names if (kpi, name) in found]
        known = [(name, row) for name, row in known if row["n"]]
        known.sort(key=lambda item: item[1]["mean"])
        if len(known) > 3:
            known = [known[0], known[-1]]
        parts = [f"{mean_text(kpi, row, small)} under {name}" for name, row in known]
        return listed(parts) if parts else "not known"

    first = f"Over {runs} the highest demand of 15 minutes is on average "
    first += f"{each('peak_15min_mw')}{sure}."
    if len(names) > 1:
        second = _difference(ensemble, small)
    else:
        row = found["peak_15min_mw", names[0]]
        low, high = (value_text("peak_15min_mw", row[q], small) for q in ("q05", "q95"))
        second = (
            f"In nine tenths of the replications the peak is between {low} and {high}; the lowest "
            f"voltage is on average {each('min_vm_pu')}."
        )
    third = f"EVs left short: {each('evs_short')}; net cost: {each('net_cost_usd')}."
    return [first, second, third]


def _difference(ensemble: Ensemble, small: bool) -> str:
    rows = [r for r in ensemble.differences.to_dict("records") if r["kpi"] == "peak_15min_mw"]
    rows = [row for row in rows if row["n"]]
    if not rows:
        return "No replication succeeded under two strategies, so that none can be compared."
    widest = max(rows, key=lambda row: abs(row["mean"]))
    pair, sign = (widest["strategy"], widest["minus"]), -1.0
    if widest["mean"] > 0.0:
        pair, sign = pair[::-1], 1.0
    low, high = sorted(sign * widest[end] for end in ("ci95_low", "ci95_high"))
    below = {"mean": sign * widest["mean"], "sd": widest["sd"], "ci95_low": low, "ci95_high": high}
    text = f"On the same EVs {pair[0]} stays {mean_text('peak_15min_mw', below, small)}"
    text += f" below {pair[1]}"
    open_pairs = sum(not row["excludes_zero"] for row in rows)
    if ensemble.n < 2:
        return f"{text}; of a single replication nothing says how sure that is."
    if open_pairs:
        pairs = count(open_pairs, "pair")
        return f"{text}; of {pairs} of strategies the interval of the difference holds zero."
    return f"{text}; no interval of a difference between two strategies holds zero."


# --- sweeps ------------------------------------------------------------------------------------


def sweep_answer(
    ensemble: Ensemble, tables: Mapping[str, pd.DataFrame], kpis: Sequence[str]
) -> list[str]:
    """For up to three KPIs where they are lowest and highest, or which factor moves them most."""
    shown = [kpi for kpi in kpis if kpi in ensemble.measures][:3]
    if "sobol" in tables:
        return [_moves(tables["sobol"], kpi) for kpi in shown]
    summary = tables["summary"]
    rows = summary.to_dict("records")
    small = below_a_megawatt(row["mean"] for row in rows if row["kpi"] == "peak_15min_mw")
    labels = [
        label
        for label in ensemble.cases[0].labels
        if len({str(case.labels[label]) for case in ensemble.cases}) > 1
    ]
    found = []
    for kpi in shown:
        mine = [row for row in rows if row["kpi"] == kpi and row["n"]]
        name = kpi_label(kpi).partition(" (")[0]
        if not mine:
            found.append(f"{name}: no replication gave a result.")
            continue
        low, high = (pick(mine, key=lambda row: row["mean"]) for pick in (min, max))
        if high["mean"] == low["mean"]:
            same = value_text(kpi, low["mean"], small)
            found.append(f"{name} is {same} at every point.")
            continue
        at = [_point(row, labels) for row in (low, high)]
        found.append(
            f"{name} goes from {mean_text(kpi, low, small)} at {at[0]} to "
            f"{mean_text(kpi, high, small)} at {at[1]}."
        )
    return found


def _point(row: Row, labels: Sequence[str]) -> str:
    """Where a row of a sweep is, by what differs between the rows: one factor in words."""
    factors = [label for label in labels if label != "strategy"]
    name = _factor if len(factors) == 1 else str
    parts = [f"{name(label)} = {row[label]}" for label in factors]
    under = f" under {row['strategy']}" if "strategy" in labels else ""
    return f"{listed(parts, len(parts))}{under}" if parts else under.strip()


def _moves(sobol: pd.DataFrame, kpi: str) -> str:
    name = kpi_label(kpi).partition(" (")[0]
    rows = sobol[sobol["kpi"] == kpi].to_dict("records")
    known = [row for row in rows if math.isfinite(row["ST"])]
    if not known:
        return f"{name} does not vary, or is not known at some point: there are no indices."
    first = max(known, key=lambda row: row["ST"])
    text = f"{name} under {first['strategy']} is moved most by {_factor(first['factor'])}:"
    text += f" its total index is {first['ST']:.2f} ± {first['ST_conf']:.2f}"
    others = [r for r in known if r["strategy"] == first["strategy"] and r is not first]
    if others:
        second = max(others, key=lambda row: row["ST"])
        text += (
            f", that of {_factor(second['factor'])} {second['ST']:.2f} ± {second['ST_conf']:.2f}"
        )
    return f"{text}."


def _factor(field: str) -> str:
    return mid_sentence(field_words(field))


def wide_indices(tables: Mapping[str, pd.DataFrame], kpis: Sequence[str], points: int) -> list[str]:
    """A sentence where the intervals of Sobol' indices are so wide that they say little."""
    if "sobol" not in tables:
        return []
    rows = tables["sobol"][tables["sobol"]["kpi"].isin(list(kpis))]
    most = rows[["S1_conf", "ST_conf"]].max().max() if len(rows) else 0.0
    if not most > WIDE:
        return []
    return [
        f"The 95 % intervals of the Sobol' indices reach ± {most:.2f} with {points} points: more "
        "points (--design sobol:N) narrow them."
    ]


# --- hosting -----------------------------------------------------------------------------------


def hosting_answer(study: Hosting) -> list[str]:
    """What each strategy hosts, what binds next, and what that leaves the EVs."""
    rungs = study.asked.ladder
    rows = [row for row in capacity_table(study).to_dict("records") if row["strategy"] != BOUND]
    rows.sort(key=lambda row: -1.0 if math.isnan(row["share"]) else row["share"], reverse=True)
    best = rows[0]
    risk = f"{100.0 * rungs.risk:g} % of the replications"
    top = 100.0 * rungs.shares[-1]
    if math.isnan(best["share"]):
        least = 100.0 * rungs.shares[0]
        first = f"No strategy keeps the limits in all but {risk}, not even at {least:.4g} %."
    elif math.isnan(best["next_share"]):
        all_of = [str(row["strategy"]) for row in rows if math.isnan(row["next_share"])]
        first = (
            f"Under {listed(all_of)} even {top:.4g} % of the customers may have an EV, the highest "
            f"share that was looked at, before a limit is broken in more than {risk}"
        )
        first += _and_others([row for row in rows if not math.isnan(row["next_share"])])
    else:
        first = (
            f"{_share(best)} of the customers ({count(best['evs'], 'EV')}) may have an EV under "
            f"{best['strategy']} before a limit is broken in more than {risk}"
        )
        first += _and_others(rows[1:])
    binds = [
        f"{in_words(str(row['limit']))} {row['element']}".strip() + f" under {row['strategy']}"
        for row in rows
        if row["limit"]
    ]
    where = "there" if math.isnan(best["share"]) else "at the next share"
    second = (
        f"What is broken first {where}: {listed(binds)}."
        if binds
        else ("No limit is broken often enough to bind.")
    )
    short = [
        f"{row['evs_short_percent']:.1f} % under {row['strategy']}"
        for row in rows
        if not math.isnan(row["evs_short_percent"])
    ]
    third = (
        f"EVs that leave short at those shares: {listed(short)}."
        if short
        else ("At no share that keeps the limits is there an EV.")
    )
    return [first, second, third]


def _share(row: Row) -> str:
    text = f"{100.0 * row['share']:.4g} %"
    low, high = (100.0 * row[end] for end in ("low", "high"))
    if math.isnan(low) and math.isnan(high):
        return f"{text} (how sure cannot be said)"
    if math.isnan(low):
        return f"{text} (surely less than {high:.4g} %)"
    if math.isnan(high):
        return f"{text} (surely {low:.4g} %)"
    return f"{text} (interval {low:.4g} to {high:.4g} %)"


def _and_others(rows: Sequence[Row]) -> str:
    parts = [
        f"none under {row['strategy']}"
        if math.isnan(row["share"])
        else f"{_share(row)} under {row['strategy']}"
        for row in rows
    ]
    return f"; {listed(parts)}." if parts else "."
