"""Rules of the real world: dimming, the default schedule, throttling, price windows, cars."""

import numpy as np
import pytest
from helpers import ev, same, scenario, small_paper

from abm import EV, InputError, Scenario, V2GModel
from abm.control import make_admission
from abm.control.operator import DimmingOperator, Readings, always_left_kw

ROW = ev("a", arrival=300, departure=1300, capacity=100.0, soc=0.3, target=1.0, p_max_kw=11.0)


def powers(*rows, seed=1, **fields):
    """Power of each EV by step, (S, n) in the order of the rows, and the model after the run."""
    fields = {"requirement": {"kind": "energy_balanced"}, **fields}
    model = V2GModel(scenario(*rows, **fields), seed=seed)
    found = np.zeros((model.clock.n_steps, len(rows)))
    while not model.clock.finished:
        step = model.clock.step
        model.step()
        found[step] = model.fleet.p_kw[model.fleet.row_of]
    return found, model


# --- dimming --------------------------------------------------------------------------------------


def test_what_is_always_left_behind_a_connection():
    """BK6-22-300: 4.2 kW x (1 + (n - 1) x 0.8, 0.75, ... 0.45)."""
    found = always_left_kw(np.array([1, 2, 3, 8, 9, 12]), 4.2)
    assert found == pytest.approx([4.2, 7.56, 10.5, 18.9, 19.32, 24.99])


def operator(**fields):
    options = {"limit_kw": 4.2, "begin_above": 1.0, "end_below": 0.8, "least_min": 30.0}
    return DimmingOperator(**{**options, "chargers_per_connection": 1, **fields})


def reading(minute, load_mw, limit_mw):
    return Readings(minute, load_mw, limit_mw, np.zeros(0, dtype=np.int64))


def dimmed(operator, *loads, limit=1.0, every=15.0):
    """Whether the one feeder is dimmed after each of these loads in a row."""
    return [
        bool(
            operator.switch(Readings(every * i, np.array([load]), np.array([limit]), np.zeros(0)))[
                0
            ]
        )
        for i, load in enumerate(loads)
    ]


def test_dimming_begins_above_and_ends_well_below():
    assert dimmed(operator(least_min=0.0), 0.9, 1.0, 1.01, 0.9, 0.8, 0.79, 0.9) == [
        *(False, False, True, True, True, False, False)
    ]


def test_dimming_lasts_for_its_least_time():
    assert dimmed(operator(), 1.1, 0.1, 0.1, 0.1) == [True, True, False, False]
    assert dimmed(operator(least_min=31.0), 1.1, 0.1, 0.1, 0.1) == [True, True, True, False]


def test_every_feeder_is_dimmed_by_itself():
    one = operator(least_min=0.0)
    limit = np.ones(2)
    assert one.switch(reading(0.0, np.array([1.2, 0.2]), limit)).tolist() == [
        True,
        False,
    ]
    assert one.switch(reading(15.0, np.array([0.5, 1.2]), limit)).tolist() == [
        False,
        True,
    ]


LOW = {"grid": {"demand_limit_mw": 1.0}, "broadcast": {"interval_min": 15}}
HIGH = {"grid": {"demand_limit_mw": 9.0}, "broadcast": {"interval_min": 15}}


def test_chargers_are_dimmed_while_the_load_is_high():
    dim, model = powers(ROW, strategy="dimming", **LOW)
    assert set(np.unique(dim[301:600])) == {4.2}
    assert model.results.kpis["energy_balance_error_kwh"] < 1e-9
    free, _ = powers(ROW, strategy="dimming", **HIGH)
    assert set(np.unique(free[301:600])) == {11.0}
    # Before anything is measured nobody is dimmed.
    early, _ = powers({**ROW, "arrival_min": 0}, strategy="dimming", **LOW)
    assert (early[:15] == 11.0).all()
    assert (early[15:30] == 4.2).all()


def test_boosting_owners_are_dimmed_too():
    boosts = {"owners": {"boost_probability": 1.0}}
    dim, _ = powers(ROW, strategy="dimming", **LOW, **boosts)
    assert set(np.unique(dim[301:600])) == {4.2}


def test_chargers_behind_one_connection_share_what_is_left():
    rows = [{**ROW, "ev_id": name} for name in "abc"]
    rows[2] |= {"arrival_min": 500}
    dim, _ = powers(*rows, strategy="dimming", dimming={"chargers_per_connection": 3}, **LOW)
    assert dim[400] == pytest.approx([5.25, 5.25, 0.0])
    assert dim[600] == pytest.approx([3.5, 3.5, 3.5])


