"""A feeder out of an OpenDSS script: OpenDSS builds it, its elements become rows of the folder."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from abm.errors import InputError, Problem
from abm.grid.dss_script import Script, read_script
from abm.grid.opendss_elements import (
    Reading,
    is_open,
    read_capacitor,
    read_line,
    read_load,
    read_source,
    read_transformer,
)
from abm.grid.phase_source import CodeBook, PhaseSource, short, some
from abm.grid.sources import missing_extra
from abm.scenario.names import display
from abm.scenario.phase_checks import FIT

_SUPPORTED = ("vsource", "line", "transformer", "load", "capacitor")
_MOST_PROBLEMS = 50
_NAMED = re.compile(r'for (\w+) "([^"]+)"')
_RATED = re.compile(r"\bnorma\w*\s*=", re.IGNORECASE)
_LIKE = re.compile(r"\blike\s*=\s*[\"'(\[{]?([^\s,\"')\]}]+)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Solved:
    """OpenDSS's own load flow. volts: complex volts to ground by bus and phase, ("b1", 0)."""

    volts: dict[tuple[str, int], complex]
    converged: bool


def read_opendss(path: Path) -> tuple[PhaseSource, Solved]:
    """The feeder of a .dss or .dss.gz file, and OpenDSS's voltages at its nominal load.

    Raises InputError with everything in the script that is refused, that OpenDSS does not
    understand or that a feeder cannot have, each with file, line and element.
    """
    engine = _engine()
    script = read_script(path)
    shown = display(path)
    name = path.name.removesuffix(".gz").removesuffix(".dss").removesuffix(".DSS") or "feeder"
    _build(engine, script, shown)
    reading = Reading(engine, script, PhaseSource(name), shown, _rated(script))
    try:
        _refuse_shorts(reading)
        converged = _solve(engine, reading)
        _read_elements(reading)
        if reading.problems:
            raise InputError(reading.problems)
        _add_buses(reading)
    except engine.DSSException as error:
        # "Matrix Inversion Error for Line "l1" ..." is about an element of the script.
        named = _NAMED.search(_words(error))
        element = f"{named[1]}.{named[2]}".lower() if named else "circuit"
        reading.refuse(element, "", _words(error))
        raise InputError(reading.problems) from None
    _add_notes(reading, converged)
    return reading.source, Solved(_volts(engine), converged)


def _engine() -> Any:
    """An OpenDSS of its own, which opens no window, runs no program and stays in its folder."""
    try:
        from opendssdirect import dss
    except ImportError:
        raise missing_extra("opendssdirect.py", "opendss", "OpenDSS scripts") from None
    here = os.getcwd()
    try:
        engine = dss.NewContext()
    finally:
        os.chdir(here)  # it goes back to where the library was loaded
    engine.Basic.AllowForms(False)
    engine.Basic.AllowEditor(False)
    engine.Basic.AllowDOScmd(False)
    engine.Basic.AllowChangeDir(False)
    return engine


def _build(engine: Any, script: Script, shown: str) -> None:
    """Carry out the commands. Raises InputError with all that OpenDSS does not take."""
    problems = []
    for command in script.commands:
        try:
            engine.Text.Command(command.text)
        except engine.DSSException as error:
            element = command.element or "command"
            problems.append(Problem(element, "", _words(error), command.file, command.line))
            if command.element.startswith("circuit.") or len(problems) >= _MOST_PROBLEMS:
                break
    if problems:
        raise InputError(problems)


def _rated(script: Script) -> set[str]:
    """Elements with a rated current: their own, of one that they are `like`, or of batchedit."""
    found: set[str] = set()
    for one in script.commands:
        kind = one.element.partition(".")[0]
        like = _LIKE.search(one.text)
        if _RATED.search(one.text):
            found |= _edited(script, one.element) if one.text.startswith("batch") else {one.element}
        elif like is not None and f"{kind}.{like[1]}".lower() in found:
            found.add(one.element)
    return found


def _edited(script: Script, pattern: str) -> set[str]:
    """The elements that batchedit of CLASS.EXPRESSION is about."""
    kind, _, name = pattern.partition(".")
    try:
        wanted = re.compile(name)
    except re.error:
        return set()  # an expression of OpenDSS's own: the ratings count as not known
    return {
        element
        for element in script.places
        if element.startswith(f"{kind}.") and wanted.search(element.removeprefix(f"{kind}."))
    }


def _words(error: Exception) -> str:
    """What OpenDSS says, on one line."""
    return "OpenDSS says: " + " ".join(str(error.args[-1]).split())[:300]


