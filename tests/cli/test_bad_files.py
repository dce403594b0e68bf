"""Files as people have them: each gets its clear error, with line and what is allowed, or is read.

All of them through the command line, whose exit code is 2 and whose output has no traceback.
"""

import shutil

import pytest

from abm import Scenario
from abm.cli import main
from abm.scenario.names import shipped_files

PAPER = shipped_files("feeders")["case33bw"]
HOURS = range(24)
CLASSES = "residential,industrial,commercial"


def day(values=lambda h: (0.5, 0.5, 0.5), head=f"hour,{CLASSES}", separator=","):
    rows = [separator.join(str(cell) for cell in (h, *values(h))) for h in HOURS]
    return "\n".join([head, *rows]) + "\n"


def prices(values):
    return "hour,price\n" + "".join(f"{h},{v}\n" for h, v in enumerate(values))


def stamps(hours, head="time,price", zone=""):
    """A row for each hour from 30 March 2025 on, as the clock on the wall has them."""
    rows = [f"2025-03-{30 + h // 24:02d}T{h % 24:02d}:00{zone},{0.2 + h / 1000}" for h in hours]
    return "\n".join([head, *rows]) + "\n"


def validated(tmp_path, capsys, *settings, files=()):
    """Exit code and what was said of the paper's scenario with some files of one's own."""
    for name, text in files:
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(content)
    head = "extends: paper_balanced\n"
    (tmp_path / "own.yaml").write_text(head + "\n".join(settings) + "\n")
    code = main(["validate", str(tmp_path / "own.yaml")])
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    return code, said.err


LOAD = "base_load: {profile: file.csv}"
PRICE = "tariff: {prices: file.csv}"
BERLIN = """clock: {start_date: "2025-03-30", start: "0:00", timezone: Europe/Berlin}
fleet:
  arrival: {low: "1:00", high: "5:00", mean: null}
  departure: {low: "7:00", high: "9:00"}"""
NO_ZONE = BERLIN.replace(", timezone: Europe/Berlin", "")
REFUSED = {
    "semicolons": (LOAD, day(separator=";").replace(",", ";"), "file.csv:1", "delimiter: ';'"),
    "decimal commas": (
        PRICE,
        "hour,price\n" + "".join(f'{h},"0,2{h % 10}"\n' for h in HOURS),
        "file.csv:2: price",
        "decimal: ','",
    ),
    "a duplicate hour": (
        PRICE,
        prices([0.2] * 24) + "7,0.3\n",
        "file.csv:26: hour = 7:00",
        "each time once",
    ),
    "hours that are missing": (PRICE, prices([0.2] * 20), "file.csv:21: hour = 20:00", "4 steps"),
    "an empty cell": (
        PRICE,
        prices([0.2] * 24).replace("9,0.2", "9,"),
        "file.csv:11: price: missing",
        "`missing`",
    ),
    "words among numbers": (
        PRICE,
        prices([0.2] * 24).replace("9,0.2", "9,tbd"),
        "file.csv:11: price = tbd",
        "a number",
    ),
    "prices per MWh": (PRICE, prices([70 + h for h in HOURS]), "price = 81.5", "is it per MWh?"),
    "a price column of another name": (
        PRICE,
        prices([0.2] * 24).replace("price", "EUR"),
        "price: missing column",
        "the file has: EUR",
    ),
    "a class that is missing": (
        LOAD,
        day(lambda h: (0.5, 0.5), head="hour,residential,commercial"),
        "industrial",
        "residential, commercial",
    ),
    "a load below zero": (
        LOAD,
        day(lambda h: (-0.5 if h == 3 else 0.5, 0.5, 0.5)),
        "file.csv:5: residential = -0.5",
        "at least 0",
    ),
    "no rows": (LOAD, f"hour,{CLASSES}\n", "file.csv:1: row", "at least one row"),
    "Latin-1": (LOAD, f"hour,{CLASSES}\n# Gr\xfc\xdfe\n".encode("latin-1"), "file.csv:2", "UTF-8"),
    "a workbook under another name": (LOAD, b"PK\x03\x04\xff\xfe\x00", "file.csv:1", "UTF-8"),
    "a header that is missing": (
        PRICE,
        "".join(f"{h},0.2\n" for h in HOURS),
        "time: missing column",
        "0, 0.2",
    ),
    "a day twice without a time zone": (
        f"{NO_ZONE}\n{PRICE}",
        stamps([*range(3), *range(2, 26)]),
        "file.csv:5: time = 2025-03-30T02:00",
        "each time once",
    ),
    "an hour that the clock does not have": (
        f"{BERLIN}\n{PRICE}",
        stamps(range(26)),
        "file.csv:4: time = 2025-03-30",
        "Etc/GMT-1",
    ),
    "stamps that end too soon": (
        f"{BERLIN}\n{PRICE}",
        stamps([h for h in range(20) if h != 2]),
        "cover the horizon",
        "`repeat`",
    ),
    "stamps without a date of the horizon": (
        PRICE,
        stamps(range(26)),
        "clock.start_date: missing",
        "from 2025-03-30T00:00",
    ),
    "offsets in some rows": (
        f"{BERLIN}\n{PRICE}",
        stamps(range(3), zone="+01:00") + "2025-03-30T04:00,0.2\n",
        "file.csv:5: time",
        "an offset from UTC at all",
    ),
    "days and months in another order": (
        f"{BERLIN}\n{PRICE}",
        "time,price\n30.03.2025 00:00,0.2\n30.03.2025 01:00,0.2\n",
        "file.csv:2: time = 30.03.2025 00:00",
        "time_format",
    ),
    "a limit of nothing": (
        "grid: {demand_limit: file.csv}",
        "hour,limit\n" + "".join(f"{h},0\n" for h in HOURS),
        "grid.demand_limit = 0",
        "above 0 MW",
    ),
}


