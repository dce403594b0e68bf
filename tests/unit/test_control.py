"""Eq. (13), the admissions and the registry, on fleets of a few EVs in plain numbers."""

import sys

import numpy as np
import pytest
from helpers import ev, run, scenario
from hypothesis import given
from hypothesis import strategies as st

from abm.control import (
    ADMISSION_CLASSES,
    RULE_CLASSES,
    AllAtOnce,
    BelowLimit,
    CoordinatedAdmission,
    CoordinatedRule,
    Dimming,
    Eq13,
    FirstCome,
    G2VOnly,
    LeastLaxity,
    MPCRule,
    OffPeak,
    OperatingEnvelopes,
    Throttling,
    make_admission,
    make_rule,
    split_by_largest_remainder,
)
from abm.errors import InputError
from abm.fleet import Fleet, Mode, Stays
from abm.fleet.stays import as_told
from abm.scenario import Scenario
from abm.scenario.fleet_fields import Requirement
from abm.scenario.names import ADMISSIONS, RULES, STRATEGIES
from abm.signals import Broadcast

LETTER = {Mode.V2G: "V", Mode.IDLE: "-", Mode.G2V: "G"}


def fleet_of(*evs, kind="energy_balanced", n_feeders=1, n_zones=2):
    """EVs plugged in: 40 kWh, wanting 0.8, 6 kW both ways, no losses, gone after 600 min."""
    usual = {
        "feeder": 0, "zone": 0, "arrival_min": 0, "departure_min": 600, "capacity_kwh": 40,
        "soc_arrival": 0.5, "soc_target": 0.8, "p_max_kw": 6, "p_discharge_kw": 6, "efficiency": 1,
        "soc_min": 0.2,
    }  # fmt: skip
    columns = {
        name: np.array([e.get(name, value) for e in evs], dtype=np.float64)
        for name, value in usual.items()
    }
    columns |= {name: columns[name].astype(np.int64) for name in ("feeder", "zone")}
    columns["announced_min"] = columns["departure_min"]
    stays = Stays(names=None, **columns, **as_told(len(evs)))
    fleet = Fleet(stays, n_zones, n_feeders, Requirement(kind=kind), 1 / 60)
    fleet.plug_in(np.arange(fleet.n), 0.0)
    for name in ("has_charged", "mode"):
        getattr(fleet, name)[fleet.row_of] = [e.get(name, 0) for e in evs]
    fleet.assess()
    return fleet


def told(fleet, *headroom_kw, limit_mw=3.0):
    room = np.array(headroom_kw) / 1e3
    none = np.full(len(room), np.nan)
    limit = np.full(len(room), limit_mw)
    return Broadcast(0, 12, 0.2, limit - room, limit, room, none, fleet.feeder)


def letters(fleet, modes):
    """One letter per EV, in the order in which they were given to fleet_of."""
    modes = np.broadcast_to(modes, fleet.n)[fleet.row_of]
    return "".join(LETTER[Mode(int(mode))] for mode in modes)


def admitted(admission, fleet, broadcast, request=1, minute=0.0):
    asked = np.broadcast_to(np.int8(request), fleet.n)
    if np.ndim(request):
        asked = np.array(request, dtype=np.int8)[fleet.stay_index]
    return letters(fleet, admission.admit(fleet, fleet.possible(asked), broadcast, minute))


# --- rules -------------------------------------------------------------------------------------

# EVs: at the threshold, below it, above it, and above it having begun to charge.
STANDS = (
    {"soc_arrival": 0.2},
    {"soc_arrival": 0.1},
    {"soc_arrival": 0.5},
    {"soc_arrival": 0.5, "has_charged": True},
)
# told to discharge, one_discharge_per_stay, charge_above_threshold -> what the four ask for
TRUTH = {
    (True, True, True): "GGVG",
    (True, True, False): "GGVG",
    (True, False, True): "GGVV",
    (True, False, False): "GGVV",
    (False, True, True): "GGGG",
    (False, True, False): "GG-G",
    (False, False, True): "GGGG",
    (False, False, False): "GG-G",
}
# v2g_when -> told to discharge with demand above, at and below the limit
TOLD = {
    "at_or_above_limit": (True, True, False),
    "below_limit": (False, False, True),
    "always": (True, True, True),
}


