"""Physics that holds whatever is changed by hand in a run that is watched."""

from contextlib import suppress

import numpy as np
import pytest
from helpers import small_paper
from hypothesis import given, settings
from hypothesis import strategies as st

from abm import InputError
from abm.watch.session import Session

STRATEGIES = ("evms", "evms_herd", "coordinated", "uncoordinated", "dimming")
PERCENT = st.integers(0, 100)
CHANGE = st.fixed_dictionaries(
    {},
    optional={
        "departure": st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59)),
        "soc_target": PERCENT,
        "soc_min": PERCENT,
        "v2g": st.booleans(),
        "boost": st.booleans(),
    },
)
BY_HAND = st.tuples(st.just("ev"), st.integers(0, 29), CHANGE)
SLIDER = st.tuples(st.just("limit"), st.integers(155, 465).map(lambda n: n / 100), st.none())
# Most of an evening and a night passes between two changes.
ACTS = st.lists(st.tuples(st.integers(1, 240), BY_HAND | SLIDER), min_size=2, max_size=8)


def check(model, since):
    """Energy, bounds and stays of one model; since: charged, discharged and SoC of before."""
    fleet = model.fleet
    charged, discharged, soc, arrived = since
    moved = fleet.efficiency * (fleet.charged_kwh - charged)
    moved -= (fleet.discharged_kwh - discharged) / fleet.efficiency
    came_with = np.where(arrived, soc, fleet.soc_arrival)
    stored = fleet.capacity_kwh * (fleet.soc - came_with)
    there = fleet.arrived
    # A battery has what was put into it, less what was taken out, efficiency both ways.
    np.testing.assert_allclose(stored[there], moved[there], atol=1e-9)
    assert (moved[~there] == 0.0).all()
    assert ((fleet.soc >= -1e-12) & (fleet.soc <= 1.0 + 1e-12))[there].all()
    # No charger beyond its rating, none without an EV.
    assert (fleet.p_kw <= fleet.p_max_kw + 1e-9).all()
    assert (fleet.p_kw >= -fleet.p_discharge_kw - 1e-9).all()
    assert (fleet.p_kw[~fleet.plugged] == 0.0).all()
    assert ((fleet.charged_kwh >= charged) & (fleet.discharged_kwh >= discharged)).all()
    # Who is plugged in has come and has not yet to leave; who has left stays as it was.
    now = model.minute
    assert (fleet.arrival_min[fleet.plugged] <= now).all()
    assert (fleet.departure_min[fleet.plugged] >= now - 1.0).all()
    gone = ~np.isnan(fleet.soc_departure)
    np.testing.assert_array_equal(fleet.soc[gone], fleet.soc_departure[gone])
    assert fleet.n_plugged == fleet.plugged.sum() == fleet.plugged_count.sum()


@given(st.sampled_from(STRATEGIES), ACTS)
def test_physics_holds_under_changes_by_hand(strategy, acts):
    session = Session(small_paper(strategy=strategy))
    model = session.lanes[0].model
    fleet = model.fleet

    def state():
        columns = (fleet.charged_kwh, fleet.discharged_kwh, fleet.soc, fleet.arrived)
        return tuple(column.copy() for column in columns)

    session.walk_to(400)
    for minutes, (what, which, wanted) in acts:
        before = state()
        session.walk_to(session.view.minute + minutes)
        check(model, before)
        if what == "limit":
            session.change("grid.demand_limit_mw", which)
            continue
        now = fleet.soc.copy()
        with suppress(InputError):  # it has left, or would leave after the end
            session.change_ev(which, wanted)
        # Writing what an owner wants moves no energy by itself.
        np.testing.assert_array_equal(fleet.soc, now)
    before = state()
    session.walk_to(1440)
    check(model, before)
    # What the feeder saw is what the batteries and the losses took.
    net_kwh = fleet.charged_kwh.sum() - fleet.discharged_kwh.sum()
    assert 1e3 * np.nansum(session.lanes[0].ev_mw) / 60.0 == pytest.approx(net_kwh, abs=1e-6)
    assert 1e3 * model.results.ev_mw.sum() == pytest.approx(net_kwh, abs=1e-6)
    assert not fleet.plugged.any() or (fleet.departure_min[fleet.plugged] > 1440.0).all()


@settings(max_examples=10)
@given(st.integers(400, 900), st.integers(0, 29))
def test_nobody_gives_below_a_threshold_that_was_set_by_hand(minute, index):
    session = Session(small_paper(strategy="evms"))
    session.walk_to(minute)
    vehicle = session.lanes[0].model.evs[index]
    try:
        session.change_ev(index, {"soc_min": 55, "v2g": True})
    except InputError:
        return  # it has left
    soc, given_kwh = vehicle.soc, vehicle.discharged_kwh
    session.walk_to(1440)
    if vehicle.discharged_kwh > given_kwh and soc <= 0.55:
        # It gives what it has come with or been charged beyond the threshold, and no more.
        assert max(vehicle.soc, vehicle.soc_departure) >= 0.55 - 1e-9


@settings(max_examples=10)
@given(st.integers(560, 800), st.integers(0, 29), st.integers(1, 300))
def test_who_is_told_to_leave_has_left_by_then(minute, index, later):
    session = Session(small_paper(strategy="evms"))
    session.walk_to(minute)
    model = session.lanes[0].model
    vehicle = model.evs[index]
    leaves = max(model.minute, vehicle.arrival_min) // 1 + later
    try:
        said = session.change_ev(index, {"departure": model.clock_time(leaves)})
    except InputError:
        return  # it has left
    if said != "nothing was changed":
        assert model.clock_time(vehicle.departure_min) == model.clock_time(leaves)
        session.walk_to(vehicle.departure_min + 1)
        assert not vehicle.plugged
