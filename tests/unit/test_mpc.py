"""The strategy `mpc`: windows and groups, what it plans, and what EVs do until the next plan."""

import numpy as np
import pytest
from helpers import arrays, ev, run, same, scenario, small_paper, stepped

from abm import Scenario, V2GModel
from abm.control import MPCRule, programme
from abm.control.groups import PlannedStays, alike, spread, window_edges
from abm.errors import InputError, OptimiserError
from abm.study import bound

BALANCED = {"kind": "energy_balanced"}
QUARTERS = {"interval_min": 15}


def planned(*rows, plan=QUARTERS, **fields):
    return scenario(*rows, strategy="mpc", mpc=plan, requirement=BALANCED, **fields)


def stays(*rows):
    """Stays of arrival, departure [min] and need [kWh] at 6 kW."""
    arrival, departure, need = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    n, none = len(rows), np.zeros(len(rows))
    six, one = np.full(n, 6.0), np.ones(n)
    return PlannedStays(arrival, departure, need, none, one, six, none, one, none > 0)


# --- windows and groups ------------------------------------------------------------------------


def test_windows_are_quarters_near_by_and_where_somebody_has_to_be_through():
    edges = window_edges(70.0, 400.0, np.array([300.0, 345.0]))
    quarters = [75, 90, 105, 120]
    # 120 to 130 min is near; from there hours, but for those from 240 to 300 and from 300 to 360.
    assert list(edges) == [70, *quarters, 180, 240, 255, 270, 285, 300, 315, 330, 345, 360, 400]


def test_a_stay_is_to_be_through_by_the_quarter_before_it_leaves_if_it_can():
    found = stays((0, 100, 3.0), (80, 100, 1.9), (95, 100, 0.5), (0, 90, 1.0)).through_min
    # 3 kWh take 30 min, 1.9 take 19 and end at 99, 0.5 take all of the 5 min there are.
    assert found == pytest.approx([90, 99, 100, 90])


def test_stays_alike_are_one_group_and_few_stays_each_one_of_its_own():
    edges = np.arange(0.0, 121.0, 15.0)
    rows = [(0, 60, 1.0), (0, 60, 4.0), (0, 60, 1.1), (0, 90, 1.0), (0, 60, 3.9)]
    assert list(alike(stays(*rows), edges, 60)) == [0, 3, 1, 4, 2]
    # In order of departure and need, five in two parts: three and two; who leaves later is apart.
    assert list(alike(stays(*rows), edges, 2)) == [0, 1, 0, 2, 0]


def test_powers_are_spread_by_need_within_what_each_can_do():
    group, most = np.array([0, 0, 0, 1]), np.array([2.0, 9.0, 9.0, 5.0])
    weight, none = np.array([5.0, 3.0, 2.0, 1.0]), np.zeros(4)
    # The first would have 5 of 10, and can 2; the others share 8 as 3 to 2.
    assert spread(np.array([10.0, 4.0]), group, weight, none, most) == pytest.approx(
        [2, 4.8, 3.2, 4]
    )
    assert spread(np.array([50.0, 0.0]), group, weight, none, most) == pytest.approx([2, 9, 9, 0])
    least = np.full(4, 1.5)
    # 4 kW are enough for two of them.
    found = spread(np.array([4.0, 1.0]), group, weight, least, most)
    assert found == pytest.approx([2.0, 2.0, 0.0, 0.0])


# --- plans -------------------------------------------------------------------------------------

# All there at 18:00, gone on the quarter; the highest base demand, 3.715 MW, is that of 20:00.
THERE = [
    ev("a", arrival=360, departure=1200, capacity=60, soc=0.9, target=0.8, efficiency=0.9),
    ev("b", arrival=360, departure=1140, capacity=40, soc=0.3, target=0.9, efficiency=0.9),
    ev("c", arrival=360, departure=600, capacity=40, soc=0.7, target=0.5, efficiency=0.9),
    ev("d", arrival=360, departure=900, capacity=50, soc=0.2, target=0.8, efficiency=0.95),
]


def test_who_knows_all_there_is_to_know_reaches_the_bound():
    studied = planned(*THERE)
    least = bound.optimum(studied).results.kpis
    kpis = run(studied).results.kpis
    assert least["plugged_peak_15min_mw"] < 3.715 - 0.007
    assert kpis["plugged_peak_15min_mw"] == pytest.approx(least["plugged_peak_15min_mw"], abs=2e-6)
    assert kpis["plugged_peak_1min_mw"] == pytest.approx(least["plugged_peak_15min_mw"], abs=2e-6)
    assert kpis["evs_short"] == 0
    assert kpis["energy_short_kwh"] < 1e-6
    # It charges nobody beyond the target to sell that later, as the bound may.
    assert least["net_cost_usd"] - 1e-6 < kpis["net_cost_usd"] < 1.1 * least["net_cost_usd"]


def test_a_plan_is_made_every_interval_and_only_where_somebody_is():
    for minutes in (15, 60):
        model, made = V2GModel(planned(*THERE, plan={"interval_min": minutes})), {}
        for _ in stepped(model):
            for plan in model.home.rule.plans[0].values() if model.home.rule.plans else ():
                made[id(plan)] = plan
        begins = sorted(plan.edges_min[0] for plan in made.values())
        assert begins[0] == 360
        assert set(np.diff(begins)) == {minutes}
        assert 1200 - minutes <= begins[-1] < 1200