def _refuse_shorts(reading: Reading) -> None:
    """Raise InputError for lines without a length, of which OpenDSS makes no equations."""
    lines = reading.engine.Lines
    at = lines.First()
    while at:
        if lines.Length() <= 0.0:
            said = "a length above 0; join the buses, or make it a switch: switch=y"
            reading.refuse(f"line.{str(lines.Name()).lower()}", f"{lines.Length():g}", said)
        at = lines.Next()
    if reading.problems:
        raise InputError(reading.problems)


def _solve(engine: Any, reading: Reading) -> bool:
    """OpenDSS's load flow of constant powers, to its last digits; whether it converged."""
    script = reading.script
    based = any(one.text.startswith("set voltagebases") for one in script.commands)
    if based:
        engine.Text.Command("calcvoltagebases")
    engine.Text.Command("set mode=snapshot controlmode=off tolerance=1e-10 maxiterations=500")
    engine.Text.Command(f"set loadmult={script.load_factor!r}")
    if engine.Loads.Count():
        _note_limits(engine, reading)
        engine.Text.Command("batchedit load..* vminpu=0 vmaxpu=1000")
    engine.Text.Command("solve")
    return bool(engine.Solution.Converged())


def _note_limits(engine: Any, reading: Reading) -> None:
    """Say where the loads of the script are constant powers within some voltages only."""
    found = set()
    at = engine.Loads.First()
    while at:
        found.add((float(engine.Loads.Vminpu()), float(engine.Loads.Vmaxpu())))
        at = engine.Loads.Next()
    narrow = [pair for pair in found if pair[0] > 0.85 or pair[1] < 1.15]
    if narrow:
        low, high = max(pair[0] for pair in narrow), min(pair[1] for pair in narrow)
        reading.source.notes.append(
            f"loads are constant powers at any voltage here; OpenDSS makes impedances of them "
            f"beyond {low:g} to {high:g} p.u., unless vminpu and vmaxpu are wide"
        )


def _read_elements(reading: Reading) -> None:
    """All elements of the circuit, in OpenDSS's order."""
    engine = reading.engine
    by_class: dict[str, list[str]] = defaultdict(list)
    for full in engine.Circuit.AllElementNames():
        kind, _, name = str(full).lower().partition(".")
        by_class[kind].append(name)
    for kind, names in by_class.items():
        if kind in _SUPPORTED:
            continue
        for name in names:
            engine.Circuit.SetActiveElement(f"{kind}.{name}")
            if engine.CktElement.Enabled():
                said = (
                    "lines, transformers, capacitors, loads and one source; this is not supported"
                )
                reading.refuse(f"{kind}.{name}", "", said)
            else:
                reading.left[f"disabled {kind} left out"].append(name)
    codes = CodeBook(reading.source)
    sources = list(_serving(reading, "vsource", by_class["vsource"]))
    for name in sources[1:]:
        reading.refuse(f"vsource.{name}", "", f"one source; {sources[0]} is one already")
    if sources:
        read_source(reading, sources[0])
    else:
        reading.problems.append(Problem("vsource", "", "a source in service", reading.shown))
    for name in _serving(reading, "line", by_class["line"]):
        read_line(reading, codes, name)
    for name in _serving(reading, "transformer", by_class["transformer"]):
        read_transformer(reading, name)
    for name in _serving(reading, "capacitor", by_class["capacitor"]):
        read_capacitor(reading, name)
    for name in _serving(reading, "load", by_class["load"]):
        read_load(reading, name)
    if not by_class["load"]:
        reading.problems.append(Problem("load", "", "loads, which are the homes", reading.shown))


def _serving(reading: Reading, kind: str, names: list[str]) -> Iterator[str]:
    """The elements in service, made active one after another; the others are noted."""
    engine = reading.engine
    own = {"line": engine.Lines, "transformer": engine.Transformers, "load": engine.Loads,
           "capacitor": engine.Capacitors}.get(kind)  # fmt: skip
    for name in names:
        engine.Circuit.SetActiveElement(f"{kind}.{name}")
        if not engine.CktElement.Enabled():
            reading.left[f"disabled {kind} left out"].append(name)
            continue
        if own is not None:
            own.Name(name)
        # Open lines stay, as they may be closed.
        opened = kind not in ("line", "vsource") and is_open(reading, f"{kind}.{name}")
        if opened:
            reading.left[f"open {kind} left out"].append(name)
        elif opened is not None:
            yield name


