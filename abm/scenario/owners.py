"""The owners in a scenario: groups, habits, days in a row, learning.

Every field says its unit; `docs/scenario.md` is generated from here.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from abm.scenario.fields import (
    Capacity,
    ClassName,
    Fraction,
    Options,
    Range,
    Section,
    Spread,
    TimeOfDay,
)

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class PlugIn(Section):
    """Whether an owner plugs in on coming home."""

    habit: Literal["every_day", "below_soc", "probability"] = Field(
        "every_day",
        description="every_day: always; below_soc: only when the SoC on coming home is below "
        "`soc`; probability: with `probability`, drawn each day.",
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
    timed: Fraction | None = Field(
        None, description="Probability that an owner goes by price or schedule."
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
    timed: Fraction = Field(
        1.0,
        description="Probability that an owner goes by what a strategy leaves to owners, the price "
        "under by_price or the schedule under off_peak; the others charge on arrival.",
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
    ] = Field(
        "monday",
        description="Day of the week at the start of the horizon; read where `clock.start_date` is "
        "left out.",
    )