@pytest.mark.parametrize("v2g_when", TOLD)
@pytest.mark.parametrize("options", sorted({key[1:] for key in TRUTH}))
@pytest.mark.parametrize("headroom_kw", [-100.0, 0.0, 100.0])
def test_eq13_truth_table(v2g_when, options, headroom_kw):
    fleet = fleet_of(*STANDS)
    discharge = TOLD[v2g_when][(-100.0, 0.0, 100.0).index(headroom_kw)]
    found = Eq13(v2g_when, *options).decide(fleet, told(fleet, headroom_kw), 0.0)
    assert letters(fleet, found) == TRUTH[(discharge, *options)]


def test_eq13_tells_each_feeder_for_itself():
    fleet = fleet_of({"feeder": 0}, {"feeder": 1}, n_feeders=2)
    assert letters(fleet, Eq13().decide(fleet, told(fleet, 50.0, -50.0), 0.0)) == "GV"


def test_eq13_refuses_an_unknown_option():
    with pytest.raises(ValueError, match="at_or_above_limit"):
        Eq13(v2g_when="sometimes")


def test_g2v_only_always_charges():
    fleet = fleet_of(*STANDS)
    assert letters(fleet, G2VOnly().decide(fleet, told(fleet, -100.0), 0.0)) == "GGGG"


def test_what_an_ev_cannot_do_is_taken_out():
    fleet = fleet_of({"soc_arrival": 0.9}, {"soc_arrival": 0.1}, {})
    fleet.unplug(np.array([fleet.row_of[2]]))
    fleet.assess()
    assert letters(fleet, fleet.possible(np.int8([1]))) == "-G-"
    assert letters(fleet, fleet.possible(np.int8([-1]))) == "V--"


# --- admissions --------------------------------------------------------------------------------


@pytest.mark.parametrize("headroom_kw", [-100.0, 0.0, 100.0])
def test_all_at_once_serves_everyone(headroom_kw):
    fleet = fleet_of({}, {}, {})
    assert admitted(AllAtOnce(), fleet, told(fleet, headroom_kw), [1, -1, 0]) == "GV-"


@pytest.mark.parametrize(("headroom_kw", "found"), [(-1.0, "V-"), (0.0, "V-"), (0.1, "VG")])
def test_below_limit_opens_for_everyone_or_for_nobody(headroom_kw, found):
    fleet = fleet_of({}, {})
    assert admitted(BelowLimit(), fleet, told(fleet, headroom_kw), [-1, 1]) == found


def test_below_limit_looks_at_the_ev_s_own_feeder():
    fleet = fleet_of({"feeder": 0}, {"feeder": 1}, n_feeders=2)
    assert admitted(BelowLimit(), fleet, told(fleet, 0.0, 1.0)) == "-G"


def at(arrival, zone=0, **more):
    return {"arrival_min": arrival, "zone": zone, "departure_min": 600, **more}


FIRST_COME = {
    # 3 chargers for 3 + 1 waiting: quotas 2.25 and 0.75, so 2 and 1; the earliest two of zone 0
    "split over zones": ([at(30), at(10), at(20), at(25, 1)], 18.5, "-GGG"),
    # 2 chargers for 2 + 2: one each, though both of zone 0 came first
    "fair over zones": ([at(1), at(2), at(3, 1), at(4, 1)], 12.0, "G-G-"),
    "no room": ([at(1)], 5.9, "-"),
    "above the limit": ([at(1)], -50.0, "-"),
    "room for all": ([at(1), at(2, 1)], 99.0, "GG"),
    # who charges keeps charging, whoever came before
    "keeps": ([at(1), at(2), at(3, mode=1)], 6.0, "--G"),
    "keeps, room for one more": ([at(1), at(2), at(3, mode=1)], 12.0, "G-G"),
    # the room shrinks: the earliest of those who charge stay
    "shrinks": ([at(3, mode=1), at(2, mode=1), at(1)], 6.0, "-G-"),
    "shrinks to nothing": ([at(3, mode=1), at(2, mode=1)], 3.0, "--"),
    # 10 kW hold one 7 kW charger; the 3 kW left over go to the next in line who fits in turn
    "left over": ([at(1, p_max_kw=7), at(2, p_max_kw=3), at(3, p_max_kw=3)], 10.0, "GG-"),
}


