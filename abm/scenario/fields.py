"""What fields are made of: clock times, names, fractions, options, distributions.

And what each allows, in words: from here the problems that a user reads and the documentation take
their wording, for fields of a scenario as for columns of a CSV.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from abm.scenario.names import ADMISSIONS, RULES, SOLVERS, STRATEGIES

_CLOCK = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")
INTERVALS_MIN = (1, 5, 15, 60)
FLOW_INTERVALS_MIN = (1, 5, 10, 15, 30, 60)
_MODULE_CLASS = re.compile(
    r"([^:\x00-\x1f\x7f]*/)?[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*"
)


@dataclass(frozen=True, eq=False)
class Allowed:
    """In an Annotated: what a field allows, in words.

    known: the names that it knows (for "did you mean"). test: what a value has to pass besides
    its type and bounds. json_schema: how to say that test in the JSON schema.
    """

    text: str
    known: tuple[str, ...] = ()
    test: Callable[[Any], bool] | None = None
    json_schema: Mapping[str, Any] | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        return (
            core_schema.no_info_after_validator_function(self._judge, schema)
            if self.test
            else schema
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return dict(self.json_schema or handler(schema))

    def _judge(self, value: Any) -> Any:
        if self.test is not None and not self.test(value):
            raise ValueError(self.text)
        return value


def clock_minutes(text: str) -> int:
    """Minutes after midnight of a clock time "HH:MM" (24:00 is 1440). ValueError otherwise."""
    if not _is_clock_time(text):
        raise ValueError(_CLOCK_WORDS)
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _is_clock_time(text: str) -> bool:
    match = _CLOCK.fullmatch(text)
    return match is not None and (match[1] != "24" or match[2] == "00")


def _is_clock_hour(text: str) -> bool:
    return _is_clock_time(text) and clock_minutes(text) in range(0, 1440, 60)


def is_class(text: str) -> bool:
    """Whether this is module:Class, or module:function."""
    return _MODULE_CLASS.fullmatch(text) is not None


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))


def is_rule(value: str) -> bool:
    """Whether this names a rule: one from `list`, or module:Class."""
    return value in RULES or is_class(value)


def is_admission(value: str) -> bool:
    """Whether this names an admission, in the same way."""
    return value in ADMISSIONS or is_class(value)


def _one_of(names: Iterable[str], more: str = "") -> Allowed:
    known = tuple(names)
    text, schema = "one of: " + ", ".join(known) + more, {"type": "string", "enum": list(known)}
    return Allowed(text, known, lambda value: value in known, schema)


def _one_of_or_class(names: Iterable[str]) -> Allowed:
    one = _one_of(names, ", or module:Class")
    own_class = {"type": "string", "pattern": f"^{_MODULE_CLASS.pattern}$"}
    return Allowed(
        one.text,
        one.known,
        lambda value: value in one.known or is_class(value),
        {"anyOf": [one.json_schema, own_class]},
    )


def _minutes(known: tuple[int, ...]) -> Allowed:
    text = "one of: " + ", ".join(str(value) for value in known)
    schema = {"type": "integer", "enum": list(known)}
    return Allowed(text, test=lambda minutes: minutes in known, json_schema=schema)


# Reactive power is never asked for more steeply, so that load flows with it settle.
STEEPEST_PER_PU = 100.0
_PF_WORDS = "a number from -1 to -0.1 or from 0.1 to 1"
_CURVE_WORDS = (
    "a list of at least two points [voltage in p.u., share of the kVA supplied, -1 to 1]; voltages "
    "rising, shares not, by no more than 1 within 0.01 p.u."
)


def _is_droop(points: list[list[float]]) -> bool:
    """Whether a curve of voltage and reactive power can be gone by."""
    if len(points) < 2 or any(len(point) != 2 for point in points):
        return False
    if not all(0.0 < vm_pu < 2.0 and -1.0 <= share <= 1.0 for vm_pu, share in points):
        return False
    return all(
        0.0 <= one[1] - other[1] <= STEEPEST_PER_PU * (other[0] - one[0]) + 1e-9
        and other[0] > one[0]
        for one, other in pairwise(points)
    )


_CLOCK_WORDS = 'a clock time "HH:MM" from "0:00" to "24:00", in quotes'
_HOUR_WORDS = 'a clock time on the hour from "0:00" to "23:00", in quotes'
_STEP_WORDS = "a whole number from 1 to 3600 that divides 3600, e.g. 30, 60 or 300"
_OPTIONS_WORDS = "a mapping with text as keys and text, numbers, lists or mappings as values"
# With strategy, verb and seed behind it, it has to be the name of a folder, of 255 bytes at most.
LONGEST_NAME = 80
_NAME_WORDS = (
    f'at most {LONGEST_NAME} letters, digits, "_", "." and "-", beginning with a letter or digit'
)
_CLASS_WORDS = "a class as module:Class"
_CLOCK_SCHEMA = {"type": "string", "pattern": f"^({_CLOCK.pattern})$"}


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text and 1900 <= int(text[:4]) <= 2200
    except ValueError:
        return False


def _is_zone(text: str) -> bool:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


_DATE_WORDS = 'a date from 1900 to 2200, "2024-03-31", in quotes'
_ZONE_WORDS = "a time zone by its IANA name, such as UTC or Europe/Berlin"
IsoDate = Annotated[str, Allowed(_DATE_WORDS, test=_is_date)]
ZoneName = Annotated[str, Allowed(_ZONE_WORDS, test=_is_zone)]
ClockTime = Annotated[str, Allowed(_CLOCK_WORDS, test=_is_clock_time, json_schema=_CLOCK_SCHEMA)]
ClockHour = Annotated[str, Allowed(_HOUR_WORDS, test=_is_clock_hour, json_schema=_CLOCK_SCHEMA)]
RuleName = Annotated[str, _one_of_or_class(RULES)]
AdmissionName = Annotated[str, _one_of_or_class(ADMISSIONS)]
StrategyName = Annotated[str, _one_of(STRATEGIES, ", or a mapping of rule and admission")]
SolverName = Annotated[str, _one_of(SOLVERS)]
ClassName = Annotated[str, Allowed(_CLASS_WORDS, test=is_class)]
StepSeconds = Annotated[
    int, Field(ge=1, le=3600), Allowed(_STEP_WORDS, test=lambda step: 3600 % step == 0)
]
IntervalMinutes = Annotated[int, _minutes(INTERVALS_MIN)]
FlowMinutes = Annotated[int, _minutes(FLOW_INTERVALS_MIN)]
ShortName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=LONGEST_NAME),
    Allowed(_NAME_WORDS),
]
Options = Annotated[dict[str, Any], Allowed(_OPTIONS_WORDS, test=_is_plain)]
PowerFactor = Annotated[
    float,
    Allowed(_PF_WORDS, test=lambda factor: 0.1 <= abs(factor) <= 1.0),
]
DroopCurve = Annotated[list[list[float]], Allowed(_CURVE_WORDS, test=_is_droop)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


Shape = Literal["normal", "lognormal", "beta", "uniform", "empirical", "mixture"]
SHAPE = (
    "Shape between `low` and `high`: normal or lognormal, truncated, with `mean` and `sd` before "
    "that; beta with `mean` and `sd`; uniform; empirical, by `quantiles`; mixture, of the normals "
    "in `parts`, truncated."
)
Quantiles = Annotated[
    list[float],
    Allowed(
        "a list of at least 2 numbers that do not fall",
        test=lambda q: len(q) > 1 and all(a <= b for a, b in pairwise(q)),
    ),
]
QUANTILES = (
    "Of shape empirical: quantiles from the least to the largest at equal probabilities, straight "
    "lines between; of a clock time in h after `low`."
)
Parts = Annotated[
    list[list[float]],
    Allowed(
        "a list of [weight, mean, sd], weight and sd above 0",
        test=lambda parts: (
            bool(parts) and all(len(p) == 3 and p[0] > 0.0 and p[2] > 0.0 for p in parts)
        ),
    ),
]
PARTS = (
    "Of shape mixture: weight, mean and standard deviation of each normal; of a clock time with "
    "its mean in h after `low`."
)


class Section(BaseModel):
    """A frozen part of the scenario; unknown keys, infinities and NaN are refused.

    Strict: a whole number is read as a float, nothing else is converted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class TimeOfDay(Section):
    """A distribution over clock times, by default a truncated normal."""

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
    shape: Shape = Field("normal", description=SHAPE)
    quantiles: Quantiles | None = Field(None, description=QUANTILES)
    parts: Parts | None = Field(None, description=PARTS)


