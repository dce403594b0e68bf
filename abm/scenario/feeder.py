"""A feeder folder: which network, and the classes, zones and ratings that it does not carry."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, Problem, nearest
from abm.scenario.csvio import Table, read_table
from abm.scenario.shipped import display
from abm.scenario.tables import frozen
from abm.scenario.yamlio import read_yaml_file, show

_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_TEXTS = ("net", "description", "source")
_NUMBERS = ("vn_kv", "slack_bus", "slack_vm_pu")
_NET = 'a function "module:function", or the pandapower JSON file beside feeder.yaml'
_BUS_COLUMNS = ("bus", "customer_class", "zone")
_LINE_COLUMNS = ("from_bus", "to_bus", "ampacity_a")
_LOAD_COLUMNS = ("p_mw", "q_mvar")
_IMPEDANCE_COLUMNS = ("r_ohm", "x_ohm")


@dataclass(frozen=True, eq=False)
class LineValues:
    """The network of a feeder of one voltage, fed at one bus, of lines without capacitance.

    vn_kv: rated voltage, kV. slack_bus: number of the bus that is fed, at slack_vm_pu [p.u.].
    Nominal load at each bus p_mw, q_mvar float64[n], consumption positive; impedance of each line
    r_ohm, x_ohm float64[m].
    """

    vn_kv: float
    slack_bus: int
    slack_vm_pu: float
    p_mw: NDArray[np.float64]
    q_mvar: NDArray[np.float64]
    r_ohm: NDArray[np.float64]
    x_ohm: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FeederTable:
    """What a feeder folder says; the network itself is built by `abm.grid`.

    net: "module:function", or the absolute path of a pandapower JSON file; "" where `values` are
    the network. Buses are numbered from 1 (pandapower's index + 1), in the order of buses.csv:
    buses int64[n], customer_class str[n], zone int64[n] (0 where no EVs live). Lines in the order
    of lines.csv: line_from, line_to int64[m], ampacity_a float64[m] [A].
    """

    name: str
    net: str
    buses: NDArray[np.int64]
    customer_class: NDArray[np.str_]
    zone: NDArray[np.int64]
    line_from: NDArray[np.int64]
    line_to: NDArray[np.int64]
    ampacity_a: NDArray[np.float64]
    values: LineValues | None = None
    description: str = ""
    source: str = ""

    @property
    def n_zones(self) -> int:
        """Number of RPZs; zones are numbered 1 to n_zones."""
        return int(self.zone.max(initial=0))


def read_feeder(folder: Path, classes: tuple[str, ...] | None) -> FeederTable:
    """Read feeder.yaml, buses.csv and lines.csv.

    classes: the customer classes of the load profile, None when it could not be read.
    Raises InputError with the problems of all three files.
    """
    problems: list[Problem] = []
    # With a net, or where it is not known, the tables do without loads and impedances.
    head: dict[str, Any] = {"net": ""}
    try:
        head = _read_head(folder, problems)
    except InputError as error:
        problems += error.problems
    tabled = "net" not in head
    buses: Table | None = None
    columns: tuple[list[int], list[str], list[int]] = ([], [], [])
    load: list[list[float]] = []
    try:
        file = folder / "buses.csv"
        buses = read_table(file, display(file), [*_BUS_COLUMNS, *_LOAD_COLUMNS[: 2 * tabled]])
        columns = _buses(buses, classes)
        if tabled:
            load = [_numbers(buses, name, "a number") for name in _LOAD_COLUMNS]
        problems += buses.problems
    except InputError as error:
        problems += error.problems
    known = set(columns[0]) if buses is not None and not buses.problems else None
    ends: tuple[list[int], list[int], list[float]] = ([], [], [])
    impedance: list[list[float]] = []
    try:
        file = folder / "lines.csv"
        lines = read_table(file, display(file), [*_LINE_COLUMNS, *_IMPEDANCE_COLUMNS[: 2 * tabled]])
        ends = _lines(lines, known)
        if tabled:
            impedance = [
                _numbers(lines, "r_ohm", "a number from 0 up", lambda ohm: ohm >= 0),
                _numbers(lines, "x_ohm", "a number above 0", lambda ohm: ohm > 0),
            ]
        problems += lines.problems
    except InputError as error:
        problems += error.problems
    slack = head.get("slack_bus")
    if known is not None and slack is not None and slack not in known:
        file = folder / "feeder.yaml"
        problems.append(Problem("slack_bus", str(slack), "a bus of buses.csv", display(file)))
    if problems:
        raise InputError(problems)

    def array(values: Sequence[float]) -> NDArray[np.float64]:
        return frozen(np.array(values, dtype=np.float64))

    values = None
    if tabled:
        values = LineValues(
            float(head["vn_kv"]),
            head["slack_bus"],
            float(head.get("slack_vm_pu", 1.0)),
            *map(array, load),
            *map(array, impedance),
        )
    return FeederTable(
        name=folder.name,
        net=head.get("net", ""),
        buses=frozen(np.array(columns[0], dtype=np.int64)),
        customer_class=frozen(np.array(columns[1], dtype=np.str_)),
        zone=frozen(np.array(columns[2], dtype=np.int64)),
        line_from=frozen(np.array(ends[0], dtype=np.int64)),
        line_to=frozen(np.array(ends[1], dtype=np.int64)),
        ampacity_a=array(ends[2]),
        values=values,
        description=head.get("description", ""),
        source=head.get("source", ""),
    )


def _read_head(folder: Path, problems: list[Problem]) -> dict[str, Any]:
    path = folder / "feeder.yaml"
    file = display(path)
    data, lines = read_yaml_file(path, file)
    if not isinstance(data, dict):
        raise InputError([Problem("file", show(data), "a mapping", file)])
    head: dict[str, Any] = {}
    for key, value in data.items():
        said = _wrong(key, value)
        if said:
            known = (*_TEXTS, *_NUMBERS)
            hint = "" if key in known else nearest(key, known) or "known: " + ", ".join(known)
            problems.append(Problem(key, show(value), said, file, lines.get((key,)), hint))
        else:
            head[key] = " ".join(value.split()) if isinstance(value, str) else value
    of_tables = [key for key in _NUMBERS if key in data]
    net: Any = data.get("net")
    if "net" in data and of_tables:
        said = f"either net, or {of_tables[0]} and impedances in lines.csv"
        problems.append(Problem("net", show(net), said, file, lines.get(("net",))))
    elif "net" not in data and not of_tables:
        said = f"missing; {_NET}; or vn_kv and slack_bus, with impedances in lines.csv"
        problems.append(Problem("net", "", said, file))
    elif "net" not in data:
        problems += [
            Problem(key, "", f"missing; {_wrong(key, None)}", file)
            for key in _NUMBERS[:2]
            if key not in data
        ]
    elif "net" in head and not _FUNCTION.fullmatch(net):
        beside = folder / net
        if beside.suffix != ".json" or not beside.is_file():
            problems.append(Problem("net", show(net), _NET, file, lines.get(("net",))))
        head["net"] = str(beside.resolve())
    if "net" in data or not of_tables:
        head.setdefault("net", "")
    return head


def _wrong(key: str, value: Any) -> str:
    """What is allowed under a key of feeder.yaml, when it is not this value; "" when it is."""
    if key in _TEXTS:
        return "" if isinstance(value, str) else "text"
    if key == "slack_bus":
        good = isinstance(value, int) and not isinstance(value, bool)
        return "" if good else "the number of the bus that is fed"
    if key in _NUMBERS:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        good = good and 0 < value < math.inf
        return "" if good else "a number above 0"
    return "unknown field"


def _buses(table: Table, classes: tuple[str, ...] | None) -> tuple[list[int], list[str], list[int]]:
    """Numbers, classes and zones (0 for none) of the buses; problems go into the table."""
    number_words = "a whole number from 1, the index in pandapower + 1"
    zone_words = "a whole number from 1, or empty"
    buses: dict[int, int] = {}
    zones: dict[int, int] = {}
    unknown: dict[str, int] = {}
    columns: tuple[list[int], list[str], list[int]] = ([], [], [])
    for row in table.rows:
        bus = table.whole(row, "bus", number_words)
        if bus is not None and bus < 1:
            table.refuse(row.line, "bus", row.cells["bus"], number_words)
        elif bus is not None and bus in buses:
            table.refuse(row.line, "bus", str(bus), f"each bus once; it is on line {buses[bus]}")
        elif bus is not None:
            buses[bus] = row.line
        name = row.cells["customer_class"]
        if name == "":
            table.refuse(row.line, "customer_class", "", "missing; a class of the load profile")
        elif classes is not None and name not in classes and name not in unknown:
            unknown[name] = row.line
            said = "a class of the load profile: " + ", ".join(classes)
            table.refuse(row.line, "customer_class", name, said, nearest(name, classes))
        zone: int | None = 0
        if row.cells["zone"]:
            zone = table.whole(row, "zone", zone_words)
            if zone is not None and zone < 1:
                table.refuse(row.line, "zone", row.cells["zone"], zone_words)
            elif zone is not None and zone in zones:
                said = f"each zone on one bus; it is on line {zones[zone]} already"
                table.refuse(row.line, "zone", row.cells["zone"], said)
            elif zone is not None:
                zones[zone] = row.line
        columns[0].append(bus or 0)
        columns[1].append(name)
        columns[2].append(zone or 0)
    if zones and not table.problems:
        top = max(zones)
        gaps = [number for number in range(1, min(top, len(zones) + 1)) if number not in zones]
        if gaps:
            said = f"zones without gaps from 1 up; zone {gaps[0]} is missing"
            table.refuse(zones[top], "zone", str(top), said)
    return columns


def _lines(table: Table, buses: set[int] | None) -> tuple[list[int], list[int], list[float]]:
    """Ends and ampacities of the lines. buses: those of buses.csv, None when it has problems."""
    columns: tuple[list[int], list[int], list[float]] = ([], [], [])
    seen: dict[frozenset[int], int] = {}
    for row in table.rows:
        ends = []
        for column in ("from_bus", "to_bus"):
            bus = table.whole(row, column, "a bus of buses.csv")
            if bus is not None and buses is not None and bus not in buses:
                table.refuse(row.line, column, row.cells[column], "a bus of buses.csv")
            ends.append(bus or 0)
        pair = frozenset(ends)
        if 0 not in pair:
            if len(pair) == 1:
                table.refuse(row.line, "to_bus", row.cells["to_bus"], "another bus than from_bus")
            elif pair in seen:
                said = f"each pair of buses once; it is on line {seen[pair]} already"
                table.refuse(row.line, "from_bus", row.cells["from_bus"], said)
            seen.setdefault(pair, row.line)
        rating = table.number(row, "ampacity_a", "a number above 0")
        if rating is not None and rating <= 0:
            table.refuse(row.line, "ampacity_a", row.cells["ampacity_a"], "a number above 0")
        columns[0].append(ends[0])
        columns[1].append(ends[1])
        columns[2].append(rating or 0.0)
    return columns


def _numbers(
    table: Table, column: str, said: str, good: Callable[[float], bool] = math.isfinite
) -> list[float]:
    """Numbers of a column; problems go into the table."""
    values = []
    for row in table.rows:
        value = table.number(row, column, said)
        if value is not None and not good(value):
            table.refuse(row.line, column, row.cells[column], said)
        values.append(value or 0.0)
    return values
