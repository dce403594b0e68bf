"""What a Monte Carlo study says, and what it does about replications that fail."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers import run, small_paper
from study_helpers import SMALL, TWO, call

from abm.report.study_terminal import print_ensemble
from abm.results.indicators import INDICATORS
from abm.scenario import Scenario
from abm.study.ensemble import failure_lines
from abm.study.montecarlo import montecarlo, strategy_cases
from abm.study.replications import BLOCK, chunks_of, replication_seed, simulate_batch
from abm.study.statistics import Until

SCENARIO = small_paper(clock={"step_s": 900})

# What is left over when a load flow has converged: rounding, and that of a batch.
NOISE = {"max_mismatch_mva"}


@pytest.fixture(scope="module")
def ensemble():
    return montecarlo(SCENARIO, 30, ["uncoordinated", "evms"])


def test_a_replication_alone_has_the_same_numbers(ensemble):
    for k in (0, 7, 29):
        for case in ensemble.cases:
            results = run(case.scenario, seed=ensemble.seeds[k]).results
            i = ensemble.cases.index(case)
            for kpi in set(ensemble.measures) - NOISE:
                found, alone = ensemble.values(kpi)[i, k], results.kpis[kpi]
                np.testing.assert_equal(found, np.nan if alone is None else alone, kpi)
            assert (ensemble.array("total_mw")[i, k] == results.total_mw).all()
            zones = results.zones["purchase_usd"].to_numpy()
            assert (ensemble.array("zone_purchase_usd")[i, k] == zones).all()


def test_seeds():
    seeds = [replication_seed(1, k) for k in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert replication_seed(1, 17) == seeds[17]
    assert replication_seed(2, 17) != seeds[17]
    # What stands in the tables has to stay what it was.
    assert replication_seed(1, 0) == 4215923173971654960


def test_batches_do_not_matter():
    seeds = [replication_seed(1, k) for k in range(4)]
    together = simulate_batch(SCENARIO, seeds)
    for k, seed in enumerate(seeds):
        alone = simulate_batch(SCENARIO, [seed])
        kpis = [
            {kpi: value for kpi, value in found.items() if kpi not in NOISE}
            for found in (together.kpis[k], alone.kpis[0])
        ]
        assert kpis[0] == kpis[1]
        for name, values in together.arrays.items():
            assert values[k].tobytes() == alone.arrays[name][0].tobytes(), name


def test_chunks_cover_everything_once():
    cases = strategy_cases(SCENARIO, ["uncoordinated", "evms", "none"])
    done = frozenset({(0, 3), (1, 0), (2, 59)})
    found = [
        (span.case, k)
        for chunk in chunks_of(cases, 60, done)
        for span in chunk
        for k in range(span.first, span.last)
    ]
    assert len(found) == len(set(found))
    assert set(found) == {(case, k) for case in range(3) for k in range(60)} - done
    # A block of replications is complete before the next begins, so that `until` can be asked.
    assert [k // BLOCK for _, k in found] == sorted(k // BLOCK for _, k in found)


def test_differences_are_paired(ensemble):
    table = ensemble.differences.set_index("kpi")
    peak = ensemble.values("system_peak_mw")
    row = table.loc["system_peak_mw"]
    assert (row["strategy"], row["minus"]) == ("evms", "uncoordinated")
    assert row["mean"] == pytest.approx((peak[1] - peak[0]).mean())
    assert row["sd"] == pytest.approx((peak[1] - peak[0]).std(ddof=1))
    assert row["excludes_zero"]
    # Both strategies meet the same EVs, so that nothing is left of what only the EVs decide.
    for kpi in ("evs", "base_energy_mwh"):
        assert (table.loc[kpi, "mean"], table.loc[kpi, "sd"]) == (0.0, 0.0)
        assert not table.loc[kpi, "excludes_zero"]


def test_tables(ensemble):
    summary = ensemble.summary
    assert len(summary) == 2 * len(ensemble.measures)
    assert summary["strategy"].tolist()[0] == "uncoordinated"
    bands = ensemble.bands
    assert len(bands) == 2 * (4 * 24 + 96)
    finer = bands[(bands["strategy"] == "evms") & (bands["quantity"] == "total_15min_mw")]
    assert finer["hour_index"].tolist() == np.repeat(np.arange(24), 4).tolist()
    assert finer["minute"].tolist() == [0, 15, 30, 45] * 24
    hourly = bands[(bands["strategy"] == "evms") & (bands["quantity"] == "total_mw")]
    means = finer.groupby("hour_index")["mean"].mean()
    assert means.to_numpy() == pytest.approx(hourly["mean"].to_numpy())
    assert finer["mean"].max() > hourly["mean"].max()
    peak = bands[(bands["strategy"] == "evms") & (bands["quantity"] == "total_mw")]
    values = ensemble.array("total_mw")[1]
    assert np.allclose(peak["mean"], values.mean(axis=0), rtol=1e-12)
    assert np.allclose(peak["q95"], np.quantile(values, 0.95, axis=0), rtol=1e-12)
    assert peak["hour"].tolist() == [*range(12, 24), *range(12)]


def test_hours_without_a_load_flow_are_missing_and_counted(capsys):
    # Twice the voltage limit of what the feeder can carry: no hour converges.
    heavy = SCENARIO.override({"base_load.scale": 20.0})
    found = montecarlo(heavy, 3)
    summary = found.summary.set_index("kpi")
    assert summary.loc["nonconverged_hours", "mean"] == 24
    for kpi in ("min_vm_pu", "loss_energy_mwh", "max_loss_mw"):
        if kpi in summary.index:
            assert summary.loc[kpi, "n"] == 0
            assert np.isnan(summary.loc[kpi, "mean"])
    bands = found.bands.set_index("quantity")
    assert (bands.loc["loss_mw", "n"] == 0).all()
    assert bands.loc["loss_mw", "mean"].isna().all()
    assert (bands.loc["total_mw", "n"] == 3).all()
    print_ensemble(found, heavy)
    said = " ".join(capsys.readouterr().out.split())
    assert "in 3 of 3 replications a load flow did not converge; their losses, lowest volt" in said


# --- failures ----------------------------------------------------------------------------------


def failing(tmp_path):
    """A scenario file whose rule raises for some replications, and for which."""
    seeds = [replication_seed(1, k) for k in range(30)]
    first = [run_arrival(seed) for seed in seeds]
    early = float(np.median(first)) - 5.0
    path = tmp_path / "fails.yaml"
    path.write_text(
        "extends: paper\nfleet: {evs_per_zone: 2}\nclock: {step_s: 900}\n"
        "strategy:\n  rule: study_rules:Sometimes\n"
        f"  rule_options: {{early: {early!r}}}\n"
    )
    return path, [k for k, minute in enumerate(first) if minute < early]


def run_arrival(seed):
    from abm import V2GModel

    return V2GModel(small_paper(), seed=seed).fleet.arrival_min.min()


def test_replications_that_raise_are_recorded_and_do_not_stop_the_others(tmp_path):
    path, which = failing(tmp_path)
    assert 0 < len(which) < 30
    argv = ("montecarlo", path, "--replications", 30, "--out", tmp_path / "out", "--trust")
    said = call(*argv, "--workers", 1, code=2)
    assert f"{len(which)} of 30 replications failed" in said.err
    assert f"replication {which[0]}, seed {replication_seed(1, which[0])}" in said.err
    assert "somebody came too early" in said.err
    table = pd.read_parquet(tmp_path / "out" / "replications.parquet")
    assert table["replication"][table["error"].notna()].tolist() == which
    assert table["system_peak_mw"].isna().tolist() == table["error"].notna().tolist()
    summary = pd.read_csv(tmp_path / "out" / "summary.csv")
    # The feeder has no transformers and no phases, its zones no PV, ageing by throughput no cycles.
    none = {"max_transformer_loading_percent", "self_consumption", "self_sufficiency"}
    none |= {"cycle_depth_mean"}
    sections = ("Three phases", "Transformers")
    none |= {name for name, row in INDICATORS.items() if row.section in sections}
    known = ~summary["kpi"].isin(none)
    assert set(summary["n"][known]) == {30 - len(which)}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["failed"] == len(which)
    # They fail for the same reason each time: to resume is to do nothing, and to say so again.
    assert "nothing to do" in call(*argv, "--resume", code=2).err


def test_all_replications_failing_still_ends(tmp_path):
    path, _ = failing(tmp_path)
    argv = ("montecarlo", path, "--set", "strategy.rule_options.early=5000", "--replications", 3)
    said = call(*argv, "--workers", 1, "--trust", "--out", tmp_path / "out", code=2)
    assert "3 of 3 replications failed" in said.err


def test_many_failures_are_not_all_named():
    hopeless = SCENARIO.override(
        strategy={"rule": "study_rules:Sometimes", "rule_options": {"early": 1e9}}, trust=True
    )
    lines = failure_lines(montecarlo(hopeless, 15).failures, 15)
    assert len(lines) == 12
    assert "5 more" in lines[-1]


def test_rule_that_is_not_there_is_told_at_once(tmp_path):
    said = call(
        "montecarlo", "paper", "--set", "strategy={rule: study_rules:Nobody}", "--trust",
        "--out", tmp_path / "out", code=2,
    )  # fmt: skip
    assert "Nobody" in said.err
    assert not (tmp_path / "out").exists()


# --- until -------------------------------------------------------------------------------------


def test_until_stops_at_the_same_number_whoever_works():
    until = Until("net_cost_usd", 0.06)
    found = [
        montecarlo(SCENARIO, 200, ["uncoordinated", "evms"], workers=workers, until=until)
        for workers in (1, 2)
    ]
    assert found[0].stopped == found[1].stopped == found[0].n
    assert BLOCK < found[0].n < 200
    assert found[0].table.equals(found[1].table)
    values = found[0].values("net_cost_usd")
    assert until.reached(values)
    assert not until.reached(values[:, :-BLOCK])


def test_until_says_how_many_it_took(tmp_path):
    argv = ("montecarlo", "paper", *SMALL, *TWO, "--workers", 1, "--until", "peak:5%")
    said = call(*argv, "--replications", 80, "--out", tmp_path / "a")
    assert f"reached after {BLOCK} replications" in " ".join(said.out.split())
    argv = (*argv[:-1], "peak:0.001%")
    said = call(*argv, "--replications", 30, "--out", tmp_path / "b")
    assert "not reached in 30 replications" in " ".join(said.out.split())


def test_json(tmp_path):
    argv = ("montecarlo", "paper", *SMALL, "--replications", 3, "--workers", 1, "--json")
    found = json.loads(call(*argv, "--out", tmp_path / "out").out)
    assert found["strategies"]["evms"]["system_peak_mw"]["n"] == 3
    assert found == json.loads((tmp_path / "out" / "summary.json").read_text())


def test_bad_counts_are_named_together(tmp_path):
    said = call("montecarlo", "paper", "--replications", 0, "--workers", -1, code=2)
    assert "--replications" in said.err
    assert "--workers" in said.err


def test_a_city_has_its_replications_already():
    city = Scenario(feeder={"copies": 2})
    with pytest.raises(Exception, match=r"feeder\.copies"):
        montecarlo(city, 2)


def test_reproduce_puts_intervals_beside_the_paper():
    from abm.study.reproduce import (
        reproduce_replications,
        table2_replications,
        table3_replications,
    )

    ensemble = reproduce_replications(3)
    two, three = table2_replications(ensemble), table3_replications(ensemble)
    base = two[(two["quantity"] == "daily_feeder_demand") & (two["case"] == "base")].iloc[0]
    # A number without spread meets the paper's when it rounds to it.
    assert (base["sd"], base["paper_inside"]) == (0.0, True)
    peak = two[(two["quantity"] == "system_peak") & (two["case"] == "g2v")].iloc[0]
    assert peak["prediction95_low"] < peak["ci95_low"] < peak["mean"] < peak["ci95_high"]
    total = three[(three["zone"] == "total") & (three["quantity"] == "g2v_cost")]
    assert total["mean"].iloc[0] == pytest.approx(ensemble.values("net_cost_usd")[1].mean())
    assert len(three) == 16 * 3 * 2


def test_reproduce_prints_and_writes_what_the_replications_found(tmp_path):
    folder = tmp_path / "paper"
    lines = call("reproduce", "--replications", 3, "--workers", 1, "--out", folder).out.splitlines()
    assert any(line.startswith("Table II over 3 replications") for line in lines)
    two, three = (pd.read_csv(folder / f"table{n}_replications.csv") for n in (2, 3))
    assert two["n"].tolist() == [3] * len(two)
    # The rows of the daily demand, as printed: paper, mean, interval, and whether it is inside.
    rows = two[(two["quantity"] == "daily_feeder_demand") & (two["reading"] == "as_printed")]
    for case, row in rows.set_index("case").iterrows():
        numbers = f"{row['paper']:.2f}   {row['mean']:.2f}    {row['ci95_low']:.2f} .. "
        verdict = "yes" if row["paper_inside"] else "no"
        found = [line for line in lines if numbers in line and line.rstrip().endswith(verdict)]
        assert len(found) == 1, (case, numbers)
    zones = three[(three["zone"] != "total") & (three["reading"] == "as_printed")]
    inside = (zones["paper_inside"].astype(str) == "True").sum()
    assert f"Of the {len(zones)} numbers of zones, as printed, {inside} are inside." in lines
