"""Series over time: files, calendars, means, and what they do in a run."""

import numpy as np
import pandas as pd
import pytest
from helpers import small_paper

from abm import Scenario, V2GModel
from abm.errors import InputError
from abm.grid import build_feeder
from abm.grid.demand import base_load_of
from abm.scenario.calendar import Calendar
from abm.scenario.series import Series, placed
from abm.scenario.series_fields import SeriesReading
from abm.scenario.series_file import read_series
from abm.scenario.units import LIMIT, LOAD, PRICE, PV_POWER, TEMPERATURE

BERLIN = {"start_date": "2024-03-30", "timezone": "Europe/Berlin"}


def put(folder, text, name="s.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(path, quantity=LOAD, calendar=None, **reading):
    how = SeriesReading(**reading)
    return read_series(path, path.name, how, quantity, calendar or dated(), "tariff.reading")


def dated(hours=48, start="0:00", date="2024-03-30", zone=None, **more):
    return Calendar(start, hours, date, zone, **more)


def problems(path, **how):
    with pytest.raises(InputError) as caught:
        read(path, **how)
    return caught.value.problems


def stamps(begin, n, step="1h", zone=None):
    times = pd.date_range(begin, periods=n, freq=step, tz=zone)
    return [stamp.isoformat() for stamp in times]


def table(times, values, head="time,price"):
    return head + "\n" + "\n".join(f"{t},{v}" for t, v in zip(times, values, strict=True)) + "\n"


# --- the calendar ---------------------------------------------------------------------------------


def test_a_clock_that_jumps_forward_and_back():
    spring = Calendar("0:00", 48, "2024-03-30", "Europe/Berlin")
    assert spring.clock_hours[22:30].tolist() == [22, 23, 0, 1, 3, 4, 5, 6]
    autumn = Calendar("12:00", 24, "2024-10-26", "Europe/Berlin")
    assert autumn.clock_hours[12:18].tolist() == [0, 1, 2, 2, 3, 4]
    assert Calendar("12:00", 24).clock_hours.tolist() == [(12 + h) % 24 for h in range(24)]
    # Three in the afternoon of the second day is an hour of elapsed time earlier.
    assert spring.ahead_min(np.array([25.0 * 60, 39.0 * 60])).tolist() == [0.0, 60.0]
    assert spring.clock_of(np.array([39.0 * 60 - 60])) == 15 * 60


def test_weekdays_holidays_and_seasons():
    year = Calendar("12:00", 8784, "2024-01-01", "Europe/Berlin", holidays="DE-BY")
    assert year.weekday_names(3) == ["monday", "tuesday", "wednesday"]
    # New Year is a Sunday for whoever asks what kind of day it is; 6 January is one in Bavaria.
    assert [year.weekday(day) for day in (0, 1, 5)] == [6, 1, 6]
    with pytest.raises(InputError, match=r"clock\.holidays = XX"):
        Scenario(clock={"start_date": "2024-01-01", "holidays": "XX"})


@pytest.mark.parametrize(
    ("clock", "says"),
    [
        ({"start_date": "2024-02-30"}, "a date from 1900"),
        ({"start_date": "24-02-01"}, "a date from 1900"),
        ({"start_date": "2024-02-01", "timezone": "Mars/Base"}, "a time zone by its IANA name"),
        ({"timezone": "UTC"}, "only with a date"),
        ({"holidays": "DE"}, "only with a date"),
    ],
)
def test_clocks_that_cannot_be_meant(clock, says):
    with pytest.raises(InputError, match=says):
        Scenario(clock=clock)


# --- files ----------------------------------------------------------------------------------------


def test_a_time_stamp_is_a_moment_whatever_the_offset(tmp_path):
    zone = "Europe/Berlin"
    calendar = dated(zone=zone)
    wall = stamps("2024-03-30", 48, zone=zone)
    utc = [str(stamp) for stamp in pd.to_datetime(wall, utc=True)]
    naive = [stamp[:19] for stamp in wall]
    assert naive[25:27] == ["2024-03-31T01:00:00", "2024-03-31T03:00:00"]
    for times in (wall, utc, naive):
        found = read(put(tmp_path, table(times, range(48))), calendar=calendar)
        hours = placed(found, calendar).mean(np.arange(48) * 3600, 3600)[:, 0]
        assert hours.tolist() == list(range(48))


def test_the_hour_that_comes_twice(tmp_path):
    calendar = dated(hours=26, date="2024-10-27", zone="Europe/Berlin")
    naive = [stamp[:19] for stamp in stamps("2024-10-27", 26, zone="Europe/Berlin")]
    assert naive[2] == naive[3] == "2024-10-27T02:00:00"
    found = placed(read(put(tmp_path, table(naive, range(26))), calendar=calendar), calendar)
    assert found.by_step[:, 0].tolist() == list(range(26))


def test_a_file_without_daylight_saving_is_told_apart(tmp_path):
    path = put(tmp_path, table(stamps("2024-03-30", 48), range(48)))
    calendar = dated(zone="Europe/Berlin")
    (problem,) = problems(path, calendar=calendar)
    assert (problem.line, problem.field) == (28, "time")
    assert "tariff.reading.timezone: Etc/GMT-1" in problem.allowed
    found = placed(read(path, calendar=calendar, timezone="Etc/GMT-1"), calendar)
    assert found.by_step[:, 0].tolist() == list(range(48))


def test_a_long_file_and_a_parquet_file_say_the_same(tmp_path):
    times = stamps("2024-03-30", 48, "30min")
    rows = [f"{t},{name},{v}" for v, t in enumerate(times) for name in ("b", "a")]
    long = put(tmp_path, "time,customer,value\n" + "\n".join(rows))
    frame = pd.DataFrame({"b": np.arange(48.0), "a": np.arange(48.0)}, pd.to_datetime(times))
    frame.to_parquet(tmp_path / "s.parquet")
    one, other = read(long, LOAD), read(tmp_path / "s.parquet", LOAD)
    assert one.columns == ("a", "b")
    assert one.step_s == other.step_s == 1800
    assert one.column("a").tolist() == other.column("a").tolist() == list(range(48))
    assert one.begin_s == other.begin_s


def test_units_in_header_comment_and_scenario(tmp_path):
    times = stamps("2024-03-30", 4, "15min")
    path = put(tmp_path, table(times, [25, 25, 50, 0], "time,load [kWh]"))
    found = read(path, LOAD)
    # An energy of a quarter of an hour is four times as much power.
    assert (found.unit, found.values[:, 0].tolist()) == ("kW", [100, 100, 200, 0])
    path = put(tmp_path, "# unit: EUR/MWh\n" + table(times, [80, -5, 0, 1]))
    found = read(path, PRICE)
    assert (found.unit, found.values[:, 0].tolist()) == ("EUR/kWh", [0.08, -0.005, 0.0, 0.001])
    assert read(path, PRICE, unit="ct/kWh").values[0, 0] == 0.8
    path = put(tmp_path, table(times, [293.15] * 4, "time,temperature (K)"))
    assert read(path, TEMPERATURE).values[:, 0] == pytest.approx(20.0)
    path = put(tmp_path, table(times, [3240] * 4, "time,limit [kW]"))
    assert read(path, LIMIT).values[:, 0] == pytest.approx(3.24)
    (problem,) = problems(put(tmp_path, table(times, [1] * 4, "time,price [lumen]")))
    assert (problem.field, problem.value) == ("unit", "lumen")


def test_what_is_wrong_is_said_with_its_line_and_mended_only_if_asked(tmp_path):
    times = stamps("2024-03-30", 8)
    del times[3]
    times.insert(5, times[4])
    path = put(tmp_path, table(times, [0, 1, 2, 4, 5, 50, 6, 7]).replace(",2\n", ",\n"))
    found = problems(path)
    assert [(p.line, p.field, p.value) for p in found] == [
        (7, "time", "2024-03-30T05:00"),
        (4, "price", ""),
    ]
    found = problems(path, doubled="first", missing="refuse")
    assert [(p.line, p.field) for p in found] == [(4, "price")]
    how = {"doubled": "mean", "missing": "linear"}
    assert read(path, **how).values[:, 0].tolist() == [0, 1, 2, 3, 4, 27.5, 6, 7]
    how = {"doubled": "last", "missing": "previous"}
    assert read(path, **how).values[:, 0].tolist() == [0, 1, 1, 1, 4, 50, 6, 7]
    how = {"doubled": "first", "missing": "zero"}
    assert read(path, **how).values[:, 0].tolist() == [0, 1, 0, 0, 4, 5, 6, 7]


def test_a_gap_is_said_at_the_line_before_it(tmp_path):
    times = stamps("2024-03-30", 30)
    path = put(tmp_path, table(times[:10] + times[14:], range(26)))
    (problem,) = problems(path)
    assert (problem.line, problem.value) == (11, "2024-03-30T10:00")
    assert "4 steps" in problem.allowed


def test_stamps_off_the_step_and_out_of_order(tmp_path):
    times = stamps("2024-03-30", 6)
    times[2], times[3] = times[3], times[2]
    times[4] = times[4].replace(":00:00", ":00:40")
    path = put(tmp_path, table(times, [0, 1, 3, 2, 4, 5]))
    assert [(p.line, p.field) for p in problems(path)] == [(6, "time"), (5, "time")]
    assert read(path, irregular="nearest").values[:, 0].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("time;price\n2024-03-30T00:00;1\n", "columns", "tariff.reading.delimiter: ';'"),
        ('time,price\n2024-03-30T00:00,"0,21"\n2024-03-30T01:00,"0,22"\n', "price", "decimal: ','"),
        ("price\n1\n", "time", "missing column"),
        ("time,price\n30.03.2024,1\n31.03.2024,1\n", "time", "time_format"),
        ("time,price\n2024-03-30T00:00,1\n", "time", "at least two time stamps"),
        ("time,price\n2024-03-30T00:00,1\n2024-03-30T00:07,1\n", "time", "divides an hour"),
        ("time,price\n2024-03-30T00:00Z,1\n2024-03-30T01:00,1\n", "time", "at all time stamps"),
        ("time,price\n2024-03-30T00:00Z,1\n2024-03-30T01:00Z,1\n", "clock.timezone", "missing"),
        ("time,price\n2024-03-30T00:00,80\n2024-03-30T01:00,60\n", "price", "is it per MWh?"),
        ("hour,season,price\n0,autumn,1\n", "season", "summer, winter"),
        ("hour,day,price\n0,someday,1\n", "day", "workday"),
        ("", "file", "empty"),
        ("time,price\n", "row", "at least one row"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, text, field, says):
    found = problems(put(tmp_path, text), quantity=PRICE)
    assert field in [problem.field for problem in found]
    assert any(says in str(problem) for problem in found)


def test_yields_that_are_powers_or_percent(tmp_path):
    rows = "2024-03-30T11:00,61\n2024-03-30T12:00,63\n"
    (found,) = problems(put(tmp_path, "time,pv\n" + rows), quantity=PV_POWER)
    assert "is it in % or W?" in found.allowed
    assert read(put(tmp_path, "time,pv [%]\n" + rows), quantity=PV_POWER).values.max() == 0.63


def test_semicolons_decimal_commas_and_a_byte_order_mark(tmp_path):
    path = put(tmp_path, "\ufeffDatum;Preis\n30.03.2024 00:00;0,21\n30.03.2024 01:00;0,2\n")
    how = {"delimiter": ";", "decimal": ",", "time_column": "Datum", "columns": {"Preis": "price"}}
    found = read(path, time_format="%d.%m.%Y %H:%M", **how)
    assert found.column("price").tolist() == [0.21, 0.2]
    late = read(path, time_format="%d.%m.%Y %H:%M", label="end", **how)
    assert late.begin_s == found.begin_s - 3600


# --- days of the clock ----------------------------------------------------------------------------


def test_workdays_weekends_holidays_and_seasons(tmp_path):
    kinds = [("workday", "winter", 1), ("weekend", "winter", 2), ("all", "summer", 3)]
    kinds += [("all", "transition", 4), ("holiday", "transition", 5)]
    rows = [f"{h},{day},{season},{v}" for day, season, v in kinds for h in range(24)]
    path = put(tmp_path, "hour,day,season,price\n" + "\n".join(rows))
    found = read(path)
    calendar = Calendar("0:00", 366 * 24, "2024-01-01", "Europe/Berlin", holidays="DE")
    days = placed(found, calendar).mean(np.arange(366) * 86400 + 7200, 3600)[:, 0]
    # New Year and a Sunday in winter; a Tuesday; midsummer; May Day; the second of May.
    assert [days[i] for i in (0, 6, 1, 180, 121, 122)] == [2, 2, 1, 3, 5, 4]
    with pytest.raises(InputError, match=r"clock\.start_date"):
        placed(found, Calendar("0:00", 24))
    weekly = put(tmp_path, "\n".join(["hour,day,price", *rows[:24]]).replace(",winter", ""))
    with pytest.raises(InputError, match="a row for every day of the horizon"):
        placed(read(weekly), Calendar("0:00", 48, first_day="friday"))


def test_quarters_of_a_day_and_a_clock_that_jumps(tmp_path):
    rows = [f"{h}:{m:02d},{4 * h + m // 15}" for h in range(24) for m in range(0, 60, 15)]
    found = read(put(tmp_path, "time,price\n" + "\n".join(rows)))
    assert found.step_s == 900
    calendar = dated(zone="Europe/Berlin")
    hours = placed(found, calendar).mean(np.arange(24, 30) * 3600, 3600)[:, 0]
    assert hours.tolist() == [4 * h + 1.5 for h in (0, 1, 3, 4, 5, 6)]


def test_a_series_that_does_not_cover_the_horizon_is_repeated_only_if_asked(tmp_path):
    week = table(stamps("2023-01-02", 168), range(168))
    path = put(tmp_path, week)
    calendar = dated(hours=336, start="12:00")
    with pytest.raises(InputError, match="cover the horizon"):
        placed(read(path), calendar)
    values = placed(read(path, repeat="weekly"), calendar).by_step[:, 0]
    # 30 March 2024 is a Saturday.
    assert values[:12].tolist() == list(range(132, 144))
    assert values[36:40].tolist() == [0, 1, 2, 3]
    daily = placed(read(path, repeat="daily"), calendar).by_step[:, 0]
    assert daily[:13].tolist() == [*range(12, 24), 0]
    with pytest.raises(InputError, match="a whole year"):
        placed(read(path, repeat="yearly"), calendar)
    year = put(tmp_path, table(stamps("2023-01-01", 8760), range(8760)))
    leap = placed(read(year, repeat="yearly"), dated(hours=8784, date="2024-01-01")).by_step[:, 0]
    assert leap[59 * 24 : 61 * 24].tolist() == [*range(58 * 24, 59 * 24), *range(59 * 24, 60 * 24)]
    assert len(np.unique(leap)) == 8760


@pytest.mark.parametrize("repeat", ["daily", "weekly", "yearly"])
def test_what_a_repeated_file_has_is_taken_as_it_is(tmp_path, repeat):
    """Days of its own stay what they are; the hour that the clock runs through twice, too."""
    zone = "Europe/Berlin"
    path = put(tmp_path, table(stamps("2024-10-26", 73, zone=zone), range(73)))
    calendar = dated(hours=61, date="2024-10-26", start="12:00", zone=zone)
    found = placed(read(path, calendar=calendar, repeat=repeat), calendar).by_step[:, 0]
    assert found[:61].tolist() == list(range(12, 73))
    # The first of the days that have the hour.
    calendar = dated(hours=72, date="2024-10-26", start="12:00", zone=zone)
    if repeat == "daily":
        found = placed(read(path, calendar=calendar, repeat=repeat), calendar).by_step[:, 0]
        assert found[:72].tolist() == [*range(12, 73), *range(11)]


def test_without_a_date_a_time_stamp_cannot_be_placed(tmp_path):
    path = put(tmp_path, table(stamps("2024-03-30", 48), [0.2] * 48))
    with pytest.raises(InputError, match=r"clock\.start_date: missing.*2024-03-30T00:00"):
        Scenario(tariff={"prices": str(path)})


# --- means ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_s", [60, 300, 720, 900, 1200, 3600])
@pytest.mark.parametrize("window_s", [60, 300, 900, 1200, 3600])
@pytest.mark.parametrize("linear", [False, True])
def test_every_window_has_the_same_mean_at_every_step(step_s, window_s, linear):
    steps = 24 * 3600 // step_s
    values = np.random.default_rng(3).random((steps, 2))
    series = Series(values, np.arange(-1, steps + 1) % steps, step_s)
    found = series.mean(np.arange(0, 86400, window_s), window_s, linear)
    assert found.mean(axis=0) == pytest.approx(values.mean(axis=0), rel=1e-12)
    hours = series.mean(np.arange(24) * 3600, 3600, linear)
    assert found.reshape(24, -1, 2).mean(axis=1) == pytest.approx(hours, rel=1e-12)
    with pytest.raises(ValueError, match="divide an hour"):
        series.mean(np.array([0]), 7 * 60)


# --- in a run -------------------------------------------------------------------------------------


def test_the_energy_of_the_load_is_that_of_its_series(tmp_path):
    values = np.random.default_rng(1).random(2 * 96 + 96)
    times = stamps("2024-03-30", len(values), "15min")
    path = put(tmp_path, table(times, values, "time,residential"))
    commercial = path.read_text().replace(
        "time,residential", "time,residential,commercial,industrial"
    )
    rows = commercial.splitlines()
    path.write_text("\n".join([rows[0], *(f"{row},0,0" for row in rows[1:])]))
    base = small_paper(
        strategy="uncoordinated",
        clock={"start_date": "2024-03-30", "start": "12:00"},
        horizon={"days": 2},
        base_load={"profile": str(path)},
        grid={"flow_interval_min": 15},
    )
    model = V2GModel(base).run()
    feeder = model.grid.feeder
    homes = feeder.p_mw[feeder.bus_class == feeder.class_names.index("residential")].sum()
    expected = homes * values[48 : 48 + 192].sum() / 4
    assert model.results.kpis["base_energy_mwh"] == pytest.approx(expected, rel=1e-12)
    quarters = model.results.record.base_demand_mw(15)[:, 0]
    assert quarters == pytest.approx(homes * values[48 : 48 + 192], rel=1e-12)
    # A message has the mean of its hour.
    assert model.grid.base_mw[:, 0] == pytest.approx(quarters.reshape(-1, 4).mean(axis=1))


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_energy_is_booked_at_the_price_of_each_quarter(tmp_path, engine):
    values = np.random.default_rng(2).random(96)
    rows = [f"{h}:{m:02d},{values[4 * h + m // 15]}" for h in range(24) for m in range(0, 60, 15)]
    path = put(tmp_path, "time,price\n" + "\n".join(rows))
    base = small_paper(strategy="evms", tariff={"prices": str(path)}, clock={"engine": engine})
    results = V2GModel(base).run().results
    minute = results.zone_minute.groupby("minute")[["charge_kw", "discharge_kw"]].sum() / 60
    quarter = (np.arange(len(minute)) // 15 + 48) % 96
    bought = (minute["charge_kw"] * values[quarter]).sum()
    sold = (minute["discharge_kw"] * values[quarter]).sum() * 0.6
    assert results.kpis["purchase_usd"] == pytest.approx(bought, rel=1e-9)
    assert results.kpis["sale_usd"] == pytest.approx(sold, rel=1e-9)
    # The reference of eq. (22) pays the same prices.
    one = V2GModel(base.override(strategy="uncoordinated")).run().results.kpis
    assert one["benefit_usd"] == pytest.approx(0.0, abs=1e-6 * one["purchase_usd"])


def test_a_limit_that_changes_is_heard_and_counted(tmp_path):
    limit = np.where(np.arange(24) < 20, 9.0, 1.0)
    path = put(tmp_path, "hour,limit\n" + "\n".join(f"{h},{v}" for h, v in enumerate(limit)))
    base = small_paper(strategy="evms", grid={"demand_limit": str(path)})
    model = V2GModel(base)
    heard = []
    for _ in range(24):
        for _ in range(60):
            model.step()
        heard.append(float(model.broadcast.limit_mw[0]))
    hours = model.results.clock_hours
    assert heard == limit[hours].tolist()
    kpis = model.results.kpis
    assert kpis["hours_above_limit"] == (model.results.total_mw > limit[hours]).sum() == 4
    assert kpis["demand_limit_mw"] == 1.0
    assert model.results.hourly["headroom_mw"].to_numpy() == pytest.approx(
        limit[hours] - model.results.base_mw
    )


def test_owners_keep_the_clock_on_the_wall():
    fields = {"strategy": "uncoordinated", "horizon": {"days": 3}}
    arrivals = {}
    for zone in (None, "Europe/Berlin"):
        clock = {"start_date": "2024-03-30", "timezone": zone, "start": "12:00"}
        model = V2GModel(small_paper(clock=clock, **fields)).run()
        arrivals[zone] = model.record.stays["arrival_min"]
    # The clock jumps in the night of the first day: from the second on everybody is an hour early.
    early = arrivals[None] - arrivals["Europe/Berlin"]
    assert early[0].max() == 0.0
    assert (early[1:] == 60.0).all()


def test_a_holiday_is_a_sunday_for_the_owners():
    weekend = {"plug_in": {"habit": "probability", "probability": 0.0}}
    fields = {"horizon": {"days": 3}, "owners": {"weekend": weekend}, "strategy": "uncoordinated"}
    clock = {"start_date": "2024-04-30", "holidays": "DE"}
    days = V2GModel(small_paper(clock=clock, **fields)).run().results.days
    assert (days["stays"] > 0).tolist() == [True, False, True]
    assert days["weekday"].tolist() == ["tuesday", "wednesday", "thursday"]


def test_a_scenario_with_series_goes_round_as_yaml(tmp_path):
    path = put(tmp_path, table(stamps("2024-03-30", 48, zone="UTC"), range(48)))
    reading = {"unit": "ct/kWh", "columns": {"price": "price"}}
    base = Scenario(
        clock=BERLIN, tariff={"prices": str(path), "reading": reading},
        weather={"temperature": None},
    )  # fmt: skip
    again = tmp_path / "again.yaml"
    again.write_text(base.to_yaml())
    assert Scenario.load(again) == base


def test_a_year_of_quarters_keeps_its_energy_to_the_last_digit(tmp_path):
    times = pd.date_range("2025-01-01", "2026-01-01", freq="15min", tz="Europe/Berlin")[:-1]
    assert len(times) == 35_040
    values = np.random.default_rng(4).random(len(times))
    frame = pd.DataFrame({"residential": values, "commercial": 0.0, "industrial": 0.0}, times)
    frame.to_csv(tmp_path / "year.csv", index_label="time")
    frame.to_parquet(tmp_path / "year.parquet")
    clock = {"start_date": "2025-01-01", "start": "0:00", "timezone": "Europe/Berlin"}
    for name in ("year.csv", "year.parquet"):
        year = Scenario(
            clock=clock,
            horizon={"days": 365},
            base_load={"profile": str(tmp_path / name)},
            fleet={"arrival": {"low": "1:00", "high": "5:00", "mean": None},
                   "departure": {"low": "7:00", "high": "9:00"}},
        )  # fmt: skip
        feeder = build_feeder(year.inputs.feeder)
        homes = feeder.p_mw[feeder.bus_class == feeder.class_names.index("residential")].sum()
        base = base_load_of(year, feeder)
        quarters = base.mean_mw(np.arange(35_040) * 900, 900)[:, 0]
        assert quarters == pytest.approx(homes * values, rel=1e-14)
        hours = base.mean_mw(np.arange(8760) * 3600, 3600)[:, 0]
        assert hours.sum() == pytest.approx(homes * values.sum() / 4, rel=1e-13)
        # The hour that the clock leaves out and the one that comes twice are where they belong.
        assert year.calendar.clock_hours[[2113, 2114]].tolist() == [1, 3]
        assert year.calendar.clock_hours[[7153, 7154]].tolist() == [2, 2]
