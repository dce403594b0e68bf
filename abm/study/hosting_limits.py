"""Limits that hosting is judged by: which ones, at which value, and what breaks them in a run."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray
from abm.errors import InputError, Problem, nearest
from abm.grid import Feeder
from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.grid.phase_flow import ThreePhaseFlow
from abm.results.phases import VUF_PERCENT, ten_minutes
from abm.results.record import Record
from abm.results.violations import GridLimit, grid_limits
from abm.study.bound import Bound

# In the order in which they are told; the value of each, None: as the scenario or the rating says.
LIMITS = ("voltage_low", "voltage_high", "unbalance", "line", "transformer")
# What stands in the place of a limit where a load flow did not converge.
UNSOLVED = "not_solved"
VOLTAGES = ("voltage_low", "voltage_high")
_BOTH = {"voltage": VOLTAGES}
Limits = Mapping[str, float | None]


def parse_limits(text: str | None) -> dict[str, float | None]:
    """`"voltage_low=0.94,line"` -> {"voltage_low": 0.94, "line": None}; all of `LIMITS` when None.

    `voltage` is both of its limits. Raises InputError with all problems.
    """
    if text is None:
        return dict.fromkeys(LIMITS)
    found: dict[str, float | None] = {}
    problems = []
    names = (*LIMITS, *_BOTH)
    for part in text.split(","):
        name, given, written = (piece.strip() for piece in part.partition("="))
        value = _number(written) if given else None
        if name not in names:
            said = f"limits with commas between: {', '.join(names)}"
            problems.append(Problem("--limits", name, said, hint=nearest(name, names)))
        elif given and name in _BOTH:
            each = " or ".join(f"{kind}={written}" for kind in _BOTH[name])
            problems.append(Problem("--limits", part.strip(), f"a value of one of them, {each}"))
        elif given and value is None:
            problems.append(Problem("--limits", part.strip(), f"{name} with a value above 0"))
        for kind in _BOTH.get(name, (name,)):
            if kind in found:
                problems.append(Problem("--limits", name, "each limit once"))
            found[kind] = value
    if problems:
        raise InputError(problems)
    return {kind: found[kind] for kind in LIMITS if kind in found}


def _number(text: str) -> float | None:
    if not re.fullmatch(r"[0-9]*\.?[0-9]+", text):
        return None
    return float(text) if float(text) > 0.0 else None


def broken_elements(record: Record, limits: Limits) -> dict[str, list[NDArray[np.str_]]]:
    """Names of the elements that break each limit at any time, one array for each feeder."""
    found: dict[str, list[NDArray[np.str_]]] = {}
    for limit in grid_limits(record):
        if limit.kind in limits:
            names = np.array(limit.elements, dtype=np.str_)
            broken = _broken(record, limit, limits[limit.kind])
            found[limit.kind] = [names[row] for row in broken]
    if isinstance(record.flows, ThreePhaseFlow) and isinstance(record.feeder, ThreePhaseFeeder):
        found |= _of_phases(record, record.flows, record.feeder, limits)
    return {kind: found[kind] for kind in limits}


def _of_phases(
    record: Record, flows: ThreePhaseFlow, feeder: ThreePhaseFeeder, limits: Limits
) -> dict[str, list[NDArray[np.str_]]]:
    """Buses and lines that are the worst of all while they break a limit."""
    found: dict[str, list[NDArray[np.str_]]] = {}
    every = range(record.n_feeders)
    if "unbalance" in limits:
        most = limits["unbalance"] or VUF_PERCENT
        means = ten_minutes(record, flows.vuf_percent)
        together = len(flows.vuf_percent) // len(means)
        # Of a mean that is too high the bus of its worst load flow.
        over = np.repeat(means > most, together, axis=0)
        worst = flows.vuf_percent.reshape(-1, together, record.n_feeders)
        highest = np.repeat(worst.max(axis=1), together, axis=0)
        over &= flows.vuf_percent == highest
        names = feeder.phases.bus
        found["unbalance"] = [names[np.unique(flows.vuf_at[over[:, k], k])] for k in every]
    if "line" in limits and not record.loading_percent.shape[2]:
        over = flows.line_percent > (limits["line"] or 100.0)
        lines = np.array(feeder.line_names, dtype=np.str_)
        found["line"] = [lines[np.unique(flows.line_at[over[:, k], k])] for k in every]
    return found


def _broken(record: Record, limit: GridLimit, value: float | None) -> BoolArray:
    """Which elements of which feeder break a limit, (K, M)."""
    # Voltages as EN 50160 judges them.
    values = ten_minutes(record, limit.values) if limit.kind in VOLTAGES else limit.values
    bound = limit.limit if value is None else value
    # What is not known (NaN) breaks none.
    return np.asarray((limit.sign * values > limit.sign * bound).any(axis=0))


def kinds_of(feeder: Feeder, limits: Limits) -> tuple[str, ...]:
    """Limits that can be broken on a feeder: of what it has."""
    there = {
        "unbalance": isinstance(feeder, ThreePhaseFeeder),
        "line": bool(np.isfinite(feeder.ampacity_a).any()),
        "transformer": bool(feeder.network.transformers.names),
    }
    return tuple(kind for kind in limits if there.get(kind, True))


def head_mva(feeder: Feeder, limits: Limits) -> float | None:
    """Apparent power that all branches at the sources can carry together within their limits, MVA.

    None where one of them has no rating, or its limit does not count.
    """
    if isinstance(feeder, ThreePhaseFeeder):
        return _head_of_phases(feeder, limits)
    network = feeder.network
    sources, ends = network.slack_nodes, (network.branches.from_node, network.branches.to_node)
    v = dict(zip(sources.tolist(), np.abs(network.slack_v).tolist(), strict=True))
    rated = np.full(len(ends[0]), np.nan)
    lines = network.branch_of_line
    if "line" in limits:
        rated[lines] = feeder.ampacity_a * (limits["line"] or 100.0) / 100.0
    windings = network.transformers
    if "transformer" in limits:
        of_winding = windings.rated_a * (limits["transformer"] or 100.0) / 100.0
        at_end = np.where(windings.at_to, ends[1][windings.branch], ends[0][windings.branch])
        at_source = np.isin(at_end, sources)
        rated[windings.branch[at_source]] = of_winding[at_source]
    total = 0.0
    for end in ends:
        for branch in np.flatnonzero(np.isin(end, sources)):
            at = int(end[branch])
            kv = float(network.base_kv[at]) * v[at]
            total += float(np.sqrt(3.0) * kv * rated[branch]) / 1e3
    return total if np.isfinite(total) and total > 0.0 else None


def _head_of_phases(feeder: ThreePhaseFeeder, limits: Limits) -> float | None:
    """What `head_mva` is of a three-phase feeder: of all phases together."""
    phases, source = feeder.phases, feeder.phases.source_bus
    at_line = (phases.line_from == source) | (phases.line_to == source)
    at_transformer = (phases.transformer_from == source) | (phases.transformer_to == source)
    kv = phases.vn_kv[source] / np.sqrt(3.0)
    # NaN where a line has no rating, or its limit does not count.
    amperes = np.where(phases.line_phases[at_line], phases.line_ampacity_a[at_line, None], 0.0)
    lines = float((kv * amperes).sum()) / 1e3 * _part_of(limits, "line", at_line)
    rated = float(phases.sn_kva[at_transformer].sum()) / 1e3
    total = lines + rated * _part_of(limits, "transformer", at_transformer)
    total *= phases.source_vm_pu
    return total if np.isfinite(total) and total > 0.0 else None


def _part_of(limits: Limits, kind: str, there: BoolArray) -> float:
    """The part of their rating that these may carry; NaN where their limit does not count."""
    if kind not in limits:
        return float("nan") if there.any() else 1.0
    return (limits[kind] or 100.0) / 100.0


def least_demand_mw(bound: Bound) -> float:
    """Highest demand of a feeder that no plan could have stayed below, MW.

    The lowest possible peak while EVs are plugged in, or the demand without them where that is
    higher at another time.
    """
    record, grain_min = bound.results.record, float(bound.metric_min)
    alone = record.demand_mw(grain_min)[~record.plugged_in(grain_min)]
    known = [one.lowest_peak_mw for one in bound.feeders if one.lowest_peak_mw is not None]
    return max([*known, float(alone.max(initial=-np.inf))])


def metric_of(flow_min: int) -> int:
    """Grain that a least peak is found on, min: 15 or 60, a whole number of load flows."""
    return 15 if 15 % flow_min == 0 else 60


def in_words(kind: str) -> str:
    """A limit as text shows it."""
    return kind.replace("_", " ")


def as_asked(limits: Limits) -> list[str]:
    """Limits with their values, as `parse_limits` reads them."""
    return [kind if value is None else f"{kind}={value:g}" for kind, value in limits.items()]
