"""Files of sessions: what is read, and every bad row named with its line."""

import numpy as np
import pytest

from abm.errors import InputError
from abm.scenario import Scenario

HEAD = "ev_id,zone,arrival_min,departure_min,capacity_kwh,soc_arrival,soc_target"
GOOD = "a,1,300,1200,40,0.3,0.8"


def load(tmp_path, text, **fields):
    path = tmp_path / "s.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Scenario(fleet={"sessions": str(path)}, **fields)


def refused(tmp_path, text, **fields):
    with pytest.raises(InputError) as caught:
        load(tmp_path, text, **fields)
    return caught.value.problems


def test_rows_are_read_and_empty_cells_take_the_scenario_s_values(tmp_path):
    text = (
        f"\ufeff# measured\r\n{HEAD},efficiency,p_max_kw\r\n\r\n"
        '"Müller, A",3.0,0,90.5,40,0.3,0.8,,11\r\n# a comment\r\n007,15,1439,9999,52.5,0,1,0.9,\r\n'
    )
    table = load(tmp_path, text, ev={"charger_kw": 7, "efficiency": 0.95}).inputs.sessions
    assert table is not None
    assert len(table) == 2
    assert table.ev_id == ("Müller, A", "007")
    assert table.zone.tolist() == [3, 15]
    assert table.zone.dtype == np.int64
    assert table.departure_min.tolist() == [90.5, 9999]
    assert table.p_max_kw.tolist() == [11, 7]
    assert table.efficiency.tolist() == [0.95, 0.9]
    assert table.p_discharge_kw.tolist() == [7.5, 7.5]


@pytest.mark.parametrize(
    ("row", "field", "said"),
    [
        (",1,300,1200,40,0.3,0.8,,,", "ev_id", "missing"),
        ("a,1,300,1200,40,0.3,0.8,,,", "ev_id", "line 2 has not ended"),
        ("b,16,300,1200,40,0.3,0.8,,,", "zone", "from 1 to 15"),
        ("b,0,300,1200,40,0.3,0.8,,,", "zone", "from 1 to 15"),
        ("b,3.5,300,1200,40,0.3,0.8,,,", "zone", "a whole number"),
        ("b,,300,1200,40,0.3,0.8,,,", "zone", "missing"),
        ("b,1,300,300,40,0.3,0.8,,,", "departure_min", "after arrival_min = 300"),
        ("b,1,-1,1200,40,0.3,0.8,,,", "arrival_min", "minute 1440"),
        ("b,1,1440,1500,40,0.3,0.8,,,", "arrival_min", "minute 1440"),
        ("b,1,nan,1200,40,0.3,0.8,,,", "arrival_min", "a number"),
        ("b,1,300,1e999,40,0.3,0.8,,,", "departure_min", "a number"),
        ("b,1,300,1200,0,0.3,0.8,,,", "capacity_kwh", "above 0"),
        ("b,1,300,1200,4_0,0.3,0.8,,,", "capacity_kwh", "above 0"),
        ("b,1,300,1200,40,-0.1,0.8,,,", "soc_arrival", "0 to 1"),
        ("b,1,300,1200,40,0.3,80,,,", "soc_target", "0 to 1"),
        ("b,1,300,1200,40,0.3,0.8,0,,", "p_max_kw", "above 0"),
        ("b,1,300,1200,40,0.3,0.8,,-1,", "p_discharge_kw", "at least 0"),
        ("b,1,300,1200,40,0.3,0.8,,,0", "efficiency", "above 0 and at most 1"),
        ("b,1,300,1200,40,0.3,0.8,,,1.1", "efficiency", "above 0 and at most 1"),
        ("b,1,300", "row", "10 cells"),
    ],
)
def test_a_bad_row_is_named_once(tmp_path, row, field, said):
    head = f"{HEAD},p_max_kw,p_discharge_kw,efficiency"
    (problem,) = refused(tmp_path, f"{head}\n{GOOD},,,\n# note\n{row}\n")
    assert (problem.file, problem.line) == (str(tmp_path / "s.csv"), 4)
    assert problem.field == field
    assert said in problem.allowed


def test_all_problems_of_all_rows_and_of_the_scenario(tmp_path):
    rows = "a,99,500,400,x,2,\nb,1,1,2,3,0.5,0.5\nb,1,1,2\n"
    found = refused(tmp_path, f"{HEAD}\n{rows}", ev={"efficiency": 2})
    assert {(p.line, p.field) for p in found} == {
        (None, "ev.efficiency"),
        *((2, f) for f in ("zone", "capacity_kwh", "soc_target", "departure_min", "soc_arrival")),
        (4, "row"),
    }


@pytest.mark.parametrize(
    ("text", "fields", "hint"),
    [
        ("", {"file"}, ""),
        ("# nothing\n", {"file"}, ""),
        (HEAD, {"row"}, ""),
        (f"{HEAD},colour\n{GOOD},red\n", {"colour"}, "known: "),
        (f"{HEAD.replace('zone', 'zones')}\n{GOOD}\n", {"zone", "zones"}, "'zone'"),
        (f"{HEAD},zone\n{GOOD},1\n", {"columns"}, ""),
        (HEAD.replace(",", ";"), {"columns"}, ""),
        (f'{HEAD}\n"a,1', {"row"}, ""),
        (b"\xff\xfe", {"file"}, ""),
    ],
)
def test_a_file_without_the_right_columns(tmp_path, text, fields, hint):
    found = refused(tmp_path, text)
    assert {p.field for p in found} == fields
    assert any(hint in p.hint for p in found)


def test_a_sampled_window_is_not_checked_when_there_are_sessions(tmp_path):
    scenario = load(tmp_path, f"{HEAD}\n{GOOD}\n", clock={"hours": 6})
    assert scenario.override({"fleet.evs_per_zone": 0}).inputs.sessions is not None
    (problem,) = refused(tmp_path, f"{HEAD}\n{GOOD}\n", clock={"hours": 5})
    assert (problem.field, problem.value) == ("arrival_min", "300")


@pytest.mark.parametrize(
    ("row", "value", "said"),
    [
        ("b,16.0,1,2,40,0.3,0.8", "16.0", "a whole number from 1 to 15"),
        ("b,1e30,1,2,40,0.3,0.8", "1e30", "a whole number from 1 to 15"),
        ("b,,1,2,40,0.3,0.8", "", "missing; a whole number from 1 to 15"),
        ("b,1, 1e3x,2,40,0.3,0.8", "1e3x", "a number of minutes after the start of the horizon"),
        ("b,1,1," + "7" * 70 + "x,40,0.3,0.8", "7" * 57 + "...", "a number of minutes"),
        ("b,1,300.50,300,40,0.3,0.8", "300", "after arrival_min = 300.50"),
    ],
)
def test_a_cell_is_shown_as_it_stands(tmp_path, row, value, said):
    (problem,) = refused(tmp_path, f"{HEAD}\n{row}\n")
    assert problem.value == value
    assert problem.allowed.startswith(said)
