"""Copies of the feeder: independent, the same in shards, and made of agents on demand."""

import json

import numpy as np
import pytest
from helpers import small_paper

from abm import EV, Scenario, V2GModel
from abm.cli import main
from abm.fleet import feeder_seeds
from abm.results import join_records
from abm.study.runs import run_city, shards_of

TABLES = ("hourly", "zone_hour", "ev", "bus_hour", "line_hour", "violations", "zones", "feeders")


def city(copies, **fields):
    return small_paper(feeder={"copies": copies}, **fields)


def test_a_copy_does_not_know_of_the_others():
    many = V2GModel(city(5)).run()
    alone = V2GModel(small_paper(), seed=feeder_seeds(1, 5)[3]).run()
    assert many.results_of(3).kpis == alone.results.kpis
    for name in ("hourly", "ev", "bus_hour", "zones"):
        assert getattr(many.results_of(3), name).equals(getattr(alone.results, name))


def test_the_first_copy_keeps_the_seed_and_all_differ():
    seeds = feeder_seeds(7, 1000)
    assert seeds[0] == 7
    assert len(set(seeds)) == 1000
    assert feeder_seeds(7, 10) == seeds[:10]
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("workers", [1, 3])
def test_shards_put_together_are_the_city(workers):
    base = city(60, fleet={"evs_per_zone": 1})
    whole, parts = V2GModel(base).run().results, run_city(base, workers).results
    assert len(shards_of(60, workers)) == 2
    assert parts.kpis == whole.kpis
    for name in TABLES:
        assert getattr(parts, name).equals(getattr(whole, name)), name


def test_one_feeder_is_the_same_on_several_workers():
    alone, shards = V2GModel(small_paper()).run().results, run_city(small_paper(), 2).results
    assert shards.zone_minute.equals(alone.zone_minute)
    assert shards.kpis == alone.kpis


def test_shards_cover_every_feeder_once():
    for copies, workers in ((1, 4), (24, 8), (1667, 2), (99, 99)):
        shards = shards_of(copies, workers)
        assert [k for first, last in shards for k in range(first, last)] == list(range(copies))


def test_city_kpis_are_sums_and_worst_cases():
    results = V2GModel(city(4, strategy="uncoordinated")).run().results
    each = [results.of(k).kpis for k in range(4)]
    found = results.kpis
    total = results.hourly.groupby("hour_index")["total_mw"].sum()
    assert found["feeders"] == 4
    assert found["evs"] == sum(one["evs"] for one in each) == 120
    assert found["system_peak_mw"] == pytest.approx(total.max(), rel=1e-12)
    assert found["system_peak_hour"] == (total.idxmax() + 12) % 24
    assert found["net_cost_usd"] == pytest.approx(sum(one["net_cost_usd"] for one in each))
    assert found["min_vm_pu"] == min(one["min_vm_pu"] for one in each)
    assert each[found["min_vm_feeder"] - 1]["min_vm_pu"] == found["min_vm_pu"]
    peaks = sum(one["system_peak_mw"] for one in each)
    assert found["feeder_coincidence_factor"] == pytest.approx(total.max() / peaks)
    assert list(results.feeders["feeder"]) == [1, 2, 3, 4]
    assert list(results.feeders["net_cost_usd"]) == [one["net_cost_usd"] for one in each]


@pytest.mark.filterwarnings("error")
def test_a_city_without_demand_has_no_coincidence_of_feeders():
    fields = {"base_load": {"scale": 0.0}, "feeder": {"copies": 2}, "strategy": "none"}
    assert V2GModel(small_paper(**fields)).run().results.kpis["feeder_coincidence_factor"] is None


def test_minutes_are_recorded_for_one_feeder_and_on_request():
    assert V2GModel(small_paper()).meter.minutes
    assert not V2GModel(city(2)).meter.minutes
    asked = V2GModel(city(2, record={"zone_minute": True})).run().results
    by_hour = asked.zone_minute.groupby(
        ["feeder", asked.zone_minute["minute"] // 60, "zone"], sort=True
    )["p_kw"].mean()
    assert by_hour.to_numpy() == pytest.approx(asked.zone_hour["p_kw"].to_numpy(), abs=1e-9)
    with pytest.raises(RuntimeError, match="zone_minute"):
        _ = V2GModel(city(2)).run().results.zone_minute


def test_joining_keeps_names_and_numbers():
    base = small_paper()
    parts = [V2GModel(base, seed=seed).run().record for seed in (1, 2, 3)]
    whole = V2GModel(base.override({"record.zone_minute": True}), seed=[1, 2, 3]).run().record
    joined = join_records(parts)
    assert joined.seeds == whole.seeds
    for name, column in whole.ev.items():
        assert np.array_equal(joined.ev[name], column, equal_nan=column.dtype == float), name
    assert np.array_equal(joined.minute_charge_kw, whole.minute_charge_kw)


def test_fifty_thousand_evs_are_rows_until_somebody_asks():
    model = V2GModel(Scenario.load("city").override({"feeder.copies": 84})).run()
    assert model.fleet.n == 50_400
    assert "0 of them made" in repr(model.evs)
    assert isinstance(model.evs[50_399], EV)
    assert model.evs[50_399] is model.evs[-1]
    assert model.evs[50_399].ev_id == "600"
    found = model.results.kpis
    assert found["evs"] == 50_400
    assert found["nonconverged_hours"] == 0
    assert found["energy_balance_error_kwh"] < 1e-6
    assert found["system_peak_mw"] <= 3.24 * 84
    assert 0.3 < found["evs_short"] / found["evs"] < 0.5


def test_run_city_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ["--set", "feeder.copies=3", "--set", "fleet.evs_per_zone=2"]
    assert main(["run", "city", *small]) == 0
    assert "Coincidence of feeders" in capsys.readouterr().out
    folder = tmp_path / "outputs" / "city-evms-seed1"
    assert json.loads((folder / "kpis.json").read_text())["feeders"] == 3
    assert {p.stem for p in folder.glob("*.parquet")} == {*TABLES, "record"}
    assert {p.name for p in (folder / "figures").iterdir()} == {"demand.png", "spread.png"}
