"""What is studied: the scenario as typed, frozen, described fields.

Every field says its unit and the paper's symbol; `docs/scenario.md` is generated from here. A value
that cannot be right on its own is refused here, a combination that cannot be right by
`abm.scenario.checks`, which sees the whole scenario and so can name the field that is to blame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from abm.scenario.ageing_fields import AgeingSection
from abm.scenario.fields import (
    AdmissionName,
    ClockHour,
    FlowMinutes,
    Fraction,
    IsoDate,
    Options,
    RuleName,
    Section,
    ShortName,
    StepSeconds,
    StrategyName,
    ZoneName,
)
from abm.scenario.fleet_fields import BeliefSection, EvSection, FleetSection, Requirement
from abm.scenario.grid_fields import (
    BroadcastSection,
    FeederSection,
    ForecastSection,
    GridSection,
)
from abm.scenario.kpi_fields import KpiFunction, KpiName
from abm.scenario.load_fields import BaseLoadSection, HeatPumpsSection
from abm.scenario.owners import Horizon, OwnersSection
from abm.scenario.phase_fields import ConnectionSection
from abm.scenario.rule_fields import (
    DimmingSection,
    OffPeakSection,
    OperatingEnvelopesSection,
    ThrottlingSection,
)
from abm.scenario.series_fields import WeatherSection
from abm.scenario.supply_fields import PvSection, StorageSection
from abm.scenario.tariff_fields import TariffSection
from abm.scenario.transformer_fields import TransformersSection


class ClockSection(Section):
    """The horizon and the time step."""

    start: ClockHour = Field(
        "12:00", description='Clock time at which the horizon begins, "HH:MM", on the hour.'
    )
    hours: int = Field(
        24, ge=1, le=8784, description="Length of the horizon, h; 24 with several `horizon.days`."
    )
    start_date: IsoDate | None = Field(
        None,
        description="Date on which the horizon begins, for weekdays, seasons, holidays and files with time stamps; left out: a horizon without a date, of which horizon.first_day says the day of the week.",
    )
    timezone: ZoneName | None = Field(
        None,
        description="Time zone of the clock, by its IANA name (Europe/Berlin). With it the clock jumps where daylight saving begins and ends, while the horizon stays elapsed time; left out: a clock that never jumps.",
    )
    holidays: str | None = Field(
        None,
        description='Country, or part of one, whose public holidays count as Sundays ("DE", "DE-BY"); needs the package holidays.',
    )
    step_s: StepSeconds = Field(
        60, description="Time step, s; has to divide an hour. The paper's rule acts every minute."
    )
    engine: Literal["auto", "numpy", "compiled"] = Field(
        "auto",
        description="How the steps are computed; the results are the same. compiled: by numba, "
        "where rule and admission are built in, no message is lost (broadcast.loss_probability 0) and "
        "ev.min_on_min, ev.min_off_min, ev.taper and ev.cars are left out, else as numpy; auto: compiled from "
        "20 million EV-steps on.",
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


class ByPriceSection(Section):
    """Options of the rule and the admission `by_price`."""

    charge_below: float | None = Field(
        None,
        description="Charge while a kWh bought costs at most this, with fee and tax, $/kWh; left out: the mean over the day, as expected before it.",
    )
    discharge_above: float | None = Field(
        None,
        description="Discharge while a kWh sold earns at least this, $/kWh; left out: never.",
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


class RecordSection(Section):
    """What is written down during a run."""

    zone_minute: bool | None = Field(
        None,
        description="Power of every zone by step; left out: yes for one feeder, by hour for more.",
    )
    flow_tables: bool | None = Field(
        None,
        description="The tables of every load flow, bus_hour, line_hour, transformer_hour and zone_balance; left out: yes up to 10 million rows of buses and lines. The KPIs and the other tables go by every load flow all the same.",
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
    ageing: AgeingSection = Field(AgeingSection(), description="Wear of the batteries.")
    requirement: Requirement = Field(Requirement(), description="How much is charged in a stay.")
    eq13: Eq13Section = Field(Eq13Section(), description="Options of the switching rule eq13.")
    least_laxity: LeastLaxitySection = Field(
        LeastLaxitySection(), description="Options of the admission least_laxity."
    )
    coordinated: CoordinatedSection = Field(
        CoordinatedSection(), description="Options of the strategy coordinated."
    )
    by_price: ByPriceSection = Field(
        ByPriceSection(), description="Options of the rule and the admission by_price."
    )
    dimming: DimmingSection = Field(
        DimmingSection(), description="Options of the admission dimming."
    )
    off_peak: OffPeakSection = Field(OffPeakSection(), description="Options of the rule off_peak.")
    throttling: ThrottlingSection = Field(
        ThrottlingSection(), description="Options of the admission throttling."
    )
    operating_envelopes: OperatingEnvelopesSection = Field(
        OperatingEnvelopesSection(), description="Options of the admission operating_envelopes."
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
    pv: PvSection = Field(PvSection(), description="PV at the zones.")
    storage: StorageSection = Field(
        StorageSection(), description="Stationary batteries at the zones."
    )
    transformers: TransformersSection = Field(
        TransformersSection(), description="Temperatures and ageing of transformers."
    )
    heat_pumps: HeatPumpsSection = Field(HeatPumpsSection(), description="Heat pumps.")
    connection: ConnectionSection = Field(
        ConnectionSection(), description="Chargers on the phases of a three-phase feeder."
    )
    weather: WeatherSection = Field(WeatherSection(), description="Weather.")
    record: RecordSection = Field(RecordSection(), description="What is written down.")
    kpis: dict[KpiName, KpiFunction] = Field(
        default_factory=dict,
        description="Own KPIs by name: functions module:function of the results of one feeder.",
    )
