"""Where V2G stops paying."""

import json
import re

import pytest
from helpers import run, small_paper

from abm.cli import main
from abm.errors import InputError
from abm.report.breakeven import print_break_even
from abm.study.breakeven import break_even, break_even_table, default_strategies


def balanced(**fields):
    return small_paper(
        requirement={"kind": "energy_balanced"}, grid={"demand_limit_mw": 2.8}, **fields
    )


TARIFFS = {
    "plain": {},
    "parts": {
        "grid_fee": {"day": {"start": "6:00", "end": "22:00", "usd_per_kwh": 0.03, "on": "both"}},
        "tax": {"purchase_rate": 0.2, "sale_rate": 0.1, "sale_usd_per_kwh": 0.01},
        "demand_charge": {"usd_per_kw": 2.0, "of": "zone"},
    },
}


@pytest.mark.parametrize("tariff", TARIFFS)
def test_the_lines_are_what_runs_at_other_prices_say(tariff):
    base = balanced(strategy="coordinated", ageing={"model": "xu_2018"}, base_load={"scale": 0.05})
    base = base.override({"tariff": TARIFFS[tariff]})
    base = base.override({"grid.demand_limit_mw": 0.15})
    (worth,) = break_even(base, ["evms_guaranteed"]).values()
    assert worth.v2g_mwh > 0.0
    changes = {"tariff.sale_ratio": 0.9, "ageing.pack_usd_per_kwh": 60.0}
    other = base.override(changes, strategy="evms_guaranteed")
    one, without = (
        run(of).results.kpis for of in (other, other.override({"owners.v2g_participation": 0.0}))
    )

    def saved(name):
        return without[name] - one[name]

    by_hand = saved("net_cost_usd") + saved("ageing_usd")
    paid = one["purchase_usd"] / one["ev_charged_mwh"] / 1e3
    by_hand += saved("energy_short_kwh") / base.ev.efficiency * paid
    assert worth.at(0.9, 60.0) == pytest.approx(by_hand)
    assert worth.at(sale_ratio=worth.least_sale_ratio) == pytest.approx(0.0, abs=1e-9)
    most = worth.most_pack_usd_per_kwh
    assert most is None or worth.at(pack_usd_per_kwh=most) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("tariff", "least"), [("plain", 0.12), ("parts", 0.07)])
def test_who_goes_by_the_price_is_judged_by_what_was_sold_at_the_scenarios_ratio(tariff, least):
    # At a higher ratio more would be sold.
    options = {"discharge_above": least}
    by_price = {"rule": "by_price", "admission": "by_price", "rule_options": options}
    base = balanced(strategy=by_price, tariff=TARIFFS[tariff])
    (worth,) = break_even(base, ["by_price+by_price"]).values()
    one = run(base).results
    prices = one.record.prices
    dearest = prices.alpha.max() * (1.0 - base.tariff.tax.sale_rate)
    assert 0.0 < worth.v2g_mwh == pytest.approx(one.kpis["ev_discharged_mwh"])
    assert worth.sale_ratio * worth.sold_usd - worth.taken_usd == pytest.approx(
        one.kpis["sale_usd"]
    )
    assert least / worth.sale_ratio <= worth.sold_usd / worth.v2g_mwh / 1e3 <= dearest


def test_no_sale_ratio_is_high_enough_below_a_price_of_0(tmp_path, capsys):
    """What is sold then costs, the more the higher the ratio."""
    prices = tmp_path / "below.csv"
    prices.write_text("hour,price\n" + "".join(f"{h},-0.02\n" for h in range(24)))
    base = balanced(base_load={"scale": 0.05}, tariff={"prices": str(prices)})
    base = base.override({"grid.demand_limit_mw": 0.15})
    found = break_even(base, ["evms"])
    assert found["evms"].sold_usd < 0.0
    table = break_even_table(found)
    assert table["least_sale_ratio"].isna().all()
    print_break_even(base, table, ["evms"])
    assert re.search(r"evms .* - +36", capsys.readouterr().out)


def test_strategies_without_v2g_have_no_row_and_mpc_is_asked_for_by_name():
    assert "mpc" not in default_strategies(balanced())
    assert default_strategies(balanced(strategy="mpc"))[-1] == "mpc"
    found = break_even(balanced(), ["none", "uncoordinated", "evms"])
    assert list(found) == ["evms"]
    assert break_even_table({}).empty
    groups = {"shy": {"share": 0.5, "v2g_participation": 0.0}, "all": {"share": 0.5}}
    few = break_even(balanced(owners={"groups": groups}), ["evms"])["evms"]
    assert few.v2g_mwh < found["evms"].v2g_mwh
    assert few.sold_usd > 0.0
    with pytest.raises(InputError, match="sale_ratio"):
        break_even(balanced(tariff={"sale_ratio": 0.0}), ["evms"])


def test_the_verb_writes_table_and_figure(tmp_path, capsys):
    more = ["--strategies", "none,evms", "--set", "fleet.evs_per_zone=2", "--json"]
    assert main(["breakeven", "worn_batteries", *more, "--out", str(tmp_path / "out")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["evms"]["v2g_mwh"] > 0.0
    assert (tmp_path / "out" / "figures" / "breakeven.png").stat().st_size > 10_000
    assert main(["verify", str(tmp_path / "out")]) == 0
    assert main(["breakeven", "worn_batteries", *more[:-1], "--out", str(tmp_path / "two")]) == 0
    assert "Without V2G: none." in capsys.readouterr().out