class Range(Section):
    """A distribution over a range of a dimensionless quantity, by default a truncated normal."""

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
    shape: Shape = Field("normal", description=SHAPE)
    quantiles: Quantiles | None = Field(None, description=QUANTILES)
    parts: Parts | None = Field(None, description=PARTS)


class Spread(Section):
    """A distribution over a range of a quantity, by default a truncated normal."""

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
    shape: Shape = Field("normal", description=SHAPE)
    quantiles: Quantiles | None = Field(None, description=QUANTILES)
    parts: Parts | None = Field(None, description=PARTS)


class Capacity(Section):
    """Battery capacity, eq. (4): unit x a random integer in [low, high]."""

    unit_kwh: float = Field(5.0, gt=0.0, description="Step of the capacity, kWh (theta in eq. 4).")
    low: int = Field(5, ge=1, description="Smallest integer (K1 in eq. 4).")
    high: int = Field(9, ge=1, description="Largest integer (K2 in eq. 4).")


def allowed(field: FieldInfo, null: bool = True) -> str:
    """What a field allows, in words: "a number above 0 and at most 1".

    null: whether to say so where it may be null.
    """
    kind, metadata, or_null = _unwrapped(field.annotation, field.metadata)
    said = [item.text for item in metadata if isinstance(item, Allowed)]
    text = said[-1] if said else _words(kind, metadata)
    return text + ", or null" if null and or_null else text


