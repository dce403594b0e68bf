"""The fields of a scenario that a page has sliders for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from abm.report.units import below_a_megawatt
from abm.scenario import Scenario
from abm.scenario.checks import value_at
from abm.scenario.fields import section_of
from abm.scenario.schema import ScenarioFields

LIMIT = "grid.demand_limit_mw"


@dataclass(frozen=True)
class Control:
    """A slider. field: dotted key. label, unit: as on the page.

    low, high, step: of the slider, in `unit`; scale: how many of `unit` make one of the field's.
    whole: whether the field is a whole number. live: whether a model that runs takes it up; others
    are made anew.
    """

    field: str
    label: str
    unit: str
    low: float
    high: float
    step: float
    scale: float = 1.0
    whole: bool = False
    live: bool = False

    def shown(self, scenario: Scenario) -> float:
        """The scenario's value as the slider has it."""
        return round(float(value_at(scenario, tuple(self.field.split(".")))) * self.scale, 9)

    def meant(self, shown: float) -> float | int:
        """The field's value of a position of the slider."""
        value = shown / self.scale
        return round(value) if self.whole else round(value, 12)


@dataclass(frozen=True)
class PowerUnit:
    """What demands of a feeder are shown in: times so many of a MW, with so many digits."""

    name: str
    times: float
    digits: int

    def show(self, mw: float, sign: str = "") -> str:
        """A power in this unit, without it; a dash where it is not known."""
        return "-" if math.isnan(mw) else f"{self.times * mw:{sign}.{self.digits}f}"


def power_unit(scenario: Scenario) -> PowerUnit:
    """Kilowatts where the demand limit stays below a megawatt."""
    small = below_a_megawatt([float(scenario.demand_limit.by_step.max())])
    return PowerUnit("kW", 1e3, 1) if small else PowerUnit("MW", 1.0, 3)


_EVERY = (
    Control("fleet.evs_per_zone", "EVs in each zone", "", 0, 80, 1, whole=True),
    Control("fleet.evs_per_customer", "EVs per home", "", 0.0, 1.0, 0.05),
    Control(LIMIT, "Demand limit", "MW", 0.0, 0.0, 0.0, live=True),
    Control("owners.v2g_participation", "Take part in V2G", "%", 0, 100, 5, 100.0),
    Control("ev.soc_min", "V2G down to", "%", 0, 90, 5, 100.0),
    Control("ev.charger_kw", "Charger rating", "kW", 1.0, 22.0, 0.1),
    Control("ev.discharger_kw", "V2G rating", "kW", 0.0, 22.0, 0.1),
    Control("ev.efficiency", "Efficiency, one way", "%", 70, 100, 1, 100.0),
    Control("broadcast.delay_min", "Messages late by", "min", 0, 120, 5),
    Control("broadcast.loss_probability", "Messages missed", "%", 0, 100, 5, 100.0),
)


def controls_of(scenario: Scenario) -> tuple[Control, ...]:
    """The sliders that mean something in a scenario, each wide enough for its value."""
    fitted = (_fitted(one, scenario) for one in _EVERY if _is_read(one.field, scenario))
    return tuple(fitted)


def _is_read(field: str, scenario: Scenario) -> bool:
    """Whether a model of the scenario looks at the field."""
    fleet, sessions = scenario.fleet, scenario.inputs.sessions
    by_customer = fleet.evs_per_customer is not None
    # Who comes is written down; ratings of a file only where it leaves them out.
    drawn = sessions is None
    rated = sessions is not None and bool((sessions.p_max_kw != scenario.ev.charger_kw).all())
    v2g = not scenario.by_energy
    return {
        "fleet.evs_per_zone": drawn and not by_customer,
        "fleet.evs_per_customer": drawn and by_customer and fleet.drawn_per_customer is None,
        LIMIT: scenario.inputs.limit is None,
        "owners.v2g_participation": v2g,
        "ev.soc_min": v2g,
        "ev.discharger_kw": v2g,
        "ev.charger_kw": not rated,
    }.get(field, True)


def _fitted(control: Control, scenario: Scenario) -> Control:
    value = control.shown(scenario)
    low, high, step = control.low, control.high, control.step
    if control.field == LIMIT:
        unit = power_unit(scenario)
        control = replace(control, unit=unit.name, scale=unit.times)
        value = control.shown(scenario)
        step = _round_step(value / 100.0)
        low, high = max(step, round(0.5 * value / step) * step), round(1.5 * value / step) * step
    if control.field == "fleet.evs_per_zone":
        high = max(high, 2 * value)
    if control.field == "ev.charger_kw":
        low = max(low, scenario.ev.min_charge_kw)
    least, most = (bound * control.scale for bound in bounds_of(control.field))
    low, high = max(min(low, value), least), min(max(high, value), most)
    return replace(control, low=round(low, 9), high=round(high, 9), step=step)


def _round_step(about: float) -> float:
    """The power of ten at or below a number."""
    power = 1.0
    while power > about:
        power /= 10.0
    return round(power, 9)


def bounds_of(field: str) -> tuple[float, float]:
    """Lowest and highest value that a field allows by itself, infinite where it says nothing."""
    section: type[Any] | None = ScenarioFields
    info: FieldInfo | None = None
    for key in field.split("."):
        assert section is not None
        info = section.model_fields[key]
        section = section_of(info.annotation)
    assert info is not None
    said = {type(item): item for item in info.metadata}
    least = [getattr(said[kind], kind.__name__.lower()) for kind in (Ge, Gt) if kind in said]
    most = [getattr(said[kind], kind.__name__.lower()) for kind in (Le, Lt) if kind in said]
    return float(max(least, default=-math.inf)), float(min(most, default=math.inf))
