"""A feeder folder: which network, and the classes, zones and ratings that it does not carry."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, MinLen
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, ValidationError

from abm.errors import InputError, Problem, nearest
from abm.scenario.code import Code
from abm.scenario.csvio import NUMBER, OR_EMPTY, WHOLE, CsvRow, RowT, Table, read_table
from abm.scenario.fields import Allowed, Section, allowed
from abm.scenario.names import display
from abm.scenario.yamlio import read_yaml_file, show

_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_NET = 'a function "module:function", or the pandapower JSON file beside feeder.yaml'
# pandapower keeps arrays as long as its highest index.
_MOST_BUSES = 1_000_000
_BUS_NUMBER = f"a whole number from 1 to {_MOST_BUSES}, the index in pandapower + 1"
_REACTANCE = "a number above 0, from 1e-9 to 1e6"
_OF_TABLES = ("vn_kv", "slack_bus", "slack_vm_pu")

_Text = Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]
_BusOfLine = Annotated[int | None, WHOLE, Allowed("a bus of buses.csv")]


class FeederHead(Section):
    """feeder.yaml: the net, or the voltages of a network that is in the tables."""

    net: _Text = Field("", description="Function or JSON file of a pandapower net.")
    description: _Text = Field("", description="What the feeder is.")
    source: _Text = Field("", description="Where it is from.")
    vn_kv: Annotated[float, Ge(0.01), Le(2000)] = Field(1.0, description="Rated voltage; kV.")
    slack_bus: Annotated[int, Allowed("the number of the bus that is fed")] = Field(
        1, description="Bus that is fed."
    )
    slack_vm_pu: Annotated[float, Gt(0)] = Field(1.0, description="Voltage at that bus; p.u.")


class BusRow(CsvRow):
    """A bus of a feeder."""

    bus: Annotated[int | None, Ge(1), Le(_MOST_BUSES), WHOLE, Allowed(_BUS_NUMBER)] = Field(
        description="Number of the bus."
    )
    customer_class: Annotated[str | None, MinLen(1), Allowed("a class of the load profile")] = (
        Field(description="Whose load is at the bus.")
    )
    zone: Annotated[
        int | None, Ge(1), WHOLE, OR_EMPTY, Allowed("a whole number from 1, or empty")
    ] = Field(description="RPZ whose EVs plug in at the bus.")


class LoadBusRow(BusRow):
    """A bus with its nominal load."""

    p_mw: Annotated[float | None, NUMBER] = Field(
        description="Active power, consumption positive; MW."
    )
    q_mvar: Annotated[float | None, NUMBER] = Field(description="Reactive power; Mvar.")


class LineRow(CsvRow):
    """A line of a feeder."""

    from_bus: _BusOfLine = Field(description="Bus at one end.")
    to_bus: _BusOfLine = Field(description="Bus at the other end.")
    ampacity_a: Annotated[float | None, Gt(0), NUMBER] = Field(description="Rated current; A.")


class ImpedanceRow(LineRow):
    """A line with its impedance."""

    r_ohm: Annotated[float | None, Ge(0), Le(1e6), NUMBER, Allowed("a number from 0 to 1e6")] = (
        Field(description="Resistance; ohm.")
    )
    x_ohm: Annotated[float | None, Ge(1e-9), Le(1e6), NUMBER, Allowed(_REACTANCE)] = Field(
        description="Reactance; ohm."
    )


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
    the network. code: the function, where a feeder.yaml names it. Buses are numbered from 1
    (pandapower's index + 1), in the order of buses.csv: buses int64[n], customer_class str[n], zone
    int64[n] (0 where no EVs live). Lines in the order of lines.csv: line_from, line_to int64[m],
    ampacity_a float64[m] [A].
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
    code: Code | None = None

    @property
    def n_zones(self) -> int:
        """Number of RPZs; zones are numbered 1 to n_zones."""
        return int(self.zone.max(initial=0))


def read_feeder(
    folder: Path,
    classes: tuple[str, ...] | None,
    trust: bool = False,
    beside: Path | None = None,
) -> FeederTable:
    """Read feeder.yaml, buses.csv and lines.csv.

    classes: the customer classes of the load profile, None when it could not be read. trust:
    whether a function that is named for the net may be called. beside: a folder in which its module
    may lie, too. Raises InputError with the problems of all three files.
    """
    problems: list[Problem] = []
    head, tabled, code = _read_head(folder, trust, beside, problems)
    bus_row: type[BusRow] = LoadBusRow if tabled else BusRow
    line_row: type[LineRow] = ImpedanceRow if tabled else LineRow
    buses = _read(folder / "buses.csv", bus_row, problems)
    known: set[int | None] | None = None
    if buses is not None:
        _check_buses(buses, classes)
        problems += buses.problems
        known = None if buses.problems else {row.bus for row in buses.rows}
    lines = _read(folder / "lines.csv", line_row, problems)
    if lines is not None:
        _check_lines(lines, known)
        problems += lines.problems
    if known is not None and "slack_bus" in head.model_fields_set and head.slack_bus not in known:
        file = display(folder / "feeder.yaml")
        problems.append(Problem("slack_bus", str(head.slack_bus), "a bus of buses.csv", file))
    if not problems and tabled and buses is not None and lines is not None:
        _check_supply(buses, lines, head.slack_bus)
        problems += buses.problems
    if problems or buses is None or lines is None:
        raise InputError(problems)
    values = None
    if tabled:
        values = LineValues(
            head.vn_kv,
            head.slack_bus,
            head.slack_vm_pu,
            p_mw=buses.column("p_mw", np.float64),
            q_mvar=buses.column("q_mvar", np.float64),
            r_ohm=lines.column("r_ohm", np.float64),
            x_ohm=lines.column("x_ohm", np.float64),
        )
    return FeederTable(
        name=folder.name,
        net=head.net,
        buses=buses.column("bus", np.int64),
        customer_class=buses.column("customer_class", np.str_),
        zone=buses.column("zone", np.int64),
        line_from=lines.column("from_bus", np.int64),
        line_to=lines.column("to_bus", np.int64),
        ampacity_a=lines.column("ampacity_a", np.float64),
        values=values,
        description=head.description,
        source=head.source,
        code=code,
    )


def _read(path: Path, model: type[RowT], problems: list[Problem]) -> Table[RowT] | None:
    """The table; None, and its problems noted, where there is none to look at."""
    try:
        return read_table(path, display(path), model)
    except InputError as error:
        problems += error.problems
        return None


def _read_head(
    folder: Path, trust: bool, beside: Path | None, problems: list[Problem]
) -> tuple[FeederHead, bool, Code | None]:
    """What feeder.yaml says, whether the tables are the network, and a function for the net.

    Problems are noted, and what cannot be used is left out. With a net, or where it is not known,
    the tables do without loads and impedances.
    """
    path = folder / "feeder.yaml"
    file = display(path)
    try:
        data, lines = read_yaml_file(path, file)
        if not isinstance(data, dict):
            raise InputError([Problem("file", "", "a mapping", file)])
    except InputError as error:
        problems += error.problems
        return FeederHead(), False, None
    known = FeederHead.model_fields

    def refuse(key: str, said: str, hint: str = "") -> None:
        shown = show(data[key]) if key in data else ""
        problems.append(Problem(key, shown, said, file, lines.get((key,)), hint))

    good = dict(data)
    try:
        FeederHead.model_validate(good)
    except ValidationError as error:
        for key in dict.fromkeys(str(item["loc"][0]) for item in error.errors()):
            del good[key]
            if key in known:
                refuse(key, allowed(known[key]))
            else:
                near = nearest(key, list(known)) or "known: " + ", ".join(known)
                refuse(key, "unknown field", near)
    of_tables = [key for key in _OF_TABLES if key in data]
    if "net" in data and of_tables:
        refuse("net", f"either net, or {of_tables[0]} and impedances in lines.csv")
    elif "net" not in data and not of_tables:
        said = f"missing; {_NET}; or vn_kv and slack_bus, with impedances in lines.csv"
        refuse("net", said)
    elif "net" not in data:
        for key in _OF_TABLES[:2]:
            if key not in data:
                refuse(key, f"missing; {allowed(known[key])}")
    head = FeederHead.model_validate(good)
    code = None
    if _FUNCTION.fullmatch(head.net):
        here = Path(os.path.abspath(folder))
        folders = (here,) if beside is None else (here, beside)
        code = Code("net", head.net, folders, trust, file, lines.get(("net",)))
    elif "net" in good and not of_tables:
        own = folder / good["net"]
        if own.suffix != ".json" or not os.path.isfile(own):
            refuse("net", _NET)
        head = head.model_copy(update={"net": os.path.realpath(own)})
    return head, "net" not in data and bool(of_tables), code


def _check_buses(table: Table[BusRow], classes: tuple[str, ...] | None) -> None:
    """Note what is wrong between the rows of buses.csv, and classes that are not in `classes`."""
    numbers = (row.bus for row in table.rows)
    table.each_once("bus", numbers, "each bus once; it is on line {}")
    unknown: set[str] = set()
    for at, row in enumerate(table.rows):
        name = row.customer_class
        if name is not None and classes is not None and name not in {*classes, *unknown}:
            unknown.add(name)
            said = "a class of the load profile: " + ", ".join(classes)
            table.refuse(at, "customer_class", said, nearest(name, classes))
    zones = table.each_once(
        "zone", [row.zone for row in table.rows], "each zone on one bus; it is on line {} already"
    )
    # What was refused may be the zone that is missing.
    refused = {problem.field for problem in table.problems}
    if zones and not refused & {"row", *BusRow.model_fields}:
        gap = next(number for number in range(1, len(zones) + 2) if number not in zones)
        if gap <= len(zones):
            said = f"zones without gaps from 1 up; zone {gap} is missing"
            table.refuse(zones[max(zones)], "zone", said)


def _check_lines(table: Table[LineRow], buses: set[int | None] | None) -> None:
    """Note what is wrong between the rows of lines.csv, and ends that are not in `buses`."""
    pairs: list[frozenset[int] | None] = []
    for at, row in enumerate(table.rows):
        ends = {"from_bus": row.from_bus, "to_bus": row.to_bus}
        for column, bus in ends.items():
            if bus is not None and buses is not None and bus not in buses:
                table.refuse(at, column)
        pair = frozenset(bus for bus in ends.values() if bus is not None)
        if None not in ends.values() and len(pair) == 1:
            table.refuse(at, "to_bus", "another bus than from_bus")
        pairs.append(pair if len(pair) == 2 else None)
    table.each_once("from_bus", pairs, "each pair of buses once; it is on line {} already")


def _check_supply(buses: Table[BusRow], lines: Table[LineRow], slack_bus: int) -> None:
    """Note the buses that no line joins to the one that is fed."""
    beside: dict[int | None, list[int | None]] = {}
    for row in lines.rows:
        beside.setdefault(row.from_bus, []).append(row.to_bus)
        beside.setdefault(row.to_bus, []).append(row.from_bus)
    supplied: set[int | None] = {slack_bus}
    ahead: list[int | None] = [slack_bus]
    while ahead:
        new = set(beside.get(ahead.pop(), ())) - supplied
        supplied |= new
        ahead += new
    for at, bus_row in enumerate(buses.rows):
        if bus_row.bus not in supplied:
            said = f"a bus with supply: lines of lines.csv join it to slack_bus = {slack_bus}"
            buses.refuse(at, "bus", said)
