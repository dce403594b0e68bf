"""A file of sessions by energy: what it says, what it cannot say, several stays of one EV."""

import json
import math

import pytest
from helpers import by_energy, ev, run, scenario

from abm.errors import InputError
from abm.scenario import Scenario

ENERGY = {"requirement": {"kind": "energy_balanced"}}
UNKNOWN = ("capacity_kwh", "soc_arrival", "soc_target", "soc_min", "soc_departure")


def refused(*rows, **fields):
    with pytest.raises(InputError) as caught:
        scenario(*rows, **fields)
    return caught.value.problems


def test_by_hand():
    """12 kWh at 3 kW take four hours from the arrival; 30 kWh cannot be had in two at 6 kW."""
    first = by_energy("a", 1, 60, 600, 12.0, p_max_kw=3.0)
    again = by_energy("a", 1, 1500, 1620, 30.0, p_max_kw=6.0)
    model = run(
        scenario(first, again, strategy="uncoordinated", horizon={"days": 2}, **ENERGY,
                 ev={"efficiency": 0.8})
    )  # fmt: skip
    power = model.meter.charge_kw.sum(axis=1)
    assert power[60:300] == pytest.approx(3.0)
    assert power[1500:1620] == pytest.approx(6.0)
    assert power.sum() / 60 == pytest.approx(24.0, abs=1e-9)
    stays = model.results.stays
    assert stays["shortfall_kwh"].to_list() == pytest.approx([0.0, 18.0], abs=1e-9)
    assert stays["day"].to_list() == [1, 2]
    kpis = model.results.kpis
    assert (kpis["evs"], kpis["stays"], kpis["evs_short"]) == (1, 2, 1)
    assert kpis["energy_short_kwh"] == pytest.approx(18.0)
    (row,) = model.results.ev.to_dict("records")
    assert (row["arrival_min"], row["departure_min"], row["stays"]) == (60, 1620, 2)
    assert row["energy_kwh"] == pytest.approx(42.0)
    assert bool(row["short"])
    days = model.results.days
    assert days["stays"].to_list() == [1, 1]
    assert days["ev_charged_mwh"].to_list() == pytest.approx([0.012, 0.012])


def test_what_is_not_known_is_nowhere_shown():
    model = run(scenario(by_energy(), **ENERGY))
    results = model.results
    for table in (results.ev, results.stays):
        assert table[list(set(UNKNOWN) & set(table))].isna().all(axis=None)
    assert results.days[["soc_arrival_mean", "soc_departure_mean"]].isna().all(axis=None)
    kpis = results.kpis
    of_soc = ("soc_lowest", "soc_highest", "soc_below_ev_minutes", "equivalent_full_cycles_per_ev")
    of_soc += ("capacity_loss_percent_per_year",)
    assert [kpis[name] for name in of_soc] == [None] * 5
    # A cycle of any battery is twice its capacity, and costs its price in proportion.
    wear = model.scenario.ageing
    price = wear.pack_usd_per_kwh / wear.cycle_life
    assert 0.0 < kpis["ageing_usd"] < 10.0 * price
    assert kpis["v2g_share"] == 0.0
    car = model.evs[0]
    assert math.isnan(car.soc)
    assert math.isnan(car.capacity_kwh)
    assert "10 of 10 kWh" in str(car)
    with pytest.raises(AttributeError, match="not known"):
        car.soc_target = 0.9
    json.dumps(kpis, allow_nan=False)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "requirement.kind"),
        ({**ENERGY, "ev": {"taper": 0.8}}, "ev.taper"),
        ({**ENERGY, "ageing": {"model": "xu_2018"}}, "ageing.model"),
        ({**ENERGY, "owners": {"plug_in": {"habit": "below_soc"}}}, "owners.plug_in.habit"),
    ],
)
def test_what_needs_a_soc_is_refused(fields, field):
    (problem,) = refused(by_energy(), **fields)
    assert problem.field == field
    assert "SoC" in problem.allowed


def test_a_past_by_energy_is_refused_as_printed(tmp_path):
    scenario(by_energy(), folder=tmp_path, **ENERGY)
    past = {"arrivals": "sessions", "sessions": str(tmp_path / "sessions.csv")}
    with pytest.raises(InputError) as caught:
        Scenario(belief=past)
    assert [problem.field for problem in caught.value.problems] == ["requirement.kind"]
    Scenario(belief=past, **ENERGY)


