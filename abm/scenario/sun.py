"""What panels yield on a horizon, by pvlib: place, slope, date and weather."""

from __future__ import annotations

from typing import Any

import numpy as np

from abm.errors import InputError, Problem, needs
from abm.scenario.calendar import Calendar
from abm.scenario.series import FloatArray, Series
from abm.scenario.supply_fields import PanelsSection

# Step of a clear sky, s; that of a file is its own.
CLEAR_SKY_S = 300


def panel_yield(
    panels: PanelsSection,
    calendar: Calendar,
    irradiance: Series | None = None,
    columns: tuple[str, ...] = ("ghi",),
    temperature: Series | None = None,
) -> Series:
    """Power at the grid side over peak power, one column, on the horizon [kW/kWp].

    irradiance: of the file, with these columns, ghi or ghi, dni, dhi [W/m2]; None: clear sky, every
    five minutes at their middle. temperature: of the air [degC]; None: `panels.air_c`.

    Raises InputError where pvlib is not there, and where the horizon has no date or time zone.
    """
    field = "pv.panels"
    if not calendar.dated or calendar.zone is None:
        missing = "clock.start_date" if not calendar.dated else "clock.timezone"
        raise InputError([Problem(missing, "", f"missing; the sun needs it, with {field}")])
    pvlib = _pvlib(field)
    import pandas as pd

    step_s = CLEAR_SKY_S if irradiance is None else irradiance.step_s
    steps = np.arange(-1, calendar.hours * 3600 // step_s + 1)
    middle_s = calendar.utc_s(steps * step_s) + step_s // 2
    times = pd.DatetimeIndex(pd.to_datetime(middle_s, unit="s", utc=True))
    place = pvlib.location.Location(
        panels.latitude, panels.longitude, altitude=panels.altitude_m, name=field
    )
    sun = place.get_solarposition(times)
    zenith = sun["apparent_zenith"]
    if irradiance is None:
        sky = place.get_clearsky(times, model="ineichen", solar_position=sun)
        ghi, dni, dhi = sky["ghi"], sky["dni"], sky["dhi"]
    else:
        read = dict(zip(columns, irradiance.values[irradiance.row].T, strict=True))
        ghi = pd.Series(read["ghi"], index=times)
        parted: Any = read
        if "dni" not in read:
            parted = pvlib.irradiance.erbs(ghi, sun["zenith"], times)
        dni, dhi = (pd.Series(np.asarray(parted[name]), index=times) for name in ("dni", "dhi"))
    on_panels = pvlib.irradiance.get_total_irradiance(
        panels.tilt_deg, panels.azimuth_deg, zenith, sun["azimuth"], dni, ghi, dhi,
        albedo=panels.albedo,
    )["poa_global"]  # fmt: skip
    found = _power(
        panels,
        np.nan_to_num(np.asarray(on_panels)),
        _air(panels, steps * step_s, temperature),
        pvlib,
    )
    return Series(found[:, None], np.arange(len(steps)), step_s)


def _air(panels: PanelsSection, at_s: Any, temperature: Series | None) -> FloatArray:
    """Temperature of the air at these moments of the horizon [degC]."""
    if temperature is None:
        return np.full(len(at_s), panels.air_c)
    row = np.clip(at_s // temperature.step_s + 1, 0, len(temperature.row) - 1)
    return np.asarray(temperature.values[temperature.row[row], 0])


def _power(
    panels: PanelsSection, on_panels: FloatArray, air_c: FloatArray, pvlib: Any
) -> FloatArray:
    """Power at the grid side over peak power. on_panels: irradiance in their plane [W/m2]."""
    cell_c = pvlib.temperature.faiman(on_panels, air_c, panels.wind_m_s)
    direct = pvlib.pvsystem.pvwatts_dc(on_panels, cell_c, 1.0, panels.per_kelvin)
    direct = np.maximum(direct, 0.0) * (1.0 - panels.losses)
    # The inverter is as large as the panels: it gives 1 kW per kWp at most.
    efficiency = panels.inverter_efficiency
    power = pvlib.inverter.pvwatts(direct, 1.0 / efficiency, eta_inv_nom=efficiency)
    return np.maximum(np.asarray(power, dtype=np.float64), 0.0)


def _pvlib(field: str) -> Any:
    try:
        import pvlib
    except ImportError:
        raise InputError([Problem(field, "", needs("pvlib", "pv"))]) from None
    return pvlib
