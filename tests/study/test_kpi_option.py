"""`--kpi`: what is shown in the terminal and in figures is what was asked for, on every verb."""

import json

import pytest
from study_helpers import call

SMALL = ("paper", "--set", "fleet.evs_per_zone=1", "--set", "clock.step_s=900")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_run_shows_what_was_asked_for(folder):
    said = call("run", *SMALL, "--no-figures", "--kpi", "peak,min_vm_bus")
    assert "System peak of 15 min" in said.out
    assert "Net cost" not in said.out
    assert "Written to" in said.out
    kpis = json.loads((folder / "outputs/paper-evms-seed1/kpis.json").read_text())
    only = call("run", *SMALL, "--no-figures", "--kpi", "peak,min_vm_bus", "--json", "--out", "o")
    assert json.loads(only.out) == {name: kpis[name] for name in ("peak_15min_mw", "min_vm_bus")}


def test_comparisons_and_bounds_show_what_was_asked_for():
    two = ("compare", *SMALL, "--strategies", "none,evms", "--kpi", "cost,gap_to_optimum_percent")
    refused = call(*two, code=2)
    assert "--kpi = gap_to_optimum_percent" in refused.err
    said = call(*two[:-1], "cost,max_loss_mw")
    rows = [line.split() for line in said.out.splitlines()]
    names = ("none", "evms", "bound")
    assert [row[0] for row in rows if len(row) == 3 and row[0] in names][:3] == [*names]
    found = call(*two[:-1], "cost", "--no-bound", "--json", "--out", "o")
    assert {name: [*kpis] for name, kpis in json.loads(found.out).items()} == {
        "none": ["net_cost_usd"],
        "evms": ["net_cost_usd"],
    }
    said = call("bound", *SMALL, "--no-figures", "--kpi", "evs_short")
    assert "EVs short" in said.out
    assert "Net cost" not in said.out


def test_replications_show_what_was_asked_for(folder):
    how = ("montecarlo", *SMALL, "--replications", 2, "--workers", 1)
    said = call(*how, "--kpi", "loss")
    assert "Losses" in said.out
    assert "Net cost" not in said.out
    call(*how, "--out", "usual")
    drawn = "figures/distributions.png"
    here = folder / "outputs/paper-montecarlo-seed1" / drawn
    assert here.read_bytes() != (folder / "usual" / drawn).read_bytes()
    assert "min_vm_bus" in call(*how, "--kpi", "min_vm_bus", code=2).err


def test_kpis_of_the_user_s_own_are_known(folder):
    (folder / "mine.py").write_text(
        "def charged(results):\n    return results.kpis['ev_charged_mwh']\n", encoding="utf-8"
    )
    (folder / "mine.yaml").write_text(
        "extends: paper\nkpis: {charged: 'mine:charged'}\nfleet: {evs_per_zone: 1}\n",
        encoding="utf-8",
    )
    words = ("run", "mine.yaml", "--no-figures", "--json", "--kpi", "charged,ev_charged_mwh")
    found = json.loads(call(*words, "--trust").out)
    assert found["charged"] == found["ev_charged_mwh"] > 0.0


def test_before_and_after_show_what_was_asked_for():
    said = call("reconfigure", *SMALL, "--no-figures", "--kpi", "loss")
    rows = [line.split()[0] for line in said.out.splitlines() if line.strip()]
    assert {"before", "after"} <= {*rows}
    assert "Net cost" not in said.out


def test_break_even_prices_have_kpis_beside_them(folder):
    (folder / "mine.py").write_text(
        "def charged(results):\n    return results.kpis['ev_charged_mwh']\n", encoding="utf-8"
    )
    own = (*SMALL[1:], "--set", "kpis.charged=mine:charged", "--trust")
    more = ("worn_batteries", *own, "--strategies", "evms")
    kpis = ("--kpi", "charged,ev_charged_mwh,ageing_usd", "--json")
    (found,) = json.loads(call("breakeven", *more, *kpis).out).values()
    assert found["charged"] == found["ev_charged_mwh"] > 0.0
    # At the scenario's own price of a pack, as in a run of the strategy.
    words = ("run", "worn_batteries", *own, "--strategy", "evms", "--no-figures", *kpis)
    alone = json.loads(call(*words).out)
    assert {name: found[name] for name in alone} == pytest.approx(alone)
    assert "charged" in call("breakeven", *more, "--kpi", "charged", "--out", "two").out
    assert "did you mean" in call("breakeven", *more, "--kpi", "chargd", code=2).err


def test_an_unknown_kpi_is_named_with_the_nearest():
    said = call("run", *SMALL, "--kpi", "peek,voltge", code=2).err
    assert "did you mean 'peak'?" in said
    assert "did you mean 'voltage'?" in said
