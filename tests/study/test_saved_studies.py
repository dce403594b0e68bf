"""Folders of studies give their studies back: the same tables, KPIs, figures and bytes."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from helpers import small_paper

from abm import Results, montecarlo
from abm.cli import main
from abm.errors import InputError
from abm.results.ownership import check_written
from abm.results.saved import Saved
from abm.study.compare import bound_beside, compare, foresight_costs
from abm.study.outcomes import Comparison, HostingStudy, MonteCarlo, PaperStudy, Sweep
from abm.study.reproduce import READINGS, STRATEGY_OF, Reproduction
from abm.study.runs import run_once

COARSE = {"clock": {"step_s": 1800}}
SMALL = ("--set", "fleet.evs_per_zone=1", "--set", "clock.step_s=1800")


def files(folder):
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in sorted(found.items())}


def studied(path, *verb):
    assert main([*verb, "--out", str(path)]) == 0
    return Results.load(path)


def comes_back(found, kind, path):
    """The study is what its folder says, and saves it again to the same bytes."""
    assert type(found) is kind
    assert found.missing == ()
    found.save(path.with_name("again"), figures=False)
    again, before = files(path.with_name("again")), files(path)
    drawn = [name for name in before if "figures/" in name or name == "report.html"]
    for name in ("manifest.json", *drawn):
        del before[name]
    del again["manifest.json"]
    assert again == before
    assert check_written(path).differences == {}
    for name, table in found.tables.items():
        for file in (path / f"{name}.parquet", path / f"{name}.csv"):
            if file.is_file() and file.suffix == ".parquet":
                stored = pd.read_parquet(file)
                pd.testing.assert_frame_equal(table, stored, check_exact=True)


def test_a_comparison(tmp_path):
    scenario = small_paper(fleet={"evs_per_zone": 1}, **COARSE)
    runs = compare(scenario, ["evms", "coordinated"])
    bound, _ = bound_beside(scenario)
    before = Comparison(scenario, runs, bound, foresight_costs(runs, bound))
    before.save(tmp_path / "c", figures=False)
    found = Results.load(tmp_path / "c")
    comes_back(found, Comparison, tmp_path / "c")
    assert list(found.runs) == ["evms", "coordinated"]
    assert found.scenario == scenario
    assert found.kpis == before.kpis
    pd.testing.assert_frame_equal(found.tables["comparison"], before.tables["comparison"])
    assert found.kinds == ("demand",)
    assert "coordinated" in found._repr_html_()


def test_a_comparison_of_rules_of_one_s_own_names_them(tmp_path):
    def idle(fleet, broadcast, minute):
        return np.zeros(fleet.n, dtype=np.int64)

    scenario = small_paper(**COARSE).with_objects(kpis={"noon_mw": lambda run: run.total_mw[0]})
    runs = compare(scenario, {"mine": idle, "evms": "evms"})
    before = Comparison(scenario, runs, None, {})
    before.save(tmp_path / "c", figures=False)
    with pytest.warns(UserWarning, match="no file can hold: "):
        found = Results.load(tmp_path / "c")
    # KPIs of one's own stay in the table, too.
    assert "noon_mw" in found.tables["comparison"]
    pd.testing.assert_frame_equal(found.tables["comparison"], before.tables["comparison"])
    assert type(found) is Comparison
    assert list(found.runs) == ["mine", "evms"]
    assert found.kpis["mine"] == runs["mine"].results.kpis


def test_a_monte_carlo_study(tmp_path, capsys):
    verb = ("montecarlo", "paper", *SMALL, "--strategies", "uncoordinated,evms", "--workers", "1")
    path = tmp_path / "m"
    found = studied(path, *verb, "--replications", "4", "--until", "peak:50%", "--at-least", "4")
    comes_back(found, MonteCarlo, path)
    assert (found.ensemble.stopped, found.until.at_least) == (4, 4)
    summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    assert found.kpis == summary["strategies"]
    page = found._repr_html_()
    assert "uncoordinated" in page
    assert "System peak of 15 min" in page
    # A chunk that is not as it was is not computed anew.
    part = next((path / "parts").iterdir())
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(InputError, match="it has changed since"):
        Results.load(path)


def test_replications_with_a_kpi_of_one_s_own_have_their_kpis_where_they_were(tmp_path):
    own = {"noon_mw": lambda run: run.total_mw[0]}
    before = montecarlo(small_paper(**COARSE), 2, kpis=own, progress=False)
    before.save(tmp_path / "m", figures=False)
    with pytest.warns(UserWarning, match="no file can hold"):
        found = Results.load(tmp_path / "m")
    assert type(found) is Saved
    assert found.kpis == before.kpis
    assert found.kpis["evms"]["noon_mw"]["n"] == 2


@pytest.mark.parametrize(
    "vary",
    [
        ("--vary", "ev.efficiency=0.9,0.95", "--kpi", "energy"),
        ("--vary", "ev.efficiency=0.9..0.95", "--vary", "seed=1..9", "--design", "sobol:2"),
    ],
)
def test_a_sweep(vary, tmp_path, capsys):
    verb = ("sweep", "paper", *SMALL, *vary, "--replications", "2", "--workers", "1")
    found = studied(tmp_path / "s", *verb)
    comes_back(found, Sweep, tmp_path / "s")
    assert "ev.efficiency" in found._repr_html_()


def test_a_study_of_hosting_capacity(tmp_path, capsys):
    more = ("--shares", "0,0.16", "--within", "0.16", "--limits", "line=75", "--no-bound")
    changes = ("--set", "clock.step_s=3600", "--set", "base_load.scale=0.7", "--workers", "1")
    verb = ("hosting", "cigre_mv", *changes, "--replications", "2", *more)
    found = studied(tmp_path / "h", *verb, *more)
    comes_back(found, HostingStudy, tmp_path / "h")
    assert "coordinated" in found._repr_html_()


def test_the_paper_s_study(tmp_path):
    replicated = {"table2_replications": pd.DataFrame({"quantity": ["peak"], "mean": [0.1 + 0.2]})}
    small = small_paper(**COARSE)
    runs = {
        (case, reading): run_once(small.override({"requirement.kind": reading}, strategy=strategy))
        for case, strategy in STRATEGY_OF.items()
        for reading in READINGS
    }
    before = PaperStudy(Reproduction(runs), replicated=replicated)
    before.save(tmp_path / "p", figures=False)
    found = Results.load(tmp_path / "p")
    comes_back(found, PaperStudy, tmp_path / "p")
    for name, table in before.tables.items():
        pd.testing.assert_frame_equal(found.tables[name], table, check_exact=True)
    assert found.kpis == before.kpis
    assert found.kinds == before.kinds
    assert ">system_peak</td>" in found._repr_html_()


def test_what_cannot_be_made_again_is_read(tmp_path, capsys):
    verb = ("breakeven", "paper", *SMALL, "--strategies", "evms")
    assert main([*verb, "--out", str(tmp_path / "b")]) == 0
    with pytest.warns(UserWarning, match="holds nothing else"):
        found = Results.load(tmp_path / "b")
    assert type(found) is Saved
    assert list(found.tables) == ["breakeven"]
    assert found.kinds == ("breakeven",)
    assert math.isfinite(found.tables["breakeven"]["v2g_mwh"][0])
    assert "Saved: breakeven, paper, evms" in found._repr_html_()
