"""What EVs need and can give, by slots of a quarter of an hour, for the strategy `coordinated`.

Feeders along the first axis of arrays, slots along the last: (n_feeders, n_slots), from the slot
that is planned in to the end of the day. Power in kW, energies in kWh at the grid side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abm.control.level import SLOT_H, SLOT_MIN
from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.battery import printed_goal, tapered_mean
from abm.fleet import Fleet, group_sums
from abm.fleet.expected_arrivals import ExpectedArrivals, slack
from abm.fleet.population import DAY_MIN


@dataclass(frozen=True)
class Energies:
    """Cumulative to the end of each slot, (n_feeders, n_slots) [kWh], and ratings [kW].

    due: what must have been charged by then, each EV as late as it can. have: what can have been
    discharged by then, each EV as early as it can. later: of all that can be, what can be put back
    after the slot. charge_kw, discharge_kw: ratings that are plugged in. Sums over the EVs,
    (n_feeders,): evs, back, charger_kw, discharger_kw; back: see `Slack`.
    """

    due: FloatArray
    have: FloatArray
    later: FloatArray
    charge_kw: FloatArray
    discharge_kw: FloatArray
    evs: FloatArray
    back: FloatArray
    charger_kw: FloatArray
    discharger_kw: FloatArray

    def plus(self, other: Energies, weight: FloatArray, due_weight: FloatArray) -> Energies:
        """These, and those of one feeder `weight` times on each, (n_feeders,); due_weight: of due.

        What is due counts for less while it is not sure: a level that is too high has its peak,
        and one that is too low has the night to be made up for.
        """
        found = {}
        for name, mine in vars(self).items():
            times = due_weight if name == "due" else weight
            found[name] = mine + vars(other)[name] * (times[:, None] if mine.ndim == 2 else times)
        return Energies(**found)

    def mean(self, name: str) -> FloatArray:
        """Mean of one of the sums over the EVs, (n_feeders,); 1 without any."""
        total: FloatArray = getattr(self, name)
        return np.divide(total, self.evs, out=np.ones_like(total), where=self.evs > 0.0)


@dataclass(frozen=True)
class SlotStays:
    """EVs to plan for, arrays (n,): feeder, and times in slots from the one that is planned in."""

    feeder: IntArray
    arrival: FloatArray
    departure: FloatArray
    need_kwh: FloatArray
    give_kwh: FloatArray
    back: FloatArray
    charge_kw: FloatArray
    discharge_kw: FloatArray

    def energies(self, n_feeders: int, n_slots: int, margin_min: float) -> Energies:
        """Of these EVs, who are through margin_min before they leave, where that is time enough."""
        # What an EV needs that stays longer than the day counts in proportion.
        length = np.maximum(self.departure - self.arrival, 1e-9)
        need = self.need_kwh * np.minimum((n_slots - self.arrival) / length, 1.0)
        departure = np.minimum(self.departure, float(n_slots))
        charge_kw = np.maximum(self.charge_kw, 1e-9)
        charging = need / charge_kw / SLOT_H
        through = np.minimum(self.arrival + charging, departure)
        through = np.maximum(departure - margin_min / SLOT_MIN, through)
        latest = np.maximum(through - charging, self.arrival)
        # No more is given than can be put back before what is needed anyway, as late as it can.
        discharge_kw = np.maximum(self.discharge_kw, 1e-9)
        to_give, to_put_back = 1.0 / discharge_kw / SLOT_H, self.back / charge_kw / SLOT_H
        give = np.minimum(self.give_kwh, (latest - self.arrival) / (to_give + to_put_back))
        given = self.arrival + give * to_give
        again = np.maximum(latest - give * np.maximum(to_give, to_put_back), self.arrival)
        length = latest - again
        again_kw = np.where(length > 1e-9, give / np.maximum(length, 1e-9), 0.0)
        spans = (
            (latest, through, self.charge_kw),
            (self.arrival, given, np.where(give > 0.0, self.discharge_kw, 0.0)),
            (again, latest, again_kw),
            (self.arrival, departure, self.charge_kw),
            (self.arrival, departure, self.discharge_kw),
        )
        due, have, put_back, charge, discharge = (
            self._between(n_feeders, n_slots, *span) for span in spans
        )

        def total(value: FloatArray) -> FloatArray:
            return group_sums(value, self.feeder, n_feeders)

        return Energies(
            due=due.cumsum(axis=1) * SLOT_H,
            have=have.cumsum(axis=1) * SLOT_H,
            later=total(np.where(again_kw > 0.0, give, 0.0))[:, None] - put_back.cumsum(axis=1),
            charge_kw=charge,
            discharge_kw=discharge,
            evs=total(np.ones(len(self.feeder))),
            back=total(self.back),
            charger_kw=total(self.charge_kw),
            discharger_kw=total(self.discharge_kw),
        )

    def _between(
        self,
        n_feeders: int,
        n_slots: int,
        since: FloatArray,
        until: FloatArray,
        power: FloatArray,
    ) -> FloatArray:
        """Mean power in each slot of what is on from since to until, (n_feeders, n_slots)."""
        # Each edge counts in its slot for what is left of it, and in the next for the rest.
        width = n_slots + 2
        time = np.concatenate((since, until))
        edge = time.astype(np.int64)
        rest = (time - edge) * np.concatenate((power, -power))
        first = np.concatenate((power, -power)) - rest
        place = edge + np.concatenate((self.feeder, self.feeder)) * width
        found = group_sums(
            np.concatenate((first, rest)), np.concatenate((place, place + 1)), width * n_feeders
        )
        return np.asarray(found.reshape(n_feeders, width).cumsum(axis=1)[:, :n_slots])


def plugged_in(
    fleet: Fleet, begin_min: float, minute: float, n_slots: int, margin_min: float
) -> Energies:
    """Of the EVs plugged in when the slot began."""
    rows, soc, has_charged = plugged_since(fleet, begin_min, minute)
    goal = fleet.soc_goal[rows]
    if fleet.as_printed:
        goal = np.where(has_charged, goal, printed_goal(soc, fleet.soc_required[rows]))
    # An EV that stays on after the departure it announced may leave any time.
    left_min = np.maximum(fleet.announced_min[rows] - begin_min, fleet.step_h * 60.0)
    p_max, feeder = fleet.p_max_kw[rows], fleet.feeder[rows]
    if fleet.taper:
        efficiency, capacity = fleet.efficiency[rows], fleet.capacity_kwh[rows]
        p_max = tapered_mean(soc, goal, p_max, efficiency, capacity, fleet.taper)
    p_discharge = np.where(fleet.v2g[rows], fleet.p_discharge_kw[rows], 0.0)
    own = slack(
        left_min / 60.0, soc, goal, fleet.soc_min[rows], fleet.capacity_kwh[rows], p_max,
        p_discharge, fleet.efficiency[rows], fleet.v2g[rows] & ~(fleet.as_printed & has_charged),
        fleet.as_printed,
    )  # fmt: skip
    stays = SlotStays(
        feeder, np.zeros(len(rows)), left_min / SLOT_MIN, own.need_kwh, own.give_kwh, own.back,
        p_max, p_discharge,
    )  # fmt: skip
    return stays.energies(fleet.n_feeders, n_slots, margin_min)


class Coming:
    """The stays of a day that are expected, on one feeder; arrivals: those of all days."""

    def __init__(
        self, arrivals: ExpectedArrivals, day: int, n_slots: int, margin_min: float
    ) -> None:
        chosen = np.flatnonzero(arrivals.day == day)
        begin_min, end = day * DAY_MIN, float(n_slots)
        arrival = (arrivals.arrival_min[chosen] - begin_min) / SLOT_MIN
        here = (arrival >= 0.0) & (arrival < end)
        chosen, arrival = chosen[here], arrival[here]
        departure = (arrivals.departure_min[chosen] - begin_min) / SLOT_MIN
        # By the slot they come in instead of by feeder: those to come are the sum of the later.
        stays = SlotStays(
            arrival.astype(np.int64),
            arrival,
            np.maximum(departure, arrival + 1e-3),
            arrivals.need_kwh[chosen],
            arrivals.give_kwh[chosen],
            arrivals.back[chosen],
            arrivals.charge_kw[chosen],
            arrivals.discharge_kw[chosen],
        )
        by_slot = stays.energies(n_slots, n_slots, margin_min)
        self._since = {name: v[::-1].cumsum(axis=0)[::-1] for name, v in vars(by_slot).items()}

    def since(self, slot: int) -> Energies:
        """Of those who come from a slot of the day on, each once; n_feeders is 1."""
        found = {name: values[slot : slot + 1] for name, values in self._since.items()}
        return Energies(**{n: v[:, slot:] if v.ndim == 2 else v for n, v in found.items()})


def plugged_since(
    fleet: Fleet, begin_min: float, minute: float
) -> tuple[IntArray, FloatArray, BoolArray]:
    """Rows plugged in since the step in which the slot begins or before, their SoC, has_charged.

    The compiled hour asks before the arrivals and departures of its first step are booked, so they
    are looked up here. Who comes later in the slot is expected, whenever the plan is made.
    """
    step_min = fleet.step_h * 60.0
    first, now = round(begin_min / step_min), round(minute / step_min)
    due = ~fleet.arrived & (fleet.departure_min > np.maximum(fleet.arrival_min, minute))
    here = (fleet.plugged | due) & (fleet.arrival_step <= first) & (fleet.departure_step > now)
    rows = np.flatnonzero(here)
    due = due[rows]
    soc = np.where(due, fleet.soc_arrival[rows], fleet.soc[rows])
    return rows, soc, fleet.has_charged[rows] & ~due
