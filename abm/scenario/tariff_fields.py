"""Section `tariff` of the scenario: what owners pay and earn, and what parts that is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from abm.scenario.fields import Allowed, ClockTime, Section
from abm.scenario.series_fields import SeriesReading

DayName = Literal[
    "all", "workday", "weekend", "holiday", "monday", "tuesday", "wednesday", "thursday", "friday",
    "saturday", "sunday",
]  # fmt: skip
_MONTHS = "a list of months, 1 to 12"
Months = Annotated[
    list[int], Allowed(_MONTHS, test=lambda months: all(1 <= m <= 12 for m in months))
]


PEAK_MIN = (15, 30, 60)
PeakMinutes = Annotated[
    int, Allowed("one of: 15, 30, 60", test=lambda minutes: minutes in PEAK_MIN)
]


class PriceWindow(Section):
    """Times of the day, on some days, in some months."""

    start: ClockTime = Field(description='Clock time at which it begins, "HH:MM".')
    end: ClockTime = Field(
        description='Clock time at which it ends, "HH:MM"; before the start: on the next day, the same as the start: all day.'
    )
    days: DayName = Field(
        "all", description="Days on which it begins; holidays (clock.holidays) are Sundays."
    )
    months: Months = Field(
        default_factory=list,
        description="Months in which it begins, numbers from 1; left out: all. Needs clock.start_date.",
    )


class UsePrice(PriceWindow):
    """A price that holds in a window, in the place of `tariff.prices`."""

    price: float = Field(description="Price alpha in this window, $/kWh; may be negative.")


class GridFee(PriceWindow):
    """A fee of the grid for energy in a window."""

    usd_per_kwh: float = Field(ge=-100.0, le=100.0, description="Fee, $/kWh.")
    on: Literal["purchase", "sale", "both"] = Field(
        "purchase", description="Whether what is bought pays it, what is sold, or both."
    )


class TaxSection(Section):
    """Taxes and levies, on each direction by itself."""

    purchase_usd_per_kwh: float = Field(
        0.0, ge=-100.0, le=100.0, description="Levy on energy bought, $/kWh."
    )
    purchase_rate: float = Field(
        0.0,
        ge=0.0,
        le=10.0,
        description="Tax on what is bought, fraction of price, grid fee and levy.",
    )
    sale_usd_per_kwh: float = Field(
        0.0, ge=-100.0, le=100.0, description="Levy on energy sold, $/kWh; taken off the revenue."
    )
    sale_rate: float = Field(
        0.0, ge=0.0, le=1.0, description="Tax on what is earned, fraction of the sale price."
    )


class DemandCharge(Section):
    """What is paid for the highest power of a period, beside the energy."""

    usd_per_kw: float = Field(
        0.0,
        ge=0.0,
        le=1e4,
        description="Charge for each kW of the peak of a period, $/kW; 0: none.",
    )
    of: Literal["ev", "zone", "feeder"] = Field(
        "ev",
        description="Whose peak: the net purchase of every EV, that of all EVs of a zone, or what the EVs add to the highest demand of the feeder without them (before PV). EVs of a zone or feeder share it by what each draws in its window.",
    )
    per: Literal["month", "horizon"] = Field(
        "month",
        description="Period that has a peak of its own. month: every calendar month, every 30 days without clock.start_date; of a month that lies in the horizon in part, that part is charged. horizon: one, charged in full.",
    )
    window_min: PeakMinutes = Field(
        15, description="The peak is the highest mean power over so many minutes."
    )


class FollowsDemand(Section):
    """A price that goes up and down with the demand that is broadcast."""

    usd_per_kwh_per_mw: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="What a MW of broadcast demand above reference_mw puts on the price, $/kWh per MW; 0: the price does not follow it.",
    )
    reference_mw: float = Field(
        0.0,
        ge=0.0,
        le=1e5,
        description="Demand of a feeder at which the price is that of `prices`, MW.",
    )
    lowest: float = Field(0.0, description="The price does not fall below this by it, $/kWh.")


class TariffSection(Section):
    """What energy costs and earns, eqs. (19)-(22), and what that is made of."""

    prices: str = Field(
        "demand_linked",
        description="Price alpha(h): a name from `list`, or a CSV or parquet file of a series (hours of a day or time stamps) with a column price ($/kWh). Energy is booked at the end of each of its steps.",
    )
    reading: SeriesReading = Field(
        SeriesReading(), description="How the file of the prices is read."
    )
    sale_ratio: float = Field(
        0.6,
        ge=0.0,
        description="Price of energy sold to the grid over the price alpha, 0.6 in eq. (21); not read with sale_prices.",
    )
    sale_prices: str | None = Field(
        None,
        description="Price of energy sold, in the place of sale_ratio x alpha: a file as for `prices`.",
    )
    sale_reading: SeriesReading = Field(
        SeriesReading(), description="How the file of the sale prices is read."
    )
    time_of_use: dict[str, UsePrice] = Field(
        default_factory=dict,
        description="Windows with a price of their own; where two overlap the later one in this list holds.",
    )
    grid_fee: dict[str, GridFee] = Field(
        default_factory=dict,
        description="Fees of the grid by window; where two overlap both are paid.",
    )
    tax: TaxSection = Field(TaxSection(), description="Taxes and levies by direction.")
    demand_charge: DemandCharge = Field(DemandCharge(), description="What the peak costs.")
    follows_demand: FollowsDemand = Field(
        FollowsDemand(), description="A price that follows the broadcast demand."
    )