def test_columns_of_one_kind(tmp_path):
    path = tmp_path / "s.csv"
    head = "ev_id,zone,arrival_min,departure_min"
    for text, fields in (
        (f"{head},energy_kwh,soc_target\na,1,0,10,5,0.8\n", ["soc_target"]),
        (f"{head}\na,1,0,10\n", ["capacity_kwh", "soc_arrival", "soc_target"]),
        ("ev_id,zone,energy_kwh\na,1,5\n", ["arrival_min", "departure_min"]),
        (f"{head},energy_kwh\na,1,0,10,\nb,1,0,10,0\n", ["energy_kwh", "energy_kwh"]),
    ):
        path.write_text(text)
        with pytest.raises(InputError) as caught:
            Scenario(fleet={"sessions": str(path)}, **ENERGY)
        assert [problem.field for problem in caught.value.problems] == fields


def test_an_ev_comes_again_when_it_has_left():
    rows = [ev("a", arrival=500, departure=600), ev("a", arrival=0, departure=500)]
    results = run(scenario(*rows)).results
    assert (results.kpis["evs"], results.kpis["stays"]) == (1, 2)
    assert len(results.ev) == 1
    rows.append(ev("a", arrival=550, departure=560))
    (problem,) = refused(*rows)
    assert (problem.field, problem.line) == ("ev_id", 4)
    assert "line 2 has not ended" in problem.allowed


def test_sessions_by_soc_over_days_keep_their_energy():
    """A stay over midnight is one stay: the day in the middle of it changes nothing."""
    row = ev("a", arrival=1400, departure=1700, capacity=40.0, soc=0.5, target=0.9)
    fields = {"strategy": "uncoordinated", **ENERGY, "ev": {"efficiency": 1.0, "charger_kw": 4.0}}
    model = run(scenario(row, horizon={"days": 2}, **fields))
    assert model.meter.charge_kw.sum(axis=1)[1400:1640] == pytest.approx(4.0)
    assert model.fleet.charged_kwh[0] == pytest.approx(16.0)
    one = run(scenario(row, clock={"hours": 48}, **fields))
    assert (one.meter.ev_kw == model.meter.ev_kw).all()


def test_owners_do_not_learn_from_a_file():
    (problem,) = refused(ev(), horizon={"days": 3}, owners={"learning": {"graph": "alone"}})
    assert problem.field == "owners.learning.graph"


