"""Owners: groups, habits, days in a row, learning; each behaviour by a case that can be counted."""

import itertools

import numpy as np
import pytest
from helpers import ev, run, same, scenario

from abm import EV, InputError, Scenario, V2GModel
from abm.fleet import Population
from abm.fleet.owners import LearningOwners
from abm.fleet.population import DAY_MIN

ZONES = 15


def paper(**fields):
    own = {"fleet.evs_per_zone": 10, **fields}
    return Scenario.load("paper_balanced").override(own, trust=True)


def stays(fields, day=0, soc=None, seeds=(1,)):
    return Population(paper(**fields), ZONES, seeds).stays(day, soc)


def test_without_owners_the_fleet_is_that_of_table_i():
    told = stays({})
    assert told.plugs_in.all()
    assert told.v2g.all()
    assert not told.boost.any()
    assert same(told.announced_min, told.departure_min)
    assert set(told.soc_min) == {0.2}


# --- groups ------------------------------------------------------------------------------------

GROUPS = {
    "owners.groups": {
        "early": {"share": 0.3, "arrival": {"low": "13:00", "high": "15:00"}, "charger_kw": 11.0},
        "late": {"share": 0.5, "soc_arrival": {"low": 0.1, "high": 0.1}},
        "big": {"share": 0.2, "capacity": {"unit_kwh": 10.0, "low": 8, "high": 8}},
    }
}


def test_groups_have_their_share_and_their_own_distributions():
    found, plain = stays(GROUPS), stays({})
    assert np.bincount(found.group).tolist() == [45, 75, 30]
    early, late, big = (found.group == g for g in range(3))
    assert found.arrival_min[early].max() <= 180
    assert set(found.p_max_kw[early]) == {11.0}
    assert set(found.soc_arrival[late]) == {0.1}
    assert set(found.capacity_kwh[big]) == {80.0}
    # What a group leaves out is as for everybody, EV by EV.
    assert same(found.arrival_min[late | big], plain.arrival_min[late | big])
    assert same(found.capacity_kwh[early | late], plain.capacity_kwh[early | late])
    assert same(found.soc_target, plain.soc_target)


def test_a_feeder_has_the_same_groups_alone_and_in_a_batch():
    both, alone = stays(GROUPS, seeds=(1, 2)), stays(GROUPS, seeds=(2,))
    assert same(both.group[150:], alone.group)
    assert same(both.arrival_min[150:], alone.arrival_min)
    assert not same(both.group[:150], both.group[150:])


def test_the_table_of_groups_adds_up():
    results = run(paper(**GROUPS, strategy="evms")).results
    table = results.groups.set_index("group")
    assert table["evs"].to_dict() == {"early": 45, "late": 75, "big": 30}
    assert table["charged_kwh"].sum() == pytest.approx(results.kpis["ev_charged_mwh"] * 1e3)
    assert results.ev["group"].value_counts().to_dict() == table["evs"].to_dict()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"owners.groups": {"a": {"share": 0.5}}}, "add up to 1; these add up to 0.5"),
        ({"owners.groups": {"a": {"share": 1.5}}}, "at most 1"),
        (
            {"owners.groups": {"a": {"share": 1.0, "sharee": 2}}},
            "'owners.groups.a.share'",
        ),
        ({"owners.groups": {"a": {}}}, "missing"),
        ({"owners.groups": {"a": {"share": 1.0, "boost_probability": 2}}}, "at most 1"),
        ({"owners.trip.distance_km.low": 200.0}, "at most owners.trip.distance_km.high"),
        ({"owners.plug_in.habit": "sometimes"}, "every_day, below_soc, probability"),
        ({"owners.behaviour": "nonsense"}, "module:Class"),
        ({"horizon.days": 2, "clock.hours": 48}, "24 where horizon.days = 2"),
        ({"owners.learning.graph": "zone"}, "off where horizon.days is 1"),
        ({"horizon.days": 2, "owners.learning.graph": "edges"}, "edges only with a CSV file"),
        (
            {"horizon.days": 2, "owners.weekend": {"departure": {"low": "9:00", "high": "14:00"}}},
            "inside each day's 1440 min",
        ),
    ],
)
def test_owners_that_cannot_be_are_refused(fields, said):
    with pytest.raises(InputError, match=said):
        paper(**fields)


