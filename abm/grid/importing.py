"""A feeder folder out of the net of another program."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from abm.equations import FloatArray
from abm.errors import InputError, LoadFlowError, Problem
from abm.grid.import_rules import (
    ImportedFeeder,
    Loads,
    classes_of,
    customers_of,
    doubtful_voltages,
    first_match,
    one_line,
    powers,
    words_of,
    zones_of,
)
from abm.grid.phase_importing import import_opendss, import_phases, is_opendss, placed
from abm.grid.phase_nets import has_phases
from abm.grid.reference import nominal_load, solved_net
from abm.grid.sources import ReadNet, as_json, read_source
from abm.grid.switching import UNKNOWN_KA, UNKNOWN_MVA, amperes_of, open_lines
from abm.grid.tidy import tidy
from abm.scenario.yamlio import show, yaml_text

_GENERATION = (("pv", r"pv|solar|lv_|photovolt"), ("wind", r"wind|\bwp\b|\bwka?\b"))


def import_feeder(
    reference: str,
    zones: str = "loads",
    classes: str = "words",
    customers: str = "auto",
    three_phase: bool = False,
    apart: bool = False,
) -> ImportedFeeder:
    """Make a feeder folder of a source, `abm.grid.sources.SOURCES`.

    zones, classes, customers: rules, see `abm.grid.import_rules`. three_phase: whether a net is to
    become a three-phase feeder; one with loads of single phases and zero-sequence data does anyway,
    and so does an OpenDSS script. apart: whether OpenDSS runs in a process of its own, as it can
    crash. Raises InputError with everything that is wrong in the source, or
    in the rules.
    """
    rules = (zones, classes, customers)
    if is_opendss(reference):
        return import_opendss(reference, rules, apart)
    source = read_source(reference)
    try:
        if three_phase or has_phases(source.net):
            return import_phases(source, reference, rules)
        net, left_out, problems = tidy(source.net, source.first_bus)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        said = f"a pandapower net with its tables ({type(error).__name__}: {error})"
        raise InputError([Problem("SOURCE", show(reference), said)]) from error
    if problems:
        raise InputError(placed(problems, reference))
    notes = [*source.notes, *left_out]
    at_nominal = _at_nominal(reference, net, source.first_bus, notes)
    generation = _generation(net, source.first_bus)
    p_mw = powers(net.load, "p_mw").groupby(net.load["bus"]).sum()
    loads = Loads(
        net,
        source.first_bus,
        buses=sorted(int(index) for index in net.bus.index),
        load_mw={int(bus): float(value) for bus, value in p_mw.items() if value > 0.0},
        notes=notes,
    )
    feeder = _feeder(source, loads, generation, rules)
    feeder.summary.append(at_nominal)
    return feeder


def _at_nominal(reference: str, net: Any, first_bus: int, notes: list[str]) -> str:
    """What the load flow at nominal load says. Raises LoadFlowError where there is none."""
    bus_index = np.sort(net.bus.index.to_numpy(dtype=np.int64))
    p_mw, q_mvar = nominal_load(net, bus_index)
    try:
        solved = solved_net(net, bus_index, p_mw, q_mvar)
    except LoadFlowError as error:
        said = "are loads in kW, impedances in ohm for p.u., or lengths in m?"
        raise LoadFlowError(f"{reference}: {error}; {said}") from error
    except Exception as error:  # pandapower lets through whatever numpy raises
        said = f"cannot be solved ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        raise LoadFlowError(f"{reference}: {said}") from error
    vm_pu = solved.res_bus["vm_pu"].loc[bus_index].to_numpy(dtype=np.float64)
    low, high = vm_pu.argmin(), vm_pu.argmax()
    loss_kw = 1e3 * (float(solved.res_ext_grid["p_mw"].sum()) - float(p_mw.sum()))
    said = (
        f"at nominal load: {vm_pu[low]:.4f} p.u. at N{bus_index[low] + first_bus} to "
        f"{vm_pu[high]:.4f} at N{bus_index[high] + first_bus}, loss {loss_kw:.4g} kW"
    )
    notes += doubtful_voltages(vm_pu, "are loads in kW, or lengths in m?")
    return said


def _feeder(
    source: ReadNet, loads: Loads, generation: Any, rules: tuple[str, str, str]
) -> ImportedFeeder:
    """All files of the folder. Raises InputError for rules that cannot be followed."""
    problems: list[Problem] = []
    class_of = classes_of(loads, rules[1], problems)
    zone_of = zones_of(loads, rules[0], class_of, problems)
    customers = customers_of(loads, rules[2], problems)
    if problems:
        raise InputError(problems)
    net, lines = loads.net, _line_table(loads)
    files: dict[str, Any] = {
        "feeder.yaml": _head(source, loads),
        "buses.csv": _bus_table(loads, class_of, zone_of, customers),
        "lines.csv": lines,
    }
    if len(generation):
        files["generation.csv"] = generation
    net.sgen = net.sgen.iloc[:0]
    files["net.json"] = as_json(net)
    unknown = int(lines["ampacity_a"].isna().sum())
    if unknown:
        loads.notes.append(f"{unknown} of {len(lines)} lines have no rating that is known")
    unknown = int((net.trafo["sn_mva"].astype(float) >= UNKNOWN_MVA).sum())
    if unknown:
        said = f"{unknown} of {len(net.trafo)} transformers have no rating that is known"
        loads.notes.append(said)
    made = generation.groupby("generation_class")["p_mw"].sum()
    by_class: dict[str, float] = {}
    for bus, mw in loads.load_mw.items():
        by_class[class_of[bus]] = by_class.get(class_of[bus], 0.0) + mw
    summary = [
        f"{len(loads.buses)} buses, {len(lines)} lines ({lines['open'].sum()} open), "
        f"{len(net.trafo) + len(net.trafo3w)} transformers, {len(net.ext_grid)} sources",
        _amounts("load", by_class),
        *([_amounts("generation", made)] if len(made) else []),
        f"{len(zone_of)} zones with {sum(customers.get(bus, 0.0) for bus in zone_of):g} customers",
    ]
    needed = tuple(dict.fromkeys((*class_of.values(), *map(str, made.index))))
    return ImportedFeeder(source.name, files, summary, loads.notes, needed)


def _amounts(what: str, mw_of: Any) -> str:
    return f"{what}: " + ", ".join(f"{name} {mw:.4g} MW" for name, mw in mw_of.items())


def _head(source: ReadNet, loads: Loads) -> str:
    kv = "/".join(f"{value:g}" for value in sorted(set(loads.net.bus["vn_kv"]), reverse=True))
    demand = sum(loads.load_mw.values())
    said = f"{source.name}, {kv} kV, {len(loads.buses)} buses, {demand:.4g} MW"
    return yaml_text(
        {
            "net": "net.json",
            "first_bus": source.first_bus,
            "description": said,
            "source": source.said,
        }
    )


def _bus_table(
    loads: Loads, class_of: dict[int, str], zone_of: dict[int, int], customers: dict[int, float]
) -> Any:
    import pandas as pd

    name = loads.net.bus["name"]
    x, y = _places(loads)
    columns: dict[str, Any] = {
        "bus": [bus + loads.first for bus in loads.buses],
        "customer_class": [class_of[bus] for bus in loads.buses],
        "zone": pd.array([zone_of.get(bus) for bus in loads.buses], dtype="Int64"),
        "customers": [f"{customers.get(bus, 0.0):g}" for bus in loads.buses],
    }
    names = [one_line(name.at[bus]) for bus in loads.buses]
    if any(names):
        columns["name"] = names
    if not np.isnan(x).all():
        columns |= {"x": x, "y": y}
    return pd.DataFrame(columns)


def _places(loads: Loads) -> tuple[FloatArray, FloatArray]:
    """Coordinates of the buses, NaN where the net has none."""
    places = np.full((2, len(loads.buses)), np.nan)
    geo = loads.net.bus.get("geo")
    for at, bus in enumerate(loads.buses if geo is not None else ()):
        cell = geo.at[bus]
        try:
            point = json.loads(cell) if isinstance(cell, str) else cell
            places[:, at] = [float(value) for value in point["coordinates"][:2]]
        except (TypeError, KeyError, ValueError):
            continue  # no point there
    return places[0], places[1]


def _line_table(loads: Loads) -> Any:
    import pandas as pd

    line, first = loads.net.line.sort_index(), loads.first
    known = line["max_i_ka"].astype(float) < UNKNOWN_KA
    is_open = open_lines(loads.net)
    # A few digits less than a float has, so that 270 A are not 270.00000000000006.
    amperes = [float(f"{value:.12g}") for value in amperes_of(line).where(known)]
    columns: dict[str, Any] = {
        "line": line.index.astype(int),
        "from_bus": line["from_bus"].astype(int) + first,
        "to_bus": line["to_bus"].astype(int) + first,
        "ampacity_a": amperes,
        "open": [int(index in is_open) for index in line.index],
    }
    names = [one_line(name) for name in line["name"]]
    return pd.DataFrame({**columns, "name": names} if any(names) else columns)


def _generation(net: Any, first_bus: int) -> Any:
    """Static generators, and loads of negative power, by bus and class; taken off the loads."""
    import pandapower as pp
    import pandas as pd

    rows = []
    for kind, sign in (("sgen", 1.0), ("load", -1.0)):
        table = net[kind]
        p, q = sign * powers(table, "p_mw"), sign * powers(table, "q_mvar")
        # A generator of reactive power alone is one all the same, a load is not.
        feeds = (p > 0.0) | ((p == 0.0) & (q != 0.0) & (kind == "sgen"))
        for index in table.index[feeds]:
            name = first_match(words_of(table, index), _GENERATION, "generation")
            rows.append((int(table.at[index, "bus"]) + first_bus, name, p[index], q[index]))
        if kind == "load":
            net.load = table[~feeds]
            continue
        for index in table.index[p < 0.0]:  # which takes power, as a load does
            name = one_line(table.at[index, "name"])
            bus = int(table.at[index, "bus"])
            pp.create_load(net, bus, p_mw=-p[index], q_mvar=-q[index], name=name)
    found = pd.DataFrame(rows, columns=["bus", "generation_class", "p_mw", "q_mvar"])
    return found.groupby(["bus", "generation_class"], as_index=False).sum()
