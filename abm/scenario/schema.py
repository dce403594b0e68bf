"""What is studied: the scenario as typed, frozen, described fields.

Every field says its unit and the paper's symbol; `docs/scenario.md` is generated from here. A value
that cannot be right on its own is refused here, a combination that cannot be right by
`abm.scenario.checks`, which sees the whole scenario and so can name the field that is to blame.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)

from abm.scenario.names import ADMISSIONS, RULES, SOLVERS, STRATEGIES

_CLOCK = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")
_MODULE_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Words:
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


def _one_of(known: Mapping[str, Any], more: str = "") -> Words:
    return Words("one of: " + ", ".join(known) + more, tuple(known))


def _enum(known: Mapping[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(known)})


def _enum_or_class(known: Mapping[str, Any]) -> WithJsonSchema:
    module_class = {"type": "string", "pattern": f"^{_MODULE_CLASS.pattern}$"}
    return WithJsonSchema({"anyOf": [{"type": "string", "enum": list(known)}, module_class]})


_CLOCK_WORDS = 'a clock time "HH:MM" from "0:00" to "24:00", in quotes'
_HOUR_WORDS = 'a clock time on the hour from "0:00" to "23:00", in quotes'
_STEP_WORDS = "a whole number from 1 to 3600 that divides 3600, e.g. 30, 60 or 300"
_OPTIONS_WORDS = "a mapping with text as keys and text, numbers, lists or mappings as values"
_NAME_WORDS = 'letters, digits, "_", "." and "-", beginning with a letter or digit'
_CLOCK_SCHEMA = {"type": "string", "pattern": f"^({_CLOCK.pattern})$"}

ClockTime = Annotated[
    str, AfterValidator(_clock_time), Words(_CLOCK_WORDS), WithJsonSchema(_CLOCK_SCHEMA)
]
ClockHour = Annotated[str, AfterValidator(_hour), Words(_HOUR_WORDS), WithJsonSchema(_CLOCK_SCHEMA)]
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
StepSeconds = Annotated[
    int, Field(ge=1, le=3600), AfterValidator(_divides_hour), Words(_STEP_WORDS)
]
ShortName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"), Words(_NAME_WORDS)]
Options = Annotated[dict[str, Any], AfterValidator(_plain_options), Words(_OPTIONS_WORDS)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A frozen part of the scenario; unknown keys, infinities and NaN are refused.

    Strict: a whole number is read as a float, nothing else is converted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Clock(Section):
    """The horizon and the time step."""

    start: ClockHour = Field(
        "12:00", description='Clock time at which the horizon begins, "HH:MM", on the hour.'
    )
    hours: int = Field(24, ge=1, le=8784, description="Length of the horizon, h.")
    step_s: StepSeconds = Field(
        60, description="Time step, s; has to divide an hour. The paper's rule acts every minute."
    )


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
    sd_h: float = Field(
        gt=0.0, le=24.0, description="Standard deviation of the untruncated normal, h."
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
        description="Standard deviation of the untruncated normal; a fifth of the range if left out.",
    )


class Capacity(Section):
    """Battery capacity, eq. (4): unit x a random integer in [low, high]."""

    unit_kwh: float = Field(5.0, gt=0.0, description="Step of the capacity, kWh (theta in eq. 4).")
    low: int = Field(5, ge=1, description="Smallest integer (K1 in eq. 4).")
    high: int = Field(9, ge=1, description="Largest integer (K2 in eq. 4).")


class FleetSection(Section):
    """Who plugs in, where and when: Table I, or a file of sessions."""

    evs_per_zone: int = Field(
        40, ge=0, le=1_000_000, description="EVs in each RPZ (N_EV / N_z = 600 / 15)."
    )
    sessions: str | None = Field(
        None,
        description="CSV of sessions that replaces the sampled fleet; columns ev_id, zone, arrival_min, departure_min, capacity_kwh, soc_arrival, soc_target and optional p_max_kw, p_discharge_kw, efficiency. Minutes count from the start of the horizon.",
    )
    arrival: TimeOfDay = Field(
        TimeOfDay(low="16:00", high="24:00", mean="20:00", sd_h=1.5),
        description="Arrival, T_AR; clock times.",
    )
    departure: TimeOfDay = Field(
        TimeOfDay(low="7:00", high="9:00", mean="8:00", sd_h=0.5),
        description="Departure, T_DEP; clock times after the arrival.",
    )
    soc_arrival: Range = Field(
        Range(low=0.2, high=0.75), description="SoC on arrival, soc_i; fraction."
    )
    soc_target: Range = Field(
        Range(low=0.8, high=0.9), description="SoC wanted on departure, soc_f; fraction."
    )
    capacity: Capacity = Field(Capacity(), description="Battery capacity, C_b; kWh.")


class EvSection(Section):
    """Battery and charger, the same for every EV unless a session says otherwise."""

    efficiency: float = Field(
        0.98,
        gt=0.0,
        le=1.0,
        description="One-way efficiency between grid and battery, eta_c, for charging and discharging; fraction.",
    )
    soc_min: Fraction = Field(
        0.2, description="Threshold down to which V2G discharges, soc_min^Delta; fraction."
    )
    soc_lower: Fraction = Field(
        0.0, description="Lower bound of the SoC, soc_L in eq. (5); fraction."
    )
    soc_upper: Fraction = Field(
        1.0, description="Upper bound of the SoC, soc_U in eq. (6); fraction."
    )
    charger_kw: float = Field(
        5.4, gt=0.0, le=1e4, description="G2V charger rating at the grid side, C_c; kW."
    )
    discharger_kw: float = Field(
        7.5, ge=0.0, le=1e4, description="V2G rating at the grid side, C_d; kW."
    )


class Requirement(Section):
    """How much an EV has to charge in a stay: eqs. (3), (7), (14)-(16)."""

    kind: Literal["as_printed", "energy_balanced"] = Field(
        "as_printed",
        description="as_printed: charging adds factor x (soc_f - soc_i) to the SoC it starts from, eqs. (3), (16); energy_balanced: charging goes to soc_f.",
    )
    factor: float = Field(
        0.85,
        gt=0.0,
        le=1.0,
        description="Share of the requirement that is charged, 0.85 in eq. (7); only read when as_printed.",
    )


class Eq13(Section):
    """Options of the switching rule, eq. (13)."""

    v2g_when: Literal["at_or_above_limit", "below_limit", "always"] = Field(
        "at_or_above_limit",
        description="When an EV above the threshold discharges: broadcast demand at or above the limit (the paper's prose), below it (as printed), or always.",
    )
    one_discharge_per_stay: bool = Field(
        True,
        description="An EV that has begun to charge does not discharge again before it leaves, T = T_dg + T_cg in eq. (14).",
    )
    charge_above_threshold: bool = Field(
        True,
        description="An EV above the threshold may charge while it is not told to discharge; eq. (13) is silent on it.",
    )


class LeastLaxity(Section):
    """Options of the admission `least_laxity`."""

    guarantee: bool = Field(
        False,
        description="Serve an EV that would otherwise leave short in any case, even beyond the headroom.",
    )


class StrategySpec(Section):
    """A pair of rule and admission that has no name of its own."""

    rule: RuleName = Field(description="Switching rule: a name from `list`, or module:Class.")
    admission: AdmissionName = Field(
        "all_at_once", description="Admission: a name from `list`, or module:Class."
    )
    rule_options: Options = Field(
        default_factory=dict,
        description="Keyword arguments of the rule; they go before the section of the same name.",
    )
    admission_options: Options = Field(
        default_factory=dict,
        description="Keyword arguments of the admission; they go before the section of the same name.",
    )


def _strategy_kind(value: Any) -> str:
    return "mapping" if isinstance(value, (Mapping, StrategySpec)) else "name"


# The tag says which of the two the user meant, so that a mistake is reported once, not twice.
Strategy = Annotated[
    Annotated[StrategyName, Tag("name")] | Annotated[StrategySpec, Tag("mapping")],
    Discriminator(_strategy_kind),
]


class GridSection(Section):
    """The feeder, its limits and the load-flow solver."""

    feeder: str = Field(
        "case33bw",
        description="Feeder: a name from `list`, or a folder with feeder.yaml, buses.csv and lines.csv.",
    )
    demand_limit_mw: float = Field(
        3.24,
        gt=0.0,
        description="Desired level of the feeder's demand, P_D^max in eq. (13); MW. No value in the paper; 3.24 is the EVMS peak of Table II.",
    )
    solver: SolverName = Field(
        "power-grid-model",
        description="Load-flow solver: power-grid-model (fast, checked at the start) or pandapower (reference).",
    )
    vm_min_pu: float = Field(
        0.9, gt=0.0, lt=1.5, description="Lower voltage limit, V_min in eq. (9); p.u."
    )
    vm_max_pu: float = Field(
        1.1, gt=0.5, lt=2.0, description="Upper voltage limit, V_max in eq. (9); p.u."
    )


class LoadSection(Section):
    """The demand of the feeder without EVs."""

    profile: str = Field(
        "bdew_fit",
        description="Class load profile: a name from `list`, or a CSV with columns hour and one multiplier of the nominal load per customer class.",
    )
    scale: float = Field(1.0, ge=0.0, description="Factor on every load, active and reactive.")


class TariffSection(Section):
    """What energy costs, eqs. (19)-(22)."""

    prices: str = Field(
        "demand_linked",
        description="Hourly price alpha(h): a name from `list`, or a CSV with columns hour, price ($/kWh).",
    )
    sale_ratio: float = Field(
        0.6,
        ge=0.0,
        description="Price of energy sold to the grid over the price of energy bought, 0.6 in eq. (21).",
    )


class ScenarioFields(Section):
    """All that defines a run. Left-out keys take the defaults of the paper's study."""

    name: ShortName = Field("scenario", description="Short name, used for output folders.")
    description: str = Field("", description="What the scenario is to show.")
    seed: int = Field(1, ge=0, lt=2**63, description="Seed of every random stream.")
    strategy: Strategy = Field(
        "evms", description="A named strategy, or a mapping of rule and admission."
    )
    clock: Clock = Field(Clock(), description="Horizon and time step.")
    fleet: FleetSection = Field(FleetSection(), description="The EVs.")
    ev: EvSection = Field(EvSection(), description="Battery and charger.")
    requirement: Requirement = Field(Requirement(), description="How much is charged in a stay.")
    eq13: Eq13 = Field(Eq13(), description="Options of the switching rule eq13.")
    least_laxity: LeastLaxity = Field(
        LeastLaxity(), description="Options of the admission least_laxity."
    )
    grid: GridSection = Field(GridSection(), description="Feeder, limits, solver.")
    load: LoadSection = Field(LoadSection(), description="Base load.")
    tariff: TariffSection = Field(TariffSection(), description="Prices.")
