"""Files of sessions of others: each format, each thing that is wrong with real ones."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from abm.cli import main
from abm.errors import InputError
from abm.sessions.importing import read_file, report_path, write_sessions, zones_of
from abm.sessions.times import offsets, to_utc, zone_named


def file(tmp_path, text, name="s.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(tmp_path, text, name="s.csv", **options):
    return read_file(file(tmp_path, text, name), **options)


def refused(tmp_path, text, name="s.csv", **options):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text, name, **options)
    return caught.value.problems


def utc(*texts):
    return [int(np.datetime64(text, "s").astype(np.int64)) for text in texts]


def reasons(sessions):
    return {(what, why): rows for what, why, rows, _ in sessions.ledger.summary()}


# --- formats -----------------------------------------------------------------------------------

ACN = {
    "_meta": {"site": "elsewhere", "start": "[not the items]"},
    "_items": [
        {
            "connectionTime": "Thu, 05 Sep 2019 15:04:30 GMT",
            "disconnectTime": "Fri, 06 Sep 2019 00:15:00 GMT",
            "kWhDelivered": 9.25,
            "siteID": "0099",
            "stationID": "9-99-1",
            "timezone": "America/Los_Angeles",
            "userID": "000000007",
            "userInputs": [{"kWhRequested": 12.0}],
        },
        {
            "connectionTime": "Thu, 05 Sep 2019 16:00:00 GMT",
            "disconnectTime": "Thu, 05 Sep 2019 18:30:00 GMT",
            "kWhDelivered": 4,
            "siteID": "0099",
            "stationID": "9-99-2",
            "timezone": "Mars/Base",
            "userID": None,
            "userInputs": None,
        },
    ],
}


def test_json_of_acn_data(tmp_path):
    found = read(tmp_path, json.dumps(ACN), "acn.json")
    assert found.arrival_s.tolist() == utc("2019-09-05T15:04:30", "2019-09-05T16:00")
    assert found.departure_s.tolist() == utc("2019-09-06T00:15", "2019-09-05T18:30")
    assert found.energy_kwh.tolist() == [9.25, 4.0]
    assert found.ev.tolist() == ["000000007", "charger 9-99-2"]
    assert found.zone.key == "America/Los_Angeles"
    assert sorted(why for _, why in reasons(found)) == [
        "its time zone is not known; its times are in UTC all the same",
        "no EV is named: it is named by its charger",
    ]


def test_a_bare_list_and_csv_of_acn_data(tmp_path):
    items = ACN["_items"]
    bare = read(tmp_path, json.dumps(items), "list.json")
    names = ["connectionTime", "disconnectTime", "kWhDelivered", "siteID", "stationID", "userID"]
    with (tmp_path / "acn.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**item, "userID": item["userID"] or ""} for item in items)
    table = read_file(tmp_path / "acn.csv")
    assert table.zone.key == "UTC"
    for name in ("arrival_s", "departure_s", "energy_kwh", "ev"):
        assert getattr(bare, name).tolist() == getattr(table, name).tolist()


def test_elaad_with_semicolons_and_decimal_commas(tmp_path):
    text = (
        "TransactionId;ChargePoint;Connector;UTCTransactionStart;UTCTransactionStop;StartCard;"
        "ConnectedTime;ChargeTime;TotalEnergy;MaxPower\r\n"
        "1;A1;1;30-06-2019 22:10;01-07-2019 06:40;card1;8,5;2,1;14,72;7,36\r\n"
        "2;A1;2;13-07-2019 09:00;13-07-2019 11:00;;2;2;20;3,7\r\n"
    )
    found = read(tmp_path, text)
    assert found.arrival_s.tolist() == utc("2019-06-30T22:10", "2019-07-13T09:00")
    assert found.energy_kwh.tolist() == [14.72, 20.0]
    assert found.ev.tolist() == ["card1", "charger A1"]
    # A rating of 3.7 kW cannot have given 20 kWh in two hours.
    assert found.p_max_kw.tolist() == [7.36, 10.0]
    assert "columns are separated by semicolons" in found.ledger.notes
    assert "energy: decimal commas were read as points" in found.ledger.notes


TRONDHEIM = "session_id,garage_id,user_id,user_type,arrival,departure,energy_kwh,duration_h\n"


def test_trondheim_in_local_time(tmp_path):
    rows = (
        "1,G1,G1-1,Private,2019-01-10T17:00,2019-01-11T07:30,10.5,14.5\n"
        "2,G1,G1-2,Private,2019-07-10T17:00,,3,\n"
        "3,G2,G2-1,Shared,2019-07-10T17:00,2019-07-10T17:00,0.1,0.01\n"
    )
    found = read(tmp_path, TRONDHEIM + rows)
    assert found.arrival_s.tolist() == utc("2019-01-10T16:00", "2019-07-10T15:00")
    assert found.departure_s.tolist() == utc("2019-01-11T06:30", "2019-07-10T15:00:36")
    assert found.site.tolist() == ["G1", "G2"]
    assert reasons(found) == {
        ("dropped", "its end is not known"): 1,
        (
            "repaired",
            "it ends in the minute in which it began: its end follows from its duration",
        ): 1,
    }


def test_trondheim_as_published(tmp_path):
    text = (
        "session_ID;Garage_ID;User_ID;User_type;Shared_ID;Start_plugin;Start_plugin_hour;"
        "End_plugout;El_kWh;Duration_hours\n"
        "1;G1;G1-4;Private;NA;21.12.2018 10:20;10;21.12.2018 10:23;0,3;0,05\n"
    )
    found = read(tmp_path, text)
    assert found.arrival_s.tolist() == utc("2018-12-21T09:20")
    assert (found.energy_kwh[0], found.duration_h[0]) == (0.3, 0.05)


def test_any_table_by_a_map(tmp_path):
    text = "Beginn|Dauer|Arbeit|Wagen\n2024-02-01 18:00+0100|90|6500|rot\n"
    columns = {"arrival": "Beginn", "duration": "Dauer", "energy": "Arbeit", "ev": "Wagen"}
    found = read(tmp_path, text, columns=columns, duration_unit="min", energy_unit="Wh")
    assert found.arrival_s.tolist() == utc("2024-02-01T17:00")
    assert found.duration_h.tolist() == [1.5]
    assert found.energy_kwh.tolist() == [6.5]


def test_names_and_units_are_read_off_the_columns(tmp_path):
    text = "Start Time,Duration (min),Energy_Wh\n2024-02-01T18:00Z,30,2500\n"
    found = read(tmp_path, text)
    assert (found.duration_h[0], found.energy_kwh[0]) == (0.5, 2.5)
    assert found.ev.tolist() == ["session 2"]


# --- what is wrong with a file -----------------------------------------------------------------

PLAIN = "ev,start,end,kwh\n"


@pytest.mark.parametrize(
    ("text", "options", "field", "said"),
    [
        ("", {}, "file", "empty"),
        ("# nothing\n\n", {}, "file", "a first row"),
        ("ev,start,end\na,2024-01-01T10:00Z,2024-01-01T11:00Z\n", {}, "columns", "energy"),
        ("ev,start,kwh\na,2024-01-01T10:00Z,1\n", {}, "columns", "departure or duration"),
        ("ev,start,end,kwh,kwh\n", {}, "columns", "each column once"),
        (PLAIN + "a,2024-01-01T10:00,2024-01-01T11:00,3\n", {}, "start", "--timezone"),
        (PLAIN + "a,05/06/2024 10:00,05/06/2024 11:00,3\n", {}, "start", "--dates"),
        (PLAIN + "a,noon,one,3\n", {}, "start", "times such as"),
        (PLAIN + "a,2024-01-01T10:00Z,2024-01-01T11:00Z,11320\n", {}, "kwh", "--energy-unit"),
        (PLAIN + "a,2024-01-01T10:00Z,2024-01-01T11:00Z,0.003\n", {}, "kwh", "--energy-unit"),
        (PLAIN + "a,2024-01-01T10:00Z,2024-01-01T09:00Z,3\n", {}, "rows", "ends before"),
        (PLAIN + "a,2024-01-01T10:00Z,,3\n", {"timezone": "Europe/Olso"}, "--timezone", "zone"),
        (PLAIN, {"source": "acme"}, "--format", "one of"),
        (PLAIN, {"columns": {"energy": "kWhs"}}, "--map", "a column"),
        (PLAIN, {"columns": {"power": "kwh"}}, "--map", "one of"),
        ('{"_items": []}', {}, "_items", "at least one"),
        ('{"_items": [{"a": 1}, {]}', {}, "file", "not JSON"),
        ('{"_items": [{"a": 1},\n{"a": 2},', {}, "file", "the list does not end"),
        ('{"sessions": 3}', {}, "file", "a list of sessions"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, text, options, field, said):
    (problem,) = refused(tmp_path, text, **options)
    assert problem.field == field
    assert said in problem.allowed
    assert problem.file or problem.field.startswith("--")
    if field == "start" and said != "--timezone":
        assert problem.line == 2


def test_a_near_name_is_suggested(tmp_path):
    (problem,) = refused(tmp_path, PLAIN, timezone="Europe/Olso", columns={})
    assert "Europe/Oslo" in problem.hint


@pytest.mark.parametrize(
    ("row", "what", "why"),
    [
        ("a,2024-01-02T10:00Z,2024-01-02T09:00Z,3", "dropped", "it ends before it begins"),
        ("a,2024-01-02T10:00Z,2024-01-02T10:00Z,3", "dropped", "it takes no time"),
        ("a,2024-01-02T10:00Z,,3", "dropped", "its end is not known"),
        ("a,later,2024-01-02T10:00Z,3", "dropped", "its arrival cannot be read"),
        ("a,2024-01-02T10:00Z,2024-01-02T11:00Z,", "dropped", "its energy is missing"),
        ("a,2024-01-02T10:00Z,2024-01-02T11:00Z,n/a", "dropped", "its energy is not a number"),
        ("a,2024-01-02T10:00Z,2024-01-02T11:00Z,inf", "dropped", "its energy is not a number"),
        ("a,2024-01-02T10:00Z,2024-01-02T11:00Z,-3", "dropped", "its energy is negative"),
        ("a,2024-01-02T10:00Z,2024-01-02T11:00Z,0", "dropped", "it charged nothing"),
        ("a,2024-01-02T10:00Z,2024-01-02T10:00:10Z,9", "dropped", "more than 1000 kW"),
        ("a,2024-01-01T10:00Z,2024-01-01T12:00Z,3", "dropped", "it is there already"),
        ("a,2024-01-02T10:00Z,2024-02-02T11:00Z,3", "dropped", "it lasts more than 100 h"),
        ("a,2024-01-02", "dropped", "not 4 cells"),
        ("a,2024-01-01T11:00Z,2024-01-01T13:00Z,4", "repaired", "a second car"),
        (",2024-01-01T11:00Z,2024-01-01T13:00Z,4", "repaired", "taken for one of its own"),
    ],
)
def test_a_bad_row_is_counted_once_with_its_line(tmp_path, row, what, why):
    good = "a,2024-01-01T10:00Z,2024-01-01T12:00Z,3\n"
    text = f"# of our own\n{PLAIN}{good}\n{row}\nb,2024-01-03T10:00Z,2024-01-03T12:00Z,5\n"
    found = read(tmp_path, text, max_hours=100.0)
    ((done, said, rows, first),) = found.ledger.summary()
    assert (done, rows, first) == (what, 1, 5)
    assert why in said
    assert found.ledger.rows == 3
    assert len(found) == 3 - found.ledger.count("dropped")


def test_columns_in_utc_stay_so_whatever_clock_they_are_written_by(tmp_path):
    text = (
        "TransactionId;ChargePoint;UTCTransactionStart;UTCTransactionStop;StartCard;TotalEnergy\n"
        "1;A1;30-06-2019 22:10;01-07-2019 06:40;card1;14,72\n"
    )
    found = read(tmp_path, text, timezone="Europe/Amsterdam", dates="dmy")
    assert [found.arrival_s[0], found.departure_s[0]] == utc("2019-06-30T22:10", "2019-07-01T06:40")
    assert found.zone.key == "Europe/Amsterdam"


def test_durations_as_clocks_write_them(tmp_path):
    """Hours, minutes and seconds, as the open data of cities have them, whatever the unit said."""
    rows = ("0:45", "26:05:30", "1 days 02:00:00", "0.5", "1:75", "a while")
    text = "ev,start,Total Duration,kwh\n" + "".join(
        f"{name},2024-01-0{at + 1}T10:00Z,{cell},3\n"
        for at, (name, cell) in enumerate(zip("abcdef", rows, strict=True))
    )
    found = read(tmp_path, text, columns={"duration": "Total Duration"})
    assert (found.duration_h * 3600).tolist() == [2700, 93930, 93600, 1800]
    assert reasons(found) == {("dropped", "its duration cannot be read"): 2}
    assert any("1:30 is an hour and a half" in note for note in found.ledger.notes)


@pytest.mark.parametrize("factor", [1, 1000])
def test_seconds_since_1970(tmp_path, factor):
    begin = int(np.datetime64("2024-03-31T00:30", "s").astype(np.int64))
    text = PLAIN + f"a,{begin * factor},{(begin + 5400) * factor},3\nb,{begin * factor},soon,3\n"
    found = read(tmp_path, text, timezone="Europe/Berlin")
    assert (found.arrival_s[0], found.departure_s[0]) == (begin, begin + 5400)
    assert reasons(found) == {("dropped", "its end is not known"): 1}


def test_negative_durations(tmp_path):
    text = "ev,start,duration_h,kwh\na,2024-01-01T10:00Z,-2,3\nb,2024-01-01T10:00Z,2,3\n"
    assert reasons(read(tmp_path, text)) == {("dropped", "its duration is negative"): 1}


def test_marks_of_other_programs(tmp_path):
    text = "\ufeffev;start;end;kwh\nMüller;01.02.2024 10:00;13.02.2024 11:00;1.234,5\n"
    found = read(tmp_path, text, timezone="Europe/Berlin", energy_unit="Wh")
    assert found.energy_kwh.tolist() == [1.2345]
    assert found.ev.tolist() == ["Müller"]
    notes = " ".join(found.ledger.notes)
    assert "byte order mark" in notes
    assert "points were taken for thousands" in notes
    assert "multiplied by 0.001" in notes
    again = text.lstrip("\ufeff").encode("cp1252")
    assert read(tmp_path, again, timezone="UTC", energy_unit="Wh").ev.tolist() == ["Müller"]
    wide = text.lstrip("\ufeff").encode("utf-16")
    assert read(tmp_path, wide, timezone="UTC", energy_unit="Wh").ev.tolist() == ["Müller"]


def test_commas_for_thousands(tmp_path):
    text = PLAIN + 'a,2024-01-01T10:00Z,2024-01-01T11:00Z,"12,345.5"\n'
    text += "b,2024-01-01T10:00Z,2024-01-01T11:00Z,800.25\n"
    found = read(tmp_path, text, energy_unit="Wh")
    assert found.energy_kwh.tolist() == pytest.approx([12.3455, 0.80025], abs=1e-12)
    assert "commas were taken for thousands" in " ".join(found.ledger.notes)


# --- clocks that change ------------------------------------------------------------------------


def test_the_hour_left_out_and_the_hour_that_comes_twice(tmp_path):
    text = (
        "ev,start,end,kwh,duration_h\n"
        "a,2024-03-31T02:30,2024-03-31T05:00,3,\n"
        "b,2024-10-27T02:30,2024-10-27T04:00,3,\n"
        "c,2024-10-27T02:50,2024-10-27T02:10,3,\n"
        "d,2024-10-27T01:00,2024-10-27T02:30,3,2.5\n"
    )
    found = read(tmp_path, text, timezone="Europe/Berlin")
    by_ev = dict(zip(found.ev, zip(found.arrival_s, found.departure_s, strict=True), strict=True))
    assert list(by_ev["a"]) == utc("2024-03-31T01:30", "2024-03-31T03:00")
    assert list(by_ev["b"]) == utc("2024-10-27T00:30", "2024-10-27T03:00")
    # Twenty minutes, from summer time into winter time.
    assert list(by_ev["c"]) == utc("2024-10-27T00:50", "2024-10-27T01:10")
    assert list(by_ev["d"]) == utc("2024-10-26T23:00", "2024-10-27T01:30")
    assert sum(reasons(found).values()) == 5


@pytest.mark.parametrize("name", ["Europe/Oslo", "America/St_Johns", "Australia/Lord_Howe", "UTC"])
def test_clocks_agree_with_the_standard_library(name):
    import datetime as dt

    zone = zone_named(name)
    moments = np.arange(1_577_836_800, 1_609_459_200, 1800)
    ahead = offsets(moments, zone)
    there = [dt.datetime.fromtimestamp(int(m), zone).utcoffset() for m in moments]
    assert ahead.tolist() == [int(o.total_seconds()) for o in there]
    clock = moments + ahead
    first, second, twice, never = to_utc(clock, zone)
    assert not never.any()
    assert ((first == moments) | (second == moments)).all()
    assert (twice == (np.unique(clock, return_counts=True)[1] > 1)[
        np.unique(clock, return_inverse=True)[1]
    ]).all()  # fmt: skip


# --- what is written ---------------------------------------------------------------------------


def test_what_is_written_reads_back_and_is_ours_to_replace(tmp_path):
    found = read(tmp_path, json.dumps(ACN), "acn.json")
    out = tmp_path / "out" / "ours.csv"
    report = write_sessions(found, zones_of(found, 15), out, "acn.json")
    assert report == report_path(out)
    lines = out.read_text().splitlines()
    assert lines[0].startswith("# Sessions imported by Evenfall from acn.json")
    assert lines[2] == (
        '"000000007",1,"2019-09-05T08:04:30-07:00","2019-09-05T17:15:00-07:00",9.25'
    )
    again = read_file(out)
    for name in ("ev", "arrival_s", "departure_s", "energy_kwh"):
        assert getattr(again, name).tolist() == getattr(found, name).tolist()
    with pytest.raises(InputError):
        write_sessions(found, zones_of(found, 15), out, "acn.json")
    write_sessions(found, zones_of(found, 15), out, "acn.json", force=True)
    mine = file(tmp_path, "mine", "mine.csv")
    with pytest.raises(InputError):
        write_sessions(found, zones_of(found, 15), mine, "acn.json", force=True)
    assert mine.read_text() == "mine"


def test_zones_by_ev_or_by_site(tmp_path):
    rows = "".join(f"{i},G{i % 2},u{i % 3},P,2019-01-1{i}T17:00,2019-01-1{i}T18:00,1,1\n"
                   for i in range(6))  # fmt: skip
    found = read(tmp_path, TRONDHEIM + rows)
    assert zones_of(found, 2).tolist() == [1, 2, 1, 1, 2, 1]
    assert zones_of(found, 5, "site").tolist() == [1, 2, 1, 2, 1, 2]
    nowhere = read(tmp_path, PLAIN + "a,2024-01-01T10:00Z,2024-01-01T11:00Z,3\n")
    with pytest.raises(InputError, match="no session has a site"):
        zones_of(nowhere, 5, "site")


def test_the_verb_says_what_became_of_every_row(tmp_path, capsys):
    rows = (
        "1,G1,G1-1,Private,2019-01-10T17:00,2019-01-11T07:30,10.5,14.5\n"
        "2,G1,G1-2,Private,2019-07-10T17:00,,3,\n"
    )
    source = file(tmp_path, TRONDHEIM + rows)
    out = tmp_path / "out.csv"
    assert main(["sessions", "import", str(source), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "1 of 2 rows are sessions, of 1 EVs" in printed
    assert "its end is not known (first: row 3)" in printed
    report = Path(report_path(out)).read_text().splitlines()
    assert report[1:] == ["line,what,why,cell", "3,dropped,its end is not known,"]
    command = ["sessions", "import", str(source), "--out", str(out)]
    assert main([*command, "--force", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["sessions"], said["rows_dropped"]) == (2, 1, 1)
    assert main(command) == 2
    assert main([*command, "--map", "arrival", "--max-hours", "0"]) == 2
    assert capsys.readouterr().err.count("\n") >= 3
