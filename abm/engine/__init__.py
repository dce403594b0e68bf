"""The compiled way through an hour, for built-in rules and admissions when numba is installed.

`CompiledHour.of(...)` is None where it does not apply (no numba, a rule or an admission of the
user's own); the model then steps minute by minute in numpy, with the same result.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from abm.control import (
    Admission,
    AllAtOnce,
    BelowLimit,
    CoordinatedAdmission,
    CoordinatedRule,
    Eq13,
    FirstCome,
    G2VOnly,
    LeastLaxity,
    Rule,
)
from abm.control.coordinated import orders
from abm.engine.meter import Meter
from abm.fleet import Fleet
from abm.signals import Heard

ADMISSION_CODES: dict[type, int] = {
    AllAtOnce: 0,
    BelowLimit: 1,
    FirstCome: 2,
    LeastLaxity: 3,
    CoordinatedAdmission: 4,
}
# Below this a thread costs more than it brings.
FEEDERS_PER_THREAD = 16


def numba_there() -> bool:
    """Whether numba can be imported."""
    try:
        import numba  # noqa: F401 - only asked whether it is there
    except ImportError:
        return False
    return True


@dataclass(frozen=True)
class CompiledHour:
    """Rule, admission, battery and record of a fleet as one compiled call."""

    fleet: Fleet
    meter: Meter
    rule: Rule
    admission: Admission

    @classmethod
    def of(
        cls, fleet: Fleet, meter: Meter, rule: Rule, admission: Admission
    ) -> CompiledHour | None:
        """The compiled call, or None where there is none for this rule and admission."""
        # Exact types: a subclass may do anything.
        rules = (G2VOnly, Eq13, CoordinatedRule)
        known = type(rule) in rules and type(admission) in ADMISSION_CODES
        return cls(fleet, meter, rule, admission) if known and numba_there() else None

    def advance(self, heard: Heard, first_step: int, n_steps: int) -> None:
        """Walk all feeders through n_steps steps of one hour, in which nobody hears anything new.

        heard: the same message in all zones of a feeder.
        """
        from abm.engine.hour import advance

        fleet, meter, rule = self.fleet, self.meter, self.rule
        clock = meter.clock
        hour, minute = first_step // clock.steps_per_hour, first_step * clock.step_s / 60.0
        closed = heard.by_feeder(lambda message: message.at_or_above_limit)
        room_kw = heard.by_feeder(lambda message: message.headroom_mw) * 1e3
        give_kw, margin_min = np.zeros(fleet.n_feeders), 0.0
        eq13: dict[str, Any] = {"with_v2g": False, "one_discharge": True, "charge_above": True}
        told = np.zeros(fleet.n_feeders, dtype=np.bool_)
        if isinstance(rule, Eq13):
            told = heard.by_feeder(rule.told_to_discharge)
            eq13 = {
                "with_v2g": True,
                "one_discharge": rule.one_discharge_per_stay,
                "charge_above": rule.charge_above_threshold,
            }
        anybody = self.anybody_until(first_step + n_steps)
        if isinstance(rule, CoordinatedRule) and anybody:
            told = heard.by_feeder(lambda told: rule.told_to_discharge(fleet, told, minute))
            eq13["with_v2g"], eq13["one_discharge"] = True, fleet.as_printed
        if isinstance(self.admission, CoordinatedAdmission) and anybody:
            margin_min, weight = self.admission.margin_min, self.admission.price_weight
            room_kw = heard.by_feeder(lambda told: orders(fleet, told, minute, weight).room_kw)
            give_kw = heard.by_feeder(lambda told: orders(fleet, told, minute, weight).give_kw)
        arguments = (
            first_step, n_steps, hour, clock.step_s, fleet.step_h * 60.0, fleet.step_h,
            fleet.n_zones,
            fleet.first_row, fleet.zone, fleet.arrival_min, fleet.departure_min,
            fleet.announced_min, fleet.arrival_step, fleet.departure_step,
            fleet.v2g, fleet.boost, fleet.forced, fleet.forced_kw,
            fleet.capacity_kwh, fleet.efficiency, fleet.p_max_kw, fleet.p_discharge_kw,
            fleet.soc_min, fleet.soc_arrival, fleet.soc_required, fleet.soc_goal,
            fleet.soc, fleet.soc_departure, fleet.arrived, fleet.plugged, fleet.has_charged,
            fleet.can_charge, fleet.can_discharge, fleet.request,
            fleet.mode, fleet.need_kwh, fleet.surplus_kwh,
            fleet.p_kw, fleet.charged_kwh, fleet.discharged_kwh, fleet.plugged_count,
            fleet.switches, fleet.as_printed, told, closed, room_kw,
            eq13["with_v2g"], eq13["one_discharge"], eq13["charge_above"],
            ADMISSION_CODES[type(self.admission)], getattr(self.admission, "guarantee", False),
            meter.minutes, meter.charge_kw, meter.discharge_kw, meter.plugged,
            meter.hour_charge, meter.hour_discharge,
            meter.zone_plugged, meter.plugged_peak, meter.soc_lowest, meter.soc_highest,
            meter.below_min, meter.above_min, meter.soc_lower, meter.soc_upper,
            meter.ev_kw, meter.sync_change, meter.last_switch, meter.window,
            give_kw, float(margin_min), clock.steps_per_hour,
        )  # fmt: skip
        edges = np.linspace(0, fleet.n_feeders, self.threads() + 1).astype(np.int64)
        spans = list(pairwise(edges))
        if len(spans) == 1:
            changes = [advance(*spans[0], *arguments)]
        else:
            # The compiled code lets go of the interpreter, and no two feeders share a number.
            with ThreadPoolExecutor(len(spans)) as pool:
                changes = list(pool.map(lambda span: advance(*span, *arguments), spans))
        fleet.n_plugged += sum(changes)

    def anybody_until(self, step: int) -> bool:
        """Whether anybody is plugged in or may arrive before a step."""
        fleet = self.fleet
        return fleet.n_plugged > 0 or bool((~fleet.arrived & (fleet.arrival_step < step)).any())

    def threads(self) -> int:
        """Threads for one hour: one per core for a city, fewer if NUMBA_NUM_THREADS says so."""
        if self.fleet.n_feeders < FEEDERS_PER_THREAD:
            return 1
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        wanted = os.environ.get("NUMBA_NUM_THREADS", "")
        limit = int(wanted) if wanted.isdigit() and int(wanted) > 0 else cores or 1
        return max(1, min(cores or 1, limit, self.fleet.n_feeders // FEEDERS_PER_THREAD))
