"""What is studied: the scenario as typed, frozen, described fields.

Every field says its unit and the paper's symbol; `docs/scenario.md` is generated from here. A value
that cannot be right on its own is refused here, a combination that cannot be right by
`abm.scenario.checks`, which sees the whole scenario and so can name the field that is to blame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from abm.scenario.kinds import (
    AdmissionName,
    ClassName,
    ClockHour,
    ClockTime,
    Fraction,
    IntervalMinutes,
    Options,
    RuleName,
    ShortName,
    SolverName,
    StepSeconds,
    StrategyName,
)


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
    hours: int = Field(
        24, ge=1, le=8784, description="Length of the horizon, h; 24 with several `horizon.days`."
    )
    step_s: StepSeconds = Field(
        60, description="Time step, s; has to divide an hour. The paper's rule acts every minute."
    )
    engine: Literal["auto", "numpy", "compiled"] = Field(
        "auto",
        description="How the steps are computed; the results are the same. compiled: by numba, "
        "where it is installed, rule and admission are built in and no message is lost "
        "(broadcast.loss_probability 0), else as numpy; auto: compiled where that is quicker.",
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


class PlugIn(Section):
    """Whether an owner plugs in on coming home."""

    habit: Literal["every_day", "below_soc", "probability"] = Field(
        "every_day",
        description="every_day: always; below_soc: only when the SoC on coming home is below `soc`; "
        "probability: with `probability`, drawn each day.",
    )
    soc: Fraction = Field(0.5, description="SoC below which the owner plugs in; fraction.")
    probability: Fraction = Field(1.0, description="Probability of plugging in on a day.")


class LateReturn(Section):
    """Coming home later than the distribution of arrivals says."""

    probability: Fraction = Field(0.0, description="Probability on a day.")
    delay_h: Spread = Field(Spread(low=0.5, high=3.0), description="How much later; h.")


class EarlyDeparture(Section):
    """Leaving before the departure that was announced to the RPZ on plugging in."""

    probability: Fraction = Field(0.0, description="Probability on a day.")
    early_h: Spread = Field(Spread(low=0.5, high=2.0), description="How much earlier; h.")


class Trip(Section):
    """What is driven between one day's departure and the next arrival."""

    probability: Fraction = Field(1.0, description="Probability of driving on a day.")
    distance_km: Spread = Field(
        Spread(low=0.0, high=140.0),
        description="Distance; km. The default returns at about the SoC on arrival of Table I.",
    )
    kwh_per_km: float = Field(
        0.18, ge=0.0, le=5.0, description="Energy out of the battery; kWh per km."
    )


class Weekend(Section):
    """What differs on Saturdays and Sundays. Left out: as on weekdays."""

    arrival: TimeOfDay | None = Field(
        None, description="Arrival of those who come home on a Saturday or Sunday; clock times."
    )
    departure: TimeOfDay | None = Field(
        None, description="Departure of those who leave on a Saturday or Sunday; clock times."
    )
    trip: Trip | None = Field(None, description="What is driven on a Saturday or Sunday.")
    plug_in: PlugIn | None = Field(None, description="Habit of plugging in on these days.")


class Group(Section):
    """A group of owners. Whatever is left out is as in `fleet`, `ev` and `owners`."""

    share: Fraction = Field(
        description="Share of each feeder's EVs; the shares of all groups add up to 1."
    )
    arrival: TimeOfDay | None = Field(None, description="Arrival; clock times.")
    departure: TimeOfDay | None = Field(None, description="Departure; clock times.")
    soc_arrival: Range | None = Field(None, description="SoC on (the first) arrival; fraction.")
    soc_target: Range | None = Field(None, description="SoC wanted on departure; fraction.")
    capacity: Capacity | None = Field(None, description="Battery capacity; kWh.")
    charger_kw: float | None = Field(None, gt=0.0, le=1e4, description="G2V rating; kW.")
    discharger_kw: float | None = Field(None, ge=0.0, le=1e4, description="V2G rating; kW.")
    plug_in: PlugIn | None = Field(None, description="Habit of plugging in.")
    v2g_participation: Fraction | None = Field(
        None, description="Probability that an owner takes part in V2G."
    )
    own_threshold: Range | None = Field(
        None, description="Range anxiety: own V2G threshold, where above `ev.soc_min`; fraction."
    )
    boost_probability: Fraction | None = Field(
        None, description="Probability of a boost on a day: charging at once, whatever is asked."
    )
    late_return: LateReturn | None = Field(None, description="Coming home late.")
    early_departure: EarlyDeparture | None = Field(None, description="Leaving unannounced.")
    trip: Trip | None = Field(None, description="What is driven in a day.")
    weekend: Weekend | None = Field(None, description="What differs on Saturdays and Sundays.")
    behaviour: ClassName | None = Field(
        None, description="Own behaviour: a class module:Class with a method plan(plan, rng)."
    )
    behaviour_options: Options = Field(
        default_factory=dict, description="Keyword arguments of `behaviour`."
    )


