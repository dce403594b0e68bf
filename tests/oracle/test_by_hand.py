"""Numbers worked out by hand: each test fails for a small error that no comparison can see.

Both engines leave the same bytes also when both are wrong, and a baseline keeps a wrong number as
well as a right one. What is expected here comes from the equations and not from the package.
`tests/mutants.py` makes these errors one by one and shows that the test named there fails.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import ev, run, same, scenario, small_paper
from scipy import stats

from abm import V2GModel
from abm.control.needs import Coming
from abm.control.planner import Orders
from abm.scenario import shipped_dir
from abm.study import optimum
from abm.study.reproduce import table2_replications

BALANCED = {"requirement": {"kind": "energy_balanced"}}
both_engines = pytest.mark.parametrize("engine", ["numpy", "compiled"])


def table(folder, name, **columns):
    """A CSV of 24 rows by clock hour; a column is a number or 24 of them."""
    full = {key: np.broadcast_to(value, 24) for key, value in columns.items()}
    path = folder / f"{name}.csv"
    pd.DataFrame({"hour": np.arange(24), **full}).to_csv(path, index=False)
    return str(path)


def flat(folder):
    """A base demand that is the same in every hour."""
    return table(folder, "flat", residential=1.0, industrial=1.0, commercial=1.0)


# --- what V2G has to put back ------------------------------------------------------------------

# Charger and discharger of 6 kW, efficiency 0.5: 1 kWh at the grid side takes 2 kWh from the
# battery, and these take 4 kWh to charge again. A minute of discharging costs 1 + 4 of slack.
EACH_WAY = 0.5
LOSSY = {"efficiency": EACH_WAY, "charger_kw": 6.0, "discharger_kw": 6.0}


class ToldToGive:
    """A planner that calls for all that can be given."""

    def orders(self, fleet, broadcast, minute):
        n = fleet.n_feeders
        none = np.zeros(n)
        return Orders(none, none, np.full(n, 1e3), np.ones(n, dtype=np.bool_))


def lossy_stay(minutes, planner=None, **fields):
    """One EV from 20:00 that wants what it has, and what it discharged, min."""
    row = ev(arrival=480, departure=480 + minutes, capacity=100, soc=0.8, target=0.8)
    model = V2GModel(scenario(row, ev=LOSSY, **BALANCED, **fields))
    if planner is not None:
        model.home.rule.planner = model.admission.planner = planner
    kpis = model.run().results.kpis
    assert kpis["evs_short"] == 0
    return 1e3 * kpis["ev_discharged_mwh"] / 6.0 * 60.0


@both_engines
@pytest.mark.parametrize(("minutes", "given"), [(100, 20), (104, 20), (105, 21), (14, 2)])
def test_guaranteed_v2g_puts_back_with_the_losses_of_both_ways(minutes, given, engine):
    found = lossy_stay(
        minutes,
        strategy="evms_guaranteed",
        eq13={"v2g_when": "always", "one_discharge_per_stay": False},
        clock={"engine": engine},
    )
    assert found == pytest.approx(given)


@both_engines
@pytest.mark.parametrize(("minutes", "given"), [(102, 20), (104, 20), (106, 21)])
def test_coordinated_v2g_puts_back_with_the_losses_of_both_ways(minutes, given, engine):
    found = lossy_stay(
        minutes,
        ToldToGive(),
        strategy="coordinated",
        coordinated={"margin_min": 0.0},
        clock={"engine": engine},
    )
    assert found == pytest.approx(given)


# --- the strategy coordinated ------------------------------------------------------------------


@both_engines
@pytest.mark.parametrize(("efficiency", "sold"), [(1.0, True), (0.5, False)])
def test_a_dear_hour_is_sold_in_where_it_pays_for_the_way_back(tmp_path, efficiency, sold, engine):
    # At 0.30 a kWh, all of it kept, against 0.20 else: worth it without losses; with half lost each
    # way 4 kWh are to be bought for each that is sold.
    price = np.where(np.arange(24) == 3, 0.3, 0.2)
    row = ev(arrival=720, departure=1200, capacity=100, soc=0.8, target=0.8)
    results = run(
        scenario(
            row,
            strategy="coordinated",
            coordinated={"price_weight": 1.0},
            tariff={"prices": table(tmp_path, "tariff", price=price), "sale_ratio": 1.0},
            base_load={"scale": 1e-3},
            clock={"engine": engine},
            ev=LOSSY | {"efficiency": efficiency},
            **BALANCED,
        )
    ).results
    minutes = results.zone_minute.query("zone == 1").set_index("minute")["discharge_kw"]
    assert (minutes.loc[900:959].sum() > 0.0) == sold


@both_engines
def test_stays_of_two_days_charge_a_share_every_hour(tmp_path, engine):
    # 24 EVs of 1 kW need 10 kWh each within 48 h on a flat base demand: 5 kW in every hour.
    rows = [
        ev(f"{i}", arrival=0, departure=2880, capacity=100, soc=0.5, target=0.6, p_max_kw=1.0)
        for i in range(24)
    ]
    results = run(
        scenario(
            *rows,
            strategy="coordinated",
            clock={"hours": 48, "engine": engine},
            base_load={"profile": flat(tmp_path), "scale": 1e-2},
            ev={"efficiency": 1.0, "discharger_kw": 0.0},
            **BALANCED,
        )
    ).results
    assert 1e3 * results.ev_mw == pytest.approx(5.0)
    assert results.kpis["evs_short"] == 0


class LongStays:
    """Everybody is plugged in from minute 30 of the day for so many hours."""

    def __init__(self, hours):
        self.minutes = 60.0 * hours

    def plan(self, plan, rng):
        plan.arrival_min[:] = 30.0
        plan.departure_min[:] = plan.announced_min[:] = 30.0 + self.minutes


@pytest.mark.parametrize(("hours", "share"), [(23, 1.0), (30, 23.5 / 30), (47, 23.5 / 47)])
def test_who_stays_beyond_a_day_is_planned_to_charge_a_share_in_it(hours, share):
    owners = {"behaviour": f"{__name__}:LongStays", "behaviour_options": {"hours": hours}}
    own = small_paper(strategy="coordinated", owners=owners, horizon={"days": 2}, trust=True)
    model = V2GModel(own)
    arrivals = model.broadcast.outlook.arrivals
    first = arrivals.day == 0
    planned = Coming(arrivals, 0, 96, 0.0).since(0)
    assert planned.due[0, -1] == pytest.approx(share * arrivals.need_kwh[first].sum())


def test_the_forecast_is_revised_by_the_last_24_hours_and_no_more():
    noisy = {"noise": 0.02, "bias": 0.1, "revise": True}
    outlook = V2GModel(small_paper(horizon={"days": 3}, forecast=noisy)).broadcast.outlook
    plain = small_paper(horizon={"days": 3})
    actual = V2GModel(plain).broadcast.outlook.base_mw(0, slice(0, 72))[:, 0]
    ahead = outlook.day_ahead_mw[:, 0]
    for issued, first in ((5, 0), (23, 0), (24, 1), (30, 7), (71, 48)):
        told = slice(first, issued + 1)
        over = actual[told].sum() / ahead[told].sum() - 1
        scatter = ((actual[told] / ahead[told] - 1 - over) ** 2).sum() / (issued - first)
        kept = max(1 - 2 * scatter / (issued + 1 - first) / over**2, 0)
        expected = ahead[60:] * (1 + kept * over)
        assert outlook.base_mw(issued, slice(60, 72))[:, 0] == pytest.approx(expected)


# --- the bound ---------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["peak", "cost"])
def test_the_bound_takes_nothing_from_who_stays_out_of_v2g(objective):
    # Half of the owners take part. A sale at five times the price would pay for anybody.
    fields = BALANCED | {"tariff": {"sale_ratio": 5.0}, "ev": {"efficiency": 0.9}}
    some = small_paper(owners={"v2g_participation": 0.5}, **fields)
    gave = optimum(some, objective).results.ev.set_index("ev_id")["discharged_kwh"]
    stays_out = [ev.ev_id for ev in V2GModel(some).evs if not ev.v2g]
    assert 0 < len(stays_out) < len(gave)
    assert gave[stays_out].max() == 0.0
    assert gave.drop(stays_out).min() > 0.1
    none = small_paper(owners={"v2g_participation": 0.0}, **fields)
    unable = small_paper(**fields | {"ev": {"efficiency": 0.9, "discharger_kw": 0.0}})
    peaks = [optimum(s).results.kpis["plugged_peak_mw"] for s in (none, unable)]
    assert peaks[0] == pytest.approx(peaks[1], rel=1e-7)


def test_the_bound_charges_nobody_who_stays_away():
    at_home = {"plug_in": {"habit": "probability", "probability": 0.5}}
    some = small_paper(owners=at_home, **BALANCED)
    found = optimum(some, "cost")
    # What the optimum comes to is what the EVs that are there pay.
    (feeder,) = found.feeders
    net_cost = found.results.kpis["net_cost_usd"]
    assert feeder.phases["cost"].value == pytest.approx(net_cost, rel=1e-6)
    table = found.results.ev.set_index("ev_id")
    away = [ev.ev_id for ev in V2GModel(some).evs if not ev.model.fleet.plugs_in[ev.row]]
    assert 0 < len(away) < len(table)
    assert (table.loc[away, ["charged_kwh", "discharged_kwh"]] == 0.0).all(axis=None)
    assert (table.drop(away)["charged_kwh"] > 0.0).all()


# --- owners ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lower", [0.0, 0.15])
def test_a_trip_empties_the_battery_to_its_lower_bound_and_no_further(lower):
    # 1000 km at 0.2 kWh/km are more than any battery holds.
    trip = {"probability": 1.0, "distance_km": {"low": 1e3, "high": 1e3}, "kwh_per_km": 0.2}
    results = run(
        small_paper(
            strategy="uncoordinated",
            horizon={"days": 2},
            owners={"trip": trip},
            ev={"soc_lower": lower},
        )
    ).results
    stays = results.stays.set_index(["day", "ev_id"]).sort_index()
    first, second = stays.loc[stays.index[0][0]], stays.loc[stays.index[-1][0]]
    assert second["soc_arrival"].to_numpy() == pytest.approx(lower, abs=1e-12)
    had = (first["soc_departure"] - lower) * results.ev.set_index("ev_id")["capacity_kwh"]
    lacked = second["trip_kwh"] - second["trip_short_kwh"]
    assert lacked.to_numpy() == pytest.approx(had.loc[second.index].to_numpy())


def test_the_default_spread_is_a_fifth_of_a_range_of_soc_and_a_quarter_of_any_other():
    soc, time = {"low": 0.1, "high": 0.7}, {"low": "16:00", "high": "24:00"}
    late = {"low": 1.0, "high": 3.0}

    def drawn(soc_sd, sd_h, late_sd):
        stays = V2GModel(
            small_paper(
                fleet={
                    "evs_per_zone": 4,
                    "soc_arrival": soc | soc_sd,
                    "arrival": time | sd_h,
                },
                owners={"late_return": {"probability": 0.5, "delay_h": late | late_sd}},
            )
        ).fleet
        return stays.soc_arrival, stays.arrival_min

    left_out = drawn({}, {}, {})
    written = drawn({"sd": 0.6 / 5}, {"sd_h": 8.0 / 4}, {"sd": 2.0 / 4})
    assert left_out[0] == pytest.approx(written[0], abs=1e-12)
    assert same(left_out[1], written[1])


# --- indicators and statistics -----------------------------------------------------------------


@pytest.mark.parametrize("copies", [1, 2])
def test_demand_at_the_limit_is_not_above_it(copies):
    base = small_paper(strategy="none", feeder={"copies": copies})
    peak = V2GModel(base).run().results.kpis["system_peak_mw"] / copies
    for limit, hours in ((peak, 0), (peak - 1e-6, 1)):
        results = run(base.override({"grid.demand_limit_mw": limit})).results
        assert results.kpis["hours_above_limit"] == hours
        assert (results.kpi_columns["hours_above_limit"] == hours).all()


@pytest.mark.parametrize(
    ("arrival", "cents"),
    [
        (510, 20 * 0.5 + 21 + 22 + 23 + 0 + 1 + 2 + 3 + 4 * 0.5),
        (30, 12 * 0.5 + 13 + 14 + 15 + 16 + 17 + 18 + 19 + 20 * 0.5),
        # Cut by the end of the horizon at noon.
        (1140, 7 + 8 + 9 + 10 + 11),
    ],
)
def test_a_stay_charged_at_once_costs_what_the_hours_cost(tmp_path, arrival, cents):
    # 4 kWh at 0.5 kW take 8 h; a kWh costs the clock hour's number in cents.
    price = table(tmp_path, "tariff", price=np.arange(24) / 100)
    stay = {"arrival": arrival, "departure": arrival + 700}
    row = ev(capacity=10, soc=0.5, target=0.9, p_max_kw=0.5, **stay)
    fields = {"ev": {"efficiency": 1.0}, "tariff": {"prices": price}, **BALANCED}
    results = run(scenario(row, strategy="evms", **fields)).results
    assert results.ev["reference_cost_usd"].tolist() == pytest.approx([0.5 * cents / 100])


def test_each_hour_s_energy_is_paid_at_its_price(tmp_path):
    """Eqs. (19)-(21): 8 kWh given from 20:00 on at 7.5 kW, then 12 kWh drawn at 5.4 kW.

    7.5 and 0.5 kWh in 64 minutes; then 56 x 0.09, 5.4 and 1.56 kWh.
    """
    price = table(tmp_path, "tariff", price=np.arange(24) / 100)
    row = ev(arrival=480, departure=1200, capacity=40, soc=0.4, target=0.5)
    fields = {"ev": {"efficiency": 1.0, "soc_min": 0.2}, "tariff": {"prices": price}, **BALANCED}
    always = {"rule": "eq13", "rule_options": {"v2g_when": "always"}}
    found = run(scenario(row, strategy=always, **fields)).results
    assert found.kpis["sale_usd"] == pytest.approx(0.6 * (7.5 * 0.20 + 0.5 * 0.21))
    bought = 5.04 * 0.21 + 5.4 * 0.22 + 1.56 * 0.23
    assert found.kpis["purchase_usd"] == pytest.approx(bought)
    assert found.zones["purchase_usd"].tolist() == pytest.approx([bought] + [0.0] * 14)


def test_who_stays_away_pays_nothing_and_gains_nothing():
    at_home = {"plug_in": {"habit": "probability", "probability": 0.5}}
    table = run(small_paper(owners=at_home, strategy="uncoordinated", **BALANCED)).results.ev
    away = table["charged_kwh"] == 0.0
    assert 0 < away.sum() < len(table)
    assert (table.loc[away, ["reference_cost_usd", "benefit_usd"]] == 0.0).all(axis=None)
    assert (table.loc[~away, "reference_cost_usd"] > 0.0).all()


def known_table2(of):
    """Table II over replications whose values are of(printed), and what is printed, by quantity."""
    path = shipped_dir() / "reference" / "table2.csv"
    printed = pd.read_csv(path, comment="#", index_col="quantity", dtype=str)
    cases = ("base", "g2v", "evms", "g2v", "evms")  # the readings of the last two differ
    kpis = {
        "system_peak_mw": "system_peak",
        "system_peak_hour": "peak_hour",
        "feeder_energy_mwh": "daily_feeder_demand",
        "max_loss_mw": "max_active_loss",
        "min_vm_pu": "min_node_voltage",
    }

    def values(kpi):
        if kpi == "system_peak_tied_hours":
            return np.zeros((len(cases), 3))
        return np.array([of(printed.loc[kpis[kpi], case]) for case in cases])

    rows = table2_replications(SimpleNamespace(values=values))
    return rows[rows["unit"] != "h"]


def last_digit(text):
    return 10.0 ** -len(text.partition(".")[2])


@pytest.mark.parametrize(
    ("off", "inside"), [(0.4, True), (-0.4, True), (0.6, False), (-0.6, False)]
)
def test_the_papers_number_is_inside_by_half_of_its_last_digit(off, inside):
    # All replications the same: the interval is a point.
    found = known_table2(lambda text: np.full(3, float(text) + off * last_digit(text)))
    assert len(found) == 24
    assert [value is inside for value in found["paper_inside"]] == [True] * 24


@pytest.mark.parametrize("n", [2, 3, 10])
def test_one_more_run_falls_within_t_times_sd_times_the_root_of_one_and_a_share(n):
    spread = np.linspace(-1.0, 1.0, n)
    found = known_table2(lambda text: float(text) + spread * last_digit(text))
    found = {name: found[name].to_numpy() for name in found.select_dtypes("number")}
    one_run = stats.t.ppf(0.975, n - 1) * found["sd"] * np.sqrt(1 + 1 / n)
    assert found["prediction95_high"] - found["mean"] == pytest.approx(one_run, rel=1e-9)
    assert found["mean"] - found["prediction95_low"] == pytest.approx(one_run, rel=1e-9)
    mean = stats.t.ppf(0.975, n - 1) * found["sd"] / np.sqrt(n)
    assert found["ci95_high"] - found["mean"] == pytest.approx(mean, rel=1e-9)
