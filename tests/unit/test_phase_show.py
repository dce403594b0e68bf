"""`feeder show` of three-phase feeders, the shipped one, and verbs that do without them."""

import numpy as np
import pandas as pd
import pytest
from test_phase_feeder import EUROPEAN, written

from abm import Scenario
from abm.cli import main
from abm.grid import build_feeder
from abm.grid.demand import base_load_of
from abm.report.layout import place
from abm.report.phase_figure import OF_PHASE, phase_figure
from abm.report.phase_terminal import phase_lines
from abm.scenario.feeder import read_feeder
from abm.scenario.names import shipped_files
from abm.scenario.phase_feeder import line_lengths


@pytest.fixture(scope="module")
def european():
    return read_feeder(EUROPEAN, None), *line_lengths(EUROPEAN)


def labels_of(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


def test_the_european_feeder_is_a_map(european):
    table, length_m, n_open = european
    placed = place(table.phases, length_m)
    assert placed.is_map
    assert placed.places[0].tolist() == placed.places[1].tolist()  # the source has no place
    assert placed.tree.all()
    assert labels_of(phase_figure(table, length_m)) == [
        "0.416 kV, 1.43 km", "1 transformer, 800 kVA", "21 homes on a", "19 homes on b",
        "15 homes on c", "source"]  # fmt: skip
    assert phase_lines(table, length_m, n_open) == [
        "ieee_european_lv, three phases, 11/0.416 kV, radial: 907 buses, 905 lines closed, 0 open",
        "source: sourcebus, 1.05 p.u. of 11 kV, 50 Hz",
        "lines: 0.416 kV 905 of 1.432 km",
        "ratings known of 0 of 905 lines",
        "transformers: tr1 11/0.416 kV 800 kVA",
        "55 homes (21 on a, 19 on b, 15 on c)",
        "nominal load: 55 kW (21 on a, 19 on b, 15 on c), 18.08 kvar",
        "zones: 1",
    ]


def test_homes_differ_in_colour_and_in_marker():
    assert len({colour for colour, _ in OF_PHASE}) == len({marker for _, marker in OF_PHASE}) == 3


def test_without_coordinates_it_is_a_tree_over_metres(tmp_path):
    folder = written(tmp_path, [("buses.csv", ",x,y", ""), ("buses.csv", ",0,0", ""),
                                ("buses.csv", ",100,0", ""), ("buses.csv", ",100,10", ""),
                                ("buses.csv", ",100,20", ""), ("buses.csv", ",200,10", ""),
                                ("buses.csv", ",,", "")])  # fmt: skip
    table = read_feeder(folder, None)
    length_m, n_open = line_lengths(folder)
    placed = place(table.phases, length_m)
    assert not placed.is_map
    # sub, mv, s1, s2, p1, p2: metres of lines; the transformers have none.
    assert placed.places[:, 0].tolist() == [0.0, 1000.0, 1000.0, 1200.0, 1000.0, 1050.0]
    assert len(np.unique(placed.places[2:], axis=0)) == 4
    assert "2 of several phases" in labels_of(phase_figure(table, length_m))
    lines = phase_lines(table, length_m, n_open)
    assert lines[0].endswith("11/0.4 kV, radial: 6 buses, 3 lines closed, 1 open")
    assert "4 homes (1 on a, 1 on c, 2 on abc)" in lines
    assert "nominal load: 18 kW (7 on a, 5 on b, 6 on c), 6.364 kvar" in lines


def test_homes_of_several_phases_at_one_bus_are_all_seen(tmp_path):
    folder = written(tmp_path, [("homes.csv", "2 Street,s2,abc", "2 Street,s2,b")])
    fig = phase_figure(read_feeder(folder, None), line_lengths(folder)[0])
    assert [label for label in labels_of(fig) if " on " in label] == [
        "1 home on a", "1 home on b", "1 home on c"]  # fmt: skip
    dots = {one.get_label(): one for one in fig.axes[0].collections}
    one, other = (dots[f"1 home on {phase}"] for phase in "ab")
    assert one.get_offsets().tolist() == other.get_offsets().tolist()
    drawn = [of.get_offset_transform().transform(of.get_offsets())[0] for of in (one, other)]
    apart = 72.0 * (drawn[1] - drawn[0]) / fig.dpi
    assert apart.tolist() == pytest.approx([np.sqrt(one.get_sizes()[0]), 0.0])


def test_a_loop_is_said(tmp_path):
    folder = written(tmp_path, [("lines.csv", "80,,1", "80,,0")])
    length_m, n_open = line_lengths(folder)
    table = read_feeder(folder, None)
    assert "1 loop:" in phase_lines(table, length_m, n_open)[0]
    assert np.count_nonzero(~place(table.phases, length_m).tree) == 1


def test_show(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["feeder", "show", "ieee_european_lv", "--out", str(out)]) == 0
    assert (out / "feeder.png").read_bytes()[:4] == b"\x89PNG"
    assert "21 on a, 19 on b, 15 on c" in capsys.readouterr().out


def test_reconfigure_refuses_in_a_sentence(tmp_path, capsys):
    out = str(tmp_path / "out")
    changes = ["--set", "grid.feeder=ieee_european_lv", "--set", "fleet.evs_per_zone=1"]
    assert main(["reconfigure", "paper_balanced", "--out", out, *changes]) == 2
    said = capsys.readouterr().err
    assert "grid.feeder = ieee_european_lv: a balanced feeder; lines of one with three" in said
    assert "Traceback" not in said


def test_the_feeder_with_ratings_is_the_same_but_for_them(european):
    ours = read_feeder(shipped_files("feeders")["european_lv_rated"], None)
    assert np.isfinite(ours.phases.line_ampacity_a).all()
    assert ours.labels.bus.tolist() == european[0].labels.bus.tolist()
    for name, theirs in vars(european[0].phases).items():
        if name == "line_ampacity_a":
            continue
        mine = getattr(ours.phases, name)
        if isinstance(theirs, np.ndarray) and theirs.dtype.kind in "US":
            assert mine.tolist() == theirs.tolist()
        else:
            assert mine == pytest.approx(theirs, rel=1e-12, nan_ok=True), name


def test_the_scenario_has_the_load_of_the_test_case():
    scenario = Scenario.load("ieee_european_lv")
    base = base_load_of(scenario, build_feeder(scenario.inputs.feeder))
    minutes = 60 * np.arange(1440)
    p_mw, q_mvar = base.mean_p_mw(minutes, 60)[:, 0], base.mean_q_mvar(minutes, 60)[:, 0]
    shapes = pd.read_parquet(EUROPEAN.parents[1] / "profiles" / "ieee_lv_homes.parquet")
    kw = shapes[[f"home_{number} [kW]" for number in range(1, 56)]].to_numpy()
    # The day of a scenario begins at noon.
    assert 1e3 * p_mw == pytest.approx(np.roll(kw, -720, axis=0))
    assert q_mvar == pytest.approx(p_mw * np.tan(np.arccos(0.95)))
