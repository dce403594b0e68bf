"""Voltage along a feeder when it is lowest, by distance from the source, branches named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.equations import FloatArray
from abm.grid import Feeder
from abm.report.figures import BLUE, GREY, STYLE, figure
from abm.results import Results
from abm.results.indicators import grain_of

# More branches than this have no name, and of those the ones with most buses have one.
MOST_NAMES = 8
# Names nearer to each other than this, in parts of the axes, would run into each other.
_NEAR = (0.2, 0.045)
# The axis shows as much at least, p.u.: no thousandth is to look like a cliff.
LEAST_PU = 0.02
# More buses than this have no mark each.
_MOST_MARKS = 80


@dataclass(frozen=True, eq=False)
class Along:
    """How far each bus is from the source, and the branches on the way.

    far: float64 [n_bus], in what `axis` says, NaN for a bus that nothing joins. branches: positions
    of the buses of each, the first of them the bus that it leaves, from the longest on. outside:
    pairs of buses that are joined beside them, as in a mesh.
    """

    far: FloatArray
    axis: str
    branches: tuple[tuple[int, ...], ...]
    outside: tuple[tuple[int, int], ...]


def along(feeder: Feeder) -> Along:
    """Distance in km; where no line has a length in ohms, over several voltages in lines."""
    joins, axis = _steps(feeder)
    graph: Any = nx.Graph()
    graph.add_nodes_from(range(feeder.n_bus))
    for one, other, step in joins:
        # Of parallel ways the shortest.
        known = graph.get_edge_data(one, other, {}).get("step", np.inf)
        graph.add_edge(one, other, step=min(step, known))
    sources = set(map(int, feeder.slack_buses))
    search: Any = nx.multi_source_dijkstra
    length, ways = search(graph, sources, weight="step")
    far = np.full(feeder.n_bus, np.nan)
    far[list(length)] = list(length.values())
    parent = {bus: way[-2] for bus, way in ways.items() if len(way) > 1}
    below: dict[int, list[int]] = {bus: [] for bus in ways}
    reach = dict(length)
    for bus in sorted(ways, key=lambda bus: (length[bus], len(ways[bus])), reverse=True):
        if bus in parent:
            below[parent[bus]].append(bus)
            reach[parent[bus]] = max(reach[parent[bus]], reach[bus])
    # From each bus straight on to what reaches farthest; what else leaves it is a branch.
    branches: list[tuple[int, ...]] = []
    waiting: list[list[int]] = [[bus] for bus in sorted(sources)]
    while waiting:
        branch = waiting.pop()
        while below[branch[-1]]:
            first, *others = sorted(below[branch[-1]], key=lambda bus: (-reach[bus], bus))
            waiting += [[branch[-1], other] for other in others]
            branch.append(first)
        branches.append(tuple(branch))
    branches = [branch for branch in branches if len(branch) > 1]
    walked = {frozenset(pair) for pair in parent.items()}
    outside = tuple((a, b) for a, b in graph.edges if frozenset((a, b)) not in walked)
    return Along(far, axis, tuple(sorted(branches, key=len, reverse=True)), outside)


def _steps(feeder: Feeder) -> tuple[list[tuple[int, int, float]], str]:
    """What joins two buses and how far apart they are; transformers and switches are no way."""
    if len(feeder.line_km) and np.isfinite(feeder.line_km).all():
        step, axis = feeder.line_km, "Length of the lines from the source (km)"
    elif len({float(kv) for kv in feeder.vn_kv}) == 1:
        branch = feeder.network.branches
        rows = feeder.network.branch_of_line
        ohm = feeder.base_kv**2 / feeder.base_mva
        step = ohm * np.hypot(branch.r_pu[rows], branch.x_pu[rows])
        axis = "Impedance of the lines from the source (ohm)"
    else:
        step, axis = np.ones(feeder.n_line), "Lines from the source"
    # A line that is open at one end joins nothing, and is no connection.
    of_line = dict(zip(feeder.line_index.tolist(), step.tolist(), strict=True))
    return [
        (one, other, of_line[index] if kind == "line" else 0.0)
        for one, other, (kind, index) in feeder.connections
    ], axis


def lowest_flow(results: Results) -> int:
    """The load flow with the lowest voltage of all buses; of demand's peak where none converged."""
    flows, record = results.flows, results.record
    lowest = np.where(flows.converged[:, None], flows.vm_pu, np.inf).min(axis=1)
    if np.isfinite(lowest).any():
        return int(np.argmin(lowest))
    return int(np.argmax(record.demand_mw(record.flow_min)[:, 0]))