# --- habits ------------------------------------------------------------------------------------


def test_who_plugs_in_only_below_a_soc():
    found = stays({"owners.plug_in": {"habit": "below_soc", "soc": 0.4}})
    assert same(found.plugs_in, found.soc_arrival < 0.4)
    model = run(paper(**{"owners.plug_in": {"habit": "below_soc", "soc": 0.4}}))
    away = ~model.fleet.plugs_in
    assert 0 < away.sum() < model.fleet.n
    assert not model.fleet.charged_kwh[away].any()
    assert np.isnan(model.fleet.soc_departure[away]).all()
    assert model.results.kpis["stays"] == (~away).sum()


def test_who_plugs_in_with_a_probability():
    none, half, every = (
        stays({"owners.plug_in": {"habit": "probability", "probability": p}}).plugs_in.mean()
        for p in (0.0, 0.5, 1.0)
    )
    assert (none, every) == (0.0, 1.0)
    assert 0.35 < half < 0.65


def test_who_takes_no_part_is_never_discharged():
    results = run(paper(**{"owners.v2g_participation": 0.4}, strategy="evms")).results
    table = results.ev
    assert 0.25 < table["v2g"].mean() < 0.55
    assert (table.loc[~table["v2g"], "discharged_kwh"] == 0.0).all()
    assert (table.loc[table["v2g"], "discharged_kwh"] > 0.0).any()
    assert results.kpis["v2g_share"] == pytest.approx(table["v2g"].mean())


def test_range_anxiety_is_a_threshold_of_ones_own_above_the_fleets():
    anxious = {"owners.own_threshold": {"low": 0.1, "high": 0.7}, "strategy": "evms"}
    model = run(paper(**anxious))
    fleet = model.fleet
    assert fleet.soc_min.min() == 0.2
    assert fleet.soc_min.max() > 0.5
    gave = fleet.discharged_kwh > 0.0
    assert gave.any()
    assert (fleet.soc_arrival[gave] > fleet.soc_min[gave]).all()
    assert (
        model.results.kpis["ev_discharged_mwh"]
        < run(paper(strategy="evms")).results.kpis["ev_discharged_mwh"]
    )


@pytest.mark.parametrize("strategy", ["evms", "evms_herd", "evms_guaranteed"])
def test_a_boost_charges_at_once_whatever_is_asked(strategy):
    # The limit is below the base demand: without a boost nobody may charge at 20:00.
    row = ev(arrival=480, departure=1200, soc=0.5, target=0.8)
    fields = {"strategy": strategy, "grid": {"demand_limit_mw": 1.0}}
    boosted = scenario(row, **fields, owners={"boost_probability": 1.0})
    assert run(scenario(row, **fields)).results.kpis["ev_discharged_mwh"] > 0.0
    results = run(boosted).results
    power = results.zone_minute.query("zone == 1")["charge_kw"].to_numpy()
    need_min = 0.3 * 40 * 0.85 / 0.98 / 5.4 * 60
    assert np.flatnonzero(power)[0] == 480
    assert np.count_nonzero(power) == np.ceil(need_min)
    assert results.kpis["ev_discharged_mwh"] == 0.0 or strategy != "evms"
    assert results.kpis["boosts"] == 1