class Learning(Section):
    """Owners who decide every day whether to take part in V2G, by what they have seen it bring."""

    graph: Literal["off", "alone", "watts_strogatz", "barabasi_albert", "zone", "edges"] = Field(
        "off",
        description="Whom an owner sees. off: nobody learns; alone: only itself; watts_strogatz, "
        "barabasi_albert: networkx graphs over a feeder's owners; zone: a Watts-Strogatz graph in "
        "each RPZ; edges: the pairs in `edges`.",
    )
    degree: int = Field(
        6,
        ge=2,
        le=10_000,
        description="Neighbours of an owner in the mean; even, odd ones count as one less.",
    )
    rewiring: Fraction = Field(
        0.1, description="Probability that an edge of a Watts-Strogatz graph is rewired."
    )
    edges: str | None = Field(
        None, description="CSV with columns ev_a, ev_b: numbers of EVs that see each other, from 1."
    )
    own_weight: float = Field(
        1.0, ge=0.0, description="What an owner itself counts for, a neighbour counting 1."
    )
    memory: Fraction = Field(
        0.5, description="Weight of what was believed before; the rest is what was seen today."
    )
    hassle_usd: Spread = Field(
        Spread(low=0.0, high=0.2),
        description="Benefit a day that taking part has to bring more than staying out; $.",
    )
    unmet_usd_per_kwh: float = Field(
        0.5, ge=0.0, description="What an owner counts for energy missing on departure; $/kWh."
    )
    wear_usd_per_kwh: float = Field(
        0.0, ge=0.0, description="What an owner counts for energy supplied by the battery; $/kWh."
    )
    trial_probability: Fraction = Field(
        0.0, description="Probability of doing the opposite for a day, to see."
    )


class OwnersSection(Section):
    """How the owners behave; `groups` may each differ."""

    plug_in: PlugIn = Field(PlugIn(), description="Habit of plugging in.")
    v2g_participation: Fraction = Field(
        1.0, description="Probability that an owner takes part in V2G."
    )
    own_threshold: Range | None = Field(
        None, description="Range anxiety: own V2G threshold, where above `ev.soc_min`; fraction."
    )
    boost_probability: Fraction = Field(
        0.0, description="Probability of a boost on a day: charging at once, whatever is asked."
    )
    late_return: LateReturn = Field(LateReturn(), description="Coming home late.")
    early_departure: EarlyDeparture = Field(EarlyDeparture(), description="Leaving unannounced.")
    trip: Trip = Field(Trip(), description="What is driven in a day; read from the second day on.")
    weekend: Weekend | None = Field(None, description="What differs on Saturdays and Sundays.")
    behaviour: ClassName | None = Field(
        None, description="Own behaviour: a class module:Class with a method plan(plan, rng)."
    )
    behaviour_options: Options = Field(
        default_factory=dict, description="Keyword arguments of `behaviour`."
    )
    groups: dict[str, Group] = Field(
        default_factory=dict,
        description="Groups of owners by name, each with a share; none: all owners are alike.",
    )
    learning: Learning = Field(Learning(), description="Owners who learn.")


class Horizon(Section):
    """Days in a row: the SoC is carried over, and every day has its trip."""

    days: int = Field(
        1, ge=1, le=366, description="Number of days of 24 h, each beginning at `clock.start`."
    )
    first_day: Literal[
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
    ] = Field("monday", description="Day of the week at the start of the horizon.")


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


class BroadcastSection(Section):
    """What the grid agent tells the RPZs and homes, how often, and what becomes of it on the way."""

    what: Literal["base", "net", "net_with_losses"] = Field(
        "base",
        description="Demand that is broadcast, P_D(h) in eq. (13). base: demand without EVs of the hour that begins or runs; net: that plus the mean EV demand measured over the interval that ended (0 before the first); net_with_losses: that plus the feeder's losses at the mean powers of the interval that ended.",
    )
    interval_min: IntervalMinutes = Field(
        60, description="Time between two messages, min; a multiple of the time step."
    )
    delay_min: float = Field(
        0.0,
        ge=0.0,
        le=527040.0,
        description="Time from a message to when it is heard, min; it counts from the first time step that begins then. Until the first one is heard everybody goes by the base demand of the first hour.",
    )
    loss_probability: Fraction = Field(
        0.0,
        description="Probability that a zone misses a message, each zone and message by itself; it keeps the last one it heard, with its hour and price.",
    )
    noise: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Standard deviation of a normal error of the broadcast demand, fraction of it; one draw for each message and feeder.",
    )


class BaseLoadSection(Section):
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


class FeederSection(Section):
    """How many copies of the feeder there are, each with its own fleet."""

    copies: int = Field(
        1, ge=1, le=100_000, description="Copies of the feeder: a city. Each has its own EVs."
    )


class RecordSection(Section):
    """What is written down during a run."""

    zone_minute: bool | None = Field(
        None,
        description="Power of every zone by step; left out: yes for one feeder, by hour for more.",
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
    horizon: Horizon = Field(Horizon(), description="Days in a row.")
    fleet: FleetSection = Field(FleetSection(), description="The EVs.")
    owners: OwnersSection = Field(OwnersSection(), description="How the owners behave.")
    ev: EvSection = Field(EvSection(), description="Battery and charger.")
    requirement: Requirement = Field(Requirement(), description="How much is charged in a stay.")
    eq13: Eq13 = Field(Eq13(), description="Options of the switching rule eq13.")
    least_laxity: LeastLaxity = Field(
        LeastLaxity(), description="Options of the admission least_laxity."
    )
    grid: GridSection = Field(GridSection(), description="Feeder, limits, solver.")
    broadcast: BroadcastSection = Field(
        BroadcastSection(), description="What the grid agent broadcasts, how often, how reliably."
    )
    feeder: FeederSection = Field(FeederSection(), description="Copies of the feeder.")
    base_load: BaseLoadSection = Field(BaseLoadSection(), description="Base load.")
    tariff: TariffSection = Field(TariffSection(), description="Prices.")
    record: RecordSection = Field(RecordSection(), description="What is written down.")
