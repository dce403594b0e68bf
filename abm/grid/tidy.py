"""A net of somebody's made ready for a feeder folder, and what is wrong in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from abm.errors import Problem
from abm.grid.nets import net_problems
from abm.grid.reference import NOT_CONSTANT_POWER
from abm.grid.switching import UNKNOWN_KA, UNKNOWN_MVA

# Tables that make the network; all others of a net are left out.
_TABLES = ("bus", "line", "trafo", "trafo3w", "switch", "ext_grid", "load", "sgen", "shunt",
           "impedance", "trafo_characteristic_table")  # fmt: skip
_ENDS = {
    "line": ("from_bus", "to_bus"),
    "trafo": ("hv_bus", "lv_bus"),
    "trafo3w": ("hv_bus", "mv_bus", "lv_bus"),
    "impedance": ("from_bus", "to_bus"),
    "switch": ("bus",),
    "ext_grid": ("bus",),
    "load": ("bus",),
    "sgen": ("bus",),
    "shunt": ("bus",),
}
# What no distribution feeder has: beyond it a unit is wrong.
_MOST_KA = 10.0
# Rated current of a transformer on its low side.
_MOST_TRAFO_KA = 50.0
_KV = (0.1, 500.0)
_SOURCE_PU = (0.8, 1.2)
# Demand over what the lines and transformers at the source can carry.
_MOST_OF_SUPPLY = 20.0
# Voltage that a line would lose at its rated current, of its rated voltage.
_MOST_DROP = 2.0


def tidy(net: Any, first_bus: int) -> tuple[Any, list[str], list[Problem]]:
    """A net of its own with what a feeder needs, notes of what was left out, and all problems.

    What is out of service, or without supply and without load, is left out; open lines between
    buses with supply stay.
    """
    import pandapower as pp

    own = pp.create_empty_network(
        name=str(net.get("name") or ""),
        f_hz=float(net.f_hz),
        sn_mva=float(net.sn_mva),
        add_stdtypes=False,
    )
    for kind in _TABLES:
        if kind in net and len(net[kind]):
            own[kind] = net[kind].copy()
    if not len(own.bus):
        return own, [], [Problem("bus", "", "missing; the net has no buses")]
    problems = list(_not_known(net))
    notes = _left_out(net)
    notes += tap_notes(own)
    for kind in ("trafo", "trafo3w", "ext_grid", "load", "sgen", "shunt", "impedance"):
        own[kind] = own[kind][own[kind]["in_service"].astype(bool)]
    idle = (own.sgen["p_mw"] * own.sgen["scaling"] == 0.0) & (own.sgen["q_mvar"] == 0.0)
    if idle.any():
        notes.append(f"{idle.sum()} x sgen left out: power or scaling is 0")
    problems += list(net_problems(own, "", first_bus))
    if problems:  # what is beyond repair says all there is to say
        return own, notes, problems
    notes += _without_supply(own, first_bus, problems)
    problems += _doubts(own, first_bus)
    return own, notes, problems


def _not_known(net: Any) -> Iterator[Problem]:
    """Elements in service that a feeder of constant powers cannot have."""
    for kind in NOT_CONSTANT_POWER:
        if kind == "storage" or kind not in net or not len(net[kind]):
            continue
        serving = net[kind].index[net[kind]["in_service"].astype(bool)]
        if len(serving):
            said = "only loads, static generators and external grids may feed or take power"
            if kind == "gen":
                said += "; a sgen in its place feeds in without holding the voltage"
            if kind == "asymmetric_load":
                said += (
                    "; with r0_ohm_per_km and x0_ohm_per_km of the lines and vector_group of the "
                )
                said += "transformers the net becomes a three-phase feeder"
            yield Problem(kind, f"{len(serving)} in service", said)
    yield from not_constant(net)


def not_constant(net: Any) -> Iterator[Problem]:
    """Loads of which a share is a constant impedance or current."""
    shares = [name for name in net.load if name.startswith(("const_z", "const_i"))]
    for index in net.load.index[(net.load[shares].fillna(0.0) != 0.0).any(axis=1)]:
        yield Problem(f"load {index}", "", "constant power; it has shares of impedance or current")


def _left_out(net: Any) -> list[str]:
    """Notes on what the net has and a feeder does not."""
    notes = []
    if "storage" in net and (count := int(net.storage["in_service"].astype(bool).sum())):
        notes.append(
            f"{count} x storage left out: its power is a decision, not a load of the feeder"
        )
    if "controller" in net and len(net.controller):
        notes.append(f"{len(net.controller)} x controller left out: taps stay where they are")
    return notes


def tap_notes(net: Any) -> list[str]:
    """Notes on tap positions that pandapower does not heed, as it does not know their type."""
    notes = []
    for kind in ("trafo", "trafo3w"):
        table = net[kind]
        if not {"tap_pos", "tap_neutral", "tap_changer_type"} <= set(table):
            continue
        moved = (table["tap_pos"].fillna(0.0) != table["tap_neutral"].fillna(0.0)).to_numpy()
        typed = table["tap_changer_type"].isin(["Ratio", "Symmetrical", "Ideal", "Tabular"])
        notes += [
            f"{kind} {index}: tap_pos {table.at[index, 'tap_pos']:g} has no effect, as in "
            'pandapower, as its tap_changer_type is empty; "Ratio" in the source makes it count'
            for index in table.index[moved & ~typed.to_numpy()]
        ]
    return notes


def _without_supply(net: Any, first_bus: int, problems: list[Problem]) -> list[str]:
    """Take out buses that no source feeds; a load on one of them, and two sources, are problems."""
    import networkx as nx
    from pandapower.topology import create_nxgraph

    serving = set(map(int, net.bus.index[net.bus["in_service"].astype(bool)]))
    graph = create_nxgraph(net, multi=False)
    graph.add_nodes_from(serving)
    live: set[int] = set()
    for island in nx.connected_components(graph.subgraph(serving)):
        sources = net.ext_grid.index[net.ext_grid["bus"].isin(island)]
        if len(sources):
            live |= island
        if len(sources) > 1:
            shown = ", ".join(f"N{bus + first_bus}" for bus in net.ext_grid.loc[sources, "bus"])
            elements = ", ".join(map(str, sources))
            said = f"one source in each island; the one with N{min(island) + first_bus} has several"
            problems.append(Problem(f"ext_grid {elements}", shown, said))
    for kind in ("load", "sgen"):
        table = net[kind]
        moving = (table[["p_mw", "q_mvar"]].fillna(0.0) != 0.0).any(axis=1)
        for index in table.index[~table["bus"].isin(live) & moving]:
            bus = int(table.at[index, "bus"])
            said = "a bus with supply; no closed way leads from it to an external grid"
            problems.append(Problem(f"{kind} {index}, bus", f"N{bus + first_bus}", said))
    dark = sorted(set(map(int, net.bus.index)) - live)
    net.bus = net.bus[net.bus.index.isin(live)]
    for kind, ends in _ENDS.items():
        keep = np.logical_and.reduce([net[kind][end].isin(live) for end in ends])
        net[kind] = net[kind][keep]
    # A switch joins its bus to another one, a line or a transformer.
    joined = {"b": "bus", "l": "line", "t": "trafo", "t3": "trafo3w"}
    left = [
        element in net[joined[str(kind)]].index
        for kind, element in zip(net.switch["et"], net.switch["element"], strict=True)
    ]
    net.switch = net.switch[np.array(left, dtype=bool)]
    if not dark:
        return []
    shown = ", ".join(f"N{bus + first_bus}" for bus in dark[:8]) + (", ..." if dark[8:] else "")
    return [f"{len(dark)} buses without supply and without load left out: {shown}"]


def _doubts(net: Any, first_bus: int) -> Iterator[Problem]:
    """Values that no feeder has: a unit that is off by 1,000, or a slip."""
    vn_kv = net.bus["vn_kv"].astype(float)
    low, high = _KV
    for bus, kv in vn_kv[(vn_kv < low) | (vn_kv > high)].items():
        said = f"a rated voltage from {low:g} to {high:g} kV; is it in V?"
        yield Problem(f"bus N{int(str(bus)) + first_bus}, vn_kv", f"{kv:g}", said)
    low, high = _SOURCE_PU
    for index, pu in net.ext_grid["vm_pu"].items():
        if not low <= pu <= high:
            said = f"a voltage from {low:g} to {high:g} p.u.; is it in kV?"
            yield Problem(f"ext_grid {index}, vm_pu", f"{pu:g}", said)
    line = net.line
    one, other = (line[end].map(vn_kv).to_numpy(float) for end in ("from_bus", "to_bus"))
    ka = line["max_i_ka"].astype(float).to_numpy()
    ohm = np.hypot(line["r_ohm_per_km"].astype(float), line["x_ohm_per_km"].astype(float))
    ohm = (ohm * line["length_km"].astype(float) / line["parallel"].astype(float)).to_numpy()
    known = (ka > 0.0) & (ka < UNKNOWN_KA)
    for at, index in enumerate(line.index):
        ends = (f"N{line[end].iat[at] + first_bus}" for end in ("from_bus", "to_bus"))
        name = f"line {index} ({'-'.join(ends)})"
        if one[at] != other[at]:
            said = "two buses of one rated voltage; a transformer joins two voltages"
            yield Problem(name, f"{one[at]:g} and {other[at]:g} kV", said)
        if known[at] and ka[at] > _MOST_KA:
            said = f"a rated current of at most {_MOST_KA:g} kA; is it in A?"
            yield Problem(f"{name}, max_i_ka", f"{ka[at]:g}", said)
        elif ka[at] <= 0.0:
            said = "a rated current above 0, or none where it is not known"
            yield Problem(f"{name}, max_i_ka", f"{ka[at]:g}", said)
        elif known[at] and np.sqrt(3.0) * ka[at] * ohm[at] > _MOST_DROP * one[at]:
            drop = np.sqrt(3.0) * ka[at] * ohm[at]
            said = (
                f"an impedance that can carry its rated current; {ka[at]:g} kA would lose "
                f"{drop:.3g} kV of {one[at]:g} kV: is it in mOhm, the length in m?"
            )
            yield Problem(f"{name}, impedance", f"{ohm[at]:.6g} ohm", said)
    trafo = net.trafo
    most = np.sqrt(3.0) * trafo["vn_lv_kv"].to_numpy(float) * _MOST_TRAFO_KA
    rated = trafo["sn_mva"].to_numpy(float)
    for row in np.flatnonzero((rated > most) & (rated < UNKNOWN_MVA)).tolist():
        ends = (f"N{trafo[end].iat[row] + first_bus}" for end in ("hv_bus", "lv_bus"))
        said = f"at most {most[row]:.3g} MVA, {_MOST_TRAFO_KA:g} kA on its low side; is it in kVA?"
        name = f"trafo {trafo.index[row]} ({'-'.join(ends)}), sn_mva"
        yield Problem(name, f"{rated[row]:g}", said)
    yield from _loads_and_supply(net, vn_kv, first_bus)


def _loads_and_supply(net: Any, vn_kv: Any, first_bus: int) -> Iterator[Problem]:
    """Loads that no feeder could carry, each by itself and all together."""
    for kind in ("load", "sgen"):
        table = net[kind]
        scale = table["scaling"].astype(float).to_numpy()
        mva = np.hypot(table["p_mw"].astype(float), table["q_mvar"].astype(float)) * scale
        most = np.sqrt(3.0) * table["bus"].map(vn_kv).to_numpy(float) * _MOST_KA
        for at in np.flatnonzero(mva.to_numpy() > most):
            bus = int(table["bus"].iat[at]) + first_bus
            said = f"at most {most[at]:.3g} MVA, 10 kA, at this voltage; is it in kW?"
            yield Problem(f"{kind} {table.index[at]} (N{bus}), p_mw", f"{mva.iat[at]:g}", said)
    load = net.load["p_mw"].astype(float) * net.load["scaling"].astype(float)
    demand = float(load.clip(lower=0.0).sum())
    at_source = set(net.ext_grid["bus"])
    line, trafo = net.line, net.trafo
    begins = line["from_bus"].isin(at_source) | line["to_bus"].isin(at_source)
    ka = line["max_i_ka"].astype(float) * line["df"].astype(float) * line["parallel"].astype(float)
    lines_mva = np.sqrt(3.0) * ka[begins] * line.loc[begins, "from_bus"].map(vn_kv)
    fed = trafo[trafo["hv_bus"].isin(at_source)]
    others = len(net.trafo3w) + len(net.impedance) + int((net.switch["et"] == "b").sum())
    can_mva = float(lines_mva.sum()) + float((fed["sn_mva"] * fed["parallel"]).sum())
    if not others and 0.0 < can_mva < np.inf and demand > _MOST_OF_SUPPLY * can_mva:
        said = (
            f"at most {_MOST_OF_SUPPLY:g} times the {can_mva:.3g} MVA of what leaves the source; "
            "is it in kW?"
        )
        yield Problem("load, p_mw of all", f"{demand:.6g}", said)
