"""What sections of a scenario are made of: the base class, distributions, capacity."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from abm.scenario.fields import ClockTime, Fraction


class Section(BaseModel):
    """A frozen part of the scenario; unknown keys, infinities and NaN are refused.

    Strict: a whole number is read as a float, nothing else is converted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


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
        description="Standard deviation of the untruncated normal; a fifth of the range if left "
        "out.",
    )


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


class Capacity(Section):
    """Battery capacity, eq. (4): unit x a random integer in [low, high]."""

    unit_kwh: float = Field(5.0, gt=0.0, description="Step of the capacity, kWh (theta in eq. 4).")
    low: int = Field(5, ge=1, description="Smallest integer (K1 in eq. 4).")
    high: int = Field(9, ge=1, description="Largest integer (K2 in eq. 4).")
