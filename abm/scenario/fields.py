"""What a scenario's fields are made of: clock times, names, fractions, options, distributions.

Each says what it allows in `Allowed`, so that problems and documentation say the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from abm.scenario.names import ADMISSIONS, RULES, SOLVERS, STRATEGIES

_CLOCK = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")
INTERVALS_MIN = (1, 5, 15, 60)
_MODULE_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Allowed:
    """What a field allows, in words, and the names that it knows (for "did you mean")."""

    text: str
    known: tuple[str, ...] = ()


def clock_minutes(text: str) -> int:
    """Minutes after midnight of a clock time "HH:MM" (24:00 is 1440). ValueError otherwise."""
    match = _CLOCK.fullmatch(text)
    minutes = int(match[1]) * 60 + int(match[2]) if match else -1
    if not 0 <= minutes <= 1440:
        raise ValueError(_CLOCK_WORDS)
    return minutes


def _clock_time(value: str) -> str:
    clock_minutes(value)
    return value


def _hour(value: str) -> str:
    if clock_minutes(value) % 60 or clock_minutes(value) == 1440:
        raise ValueError(_HOUR_WORDS)
    return value


def _divides_hour(value: int) -> int:
    if 3600 % value:
        raise ValueError(_STEP_WORDS)
    return value


def _interval(value: int) -> int:
    if value not in INTERVALS_MIN:
        raise ValueError(_INTERVAL_WORDS)
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _plain_options(value: dict[str, Any]) -> dict[str, Any]:
    if not _is_plain(value):
        raise ValueError(_OPTIONS_WORDS)
    return value


def _name_or_class(known: Mapping[str, Any]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known and not _MODULE_CLASS.fullmatch(value):
            raise ValueError("unknown name")
        return value

    return AfterValidator(check)


def _name(known: Mapping[str, Any]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known:
            raise ValueError("unknown name")
        return value

    return AfterValidator(check)


def _one_of(known: Mapping[str, Any], more: str = "") -> Allowed:
    return Allowed("one of: " + ", ".join(known) + more, tuple(known))


def _class_name(value: str) -> str:
    if not _MODULE_CLASS.fullmatch(value):
        raise ValueError(_CLASS_WORDS)
    return value


def _enum(known: Mapping[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(known)})


def _enum_or_class(known: Mapping[str, Any]) -> WithJsonSchema:
    module_class = {"type": "string", "pattern": f"^{_MODULE_CLASS.pattern}$"}
    return WithJsonSchema({"anyOf": [{"type": "string", "enum": list(known)}, module_class]})


_CLOCK_WORDS = 'a clock time "HH:MM" from "0:00" to "24:00", in quotes'
_HOUR_WORDS = 'a clock time on the hour from "0:00" to "23:00", in quotes'
_STEP_WORDS = "a whole number from 1 to 3600 that divides 3600, e.g. 30, 60 or 300"
_INTERVAL_WORDS = "one of: " + ", ".join(str(value) for value in INTERVALS_MIN)
_OPTIONS_WORDS = "a mapping with text as keys and text, numbers, lists or mappings as values"
_NAME_WORDS = 'letters, digits, "_", "." and "-", beginning with a letter or digit'
_CLASS_WORDS = "a class as module:Class"
_CLOCK_SCHEMA = {"type": "string", "pattern": f"^({_CLOCK.pattern})$"}

ClockTime = Annotated[
    str, AfterValidator(_clock_time), Allowed(_CLOCK_WORDS), WithJsonSchema(_CLOCK_SCHEMA)
]
ClockHour = Annotated[
    str, AfterValidator(_hour), Allowed(_HOUR_WORDS), WithJsonSchema(_CLOCK_SCHEMA)
]
RuleName = Annotated[
    str, _name_or_class(RULES), _one_of(RULES, ", or module:Class"), _enum_or_class(RULES)
]
AdmissionName = Annotated[
    str,
    _name_or_class(ADMISSIONS),
    _one_of(ADMISSIONS, ", or module:Class"),
    _enum_or_class(ADMISSIONS),
]
StrategyName = Annotated[
    str,
    _name(STRATEGIES),
    _one_of(STRATEGIES, ", or a mapping of rule and admission"),
    _enum(STRATEGIES),
]
SolverName = Annotated[str, _name(SOLVERS), _one_of(SOLVERS), _enum(SOLVERS)]
ClassName = Annotated[str, AfterValidator(_class_name), Allowed(_CLASS_WORDS)]
StepSeconds = Annotated[
    int, Field(ge=1, le=3600), AfterValidator(_divides_hour), Allowed(_STEP_WORDS)
]
IntervalMinutes = Annotated[
    int,
    AfterValidator(_interval),
    Allowed(_INTERVAL_WORDS),
    WithJsonSchema({"type": "integer", "enum": list(INTERVALS_MIN)}),
]
ShortName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"), Allowed(_NAME_WORDS)]
Options = Annotated[dict[str, Any], AfterValidator(_plain_options), Allowed(_OPTIONS_WORDS)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A frozen part of the scenario; unknown keys, infinities and NaN are refused.

    Strict: a whole number is read as a float, nothing else is converted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class TimeOfDay(Section):
    """A truncated normal distribution over clock times."""

    low: ClockTime = Field(description='Earliest, clock time "HH:MM".')
    high: ClockTime = Field(
        description='Latest, clock time "HH:MM"; after midnight if not later than `low`.'
    )
    mean: ClockTime | None = Field(
        None,
        description="Mean of the untruncated normal, clock time; middle of the range if left out.",
    )
    sd_h: float | None = Field(
        None,
        gt=0.0,
        le=24.0,
        description="Standard deviation of the untruncated normal, h; a quarter of the range if "
        "left out.",
    )


class Range(Section):
    """A truncated normal distribution over a range of a dimensionless quantity."""

    low: Fraction = Field(description="Lower end of the range, fraction of the capacity.")
    high: Fraction = Field(description="Upper end of the range, fraction of the capacity.")
    mean: Fraction | None = Field(
        None, description="Mean of the untruncated normal; middle of the range if left out."
    )
    sd: float | None = Field(
        None,
        gt=0.0,
        description="Standard deviation of the untruncated normal; a fifth of the range if left "
        "out.",
    )


class Spread(Section):
    """A truncated normal distribution over a range of a quantity."""

    low: float = Field(ge=0.0, description="Lower end of the range, in the unit of the quantity.")
    high: float = Field(ge=0.0, description="Upper end of the range, in the unit of the quantity.")
    mean: float | None = Field(
        None, description="Mean of the untruncated normal; middle of the range if left out."
    )
    sd: float | None = Field(
        None,
        gt=0.0,
        description="Standard deviation of the untruncated normal; a quarter of the range if left "
        "out.",
    )


class Capacity(Section):
    """Battery capacity, eq. (4): unit x a random integer in [low, high]."""

    unit_kwh: float = Field(5.0, gt=0.0, description="Step of the capacity, kWh (theta in eq. 4).")
    low: int = Field(5, ge=1, description="Smallest integer (K1 in eq. 4).")
    high: int = Field(9, ge=1, description="Largest integer (K2 in eq. 4).")