def test_a_boost_takes_its_part_of_the_headroom():
    rows = [ev(f"ev{i}", zone=1 + i, arrival=960, departure=1200) for i in range(4)]
    fields = {"strategy": {"rule": "g2v_only", "admission": "first_come"}}
    base = Scenario().inputs
    demand = V2GModel(scenario(*rows)).grid.base_mw[16, 0]
    assert base.feeder.n_zones == ZONES
    fields["grid"] = {"demand_limit_mw": float(demand) + 0.011}  # room for two chargers of 5.4 kW

    class Boosting(EV):
        def decide(self):
            self.boost = 1
            return self.requested

    model = V2GModel(scenario(*rows, **fields), ev_class={"ev3": Boosting}).run()
    power = model.results.zone_minute.pivot(index="minute", columns="zone", values="charge_kw")
    assert power.loc[962, 4] == pytest.approx(5.4)
    assert power.loc[962].sum() == pytest.approx(2 * 5.4)


def test_who_is_late_comes_later_and_leaves_as_planned():
    late, plain = stays({"owners.late_return": {"probability": 0.5}}), stays({})
    by = late.arrival_min - plain.arrival_min
    assert 0.3 < (by > 0).mean() < 0.7
    assert by[by > 0].min() >= 30
    assert by.max() <= 180
    assert same(late.departure_min, plain.departure_min)


def test_an_early_departure_is_not_announced_and_its_missing_energy_is_counted():
    # 12 kWh at 5 kW and efficiency 1 take 144 min; leaving an hour early leaves 84 of them.
    row = ev(arrival=960, departure=1104, soc=0.5, target=0.8, p_max_kw=5.0, efficiency=1.0)
    early = {"early_departure": {"probability": 1.0, "early_h": {"low": 1.0, "high": 1.0}}}
    fields = {"strategy": "uncoordinated", "requirement": {"kind": "energy_balanced"}}
    model = run(scenario(row, **fields, owners=early))
    kpis = model.results.kpis
    assert model.fleet.departure_min[0] == 1044
    assert model.fleet.announced_min[0] == 1104
    assert kpis["energy_short_kwh"] == pytest.approx(12.0 - 7.0)
    assert kpis["energy_short_early_kwh"] == kpis["energy_short_kwh"]
    assert kpis["evs_short"] == 1
    assert run(scenario(row, **fields)).results.kpis["energy_short_early_kwh"] == 0.0


def test_slack_is_counted_to_the_announced_departure():
    row = ev(arrival=960, departure=1200, soc=0.5, target=0.8, p_max_kw=5.0, efficiency=1.0)
    early = {"early_departure": {"probability": 1.0, "early_h": {"low": 1.0, "high": 1.0}}}
    model = V2GModel(scenario(row, owners=early, requirement={"kind": "energy_balanced"}))
    model.fleet.plug_in(np.array([0]), 960.0)
    model.fleet.assess()
    assert model.fleet.laxity_min(960.0)[0] == pytest.approx(1200 - 960 - 144)


# --- a behaviour of one's own ------------------------------------------------------------------


class Sleepers:
    """Plug in at 22:00 whatever the hour of coming home."""

    def __init__(self, at_min=600.0):
        self.at_min = at_min

    def plan(self, plan, rng):
        plan.arrival_min[:] = np.maximum(plan.arrival_min, self.at_min)
        plan.boost[:] = rng.random(len(plan.evs)) < 0.5


class Confused:
    def plan(self, plan, rng):
        plan.arrival_min = plan.arrival_min[1:]
        plan.soc_target[:] = 2.0


class Wordy:
    def plan(self, plan, rng):
        plan.soc_target = ["most of it"] * len(plan.evs)


class AtHome:
    """Has been at home since before the day began, and stays."""

    def plan(self, plan, rng):
        plan.arrival_min[:] = -500.0
        plan.departure_min[:] = 5000.0


@pytest.mark.parametrize("days", [1, 2])
def test_who_has_been_at_home_all_along_plugs_in_when_the_day_begins(days):
    fields = {"owners.behaviour": "test_owners:AtHome", "horizon.days": days}
    model = run(paper(**fields, strategy="uncoordinated"))
    assert model.results.record.plugged_peak[0, 0] == model.fleet.n
    assert model.results.kpis["stays"] == days * model.fleet.n
    assert model.results.kpis["evs_short"] == 0


