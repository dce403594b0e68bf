"""Pictures of feeders: where things are put, and what is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from abm import Scenario
from abm.cli import main
from abm.grid import build_feeder
from abm.grid.reconfigure import all_lines
from abm.report.feeder_figures import feeder_figure, layout
from abm.report.feeder_terminal import feeder_lines
from abm.scenario.feeder_table import Generation, Labels


@pytest.fixture(scope="module")
def table():
    return Scenario().inputs.feeder


def labels_of(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


def test_a_tree_has_its_trunk_in_a_row_and_no_two_buses_in_one_place(table):
    feeder = build_feeder(table)
    places, is_map = layout(feeder, table)
    assert not is_map
    assert len(np.unique(places, axis=0)) == 33
    assert places[:18, 1].tolist() == [0.0] * 18
    assert places[:18, 0].tolist() == list(range(18))
    # Laterals: what branches off last is nearest.
    assert [set(places[rows, 1]) for rows in (range(25, 33), range(22, 25), range(18, 22))] == [
        {-1.0},
        {-2.0},
        {-3.0},
    ]


def test_coordinates_are_a_map_where_all_are_known(table):
    x = np.arange(33.0)
    named = replace(table, labels=Labels(x=x, y=0.5 * x))
    places, is_map = layout(build_feeder(named), named)
    assert is_map
    assert places[4].tolist() == [4.0, 2.0]
    some = replace(table, labels=Labels(x=np.where(x == 3, np.nan, x), y=x))
    assert not layout(build_feeder(some), some)[1]
    alike = replace(table, labels=Labels(x=np.zeros(33), y=np.zeros(33)))
    assert not layout(build_feeder(alike), alike)[1]


def test_what_is_on_a_feeder_is_in_the_legend_and_in_words(table):
    feeds = Generation(np.array([7]), np.array(["pv"]), np.array([0.3]), np.array([0.0]))
    ampacity = table.ampacity_a.copy()
    ampacity[5:] = np.nan
    given = replace(table, generation=feeds, ampacity_a=ampacity, customers=np.full(33, 10.0))
    feeder = build_feeder(given)
    fig = feeder_figure(feeder, all_lines(given))
    assert labels_of(fig) == [
        "12.66 kV, 400 A",
        "open line",
        "residential, 1.29 MW",
        "commercial, 1.1 MW",
        "industrial, 1.32 MW",
        "15 zones",
        "generation, 0.3 MW",
        "source",
    ]
    (axes,) = fig.axes
    assert [text.get_text() for text in axes.texts] == [str(number) for number in range(1, 34)]
    said = feeder_lines(feeder, all_lines(given))
    assert said[0].endswith("radial: 33 buses, 32 lines closed, 5 open")
    assert "ratings known of 5 of 32 lines" in said
    assert "pv: 1 buses feed in, 0.3 MW" in said
    assert said[-1] == "zones: 15, 150 customers"


def test_show_writes_a_picture_and_says_what_there_is(tmp_path, capsys):
    out = tmp_path / "picture"
    assert main(["feeder", "show", "case33bw", "--out", str(out)]) == 0
    assert "sources: N1" in capsys.readouterr().out
    assert (out / "feeder.png").read_bytes()[1:4] == b"PNG"
    assert main(["verify", str(out)]) == 0
    assert main(["feeder", "show", "case33", "--out", str(tmp_path / "x")]) == 2
    assert "did you mean 'case33bw'" in capsys.readouterr().err