def test_several_stays_of_an_ev_are_at_one_charger():
    rows = [
        {**ROW, "ev_id": name, "arrival_min": start, "departure_min": start + 300}
        for start in (300, 900)
        for name in "abc"
    ]
    dim, model = powers(*rows, strategy="dimming", dimming={"chargers_per_connection": 2}, **LOW)
    of = model.admission.connection[model.fleet.row_of]
    assert of.tolist() == [0, 0, 1, 0, 0, 1]
    # 4.2 kW x (1 + 0.8) for the two, in the stays of the morning and in those of the evening.
    assert dim[400, :3] == pytest.approx([3.78, 3.78, 4.2])
    assert dim[1000, 3:] == pytest.approx([3.78, 3.78, 4.2])


def test_what_cannot_be_set_so_low_does_not_charge():
    dim, _ = powers(ROW, strategy="dimming", dimming={"limit_kw": 4.0}, **LOW)
    assert (dim[400] == 4.0).all()
    six = {"ev": {"cars": {"needs_six_amp": 1.0}}}
    dim, _ = powers(ROW, strategy="dimming", dimming={"limit_kw": 4.0}, **LOW, **six)
    assert not dim.any()
    dim, _ = powers(ROW, strategy="dimming", **LOW, **six)
    assert (dim[400] == 4.2).all()


def test_the_limit_comes_after_another_admission():
    cheap = {"night": {"start": "0:00", "end": "6:00", "price": 0.05}}
    tariff = {"prices": "demand_linked", "time_of_use": cheap}
    spec = {"rule": "by_price", "admission": "dimming"}
    more = {"dimming": {"after": "by_price"}, "by_price": {"charge_below": 0.06}}
    dim, _ = powers(ROW, strategy=spec, tariff=tariff, **more, **LOW)
    assert not dim[300:720].any()
    assert set(np.unique(dim[720:900])) == {4.2}


def test_coordinated_under_a_limit_has_one_plan():
    spec = {"rule": "coordinated", "admission": "dimming"}
    model = V2GModel(small_paper(strategy=spec, dimming={"after": "coordinated"}))
    assert model.admission.first.planner is model.home.rule.planner


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"after": "throttling"}, r"after.*one of: all_at_once, below_limit"),
        ({"after": 3}, r"after.*one of: all_at_once"),
        ({"end_below": 1.2}, "end_below = 1.2: at most begin_above"),
        ({"chargers_per_connection": 0}, "at least 1"),
        ({"overload": "lines"}, "overload = 'lines': one of demand, transformers"),
    ],
)
def test_options_that_cannot_be(options, said):
    spec = {"rule": "g2v_only", "admission": "dimming", "admission_options": options}
    with pytest.raises(InputError, match=said):
        make_admission(Scenario(strategy=spec))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"vm_min_pu": 1.0}, "grid.vm_min_pu = 1.0: below 1 under operating_envelopes"),
        ({"vm_max_pu": 0.98}, "grid.vm_max_pu = 0.98: above 1 under operating_envelopes"),
    ],
)
def test_envelopes_need_voltage_limits_around_one(limits, said):
    with pytest.raises(InputError, match=said):
        make_admission(Scenario(strategy="operating_envelopes", grid=limits))


# --- the default schedule -------------------------------------------------------------------------


def begins(found):
    return [int(np.flatnonzero(column)[0]) for column in found.T]


ROWS = [{**ROW, "ev_id": str(i), "capacity_kwh": 200.0} for i in range(12)]


def test_off_peak_begins_after_the_peak_with_a_delay_of_its_own():
    found, model = powers(*ROWS, strategy="off_peak")
    first = begins(found)
    assert 600 <= min(first) <= max(first) <= 610
    assert len(set(first)) > 4
    # From the hour on the weekday's morning, and as much later.
    last = [int(np.flatnonzero(column)[-1]) + 1 for column in found.T]
    assert [end - start for start, end in zip(first, last, strict=True)] == [600] * 12
    assert len(set(model.fleet.delay_draw)) == 12
    again, _ = powers(*ROWS, strategy="off_peak")
    assert same(found, again)
    other, _ = powers(*ROWS, seed=2, strategy="off_peak")
    assert begins(other) != first