def test_a_behaviour_of_the_users_own_plans_the_day_of_its_group():
    own = {"behaviour": "test_owners:Sleepers", "behaviour_options": {"at_min": 660.0}}
    groups = {"a": {"share": 0.5, **own}, "b": {"share": 0.5}}
    found, plain = stays({"owners.groups": groups}), stays({})
    a = found.group == 0
    assert found.arrival_min[a].min() == 660
    assert same(found.arrival_min[~a], plain.arrival_min[~a])
    assert 0.3 < found.boost[a].mean() < 0.7
    assert not found.boost[~a].any()
    both = stays({"owners.groups": groups}, seeds=(5, 1))
    assert same(both.boost[150:], found.boost)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"owners.behaviour": "test_owners:Confused"}, "150 finite numbers"),
        ({"owners.behaviour": "test_owners:Wordy"}, "150 finite numbers"),
        ({"owners.behaviour": "test_owners:Nobody"}, "no attribute 'Nobody'"),
        ({"owners.behaviour": "test_owners:ev"}, "ev"),
        (
            {
                "owners.behaviour": "test_owners:Sleepers",
                "owners.behaviour_options": {"to_min": 1},
            },
            "to_min",
        ),
    ],
)
def test_a_behaviour_that_cannot_be_used_is_named(fields, said):
    with pytest.raises(InputError, match=said) as caught:
        stays(fields)
    assert all(p.field.startswith("owners.behaviour") for p in caught.value.problems)


# --- days in a row -----------------------------------------------------------------------------

NO_SPREAD = {"low": 50.0, "high": 50.0}


def test_the_soc_is_carried_over_less_the_trip():
    trip = {"owners.trip.distance_km": NO_SPREAD, "owners.trip.kwh_per_km": 0.2}
    model = run(paper(**trip, **{"horizon.days": 3}, strategy="uncoordinated"))
    days = model.meter.days
    assert len(days) == 3
    for before, after in itertools.pairwise(days):
        expected = before["soc_departure"] - 10.0 / model.fleet.capacity_kwh
        assert after["soc_arrival"] == pytest.approx(expected, abs=1e-12)
    table = model.results.days
    assert table["trip_mwh"].tolist() == pytest.approx([0.0, 1.5, 1.5])
    assert table["evs_short"].tolist() == [0, 0, 0]
    # What is driven is charged again.
    assert table["ev_charged_mwh"][2] == pytest.approx(1.5 / 0.9, rel=1e-6)


def test_a_trip_longer_than_the_battery_is_charged_elsewhere_and_counted():
    trip = {"owners.trip.distance_km": {"low": 400.0, "high": 400.0}}
    model = run(paper(**trip, **{"horizon.days": 2}, strategy="uncoordinated"))
    day = model.meter.days[1]
    left = model.meter.days[0]["soc_departure"] * model.fleet.capacity_kwh
    assert day["trip_short_kwh"] == pytest.approx(72.0 - left)
    assert day["soc_arrival"] == pytest.approx(0.0, abs=1e-12)
    assert model.results.kpis["trip_short_kwh"] == pytest.approx((72.0 - left).sum())


def test_who_did_not_plug_in_drives_on_with_what_is_left():
    fields = {
        "owners.plug_in": {"habit": "below_soc", "soc": 0.5},
        "owners.trip.distance_km": NO_SPREAD,
    }
    first, second = run(paper(**fields, **{"horizon.days": 2}, strategy="evms")).meter.days
    away = ~first["arrived"]
    assert away.any()
    assert same(second["arrived"], second["soc_arrival"] < 0.5)
    less = first["soc_arrival"][away] - second["soc_arrival"][away]
    assert less == pytest.approx(9.0 / 35.0, rel=0.5)


