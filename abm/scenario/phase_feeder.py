"""The folder of a three-phase feeder: its tables read, checked and made arrays of."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, Problem, nearest
from abm.scenario.csvio import RowT, Table, frozen, read_table
from abm.scenario.feeder_parts import check_classes, read_head, read_rows
from abm.scenario.feeder_table import FeederTable, Labels
from abm.scenario.names import display
from abm.scenario.phase_checks import (
    Buses,
    buses_of,
    check_capacitors,
    check_homes,
    check_lines,
    check_ratings,
    check_supply,
    check_transformers,
)
from abm.scenario.phase_codes import Linecodes, linecodes_of, phases_of
from abm.scenario.phase_levels import feeding_transformer
from abm.scenario.phase_table import (
    CapacitorRow,
    HomeRow,
    LinecodeRow,
    PhaseBusRow,
    PhaseHead,
    PhaseLineRow,
    TransformerRow,
    connection_of,
)
from abm.scenario.phase_values import PHASES, PhaseValues
from abm.scenario.yamlio import read_yaml_file

# What a folder has besides feeder.yaml, buses.csv and lines.csv; some may be left out.
PHASE_FILES = ("linecodes.csv", "transformers.csv", "capacitors.csv", "homes.csv")
HOME_CLASS = "residential"

_NOT_READ = "generation.csv"
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass
class _Tables:
    """The tables of a folder, empty where there is no such file. `said`: what problems carry."""

    buses: Table[PhaseBusRow]
    codes: Table[LinecodeRow]
    lines: Table[PhaseLineRow]
    transformers: Table[TransformerRow]
    capacitors: Table[CapacitorRow]
    homes: Table[HomeRow]

    def problems(self) -> list[Problem]:
        """Those of all tables, each with the name of its element."""
        found: list[Problem] = []
        found += _named(self.buses, "bus", "bus")
        found += _named(self.codes, "linecode", "linecode")
        found += _named(self.lines, "line", "line")
        found += _named(self.transformers, "transformer", "transformer")
        found += _named(self.capacitors, "capacitor", "capacitor")
        return found + _named(self.homes, "home", "home")


def is_three_phase(folder: Path) -> bool:
    """Whether feeder.yaml says three_phase; if it cannot be read, whether there is homes.csv."""
    path = folder / "feeder.yaml"
    try:
        data, _ = read_yaml_file(path, display(path))
    except InputError:
        return os.path.lexists(folder / "homes.csv")
    return isinstance(data, dict) and "three_phase" in data


def read_three_phase(folder: Path, classes: tuple[str, ...] | None) -> FeederTable:
    """Read feeder.yaml and the tables of a three-phase feeder.

    classes: the customer classes of the load profile, None when it could not be read. The buses of
    the table are the homes, 1 to H; its `phases` are the network. Raises InputError with the
    problems of all files, each with file, line, element and value.
    """
    problems: list[Problem] = []
    written = read_head(folder / "feeder.yaml", problems)
    good = {} if written is None else written.good(PhaseHead)
    if os.path.lexists(folder / _NOT_READ):
        said = "no such file in a three-phase feeder; PV has the section pv of the scenario"
        problems.append(Problem("file", "", said, display(folder / _NOT_READ)))
    unread: list[Problem] = []
    tables = _read(folder, unread)
    problems += unread
    if written is None or unread:
        raise InputError(problems + tables.problems())
    buses = buses_of(tables.buses)
    codes = linecodes_of(tables.codes)
    check_lines(tables.lines, buses, codes)
    check_transformers(tables.transformers, buses)
    check_capacitors(tables.capacitors, buses)
    check_homes(tables.homes, buses)
    _check_home_classes(tables.homes, classes)
    if "source_bus" in good and not tables.buses.problems and str(good["source_bus"]) not in buses:
        near = nearest(str(good["source_bus"]), list(buses))
        written.refuse("source_bus", "a bus of buses.csv", near)
    if problems or tables.problems():
        raise InputError(problems + tables.problems())
    head = PhaseHead.model_validate(good)
    values, serving = _values(head, tables, buses, codes)
    feeding = feeding_transformer(
        len(values.bus),
        [values.source_bus],
        np.column_stack([values.line_from, values.line_to]),
        np.column_stack([values.transformer_from, values.transformer_to]),
    )[values.home_bus]
    check_supply(values, serving, tables.buses, tables.lines, tables.homes)
    check_ratings(tables.transformers, tables.homes, feeding)
    zones = _zones(tables.homes, feeding)
    if found := tables.problems():
        raise InputError(found)
    return _table(folder.name, head, tables.homes, values, zones)


def line_lengths(folder: Path) -> tuple[FloatArray, int]:
    """Length of each closed line, m, (L,), in their order; and how many lines are open.

    Raises InputError as `read_three_phase` does.
    """
    path = folder / "lines.csv"
    if not os.path.lexists(path):
        return np.zeros(0), 0
    table = read_table(path, display(path), PhaseLineRow)
    table.check()
    closed = ~table.column("open", np.bool_)
    return table.column("length_m", np.float64)[closed], int(np.count_nonzero(~closed))


def _read(folder: Path, problems: list[Problem]) -> _Tables:
    """All tables, empty in the place of one that cannot be read, which is noted."""

    def read(name: str, model: type[RowT], needed: bool = True) -> Table[RowT]:
        path = folder / name
        found = None
        if needed or os.path.lexists(path):
            found = read_rows(path, model, problems)
        return Table(display(path), {}) if found is None else found

    return _Tables(
        read("buses.csv", PhaseBusRow),
        read("linecodes.csv", LinecodeRow, needed=False),
        read("lines.csv", PhaseLineRow, needed=False),
        read("transformers.csv", TransformerRow, needed=False),
        read("capacitors.csv", CapacitorRow, needed=False),
        read("homes.csv", HomeRow),
    )


def _named(table: Table[RowT], key: str, noun: str) -> list[Problem]:
    """Problems of a table with the name of the element in front of their hint."""
    name_at = {line: cells[key] for line, cells in zip(table.lines, table.cells, strict=True)}
    found = []
    for problem in table.problems:
        name = name_at.get(problem.line or 0, "")
        said = f"{noun} {name}" if name and problem.field != key else ""
        hint = "; ".join(filter(None, (said, problem.hint)))
        found.append(
            Problem(problem.field, problem.value, problem.allowed, problem.file, problem.line, hint)
        )
    return found


def _check_home_classes(homes: Table[HomeRow], classes: tuple[str, ...] | None) -> None:
    check_classes(homes, "customer_class", classes)
    silent = any(row.customer_class is None for row in homes.rows)
    if silent and classes is not None and HOME_CLASS not in classes and "any" not in classes:
        said = f"a class of the load profile for each home, else it is {HOME_CLASS}"
        homes.note(homes.header_line, "customer_class", "", f"{said}: {', '.join(classes)}")


def _values(
    head: PhaseHead, tables: _Tables, buses: Buses, codes: Linecodes
) -> tuple[PhaseValues, IntArray]:
    """The network, and which rows of lines.csv are closed."""
    lines, transformers, homes = tables.lines, tables.transformers, tables.homes
    serving = np.flatnonzero(~lines.column("open", np.bool_))
    rows = [lines.rows[at] for at in serving]
    z_ohm, y_siemens, rated = codes.of_lines(rows)
    own = lines.column("ampacity_a", np.float64, np.nan)[serving]
    windings = [connection_of(row.connection or "") for row in transformers.rows]
    chargers = [-1 if row.charger_phase is None else PHASES.index(row.charger_phase)
                for row in homes.rows]  # fmt: skip

    def at_bus(table: Table[RowT], column: str) -> IntArray:
        names = (getattr(row, column) for row in table.rows)
        return np.array([buses[name][0] for name in names], dtype=np.int64)

    def of(name: str, empty: float = 0.0) -> FloatArray:
        return transformers.column(name, np.float64, empty)

    p_kw = homes.column("p_kw", np.float64)
    values = PhaseValues(
        bus=tables.buses.column("bus", np.str_),
        vn_kv=tables.buses.column("vn_kv", np.float64),
        x=tables.buses.column("x", np.float64, np.nan),
        y=tables.buses.column("y", np.float64, np.nan),
        f_hz=head.f_hz,
        source_bus=buses[head.source_bus][0],
        source_vm_pu=head.source_vm_pu,
        source_va_degree=head.source_va_degree,
        source_z1_ohm=complex(head.source_r1_ohm, head.source_x1_ohm),
        source_z0_ohm=complex(head.source_r0_ohm, head.source_x0_ohm),
        line=lines.column("line", np.str_)[serving],
        line_from=at_bus(lines, "from_bus")[serving],
        line_to=at_bus(lines, "to_bus")[serving],
        line_phases=phases_of(rows),
        line_z_ohm=z_ohm,
        line_y_siemens=y_siemens,
        line_ampacity_a=np.where(np.isnan(own), rated, own),
        line_length_m=lines.column("length_m", np.float64)[serving],
        transformer=transformers.column("transformer", np.str_),
        transformer_from=at_bus(transformers, "from_bus"),
        transformer_to=at_bus(transformers, "to_bus"),
        from_delta=np.array([winding[0] for winding in windings], dtype=np.bool_),
        to_delta=np.array([winding[1] for winding in windings], dtype=np.bool_),
        to_lag_degree=np.array([30.0 * winding[2] for winding in windings], dtype=np.float64),
        vn_from_kv=of("vn_from_kv"),
        vn_to_kv=of("vn_to_kv"),
        tap_from=of("tap_from", 1.0),
        tap_to=of("tap_to", 1.0),
        sn_kva=of("sn_kva"),
        r_percent=of("r_percent"),
        x_percent=of("x_percent"),
        noload_percent=of("noload_percent"),
        magnetising_percent=of("magnetising_percent"),
        capacitor=tables.capacitors.column("capacitor", np.str_),
        capacitor_bus=at_bus(tables.capacitors, "bus"),
        capacitor_y_siemens=_capacitor_y(tables.capacitors),
        home_bus=at_bus(homes, "bus"),
        home_phases=phases_of(homes.rows),
        home_delta=np.array([row.connection == "delta" for row in homes.rows], dtype=np.bool_),
        home_p_kw=p_kw,
        home_q_kvar=_reactive(homes, p_kw),
        charger_phase=np.array(chargers, dtype=np.int64),
    )
    for array in vars(values).values():
        if isinstance(array, np.ndarray):
            array.setflags(write=False)
    return values, serving


def _reactive(homes: Table[HomeRow], p_kw: FloatArray) -> FloatArray:
    """Nominal reactive power of the homes, kvar, (H,)."""
    factor = homes.column("power_factor", np.float64, np.nan)
    by_factor = p_kw * np.sqrt(1.0 / factor**2 - 1.0)
    return np.where(np.isnan(factor), homes.column("q_kvar", np.float64), by_factor)


def _capacitor_y(capacitors: Table[CapacitorRow]) -> NDArray[np.complex128]:
    """Admittance matrix of each capacitor, S, (C, 3, 3)."""
    y = np.zeros((len(capacitors.rows), 3, 3), dtype=np.complex128)
    for at, row in enumerate(capacitors.rows):
        phases = [PHASES.index(letter) for letter in row.phases or ""]
        kv, mvar = row.kv or np.nan, 1e-3 * (row.kvar or 0.0)
        if row.connection == "delta":
            pairs = [(p, (p + 1) % 3) for p in phases if (p + 1) % 3 in phases]
            for one, other in pairs:
                each = 1j * mvar / len(pairs) / kv**2
                y[at, [one, other], [one, other]] += each
                y[at, [one, other], [other, one]] -= each
        else:
            y[at, phases, phases] = 1j * mvar / len(phases) / (kv**2 / 3.0)
    return y


def _zones(homes: Table[HomeRow], feeding: IntArray) -> IntArray:
    """Zone of each home, (H,): as it is written, else by the transformer that feeds it.

    feeding: int64 [H], position of that transformer, -1 for none, whose homes come last.
    """
    written = homes.column("zone", np.int64)
    if written.any():
        first = {int(zone): at for at, zone in reversed(list(enumerate(written))) if zone}
        gap = next(number for number in range(1, len(first) + 2) if number not in first)
        if gap <= len(first):
            said = f"zones without gaps from 1 up; zone {gap} is missing"
            homes.refuse(first[max(first)], "zone", said)
        return written
    last = np.where(feeding < 0, feeding.max(initial=0) + 1, feeding)
    return np.asarray(np.unique(last, return_inverse=True)[1], dtype=np.int64).reshape(-1) + 1


def _table(
    name: str, head: PhaseHead, homes: Table[HomeRow], values: PhaseValues, zones: IntArray
) -> FeederTable:
    n_home, none = values.n_home, np.zeros(0, dtype=np.int64)
    return FeederTable(
        name=name,
        net="",
        buses=frozen(np.arange(1, n_home + 1)),
        customer_class=homes.column("customer_class", np.str_, HOME_CLASS),
        zone=frozen(zones),
        line_from=none,
        line_to=none,
        ampacity_a=np.zeros(0),
        description=head.description,
        source=head.source,
        customers=frozen(np.ones(n_home)),
        labels=Labels(
            homes.column("home", np.str_),
            x=frozen(values.x[values.home_bus]),
            y=frozen(values.y[values.home_bus]),
        ),
        phases=values,
    )
