"""The level of the strategy coordinated in closed form, what it plans with, and who it serves."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import ev, run, same, scenario, small_paper
from hypothesis import given
from hypothesis import strategies as st

from abm import Scenario, V2GModel
from abm.control import CoordinatedAdmission, CoordinatedRule, Planner, make_rule, make_strategy
from abm.control.planner import Orders, filled_kwh, shaved_kwh, solve_levels
from abm.errors import InputError
from abm.fleet import Population
from abm.fleet.expected_arrivals import expected_arrivals, slack


def column(*values):
    return np.array(values, dtype=float)[:, None]


def levels(need, give, back, fill, shave=None):
    one = [np.array([float(v)]) for v in (need, give, back)]
    return [float(v[0]) for v in solve_levels(*one, fill, shave or fill)]


LOTS = column(1e6, 1e6, 1e6, 1e6)
NONE = column(0, 0, 0, 0)
DAY = column(100, 300, 200, 0)


@pytest.mark.parametrize(
    ("need", "give", "back", "charge", "discharge", "level", "peak"),
    [
        # Nothing is shaved: the valley below 150 holds 150 + 50.
        (200, 0, 1.25, LOTS, NONE, 150, 150),
        # One charger of 60 kW: 60 below 160 in the deepest hour, 60 in the next.
        (120, 0, 1.25, column(60, 60, 60, 60), NONE, 160, 160),
        # Shaving two hours: L + (L - 100) = 25 + 1.25 ((300 - L) + (200 - L)).
        (25, 1e6, 1.25, LOTS, LOTS, 750 / 4.5, 750 / 4.5),
        # There is no more than 40 to give: the peak stays at 260, the valley fills to 125.
        (100, 40, 1.25, LOTS, LOTS, 125, 260),
        # As printed nothing is put back.
        (200, 50, 0, LOTS, LOTS, 150, 250),
        # More than all chargers can carry: everybody charges.
        (500, 0, 1.25, column(60, 60, 60, 60), NONE, 360, 360),
    ],
)
def test_the_level_in_closed_form(need, give, back, charge, discharge, level, peak):
    found = levels(need, give, back, (DAY, charge), (DAY, discharge))
    assert found == pytest.approx([level, peak])


numbers = st.lists(st.floats(0, 1e3), min_size=6, max_size=6)


@given(
    demand=numbers,
    charge=numbers,
    discharge=numbers,
    need=st.floats(0, 5e3),
    give=st.floats(0, 2e3),
    back=st.sampled_from([0.0, 1.0, 1.0 / 0.81, 4.0]),
)
def test_the_level_balances_energy(demand, charge, discharge, need, give, back):
    base, p, q = column(*demand), column(*charge), column(*discharge)
    level, peak = levels(need, give, back, (base, p), (base, q))

    def excess(at):
        at = np.array([[at]])
        shaved = min(float(shaved_kwh(at, base, q)[0, 0]), give)
        return float(filled_kwh(at, base, p)[0, 0]) - need - back * shaved

    assert peak >= level
    shaved_at_peak = float(shaved_kwh(np.array([[peak]]), base, q)[0, 0])
    assert shaved_at_peak <= give + 1e-6
    if need + back * min(float(q.sum()), give) <= float(p.sum()):
        assert excess(level) >= -1e-6
    bends = np.concatenate((base, base + p, base - q)).ravel()
    if excess(bends.min()) < -1e-6 and excess(bends.max()) > 1e-6:
        assert excess(level) == pytest.approx(0.0, abs=1e-5)
    # A neighbour changes nothing.
    two = [np.array([v, 7.0]) for v in (need, give, back)]
    beside = [np.concatenate((a, a[::-1] + 1.0), axis=1) for a in (base, p, q)]
    both = solve_levels(*two, (beside[0], beside[1]), (beside[0], beside[2]))
    assert (both[0][0], both[1][0]) == (level, peak)


def test_slack_of_one_ev():
    one = [np.array([v]) for v in (10.0, 0.5, 0.8, 0.2, 40.0, 5.0, 10.0, 0.8)]
    found = slack(*one, True, False)
    # 12 kWh into the battery are 15 kWh, 3 h; 12 kWh above the threshold give 9.6 kWh; discharging
    # a kWh takes 0.1 h and 1.5625 / 5 h to put back, so the 7 h left would do for 17 kWh.
    assert float(found.need_kwh[0]) == pytest.approx(15.0)
    assert float(found.give_kwh[0]) == pytest.approx(9.6)
    assert float(found.back[0]) == pytest.approx(1.5625)
    short = slack(np.array([4.0]), *one[1:], True, False)
    assert float(short.give_kwh[0]) == pytest.approx(1.0 / (0.1 + 1.5625 / 5.0))
    assert float(slack(np.array([2.0]), *one[1:], True, False).need_kwh[0]) == 10.0
    assert float(slack(*one, True, True).back[0]) == 0.0


def test_expected_arrivals_are_those_of_the_distributions():
    studied = Scenario(requirement={"kind": "energy_balanced"})
    expected = expected_arrivals(studied, 15)
    (count, need, give), charge, discharge = expected.from_hour(0, 24)
    drawn = Population(studied, 15, list(range(100, 140))).stays()
    wanted = (drawn.soc_target - drawn.soc_arrival) * drawn.capacity_kwh / drawn.efficiency
    above = (drawn.soc_arrival - 0.2) * drawn.capacity_kwh * drawn.efficiency
    assert count == pytest.approx(600)
    assert need == pytest.approx(wanted.sum() / 40, rel=0.01)
    assert give == pytest.approx(above.sum() / 40, rel=0.01)
    stay_h = (drawn.departure_min - drawn.arrival_min).sum() / 60 / 40
    assert charge.sum() == pytest.approx(5.4 * stay_h, rel=0.01)
    assert discharge == pytest.approx(charge * 7.5 / 5.4)
    # From 21:00 on: only those that come later, present from then on.
    late = drawn.arrival_min >= 540
    (count, _, _), charge, _ = expected.from_hour(9, 15)
    assert count == pytest.approx(late.sum() / 40, rel=0.05)
    there = np.clip(600 - drawn.arrival_min[late], 0, 60).sum() / 60 / 40
    assert charge[0] == pytest.approx(5.4 * there, rel=0.1)


def test_nobody_is_expected_but_those_who_can_be():
    model = V2GModel(scenario(ev(), strategy="coordinated"))
    assert not model.broadcast.outlook.arrivals.evs.any()
    half = Scenario(fleet={"evs_per_zone": 20})
    full, less = expected_arrivals(Scenario(), 15), expected_arrivals(half, 15)
    assert less.need_kwh == pytest.approx(full.need_kwh / 2)


def test_a_run_that_does_not_plan_draws_nothing():
    outlook = run(small_paper(strategy="evms")).grid.outlook
    assert not {"arrivals", "day_ahead_mw"} & set(vars(outlook))


def test_forecast_errors():
    biased = V2GModel(Scenario(forecast={"bias": 0.05, "revise": False}), seed=[1, 2])
    actual = biased.grid.base_mw[(12 + np.arange(24)) % 24]
    outlook = biased.grid.outlook
    assert outlook.base_mw(3, slice(5, 9)) == pytest.approx(
        np.repeat(1.05 * actual[5:9, None], 2, axis=1)
    )
    revised = V2GModel(Scenario(forecast={"bias": 0.05})).grid.outlook
    assert revised.base_mw(3, slice(5, 9))[:, 0] == pytest.approx(actual[5:9])
    noisy = V2GModel(Scenario(forecast={"noise": 0.05}), seed=list(range(60))).grid.outlook
    error = noisy.day_ahead_mw / actual[:, None] - 1
    assert error.std() == pytest.approx(0.05, rel=0.1)
    assert abs(error.mean()) < 0.005
    alone = V2GModel(Scenario(forecast={"noise": 0.05}), seed=7).grid.outlook
    assert same(alone.day_ahead_mw[:, 0], noisy.day_ahead_mw[:, 7])


def midnight(**fields):
    model = V2GModel(
        small_paper(strategy="coordinated", clock={"engine": "numpy"}, **fields), seed=[1, 2]
    )
    for _ in range(12 * 60):
        model.step()
    return model


def test_a_stale_broadcast_leaves_the_forecast():
    model = midnight(forecast={"bias": 0.1, "revise": False})
    fleet, now = model.fleet, model.broadcast
    stale = replace(now, hour=now.hour - 3, demand_mw=now.demand_mw + 5.0)
    planner = Planner()
    found = planner.orders(fleet, stale, model.minute)
    plan = planner.plans[stale.hour]
    assert plan.base_kw == pytest.approx(1.1e3 * model.grid.base_mw[0])
    assert found.room_kw == pytest.approx(np.maximum(plan.level_kw - plan.base_kw, 0.0))
    # Both broadcasts in one minute, in any order, and again.
    fresh = planner.orders(fleet, now, model.minute)
    base = model.grid.base_mw[0] * 1e3
    level = planner.plans[now.hour].level_kw
    assert fresh.room_kw == pytest.approx(np.maximum(level - base, 0.0))
    assert same(planner.orders(fleet, stale, model.minute).room_kw, found.room_kw)
    assert same(planner.orders(fleet, now, model.minute).room_kw, fresh.room_kw)


def test_a_plan_is_of_one_model_and_one_hour():
    first, second = midnight(), midnight(forecast={"bias": 0.1, "revise": False})
    planner = Planner()

    def forecast_kw(model):
        planner.orders(model.fleet, model.broadcast, model.minute)
        return planner.plans[model.broadcast.hour].base_kw

    # Another model in the same hour: what was planned for the first is not told to the second.
    assert forecast_kw(second) == pytest.approx(1.1 * forecast_kw(first))
    assert planner.hour == 12
    first.step()
    planner.orders(first.fleet, first.broadcast, 13 * 60.0)
    assert planner.hour == 13
    assert len(planner.plans) == 1


def test_rule_and_admission_of_one_model_go_by_one_plan():
    studied = Scenario(strategy="coordinated", coordinated={"price_weight": 0.4})
    rule, admission = make_strategy(studied)
    assert rule.planner is admission.planner
    assert make_strategy(studied)[0].planner is not rule.planner
    assert make_rule(studied).planner is not rule.planner
    spec = {"rule": "coordinated", "admission": "coordinated"}
    apart = {**spec, "rule_options": {"price_weight": 0.9}}
    rule, admission = make_strategy(Scenario(strategy=apart))
    assert (rule.planner.price_weight, admission.planner.price_weight) == (0.9, 0.0)
    model = run(small_paper(strategy="coordinated"))
    assert model.home.rule.planner is model.admission.planner


def balanced(fields=None):
    """A tenth of `paper_balanced`."""
    small = {"fleet.evs_per_zone": 4, "base_load.scale": 0.1, "grid.demand_limit_mw": 0.324}
    changes = {**small, **(fields or {})}
    return Scenario.load("paper_balanced").override(changes, strategy="coordinated")


def test_a_message_heard_within_the_hour_leaves_the_plan_as_it_is():
    # What has been charged since the hour began is not set against the room of the whole hour. The
    # forecast is right, so that a late message has no news.
    on_time = run(balanced()).results.kpis["plugged_peak_mw"]
    for delay in (15, 90):
        late = run(balanced({"broadcast.delay_min": delay}))
        assert late.results.kpis["plugged_peak_mw"] == pytest.approx(on_time, rel=2e-3)


@pytest.mark.parametrize("interval", [15, 60])
def test_what_the_broadcast_has_beside_base_demand_is_taken_off(interval):
    base = run(balanced()).results.total_mw
    for what in ("net", "net_with_losses"):
        told = run(balanced({"broadcast.what": what, "broadcast.interval_min": interval}))
        assert told.results.total_mw == pytest.approx(base)


def test_no_outlook_is_said():
    model = midnight()
    with pytest.raises(ValueError, match="outlook"):
        Planner().orders(model.fleet, replace(model.broadcast, outlook=None), model.minute)


def test_options_reach_rule_and_admission():
    options = {"margin_min": 30.0, "price_weight": 0.4}
    studied = Scenario(strategy="coordinated", coordinated=options)
    rule, admission = make_strategy(studied)
    assert isinstance(rule, CoordinatedRule)
    assert isinstance(admission, CoordinatedAdmission)
    assert (rule.planner.price_weight, admission.planner.price_weight) == (0.4, 0.4)
    assert admission.margin_min == 30.0
    spec = {"rule": "coordinated", "rule_options": {"price_weight": 2.0}}
    with pytest.raises(InputError, match="price_weight"):
        make_rule(Scenario(strategy=spec))


class Told:
    """A planner that says what it is told."""

    def __init__(self, room_kw, give_kw):
        self.room_kw, self.give_kw = room_kw, give_kw

    def orders(self, fleet, broadcast, minute):
        return Orders(np.array([self.room_kw]), np.array([self.give_kw]))


def test_least_laxity_up_to_the_level_and_no_further():
    # Two can charge at once; b and c have least slack.
    rows = [
        ev("a", arrival=60, departure=1200, soc=0.5, target=0.6, capacity=40),
        ev("b", arrival=60, departure=400, soc=0.5, target=0.6, capacity=40),
        ev("c", arrival=60, departure=400, soc=0.5, target=0.7, capacity=40),
    ]
    model = V2GModel(scenario(*rows, strategy="coordinated", clock={"engine": "numpy"}))
    fleet = model.fleet
    for _ in range(65):
        model.step()
    admission, request = CoordinatedAdmission(), np.ones(3, dtype=np.int8)
    broadcast, told = model.broadcast, Told(room_kw=11.0, give_kw=0.0)
    admission.planner = told
    fleet.mode = np.zeros(3, dtype=np.int8)
    name = [fleet.ev_id(row) for row in range(3)]
    granted = admission.admit(fleet, request, broadcast, model.minute)
    assert {n: int(g) for n, g in zip(name, granted, strict=True)} == {"a": 0, "b": 1, "c": 1}
    # Within the hour who is at it goes on.
    fleet.mode = np.array([n == "a" for n in name], dtype=np.int8)
    granted = admission.admit(fleet, request, broadcast, model.minute)
    assert {n: int(g) for n, g in zip(name, granted, strict=True)} == {"a": 1, "b": 0, "c": 1}
    # Called to give 10 kW: the one with most slack, and one more since 7.5 are not enough.
    told.give_kw = 10.0
    fleet.mode = np.zeros(3, dtype=np.int8)
    granted = admission.admit(fleet, -request, broadcast, model.minute)
    assert {n: int(g) for n, g in zip(name, granted, strict=True)} == {"a": -1, "b": -1, "c": 0}
    # Nobody gives what cannot be put back with the margin.
    strict = CoordinatedAdmission(margin_min=1440.0)
    strict.planner = told
    assert not strict.admit(fleet, -request, broadcast, model.minute).any()


def test_nobody_comes():
    for fields in ({"fleet": {"evs_per_zone": 0}}, {}):
        model = run(Scenario(strategy="coordinated" if fields else "none", **fields))
        assert model.results.kpis["ev_charged_mwh"] == 0.0


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_nobody_is_short_and_the_peak_is_near_the_optimum(engine):
    """Perfect foresight comes to 3.13 MW on average; sd 0.01 over seeds."""
    studied = Scenario.load("paper_balanced").override(
        {"clock.engine": engine}, strategy="coordinated"
    )
    results = run(studied, seed=list(range(1, 7))).results
    assert (results.kpi_columns["evs_short"] == 0).all()
    assert results.kpi_columns["plugged_peak_mw"].mean() <= 3.197


def test_a_weight_on_prices_buys_cheaper_at_a_higher_peak():
    studied = Scenario.load("paper_balanced").override(strategy="coordinated")
    kpis = [
        run(studied.override({"coordinated.price_weight": w})).results.kpis for w in (0.0, 0.5, 1.0)
    ]
    cost = [k["net_cost_usd"] for k in kpis]
    peak = [k["plugged_peak_mw"] for k in kpis]
    assert cost == sorted(cost, reverse=True)
    assert peak == sorted(peak)
    assert [k["evs_short"] for k in kpis] == [0, 0, 0]