def test_off_peak_without_a_delay_and_on_other_days():
    found, _ = powers(*ROWS, strategy="off_peak", off_peak={"delay_s": 0.0})
    assert begins(found) == [600] * 12
    found, _ = powers(*ROWS, strategy="off_peak", horizon={"first_day": "saturday"})
    assert 300 <= min(begins(found)) <= max(begins(found)) <= 310
    own = {"peaks": {"late": {"start": "17:00", "end": "23:00"}}, "delay_s": 0.0}
    found, _ = powers(*ROWS, strategy="off_peak", off_peak=own)
    assert begins(found) == [660] * 12


def test_owners_may_leave_the_schedule():
    found, _ = powers(*ROWS, strategy="off_peak", owners={"timed": 0.0})
    assert begins(found) == [300] * 12
    found, _ = powers(*ROWS, strategy="off_peak", owners={"timed": 0.5})
    first = begins(found)
    assert 0 < sum(begin == 300 for begin in first) < 12
    # A boost is an override for the day.
    found, _ = powers(*ROWS, strategy="off_peak", owners={"boost_probability": 1.0})
    assert begins(found) == [300] * 12


def test_every_day_has_its_own_delay():
    model = V2GModel(small_paper(strategy="off_peak", horizon={"days": 2}))
    first = model.fleet.delay_draw.copy()
    model.run()
    assert not (model.fleet.delay_draw == first).any()
    assert ((model.fleet.delay_draw >= 0) & (model.fleet.delay_draw < 1)).all()


# --- throttling, prices ---------------------------------------------------------------------------


def test_throttling_leaves_a_share_of_the_rating():
    found, _ = powers({**ROW, "arrival_min": 200}, strategy="throttling")
    assert (found[200:240] == 11.0).all()
    assert (found[240:480] == 5.5).all()
    assert (found[480:500] == 11.0).all()
    found, _ = powers(ROW, strategy="throttling", throttling={"share": 0.0})
    assert begins(found) == [480]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_some_owners_go_by_the_price(share):
    cheap = {"night": {"start": "0:00", "end": "6:00", "price": 0.05}}
    fields = {"tariff": {"time_of_use": cheap}, "by_price": {"charge_below": 0.06}}
    spec = {"rule": "by_price", "admission": "by_price"}
    rows = [{**row, "capacity_kwh": 20.0} for row in ROWS]
    found, model = powers(*rows, strategy=spec, owners={"timed": share}, **fields)
    late = sum(begin == 720 for begin in begins(found))
    assert late == model.fleet.timed.sum()
    assert sum(begin == 300 for begin in begins(found)) == 12 - late
    assert late / 12 == pytest.approx(share, abs=0.45 * (share % 1 > 0))


def test_groups_differ_in_how_many_go_by_the_price():
    groups = {"a": {"share": 0.5, "timed": 1.0}, "b": {"share": 0.5, "timed": 0.0}}
    fleet = V2GModel(small_paper(owners={"groups": groups})).fleet
    assert (fleet.timed == (fleet.group == 0)).all()


# --- cars -----------------------------------------------------------------------------------------


class Turns:
    def __init__(self, on, off):
        self.on, self.off = on, off

    def decide(self, fleet, broadcast, minute):
        return int((minute - 300) % (self.on + self.off) < self.on)


def under(rule, **cars):
    fields = {"strategy": "uncoordinated", "requirement": {"kind": "energy_balanced"}}
    model = V2GModel(scenario(ROW, **fields, ev={"cars": cars}))
    model.home.rule = rule
    found = np.zeros(model.clock.n_steps)
    while not model.clock.finished:
        step = model.clock.step
        model.step()
        found[step] = model.fleet.p_kw[0]
    return found, model


def test_who_cannot_pause_goes_on_at_six_amp():
    found, _ = under(Turns(10, 20), cannot_pause=1.0)
    assert (found[300:310] == 11.0).all()
    assert (found[310:330] == 4.14).all()
    assert found[330] == 11.0
    # Not before it has begun.
    found, _ = under(Turns(0, 10), cannot_pause=1.0)
    assert not found.any()


def test_who_does_not_wake_up_stays_asleep():
    found, model = under(Turns(10, 15), does_not_wake=1.0)
    assert found[325] == 11.0
    assert not model.fleet.asleep.any()
    found, model = under(Turns(10, 16), does_not_wake=1.0)
    assert (found[300:310] == 11.0).all()
    assert not found[310:].any()
    assert model.fleet.asleep.all()
    assert model.results.kpis["evs_short"] == 1
    found, _ = under(Turns(10, 16), does_not_wake=1.0, wakes_within_min=30.0)
    assert found[326] == 11.0


