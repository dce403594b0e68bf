"""Pictures of feeders: where things are put, and what is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from abm import Scenario
from abm.cli import main
from abm.grid import build_feeder
from abm.grid.reconfigure import all_lines
from abm.report.feeder_figures import feeder_figure
from abm.report.feeder_terminal import feeder_lines
from abm.report.layout import feeder_layout, layout, side_by_side
from abm.scenario.feeder_table import Generation, Labels


@pytest.fixture(scope="module")
def table():
    return Scenario().inputs.feeder


def labels_of(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


def test_a_tree_has_its_trunk_in_a_row_and_no_two_buses_in_one_place(table):
    feeder = build_feeder(table)
    places, is_map = layout(feeder)
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
    places, is_map = layout(build_feeder(named))
    assert is_map
    assert places[4].tolist() == [4.0, 2.0]
    some = replace(table, labels=Labels(x=np.where(x == 3, np.nan, x), y=x))
    assert not layout(build_feeder(some))[1]
    alike = replace(table, labels=Labels(x=np.zeros(33), y=np.zeros(33)))
    assert not layout(build_feeder(alike))[1]


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


def test_a_layout_has_a_way_for_every_line_and_a_place_for_every_zone(table):
    feeder = build_feeder(table)
    at = feeder_layout(feeder)
    assert not at.is_map
    assert at.aspect == 1.0
    assert [way[0].tolist() for way in at.ways[:2]] == [[0.0, 0.0], [1.0, 0.0]]
    assert at.bus_names == feeder.bus_names
    assert [zone.tolist() for zone in at.zones] == [[bus] for bus in feeder.zone_bus]
    assert (len(at.joins), len(at.transformer_x), at.slack.tolist()) == (0, 0, [0])


def test_a_line_of_a_mesh_is_an_arc_beside_the_tree(table):
    shut = all_lines(table)
    feeder = build_feeder(replace(shut, is_open=np.zeros(len(shut.line_from), dtype=np.bool_)))
    at = feeder_layout(feeder)
    arcs = [line for line, way in enumerate(at.ways) if len(way) > 3]
    assert (feeder.n_line, len(arcs)) == (37, 5)


def test_the_layout_of_a_street_has_its_electrical_buses_and_its_homes():
    feeder = build_feeder(Scenario.load("ieee_european_lv").inputs.feeder)
    at = feeder_layout(feeder)
    assert at.is_map
    assert (len(at.x), len(at.load_x), len(at.ways), len(at.zones)) == (907, 55, 905, 1)
    assert [len(zone) for zone in at.zones] == [55]
    assert np.isfinite(at.transformer_x).all()


def test_homes_at_one_bus_stand_side_by_side():
    places = np.array([[0.0, 0.0], [1000.0, 0.0], [500.0, 9.0]])
    at = side_by_side(places, np.array([1, 2, 1]))
    assert at.tolist() == [[996.0, 0.0], [500.0, 9.0], [1004.0, 0.0]]