def known_names(field: FieldInfo) -> tuple[str, ...]:
    """The names that a field knows, () for one that is not a choice."""
    kind, metadata, _ = _unwrapped(field.annotation, field.metadata)
    if get_origin(kind) is Literal:
        return get_args(kind)
    names = (item.known for item in metadata if isinstance(item, Allowed))
    return next(filter(None, names), ())


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section behind an annotation, also behind `Section | None`."""
    kind, _, _ = _unwrapped(annotation, ())
    is_model = isinstance(kind, type) and get_origin(kind) is None and issubclass(kind, BaseModel)
    return kind if is_model else None


def named_section_of(annotation: Any) -> type[BaseModel] | None:
    """The section behind the names of a `dict[str, Section]`."""
    return section_of(get_args(annotation)[1]) if get_origin(annotation) is dict else None


def keys_of(section: type[BaseModel]) -> str:
    """What stands in the place of a section, in words."""
    return "a mapping with the keys " + ", ".join(section.model_fields)


def _unwrapped(annotation: Any, metadata: Iterable[Any]) -> tuple[Any, list[Any], bool]:
    """The type behind Annotated and unions, its metadata, and whether null is allowed besides."""
    flat = _flat(metadata)
    or_null = False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            flat = [*_flat(more), *flat]
        elif get_origin(annotation) in (Union, UnionType):
            kinds = get_args(annotation)
            # Words for the whole union say it themselves.
            or_null = NoneType in kinds and not any(isinstance(item, Allowed) for item in flat)
            # Of a strategy, a name or a mapping, the words for the name say it all.
            annotation = next(kind for kind in kinds if kind is not NoneType)
        else:
            return annotation, flat, or_null


def _flat(metadata: Iterable[Any]) -> list[Any]:
    flat: list[Any] = []
    for item in metadata:
        flat += _flat(item.metadata) if isinstance(item, FieldInfo) else [item]
    return flat


def _words(kind: Any, metadata: list[Any]) -> str:
    if get_origin(kind) is Literal:
        return "one of: " + ", ".join(get_args(kind))
    if named := named_section_of(kind):
        return "a mapping of names to mappings with the keys " + ", ".join(named.model_fields)
    if section := section_of(kind):
        return keys_of(section)
    if get_origin(kind) in (dict, list):
        inner, more, _ = _unwrapped(get_args(kind)[-1], ())
        several = "a list" if get_origin(kind) is list else "a mapping of names"
        return f"{several}, each entry {_words(inner, more)}"
    if kind is bool:
        return "true or false"
    if kind is str:
        return "text"
    whole = kind is int
    number = "a whole number" if whole else "a number"
    return number + _bounds(metadata, "without decimal point" if whole else "")


def _bounds(metadata: Iterable[Any], note: str) -> str:
    said = []
    for item in metadata:
        if isinstance(item, Gt):
            said.append(f"above {_number(item.gt)}")
        elif isinstance(item, Ge):
            said.append(f"at least {_number(item.ge)}")
        elif isinstance(item, Lt):
            said.append(f"below {_number(item.lt)}")
        elif isinstance(item, Le):
            said.append(f"at most {_number(item.le)}")
    text = (" " + " and ".join(said)) if said else ""
    return text + (f", {note}" if note else "")


def _number(bound: Any) -> str:
    if isinstance(bound, int) and bound >= 2**53:
        return f"2^{bound.bit_length() - 1}"
    return f"{bound:g}" if isinstance(bound, float) else str(bound)
