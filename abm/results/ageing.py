"""What the batteries of a run lost, and what they would have lost if every EV charged at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray, IntArray
from abm.equations.ageing import (
    KELVIN,
    ageing_cost,
    cell_charge,
    schmalstieg_calendar,
    schmalstieg_loss,
    throughput_damage,
    xu_calendar,
    xu_loss,
)
from abm.equations.battery import energy_gained, full_cycles
from abm.equations.economics import asked_energy, charged_at_once
from abm.fleet.columns import group_sums
from abm.fleet.cycles import Cycles, cycle_stress
from abm.scenario.ageing_fields import AgeingSection
from abm.scenario.fleet_fields import Requirement

YEAR_DAYS = 365.0
# A difference of costs below this is none.
ROUNDING_USD = 1e-9
Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Use:
    """How n batteries were used in a number of days; only full_cycles without a SoC history.

    full_cycles: equivalent ones, of energy through the plug. cycles, depth, stress: number of
    rainflow cycles, driving among them, and sums over them. mean_soc: over the days, NaN of those
    that were never here.
    """

    days: float
    full_cycles: FloatArray
    cycles: FloatArray | None = None
    depth: FloatArray | None = None
    stress: FloatArray | None = None
    mean_soc: FloatArray | None = None

    def loss(self, ageing: AgeingSection, days: float) -> FloatArray:
        """Capacity that goes in so many days used like this, fraction of that when new, (n,)."""
        if self.depth is None or self.stress is None or self.mean_soc is None:
            damage = throughput_damage(self.full_cycles, ageing.cycle_life, ageing.cycle_depth)
            return np.asarray(ageing.end_of_life_loss * damage / self.days * days)
        stress, age = self.stress / self.days, ageing.age_days
        kelvin = ageing.temperature_c + KELVIN
        if ageing.model == "woehler":
            return np.asarray(ageing.end_of_life_loss * stress * days)
        if ageing.model == "xu_2018":
            stress = stress + xu_calendar(1.0, self.mean_soc, kelvin)
            lost = xu_loss(stress * (age + days)) - xu_loss(stress * age)
        else:
            alpha = schmalstieg_calendar(self.mean_soc, kelvin)
            beta = np.divide(
                self.stress, self.depth, out=np.zeros_like(self.depth), where=self.depth > 0.0
            )
            charge = cell_charge(self.depth / self.days)
            lost = schmalstieg_loss(alpha, beta, age + days, charge * (age + days))
            lost = lost - schmalstieg_loss(alpha, beta, age, charge * age)
        return np.asarray(np.nan_to_num(lost))


@dataclass(frozen=True, eq=False)
class Ageing:
    """Wear of n batteries. usd, reference_usd: its cost in the run, and of charging at once [$].

    loss_per_day, loss_per_year: fractions of the capacity when new, of the day and of the year that
    follow on `ageing.age_days`.
    """

    use: Use
    usd: FloatArray
    reference_usd: FloatArray
    loss_per_day: FloatArray
    loss_per_year: FloatArray

    @property
    def more_usd(self) -> FloatArray:
        """What the run cost more than charging at once, (n,) [$]."""
        more = self.usd - self.reference_usd
        return np.where(np.abs(more) > ROUNDING_USD, more, 0.0)


def ageing_of(
    ageing: AgeingSection,
    requirement: Requirement,
    ev: Columns,
    stays: Columns,
    n_hours: int,
    visits: IntArray | None = None,
) -> Ageing:
    """Ageing of a record: its columns of EVs (n,) and of stays (D, n).

    visits: rows of each EV where it has several, (V, m), -1 for none; what it loses then stands in
    its first row, and 0 in the others.
    """
    if visits is None or "cycle_stress" not in ev:
        return _ageing_of(ageing, requirement, ev, stays, n_hours, len(stays["arrived"]))
    # One battery for each EV, and its visits for stays.
    there, rows = visits >= 0, np.maximum(visits, 0)
    of_stays = {name: values[0][rows] for name, values in stays.items()}
    of_stays["arrived"] = of_stays["arrived"] & there
    of_evs = {name: values[visits[0]] for name, values in ev.items()}
    for name in ("charged_kwh", "discharged_kwh"):
        of_evs[name] = np.where(there, ev[name][rows], 0.0).sum(axis=0)
    found = _ageing_of(ageing, requirement, of_evs, of_stays, n_hours, 1)

    def spread(values: FloatArray | None, rest: float = 0.0) -> Any:
        """By battery -> by row."""
        if values is None:
            return None
        by_row = np.full(len(ev["feeder"]), rest)
        by_row[visits[0]] = values
        return by_row

    names = "full_cycles", "cycles", "depth", "stress"
    sums = {name: spread(getattr(found.use, name)) for name in names}
    use = Use(days=found.use.days, mean_soc=spread(found.use.mean_soc, np.nan), **sums)
    costs = "usd", "reference_usd", "loss_per_day", "loss_per_year"
    return Ageing(use, **{name: spread(getattr(found, name)) for name in costs})


def _ageing_of(
    ageing: AgeingSection,
    requirement: Requirement,
    ev: Columns,
    stays: Columns,
    n_hours: int,
    sets: int,
) -> Ageing:
    """sets: into how many equal parts the horizon is cut, each of which a stay ends with."""
    days = n_hours / 24.0
    through = full_cycles(
        ev["charged_kwh"], ev["discharged_kwh"], ev["efficiency"], ev["capacity_kwh"]
    )
    ends = _ends(stays, n_hours, sets)
    history = "cycle_stress" in ev
    if history:
        soc = np.where(np.isnan(stays["soc_departure"]), stays["soc"], stays["soc_departure"])
        mean = mean_soc(stays, ends, soc, ev["soc_moment"], n_hours)
        use = Use(days, through, ev["cycles"], ev["cycle_depth"], ev["cycle_stress"], mean)
    else:
        use = Use(days, through)
    reference = _reference(ageing, requirement, ev, stays, n_hours, ends, history)

    def cost(of: Use) -> FloatArray:
        lost, life = of.loss(ageing, days), ageing.end_of_life_loss
        return np.asarray(ageing_cost(lost, life, ev["capacity_kwh"], ageing.pack_usd_per_kwh))

    losses = use.loss(ageing, 1.0), use.loss(ageing, YEAR_DAYS)
    return Ageing(use, cost(use), cost(reference), *losses)


def ageing_kpis(
    ageing: Ageing, benefit_net_usd: FloatArray, group: IntArray, evs: IntArray
) -> dict[str, FloatArray]:
    """The indicators of ageing of n groups of EVs, (n,) each; group: of each row; evs: how many."""
    n = len(evs)
    cycles = ageing.use.cycles
    depth = np.full(n, np.nan)
    if cycles is not None and ageing.use.depth is not None:
        depth = group_sums(ageing.use.depth, group, n) / group_sums(cycles, group, n)
    return {
        "ageing_usd": group_sums(ageing.usd, group, n),
        "ageing_more_usd": group_sums(ageing.more_usd, group, n),
        "benefit_net_usd": group_sums(benefit_net_usd, group, n),
        "capacity_loss_percent_per_year": 100.0 * group_sums(ageing.loss_per_year, group, n) / evs,
        "cycle_depth_mean": depth,
    }


def _ends(stays: Columns, n_hours: int, days: int) -> FloatArray:
    """When stays end, (D, n) [min]: with their day at the latest, of D days, else the horizon."""
    last = np.arange(1, days + 1) * (n_hours * 60.0 / days)
    return np.asarray(np.minimum(stays["departure_min"], last[:, None]))


def _reference(
    ageing: AgeingSection,
    requirement: Requirement,
    ev: Columns,
    stays: Columns,
    n_hours: int,
    leaves: FloatArray,
    history: bool,
) -> Use:
    """The same stays, each charged at once on arrival: what eq. (22) compares the cost with.

    leaves: when they end, (D, n) [min].
    """
    capacity, efficiency, rating = ev["capacity_kwh"], ev["efficiency"], ev["p_max_kw"]
    arrival = stays["arrival_min"]
    asked = asked_energy(stays, capacity, efficiency, requirement)
    end = charged_at_once(arrival, leaves, asked, rating)
    there = stays["arrived"]
    drawn = np.where(there, rating * (end - arrival) / 60.0, 0.0)
    gained = energy_gained(drawn, 0.0, efficiency) / capacity
    through = full_cycles(drawn.sum(axis=0), 0.0, efficiency, capacity)
    if not history:
        return Use(n_hours / 24.0, through)
    cycles = Cycles(len(capacity), cycle_stress(ageing))
    soc = stays["soc_arrival"] + gained
    last = np.array(stays["soc_arrival"][0], dtype=np.float64)
    seen = np.zeros(len(capacity), dtype=np.bool_)
    for day in range(len(there)):
        rows = np.flatnonzero(there[day])
        comes_with = stays["soc_arrival"][day][rows]
        cycles.go(rows, np.where(seen[rows], last[rows], comes_with), comes_with)
        cycles.go(rows, comes_with, soc[day][rows])
        last[rows] = soc[day][rows]
        seen[rows] = True
    rows = np.flatnonzero(seen)
    cycles = cycles.repeated(rows, last[rows])
    moment = (gained * (arrival + end) / 120.0 * there).sum(axis=0)
    mean = mean_soc(stays, leaves, soc, moment, n_hours)
    return Use(n_hours / 24.0, through, cycles.number, cycles.depth, cycles.stress, mean)


def mean_soc(
    stays: Columns, ends_min: FloatArray, soc: FloatArray, moment: FloatArray, n_hours: int
) -> FloatArray:
    """Mean SoC over a horizon that begins anew where it ends, (n,); NaN without a stay.

    soc: at the ends of the stays, (D, n). moment: sum of each change of SoC within stays times when
    it was [h], (n,). Between stays the SoC goes from one to the next in a straight line.
    """
    there, arrival_h, ends_h = stays["arrived"], stays["arrival_min"] / 60.0, ends_min / 60.0
    came_with = stays["soc_arrival"]
    first = there.argmax(axis=0)[None, :]
    began_h, began_with = (np.take_along_axis(of, first, 0)[0] for of in (arrival_h, came_with))
    # The integral over a stay by parts: time x SoC at its ends less what the changes took from it.
    total = np.where(there, soc * ends_h - came_with * arrival_h, 0.0).sum(axis=0) - moment
    last_h, last = began_h, began_with
    for day in range(len(there)):
        here = there[day]
        away = (arrival_h[day] - last_h) * (last + came_with[day]) / 2.0
        total = total + np.where(here, away, 0.0)
        last_h, last = np.where(here, ends_h[day], last_h), np.where(here, soc[day], last)
    total = total + (began_h + n_hours - last_h) * (last + began_with) / 2.0
    return np.where(there.any(axis=0), total / n_hours, np.nan)
