"""A feeder folder: which network, and the classes, zones and ratings that it does not carry."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from abm.errors import InputError, Problem
from abm.scenario.code import Code
from abm.scenario.csvio import Table
from abm.scenario.feeder_parts import check_classes, read_head, read_rows
from abm.scenario.feeder_table import (
    BusRow,
    FeederHead,
    FeederTable,
    Generation,
    GenerationRow,
    ImpedanceRow,
    Labels,
    LineRow,
    LineValues,
    LoadBusRow,
)
from abm.scenario.fields import allowed
from abm.scenario.names import display
from abm.scenario.phase_feeder import PHASE_FILES, is_three_phase, read_three_phase

FEEDER_FILES = ("feeder.yaml", "buses.csv", "lines.csv")
# What may lie beside them.
OWN_CUSTOMERS = "customers.csv"
MORE_FILES = ("generation.csv", OWN_CUSTOMERS, *PHASE_FILES)

_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_NET = 'a function "module:function", or the pandapower JSON file beside feeder.yaml'
_OF_TABLES = ("vn_kv", "slack_bus", "slack_vm_pu")


def read_feeder(
    folder: Path,
    classes: tuple[str, ...] | None,
    trust: bool = False,
    beside: Path | None = None,
) -> FeederTable:
    """Read feeder.yaml, buses.csv, lines.csv, and generation.csv where there is one.

    A folder whose feeder.yaml says three_phase is read by `abm.scenario.phase_feeder`.

    classes: the customer classes of the load profile, None when it could not be read. trust:
    whether a function that is named for the net may be called. beside: a folder in which its module
    may lie, too. Raises InputError with the problems of all files.
    """
    problems: list[Problem] = []
    if is_three_phase(folder):
        return read_three_phase(folder, classes)
    head, tabled, code = _read_head(folder, trust, beside, problems)
    bus_row: type[BusRow] = LoadBusRow if tabled else BusRow
    line_row: type[LineRow] = ImpedanceRow if tabled else LineRow
    buses = read_rows(folder / "buses.csv", bus_row, problems)
    known: set[int | None] | None = None
    if buses is not None:
        _check_buses(buses, classes, head.first_bus)
        problems += buses.problems
        known = None if buses.problems else {row.bus for row in buses.rows}
    lines = read_rows(folder / "lines.csv", line_row, problems)
    if lines is not None:
        _check_lines(lines, known)
        problems += lines.problems
    feeds: Table[GenerationRow] | None = None
    if os.path.lexists(folder / "generation.csv"):
        feeds = read_rows(folder / "generation.csv", GenerationRow, problems)
    if feeds is not None:
        check_classes(feeds, "generation_class", classes)
        for at, row in enumerate(feeds.rows):
            if row.bus is not None and known is not None and row.bus not in known:
                feeds.refuse(at, "bus")
        problems += feeds.problems
    if known is not None and "slack_bus" in head.model_fields_set and head.slack_bus not in known:
        file = display(folder / "feeder.yaml")
        problems.append(Problem("slack_bus", str(head.slack_bus), "a bus of buses.csv", file))
    if not problems and tabled and buses is not None and lines is not None:
        _check_supply(buses, lines, head.slack_bus)
        problems += buses.problems
    if problems or buses is None or lines is None:
        raise InputError(problems)
    return _table(folder.name, head, tabled, code, buses, lines, feeds)


def _table(
    name: str,
    head: FeederHead,
    tabled: bool,
    code: Code | None,
    buses: Table[BusRow],
    lines: Table[LineRow],
    feeds: Table[GenerationRow] | None,
) -> FeederTable:
    """The arrays of what was read."""
    shift = 1 - head.first_bus
    values = None
    if tabled:
        values = LineValues(
            head.vn_kv,
            head.slack_bus + shift,
            head.slack_vm_pu,
            p_mw=buses.column("p_mw", np.float64),
            q_mvar=buses.column("q_mvar", np.float64),
            r_ohm=lines.column("r_ohm", np.float64),
            x_ohm=lines.column("x_ohm", np.float64),
        )
    generation = None
    if feeds is not None:
        generation = Generation(
            feeds.column("bus", np.int64) + shift,
            feeds.column("generation_class", np.str_),
            feeds.column("p_mw", np.float64),
            feeds.column("q_mvar", np.float64),
        )
    with_index = "line" in lines.columns
    # A net has switches of its own, which hold where the table does not speak of them.
    switched = tabled or "open" in lines.columns
    return FeederTable(
        name=name,
        net=head.net,
        buses=buses.column("bus", np.int64) + shift,
        customer_class=buses.column("customer_class", np.str_),
        zone=buses.column("zone", np.int64),
        line_from=lines.column("from_bus", np.int64) + shift,
        line_to=lines.column("to_bus", np.int64) + shift,
        ampacity_a=lines.column("ampacity_a", np.float64, np.nan),
        values=values,
        description=head.description,
        source=head.source,
        code=code,
        first_bus=head.first_bus,
        customers=buses.column("customers", np.float64, np.nan),
        is_open=lines.column("open", np.bool_) if switched else np.zeros(0, dtype=np.bool_),
        line_index=lines.column("line", np.int64) if with_index else np.zeros(0, dtype=np.int64),
        generation=generation,
        labels=Labels(
            buses.column("name", np.str_, "") if "name" in buses.columns else np.zeros(0, np.str_),
            lines.column("name", np.str_, "") if "name" in lines.columns else np.zeros(0, np.str_),
            buses.column("x", np.float64, np.nan),
            buses.column("y", np.float64, np.nan),
        ),
    )


def _read_head(
    folder: Path, trust: bool, beside: Path | None, problems: list[Problem]
) -> tuple[FeederHead, bool, Code | None]:
    """What feeder.yaml says, whether the tables are the network, and a function for the net.

    Problems are noted, and what cannot be used is left out. With a net, or where it is not known,
    the tables do without loads and impedances.
    """
    path = folder / "feeder.yaml"
    written = read_head(path, problems)
    if written is None:
        return FeederHead(), False, None
    data, refuse, known = written.data, written.refuse, FeederHead.model_fields
    good = written.good(FeederHead)
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
        code = Code("net", head.net, folders, trust, written.file, written.lines.get(("net",)))
    elif "net" in good and not of_tables:
        own = folder / good["net"]
        if own.suffix != ".json" or not os.path.isfile(own):
            refuse("net", _NET)
        head = head.model_copy(update={"net": os.path.realpath(own)})
    return head, "net" not in data and bool(of_tables), code


def _check_buses(table: Table[BusRow], classes: tuple[str, ...] | None, first_bus: int) -> None:
    """Note what is wrong between the rows of buses.csv, and classes that are not in `classes`."""
    numbers = [row.bus for row in table.rows]
    table.each_once("bus", numbers, "each bus once; it is on line {}")
    for at, number in enumerate(numbers):
        if number is not None and number < first_bus:
            table.refuse(at, "bus")
    check_classes(table, "customer_class", classes)
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
    if "line" in table.columns:
        for at, row in enumerate(table.rows):
            if row.line is None and not table.cells[at]["line"]:
                table.refuse(at, "line")
        indices = [row.line for row in table.rows]
        table.each_once("line", indices, "each line of the net once; it is on line {} already")
    else:
        table.each_once("from_bus", pairs, "each pair of buses once; it is on line {} already")


def _check_supply(buses: Table[BusRow], lines: Table[LineRow], slack_bus: int) -> None:
    """Note the buses that no line joins to the one that is fed."""
    beside: dict[int | None, list[int | None]] = {}
    for row in lines.rows:
        if row.open:
            continue
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
            said = f"a bus with supply: closed lines join it to slack_bus = {slack_bus}"
            buses.refuse(at, "bus", said)
