"""The verb `hosting` from end to end, on a feeder of medium voltage with few EVs."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from study_helpers import call, same_files

from abm import InputError, Scenario, V2GModel
from abm.cli import main
from abm.grid import build_feeder
from abm.study.hosting import ask, bound_batch, hosting, hosting_batch
from abm.study.hosting_limits import broken_elements, head_mva, kinds_of

CHANGES = {"clock.step_s": 3600, "base_load.scale": 0.7}
SMALL = [word for key, value in CHANGES.items() for word in ("--set", f"{key}={value}")]
# EVs of a twentieth raise the most loaded line from 71 % to some 77 %.
LINE = "line=75"


@pytest.fixture(scope="module")
def scenario():
    return Scenario.load("cigre_mv").override(CHANGES)


@pytest.fixture(scope="module")
def verb():
    """Arguments of a small study; the bound only where it is asked for."""
    return (
        "hosting", "cigre_mv", *SMALL, "--strategies", "uncoordinated,coordinated",
        "--shares", "0,0.08,0.16", "--within", 0.04, "--replications", 30, "--limits", LINE,
        "--workers", 1, "--no-bound",
    )  # fmt: skip


@pytest.fixture(scope="module")
def study(verb, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosting") / "study"
    call(*verb, "--out", folder)
    return folder


def test_the_folder_says_what_each_strategy_hosts(study):
    table = pd.read_csv(study / "hosting.csv", index_col="strategy")
    shares = pd.read_csv(study / "shares.csv")
    assert table.index.tolist() == ["uncoordinated", "coordinated"]
    for name, row in table.iterrows():
        mine = shares[shares["strategy"] == name]
        kept = mine[mine["probability"] <= 0.05]["share"].max()
        assert row["share"] == kept
        above = mine[mine["share"] > kept]["share"]
        assert row["next_share"] == above.min() or not len(above)
    one = table.loc["uncoordinated"]
    assert 0.0 < one["share"] < one["next_share"] < 0.16
    assert (one["limit"], one["element"], one["probability"]) == ("line", "N1-N2", 1.0)
    assert one["high"] == one["next_share"]
    # Valleys are filled, and no line feels it.
    assert table.loc["coordinated", "share"] == 0.16
    assert np.isnan(table.loc["coordinated", "next_share"])
    summary = json.loads((study / "kpis.json").read_text())
    assert summary["limits"] == [LINE]
    assert summary["strategies"]["uncoordinated"]["share"] == table["share"]["uncoordinated"]
    assert {path.name for path in (study / "figures").iterdir()} == {"probability.png", "map.png"}


def test_a_broken_replication_has_the_element_that_broke_it(study):
    rows = pd.read_parquet(study / "replications.parquet")
    elements = pd.read_csv(study / "elements.csv")
    assert (rows["line"] == (rows["max_line_loading_percent"] > 75.0)).all()
    for (strategy, share), mine in rows.groupby(["strategy", "share"]):
        of = elements[(elements["strategy"] == strategy) & (elements["share"] == share)]
        assert of["broken"].max() == mine["line"].sum() or not mine["line"].any()


def test_the_same_replications_are_met_everywhere(study):
    rows = pd.read_parquet(study / "replications.parquet")
    seeds = rows.groupby("replication")["seed"].nunique()
    assert (seeds == 1).all()
    # More EVs never load the line less where each charges at once.
    own = rows[rows["strategy"].isin(["no EVs", "uncoordinated"])]
    loading = own.pivot(index="replication", columns="share", values="max_line_loading_percent")
    pairs = loading.to_numpy()
    rises = pairs[:, 1:] - pairs[:, :-1]
    assert (rises[np.isfinite(rises)] >= 0.0).all()


def test_interrupted_it_loses_nothing_and_says_the_same(study, verb, tmp_path):
    out = tmp_path / "study"
    shutil.copytree(study, out)
    (out / "manifest.json").unlink()
    (out / "hosting.csv").unlink()
    parts = sorted((out / "parts").iterdir())
    for part in parts[2:]:
        part.unlink()
    kept = {part: part.stat().st_mtime_ns for part in parts[:2]}
    call(*verb, "--out", out, "--resume")
    same_files(out, study)
    assert kept == {part: part.stat().st_mtime_ns for part in kept}
    assert "nothing to do" in call(*verb, "--out", out, "--resume").err
    other = [word if word != LINE else "line=76" for word in verb]
    assert "limits" in call(*other, "--out", out, "--resume", code=2).err


def test_kpis_that_are_asked_for_are_means_at_each_share(tmp_path):
    few = ("hosting", "cigre_mv", *SMALL, "--strategies", "uncoordinated", "--shares", "0,0.16",
           "--within", 0.1, "--replications", 2, "--limits", LINE, "--workers", 1, "--no-bound",
           "--kpi", "peak,plugged_peak_mw", "--out", tmp_path / "few")  # fmt: skip
    said = json.loads(call(*few, "--json").out)
    rows = pd.read_parquet(tmp_path / "few" / "replications.parquet")
    peaks = rows.groupby("share")["peak_15min_mw"].mean()
    assert said["no EVs"]["0.0"] == {"peak_15min_mw": peaks[0.0], "plugged_peak_mw": None}
    assert said["uncoordinated"]["0.16"]["peak_15min_mw"] == peaks[0.16]
    shown = call(*few, "--force").out
    assert "uncoordinated, 16 %" in shown
    assert f"{peaks[0.16]:.3f}" in shown


def test_a_replication_is_the_same_alone(scenario):
    limits = {"line": 75.0, "voltage_low": None}
    one = scenario.override({"fleet.evs_per_customer": 0.05, "fleet.drawn_per_customer": 0.1})
    together = hosting_batch(one, [5, 6, 7], limits=limits)
    alone = hosting_batch(one, [6], limits=limits)
    assert together.kpis[1] == alone.kpis[0]
    for kind in limits:
        assert together.arrays[kind][1].tolist() == alone.arrays[kind][0].tolist()


def test_the_bound_has_a_plan_and_what_no_plan_could_stay_below(scenario):
    asked = ask(
        scenario, (0.0, 0.004), ["uncoordinated"], replications=2, limits={"line": None}, bound=True
    )
    study = hosting(asked)
    assert set(study.outcomes) == {
        (name, at) for name in ("uncoordinated", "bound") for at in (0, asked.ladder.grid[1])
    }
    one = scenario.override({"fleet.evs_per_customer": 0.004})
    found = bound_batch(one, [3], limits={"line": 10.0})
    (kpis,) = found.kpis
    assert kpis["least_demand_mw"] == pytest.approx(kpis["system_peak_mw"], rel=1e-6)
    assert "N1-N2" in found.arrays["line"][0].tolist()
    plain = hosting_batch(one, [3], limits={"line": 10.0})
    assert kpis["least_demand_mw"] <= plain.kpis[0]["system_peak_mw"]


def test_the_head_carries_what_its_transformers_do(scenario):
    feeder = build_feeder(scenario.inputs.feeder)
    limits = {"transformer": None, "unbalance": None}
    # Two of 25 MVA at a source of 1.03 p.u.
    v = float(np.abs(feeder.network.slack_v[0]))
    assert head_mva(feeder, limits) == pytest.approx(50.0 * v, rel=1e-9)
    assert head_mva(feeder, {"transformer": 120.0}) == pytest.approx(60.0 * v, rel=1e-9)
    assert head_mva(feeder, {"line": None}) is None
    assert kinds_of(feeder, limits) == ("transformer",)


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    said = call(
        "hosting", "paper", "--shares", "1:0:0.1", "--risk", 5, "--within", 0, "--limits", "lime",
        "--strategies", "evsm", "--replications", 0, "--set", "ev.efficiency=2",
        "--out", tmp_path / "out", code=2,
    ).err  # fmt: skip
    for wrong in ("--shares", "--risk", "--within", "--limits", "--replications", "ev.efficiency"):
        assert wrong in said
    said = call(
        "hosting", "paper", "--strategies", "evsm", "--kpi", "peek",
        "--out", tmp_path / "out", code=2,
    ).err  # fmt: skip
    assert "did you mean 'peak'" in said
    assert "did you mean 'evms'" in said
    assert "customers" in said
    assert "missing: zone 1, 2" in said
    assert not (tmp_path / "out").exists()


def test_a_limit_that_the_feeder_has_not_is_refused(scenario):
    with pytest.raises(InputError, match=r"--limits = unbalance: .*voltage_low.*transformer"):
        ask(scenario, (0.0, 0.1), limits={"unbalance": None, "line": None})


def test_a_share_is_that_of_all_homes_where_each_is_a_zone(tmp_path):
    net = str(tmp_path / "net")
    assert (
        main(["feeder", "import", "pandapower:create_kerber_landnetz_kabel_1", "--out", net]) == 0
    )
    changes = [f"grid.feeder={net}", "grid.demand_limit_mw=0.1", "clock.step_s=900"]
    one_home_a_zone = Scenario.load("paper_balanced", settings=changes)
    asked = ask(one_home_a_zone, (0.0, 0.25, 0.5, 0.75, 1.0), replications=2, within=1.0)
    assert asked.ladder.evs == (0, 2, 4, 6, 8)


def test_evs_of_a_file_have_no_share(tmp_path):
    with pytest.raises(InputError, match=r"fleet.sessions.*left out"):
        ask(Scenario.load("measured_sessions"), (0.0, 1.0))


# --- three phases ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def street():
    return Scenario.load("hosting_lv").override({"grid.flow_interval_min": 60})


def places(scenario, share) -> set:
    """Home and phase of each charger, and what its EV brings."""
    fleet = {"fleet.evs_per_customer": share, "fleet.drawn_per_customer": 1.0}
    evs = V2GModel(scenario.override(fleet), seed=9).fleet
    names = ("point", "capacity_kwh", "soc_arrival", "arrival_min", "departure_min")
    return set(zip(*(getattr(evs, name).tolist() for name in names), strict=True))


def test_the_homes_with_an_ev_at_a_lower_share_have_one_at_a_higher(street):
    sets = [places(street, share) for share in (0.1, 0.3, 1.0)]
    assert [len(one) for one in sets] == [6, 17, 55]
    assert sets[0] < sets[1] < sets[2]


def test_what_breaks_a_limit_of_a_three_phase_feeder_has_the_name_of_its_kpi(street):
    one = street.override({"fleet.evs_per_customer": 0.6})
    limits = {"voltage_low": 0.98, "unbalance": 0.5, "line": 50.0, "transformer": 5.0}
    found = hosting_batch(one, [1, 2], limits=limits)
    for k, kpis in enumerate(found.kpis):
        names = {kind: rows[k].tolist() for kind, rows in found.arrays.items()}
        assert kpis["max_vuf_bus"] in names["unbalance"]
        assert kpis["max_line_loading_line"] in names["line"]
        assert kpis["min_vm_home"] in names["voltage_low"]
        assert names["transformer"] == ["tr1"]
        never = hosting_batch(one, [1, 2], limits={"unbalance": kpis["max_vuf_percent"]})
        assert never.arrays["unbalance"][k].tolist() == []
    feeder = build_feeder(one.inputs.feeder)
    assert kinds_of(feeder, limits) == tuple(limits)
    assert head_mva(feeder, {"transformer": None}) == pytest.approx(0.8 * 1.05)
    assert head_mva(feeder, {"line": None}) is None


def test_voltages_of_finer_load_flows_are_judged_by_ten_minute_means(street):
    one = street.override({"grid.flow_interval_min": 5, "fleet.evs_per_customer": 1.0})
    record = V2GModel(one, seed=4).run().record
    means = record.flows.vm_pu[:, 0].reshape(-1, 2, 55).mean(axis=1).min(axis=0)
    lowest = record.flows.vm_pu[:, 0].min(axis=0)
    home = int(means.argmin())
    assert lowest[home] < means[home]
    between = (lowest[home] + means[home]) / 2.0
    (broken,) = broken_elements(record, {"voltage_low": between})["voltage_low"]
    assert broken.tolist() == []
    (broken,) = broken_elements(record, {"voltage_low": means[home] + 1e-9})["voltage_low"]
    assert broken.tolist() == [record.feeder.bus_names[home]]


def test_batches_are_so_small_that_their_size_decides_nothing(street):
    for flow_min, longest in ((60, 30), (5, 25), (1, 7)):
        one = street.override({"grid.flow_interval_min": flow_min})
        asked = ask(one, (0.0, 1.0), ["uncoordinated"], replications=50, within=1.0)
        found = [len(span) for spans in asked.spans.values() for span in spans]
        assert max(found) == longest
