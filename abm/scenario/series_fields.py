"""How files of series are read, and the weather: fields of a scenario.

Every field says its unit; `docs/scenario.md` is generated from here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from abm.scenario.fields import Allowed, Section, ZoneName

# Steps of a series, min: at least a minute, and they divide an hour.
SERIES_STEPS_MIN = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)
_STEPS = "one of: " + ", ".join(str(step) for step in SERIES_STEPS_MIN)


class SeriesReading(Section):
    """How the file of a series is to be read, and what is done about what is wrong in it.

    Left out, nothing is assumed: what is missing, doubled or irregular is an error with its line.
    """

    unit: str | None = Field(
        None,
        description="Unit of the values; left out: that in the header (`load [kW]`) or in a comment `# unit: kW`, else the one the field expects. Energies per step (kWh) are turned into mean powers.",
    )
    missing: Literal["refuse", "previous", "linear", "zero"] = Field(
        "refuse",
        description="What an empty cell or a missing time stamp is filled with: the value before it, a straight line between its neighbours, or zero.",
    )
    doubled: Literal["refuse", "first", "last", "mean"] = Field(
        "refuse", description="Which value counts where a time stamp comes more than once."
    )
    irregular: Literal["refuse", "nearest"] = Field(
        "refuse",
        description="Time stamps off the step or out of order; nearest: each moves to the nearest step, and rows are sorted.",
    )
    repeat: Literal["no", "daily", "weekly", "yearly"] = Field(
        "no",
        description="For time stamps that do not cover the horizon: where there is none take the value of the same time of day, of the week or of the year (29 February: 28 February), of several the first.",
    )
    label: Literal["begin", "end"] = Field(
        "begin", description="Whether a time stamp names the beginning or the end of its step."
    )
    step_min: Annotated[int, Allowed(_STEPS, test=lambda step: step in SERIES_STEPS_MIN)] | None = (
        Field(None, description="Step of the series, min; left out: the most frequent one.")
    )
    timezone: ZoneName | None = Field(
        None,
        description="Time zone of time stamps without an offset, by its IANA name (UTC, Europe/Berlin); left out: clock.timezone.",
    )
    time_column: str | None = Field(
        None, description="Column of the time; left out: time, timestamp, datetime, date or hour."
    )
    time_format: str | None = Field(
        None,
        description='How time stamps are written, e.g. "%d.%m.%Y %H:%M"; left out: ISO 8601.',
    )
    delimiter: Literal[",", ";", "tab"] = Field(",", description="What separates cells.")
    decimal: Literal[".", ","] = Field(".", description="Decimal mark.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="New names for columns of the file, {as in the file: as it is asked for}.",
    )


class WeatherSection(Section):
    """The weather at the feeder."""

    temperature: str | None = Field(
        None,
        description="Series of the outdoor air temperature, CSV or parquet with a column temperature; degC.",
    )
    reading: SeriesReading = Field(
        SeriesReading(), description="How the file of the temperature is read."
    )
