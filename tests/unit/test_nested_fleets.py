"""EVs of a lower share of customers are among those of a higher one."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from abm import InputError, Scenario
from abm.fleet import Population
from abm.fleet.stays import Stays, no_stays
from abm.grid.phase_flow import Terminals
from abm.grid.points import Points
from abm.scenario.phase_fields import ConnectionSection

SEEDS = (3, 11)
ANY = {"grid": {"feeder": "cigre_mv"}}
GROUPS = {
    "early": {"share": 0.4, "arrival": {"low": "14:00", "high": "16:00"}},
    "late": {"share": 0.6, "boost_probability": 0.5, "v2g_participation": 0.7},
}
MEASURED = {
    "weekday": {
        "sessions_per_day": 0.7,
        "arrival_h": {"low": 15.0, "high": 23.0},
        "duration_h": {"low": 2.0, "high": 14.0},
        "energy_kwh": {"low": 2.0, "high": 40.0},
    }
}


def people(share, drawn=None, **fields) -> Population:
    fleet = {"evs_per_customer": share, **fields.pop("fleet", {})}
    if drawn is not None:
        fleet["drawn_per_customer"] = drawn
    scenario = Scenario.load("cigre_mv").override(fleet=fleet, **fields)
    return Population(scenario, scenario.inputs.feeder.n_zones, SEEDS)


def by_place(stays: Stays) -> dict:
    """Everything of each EV and date by feeder, zone and number within the zone."""
    found, seen = {}, {}
    columns = [name for name in vars(stays) if name != "names"]
    for row in range(len(stays)):
        place = int(stays.feeder[row]), int(stays.zone[row])
        number = seen[place] = seen.get(place, -1) + 1
        found[(*place, number)] = tuple(getattr(stays, name)[row].item() for name in columns)
    return found


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"owners": {"groups": GROUPS}},
        {"fleet": {"stays": MEASURED}, "clock": {"hours": 30}},
        {"horizon": {"days": 2}, "clock": {"hours": 24}},
    ],
)
def test_the_evs_of_a_lower_share_are_among_those_of_a_higher_one(fields):
    shares = (0.02, 0.05, 0.05, 0.1)
    day = fields.get("horizon", {}).get("days", 1) - 1
    sets = []
    for share in shares:
        own = {key: dict(value) for key, value in fields.items()}
        population = people(share, 0.1, **own)
        soc = np.full(population.n, 0.8) if day else None
        sets.append(by_place(population.stays(day, soc)))
    for lower, higher in pairwise(sets):
        assert lower.items() <= higher.items()
    assert len(sets[0]) < len(sets[1]) == len(sets[2]) < len(sets[3])


def test_as_many_drawn_as_are_there_is_what_it_always_was():
    plain, same = people(0.05).stays(), people(0.05, 0.05).stays()
    for name, values in vars(plain).items():
        if name != "names":
            np.testing.assert_array_equal(values, getattr(same, name))


def test_without_a_number_that_is_drawn_later_zones_are_others():
    lower, higher = (by_place(people(share).stays()) for share in (0.05, 0.1))
    assert not lower.items() <= higher.items()


def test_fewer_drawn_than_are_there_are_refused():
    with pytest.raises(InputError, match=r"drawn_per_customer = 0.1.*at least the 0.25"):
        Scenario.load("cigre_mv").override({"fleet.drawn_per_customer": 0.1})
    with pytest.raises(InputError, match=r"drawn_per_customer = 1.*left out without"):
        Scenario(fleet={"drawn_per_customer": 1})


def test_chargers_of_a_lower_share_are_on_the_same_phases():
    """Two zones of three homes with three phases each, of which the first n have an EV."""
    homes = np.arange(6)
    terminals = Terminals(
        np.repeat(homes, 3), np.tile(np.arange(3), 6), np.full(18, -1), np.full(18, 1 / 3)
    )
    points, of_zone = Points.of(terminals), (homes[:3], homes[3:])

    def hung(n):
        drawn = replace(no_stays(), names=None, feeder=np.zeros(2 * n, dtype=np.int64))
        drawn = replace(drawn, zone=np.repeat([0, 1], n))
        section = ConnectionSection(phase="balanced")
        return set(points.of_stays(drawn, of_zone, section, [5], np.zeros(6, int)).tolist())

    sets = [hung(n) for n in (1, 2, 3)]
    assert [len(one) for one in sets] == [2, 4, 6]
    assert sets[0] < sets[1] < sets[2]
    # Three chargers of a zone are on three phases.
    assert sorted((point - 4 * (point // 4)) for point in sets[2]) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("customers", [[1.0] * 55, [3.0] * 20 + [7.0], [40.0] * 15])
def test_alike_zones_have_together_what_the_share_asks_for(customers):
    customers, before = np.array(customers), 0
    for share in np.arange(0.0, 1.0001, 0.05):
        evs = Scenario(fleet={"evs_per_customer": share}, **ANY).fleet.evs_of(customers)
        assert (np.abs(evs - share * customers) < 1.0).all()
        for each in np.unique(customers):
            alike = customers == each
            assert abs(evs[alike].sum() - share * each * alike.sum()) < 0.5 + 1e-9
        assert (evs >= before).all()
        before = evs
    assert (before == customers).all()


def test_a_zone_like_no_other_is_rounded_to_the_nearest():
    customers = np.array([334.0, 288.0, 485.0, 365.0, 391.0, np.nan])
    fleet = Scenario(fleet={"evs_per_customer": 0.25}, **ANY).fleet
    assert fleet.evs_of(customers).tolist() == [84, 72, 121, 91, 98, 0]