@pytest.mark.parametrize(("fields", "text", "where", "says"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_is_refused(tmp_path, capsys, fields, text, where, says):
    code, said = validated(tmp_path, capsys, fields, files=[("file.csv", text)])
    assert code == 2
    assert where in said
    assert says in said


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path, capsys):
    text = b"\xef\xbb\xbf" + day().replace("\n", "\r\n").encode()
    assert validated(tmp_path, capsys, LOAD, files=[("file.csv", text)]) == (0, "")


def test_days_of_23_and_of_25_hours_are_read(tmp_path, capsys):
    spring = stamps([h for h in range(26) if h != 2])
    found = validated(tmp_path, capsys, BERLIN, PRICE, files=[("file.csv", spring)])
    assert found == (0, "")
    price = Scenario.load(tmp_path / "own.yaml").inputs.tariff.series.by_step[:, 0]
    expected = [0.2 + h / 1000 for h in range(25) if h != 2]
    assert price.tolist() == pytest.approx(expected)
    autumn = spring.replace("2025-03-30", "2025-10-26").replace("2025-03-31", "2025-10-27")
    rows = autumn.splitlines()
    rows.insert(3, "2025-10-26T02:00,0.5")
    rows.insert(4, "2025-10-26T02:00,0.6")
    settings = BERLIN.replace("03-30", "10-26"), PRICE
    text = "\n".join(rows) + "\n"
    assert validated(tmp_path, capsys, *settings, files=[("file.csv", text)]) == (0, "")
    price = Scenario.load(tmp_path / "own.yaml").inputs.tariff.series.by_step[:, 0]
    assert price[:6].tolist() == pytest.approx([0.2, 0.201, 0.5, 0.6, 0.203, 0.204])


# --- feeders --------------------------------------------------------------------------------------


def feeder(tmp_path, capsys, **changes):
    """The paper's feeder with one text in one of its files changed for another."""
    shutil.copytree(PAPER, tmp_path / "net")
    for name, (old, new) in changes.items():
        path = tmp_path / "net" / f"{name}.csv"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
    return validated(tmp_path, capsys, "grid: {feeder: net}")


def test_a_bus_that_no_line_reaches(tmp_path, capsys):
    lines = (PAPER / "lines.csv").read_text().splitlines()
    (line,) = [row for row in lines if row.startswith("17,18,")]
    code, said = feeder(tmp_path, capsys, lines=(line + "\n", ""))
    assert code == 2
    assert all(word in said for word in ("buses.csv", "bus = 18", "a bus with supply"))


def test_a_column_that_is_missing(tmp_path, capsys):
    code, said = feeder(tmp_path, capsys, lines=("ampacity_a,r_ohm", "ampacity_a,resistance"))
    assert (code, "r_ohm: missing column" in said) == (2, True)


def test_loads_in_kw_under_mw(tmp_path, capsys):
    shutil.copytree(PAPER, tmp_path / "net")
    path, rows = tmp_path / "net" / "buses.csv", []
    for row in (PAPER / "buses.csv").read_text().splitlines():
        cells = row.split(",")
        if cells[0].isdigit():
            cells[-2:] = [str(1000 * float(cell)) for cell in cells[-2:]]
        rows.append(",".join(cells))
    path.write_text("\n".join(rows) + "\n")
    code, said = validated(tmp_path, capsys, "grid: {feeder: net}")
    assert code == 2
    assert "3715 MW at 12.66 kV are 199 kA: are they in kW?" in said