@pytest.mark.parametrize(("evs", "room", "found"), FIRST_COME.values(), ids=FIRST_COME)
def test_first_come(evs, room, found):
    fleet = fleet_of(*evs)
    assert admitted(FirstCome(), fleet, told(fleet, room)) == found


def test_first_come_grants_every_discharge_and_uses_each_feeder_s_own_room():
    fleet = fleet_of({"feeder": 0}, {"feeder": 1}, {"feeder": 1}, n_feeders=2)
    assert admitted(FirstCome(), fleet, told(fleet, 0.0, 6.0), [1, 1, -1]) == "-GV"


def test_split_by_largest_remainder_by_hand():
    # 5 chargers for 3 + 2 + 2: quotas 2.14, 1.43, 1.43; whole 2, 1, 1; the tie goes to zone 2
    # 9 chargers for 1 + 0 + 4: everyone; no chargers: nobody
    shares = split_by_largest_remainder(
        np.array([5, 9, 0]), np.array([[3, 2, 2], [1, 0, 4], [1, 1, 1]])
    )
    assert shares.tolist() == [[2, 2, 1], [1, 0, 4], [0, 0, 0]]


@given(
    st.lists(st.lists(st.integers(0, 40), min_size=4, max_size=4), min_size=1, max_size=3),
    st.data(),
)
def test_split_by_largest_remainder_loses_none(waiting, data):
    waiting = np.array(waiting)
    chargers = np.array([data.draw(st.integers(0, 200)) for _ in waiting])
    share = split_by_largest_remainder(chargers, waiting)
    total = waiting.sum(axis=1)
    assert share.sum(axis=1).tolist() == np.minimum(chargers, total).tolist()
    assert (share >= 0).all()
    assert (share <= waiting).all()
    quota = waiting * (np.minimum(chargers, total) / np.maximum(total, 1))[:, None]
    assert (np.abs(share - quota) < 1 + 1e-9).all()


waiting_ev = st.fixed_dictionaries(
    {
        "zone": st.integers(0, 2),
        "feeder": st.integers(0, 1),
        "arrival_min": st.integers(0, 50),
        "p_max_kw": st.sampled_from([1.4, 3.7, 5.4, 11.0, 22.0]),
        "mode": st.sampled_from([0, 1]),
    }
)


@given(st.lists(waiting_ev, min_size=1, max_size=12), st.tuples(*[st.floats(-20, 80)] * 2))
def test_first_come_fills_the_headroom_and_never_exceeds_it(evs, room):
    fleet = fleet_of(*evs, n_feeders=2, n_zones=3)
    granted = FirstCome().admit(
        fleet, np.ones(fleet.n, dtype=np.int8), told(fleet, *room), minute=0.0
    )
    for feeder, room_kw in enumerate(room):
        mine = fleet.feeder == feeder
        used = fleet.p_max_kw[mine & (granted > 0)].sum()
        assert used <= max(room_kw, 0.0) + 1e-5
        for kept in (True, False):
            # Nobody is first in line for room that is there.
            out = np.flatnonzero(mine & (granted == 0) & ((fleet.mode > 0) == kept))
            earliest = (
                out[fleet.arrival_min[out] == fleet.arrival_min[out].min()] if len(out) else []
            )
            assert not len(earliest) or fleet.p_max_kw[earliest].max() > room_kw - used - 1e-5


# Charging at 6 kW without losses: 4 kWh (0.1 of 40) take 40 min.
def due(laxity_min, **more):
    return {"soc_arrival": 0.7, "departure_min": 40 + laxity_min, **more}


def test_laxity_is_the_time_left_less_the_time_needed():
    fleet = fleet_of(due(60), due(60, arrival_min=10), {"soc_arrival": 0.9})
    # minute 5: 100 - 5 - 40; not before arrival: 100 - 10 - 40; nothing to charge: 600 - 5
    assert fleet.laxity_min(5.0)[fleet.row_of] == pytest.approx([55, 50, 595])


