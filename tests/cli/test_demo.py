"""The verb `demo`: the story's numbers are those of the runs."""

import io

import pytest

from abm.cli import main
from abm.report.demo import ACTS, demo_lines
from abm.scenario import Scenario
from abm.study import compare


@pytest.fixture(scope="module")
def runs():
    found = compare(Scenario.load("paper_balanced"), ACTS)
    return {name: run.results for name, run in found.items()}


def test_demo_tells_the_peaks_of_the_runs_and_leaves_no_files(runs, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for name in ACTS:
        kpis = runs[name].kpis
        assert f"{kpis['peak_15min_mw']:.2f} MW at {kpis['peak_15min_time']}" in said
    assert "600 EVs in 15 residential parking zones" in said
    assert f"{runs['evms'].kpis['evs_short']} of 600 EVs leave without all" in said
    assert list(tmp_path.iterdir()) == []


def test_red_is_above_the_limit(runs):
    limit = runs["none"].record.limit_mw().min()
    lines = list(demo_lines(runs))
    red = sum(span.style == "red" for line in lines for span in line.spans)
    # Once in every row of a column whose half-hour is above.
    assert red % 5 == 0
    above = sum((runs[n].record.demand_mw(30.0)[:, 0] > limit + 5e-4).sum() for n in ACTS)
    assert red == 5 * above


def test_pictures_without_blocks(runs):
    text = "\n".join(line.plain for line in demo_lines(runs, unicode=False))
    assert "#" in text
    assert text.isascii()


def test_another_seed_tells_another_story(capsys):
    assert main(["demo", "--seed", "7"]) == 0
    first = capsys.readouterr().out
    assert main(["demo", "--seed", "x"]) == 2
    assert "--seed" in capsys.readouterr().err
    assert io.StringIO(first).readline().startswith("600 EVs")
