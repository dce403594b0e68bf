"""Each part of a tariff against numbers worked out by hand, and all of them together."""

import numpy as np
import pytest
from helpers import arrays, ev, run, same, scenario, small_paper, write_sessions
from hypothesis import given
from hypothesis import strategies as st

from abm import Scenario, V2GModel
from abm.errors import InputError
from abm.fleet.demand_charge import periods
from abm.results.demand_charge import fullest_window, mean_powers
from abm.scenario.calendar import Calendar
from abm.scenario.prices import in_window
from abm.scenario.tariff_fields import DemandCharge, PriceWindow
from abm.study.bound import optimum

# 20 kWh to store from 20:00 on, at 5.4 kW: 20.408 kWh until 23:46.8.
KWH = 20.0 / 0.98
# 24 kWh to give at 7.5 kW: 23.52 kWh until 23:08.2, and 24.49 to put back.
GIVEN, PUT_BACK = 24.0 * 0.98, 24.0 / 0.98


@pytest.fixture
def flat(tmp_path):
    """A price of 0.10 $/kWh all day."""
    path = tmp_path / "flat.csv"
    lines = ["hour,price", *(f"{hour},0.1" for hour in range(24)), ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def charging(tmp_path, tariff, *rows, **fields):
    """Who charges at once, under a tariff."""
    more = {"strategy": "uncoordinated", "requirement": {"kind": "energy_balanced"}}
    return scenario(*(rows or (ev(),)), folder=tmp_path, **more | fields, tariff=tariff)


def giving(tmp_path, tariff, **fields):
    """One that gives 24 kWh at once, and charges them again."""
    row = ev(soc=0.8, target=0.8, departure=1439)
    more = {"strategy": "evms_immediate", "eq13": {"v2g_when": "always"}}
    return charging(tmp_path, tariff, row, **more | fields)


def kpis(of):
    return run(of).results.kpis


def test_a_price_by_time_of_use(tmp_path, flat):
    evening = {"start": "21:00", "end": "23:00", "price": 0.3}
    late = {"start": "22:30", "end": "01:00", "price": 0.5}
    found = kpis(charging(tmp_path, {"prices": flat, "time_of_use": {"a": evening}}))
    assert found["purchase_usd"] == pytest.approx(0.1 * (KWH - 10.8) + 0.3 * 10.8)
    # The later one in the list holds where they overlap.
    both = {"prices": flat, "time_of_use": {"a": evening, "b": late}}
    by_hand = 0.1 * 5.4 + 0.3 * 8.1 + 0.5 * (KWH - 13.5)
    assert kpis(charging(tmp_path, both))["purchase_usd"] == pytest.approx(by_hand)


def test_a_grid_fee_in_a_window_on_either_direction(tmp_path, flat):
    def fee(on):
        window = {"start": "20:00", "end": "22:00", "usd_per_kwh": 0.05, "on": on}
        found = kpis(giving(tmp_path, {"prices": flat, "grid_fee": {"evening": window}}))
        assert found["ev_discharged_mwh"] == pytest.approx(GIVEN / 1e3)
        return found

    # 15 kWh are sold in these two hours, none is bought.
    assert fee("purchase")["grid_fee_usd"] == 0.0
    for on in ("sale", "both"):
        assert fee(on)["grid_fee_usd"] == pytest.approx(0.05 * 15.0)
        assert fee(on)["sale_usd"] == pytest.approx(0.06 * GIVEN - 0.05 * 15.0)
    assert fee("both")["purchase_usd"] == pytest.approx(0.1 * PUT_BACK)
    all_day = {"start": "0:00", "end": "0:00", "usd_per_kwh": 0.02}
    found = kpis(charging(tmp_path, {"prices": flat, "grid_fee": {"always": all_day}}))
    assert found["grid_fee_usd"] == pytest.approx(0.02 * KWH)
    assert found["purchase_usd"] == pytest.approx(0.12 * KWH)


def test_a_tax_on_one_direction(tmp_path, flat):
    bought = {"purchase_usd_per_kwh": 0.02, "purchase_rate": 0.19}
    found = kpis(giving(tmp_path, {"prices": flat, "tax": bought}))
    assert found["tax_usd"] == pytest.approx((0.02 + 0.19 * 0.12) * PUT_BACK)
    assert found["purchase_usd"] == pytest.approx(0.12 * 1.19 * PUT_BACK)
    assert found["sale_usd"] == pytest.approx(0.06 * GIVEN)
    sold = {"sale_usd_per_kwh": 0.01, "sale_rate": 0.25}
    found = kpis(giving(tmp_path, {"prices": flat, "tax": sold}))
    assert found["sale_usd"] == pytest.approx((0.06 * 0.75 - 0.01) * GIVEN)
    assert found["purchase_usd"] == pytest.approx(0.1 * PUT_BACK)
    # The rate is on the grid fee, too.
    fee = {"f": {"start": "0:00", "end": "0:00", "usd_per_kwh": 0.03}}
    found = kpis(charging(tmp_path, {"prices": flat, "tax": bought, "grid_fee": fee}))
    assert found["purchase_usd"] == pytest.approx(0.15 * 1.19 * KWH)


def test_a_sale_price_of_its_own(tmp_path, flat):
    path = tmp_path / "sale.csv"
    lines = ["hour,price", *(f"{h},{0.08 if h < 22 else 0.3}" for h in range(24)), ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    tariff = {"prices": flat, "sale_prices": str(path), "sale_ratio": 0.0}
    found = run(giving(tmp_path, tariff)).results
    assert found.kpis["sale_usd"] == pytest.approx(0.08 * 15.0 + 0.3 * (GIVEN - 15.0))
    assert found.hourly.set_index("hour")["sale_price"][22] == 0.3
    path.write_text(path.read_text(encoding="utf-8").replace("hour,", "# unit: EUR/kWh\nhour,"))
    with pytest.raises(InputError, match=r"tariff.sale_prices.*EUR/kWh"):
        giving(tmp_path, tariff)


def test_prices_by_the_quarter_of_an_hour(tmp_path):
    path = tmp_path / "quarters.csv"
    times = [f"{minute // 60}:{minute % 60:02d}" for minute in range(0, 1440, 15)]
    lines = ["time,price", *(f"{time},{0.01 * at}" for at, time in enumerate(times)), ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    base = charging(tmp_path, {"prices": str(path)}, ev(arrival=487))
    # From 20:07 for 3.7793 h: 8 min of quarter 80, 14 whole ones, and the rest of 23:45.
    whole = sum(0.01 * at for at in range(81, 95)) * 0.25
    rest_h = KWH / 5.4 - 8 / 60 - 14 * 0.25
    by_hand = 5.4 * (0.8 * 8 / 60 + whole + 0.95 * rest_h)
    assert kpis(base)["purchase_usd"] == pytest.approx(by_hand)
    found = run(base).results
    assert found.kpis["benefit_usd"] == pytest.approx(0.0, abs=1e-9)
    assert found.hourly["price"][9] == pytest.approx(np.mean([0.84, 0.85, 0.86, 0.87]))
    # With a longer time step energy within it cannot be told apart.
    hourly = base.override({"clock.step_s": 3600})
    assert hourly.inputs.prices.step_s == 3600


@pytest.mark.parametrize(("of", "usd"), [("ev", 2 * 54.0), ("zone", 108.0), ("feeder", 108.0)])
def test_a_demand_charge_of_two_that_charge_together(tmp_path, flat, of, usd):
    charge = {"usd_per_kw": 10.0, "of": of, "per": "horizon"}
    tariff = {"prices": flat, "demand_charge": charge}
    base = charging(tmp_path, tariff, ev("a"), ev("b"), base_load={"scale": 0.0})
    found = run(base).results
    assert found.kpis["demand_charge_usd"] == pytest.approx(usd)
    assert found.ev["demand_charge_usd"].tolist() == pytest.approx([54.0, 54.0])
    assert found.kpis["net_cost_usd"] == pytest.approx(0.2 * KWH + usd)
    assert found.kpis["benefit_usd"] == pytest.approx(0.0, abs=1e-9)


def test_who_was_not_there_pays_nothing_for_the_peak_of_a_zone(tmp_path, flat):
    charge = {"usd_per_kw": 10.0, "of": "zone", "per": "horizon", "window_min": 60}
    rows = ev("a"), ev("b", arrival=510), ev("early", arrival=240, departure=470), ev("c", zone=2)
    base = charging(tmp_path, {"prices": flat, "demand_charge": charge}, *rows)
    found = run(base).results
    # Zone 1 from 21:00 to 22:00, both all of it; zone 2 its one EV.
    assert found.ev["demand_charge_usd"].tolist() == pytest.approx([54.0, 54.0, 0.0, 54.0])
    assert found.zones["demand_charge_usd"][:2].tolist() == pytest.approx([108.0, 54.0])
    assert found.kpis["benefit_usd"] == pytest.approx(0.0, abs=1e-9)


def test_of_a_feeder_what_evs_add_to_its_own_peak(tmp_path, flat):
    charge = {"usd_per_kw": 1.0, "of": "feeder", "per": "horizon"}
    base = charging(tmp_path, {"prices": flat, "demand_charge": charge}, ev("a", arrival=485))
    found = run(base).results
    # The base demand peaks at 20:00, all hour; three quarters of it are the EV's, too.
    assert found.kpis["demand_charge_usd"] == pytest.approx(5.4)
    off_peak = charging(
        tmp_path, {"prices": flat, "demand_charge": charge}, ev("a", arrival=60, departure=400)
    )
    assert kpis(off_peak)["demand_charge_usd"] == 0.0


def test_periods_of_a_demand_charge():
    def parts(charge, *of):
        return [
            (p.begin_s // 3600, p.end_s // 3600, p.part) for p in periods(charge, Calendar(*of))
        ]

    monthly = DemandCharge(usd_per_kw=1.0)
    assert parts(DemandCharge(per="horizon"), "12:00", 24) == [(0, 24, 1.0)]
    assert parts(monthly, "12:00", 24) == [(0, 24, 1 / 30)]
    assert parts(monthly, "12:00", 24 * 31) == [(0, 720, 1.0), (720, 744, 1 / 30)]
    # Leap year: twelve hours of January, all of February, half a day of March.
    found = parts(monthly, "12:00", 24 * 30, "2024-01-31")
    assert found == [
        (0, 12, pytest.approx(0.5 / 31)),
        (12, 708, 1.0),
        (708, 720, pytest.approx(0.5 / 31)),
    ]
    # The month in which the clock goes forward has an hour less, and is whole all the same.
    march = parts(monthly, "0:00", 24 * 31 - 1, "2024-03-01", "Europe/Berlin")
    assert march == [(0, 743, pytest.approx(743 / 744))]


def test_windows_on_the_clock_and_the_calendar():
    hours = np.arange(7 * 24) * 3600
    week = Calendar("0:00", 7 * 24, "2024-03-25", "Europe/Berlin")

    def held(**fields):
        return np.flatnonzero(in_window(PriceWindow(**fields), week, hours)).tolist()

    assert held(start="22:00", end="2:00", days="friday") == [4 * 24 + h for h in range(22, 26)]
    assert held(start="6:00", end="7:00", days="weekend") == [5 * 24 + 6, 6 * 24 + 5]
    # A week later it is Monday again, an hour before the week is over.
    assert held(start="0:00", end="0:00", days="monday") == [*range(24), 167]
    assert held(start="9:00", end="10:00", months=[4]) == []
    assert len(held(start="9:00", end="10:00", months=[3])) == 7


def all_parts(flat):
    return {
        "prices": flat,
        "time_of_use": {"evening": {"start": "17:00", "end": "21:30", "price": 0.33}},
        "grid_fee": {
            "peak": {"start": "16:00", "end": "22:00", "usd_per_kwh": 0.04, "on": "both"},
            "night": {"start": "22:00", "end": "6:00", "usd_per_kwh": 0.01},
        },
        "tax": {"purchase_usd_per_kwh": 0.02, "purchase_rate": 0.19, "sale_rate": 0.1},
        "demand_charge": {"usd_per_kw": 8.0, "of": "zone", "per": "horizon"},
    }


@pytest.mark.parametrize("strategy", ["uncoordinated", "evms", "coordinated"])
def test_the_parts_of_a_bill_are_the_whole(strategy, flat):
    base = small_paper(strategy=strategy, tariff=all_parts(flat))
    found = run(base).results
    minutes, model = found.zone_minute, found.record.scenario.inputs.prices
    parts = model.parts()
    # Energy of every half hour, which is the step of the prices.
    assert model.step_s == 1800
    half = minutes["minute"] // 30
    bought = minutes.groupby(half)["charge_kw"].sum().to_numpy() / 60.0
    sold = minutes.groupby(half)["discharge_kw"].sum().to_numpy() / 60.0
    energy = (bought * parts.alpha - sold * 0.6 * parts.alpha).sum()
    fee = (bought * parts.fee_buy + sold * parts.fee_sell).sum()
    tax = (bought * parts.tax_buy + sold * parts.tax_sell).sum()
    kpi = found.kpis
    assert kpi["grid_fee_usd"] == pytest.approx(fee)
    assert kpi["tax_usd"] == pytest.approx(tax)
    whole = energy + fee + tax + kpi["demand_charge_usd"]
    assert kpi["net_cost_usd"] == pytest.approx(whole)
    for table in (found.ev, found.zones, found.groups):
        assert table["net_cost_usd"].sum() == pytest.approx(whole)
        assert table["benefit_usd"].sum() == pytest.approx(kpi["benefit_usd"])
    assert found.zones["demand_charge_usd"].sum() == pytest.approx(kpi["demand_charge_usd"])
    if strategy == "uncoordinated":
        assert kpi["benefit_usd"] == pytest.approx(0.0, abs=1e-6)


def test_a_price_that_follows_the_base_demand_is_the_paper_s(tmp_path):
    """0.224 $/kWh at 3.715 MW: what the shipped file has, rounded to four digits."""
    path = tmp_path / "none.csv"
    path.write_text("\n".join(["hour,price", *(f"{h},0" for h in range(24)), ""]))
    slope = {"usd_per_kwh_per_mw": 0.224 / 3.715}
    follows = small_paper(strategy="evms", tariff={"prices": str(path), "follows_demand": slope})
    listed = small_paper(strategy="evms")
    one, other = run(follows).results, run(listed).results
    assert one.hourly["price"].to_numpy() == pytest.approx(other.hourly["price"], abs=6e-5)
    assert one.kpis["net_cost_usd"] == pytest.approx(other.kpis["net_cost_usd"], rel=1e-3)
    assert one.kpis["benefit_usd"] == pytest.approx(other.kpis["benefit_usd"], rel=1e-3)


FEEDBACK = {"usd_per_kwh_per_mw": 0.5, "reference_mw": 3.0, "lowest": 0.02}


def feedback(**fields):
    broadcast = {"what": "net", "interval_min": 15}
    tariff = {"follows_demand": FEEDBACK}
    return small_paper(strategy="evms", broadcast=broadcast, tariff=tariff, **fields)


def test_a_price_that_follows_net_demand_is_paid_as_it_was_sent():
    model = V2GModel(feedback(fleet={"evs_per_zone": 8}))
    sent = []
    for _ in range(96):
        for _ in range(15):
            model.step()
        sent.append((model.broadcast.demand_mw[0], model.broadcast.purchase_price[0]))
    record = model.results.record
    listed = np.repeat(record.scenario.inputs.tariff.series.by_step[:, 0], 4)
    for quarter, (demand, price) in enumerate(sent[:-1]):
        by_hand = max(listed[quarter] + 0.5 * (demand - 3.0), 0.02)
        assert record.alpha[quarter, 0] == pytest.approx(by_hand)
        assert price == record.alpha[quarter, 0]
    minutes = model.results.zone_minute
    kwh = minutes.groupby(minutes["minute"] // 15)["charge_kw"].sum().to_numpy() / 60.0
    purchase = (kwh * record.alpha[:, 0]).sum()
    assert model.results.kpis["purchase_usd"] == pytest.approx(purchase)
    assert len(set(record.alpha[:, 0] - listed)) > 20


@pytest.mark.parametrize("strategy", ["evms", "evms_guaranteed", "coordinated"])
def test_both_engines_pay_the_same(strategy, flat):
    more = {"tariff": all_parts(flat) | {"follows_demand": FEEDBACK}}
    base = feedback().override(more, strategy=strategy)
    base = base.override({"coordinated.price_weight": 0.5})
    models = [
        V2GModel(base.override({"clock.engine": engine})).run() for engine in ("numpy", "compiled")
    ]
    assert models[1].compiled is not None
    one, other = (arrays(model) | dict(model.record.ev) for model in models)
    assert [name for name in one if not same(one[name], other[name])] == []
    assert same(models[0].record.alpha, models[1].record.alpha)


BY_PRICE = {"rule": "by_price", "admission": "by_price"}


def test_homes_that_go_by_the_price(tmp_path, flat):
    """Cheap from 22:00 on, dear from 20:00 to 22:00: sold then, and charged after."""
    windows = {"evening": {"start": "20:00", "end": "22:00", "price": 0.5}}
    base = giving(tmp_path, {"prices": flat, "time_of_use": windows}, strategy=BY_PRICE)
    found = kpis(base.override({"by_price.discharge_above": 0.3}))
    assert found["sale_usd"] == pytest.approx(0.3 * 15.0)
    assert found["purchase_usd"] == pytest.approx(0.1 * 15.0 / 0.98**2)
    assert kpis(base)["ev_discharged_mwh"] == 0.0
    # Who cannot wait charges at any price.
    row = ev(soc=0.2, target=0.9, departure=480 + 340)
    late = charging(tmp_path, {"prices": flat, "time_of_use": windows}, row, strategy=BY_PRICE)
    assert kpis(late)["evs_short"] == 0
    assert kpis(late)["purchase_usd"] > 0.1 * 28 / 0.98 + 0.4 * 5.0


@pytest.mark.parametrize("follows", [False, True])
def test_both_engines_go_by_the_same_price(follows, flat):
    more = {"tariff": all_parts(flat) | ({"follows_demand": FEEDBACK} if follows else {})}
    options = {"by_price": {"discharge_above": 0.19}, "broadcast": {"delay_min": 7.0}}
    more |= {"requirement.kind": "energy_balanced"}
    base = feedback(fleet={"evs_per_zone": 8}).override(more | options, strategy=BY_PRICE)
    models = [
        V2GModel(base.override({"clock.engine": engine})).run() for engine in ("numpy", "compiled")
    ]
    assert models[1].compiled is not None
    one, other = (arrays(model) for model in models)
    assert [name for name in one if not same(one[name], other[name])] == []
    found = models[0].results.kpis
    assert found["ev_discharged_mwh"] > 0.0
    assert found["evs_short"] == 0


def test_homes_that_go_by_a_price_that_follows_them_swing():
    """Cheap, so all charge; then it is dear, so none does; and so on."""
    base = feedback(fleet={"evs_per_zone": 8})
    alone, fed_back = (
        kpis(of.override(strategy=BY_PRICE))
        for of in (base.override({"tariff.follows_demand.usd_per_kwh_per_mw": 0.0}), base)
    )
    assert fed_back["mode_switches_per_ev"] > 3 * alone["mode_switches_per_ev"]


def test_feeders_of_a_batch_pay_what_they_pay_alone(flat):
    base = feedback().override({"tariff": all_parts(flat) | {"follows_demand": FEEDBACK}})
    both = V2GModel(base, seed=[5, 6]).run()
    for k, seed in enumerate((5, 6)):
        alone = V2GModel(base, seed=seed).run().results
        assert both.results_of(k).kpis == alone.kpis
        assert both.results_of(k).hourly.equals(alone.hourly)
    assert both.results.kpis["net_cost_usd"] == pytest.approx(
        sum(both.results_of(k).kpis["net_cost_usd"] for k in (0, 1))
    )


def test_planning_by_price_looks_at_what_owners_really_pay(flat):
    """The price is flat; what differs is the grid fee, at night."""
    fee = {"night": {"start": "0:00", "end": "5:00", "usd_per_kwh": 0.5}}
    tariff = {"prices": flat, "grid_fee": fee}
    base = small_paper(strategy="coordinated", tariff=tariff, base_load={"scale": 0.1})
    base = base.override({"requirement.kind": "energy_balanced"})
    by_peak = kpis(base)
    for strategy, changes in (
        ("coordinated", {"coordinated.price_weight": 1.0}),
        ("mpc", {"mpc.interval_min": 60}),
    ):
        found = kpis(base.override(changes, strategy=strategy))
        if strategy == "coordinated":
            assert found["grid_fee_usd"] < 0.5 * by_peak["grid_fee_usd"]
        assert found["evs_short"] == 0


@pytest.mark.parametrize("quarters", [False, True])
def test_the_bound_is_cheapest_by_what_owners_really_pay(tmp_path, flat, quarters):
    tariff = {key: of for key, of in all_parts(flat).items() if key != "demand_charge"}
    if quarters:
        tariff["grid_fee"]["short"] = {"start": "23:15", "end": "23:30", "usd_per_kwh": 0.2}
    base = small_paper(strategy="evms", tariff=tariff).override(
        {"requirement.kind": "energy_balanced"}
    )
    bound = optimum(base, "cost")
    assert bound.results.kpis["net_cost_usd"] == pytest.approx(
        bound.feeders[0].phases["cost"].value
    )
    assert bound.results.kpis["grid_fee_usd"] > 0.0
    for strategy in ("uncoordinated", "coordinated"):
        assert (
            bound.results.kpis["net_cost_usd"]
            < kpis(base.override(strategy=strategy))["net_cost_usd"]
        )


def test_prices_that_follow_demand_have_no_bound():
    with pytest.raises(InputError, match="follows_demand"):
        optimum(feedback(), "cost")


spans = st.tuples(
    st.floats(0.0, 95.0), st.floats(0.0, 60.0), st.floats(0.1, 9.0), st.integers(0, 1)
)


@given(st.lists(spans, min_size=1, max_size=6))
def test_powers_and_fullest_windows_are_integrals(rows):
    begin, length, power, group = (np.array(of) for of in zip(*rows, strict=True))
    end = np.minimum(begin + length, 120.0)
    found = mean_powers(begin[None], end[None], power[None], group, 2, 15.0, 8)
    for window in range(8):
        overlap = np.minimum(end, 15.0 * window + 15.0) - np.maximum(begin, 15.0 * window)
        overlap = np.maximum(overlap, 0.0) / 15.0
        for k in (0, 1):
            assert found[window, k] == pytest.approx((power * overlap)[group == k].sum(), abs=1e-9)
    parts = [
        max(max(min(e, 15.0 * w + 15.0) - max(b, 15.0 * w), 0.0) / 15.0 for w in range(8))
        for b, e in zip(begin, end, strict=True)
    ]
    assert fullest_window(begin, end, 15.0) == pytest.approx(np.array(parts), abs=1e-9)


def test_a_tariff_of_a_scenario_file_is_read_and_written_back(tmp_path, flat):
    write_sessions(tmp_path / "s.csv", [ev()])
    one = Scenario(tariff=all_parts(flat) | {"sale_prices": "three_step"})
    path = tmp_path / "again.yaml"
    path.write_text(one.to_yaml(), encoding="utf-8")
    assert Scenario.load(path) == one
    with pytest.raises(InputError, match=r"start_date"):
        Scenario(tariff={"grid_fee": {"a": {"start": "1:00", "end": "2:00", "usd_per_kwh": 1,
                                            "months": [1]}}})  # fmt: skip


def test_everything_that_is_wrong_in_a_tariff_is_said_at_once(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(
        """
extends: paper
tariff:
  sale_prices: nowhere.csv
  time_of_use: {a: {start: "25:00", end: "3:00", price: cheap}}
  grid_fee:
    "any name": {start: "3:00", end: "4:00", usd_per_kwh: 0.1, days: sunnday, months: [13]}
    c: {start: "3:00", end: "4:00"}
  demand_charge: {usd_per_kw: 3, of: house, window_min: 20}
clock: {step_s: 1800}
ageing: {model: wang}
""",
        encoding="utf-8",
    )
    with pytest.raises(InputError) as found:
        Scenario.load(path)
    fields = [problem.field.removeprefix("tariff.") for problem in found.value.problems]
    assert sorted(fields) == sorted(
        ["sale_prices", "time_of_use.a.start", "time_of_use.a.price", "grid_fee.any name.days",
         "grid_fee.any name.months", "grid_fee.c.usd_per_kwh", "demand_charge.of",
         "demand_charge.window_min", "ageing.model"]
    )  # fmt: skip
    with pytest.raises(InputError, match=r"1800: a divisor of .*window_min = 15"):
        Scenario(tariff={"demand_charge": {"usd_per_kw": 1.0}}, clock={"step_s": 1800})
