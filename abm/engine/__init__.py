"""The compiled way through an hour, for built-in rules and admissions.

`CompiledHour.of(...)` is None where it does not apply (a rule or an admission of the user's own);
the model then steps minute by minute in numpy, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from abm.control import (
    Admission,
    AllAtOnce,
    BelowLimit,
    ByPriceAdmission,
    ByPriceRule,
    CoordinatedAdmission,
    CoordinatedRule,
    Eq13,
    FirstCome,
    G2VOnly,
    LeastLaxity,
    Rule,
    SetPoints,
)
from abm.engine import admit
from abm.engine.arrays import (
    FLEET_ARRAYS,
    HISTORY_ARRAYS,
    CoordinatedOrders,
    FleetColumns,
    Held,
    HourOrders,
    LeastLaxityOrders,
    MeterArrays,
    SetPointsOrders,
)
from abm.engine.meter import Meter
from abm.fleet import Fleet
from abm.fleet.cycles import NO_HISTORY, STEPS_AT_ONCE
from abm.machine import over_spans, threads_there
from abm.signals import Inbox

ADMISSION_CODES: dict[type, int] = {
    AllAtOnce: admit.ALL_AT_ONCE,
    BelowLimit: admit.BELOW_LIMIT,
    FirstCome: admit.FIRST_COME,
    LeastLaxity: admit.LEAST_LAXITY,
    CoordinatedAdmission: admit.COORDINATED,
    ByPriceAdmission: admit.LEAST_LAXITY,
}
ORDERS: dict[type, type[HourOrders]] = {
    LeastLaxity: LeastLaxityOrders,
    ByPriceAdmission: LeastLaxityOrders,
    CoordinatedAdmission: CoordinatedOrders,
}
NOTHING: NDArray[np.float64] = np.zeros(0)
# Of many attributes one getter is quicker than a loop, and an environment asks 96 times a day.
_fleet_arrays, _meter_arrays = attrgetter(*FLEET_ARRAYS), attrgetter(*MeterArrays._fields)
_history_arrays = attrgetter(*HISTORY_ARRAYS)
NO_HELD = Held(NOTHING, np.zeros(0, dtype=np.int64), NOTHING, NOTHING, True, -1.0, 1.0, True)


def _compiled_levels(*arguments: NDArray[np.float64]) -> None:
    from abm.engine.compiled import levels

    levels(*arguments)


# Below this a thread costs more than it brings.
FEEDERS_PER_THREAD = 16


@dataclass(frozen=True)
class CompiledHour:
    """Rule, admission, battery and meter of a fleet as one compiled call."""

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
        rules = (G2VOnly, Eq13, CoordinatedRule, ByPriceRule, SetPoints)
        if type(rule) not in rules or type(admission) not in ADMISSION_CODES:
            return None
        if isinstance(admission, ByPriceAdmission) and not fleet.timed.all():
            return None
        if isinstance(rule, SetPoints) and type(admission) is not AllAtOnce:
            return None
        for part in (rule, admission):
            if isinstance(part, CoordinatedRule | CoordinatedAdmission):
                part.planner.levels = _compiled_levels
        return cls(fleet, meter, rule, admission)

    @property
    def plans(self) -> bool:
        """Whether rule or admission goes by a plan that is made anew every so often."""
        return isinstance(self.rule, CoordinatedRule) or isinstance(
            self.admission, CoordinatedAdmission
        )

    def advance(self, inbox: Inbox, first_step: int, n_steps: int) -> None:
        """Walk all feeders through n_steps steps of one hour, in which nobody hears anything new.

        inbox: the same message in all zones of a feeder.
        """
        # numba is imported when there is something to compile.
        from abm.engine.compiled import advance

        fleet, meter, history = self.fleet, self.meter, self.fleet.history
        kept = NO_HISTORY if history is None else history
        columns = FleetColumns._make(_fleet_arrays(fleet) + _history_arrays(kept))
        written = MeterArrays._make(_meter_arrays(meter))
        orders = self._orders(inbox, first_step, n_steps)
        at_once = n_steps if history is None else STEPS_AT_ONCE
        for done in range(0, n_steps, at_once):
            steps = min(at_once, n_steps - done)
            part = orders._replace(first_step=first_step + done, n_steps=steps)
            self._walk(advance, columns, part, written)
            if history is not None:
                history.settle()

    def _walk(self, advance: Callable[..., int], *arguments: object) -> None:
        fleet = self.fleet
        # No two feeders share a number.
        changes = over_spans(
            fleet.n_feeders, self.threads(), lambda first, last: advance(first, last, *arguments)
        )
        fleet.n_plugged += sum(changes)

    def _orders(self, inbox: Inbox, first_step: int, n_steps: int) -> HourOrders:
        """What rule and admission make of what was heard."""
        fleet, meter, rule, admission = self.fleet, self.meter, self.rule, self.admission
        clock = meter.clock
        minute = first_step * clock.step_s / 60.0
        told = np.zeros(fleet.n_feeders, dtype=np.bool_)
        keep_kw = over_kw = room_kw = np.zeros(fleet.n_feeders)
        closed = told
        if not isinstance(rule, SetPoints):
            room_kw = inbox.by_feeder(lambda message: message.headroom_mw) * 1e3
            closed = inbox.by_feeder(lambda message: message.at_or_above_limit)
        margin_min = 0.0
        one_discharge = charge_above = True
        anybody = self.plans and self.anybody_until(first_step + n_steps)
        if isinstance(rule, Eq13):
            told = inbox.by_feeder(rule.told_to_discharge)
            one_discharge = rule.one_discharge_per_stay
            charge_above = rule.charge_above_threshold
        elif isinstance(rule, CoordinatedRule) and anybody:
            told = inbox.by_feeder(lambda message: rule.told_to_discharge(fleet, message, minute))
            one_discharge = fleet.as_printed
        if isinstance(admission, LeastLaxity):
            room_kw = inbox.by_feeder(admission.room_mw) * 1e3
        if isinstance(admission, CoordinatedAdmission) and anybody:
            margin_min, plans = admission.margin_min, admission.planner
            room_kw = inbox.by_feeder(lambda m: plans.orders(fleet, m, minute).room_kw)
            keep_kw = inbox.by_feeder(lambda m: plans.orders(fleet, m, minute).keep_kw)
            over_kw = inbox.by_feeder(lambda m: plans.orders(fleet, m, minute).over_kw)
        kind, code = ORDERS.get(type(admission), HourOrders), ADMISSION_CODES[type(admission)]
        if isinstance(rule, SetPoints):
            kind, code = SetPointsOrders, admit.SET_POINTS
        return kind(
            first_step=first_step,
            n_steps=n_steps,
            hour=first_step // clock.steps_per_hour,
            step_s=clock.step_s,
            step_min=fleet.step_h * 60.0,
            step_h=fleet.step_h,
            steps_per_hour=clock.steps_per_hour,
            n_zones=fleet.n_zones,
            told=told,
            closed=closed,
            room_kw=room_kw,
            keep_kw=keep_kw,
            over_kw=over_kw,
            one_discharge=one_discharge,
            charge_above=charge_above,
            as_printed=fleet.as_printed,
            admission=code,
            guarantee=getattr(admission, "guarantee", False),
            margin_min=float(margin_min),
            by_step=meter.minutes,
            keep_zones=meter.keep_zones,
            steps_per_flow=meter.steps_per_flow,
            points=meter.point_charge.shape[1] > 0,
            soc_lower=meter.soc_lower,
            soc_upper=meter.soc_upper,
            window=meter.window,
            history=self.fleet.history is not None,
            held=self._held(),
        )

    def _held(self) -> Held:
        """The powers that the rule holds, if it is one of those."""
        rule, fleet = self.rule, self.fleet
        if not isinstance(rule, SetPoints):
            return NO_HELD
        rule.ready(fleet)
        return Held(
            power_kw=rule.power_kw,
            line=rule.line,
            asked_kw=rule.asked_kw,
            min_charge_kw=fleet.min_charge_kw,
            by_zone=rule.by_zone,
            from_min=float(rule.from_min),
            interval_min=float(rule.interval_min),
            guarantee=rule.guarantee,
        )

    def anybody_until(self, step: int) -> bool:
        """Whether anybody is plugged in or may arrive before a step."""
        fleet = self.fleet
        return fleet.n_plugged > 0 or bool((~fleet.arrived & (fleet.arrival_step < step)).any())

    def threads(self) -> int:
        """Threads for one hour: one per core for a city, fewer if NUMBA_NUM_THREADS says so."""
        return threads_for(self.fleet.n_feeders)


def threads_for(n_feeders: int) -> int:
    """Threads for so many feeders."""
    if n_feeders < 2 * FEEDERS_PER_THREAD:
        return 1
    return min(threads_there(), n_feeders // FEEDERS_PER_THREAD)
