"""The feeder in a scenario: limits, load, prices, what is broadcast and forecast.

Every field says its unit; `docs/scenario.md` is generated from here.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from abm.scenario.fields import FlowMinutes, Fraction, IntervalMinutes, Section, SolverName
from abm.scenario.series_fields import SeriesReading


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
    demand_limit: str | None = Field(
        None,
        description="CSV or parquet file of a series with a column limit (MW) that takes the place of demand_limit_mw; a message has its mean over the interval that begins with it.",
    )
    limit_reading: SeriesReading = Field(
        SeriesReading(), description="How the file of the limit is read."
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


class FeederSection(Section):
    """How many copies of the feeder there are, each with its own fleet."""

    copies: int = Field(
        1, ge=1, le=100_000, description="Copies of the feeder: a city. Each has its own EVs."
    )