@pytest.mark.parametrize(
    ("guarantee", "evs", "room", "found"),
    [
        (False, [due(90), due(30), due(60)], 6.0, "-G-"),
        (False, [due(90), due(30), due(60)], 12.0, "-GG"),
        (False, [due(90), due(30, mode=0), due(60, mode=1)], 6.0, "-G-"),  # also who charges
        (False, [due(0), due(-5)], 0.0, "--"),
        (True, [due(90), due(0.5), due(-5)], 0.0, "-GG"),  # could not wait another minute
        (True, [due(1), due(1.5)], 0.0, "--"),  # could
        (True, [due(0.5), due(30), due(60)], 6.0, "G--"),  # counts against the room
        (True, [due(90), due(30, mode=0), due(60, mode=1)], 6.0, "--G"),  # who charges goes on
    ],
)
def test_least_laxity(guarantee, evs, room, found):
    fleet = fleet_of(*evs)
    assert admitted(LeastLaxity(guarantee), fleet, told(fleet, room)) == found


@pytest.mark.parametrize(
    ("kind", "guarantee", "laxity", "found"),
    [
        # A minute of discharging at 6 kW takes a minute of charging to undo: 2 min of slack.
        ("energy_balanced", True, 2.0, "V"),
        ("energy_balanced", True, 1.9, "G"),
        ("energy_balanced", False, 1.9, "V"),
        # As printed nothing is undone (0.85 x 40 min = 34 min to charge).
        ("as_printed", True, 1.0 - 6.0, "V"),
        ("as_printed", True, 0.9 - 6.0, "G"),
    ],
)
def test_the_guarantee_goes_before_v2g_when_slack_is_out(kind, guarantee, laxity, found):
    fleet = fleet_of(due(laxity), kind=kind)
    assert admitted(LeastLaxity(guarantee), fleet, told(fleet, -50.0), -1) == found


def test_a_full_ev_out_of_slack_stops_discharging():
    fleet = fleet_of({"soc_arrival": 0.8, "departure_min": 1.0})
    assert admitted(LeastLaxity(True), fleet, told(fleet, -50.0), -1) == "-"


@pytest.mark.parametrize("step_s", [36, 60, 300, 900])
def test_with_the_guarantee_nobody_is_switched_to_and_fro(step_s):
    studied = Scenario.load("paper_balanced").override(
        {"clock.step_s": step_s, "fleet.evs_per_zone": 20}, strategy="evms_guaranteed"
    )
    kpis = run(studied).results.kpis
    assert kpis["mode_switches_per_ev"] <= 8.0
    assert kpis["evs_short"] == 0


# --- registry ----------------------------------------------------------------------------------


def test_names_of_scenarios_and_registry_are_the_same():
    assert list(RULES) == list(RULE_CLASSES)
    assert list(ADMISSIONS) == list(ADMISSION_CLASSES)


@pytest.mark.parametrize(
    ("name", "rule", "admission"),
    [
        ("none", G2VOnly, AllAtOnce),
        ("uncoordinated", G2VOnly, AllAtOnce),
        ("evms", Eq13, FirstCome),
        ("evms_immediate", Eq13, AllAtOnce),
        ("evms_herd", Eq13, BelowLimit),
        ("evms_guaranteed", Eq13, LeastLaxity),
        ("coordinated", CoordinatedRule, CoordinatedAdmission),
        ("mpc", MPCRule, AllAtOnce),
        ("dimming", G2VOnly, Dimming),
        ("off_peak", OffPeak, AllAtOnce),
        ("throttling", G2VOnly, Throttling),
        ("operating_envelopes", G2VOnly, OperatingEnvelopes),
    ],
)
def test_named_strategies(name, rule, admission):
    chosen = Scenario(strategy=name)
    assert type(make_rule(chosen)) is rule
    assert type(make_admission(chosen)) is admission
    assert getattr(make_admission(chosen), "guarantee", True) is True


def test_every_named_strategy_is_tested_above():
    marks = test_named_strategies.pytestmark
    assert {case[0] for mark in marks for case in mark.args[1]} == set(STRATEGIES)


def test_options_come_from_the_section_and_then_from_the_strategy():
    fields = {"eq13": {"v2g_when": "always", "charge_above_threshold": False}}
    spec = {
        "rule": "eq13",
        "admission": "least_laxity",
        "rule_options": {"v2g_when": "below_limit"},
    }
    rule = make_rule(Scenario(strategy=spec, **fields))
    assert (rule.v2g_when, rule.charge_above_threshold) == ("below_limit", False)
    assert make_admission(Scenario(strategy=spec, least_laxity={"guarantee": True})).guarantee