@pytest.mark.parametrize("strategy", ["uncoordinated", "evms", "none"])
def test_the_first_day_of_several_is_that_day_alone(strategy):
    alone = run(paper(strategy=strategy)).results
    several = run(paper(**{"horizon.days": 3}, strategy=strategy)).results
    assert several.n_hours == 72
    assert same(several.record.zone_mw[:24], alone.record.zone_mw)
    assert same(several.record.flows.vm_pu[:24], alone.record.flows.vm_pu)
    row, kpis = several.days.iloc[0], alone.kpis
    for name in ("system_peak_mw", "net_cost_usd", "evs_short", "min_vm_pu", "benefit_usd"):
        assert row[name] == pytest.approx(kpis[name], nan_ok=True), name


def test_the_days_add_up_to_the_whole():
    fields = {"horizon.days": 4, "owners.early_departure": {"probability": 0.3}}
    results = run(paper(**fields, strategy="evms")).results
    days, kpis = results.days, results.kpis
    for name in ("ev_charged_mwh", "ev_discharged_mwh", "net_cost_usd", "benefit_usd", "evs_short",
                 "energy_short_kwh", "energy_short_early_kwh", "trip_mwh", "loss_energy_mwh",
                 "stays"):  # fmt: skip
        assert days[name].sum() == pytest.approx(kpis[name]), name
    assert days["system_peak_mw"].max() == kpis["system_peak_mw"]
    stays = results.stays
    assert len(stays) == 4 * 150
    assert stays.groupby("ev_id")["charged_kwh"].sum().sum() == pytest.approx(
        kpis["ev_charged_mwh"] * 1e3
    )
    assert stays["shortfall_kwh"].sum() == pytest.approx(kpis["energy_short_kwh"])
    assert kpis["energy_balance_error_kwh"] < 1e-6


def test_weekends_have_their_own_times_and_trips():
    weekend = {
        "arrival": {"low": "20:00", "high": "22:00"},
        "departure": {"low": "10:00", "high": "11:30"},
        "trip": {"distance_km": {"low": 0.0, "high": 0.0}},
        "plug_in": {"habit": "probability", "probability": 0.0},
    }
    people = Population(
        paper(**{"horizon.days": 7, "horizon.first_day": "thursday", "owners.weekend": weekend}),
        ZONES,
        (1,),
    )
    soc = np.full(people.n, 0.9)
    week = [people.stays(day, soc if day else None) for day in range(7)]
    names = ("thu", "fri", "sat", "sun", "mon", "tue", "wed")
    of = dict(zip(names, week, strict=True))
    starts = {name: DAY_MIN * day for day, name in enumerate(names)}
    leaves = {name: of[name].departure_min.min() - starts[name] for name in names}
    # Friday night ends on a Saturday, Sunday night on a Monday.
    assert {name for name in names if leaves[name] >= 1320} == {"fri", "sat"}
    comes = {name: of[name].arrival_min.min() - starts[name] for name in names}
    assert {name for name in names if comes[name] >= 480} == {"sat", "sun"}
    assert {name for name in names if not of[name].plugs_in.any()} == {"sat", "sun"}
    assert not of["sat"].trip_kwh.any()
    assert of["mon"].trip_kwh.all()


def test_a_day_is_the_same_whatever_the_number_of_days():
    three = run(paper(**{"horizon.days": 3}, strategy="evms")).meter.days
    five = run(paper(**{"horizon.days": 5}, strategy="evms")).meter.days
    for name in three[0]:
        assert all(same(a[name], b[name]) for a, b in zip(three, five, strict=False)), name


# --- learning ----------------------------------------------------------------------------------


def learners(graph="watts_strogatz", n=10, edges=None, **more):
    fields = {f"owners.learning.{name}": value for name, value in more.items()}
    graph = {"owners.learning.graph": graph, "owners.learning.edges": edges}
    studied = paper(**{"horizon.days": 2, "fleet.evs_per_zone": n, **graph}, **fields)
    return LearningOwners(Population(studied, ZONES, (1, 2)))