def voltage_figure(results: Results) -> Figure:
    """Voltage of every bus in the load flow with the lowest one, along the feeder's branches."""
    record, feeder = results.record, results.record.feeder
    at = lowest_flow(results)
    (when,) = record.clock_times(np.array([at]), record.flow_min)
    if record.n_days > 1:
        when = f"day {at // (24 * record.flows_per_hour) + 1}, {when}"
    fig, axes = figure("Voltage along the feeder when it is lowest")
    found = along(feeder)
    vm_pu = results.flows.vm_pu[at]
    low = record.scenario.grid.vm_min_pu
    with mpl.rc_context(STYLE):
        if results.flows.converged[at]:
            bus = int(np.argmin(vm_pu))
            _draw(axes, found, vm_pu, "o" if feeder.n_bus <= _MOST_MARKS else "")
            title = f"Lowest voltage {vm_pu[bus]:.4f} p.u. at {feeder.bus_names[bus]}, {when}"
            if failed := int((~results.flows.converged).sum()):
                title += f"\n{failed} of {len(results.flows.converged)} load flows did not converge"
            axes.set_title(title)
            bottom, top = axes.get_ylim()
            if top - bottom < LEAST_PU:
                axes.set_ylim(top - LEAST_PU, top)
            _name(axes, feeder, found, vm_pu)
        else:
            axes.set_title(f"No load flow converged; demand is highest at {when}")
            axes.set_ylim(low - 0.01, 1.01)
        _limit(axes, low, vm_pu if results.flows.converged[at] else np.array([low]))
        axes.set_xlabel(found.axis)
        axes.set_ylabel(f"Voltage, {grain_of(record.flow_min)} (p.u.)")
    return fig


def _draw(axes: Axes, found: Along, vm_pu: FloatArray, mark: str) -> None:
    """A stroke for each branch, from the bus it leaves; what closes a mesh is dotted."""
    for branch in found.branches:
        here = list(branch)
        axes.plot(found.far[here], vm_pu[here], color=BLUE, lw=1.0, marker=mark, ms=2.2)
    for pair in found.outside:
        here = list(pair)
        axes.plot(found.far[here], vm_pu[here], color=BLUE, lw=0.6, ls=":")
    most = float(np.nanmax(found.far, initial=0.0)) or 1.0
    axes.set_xlim(-0.02 * most, 1.16 * most)


def _limit(axes: Axes, limit: float, vm_pu: FloatArray) -> None:
    """The lower limit; one that nothing comes near would press the rest together, and is said."""
    least, room = float(vm_pu.min()), max(float(np.ptp(vm_pu)), 0.02)
    near = least - room < limit
    if near:
        axes.axhline(limit, color=GREY, ls=":", lw=1.0)
    said = f"lower limit {limit:g} p.u."
    axes.annotate(
        said if near else f"{said}, off the scale", (0.0, limit if near else 0.0), (2, 2),
        xycoords=("axes fraction", "data" if near else "axes fraction"),
        textcoords="offset points", fontsize=6.5, color=GREY,
    )  # fmt: skip


def _name(axes: Axes, feeder: Feeder, found: Along, vm_pu: FloatArray) -> None:
    """The branches with most buses by their first and last bus, at their end."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    taken: list[tuple[float, float]] = []
    names = feeder.bus_names
    sources = set(map(int, feeder.slack_buses))
    for branch in found.branches[:MOST_NAMES]:
        end = branch[-1]
        x = (found.far[end] - left) / (right - left)
        y = (vm_pu[end] - bottom) / (top - bottom)
        if any(abs(x - a) < _NEAR[0] and abs(y - b) < _NEAR[1] for a, b in taken):
            continue
        taken.append((float(x), float(y)))
        first = branch[0] if branch[0] in sources else branch[1]
        text = names[end] if first == end else f"{names[first]}-{names[end]}"
        axes.annotate(text, (found.far[end], vm_pu[end]), (3, 0), textcoords="offset points",
                      fontsize=6.0, va="center", annotation_clip=False)  # fmt: skip