@pytest.mark.parametrize("strategy", ["coordinated", "mpc"])
@pytest.mark.parametrize("arrivals", [(700, 900), (700, 2300)])
def test_a_past_by_energy_is_expected(tmp_path, strategy, arrivals):
    """Of one day it is that of every day, of several each has its own."""
    rows = [by_energy(f"e{i}", 1, at, at + 500, 11.0) for i, at in enumerate(arrivals)]
    scenario(*rows, folder=tmp_path, horizon={"days": 2}, **ENERGY)
    past = {"arrivals": "sessions", "sessions": str(tmp_path / "sessions.csv")}
    fields = {"strategy": strategy, "belief": past, "horizon": {"days": 2}, **ENERGY}
    model = run(scenario(by_energy("a", 1, 800, 1400), by_energy("a", 2, 2000, 2500), **fields))
    coming = model.grid.outlook.arrivals
    both_days = [700, 900, 2140, 2340] if arrivals[1] == 900 else [700, 2300]
    assert coming.arrival_min.tolist() == both_days
    assert coming.day.tolist() == sorted(int(at // 1440) for at in both_days)
    assert coming.need_kwh == pytest.approx(11.0)
    assert model.results.kpis["energy_short_kwh"] == pytest.approx(0.0, abs=1e-6)


# --- by time stamps ----------------------------------------------------------------------------

STAMPED = "ev_id,zone,arrival,departure,energy_kwh\n"
OSLO = {"start_date": "2024-03-30", "timezone": "Europe/Oslo", "start": "12:00"}


def stamped(tmp_path, text, **fields):
    path = tmp_path / "stamps.csv"
    path.write_text(STAMPED + text)
    return {
        "fleet": {"sessions": str(path)},
        "horizon": {"days": 2},
        "clock": OSLO,
        **ENERGY,
    } | fields


def test_time_stamps_are_placed_on_the_horizon_through_the_change_of_clocks(tmp_path):
    rows = (
        "a,1,2024-03-30T18:00,2024-03-31T08:00,10\n"  # an hour less, by the clock on the wall
        "b,1,2024-03-30T17:30:00Z,2024-03-31T08:00:00+02:00,10\n"
        "c,2,2024-03-31T18:00:30,2024-04-05T08:00,10\n"
    )
    table = Scenario(**stamped(tmp_path, rows)).inputs.sessions
    assert table.arrival_min.tolist() == [360.0, 390.0, 1740.5]
    assert table.departure_min.tolist() == [1140.0, 1140.0, 8340.0]
    assert table.left_out == ""


def test_without_a_zone_stamps_are_by_the_clock(tmp_path):
    rows = "a,1,2024-03-30T18:00,2024-03-31T08:00,10\n"
    clock = {"start_date": "2024-03-30", "start": "12:00"}
    table = Scenario(**stamped(tmp_path, rows, clock=clock)).inputs.sessions
    assert (table.arrival_min[0], table.departure_min[0]) == (360.0, 1200.0)


def test_sessions_outside_of_the_horizon_are_left_out_and_said(tmp_path):
    rows = (
        "a,1,2024-03-30T11:00,2024-03-30T20:00,10\n"
        "a,1,2024-03-30T21:00,2024-03-30T23:00,10\n"
        "b,1,2024-04-01T12:00,2024-04-01T13:00,10\n"
        "b,1,2024-04-02T12:00,2024-04-02T13:00,10\n"
    )
    fields = stamped(tmp_path, rows)
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps(fields))
    with pytest.warns(UserWarning, match="2 of 4 sessions lie outside of the horizon: 1 begin bef"):
        found = Scenario.load(path)
    assert found.inputs.sessions.arrival_min.tolist() == [540.0, 2820.0]


@pytest.mark.parametrize(
    ("rows", "fields", "field", "said"),
    [
        ("a,1,2024-03-30T18:00,2024-03-31T08:00,10\n", {"clock": {}}, "arrival", "start_date"),
        ("a,1,2024-03-31T02:30,2024-03-31T08:00,10\n", {}, "arrival", "leaves that hour out"),
        (
            "a,1,2024-10-26T18:00,2024-10-27T02:30,10\n",
            {"clock": OSLO | {"start_date": "2024-10-26"}},
            "departure",
            "twice",
        ),
        ("a,1,30.3.2024 18:00,2024-03-31T08:00,10\n", {}, "arrival", "a time stamp such as"),
        ("a,1,2024-03-30T18:00,2024-03-30T17:00,10\n", {}, "departure", "after arrival ="),
        ("a,1,2023-03-30T18:00,2023-03-30T19:00,10\n", {}, "arrival", "within the 48 h"),
        ("a,1,,2023-03-30T19:00,10\n", {}, "arrival", "missing"),
    ],
)
def test_a_stamp_that_cannot_be_meant(tmp_path, rows, fields, field, said):
    with pytest.raises(InputError) as caught:
        Scenario(**stamped(tmp_path, rows, **fields))
    (problem,) = caught.value.problems
    assert problem.field == field
    assert said in problem.allowed


def test_either_minutes_or_stamps(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("ev_id,zone,arrival,departure_min,energy_kwh\na,1,2024-03-30T18:00,9,1\n")
    with pytest.raises(InputError) as caught:
        Scenario(fleet={"sessions": str(path)}, clock=OSLO, **ENERGY)
    assert {problem.field for problem in caught.value.problems} == {"departure", "departure_min"}


def test_what_the_bound_says_is_json():
    """Nothing of what is not known stands in it as a number."""
    from abm.study.bound import optimum

    best = optimum(scenario(by_energy(departure=500, energy=50.0), **ENERGY))
    (row,) = best.summary()["unreachable"]
    assert (row["soc_target"], row["soc_reachable"]) == (None, None)
    assert row["lacks_kwh"] == pytest.approx(50.0 - 5.4 / 3)
    json.dumps(best.summary(), allow_nan=False)


def test_the_shipped_week():
    """Its sessions are those that it says, whole, and no capacity is made up."""
    week = Scenario.load("measured_sessions")
    table = week.inputs.sessions
    assert (len(table), len(set(table.ev_id)), table.left_out) == (270, 63, "")
    assert table.energy_kwh.sum() == pytest.approx(3325.14)
    assert math.isnan(table.capacity_kwh.max())
    assert week.inputs.dependence.keys() == {"weekday", "weekend"}


def test_indicators_by_ev_count_an_ev_that_comes_again_once():
    """Two EVs, one of them twice: rated power, changes of mode and fairness are those of two."""
    rows = [
        by_energy("a", 1, 60, 300, 6.0, p_max_kw=3.0),
        by_energy("a", 1, 600, 900, 6.0, p_max_kw=3.0),
        by_energy("b", 1, 60, 120, 9.0, p_max_kw=6.0),
    ]
    kpis = run(scenario(*rows, strategy="uncoordinated", **ENERGY)).results.kpis
    assert kpis["coincidence_factor"] == pytest.approx(1.0)
    assert kpis["mode_switches_per_ev"] == pytest.approx((2 + 2 + 1) / 2)
    # Of 3 kWh missing one EV has all.
    assert kpis["energy_short_kwh"] == pytest.approx(3.0)
    assert kpis["fairness_unmet_evs"] == pytest.approx(0.5)
