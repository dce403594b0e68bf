"""Grids and Sobol' designs."""

import numpy as np
import pandas as pd
import pytest
from helpers import small_paper
from study_helpers import SMALL, TWO, call

from abm.errors import InputError
from abm.study.montecarlo import montecarlo
from abm.study.sweep import (
    FactorRange,
    grid_cases,
    parse_design,
    parse_grid,
    parse_ranges,
    sobol_indices,
    sobol_points,
)

SCENARIO = small_paper(clock={"step_s": 900})
GRID = ("--vary", "fleet.evs_per_zone=1,2,3", "--vary", "grid.demand_limit_mw=3.0,3.24")


def test_grid_has_every_combination_and_its_own_numbers(tmp_path):
    out = tmp_path / "out"
    argv = ("sweep", "paper", *SMALL, *TWO, *GRID, "--replications", 4, "--workers", 2)
    said = call(*argv, "--out", out)
    assert "evs_per_zone" in said.out
    table = pd.read_parquet(out / "sweep.parquet")
    assert len(table) == 3 * 2 * 2 * 4
    keys = ["fleet.evs_per_zone", "grid.demand_limit_mw", "strategy"]
    assert list(table.columns[:4]) == [*keys, "replication"]
    assert (table.groupby(keys).size() == 4).all()
    assert (table["evs"] == 15 * table["fleet.evs_per_zone"]).all()
    point = SCENARIO.override({"grid.demand_limit_mw": 3.24}, strategy="evms")
    wanted = montecarlo(point, 4).values("system_peak_mw")[0]
    here = (table["fleet.evs_per_zone"] == 2) & (table["grid.demand_limit_mw"] == 3.24)
    mine = table[here & (table["strategy"] == "evms")]
    assert mine["system_peak_mw"].tolist() == wanted.tolist()
    figures = {path.name for path in (out / "figures").iterdir()}
    assert {"peak_15min_mw.png", "min_vm_pu.png", "net_cost_usd.png"} <= figures
    flat = pd.read_csv(out / "sweep.csv")
    assert len(flat) == len(table)
    summary = pd.read_csv(out / "summary.csv")
    assert len(summary.groupby(keys)) == 12


def test_lines_for_one_factor_and_for_words(tmp_path):
    for i, vary in enumerate(("fleet.evs_per_zone=1,3", "strategy=none,evms")):
        out = tmp_path / str(i)
        argv = ("sweep", "paper", *SMALL, "--vary", vary, "--replications", 2, "--workers", 1)
        call(*argv, "--out", out, "--kpi", "peak")
        table = pd.read_parquet(out / "sweep.parquet")
        assert len(table) == 4
        assert (out / "figures" / "peak_15min_mw.png").exists() == (i == 0)


def test_values_keep_their_kind():
    grid = parse_grid(["fleet.evs_per_zone=20,40", "ev.efficiency=0.9,1.0", "clock.start=12:00"])
    assert grid == {
        "fleet.evs_per_zone": [20, 40],
        "ev.efficiency": [0.9, 1.0],
        "clock.start": ["12:00"],
    }


def test_all_bad_values_at_once():
    grid = parse_grid(["ev.efficiency=0.9,1.9", "fleet.evs_per_zone=-1,2"])
    with pytest.raises(InputError) as caught:
        grid_cases(SCENARIO, grid, None)
    found = {(p.field, p.value) for p in caught.value.problems}
    assert found == {("ev.efficiency", "1.9"), ("fleet.evs_per_zone", "-1")}
    assert all(p.file == "--vary" for p in caught.value.problems)


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["fleet.evs_per_zone"],
        ["fleet.evs_per_zone="],
        ["fleet.evs_per_zone=1,,2"],
        ["fleet.evs_per_zone=1,1"],
        ["fleet.evs_per_zone=1", "fleet.evs_per_zone=2"],
        ["fleet.evs_per_zone=1..3"],
    ],
)
def test_grids_that_cannot_be_meant(texts):
    with pytest.raises(InputError):
        parse_grid(texts)