def _add_buses(reading: Reading) -> None:
    """The buses at which something is, with voltage and place."""
    engine, rows, head = reading.engine, reading.source.rows, reading.source.head
    used = {head["source_bus"]}
    for table in ("lines.csv", "transformers.csv"):
        used |= {row[end] for row in rows[table] for end in ("from_bus", "to_bus")}
    used |= {row["bus"] for table in ("capacitors.csv", "homes.csv") for row in rows[table]}
    engine.Circuit.SetActiveElement("vsource.source")
    source_kv = reading.number("basekv")
    based = _rated_voltages(reading, source_kv)
    head["source_vm_pu"] = short(head["source_vm_pu"] * source_kv / based[head["source_bus"]])
    for name in map(str, engine.Circuit.AllBusNames()):
        if name not in used:
            reading.left["bus left out, without an element in service"].append(name)
            continue
        engine.Circuit.SetActiveBus(name)
        kv = based[name] or float(engine.Bus.kVBase()) * 3**0.5 or float("nan")
        x, y = reading.script.bus_places.get(name, (None, None))
        rows["buses.csv"].append({"bus": name, "vn_kv": float(f"{kv:.9g}"), "x": x, "y": y})


def _rated_voltages(reading: Reading, source_kv: float) -> dict[str, float]:
    """Rated voltage of each bus, kV.

    Of buses that lines join it is one, that of the script's bases, where OpenDSS finds the same for
    all of them and it goes with the windings there. OpenDSS looks at voltages to earth, which below
    a winding in delta, or without supply, say little: there source and windings say it.
    """
    rows, based = reading.source.rows, _bases(reading)
    beside: dict[str, list[str]] = defaultdict(list)
    for row in rows["lines.csv"]:
        beside[row["from_bus"]].append(row["to_bus"])
        beside[row["to_bus"]].append(row["from_bus"])
    wound: dict[str, float] = {}
    for row in rows["transformers.csv"]:
        wound |= {row["from_bus"]: row["vn_from_kv"], row["to_bus"]: row["vn_to_kv"]}
    wound[reading.source.head["source_bus"]] = source_kv
    if not any(based.values()):
        said = "no voltage bases in the script: those of source and transformers"
        reading.source.notes.append(said)
    found: dict[str, float] = {}
    for first in based:
        if first in found:
            continue
        level, ahead = {first}, [first]
        while ahead:
            more = set(beside[ahead.pop()]) - level
            level |= more
            ahead += more
        given = {based[bus] for bus in level}
        windings = [wound[bus] for bus in sorted(level) if bus in wound]
        if len(given) > 1 or not all(_fits(kv, windings) for kv in given):
            near = [kv for kv in based.values() if windings and _fits(kv, windings[:1])]
            rated = windings[0] if windings else 0.0
            given = {min(near, key=lambda kv: abs(kv - rated), default=rated)}
        found |= dict.fromkeys(level, given.pop())
    return found


def _fits(kv: float, windings: list[float]) -> bool:
    low, high = FIT
    return kv > 0.0 and all(low <= one / kv <= high for one in windings)


def _bases(reading: Reading) -> dict[str, float]:
    """Rated voltage of each bus, kV, as OpenDSS finds it; 0 where the script says none."""
    engine = reading.engine
    found = {}
    for name in map(str, engine.Circuit.AllBusNames()):
        engine.Circuit.SetActiveBus(name)
        volts = float(np.max(engine.Bus.VMagAngle()[::2], initial=0.0))
        kv = float(engine.Bus.kVBase())
        found[name] = 0.0 if volts < 10.0 * kv else kv * 3**0.5
    return found


def _add_notes(reading: Reading, converged: bool) -> None:
    notes, script = reading.source.notes, reading.script
    for what, names in reading.left.items():
        notes.append(f"{len(names)} x {what}: {some(names)}")
    for kind, count in script.left_out.items():
        why = ": taken as closed" if kind in ("fuse", "relay", "recloser") else ""
        notes.append(f"{count} x {kind} left out{why}")
    if script.load_factor != 1.0:
        notes.append(f"loads times {script.load_factor:g}, as `set loadmult` says")
    if not converged:
        notes.append("OpenDSS's own load flow does not converge at nominal load")


def _volts(engine: Any) -> dict[tuple[str, int], complex]:
    names = [str(name).lower() for name in engine.Circuit.AllNodeNames()]
    volts = np.array(engine.Circuit.AllBusVolts(), dtype=np.float64).view(np.complex128)
    found: dict[tuple[str, int], complex] = {}
    for name, value in zip(names, volts, strict=True):
        bus, _, node = name.rpartition(".")
        found[bus, int(node) - 1] = complex(value)
    return found
