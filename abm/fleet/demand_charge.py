"""The demand charge: peaks of EVs, zones or feeders, and who pays for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from abm.equations import FloatArray, IntArray
from abm.equations.economics import demand_charge
from abm.fleet.columns import group_sums
from abm.fleet.fleet import Fleet
from abm.scenario.calendar import DAY_S, Calendar, months_and_days
from abm.scenario.tariff_fields import DemandCharge

MONTH_S = 30 * DAY_S


@dataclass(frozen=True)
class Period:
    """A part of the horizon that has a peak of its own: from, to [s], and what of it is charged."""

    begin_s: int
    end_s: int
    part: float


def periods(charge: DemandCharge, calendar: Calendar) -> list[Period]:
    """The periods of a demand charge on a horizon."""
    end_s = calendar.hours * 3600
    if charge.per == "horizon":
        return [Period(0, end_s, 1.0)]
    if not calendar.dated:
        edges = [*range(0, end_s, MONTH_S), end_s]
        return [Period(begin, end, (end - begin) / MONTH_S) for begin, end in pairwise(edges)]
    return list(_months(calendar, end_s))


def _months(calendar: Calendar, end_s: int) -> Iterator[Period]:
    hours_s = np.arange(calendar.hours) * 3600
    days = calendar.wall_s(hours_s) // DAY_S
    month, _ = months_and_days(days)
    first = np.flatnonzero(np.append(True, month[1:] != month[:-1]))
    edges = [*hours_s[first].tolist(), end_s]
    for at, begin in enumerate(edges[:-1]):
        # From the first of this month to the first of the next.
        day = int(days[first[at]])
        around = np.arange(day - 31, day + 32)
        length = int((months_and_days(around)[0] == month[first[at]]).sum())
        yield Period(begin, edges[at + 1], min((edges[at + 1] - begin) / (length * DAY_S), 1.0))


def shared(owed: FloatArray, drew: FloatArray, group: IntArray) -> FloatArray:
    """What groups owe (G,), shared by what each EV drew in the window of their peak, (n,)."""
    of_all = group_sums(drew, group, len(owed))[group]
    share = np.divide(drew, of_all, out=np.zeros_like(of_all), where=of_all > 0.0)
    return np.asarray(share * owed[group])


Whose = Literal["ev", "zone", "feeder"]


class Peaks:
    """Highest power of each EV, zone or feeder in a period, and what each EV drew in its window.

    of: whose peak.
    """

    def __init__(self, of: Whose, fleet: Fleet) -> None:
        n, feeders = fleet.n, fleet.n_feeders
        groups = {"ev": np.arange(n), "zone": fleet.cell, "feeder": fleet.feeder}
        sizes = {"ev": n, "zone": feeders * fleet.n_zones, "feeder": feeders}
        self.of, self.group, self.n_groups = of, groups[of], sizes[of]
        self.begin()

    def begin(self) -> None:
        """A period begins."""
        self.peak_kw: FloatArray = np.zeros(self.n_groups)
        self.base_kw: FloatArray = np.zeros(self.n_groups)
        self.drew_kw: FloatArray = np.zeros(len(self.group))

    def see(self, net_kw: FloatArray, base_kw: FloatArray) -> None:
        """A window has ended. net_kw: mean power of each EV in it, (n,); base_kw: of feeders."""
        base = base_kw if self.of == "feeder" else np.zeros(self.n_groups)
        total = base + group_sums(net_kw, self.group, self.n_groups)
        self.base_kw = np.maximum(self.base_kw, base)
        higher = total > self.peak_kw
        self.peak_kw = np.where(higher, total, self.peak_kw)
        mine = higher[self.group]
        self.drew_kw[mine] = np.maximum(net_kw[mine], 0.0)

    def charge(self, usd_per_kw: float) -> FloatArray:
        """What each EV pays for the period, (n,) [$]."""
        owed = demand_charge(self.peak_kw, self.base_kw, usd_per_kw)
        return shared(owed, self.drew_kw, self.group)


class DemandMeter:
    """Demand charges of a run. usd: what each EV owes so far, for the periods that ended, (n,)."""

    def __init__(self, fleet: Fleet, charge: DemandCharge, calendar: Calendar) -> None:
        self.fleet, self.usd_per_kw = fleet, charge.usd_per_kw
        self.window_s = 60 * charge.window_min
        self.peaks = Peaks(charge.of, fleet)
        self.usd: FloatArray = np.zeros(fleet.n)
        self._periods = periods(charge, calendar)
        self._net: FloatArray = np.zeros(fleet.n)

    def close_window(self, now_s: int, base_kw: FloatArray) -> None:
        """A window ends now. base_kw: mean base demand of each feeder in it."""
        net = self.fleet.charged_kwh - self.fleet.discharged_kwh
        self.peaks.see((net - self._net) / (self.window_s / 3600.0), base_kw)
        self._net = net
        if self._periods and self._periods[0].end_s <= now_s:
            ended = self._periods.pop(0)
            self.usd += self.peaks.charge(self.usd_per_kw * ended.part)
            self.peaks.begin()
