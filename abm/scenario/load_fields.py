"""The base load, how its customers vary, and heat pumps: fields of a scenario.

Every field says its unit; `docs/scenario.md` is generated from here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from abm.scenario.fields import Fraction, Section
from abm.scenario.series_fields import SeriesReading

# The column, or the key, of all that have none of their own.
ANY = "any"

Factor = Annotated[float, Field(ge=0.0, le=1000.0)]
YearlyGrowth = Annotated[float, Field(gt=-1.0, le=10.0)]
PowerFactor = Annotated[float, Field(ge=0.1, le=1.0)]


class VarietySection(Section):
    """How customers differ from one another, and feeders and replications with them.

    What is drawn has a random stream of its own: two strategies under one seed meet the same load.
    The aggregator forecasts the load that can be expected, not what this feeder's customers draw.
    """

    kind: Literal["none", "pool", "average", "lognormal"] = Field(
        "none",
        description="none: all follow the profile. pool: each customer draws one of the profiles of the pool; average: each has the mean of the pool, what can be expected of it. lognormal: each is the profile times a factor of its own.",
    )
    classes: list[str] | None = Field(
        None, description="Customer classes whose customers vary; left out: all."
    )
    kw_per_customer: float = Field(
        2.0,
        gt=0.0,
        description="Nominal load of a customer, kW, from which their number at a bus follows where the feeder does not say it (column customers of buses.csv); one at least.",
    )
    every: Literal["horizon", "day", "hour"] = Field(
        "horizon",
        description="How often it is drawn anew; hour: lognormal only.",
    )
    pool: str = Field(
        "ieee_lv_homes",
        description="The pool: a name from `list`, or a CSV or parquet file of a series with a column for each profile, multipliers or kW.",
    )
    reading: SeriesReading = Field(SeriesReading(), description="How the file of the pool is read.")
    level: Literal["class", "as_is"] = Field(
        "class",
        description="class: profiles are scaled together so that the mean of the pool over the horizon is that of the customer's own profile. as_is: kW of a customer, or multipliers of its nominal load, as they stand in the file.",
    )
    spread: float = Field(
        0.5,
        ge=0.0,
        le=10.0,
        description="Standard deviation of the lognormal factor, whose mean is 1.",
    )
    correlation: Fraction = Field(
        0.0, description="Correlation of the lognormal factors of two customers of a feeder."
    )


class BaseLoadSection(Section):
    """The demand of the feeder without EVs."""

    profile: str = Field(
        "bdew_fit",
        description="Load profile: a name from `list`; a CSV or parquet file of a series (hours of a day or time stamps) with a column for each customer class (or bus, see `by`), `any` for all others; demandlib:bdew (standard profiles by calendar date); or simbench:CODE (profiles of a SimBench grid). Values are multipliers of the nominal load, or kW: of the bus, or of one customer of the class.",
    )
    reading: SeriesReading = Field(
        SeriesReading(), description="How the file of the profile is read."
    )
    by: Literal["class", "bus"] = Field(
        "class",
        description='What the columns of the profile are for: customer classes, or buses, by number ("N12" or "12") or name.',
    )
    class_profiles: dict[str, str] = Field(
        default_factory=dict,
        description="Column for classes that are not called as it is, {class: column}.",
    )
    customers: str | None = Field(
        None,
        description="Customers one by one, CSV with bus, customer_class and p_kw or energy_kwh (of a year), in the place of the nominal loads; left out: customers.csv in the folder of the feeder where there is one.",
    )
    power_factor: PowerFactor | None = Field(
        None,
        description="Power factor of the load, inductive; left out: that of each bus's nominal load.",
    )
    reactive: str | None = Field(
        None,
        description="Reactive load with a series of its own, CSV or parquet with the columns of the profile: multipliers of the nominal one, or kvar with a profile in kW. It is read as `reading` says, but for the unit.",
    )
    scale: float = Field(1.0, ge=0.0, description="Factor on every load, active and reactive.")
    growth: dict[str, Factor] = Field(
        default_factory=dict,
        description="Factor on the load of a class, {class: factor}; `any` for all others.",
    )
    growth_per_year: dict[str, YearlyGrowth] = Field(
        default_factory=dict,
        description="Growth of a class in a year, fraction, {class: fraction}; `any` for all others.",
    )
    growth_years: float = Field(
        0.0, ge=0.0, le=100.0, description="Years that it grows by growth_per_year."
    )
    interpolation: Literal["steps", "linear"] = Field(
        "steps",
        description="Between the values of the profile. steps: each holds for its step; linear: each is that of the middle of its step, with straight lines between them. Linear keeps the energy of the day; of hourly values the mean of an hour is then 6/8 of its value and 1/8 of each neighbour's. A message has the mean over the interval that begins with it; forecasts are hourly means.",
    )
    variety: VarietySection = Field(
        VarietySection(), description="How customers differ from one another."
    )


class HeatPumpsSection(Section):
    """Heat pumps: heat by the standard profiles of BDEW over the temperature, COP by temperature.

    They need weather.temperature, clock.start_date and the package demandlib.
    """

    share: Fraction = Field(
        0.0,
        description="Share of customers with a heat pump; each has one with this probability.",
    )
    classes: list[str] | None = Field(
        None, description="Customer classes that may have one; left out: all."
    )
    annual_heat_kwh: float | None = Field(
        None,
        gt=0.0,
        description="Heat of a customer in a year, kWh; needs a temperature of the whole year.",
    )
    heat_kwh_per_day: float | None = Field(
        None,
        gt=0.0,
        description="In its place: heat of a customer on a day of 8 degC, kWh (the customer value of the standard profile).",
    )
    building: Literal["EFH", "MFH"] = Field(
        "EFH", description="Standard heat profile: of one family or of several."
    )
    building_class: int = Field(
        3, ge=1, le=11, description="Class of the building by its age, of the standard profile."
    )
    hot_water: bool = Field(True, description="Whether hot water is in the heat.")
    source: Literal["air", "ground"] = Field(
        "air",
        description="Where the heat comes from. ground: of constant temperature, ground_c.",
    )
    ground_c: float = Field(10.0, ge=-10.0, le=40.0, description="Temperature of the ground; degC.")
    supply_at_0c: float = Field(
        40.0,
        ge=20.0,
        le=80.0,
        description="Temperature of the water that heats the house while it is 0 degC outside; degC. Radiators about 40, floors 30.",
    )
    supply_per_degree: float = Field(
        -1.0,
        ge=-3.0,
        le=0.0,
        description="What it changes with each degree outside. Radiators about -1, floors -0.5.",
    )
    cop_factor: float = Field(
        0.85,
        gt=0.0,
        le=1.5,
        description="Factor on the COP of the test bench for operation in a house.",
    )
    power_factor: PowerFactor = Field(1.0, description="Power factor of the heat pumps, inductive.")
