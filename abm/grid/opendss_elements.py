"""The elements of an OpenDSS circuit as rows of a feeder folder, one kind after another."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from abm.equations import ComplexArray, FloatArray
from abm.errors import Problem
from abm.grid.dss_script import Script
from abm.grid.phase_source import CodeBook, PhaseSource, short
from abm.scenario.phase_table import MOST_OHM_PER_KM
from abm.scenario.phase_values import PHASES

# Metres of the units of length; a line without unit is taken to be in km.
_METRES = {0: 1000.0, 1: 1609.344, 2: 304.8, 3: 1000.0, 4: 1.0, 5: 0.3048, 6: 0.0254, 7: 0.01,
           8: 0.001}  # fmt: skip
_NO_UNIT = 0
_VARIABLE = 0  # status of a load
# Of a line without unit: longer than so many km, or with less ohm than any cable has in a km, it is
# in m.
_LONG, _LEAST_OHM = 100.0, 0.02
_NEUTRAL = (
    "phases 1, 2 and 3; a conductor for the neutral (node 4, or 0 of a line) is not supported"
)


@dataclass
class Reading:
    """What all readers of elements share."""

    engine: Any
    script: Script
    source: PhaseSource
    shown: str
    rated: set[str]
    problems: list[Problem] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def refuse(self, element: str, value: str, said: str) -> None:
        """Note what is not supported of an element, at its place in the script."""
        file, line = self.script.places.get(element, (self.shown, None))
        self.problems.append(Problem(element, value, said, file, line))

    def says(self, name: str) -> str:
        """A property of the active element, as text."""
        return str(self.engine.Properties.Value(name)).strip()

    def number(self, name: str) -> float:
        """A property of the active element that is a number."""
        return float(self.says(name))

    def faster(self) -> float:
        """How many times its own frequency the active element is solved at: its reactances, too."""
        return float(self.engine.Solution.Frequency()) / self.number("basefreq")

    def add(self, table: str, element: str, row: dict[str, Any]) -> None:
        """A row, and where its element is written."""
        self.source.rows[table].append(row)
        name = str(next(iter(row.values())))
        if element in self.script.places:
            self.source.places[table, name] = self.script.places[element]


def _terminals(reading: Reading) -> list[tuple[str, list[int]]]:
    """Bus and nodes of each terminal of the active element."""
    element = reading.engine.CktElement
    names = [str(name).partition(".")[0].lower() for name in element.BusNames()]
    nodes = np.array(element.NodeOrder(), dtype=np.int64).reshape(len(names), -1)
    return [(name, row.tolist()) for name, row in zip(names, nodes, strict=True)]


def _letters(nodes: list[int]) -> str:
    return "".join(PHASES[node - 1] for node in sorted(nodes))


def read_source(reading: Reading, name: str) -> None:
    """feeder.yaml, of the active source: voltage, of its own rated one, behind its impedance."""
    element = f"vsource.{name}"
    (bus, nodes), *others = _terminals(reading)
    if nodes != [1, 2, 3] or any(node != 0 for _, ground in others for node in ground):
        reading.refuse(element, str(nodes), "a source of three phases 1, 2, 3 against earth")
        return
    if "negative" in (reading.says("sequence") + reading.says("scantype")).lower():
        reading.refuse(element, "", "a source of positive sequence")
    z1, z0, z2 = (_pair(reading.says(part)) for part in ("Z1", "Z0", "Z2"))
    if abs(z2 - z1) > 1e-9 * abs(z1):
        reading.refuse(element, f"{z2:g}", f"a negative-sequence impedance like Z1, {z1:g} ohm")
    if min(z0.real, z0.imag) < 0.0:
        said = "a zero-sequence impedance above 0 ohm: mvasc1 at most 1.5 times mvasc3"
        reading.refuse(element, f"{z0:.4g}", said)
    faster = reading.faster()
    reading.source.head = {
        "three_phase": True,
        "description": "",
        "source": "",
        "f_hz": float(reading.engine.Solution.Frequency()),
        "source_bus": bus,
        "source_vm_pu": reading.number("pu"),
        "source_va_degree": short(reading.number("angle")),
        "source_r1_ohm": z1.real,
        "source_x1_ohm": short(faster * z1.imag),
        "source_r0_ohm": z0.real,
        "source_x0_ohm": short(faster * z0.imag),
    }


def _pair(text: str) -> complex:
    """A complex number that OpenDSS writes as [re, im]."""
    parts = [float(part) for part in re.split(r"[\s,|]+", text.strip("[]() ")) if part]
    return complex(*parts[:2])


def is_open(reading: Reading, element: str) -> bool | None:
    """Whether the active element is open at an end; None, and refused, where some phases are."""
    active = reading.engine.CktElement
    ends = [
        [bool(active.IsOpen(end, phase)) for phase in range(1, active.NumPhases() + 1)]
        for end in range(1, active.NumTerminals() + 1)
    ]
    if any(all(end) for end in ends):
        return True
    if any(any(end) for end in ends):
        reading.refuse(element, "", "open or closed in all its phases")
        return None
    return False


def read_line(reading: Reading, codes: CodeBook, name: str) -> None:
    """A row of lines.csv, of the active line, and of linecodes.csv where its impedances are new."""
    engine, element = reading.engine, f"line.{name}"
    (one, nodes), (other, far) = _terminals(reading)
    if not all(1 <= node <= 3 for node in (*nodes, *far)):
        reading.refuse(element, _said(nodes), _NEUTRAL)
        return
    if nodes != far or len(set(nodes)) < len(nodes):
        said = "the same phases in the same order at both ends, each once"
        reading.refuse(element, f"{_said(nodes)} to {_said(far)}", said)
        return
    n = len(nodes)
    opened = is_open(reading, element)
    if opened is None:
        return
    lines = engine.Lines
    f_hz = float(engine.Solution.Frequency())
    code = str(lines.LineCode()).lower()
    units, length = int(lines.Units()), float(lines.Length())
    if units == _NO_UNIT and code:
        engine.LineCodes.Name(code)
        units = int(engine.LineCodes.Units())  # the line is in the unit of its code
    z: ComplexArray = _matrix(lines.RMatrix(), n) + 1j * _matrix(lines.XMatrix(), n)
    in_m = units == _NO_UNIT and (length > _LONG or np.abs(np.diag(z)).max() < _LEAST_OHM)
    if units == _NO_UNIT and not bool(lines.IsSwitch()):
        reading.left[f"line without unit of length, taken to be in {'m' if in_m else 'km'}"].append(
            name
        )
    per_m = 1.0 if in_m else _METRES[units]
    length_m = length * per_m
    per_km = 1000.0 / per_m
    z = per_km * z
    b = 2e-3 * np.pi * f_hz * per_km * _matrix(lines.CMatrix(), n)  # of nF, in uS
    km = 1e-3 * length_m
    if not opened and km > 0.0:
        z, b = _as_built(engine, z, b, km)
    if nodes != sorted(nodes):
        order = np.argsort(nodes)
        z, b = z[order][:, order], b[order][:, order]
    if length_m <= 0.0:
        reading.refuse(element, f"{length:g}", "a length above 0")
        return
    # A switch has 1 ohm per unit and 0.001 of it, in whatever unit: the same ohm on more metres.
    most = float(np.abs(z).sum(axis=1).max())
    if length_m < 1.0 and most > MOST_OHM_PER_KM:
        longer = most / MOST_OHM_PER_KM
        length_m, z, b = longer * length_m, z / longer, b / longer
    amperes = short(float(lines.NormAmps()))
    known = element in reading.rated or f"linecode.{code}" in reading.rated
    # Ratings of the wires of a geometry are those of the line.
    known |= not code and any(key.startswith(("wiredata", "linegeometry", "cndata", "tsdata"))
                              for key in reading.rated)  # fmt: skip
    own = amperes if known and element in reading.rated else None
    of_code = amperes if known and own is None else None
    wanted = code or f"of_{name}"
    named = codes.name_of(wanted, z, b, of_code)
    places = reading.script.places
    if (place := places.get(f"linecode.{code}") or places.get(element)) is not None:
        reading.source.places.setdefault(("linecodes.csv", named), place)
    row = {
        "line": name,
        "from_bus": one,
        "to_bus": other,
        "phases": _letters(nodes),
        "linecode": named,
        "length_m": short(length_m),
        "ampacity_a": own,
        "open": 1 if opened else None,
    }
    reading.add("lines.csv", element, row)
    if opened:
        reading.left["line kept as open"].append(name)


def _said(nodes: list[int]) -> str:
    return ".".join(map(str, nodes))


def _matrix(values: Any, n: int) -> Any:
    return np.array(values, dtype=np.float64).reshape(n, n)


def _as_built(
    engine: Any, z: ComplexArray, b: FloatArray, km: float
) -> tuple[ComplexArray, FloatArray]:
    """Impedance, ohm/km, and susceptance, uS/km, as they are in OpenDSS's equations of the line.

    z, b: by its matrices, which are kept where they say the same: they have fewer digits.
    """
    n = len(z)
    built = np.array(engine.CktElement.YPrim(), dtype=np.float64).view(np.complex128)
    built = built.reshape(2 * n, 2 * n)
    series = -built[:n, n:]
    whole = np.asarray(np.linalg.inv(series) / km, dtype=np.complex128)
    if np.abs(whole - z).max() > 1e-8 * np.abs(z).max():
        z = whole
    shunt = 2e6 * (built[:n, :n] - series).imag / km
    # What is left of the difference of large numbers is no susceptance.
    if np.abs(shunt - b).max() > 1e-8 * np.abs(b).max() + 1e-6 * np.abs(series).max() / km:
        b = shunt
    return z, b


def read_transformer(reading: Reading, name: str) -> None:
    """A row of transformers.csv, of the active transformer."""
    engine, element = reading.engine, f"transformer.{name}"
    phases, windings = int(reading.number("phases")), int(reading.number("windings"))
    if (phases, windings) != (3, 2):
        said = "three phases and two windings; others are not supported"
        reading.refuse(element, f"{phases} phases, {windings} windings", said)
        return
    ends = _terminals(reading)
    no_load, magnetising = reading.number("%noloadloss"), reading.number("%imag")
    leads = reading.says("leadlag").lower() in ("lead", "euro")
    transformers = engine.Transformers
    delta, kv, kva, tap, r = [], [], [], [], []
    for winding in (1, 2):
        transformers.Wdg(winding)
        delta.append(bool(transformers.IsDelta()))
        kv.append(float(transformers.kV()))
        kva.append(float(transformers.kVA()))
        tap.append(float(transformers.Tap()))
        r.append(float(transformers.R()))
    for (bus, nodes), is_delta in zip(ends, delta, strict=True):
        if nodes[:3] != [1, 2, 3] or (not is_delta and nodes[3:] not in ([0], [])):
            said = "phases 1, 2, 3, and an earthed neutral where it is wye"
            reading.refuse(element, f"{bus}.{_said(nodes)}", said)
            return
    hour = 0
    if delta[0] != delta[1]:
        # Of two windings in wye and delta that of the higher voltage leads.
        hour = 1 if (kv[0] >= kv[1]) != leads else 11
    row = {
        "transformer": name,
        "from_bus": ends[0][0],
        "to_bus": ends[1][0],
        "connection": ("D" if delta[0] else "YN") + ("d" if delta[1] else "yn") + str(hour),
        "vn_from_kv": short(kv[0]),
        "vn_to_kv": short(kv[1]),
        "sn_kva": short(kva[0]),
        "r_percent": short(sum(r)),
        "x_percent": short(reading.faster() * float(transformers.Xhl())),
        "noload_percent": short(no_load) or None,
        "magnetising_percent": short(magnetising) or None,
        "tap_from": short(tap[0]) if tap[0] != 1.0 else None,
        "tap_to": short(tap[1]) if tap[1] != 1.0 else None,
    }
    reading.add("transformers.csv", element, row)


def read_capacitor(reading: Reading, name: str) -> None:
    """A row of capacitors.csv, of the active capacitor."""
    engine, element = reading.engine, f"capacitor.{name}"
    ends = _terminals(reading)
    (bus, nodes), delta = ends[0], bool(engine.Capacitors.IsDelta())
    phases = int(reading.number("phases"))
    if len(ends) > 1 and any(node != 0 for node in ends[1][1]):
        reading.refuse(element, "", "a capacitor between phases and earth, not in series")
        return
    if not all(1 <= node <= 3 for node in nodes) or (delta and phases == 2):
        reading.refuse(element, _said(nodes), _NEUTRAL)
        return
    numbers = [
        float(part) for key in ("R", "XL") for part in re.findall(r"[-+.\deE]+", reading.says(key))
    ]
    if any(numbers):
        reading.refuse(element, "", "no reactor or resistor in it")
        return
    kv = float(engine.Capacitors.kV()) * (3**0.5 if phases == 1 and not delta else 1.0)
    # Of the equations, since kvar does not say what the steps of a bank add up to.
    built = np.array(engine.CktElement.YPrim(), dtype=np.float64).view(np.complex128).imag
    size = round(len(built) ** 0.5)
    own = built.reshape(size, size)[:phases, :phases]
    # Of the trace each leg of a delta is a part twice; in wye its voltage is that to the neutral.
    legs = (2.0 if phases > 1 else 1.0) if delta else 3.0
    kvar = 1e3 * kv**2 * float(np.trace(own)) / legs
    if kvar <= 0.0:
        reading.left["capacitor left out, which is off"].append(name)
        return
    row = {
        "capacitor": name,
        "bus": bus,
        "phases": _letters(nodes),
        "connection": "delta" if delta else None,
        "kv": short(kv),
        "kvar": float(f"{kvar:.9g}"),
    }
    reading.add("capacitors.csv", element, row)


def read_load(reading: Reading, name: str) -> None:
    """A row of homes.csv, of the active load."""
    engine, element = reading.engine, f"load.{name}"
    ((bus, nodes),) = _terminals(reading)
    loads = engine.Loads
    if int(loads.Model()) != 1:
        said = "model 1, constant power; other models of loads are not supported"
        reading.refuse(element, f"model {loads.Model()}", said)
        return
    phases, delta = int(loads.Phases()), bool(loads.IsDelta())
    kw, kvar = float(loads.kW()), float(loads.kvar())
    if kw < 0.0:
        reading.refuse(element, f"{kw:g} kW", "a load of 0 kW or more; generation is not supported")
        return
    service, rest = nodes[:phases], nodes[phases:]
    if phases == 1 and rest and rest[0] != 0:
        service, rest, delta = nodes[:2], [], True
    elif phases == 1:
        delta = False  # from one phase to earth it is the same load
    elif delta and phases == 2:
        reading.refuse(element, "2 phases", "one phase (of two nodes) or three, in delta")
        return
    elif delta:
        rest = []
    if any(rest) or not service or not all(1 <= node <= 3 for node in service):
        reading.refuse(element, f"{bus}.{_said(nodes)}", _NEUTRAL.replace(", or 0 of a line", ""))
        return
    # Fixed and exempt loads go without `set loadmult`.
    factor = reading.script.load_factor if int(loads.Status()) == _VARIABLE else 1.0
    # Of a load with kvar it has as many digits as a number can have.
    pf = round(float(loads.PF()), 6)
    by_factor = kw * (1.0 / pf**2 - 1.0) ** 0.5 if 0.1 <= pf <= 1.0 else float("nan")
    inductive = abs(by_factor - kvar) <= 1e-9 * max(kw, 1e-9)
    row = {
        "home": name,
        "bus": bus,
        "phases": _letters(service),
        "connection": "delta" if delta else None,
        "p_kw": short(factor * kw),
        "q_kvar": None if inductive else short(factor * kvar),
        "power_factor": short(pf) if inductive else None,
    }
    reading.add("homes.csv", element, row)