@pytest.mark.parametrize("graph", ["watts_strogatz", "barabasi_albert", "zone", "alone"])
def test_neighbours_are_mutual_and_stay_on_their_feeder(graph):
    owners = learners(graph, degree=4)
    seen = owners.neighbours.toarray()
    assert (seen == seen.T).all()
    assert set(np.unique(seen)) <= {0.0, 1.0}
    assert not seen.diagonal().any()
    assert not seen[:150, 150:].any()
    mean = seen.sum(axis=1).mean()
    assert mean == (0 if graph == "alone" else pytest.approx(4, abs=0.1))
    if graph == "zone":
        zone = owners.population.stays().zone
        a, b = np.nonzero(seen[:150, :150])
        assert (zone[a] == zone[b]).all()


def test_edges_are_read_and_wrong_ones_refused(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("ev_a,ev_b\n1,2\n2,1\n2,3\n")
    seen = learners("edges", edges=str(path)).neighbours.toarray()
    pairs = sorted(zip(*np.nonzero(seen[:150, :150]), strict=True))
    assert pairs == [(0, 1), (1, 0), (1, 2), (2, 1)]
    path.write_text("ev_a,ev_b\n1,151\n2,2\n0,x\n")
    with pytest.raises(InputError) as caught:
        learners("edges", edges=str(path))
    assert len(caught.value.problems) == 4
    # Nor where the number of EVs is not known, as the feeder cannot be read.
    path.write_text("ev_a,ev_b\n1,2e30\n")
    learning = {"owners.learning.graph": "edges", "owners.learning.edges": str(path)}
    with pytest.raises(InputError) as caught:
        paper(**{"horizon.days": 2, "grid.feeder": "none", **learning})
    assert [(p.field, p.value) for p in caught.value.problems] == [
        ("grid.feeder", '"none"'),
        ("ev_b", "2e30"),
    ]


def test_beliefs_follow_what_an_owner_and_its_neighbours_saw(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("ev_a,ev_b\n1,2\n2,3\n")
    hassle = {"low": 0.5, "high": 0.5}
    owners = learners("edges", edges=str(path), memory=0.5, own_weight=2.0, hassle_usd=hassle)
    n = owners.population.n
    seen, v2g = np.ones(n, bool), np.zeros(n, bool)
    v2g[[0, 2]] = True
    benefit = np.zeros(n)
    benefit[:3] = 4.0, 1.0, 2.0
    owners.settled = v2g.copy()
    after = owners.after(0, seen, v2g, benefit)
    assert owners.belief_with[:3].tolist() == [4.0, 3.0, 2.0]
    assert owners.belief_without[:3].tolist() == [1.0, 1.0, 1.0]
    # All three see 1 $ and more in taking part; who sees only one side stays as it is.
    assert after[:3].tolist() == [True, True, True]
    assert not after[3:].any()
    benefit[:3] = 0.0, 0.0, 0.0
    after = owners.after(1, seen, after, benefit)
    assert owners.belief_with[:3].tolist() == [2.0, 1.5, 1.0]
    assert owners.belief_without[:3].tolist() == [1.0, 1.0, 1.0]
    assert after[:3].tolist() == [True, False, False]


def test_adoption_spreads_when_it_pays_and_collapses_when_it_does_not():
    fields = {
        "horizon.days": 12,
        "owners.v2g_participation": 0.5,
        "owners.learning.graph": "watts_strogatz",
        "owners.learning.hassle_usd": {"low": 0.0, "high": 0.0},
    }
    share = {}
    for name, more in {
        "pays": {"tariff.sale_ratio": 5.0},
        "wears": {"owners.learning.wear_usd_per_kwh": 5.0},
    }.items():
        days = run(paper(**fields, **more, strategy="evms")).results.days
        share[name] = days["v2g_share"].tolist()
    assert share["pays"][-1] > 0.9
    assert share["wears"][-1] < 0.1
    assert share["pays"][0] == share["wears"][0]


def test_a_trial_lasts_a_day():
    owners = learners("alone", trial_probability=0.2)
    n = owners.population.n
    nobody = np.zeros(n, bool)
    first = owners.after(0, nobody, nobody, np.zeros(n))
    assert 0.1 < (first != owners.settled).mean() < 0.3
    assert owners.settled.all()
