"""Rules of the real world in a scenario: dimming, the default schedule, throttling.

Every field says its unit; `docs/scenario.md` is generated from here.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from abm.scenario.fields import Fraction, Section
from abm.scenario.tariff_fields import PriceWindow

FirstAdmission = Literal[
    "all_at_once", "below_limit", "first_come", "least_laxity", "coordinated", "by_price"
]
AFTER = "Admission that is asked first, with the options of its own section; the limit comes after."


class DimmingSection(Section):
    """Options of the admission `dimming`: section 14a EnWG."""

    limit_kw: float = Field(
        4.2,
        ge=0.0,
        le=1e4,
        description="Power that a charger may always draw, kW; 4.2 in BK6-22-300.",
    )
    overload: Literal["demand", "transformers"] = Field(
        "demand",
        description="What is too high over the interval that ended: net demand of the feeder, of grid.demand_limit_mw; or the load of the transformer next above the charger, of its rating, and then the chargers below it alone are dimmed.",
    )
    begin_above: float = Field(
        1.0,
        gt=0.0,
        le=10.0,
        description="Chargers are dimmed when that is above this, share of the limit or the rating.",
    )
    end_below: float = Field(
        0.9,
        ge=0.0,
        le=10.0,
        description="They no longer are when it is below this, share of the same; not above begin_above.",
    )
    least_min: float = Field(
        15.0, ge=0.0, le=1440.0, description="Least time for which chargers are dimmed, min."
    )
    chargers_per_connection: int = Field(
        1,
        ge=1,
        le=1000,
        description="EVs of a zone behind one connection. Together they may always draw limit_kw x (1 + (n - 1) x the simultaneity factor of BK6-22-300), shared evenly by those that can charge.",
    )
    after: FirstAdmission = Field("all_at_once", description=AFTER)


def _weekday_peaks() -> dict[str, PriceWindow]:
    return {
        "morning": PriceWindow(start="8:00", end="11:00", days="workday"),
        "evening": PriceWindow(start="16:00", end="22:00", days="workday"),
    }


class OffPeakSection(Section):
    """Options of the rule `off_peak`: the Electric Vehicles (Smart Charge Points) Regulations 2021."""

    peaks: dict[str, PriceWindow] = Field(
        default_factory=_weekday_peaks,
        description="Windows in which EVs do not charge. The regulations' are 8:00 to 11:00 and 16:00 to 22:00 from Monday to Friday.",
    )
    delay_s: float = Field(
        600.0,
        ge=0.0,
        le=1800.0,
        description="Longest random delay of every change, s, drawn evenly in whole seconds for each EV and day; 600 by default in the regulations, 1,800 at most.",
    )


class OperatingEnvelopesSection(Section):
    """Options of the admission `operating_envelopes`."""

    sharing: Literal["equal", "proportional", "least_cut"] = Field(
        "equal",
        description="How what the network allows is shared among the connections whose EVs ask for power: the same kW for each, the same share of its ratings, or as much as possible in all (a linear programme; then scaled until a load flow keeps the limits).",
    )
    margin: float = Field(
        0.05,
        ge=0.0,
        lt=1.0,
        description="Part of every limit (voltages from 1 p.u., lines, transformers) that the operator leaves for loads that change within the interval. Too little where homes change by the minute: on rules_street 0.05 leaves 0.938 p.u. of 0.94, and 0.2 keeps it.",
    )
    after: FirstAdmission = Field("all_at_once", description=AFTER)


def _evening() -> dict[str, PriceWindow]:
    return {"evening": PriceWindow(start="16:00", end="20:00")}


class ThrottlingSection(Section):
    """Options of the admission `throttling`."""

    windows: dict[str, PriceWindow] = Field(
        default_factory=_evening, description="Windows in which charging is throttled."
    )
    share: Fraction = Field(0.5, description="Share of its rating that a charger has left then.")
    after: FirstAdmission = Field("all_at_once", description=AFTER)
