"""What is wrong with the tables of a three-phase feeder, row by row and with one another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from abm.errors import nearest
from abm.scenario.csvio import RowT, Table
from abm.scenario.phase_codes import Linecodes
from abm.scenario.phase_levels import islands, supplied_phases
from abm.scenario.phase_table import (
    CapacitorRow,
    HomeRow,
    PhaseBusRow,
    PhaseLineRow,
    TransformerRow,
)
from abm.scenario.phase_values import PHASES, PhaseValues

# So far a rated voltage may be from that of its bus: 0.433 on 0.4 kV is usual.
FIT = (0.8, 1.25)
# Rated currents of a winding, A; metres that a line has at least on average; kW that the largest
# home has at least, in all and per kV, and a phase of low voltage at most; how many times its
# rating the homes of a transformer may add up to.
_RATED_A = (2.0, 30_000.0)
_MEAN_M = 0.5
_HOME_KW = 0.02
_HOME_KW_PER_KV = 0.1
_PHASE_KW = 400.0
_OVERLOAD = 10.0
_FEW = 5  # names that are said of many

Buses = Mapping[str, tuple[int, float | None]]


def buses_of(table: Table[PhaseBusRow]) -> Buses:
    """Row and rated voltage, kV, of each bus by name; names that come twice are refused."""
    rows = names_of(table, "bus")
    return {name: (at, table.rows[at].vn_kv) for name, at in rows.items()}


def names_of(table: Table[RowT], column: str) -> dict[str, int]:
    """Row of each element by its name; names that come twice are refused."""
    names = [getattr(row, column) for row in table.rows]
    return table.each_once(column, names, "each name once; it is on line {} already")


def check_lines(table: Table[PhaseLineRow], buses: Buses, codes: Linecodes) -> None:
    """Note what is wrong with the lines: ends, codes, voltages, lengths."""
    names_of(table, "line")
    known = list(codes.names)
    for at, row in enumerate(table.rows):
        _check_ends(table, at, row.from_bus, row.to_bus, buses)
        code = row.linecode
        if code is not None and code not in codes.names:
            table.refuse(at, "linecode", hint=nearest(code, known))
        elif code in codes.at and row.phases is not None:
            k = codes.at[code]
            n, wanted = codes.conductors[k], len(row.phases)
            if n != wanted and not codes.any_phases[k]:
                said = f"a code of {wanted} conductors, one for each phase of the line"
                table.refuse(at, "linecode", f"{said}; this has {n}")
        one, other = (_kv(buses, bus) for bus in (row.from_bus, row.to_bus))
        if one and other and not 0.9 < one / other < 1.1:
            said = f"a bus of the voltage of from_bus, {one:g} kV; it has {other:g} kV"
            table.refuse(at, "to_bus", said)
    lengths = [row.length_m for row in table.rows if row.length_m is not None]
    if len(lengths) >= _FEW and np.mean(lengths) < _MEAN_M:
        said = f"m; the lines have {np.mean(lengths):.3g} m on average: are they in km?"
        table.refuse(0, "length_m", said)


def _check_ends(
    table: Table[RowT], at: int, from_bus: str | None, to_bus: str | None, buses: Buses
) -> None:
    for column, bus in (("from_bus", from_bus), ("to_bus", to_bus)):
        _check_bus(table, at, column, bus, buses)
    if from_bus is not None and from_bus == to_bus:
        table.refuse(at, "to_bus", "another bus than from_bus")


def _check_bus(table: Table[RowT], at: int, column: str, bus: str | None, buses: Buses) -> None:
    if bus is not None and bus not in buses:
        table.refuse(at, column, hint=nearest(bus, list(buses)))


def _kv(buses: Buses, bus: str | None) -> float | None:
    return buses[bus][1] if bus is not None and bus in buses else None


def check_transformers(table: Table[TransformerRow], buses: Buses) -> None:
    """Note what is wrong with the transformers: ends, voltages, impedance, rated currents."""
    names_of(table, "transformer")
    for at, row in enumerate(table.rows):
        _check_ends(table, at, row.from_bus, row.to_bus, buses)
        kv = {"from": _kv(buses, row.from_bus), "to": _kv(buses, row.to_bus)}
        rated = {"from": row.vn_from_kv, "to": row.vn_to_kv}
        for end, other in (("from", "to"), ("to", "from")):
            _check_voltage(table, at, end, rated[end], (kv[end], kv[other]))
        if row.r_percent == 0.0 and row.x_percent == 0.0:
            table.refuse(at, "x_percent", "above 0 where r_percent is 0")
        lower = min((value for value in rated.values() if value is not None), default=None)
        if row.sn_kva is not None and lower is not None:
            amperes = row.sn_kva / (3**0.5 * lower)
            if not _RATED_A[0] <= amperes <= _RATED_A[1]:
                unit = "MVA" if amperes < _RATED_A[0] else "VA"
                said = f"kVA; at {lower:g} kV it is {amperes:.3g} A: is it in {unit}?"
                table.refuse(at, "sn_kva", said)


def _check_voltage(
    table: Table[TransformerRow],
    at: int,
    end: str,
    rated: float | None,
    kv: tuple[float | None, float | None],
) -> None:
    """Whether a rated voltage fits its bus. kv: of that bus, and of the bus at the other end."""
    here, there = kv
    if rated is None or here is None or FIT[0] <= rated / here <= FIT[1]:
        return
    said = f"close to the {here:g} kV of {end}_bus"
    if there is not None and FIT[0] <= rated / there <= FIT[1]:
        said += "; are the ends the other way round?"
    elif FIT[0] <= 1e-3 * rated / here <= FIT[1]:
        said += "; is it in V?"
    elif 0.95 <= 3**0.5 * rated / here <= 1.1:
        said += "; it is from line to line, not to neutral"
    table.refuse(at, f"vn_{end}_kv", said)


def check_capacitors(table: Table[CapacitorRow], buses: Buses) -> None:
    """Note what is wrong with the capacitors."""
    names_of(table, "capacitor")
    for at, row in enumerate(table.rows):
        _check_bus(table, at, "bus", row.bus, buses)
        kv = _kv(buses, row.bus)
        if row.kv is not None and kv is not None and not 0.5 <= row.kv / kv <= 2.0:
            table.refuse(at, "kv", f"close to the {kv:g} kV of its bus")
        if row.connection == "delta" and row.phases is not None and len(row.phases) == 1:
            table.refuse(at, "connection", "wye, with one phase")


def check_homes(table: Table[HomeRow], buses: Buses) -> None:
    """Note what is wrong with the homes, one by one and all together."""
    names_of(table, "home")
    for at, row in enumerate(table.rows):
        _check_bus(table, at, "bus", row.bus, buses)
        phases = row.phases or PHASES
        if row.connection == "delta" and len(phases) == 1:
            table.refuse(at, "connection", "wye, with one phase")
        if row.charger_phase is not None and row.charger_phase not in phases:
            table.refuse(at, "charger_phase", f"one of the phases of the home, {phases}")
        cells = [name for name in ("q_kvar", "power_factor") if table.cells[at].get(name)]
        if len(cells) == 2:
            table.refuse(at, "power_factor", "either q_kvar or power_factor, not both")
        elif not cells:
            table.note(table.lines[at], "power_factor", "", "missing; power_factor or q_kvar")
        kv = _kv(buses, row.bus)
        if row.p_kw is not None and kv is not None:
            each = row.p_kw / len(phases)
            if kv <= 1.1 and each > _PHASE_KW:
                said = f"kW; at {kv:g} kV it is {each / kv * 3**0.5:.3g} A in a phase: is it in W?"
                table.refuse(at, "p_kw", said)
    powers = [row.p_kw for row in table.rows if row.p_kw is not None]
    at_kv = [(row.p_kw or 0.0) / (_kv(buses, row.bus) or np.inf) for row in table.rows]
    if powers and max(powers) >= _HOME_KW and 0.0 < max(at_kv) < _HOME_KW_PER_KV:
        most = int(np.argmax(at_kv))
        kw, kv = table.rows[most].p_kw, _kv(buses, table.rows[most].bus)
        said = f"a bus of homes; at its {kv:g} kV {kw:.3g} kW are a few mA: is vn_kv in V?"
        table.refuse(most, "bus", said)
    if 0.0 < max(powers, default=0.0) < _HOME_KW:
        first = next(at for at, row in enumerate(table.rows) if row.p_kw)
        said = f"kW; the largest home has {max(powers):.3g} kW: are they in MW?"
        table.refuse(first, "p_kw", said)


def check_ratings(
    transformers: Table[TransformerRow], homes: Table[HomeRow], feeding: NDArray[np.int64]
) -> None:
    """Note the transformers whose homes add up to many times their rating.

    feeding: int64 [H], position of the transformer that feeds each home, -1 for none.
    """
    p_kw = homes.column("p_kw", np.float64)
    for at, row in enumerate(transformers.rows):
        total = float(p_kw[feeding == at].sum())
        if row.sn_kva is not None and total > _OVERLOAD * row.sn_kva:
            n = np.count_nonzero(feeding == at)
            said = f"a rating that goes with its {n} homes, which add up to {total:.4g} kW"
            transformers.refuse(at, "sn_kva", f"{said}: are they in W, or is it in MVA?")


def check_supply(
    values: PhaseValues,
    serving: NDArray[np.int64],
    buses: Table[PhaseBusRow],
    lines: Table[PhaseLineRow],
    homes: Table[HomeRow],
) -> None:
    """Note islands, lines with a phase that nothing feeds, and homes without one of theirs.

    serving: int64 [L], rows of lines.csv that are in `values`.
    """
    supplied = supplied_phases(values)
    source = values.bus[values.source_bus]
    lives_at = np.bincount(values.home_bus, minlength=len(values.bus))
    dead = np.logical_not(supplied.any(axis=1))
    for island in islands(values, np.asarray(dead)):
        n_home = int(lives_at[island].sum())
        names = ", ".join(str(values.bus[bus]) for bus in island[:_FEW])
        more = ", ..." if len(island) > _FEW else ""
        of = f"it is one of {len(island)} ({names}{more})" if len(island) > 1 else "it is alone"
        said = f"a bus that closed lines and transformers join to source_bus {source}"
        buses.refuse(island[0], "bus", f"{said}; {of}, with {n_home} homes")
    for at in np.flatnonzero((values.line_phases & ~supplied[values.line_from]).any(axis=1)):
        here = supplied[values.line_from[at]]
        if here.any():
            missing = _letters(values.line_phases[at] & ~here)
            lines.refuse(int(serving[at]), "phases", f"phases with supply; {missing} has none")
    for at in np.flatnonzero((values.home_phases & ~supplied[values.home_bus]).any(axis=1)):
        here = supplied[values.home_bus[at]]
        if here.any():
            bus = values.bus[values.home_bus[at]]
            said = f"phases that bus {bus} has from the source: {_letters(here)}"
            homes.refuse(int(at), "phases", said)


def _letters(phases: NDArray[np.bool_]) -> str:
    return "".join(np.array(list(PHASES))[phases])