def test_six_amp_on_one_phase_and_on_three():
    rows = [ROW, {**ROW, "ev_id": "b", "p_max_kw": 7.4}, {**ROW, "ev_id": "c", "p_max_kw": 1.0}]
    fleet = V2GModel(scenario(*rows, ev={"cars": {"needs_six_amp": 1.0}})).fleet
    assert sorted(fleet.min_charge_kw) == [1.38, 1.38, 4.14]
    fleet = V2GModel(scenario(*rows, ev={"min_charge_kw": 2.0})).fleet
    assert sorted(fleet.min_charge_kw) == [2.0, 2.0, 2.0]


def test_shares_of_cars_are_drawn_each_by_itself():
    cars = {"cannot_pause": 0.5, "does_not_wake": 0.5, "needs_six_amp": 0.5}
    fleet = V2GModel(small_paper(fleet={"evs_per_zone": 20}, ev={"cars": cars})).fleet
    drawn = [getattr(fleet, name) for name in cars]
    assert all(110 < column.sum() < 190 for column in drawn)
    assert 40 < (drawn[0] & drawn[1]).sum() < 110
    assert not (drawn[0] == drawn[1]).all()


GIVEN = {"timed": 0.5, "v2g_participation": 0.5, "own_threshold": {"low": 0.2, "high": 0.5}}
INSISTS = {"cannot_pause": 0.5, "does_not_wake": 0.5, "needs_six_amp": 0.5}


def by_name(model):
    """What owner and car are, of each row, by the name of the EV."""
    fleet, found = model.fleet, {}
    for row in range(fleet.n):
        names = ("timed", "v2g", "soc_min", *INSISTS)
        traits = tuple(getattr(fleet, name)[row].item() for name in names)
        found.setdefault((int(fleet.feeder[row]), fleet.ev_id(row)), set()).add(traits)
    return found


def test_an_ev_is_the_same_on_all_its_dates():
    def drawn(days):
        fields = {"owners": GIVEN, "ev": {"cars": INSISTS, "discharger_kw": 0.0}}
        fields |= {"requirement": {"kind": "energy_balanced"}, "horizon": {"days": days}}
        fleet = {"evs_per_zone": 2, "stays": {}}
        return by_name(V2GModel(Scenario(**fields, fleet=fleet), seed=[1, 2]))

    three, five = drawn(3), drawn(5)
    assert all(len(traits) == 1 for traits in three.values())
    assert len(three) == 60
    assert len(set.union(*three.values())) > 8
    # However many dates there are.
    assert three == five


def test_an_ev_of_a_file_is_the_same_in_all_its_stays():
    rows = [
        {**ROW, "ev_id": name, "arrival_min": start, "departure_min": start + 200}
        for start in (300, 600, 900)
        for name in "abcdefgh"
    ]
    fields = {"owners": GIVEN, "ev": {"cars": INSISTS}}
    found = by_name(V2GModel(scenario(*rows, **fields)))
    assert all(len(traits) == 1 for traits in found.values())
    assert len(set.union(*found.values())) > 3
    assert by_name(V2GModel(scenario(*rows[::-1], **fields))) == found


def test_what_an_ev_decides_is_held_against_its_own_charger():
    class Little(EV):
        def decide(self):
            return 0.8

    rows = [{**ROW, "p_max_kw": 0.5}, {**ROW, "ev_id": "b"}]
    model = V2GModel(scenario(*rows, ev={"min_charge_kw": 1.38}), ev_class=Little)
    for _ in range(302):
        model.step()
    of_a, of_b = model.fleet.p_kw[model.fleet.row_of]
    # 0.5 kW is all that the one charger has; the other cannot be set to less than 1.38.
    assert (of_a, of_b) == (0.5, 0.0)


# --- the KPI --------------------------------------------------------------------------------------


def test_overloads_are_spells_of_quarters_of_an_hour():
    """Two EVs of 500 kW, 30 min each, on top of a base demand far below the limit."""
    big = {"capacity_kwh": 1000.0, "p_max_kw": 500.0, "soc_arrival": 0.5, "soc_target": 1.0}
    rows = [
        {**ROW, **big, "arrival_min": start, "departure_min": start + 30, "ev_id": str(start)}
        for start in (300, 600)
    ]
    quiet = {"base_load": {"scale": 0.01}, "grid": {"demand_limit_mw": 0.4}}
    _, model = powers(*rows, strategy="uncoordinated", **quiet)
    kpis = model.results.kpis
    assert (kpis["overload_hours"], kpis["overloads"]) == (1.0, 2)
