"""A feeder folder: which network, and the classes, zones and ratings that it does not carry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, Problem, nearest
from abm.scenario.csvio import Table, read_table
from abm.scenario.shipped import display
from abm.scenario.tables import frozen
from abm.scenario.words import show
from abm.scenario.yamlio import read_yaml_file

_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_KEYS = ("net", "description", "source")
_NET = 'a function "module:function", or the pandapower JSON file beside feeder.yaml'


@dataclass(frozen=True, eq=False)
class FeederTable:
    """What a feeder folder says; the network itself is built by `abm.grid`.

    net: "module:function", or the absolute path of a pandapower JSON file. Buses are numbered from
    1 (pandapower's index + 1), in the order of buses.csv: buses int64[n], customer_class str[n],
    zone int64[n] (0 where no EVs live). Lines in the order of lines.csv: line_from, line_to
    int64[m], ampacity_a float64[m] [A].
    """

    name: str
    net: str
    buses: NDArray[np.int64]
    customer_class: NDArray[np.str_]
    zone: NDArray[np.int64]
    line_from: NDArray[np.int64]
    line_to: NDArray[np.int64]
    ampacity_a: NDArray[np.float64]
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
    head: dict[str, str] = {}
    try:
        head = _read_head(folder, problems)
    except InputError as error:
        problems += error.problems
    buses: Table | None = None
    columns: tuple[list[int], list[str], list[int]] = ([], [], [])
    try:
        file = folder / "buses.csv"
        buses = read_table(file, display(file), ["bus", "customer_class", "zone"])
        columns = _buses(buses, classes)
        problems += buses.problems
    except InputError as error:
        problems += error.problems
    ends: tuple[list[int], list[int], list[float]] = ([], [], [])
    try:
        file = folder / "lines.csv"
        lines = read_table(file, display(file), ["from_bus", "to_bus", "ampacity_a"])
        ends = _lines(lines, set(columns[0]) if buses is not None and not buses.problems else None)
        problems += lines.problems
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    return FeederTable(
        name=folder.name,
        net=head["net"],
        buses=frozen(np.array(columns[0], dtype=np.int64)),
        customer_class=frozen(np.array(columns[1], dtype=np.str_)),
        zone=frozen(np.array(columns[2], dtype=np.int64)),
        line_from=frozen(np.array(ends[0], dtype=np.int64)),
        line_to=frozen(np.array(ends[1], dtype=np.int64)),
        ampacity_a=frozen(np.array(ends[2], dtype=np.float64)),
        description=head.get("description", ""),
        source=head.get("source", ""),
    )


def _read_head(folder: Path, problems: list[Problem]) -> dict[str, str]:
    path = folder / "feeder.yaml"
    file = display(path)
    data, lines = read_yaml_file(path, file)
    if not isinstance(data, dict):
        raise InputError([Problem("file", show(data), "a mapping with the key net", file)])
    head: dict[str, str] = {}
    for key, value in data.items():
        line = lines.get((key,))
        if key not in _KEYS:
            hint = nearest(key, _KEYS) or "known: " + ", ".join(_KEYS)
            problems.append(Problem(key, show(value), "unknown field", file, line, hint))
        elif not isinstance(value, str):
            problems.append(Problem(key, show(value), "text", file, line))
        else:
            head[key] = " ".join(value.split())
    net: Any = data.get("net")
    if "net" not in data:
        problems.append(Problem("net", "", f"missing; {_NET}", file))
    elif isinstance(net, str) and not _FUNCTION.fullmatch(net):
        beside = folder / net
        if beside.suffix != ".json" or not beside.is_file():
            problems.append(Problem("net", show(net), _NET, file, lines.get(("net",))))
        head["net"] = str(beside.resolve())
    return head


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
