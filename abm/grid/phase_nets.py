"""A three-phase feeder out of a pandapower net with zero-sequence data."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from abm.errors import InputError, Problem
from abm.grid.import_rules import one_line
from abm.grid.nets import net_problems
from abm.grid.phase_network import of_sequences
from abm.grid.phase_source import CodeBook, PhaseSource, short, some
from abm.grid.sources import ReadNet
from abm.grid.switching import UNKNOWN_KA
from abm.grid.tidy import not_constant, tap_notes
from abm.scenario.phase_values import PHASES

_GROUP = re.compile(r"(D|YN)(d|yn)\d*", re.IGNORECASE)
# What such a feeder does not have and is refused by name.
_OTHERS = ("sgen", "asymmetric_sgen", "gen", "storage", "trafo3w", "shunt", "impedance", "ward",
           "xward", "motor", "dcline", "tcsc", "svc", "ssc")  # fmt: skip
_ZERO_LINE = ("r0_ohm_per_km", "x0_ohm_per_km")
_OTHER_CHANGERS = ("Symmetrical", "Ideal", "Tabular")
# Voltage factor of pandapower for the short-circuit power of an external grid.
_C = 1.1
# The zero-sequence impedance of a transformer is that of the positive one, this close.
_SAME = 0.01


def has_phases(net: Any) -> bool:
    """Whether a net has loads of single phases in service and zero-sequence data of its lines."""
    table, lines = net.get("asymmetric_load"), net.get("line")
    if table is None or lines is None or not set(_ZERO_LINE) <= set(lines):
        return False
    return bool(np.asarray(table["in_service"], dtype=bool).any())


def phase_source_of(read: ReadNet) -> PhaseSource:
    """The feeder of a net. Raises InputError with every element that it cannot have."""
    net, source = read.net, PhaseSource(read.name)
    problems = [*net_problems(net, "", read.first_bus), *_not_known(net), *_missing(net)]
    buses = _names(net.bus, "bus")
    if problems:
        raise InputError(problems)
    problems += _head(net, source, buses, read.said)
    _lines(net, source, buses)
    problems += _transformers(net, source, buses)
    source.notes += tap_notes(net)
    _homes(net, source, buses)
    if not source.rows["homes.csv"]:
        problems.append(Problem("asymmetric_load", "", "loads in service, which are the homes"))
    if problems:
        raise InputError(problems)
    _add_buses(net, source, buses)
    return source


def _serving(net: Any, kind: str) -> Any:
    """Rows in service of a table of the net, none where there is no such table."""
    import pandas as pd

    table = net.get(kind)
    if table is None or not len(table):
        return pd.DataFrame()
    return table[table["in_service"].astype(bool)]


def _not_known(net: Any) -> Iterator[Problem]:
    for kind in _OTHERS:
        table = _serving(net, kind)
        for index in table.index:
            said = "lines, transformers of two windings, loads and one external grid alone"
            yield Problem(f"{kind} {index}", one_line(table.at[index, "name"]), said)
    switches = net.get("switch")
    for index in [] if switches is None else switches.index[switches["et"] != "l"]:
        said = "a switch of a line; those between buses and of transformers are not supported"
        yield Problem(f"switch {index}", str(switches.at[index, "et"]), said)
    yield from not_constant(net)


def _missing(net: Any) -> Iterator[Problem]:
    """Zero-sequence data that are not there, element by element."""
    lines, trafos = _serving(net, "line"), _serving(net, "trafo")
    for table, kind, columns in (
        (lines, "line", _ZERO_LINE),
        (trafos, "trafo", ("vector_group",)),
    ):
        for column in columns:
            absent = table.index if column not in table else table.index[table[column].isna()]
            said = "missing; a load flow of three phases needs it"
            if len(absent) and len(absent) == len(table):
                yield Problem(f"{kind}.{column}", "", f"{said}, and no {kind} has it")
                continue
            for index in absent:
                yield Problem(f"{kind} {index}", "", f"{column} {said}")
    for index in trafos.index:
        group = trafos.at[index, "vector_group"] if "vector_group" in trafos else None
        if isinstance(group, str) and not _GROUP.fullmatch(group):
            said = "Dyn, YNyn, YNd or Dd: windings in delta, or in wye with an earthed neutral"
            yield Problem(f"trafo {index}", group, said)


def _names(table: Any, kind: str) -> dict[int, str]:
    """What each row is called: its name where all have one of their own, else kind and index."""
    said = [one_line(name) for name in table["name"]] if "name" in table else []
    if len(set(said)) == len(table) and all(said):
        return dict(zip(map(int, table.index), said, strict=True))
    return {int(index): f"{kind}{index}" for index in table.index}


def _head(net: Any, source: PhaseSource, buses: dict[int, str], said: str) -> Iterator[Problem]:
    grids = _serving(net, "ext_grid")
    if len(grids) != 1:
        yield Problem("ext_grid", str(len(grids)), "one external grid in service")
        return
    grid = grids.iloc[0]
    kv = float(net.bus.at[grid["bus"], "vn_kv"])
    mva = float(grid.get("s_sc_max_mva", np.nan))
    z1 = z0 = 0j
    if np.isfinite(mva) and mva > 0.0:
        ratio = _number(grid, "rx_max", 0.1)
        x = _C * kv**2 / mva / (1.0 + ratio**2) ** 0.5
        x0 = x * _number(grid, "x0x_max", 1.0)
        z1, z0 = complex(ratio * x, x), complex(_number(grid, "r0x0_max", 0.1) * x0, x0)
        source.notes.append(
            f"the source has the impedance of s_sc_max_mva, {mva:g} MVA; in pandapower it holds "
            "the positive sequence of its bus at vm_pu"
        )
    source.head = {
        "three_phase": True,
        "description": "",
        "source": said,
        "f_hz": float(net.f_hz),
        "source_bus": buses[int(grid["bus"])],
        "source_vm_pu": float(grid["vm_pu"]),
        "source_va_degree": _number(grid, "va_degree", 0.0),
        "source_r1_ohm": short(z1.real),
        "source_x1_ohm": short(z1.imag),
        "source_r0_ohm": short(z0.real),
        "source_x0_ohm": short(z0.imag),
    }


def _number(row: Any, column: str, empty: float) -> float:
    value = row.get(column, np.nan)
    return empty if value is None or np.isnan(float(value)) else float(value)


def _lines(net: Any, source: PhaseSource, buses: dict[int, str]) -> None:
    table, codes = _serving(net, "line"), CodeBook(source)
    if idle := len(net.line) - len(table):
        source.notes.append(f"{idle} x line out of service left out")
    names = _names(table, "line")
    switches = net.get("switch")
    opened: set[int] = set()
    if switches is not None and len(switches):
        off = (switches["et"] == "l") & ~switches["closed"].astype(bool)
        opened = set(map(int, switches["element"][off]))
    omega, leaky = 2e-3 * np.pi * float(net.f_hz), 0
    for index, row in table.iterrows():
        parallel = _number(row, "parallel", 1.0)
        z1 = complex(row["r_ohm_per_km"], row["x_ohm_per_km"]) / parallel
        z0 = complex(row["r0_ohm_per_km"], row["x0_ohm_per_km"]) / parallel
        b1, b0 = (
            omega * _number(row, column, 0.0) * parallel
            for column in ("c_nf_per_km", "c0_nf_per_km")
        )
        leaky += _number(row, "g_us_per_km", 0.0) != 0.0
        ka = _number(row, "max_i_ka", np.inf)
        amperes = None
        if ka < UNKNOWN_KA:
            amperes = short(1e3 * ka * _number(row, "df", 1.0) * parallel)
        wanted = one_line(row.get("std_type")) or f"of_{names[int(index)]}"
        z, b = of_sequences(z0, z1), of_sequences(b0, b1)
        code = codes.name_of(wanted, z, b.real, amperes)
        is_open = int(index) in opened
        source.rows["lines.csv"].append(
            {
                "line": names[int(index)],
                "from_bus": buses[int(row["from_bus"])],
                "to_bus": buses[int(row["to_bus"])],
                "phases": PHASES,
                "linecode": code,
                "length_m": short(1e3 * float(row["length_km"])),
                "open": 1 if is_open else None,
            }
        )
    if leaky:
        source.notes.append(f"{leaky} x line: leakage g_us_per_km is left out")


def _transformers(net: Any, source: PhaseSource, buses: dict[int, str]) -> Iterator[Problem]:
    table = _serving(net, "trafo")
    names = _names(table, "trafo")
    others: list[str] = []
    magnetised: list[str] = []
    for index, row in table.iterrows():
        name, parallel = names[int(index)], _number(row, "parallel", 1.0)
        kva = 1e3 * float(row["sn_mva"])
        vk, vkr = float(row["vk_percent"]), float(row["vkr_percent"])
        match = _GROUP.fullmatch(str(row["vector_group"]))
        assert match is not None
        hour = _number(row, "shift_degree", 0.0) / 30.0 % 12.0
        mixed = (match[1].upper() == "D") != (match[2].lower() == "d")
        if hour % 1.0 or hour % 2.0 != float(mixed):
            said = f"a shift_degree that goes with {row['vector_group']}: "
            said += "30, 90 and so on" if mixed else "0, 60 and so on"
            yield Problem(f"trafo {index}", f"{row['shift_degree']:g}", said)
        taps = {"hv": 1.0, "lv": 1.0}
        side, changer = row.get("tap_side"), row.get("tap_changer_type")
        steps = _number(row, "tap_pos", 0.0) - _number(row, "tap_neutral", 0.0)
        if side in taps and changer == "Ratio":
            taps[side] += steps * _number(row, "tap_step_percent", 0.0) / 100.0
        elif steps and changer in _OTHER_CHANGERS:
            said = "a tap changer of type Ratio, or in its neutral position"
            yield Problem(f"trafo {index}", changer, said)
        no_load = 100.0 * _number(row, "pfe_kw", 0.0) / kva
        magnetising = max(_number(row, "i0_percent", 0.0) ** 2 - no_load**2, 0.0) ** 0.5
        if abs(_number(row, "vk0_percent", vk) - vk) > _SAME * vk:
            others.append(name)
        if _number(row, "mag0_percent", np.inf) < 1e4:
            magnetised.append(name)
        source.rows["transformers.csv"].append(
            {
                "transformer": name,
                "from_bus": buses[int(row["hv_bus"])],
                "to_bus": buses[int(row["lv_bus"])],
                "connection": f"{match[1].upper()}{match[2].lower()}{hour:g}",
                "vn_from_kv": float(row["vn_hv_kv"]),
                "vn_to_kv": float(row["vn_lv_kv"]),
                "sn_kva": short(kva * parallel),
                "r_percent": vkr,
                "x_percent": short(max(vk**2 - vkr**2, 0.0) ** 0.5),
                "noload_percent": short(no_load) or None,
                "magnetising_percent": short(magnetising) or None,
                "tap_from": short(taps["hv"]) if taps["hv"] != 1.0 else None,
                "tap_to": short(taps["lv"]) if taps["lv"] != 1.0 else None,
            }
        )
    if others:
        said = "in zero sequence its positive-sequence impedance in the place of vk0_percent"
        source.notes.append(f"{len(others)} x trafo has {said}: {some(others)}")
    if magnetised:
        source.notes.append(
            f"{len(magnetised)} x trafo without the zero-sequence magnetising branch of "
            f"mag0_percent, which shifts voltages of pandapower's by up to 1e-3 p.u.: "
            f"{some(magnetised)}"
        )


def _homes(net: Any, source: PhaseSource, buses: dict[int, str]) -> None:
    """Balanced loads, and those of single phases; of unequal phases a row for each."""
    rows, split, idle = source.rows["homes.csv"], [], []
    balanced, uneven = _serving(net, "load"), _serving(net, "asymmetric_load")
    taken: set[str] = set()
    for table, kind in ((balanced, "load"), (uneven, "asymmetric_load")):
        names = _names(table, kind) if len(table) else {}
        for index, row in table.iterrows():
            name = names[int(index)]
            name = f"{kind}_{name}" if name in taken else name
            taken.add(name)
            scale = 1e3 * _number(row, "scaling", 1.0)
            if kind == "load":
                p, q = (np.full(3, float(row[c]) / 3.0) for c in ("p_mw", "q_mvar"))
            else:
                p, q = (
                    np.array([float(row[f"{part}_{phase}_{unit}"]) for phase in PHASES])
                    for part, unit in (("p", "mw"), ("q", "mvar"))
                )
            groups = _groups(p * scale, q * scale)
            delta = str(row.get("type", "wye")) == "delta"
            if len(groups) > 1:
                split.append(name)
            elif not groups:
                idle.append(name)
            for phases in groups:
                rows.append(
                    {
                        "home": name if len(groups) == 1 else f"{name}_{phases}",
                        "bus": buses[int(row["bus"])],
                        "phases": _between(phases) if delta else phases,
                        "connection": "delta" if delta else None,
                        "p_kw": short(scale * sum(p[PHASES.index(x)] for x in phases)),
                        "q_kvar": short(scale * sum(q[PHASES.index(x)] for x in phases)),
                    }
                )
    if idle:
        source.notes.append(f"{len(idle)} x load of 0 kW left out: {some(idle)}")
    if split:
        source.notes.append(
            f"{len(split)} x load of unequal phases has a row of homes.csv for each: {some(split)}"
        )
    _note_reactive(source)


def _groups(p: Any, q: Any) -> list[str]:
    """Phases with load, together where they have the same, else each alone."""
    there = [at for at in range(3) if p[at] != 0.0 or q[at] != 0.0]
    if len({(p[at], q[at]) for at in there}) == 1:
        return ["".join(PHASES[at] for at in there)]
    return [PHASES[at] for at in there]


def _between(phases: str) -> str:
    """Phases between which a load in delta is, by the first of each two."""
    both = {PHASES[(PHASES.index(phase) + more) % 3] for phase in phases for more in (0, 1)}
    return "".join(sorted(both))


def _note_reactive(source: PhaseSource) -> None:
    """Say where only some phases have reactive power, as in pandapower's European feeder."""
    factors: dict[str, list[float]] = defaultdict(list)
    for row in source.rows["homes.csv"]:
        if row["p_kw"] > 0.0:
            factors[row["phases"]].append(abs(row["q_kvar"]) / row["p_kw"])
    means = {phases: float(np.mean(values)) for phases, values in factors.items()}
    largest = max(means.values(), default=0.0)
    without = sorted(phases for phases, mean in means.items() if mean < 0.01 * largest)
    if without:
        source.notes.append(
            f"homes on {', '.join(without)} have next to no reactive power, those on "
            f"{', '.join(sorted(set(means) - set(without)))} {largest:.2g} of the active one: kept "
            "as it is in the source"
        )


def _add_buses(net: Any, source: PhaseSource, buses: dict[int, str]) -> None:
    rows = source.rows
    used = {source.head["source_bus"]}
    for table in ("lines.csv", "transformers.csv"):
        used |= {row[end] for row in rows[table] for end in ("from_bus", "to_bus")}
    used |= {row["bus"] for row in rows["homes.csv"]}
    geo = net.bus.get("geo")
    for index, name in buses.items():
        if name not in used:
            continue
        x = y = None
        cell: Any = None if geo is None else geo.at[index]
        try:
            point: Any = json.loads(cell) if isinstance(cell, str) else cell
            x, y = (float(value) for value in point["coordinates"][:2])
        except (TypeError, KeyError, ValueError):
            pass  # no point there
        rows["buses.csv"].append(
            {"bus": name, "vn_kv": float(net.bus.at[index, "vn_kv"]), "x": x, "y": y}
        )
