"""What PV yields, against a table that pvlib made, and by another way through pvlib."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from abm import Scenario

pytest.importorskip("pvlib")

# Jaipur, clear sky, tilt 27 degrees to the south: hourly means of four days (pvlib 0.16.1).
TABLE = Path(__file__).with_name("pv_jaipur_clearsky.csv")
PANELS = {"latitude": 26.92, "longitude": 75.79, "altitude_m": 431.0, "tilt_deg": 27.0}
# The table's assumption of the air, which is the cell temperature at night.
AIR_C = {3: 24.8, 6: 33.2, 9: 28.7, 12: 16.8}
NAMES = {3: "15-Mar", 6: "15-Jun", 9: "15-Sep", 12: "15-Dec"}


def dated(date, start="0:00", zone="Asia/Kolkata", **pv):
    clock = {"start": start, "start_date": date, "timezone": zone}
    # In at night, out by noon: the sun is what is looked at here.
    fleet = {"evs_per_zone": 0}
    return Scenario(clock=clock, fleet=fleet, pv={"kwp_per_zone": 1.0, **pv})


def hourly(scenario):
    return scenario.inputs.pv_yield.mean(np.arange(24) * 3600, 3600)[:, 0]


@pytest.mark.parametrize("month", list(NAMES))
def test_a_clear_day_in_jaipur(month):
    found = hourly(dated(f"2023-{month:02d}-15", panels={**PANELS, "air_c": AIR_C[month]}))
    table = pd.read_csv(TABLE)
    wanted = table.loc[table["day"] == NAMES[month], "p_ac_kw_per_kwp"].to_numpy()
    # The year of the table is not known; from year to year the sun of a date moves by so much.
    np.testing.assert_allclose(found, wanted, atol=0.0025)
    assert found.sum() == pytest.approx(wanted.sum(), rel=3e-3)


def test_the_shipped_yield_is_the_mean_of_the_table():
    table = pd.read_csv(TABLE)
    wanted = table.loc[table["day"] == "annual-mean", "p_ac_kw_per_kwp"].to_numpy()
    by_clock = Scenario(
        clock={"start": "0:00"}, fleet={"evs_per_zone": 0}, pv={"kwp_per_zone": 1.0}
    )
    assert hourly(by_clock).tolist() == wanted.tolist()


def sky(folder, columns):
    """A file of the irradiance of a clear day, every five minutes, by pvlib itself."""
    import pvlib

    times = pd.date_range("2023-06-15", periods=288, freq="5min", tz="Asia/Kolkata")
    place = pvlib.location.Location(26.92, 75.79, altitude=431.0)
    clear = place.get_clearsky(times + pd.Timedelta(minutes=2.5), model="ineichen")
    rows = [
        ",".join([str(time), *(repr(float(clear[name].iloc[i])) for name in columns)])
        for i, time in enumerate(times)
    ]
    path = folder / "sky.csv"
    head = ",".join(["time", *(f"{name} [W/m2]" for name in columns)])
    path.write_text("\n".join([head, *rows, ""]), encoding="utf-8")
    return str(path)


def test_measured_irradiance_takes_the_place_of_the_clear_sky(tmp_path):
    clear = hourly(dated("2023-06-15", panels=PANELS))
    whole = sky(tmp_path, ("ghi", "dni", "dhi"))
    measured = hourly(dated("2023-06-15", panels=PANELS, irradiance=whole))
    np.testing.assert_allclose(measured, clear, atol=1e-12)
    # Of the global irradiance alone Erbs makes beam and diffuse, and a clear sky is little else.
    parted = hourly(dated("2023-06-15", panels=PANELS, irradiance=sky(tmp_path, ("ghi",))))
    assert parted.sum() == pytest.approx(clear.sum(), rel=0.05)
    assert np.abs(parted - clear).max() > 1e-4


def test_warm_air_costs_yield_and_a_shadow_side_the_sun():
    cool, warm = (hourly(dated("2023-03-15", panels={**PANELS, "air_c": c})) for c in (10.0, 40.0))
    # -0.4 %/K over 30 K, but for the inverter.
    assert warm.max() / cool.max() == pytest.approx(1.0 - 0.004 * 30.0 / 0.99, abs=0.02)
    north = hourly(dated("2023-12-15", panels={**PANELS, "azimuth_deg": 0.0, "tilt_deg": 60.0}))
    south = hourly(dated("2023-12-15", panels={**PANELS, "tilt_deg": 60.0}))
    assert north.sum() < 0.3 * south.sum()


def test_the_air_is_that_of_the_weather_where_there_is_a_series(tmp_path):
    path = tmp_path / "air.csv"
    rows = [f"{hour},{10.0 + hour}" for hour in range(24)]
    path.write_text("\n".join(["hour,temperature [degC]", *rows, ""]), encoding="utf-8")
    clock = {"start": "0:00", "start_date": "2023-03-15", "timezone": "Asia/Kolkata"}
    found = hourly(
        Scenario(
            clock=clock,
            fleet={"evs_per_zone": 0},
            pv={"kwp_per_zone": 1.0, "panels": {**PANELS, "air_c": -40.0}},
            weather={"temperature": str(path)},
        )
    )
    for hour in (9, 12, 15):
        constant = hourly(dated("2023-03-15", panels={**PANELS, "air_c": 10.0 + hour}))
        assert found[hour] == constant[hour]


def test_noon_is_that_of_the_place_through_daylight_saving():
    berlin = {"latitude": 52.5, "longitude": 13.4}
    winter = hourly(dated("2023-03-25", panels=berlin, zone="Europe/Berlin"))
    summer = hourly(dated("2023-03-26", start="4:00", panels=berlin, zone="Europe/Berlin"))
    assert abs((winter * (np.arange(24) + 0.5)).sum() / winter.sum() - 12.2) < 0.2
    middle = (summer * (np.arange(24) + 4.5)).sum() / summer.sum()
    assert abs(middle - 13.2) < 0.2
