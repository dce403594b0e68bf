"""What is studied: the scenario as typed, frozen, described fields.

Every field says its unit and the paper's symbol; `docs/scenario.md` is generated from here. A value
that cannot be right on its own is refused here, a combination that cannot be right by
`abm.scenario.checks`, which sees the whole scenario and so can name the field that is to blame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from abm.scenario.fields import (
    AdmissionName,
    Capacity,
    ClockHour,
    FlowMinutes,
    Fraction,
    IntervalMinutes,
    Options,
    Range,
    RuleName,
    Section,
    ShortName,
    SolverName,
    StepSeconds,
    StrategyName,
    TimeOfDay,
)
from abm.scenario.owners import Horizon, OwnersSection


class ClockSection(Section):
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
        "where rule and admission are built in, no message is lost (broadcast.loss_probability 0) and "
        "ev.min_on_min, ev.min_off_min and ev.taper are left out, else as numpy; auto: compiled from "
        "20 million EV-steps on.",
    )


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
    min_charge_kw: float = Field(
        0.0,
        ge=0.0,
        le=1e4,
        description="Least power that a charger can be set to, kW; 6 A on one phase of 230 V are 1.38. Below it a charger is off. Only read where a rule or an admission answers with powers.",
    )
    taper: float | None = Field(
        None,
        gt=0.0,
        lt=1.0,
        description="SoC up to which a battery takes its charger's full power, from there falling linearly to zero at a SoC of 1, fraction; left out: full power throughout. The bound and the reference cost of eq. (22) charge at full power.",
    )
    min_on_min: float = Field(
        0.0,
        ge=0.0,
        le=1440.0,
        description="Least time that a charger stays in a mode, G2V or V2G, min, rounded up to time steps; it ends earlier where there is nothing left to move.",
    )
    min_off_min: float = Field(
        0.0,
        ge=0.0,
        le=1440.0,
        description="Least time that a charger that was switched off stays off, min, rounded up to time steps; from V2G to G2V and back it need not be off.",
    )
    switch_cost_usd: float = Field(
        0.0,
        ge=0.0,
        le=1e6,
        description="Cost of a change of mode, $: wear of charger and battery. Reported as switching_cost_usd, not part of the net cost.",
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


class Eq13Section(Section):
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


class LeastLaxitySection(Section):
    """Options of the admission `least_laxity`."""

    guarantee: bool = Field(
        False,
        description="Serve an EV that would otherwise leave short in any case, even beyond the headroom.",
    )


class CoordinatedSection(Section):
    """Options of the rule and the admission `coordinated`."""

    margin_min: float = Field(
        5.0,
        ge=0.0,
        le=1440.0,
        description="Slack that an EV has to keep when it discharges, min: time until departure less the charging time still needed.",
    )
    price_weight: Fraction = Field(
        0.0,
        description="0: the level is one of demand; 1: mainly one of price, so that cheap hours are filled first; -.",
    )
    modulate: bool = Field(
        False,
        description="Set chargers to powers, down to ev.min_charge_kw, so that demand meets the level and not only whole chargers near it; step by step in numpy.",
    )


class MpcSection(Section):
    """Options of the rule `mpc`."""

    interval_min: FlowMinutes = Field(
        15, description="Time between two plans, min; no less than the time step is of use."
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
        description="Load-flow solver: power-grid-model (fast, checked on the feeder before its first use) or pandapower (reference).",
    )
    flow_interval_min: FlowMinutes = Field(
        60,
        description="Interval of the load flows, min, each solved for the mean powers over it; a multiple of the time step. Voltages, losses and line loadings in the results are means over so long; what is broadcast keeps its own interval.",
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
    interpolation: Literal["steps", "linear"] = Field(
        "steps",
        description="Between the hourly values of the profile. steps: each holds for its hour; linear: each is that of the middle of its hour, with straight lines between them, periodic over the day. Linear keeps the energy of the day; the mean of an hour is then 6/8 of its value and 1/8 of each neighbour's. A message has the mean over the interval that begins with it; forecasts are hourly means.",
    )


class ForecastSection(Section):
    """The day-ahead forecast of the base demand that an aggregator may plan with."""

    bias: float = Field(
        0.0,
        ge=-1.0,
        le=10.0,
        description="Error of every hour, fraction of the actual base demand: the forecast is (1 + bias) times it.",
    )
    noise: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Standard deviation of an error of each hour, independent, fraction of the base demand.",
    )
    revise: bool = Field(
        True,
        description="Scale the forecast of the hours to come by what the base demand of the hours so far, 24 at most, was over its forecast.",
    )


class BeliefSection(Section):
    """What the aggregator of `coordinated` and `mpc` believes of the EVs still to come, apart from the truth.

    What is left out is believed as it is in `fleet`.
    """

    arrivals: Literal["distributions", "sessions", "nobody"] | None = Field(
        None,
        description="Who is expected: EVs drawn from distributions, those of a file of past sessions, or nobody. Left out: distributions, and nobody where the fleet comes from a file of sessions.",
    )
    sessions: str | None = Field(
        None,
        description="CSV of past sessions, columns as in `fleet.sessions`; read with `arrivals: sessions`, every day of the horizon being like its first.",
    )
    evs_per_zone: int | None = Field(None, ge=0, le=1_000_000, description="EVs in each RPZ.")
    arrival: TimeOfDay | None = Field(None, description="Arrival; clock times.")
    departure: TimeOfDay | None = Field(None, description="Departure; clock times.")
    soc_arrival: Range | None = Field(None, description="SoC on arrival; fraction.")
    soc_target: Range | None = Field(None, description="SoC wanted on departure; fraction.")
    arrival_shift_h: float = Field(
        0.0,
        ge=-24.0,
        le=24.0,
        description="Everybody is believed to come so much later, h; not after half an hour before the departure.",
    )


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
    clock: ClockSection = Field(ClockSection(), description="Horizon and time step.")
    horizon: Horizon = Field(Horizon(), description="Days in a row.")
    fleet: FleetSection = Field(FleetSection(), description="The EVs.")
    owners: OwnersSection = Field(OwnersSection(), description="How the owners behave.")
    ev: EvSection = Field(EvSection(), description="Battery and charger.")
    requirement: Requirement = Field(Requirement(), description="How much is charged in a stay.")
    eq13: Eq13Section = Field(Eq13Section(), description="Options of the switching rule eq13.")
    least_laxity: LeastLaxitySection = Field(
        LeastLaxitySection(), description="Options of the admission least_laxity."
    )
    coordinated: CoordinatedSection = Field(
        CoordinatedSection(), description="Options of the strategy coordinated."
    )
    mpc: MpcSection = Field(MpcSection(), description="Options of the strategy mpc.")
    grid: GridSection = Field(GridSection(), description="Feeder, limits, solver.")
    broadcast: BroadcastSection = Field(
        BroadcastSection(), description="What the grid agent broadcasts, how often, how reliably."
    )
    feeder: FeederSection = Field(FeederSection(), description="Copies of the feeder.")
    base_load: BaseLoadSection = Field(BaseLoadSection(), description="Base load.")
    forecast: ForecastSection = Field(ForecastSection(), description="Forecast of the base demand.")
    belief: BeliefSection = Field(
        BeliefSection(), description="What the aggregator believes of the EVs still to come."
    )
    tariff: TariffSection = Field(TariffSection(), description="Prices.")
    record: RecordSection = Field(RecordSection(), description="What is written down.")
