"""How owners behave: their groups, what they plan for a day, and behaviours of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np

from abm.equations import BoolArray, FloatArray, IntArray
from abm.fleet.stays import truncated_normal
from abm.scenario import Scenario, TimeOfDay
from abm.scenario.fields import Range, Spread
from abm.scenario.owners import EarlyDeparture, Group, LateReturn
from abm.scenario.plugin import import_class, make_object

SATURDAY = 5


@dataclass
class DayPlan:
    """What some owners of one feeder mean to do on one day; a behaviour writes to the arrays.

    day: from 0. weekday: from 0, Monday. evs: numbers on the feeder, from 0. soc: on coming home.
    The others are columns of abm/fleet/columns.csv; here minutes count from the start of the day.
    Those that a behaviour may write are `abm.fleet.columns.PLANNED`.
    """

    day: int
    weekday: int
    evs: IntArray
    zone: IntArray
    capacity_kwh: FloatArray
    soc: FloatArray
    arrival_min: FloatArray
    departure_min: FloatArray
    announced_min: FloatArray
    soc_target: FloatArray
    soc_min: FloatArray
    plugs_in: BoolArray
    v2g: BoolArray
    boost: BoolArray

    @property
    def weekend(self) -> bool:
        """Whether it is a Saturday or a Sunday."""
        return self.weekday >= SATURDAY


class Behaviour(Protocol):
    """A way of the user's own in which the owners of a group behave."""

    def plan(self, plan: DayPlan, rng: np.random.Generator) -> None:
        """Change what these owners mean to do; called once a day for each feeder."""


@dataclass(frozen=True)
class OwnerGroup:
    """A group of owners with everything that it leaves out taken from `fleet`, `ev`, `owners`."""

    name: str
    share: float
    spec: Group
    behaviour: Behaviour | None

    def arrival(self, weekend: bool) -> TimeOfDay:
        """Distribution of arrivals on weekdays or weekends."""
        other = self.spec.weekend.arrival if weekend and self.spec.weekend else None
        return other or cast(TimeOfDay, self.spec.arrival)

    def departure(self, weekend: bool) -> TimeOfDay:
        """Distribution of departures on weekdays or weekends."""
        other = self.spec.weekend.departure if weekend and self.spec.weekend else None
        return other or cast(TimeOfDay, self.spec.departure)

    @property
    def delay_h(self) -> Spread:
        """How much later than usual an owner comes home who is late."""
        return cast(LateReturn, self.spec.late_return).delay_h

    @property
    def early_h(self) -> Spread:
        """How much earlier than announced an owner leaves who does."""
        return cast(EarlyDeparture, self.spec.early_departure).early_h

    def on(self, name: str, weekend: bool) -> Any:
        """`trip` or `plug_in` of a weekday or weekend."""
        other = getattr(self.spec.weekend, name) if weekend and self.spec.weekend else None
        return other or getattr(self.spec, name)


def owner_groups(scenario: Scenario) -> tuple[OwnerGroup, ...]:
    """The groups of owners, one of all when there are none. Raises InputError for a behaviour."""
    owners = scenario.owners
    groups = owners.groups or {"all": Group(share=1.0)}
    made_groups = []
    for name, group in groups.items():
        filled: dict[str, Any] = {"share": group.share}
        for field in Group.model_fields:
            own = getattr(group, field)
            if field == "share" or field == "behaviour_options":
                continue
            for section in (scenario.fleet, scenario.ev, owners):
                if own is None and field in type(section).model_fields:
                    own = getattr(section, field)
            filled[field] = own
        mine = group.behaviour is not None
        options = group.behaviour_options if mine else owners.behaviour_options
        where = f"owners.groups.{name}" if mine else "owners"
        made = _behaviour(f"{where}.behaviour", filled.pop("behaviour"), options)
        made_groups.append(OwnerGroup(name, group.share, Group.model_construct(**filled), made))
    return tuple(made_groups)


def _behaviour(field: str, name: str | None, options: dict[str, Any]) -> Behaviour | None:
    if name is None:
        return None
    made = make_object(field, name, import_class(field, name, "plan"), options, options)
    return cast(Behaviour, made)


def draw_fraction(u: FloatArray, spread: Range) -> FloatArray:
    """Draws of a fraction of the capacity, by inversion of uniforms u."""
    return _draw(u, spread, 5)


def draw_quantity(u: FloatArray, spread: Spread) -> FloatArray:
    """Draws of a spread in its own unit, by inversion of uniforms u."""
    return _draw(u, spread, 4)


def _draw(u: FloatArray, spread: Range | Spread, sds: int) -> FloatArray:
    """sds: how many standard deviations the range is wide where none is given."""
    mean = (spread.low + spread.high) / 2 if spread.mean is None else spread.mean
    sd = (spread.high - spread.low) / sds if spread.sd is None else spread.sd
    return truncated_normal(u, spread.low, spread.high, mean, sd)


def draw_minutes(u: FloatArray, spread: Spread) -> FloatArray:
    """Whole minutes of a spread in hours."""
    return np.round(60.0 * draw_quantity(u, spread))