MODULE = """
import numpy as np
class Night:
    def __init__(self, start=720):
        self.start = start
    def decide(self, fleet, broadcast, minute):
        return np.array([int(minute >= self.start)])
class Nobody:
    def admit(self, fleet, request, broadcast, minute):
        return np.zeros_like(request)
class Useless: ...
number = 3
called = []
def decide(fleet, broadcast, minute):
    called.append("decide")
def factory(**options):
    called.append("factory")
class Called:
    def __init__(self, **options):
        called.append("Called")
from pathlib import PurePath as Elsewhere
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "rules_of_mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "rules_of_mine"
    sys.modules.pop("rules_of_mine", None)


@pytest.mark.parametrize(
    ("spec", "minutes"),
    [
        # 0.85 x 0.5 x 40 kWh / 0.98 / 5.4 kW = 192.7 min from minute 480, 720, 900; or never
        ({"rule": "g2v_only"}, (480, 672)),
        ({"rule": "{}:Night"}, (720, 912)),
        ({"rule": "{}:Night", "rule_options": {"start": 900}}, (900, 1092)),
        ({"rule": "g2v_only", "admission": "{}:Nobody"}, None),
    ],
)
def test_rules_and_admissions_of_one_s_own(module, spec, minutes):
    spec = {k: v.format(module) if isinstance(v, str) else v for k, v in spec.items()}
    given = scenario(ev(soc=0.3, target=0.8), strategy=spec, trust=True)
    power = run(given).meter.charge_kw[:, 0]
    found = np.flatnonzero(power)
    assert (found.min(), found.max()) == minutes if minutes else not len(found)


@pytest.mark.parametrize(
    ("spec", "field", "said"),
    [
        ({"rule": "nowhere_at_all:X"}, "strategy.rule", "nowhere_at_all"),
        ({"rule": "{}:Missing"}, "strategy.rule", "Missing"),
        ({"rule": "{}:number"}, "strategy.rule", "a class"),
        ({"rule": "{}:Useless"}, "strategy.rule", "decide"),
        ({"rule": "{}:Called"}, "strategy.rule", "a class with a method decide"),
        ({"rule": "{}:decide"}, "strategy.rule", "a class"),
        ({"rule": "{}:factory"}, "strategy.rule", "a class"),
        ({"rule": "{}:Elsewhere"}, "strategy.rule", "defined in pathlib"),
        ({"rule": "subprocess:Popen"}, "strategy.rule", "a class with a method decide"),
        ({"rule": "os:system"}, "strategy.rule", "a class"),
        ({"rule": "{}:Night", "rule_options": {"stop": 1}}, "strategy.rule_options", "stop"),
        ({"rule": "eq13", "rule_options": {"v2g_when": "no"}}, "strategy.rule_options", "always"),
        ({"rule": "eq13", "admission": "{}:Useless"}, "strategy.admission", "admit"),
        ({"rule": "eq13", "admission": "{}:Missing"}, "strategy.admission", "Missing"),
        (
            {"rule": "eq13", "admission": "first_come", "admission_options": {"x": 1}},
            "strategy.admission_options",
            "x",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_with_its_field(module, spec, field, said):
    spec = {k: v.format(module) if isinstance(v, str) else v for k, v in spec.items()}
    with pytest.raises(InputError) as caught:
        run(scenario(ev(), strategy=spec, trust=True))
    (problem,) = caught.value.problems
    assert problem.field == field
    assert said in str(problem)
    if own := sys.modules.get(module):
        assert own.called == []


def test_an_admission_cannot_charge_what_is_not_there(monkeypatch):
    class Everyone:
        def admit(self, fleet, request, broadcast, minute):
            return np.ones_like(request)

    monkeypatch.setitem(ADMISSION_CLASSES, "all_at_once", Everyone)
    both = [ev("a", arrival=0, departure=1400), ev("b", arrival=480, departure=700)]
    table = run(scenario(*both, strategy="uncoordinated")).results.ev
    assert np.isfinite(table["charged_kwh"]).all()