def test_who_comes_within_an_interval_waits_unless_there_is_no_slack():
    # 10.8 kWh in 2 h at 5.4 kW: not a minute to lose. The other has the whole night.
    hurried = ev("a", arrival=365, departure=485, soc=0.2, target=0.2 + 10.8 * 0.98 / 40)
    waits = ev("b", arrival=366, departure=1300, soc=0.3, target=0.8, p_discharge_kw=0)
    model = V2GModel(planned(hurried, waits))
    power = np.array([model.fleet.p_kw[model.fleet.row_of].copy() for _ in stepped(model)])
    assert power[365:484, 0] == pytest.approx(5.4)
    assert model.results.kpis["evs_short"] == 0
    # In the peak of the evening there is no hurry at all.
    assert not power[366:720, 1].any()
    assert power[:, 1].sum() / 60 == pytest.approx(0.5 * 40 / 0.98, rel=1e-6)


@pytest.mark.parametrize("boosts", [0.0, 1.0])
def test_who_charges_whatever_is_asked_is_planned_around(boosts):
    owners = {"groups": {"all": {"share": 1.0, "boost_probability": boosts}}}
    model = V2GModel(small_paper(strategy="mpc", requirement=BALANCED, owners=owners))
    for _ in range(8 * 60 + 1):
        model.step()
    (plan,) = model.home.rule.plans[0].values()
    drawn = model.fleet.p_kw[plan.rows].sum()
    # 20:00, the hour of 3.715 MW: who need not charge now stays out of it.
    assert (drawn > 20.0) == (boosts > 0.0)
    assert (plan.peak_kw > 3715.0 + 0.5 * drawn) == (boosts > 0.0)


def test_chargers_with_a_least_power_are_set_to_it_or_off():
    studied = planned(*THERE, ev={"min_charge_kw": 1.38, "efficiency": 0.9})
    model, seen = V2GModel(studied), set()
    for _ in stepped(model):
        granted = model.engine.granted_kw
        if granted is not None:
            seen |= {float(p) for p in granted[model.fleet.mode > 0]}
    assert seen
    assert min(seen) >= 1.38
    assert model.results.kpis["evs_short"] == 0


def test_a_wrong_forecast_gives_way_to_the_message_of_the_hour():
    right, wrong = (
        run(planned(*THERE, forecast={"bias": bias, "revise": False})).results.kpis
        for bias in (0.0, 0.3)
    )
    assert right["plugged_peak_15min_mw"] < wrong["plugged_peak_15min_mw"]
    assert wrong["evs_short"] == 0


# --- the optimiser -----------------------------------------------------------------------------


def test_where_interior_point_fails_the_simplex_method_finds_the_same(monkeypatch):
    studied = planned(*THERE)
    rule = V2GModel(studied)
    rule.run()
    monkeypatch.setattr(programme, "OPTIONS", {**programme.OPTIONS, "ipm_iteration_limit": 1})
    again = run(studied).results.kpis
    peak = rule.results.kpis["plugged_peak_15min_mw"]
    assert again["plugged_peak_15min_mw"] == pytest.approx(peak, abs=2e-6)


def test_batteries_that_are_full_but_for_rounding_are_not_infeasible():
    """Two groups of cigre_mv with fast chargers, of which presolve said that nothing would do."""
    n, window = 9, np.array([0, 1, 0, 1, 2, 3, 4, 5, 6])
    left = np.repeat([1.0580739977287313e-09, 5.5239565952572174e-09], [2, 7])
    floor = [-18.224999998941932, 1.0580739977287313e-09, -3.472222222222222, -6.944444444444444]
    floor += [-8.099999994476045, -6.074999994476045, -4.049999994476044, -2.024999994476044]
    floor += [5.5239565952572174e-09]
    batteries = programme.Batteries(
        first=np.isin(np.arange(n), (0, 2)),
        window=window,
        hours=np.full(n, 0.25),
        charge_kw=np.repeat([72.9, 8.100000000000001], [2, 7]),
        discharge_kw=np.repeat([101.25, 11.25], [2, 7]),
        gain=np.ones(n),
        loss=np.full(n, 1.2345679012345678),
        start=np.zeros(n),
        floor=np.array(floor),
        ceiling=left,
        buys=np.ones(n),
        sells=np.ones(n),
        burns=np.zeros(n, dtype=bool),
    )
    base_kw = np.repeat([23267.495085, 32845.518465], [3, 4])
    peak, c, d = programme.Programme(batteries, base_kw, np.full(7, 0.25)).lowest_peak()
    # The larger group is through by then: the smaller one has 11.25 kW to give in each window.
    assert peak.status == "Optimal"
    assert 32845.518465 - 11.25 <= peak.value <= 32845.518465
    assert (c >= -1e-8).all()
    assert (d >= -1e-8).all()


def test_without_an_optimum_the_run_ends_with_where_and_why(monkeypatch):
    monkeypatch.setattr(programme, "OPTIONS", {**programme.OPTIONS, "time_limit": 0.0})
    with pytest.raises(OptimiserError, match="mpc at minute 360, feeder 1: the lowest peak: HiGHS"):
        run(planned(*THERE))


def test_stepping_and_running_leave_the_same_bytes():
    studied = small_paper(strategy="mpc")
    stepping = V2GModel(studied)
    for _ in stepped(stepping):
        pass
    one, other = arrays(stepping), arrays(run(studied))
    assert [name for name in one if not same(one[name], other[name])] == []


def test_only_some_intervals():
    with pytest.raises(InputError, match=r"mpc\.interval_min"):
        Scenario(mpc={"interval_min": 7})
    with pytest.raises(ValueError, match="interval_min = 7"):
        MPCRule(7)
