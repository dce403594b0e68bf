"""PV and stationary batteries at the zones: fields of a scenario.

Every field says its unit; `docs/scenario.md` is generated from here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from abm.scenario.fields import Allowed, Fraction, Section
from abm.scenario.series_fields import SeriesReading

_ZONE_WORDS = "a list of zones, whole numbers from 1, each once"
ZoneList = Annotated[
    list[int],
    Allowed(
        _ZONE_WORDS,
        test=lambda zones: len(zones) > 0 and min(zones) > 0 and len(set(zones)) == len(zones),
    ),
]


class PanelsSection(Section):
    """Where the panels are and how they stand, for the yield by pvlib (extra `pv`).

    Ineichen's clear sky, or the irradiance of a file (`pv.irradiance`); isotropic sky; cell temperature by Faiman; the
    power model and the inverter of PVWatts. Needs clock.start_date and clock.timezone.
    """

    latitude: float = Field(ge=-90.0, le=90.0, description="Latitude, degrees north.")
    longitude: float = Field(ge=-180.0, le=180.0, description="Longitude, degrees east.")
    altitude_m: float = Field(0.0, ge=-500.0, le=9000.0, description="Height above the sea, m.")
    tilt_deg: float = Field(
        30.0, ge=0.0, le=90.0, description="Slope of the panels, degrees from level."
    )
    azimuth_deg: float = Field(
        180.0,
        ge=0.0,
        le=360.0,
        description="Where the panels look, degrees from north by east; 180 is south.",
    )
    air_c: float = Field(
        20.0,
        ge=-60.0,
        le=60.0,
        description="Temperature of the air, degC, where weather.temperature has none.",
    )
    wind_m_s: float = Field(2.0, ge=0.0, le=50.0, description="Wind at the panels, m/s.")
    albedo: Fraction = Field(0.2, description="Albedo of the ground, fraction.")
    losses: Fraction = Field(
        0.14, description="Losses before the inverter (soiling, cables, mismatch), fraction."
    )
    per_kelvin: float = Field(
        -0.004, ge=-0.02, le=0.0, description="Change of power with cell temperature, 1/K."
    )
    inverter_efficiency: float = Field(
        0.96, gt=0.0, le=1.0, description="Nominal efficiency of the inverter, fraction."
    )


class PvSection(Section):
    """PV at the buses of the zones: how much, and what each kWp yields."""

    kwp_per_zone: float = Field(0.0, ge=0.0, le=1e6, description="Peak power in each zone, kWp.")
    kwp_per_customer: float = Field(
        0.0,
        ge=0.0,
        le=1e4,
        description="Peak power for each customer at the zone's bus, kWp; needs the column customers of buses.csv.",
    )
    zones: ZoneList | None = Field(
        None, description="Zones that have it, from 1; left out: all of them."
    )
    series: str = Field(
        "jaipur_clear",
        description="What each kWp yields: a name from `list`, or a CSV or parquet file of a series (hours of a day or time stamps) with a column pv, the power at the grid side over the peak power; kW/kWp. Not read where `panels` are given.",
    )
    panels: PanelsSection | None = Field(
        None, description="Place and slope of the panels, whose yield pvlib works out."
    )
    irradiance: str | None = Field(
        None,
        description="Weather for `panels` instead of a clear sky: CSV or parquet file of a series with a column ghi (global horizontal irradiance) and, if it has them, both dni (beam) and dhi (diffuse); W/m2. Without these Erbs' correlation parts ghi.",
    )
    reading: SeriesReading = Field(
        SeriesReading(), description="How the file of the yield or of the irradiance is read."
    )
    curtail: bool = Field(
        True,
        description="Curtail PV where its bus is above grid.vm_max_pu, no more than brings it down to it; false: never.",
    )


class StorageSection(Section):
    """A stationary battery in each zone, which acts in every time step on the power of its zone."""

    kwh_per_zone: float = Field(0.0, ge=0.0, le=1e6, description="Capacity in each zone, kWh.")
    kwh_per_customer: float = Field(
        0.0,
        ge=0.0,
        le=1e4,
        description="Capacity for each customer at the zone's bus, kWh; needs the column customers of buses.csv.",
    )
    zones: ZoneList | None = Field(
        None, description="Zones that have one, from 1; left out: all of them."
    )
    kw_per_kwh: float = Field(
        0.5, gt=0.0, le=100.0, description="Rating at the grid side over the capacity, kW/kWh."
    )
    efficiency: float = Field(
        0.95, gt=0.0, le=1.0, description="One-way efficiency between grid and battery, fraction."
    )
    soc_min: Fraction = Field(0.1, description="Lower bound of the SoC, fraction.")
    soc_max: Fraction = Field(1.0, description="Upper bound of the SoC, fraction.")
    soc_start: Fraction = Field(0.5, description="SoC at the start of the horizon, fraction.")
    rule: Literal["self_consumption", "band"] = Field(
        "self_consumption",
        description="self_consumption: charges with what the zone (load of its bus, EVs, less PV) would export and discharges for what it would import; band: charges with what it takes below `charge_below_kw`, from the grid too, and discharges what it takes above `discharge_above_kw`.",
    )
    charge_below_kw: float = Field(
        0.0, ge=-1e7, le=1e7, description="Lower end of the band, power of a zone, kW."
    )
    discharge_above_kw: float = Field(
        0.0, ge=-1e7, le=1e7, description="Upper end of the band, power of a zone, kW."
    )