@pytest.mark.parametrize(
    "texts",
    [
        ["ev.efficiency=0.8..0.9"],
        ["ev.efficiency=0.9..0.8", "ev.soc_min=0..0.2"],
        ["ev.efficiency=0.8,0.9", "ev.soc_min=0..0.2"],
        ["ev.efficiency=0.8..0.9", "ev.efficiency=0.8..0.9"],
        ["ev.efficiency=0.8..0.9", "fleet.evs_per_zone=1.5..3"],
    ],
)
def test_ranges_that_cannot_be_meant(texts):
    with pytest.raises(InputError):
        parse_ranges(texts)


@pytest.mark.parametrize("text", ["sobol", "sobol:0", "sobol:100", "morris:64", "sobol:-4"])
def test_designs_that_cannot_be_meant(text):
    with pytest.raises(InputError, match="--design"):
        parse_design(text)


def test_whole_numbers_are_all_as_likely():
    found = FactorRange("n", 20, 23, whole=True).at(np.linspace(0.0, 1.0, 4001))
    assert all(isinstance(value, int) for value in found)
    counts = np.bincount(found)[20:]
    assert counts.tolist() == pytest.approx([1000, 1000, 1000, 1001], abs=1)


def test_indices_of_ishigami():
    a, b = 7.0, 0.1
    ranges = [FactorRange(name, -np.pi, np.pi) for name in ("x1", "x2", "x3")]
    points = sobol_points(ranges, 2048, seed=1)
    x = np.array([[point[r.field] for r in ranges] for point in points])
    y = np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0])
    found = sobol_indices(ranges, y, seed=1)
    variance = 0.5 + a**2 / 8 + b * np.pi**4 / 5 + b**2 * np.pi**8 / 18
    v1, v2 = 0.5 * (1 + b * np.pi**4 / 5) ** 2, a**2 / 8
    v13 = b**2 * np.pi**8 * (1 / 18 - 1 / 50)
    first = np.array([v1, v2, 0.0]) / variance
    total = np.array([v1 + v13, v2, v13]) / variance
    assert found["factor"].tolist() == ["x1", "x2", "x3"]
    assert np.abs(found["S1"] - first).max() < 0.02
    assert np.abs(found["ST"] - total).max() < 0.02
    # The intervals say how far off they may be.
    assert (np.abs(found["S1"] - first) <= 2.0 * found["S1_conf"]).all()
    assert (np.abs(found["ST"] - total) <= 2.0 * found["ST_conf"]).all()


def test_points_are_the_same_for_the_same_seed():
    ranges = [FactorRange("a", 0.0, 1.0), FactorRange("b", 1.0, 5.0, whole=True)]
    assert sobol_points(ranges, 8, 1) == sobol_points(ranges, 8, 1)
    assert sobol_points(ranges, 8, 1) != sobol_points(ranges, 8, 2)
    assert len(sobol_points(ranges, 8, 1)) == 8 * 4


def test_what_does_not_vary_has_no_indices():
    ranges = [FactorRange("a", 0.0, 1.0), FactorRange("b", 0.0, 1.0)]
    assert sobol_indices(ranges, np.full(32, 3.24), 1)["ST"].isna().all()
    y = np.arange(32.0)
    y[3] = np.nan
    assert sobol_indices(ranges, y, 1)["ST"].isna().all()


def test_sobol_from_end_to_end(tmp_path):
    vary = ("--vary", "ev.efficiency=0.85..0.98", "--vary", "fleet.evs_per_zone=1..4")
    argv = ("sweep", "paper_balanced", "--set", "clock.step_s=900", "--design", "sobol:8", *vary)
    out = tmp_path / "out"
    said = call(*argv, "--workers", 2, "--out", out)
    assert "32 points" in said.out
    table = pd.read_csv(out / "sobol.csv").set_index(["kpi", "factor"])
    # More EVs charge more energy, and the efficiency does little beside.
    assert table.loc[("ev_charged_mwh", "fleet.evs_per_zone"), "ST"] > 0.6
    assert table.loc[("ev_charged_mwh", "ev.efficiency"), "ST"] < 0.3
    assert (out / "figures" / "peak_15min_mw.png").exists()
    points = pd.read_parquet(out / "sweep.parquet")
    assert set(points["fleet.evs_per_zone"]) == {1, 2, 3, 4}
    again = tmp_path / "again"
    call(*argv, "--workers", 1, "--out", again)
    assert (again / "sobol.csv").read_bytes() == (out / "sobol.csv").read_bytes()
