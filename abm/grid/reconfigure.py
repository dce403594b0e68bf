"""The radial configuration of least loss, by branch exchange (Baran and Wu 1989).

A feeder has lines, all of which can be opened and closed, and everything else, which stays as it
is. Closing an open line makes a loop; the line of the loop whose opening leaves the least loss is
opened. That is done for one open line after the other until none brings anything. Losses are those
of AC load flows, one for each line of a loop, of more than 48 lines for some. It begins with the
feeder as it is, and with all lines closed, of which the one with the least current is opened while
there are loops; the better end is taken. No exchange of two lines leaves less loss; of more at a
time that is not said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from abm.equations import BoolArray, FloatArray, IntArray
from abm.errors import InputError, LoadFlowError, Problem
from abm.grid.agreement import UnsupportedFeederError
from abm.grid.building import build_feeder
from abm.grid.feeder import Feeder
from abm.grid.reference import MAX_ITERATIONS
from abm.grid.solve import SOURCE_VA, TOLERANCE_PU, grid_of, make_solver
from abm.grid.switching import amperes_of, ends_of, open_lines, rows_of
from abm.scenario.feeder_table import FeederTable

# Net load of B load flows of a feeder, each [B, n_bus] MW and Mvar.
Loads: TypeAlias = Callable[[Feeder], tuple[FloatArray, FloatArray]]

# Lines of a loop that are tried first.
_TRIES = 24
# Less than this is no gain, relative.
_GAIN = 1e-9
_ROOT = -1


@dataclass(frozen=True, eq=False)
class Reconfiguration:
    """A feeder's lines before and after.

    before, after: the feeder as it was and as it is now, all lines in lines.csv. opened, closed:
    rows that are open, or closed, now and were not before. loss_mw: mean loss of the load flows
    that were looked at, before and after; NaN where one has no solution.
    """

    before: FeederTable
    after: FeederTable
    opened: IntArray
    closed: IntArray
    loss_mw: tuple[float, float]

    def names(self, rows: IntArray) -> list[str]:
        """Lines by their buses, such as N7-N8."""
        return [ends_of(self.before, row) for row in rows]


def all_lines(table: FeederTable) -> FeederTable:
    """The same feeder with every line of its network in lines.csv, and which are open.

    Raises what `build_feeder` does.
    """
    if table.values is not None:
        n_line = len(table.line_from)
        return table if len(table.is_open) else replace(table, is_open=np.zeros(n_line, np.bool_))
    net = build_feeder(table).net
    line = net.line.sort_index()
    index = line.index.to_numpy(dtype=np.int64)
    said = line["name"].fillna("").astype(str) if "name" in line else [""] * len(line)
    names = np.array(said, np.str_)
    if len(table.labels.line):
        rows = rows_of(net, table, index)
        names = np.where(rows >= 0, table.labels.line[rows], names)
    is_open = open_lines(net)
    return replace(
        table,
        line_index=index,
        line_from=line["from_bus"].to_numpy(dtype=np.int64) + 1,
        line_to=line["to_bus"].to_numpy(dtype=np.int64) + 1,
        ampacity_a=amperes_of(line).to_numpy(),
        is_open=np.isin(index, list(is_open)),
        labels=replace(table.labels, line=names),
    )


def reconfigure(
    table: FeederTable,
    loads: Loads | None = None,
) -> Reconfiguration:
    """The radial configuration of least mean loss.

    loads: net load of load flows, consumption positive, each [B, n_bus] MW and Mvar, of a feeder;
    left out: one at nominal load. Raises InputError where
    there is no open line and no loop, LoadFlowError where no configuration can be solved.
    """
    before = all_lines(table)
    closed = replace(before, is_open=np.zeros(len(before.line_from), dtype=np.bool_))
    mesh = build_feeder(closed)
    search = _Search(mesh, loads)
    if not before.is_open.any() and search.is_radial(before.is_open):
        said = "a feeder with open lines or loops; this one has no other configuration"
        raise InputError([Problem("feeder.lines", table.name, said)])
    starts = [search.opened_mesh()]
    radial = search.is_radial(before.is_open)
    if radial:
        starts.append(before.is_open.copy())
    ends = [search.descend(start) for start in starts]
    best, loss = min(ends, key=lambda end: end[1])
    if not np.isfinite(loss):
        raise LoadFlowError(f"feeder {table.name!r}: no radial configuration can be solved")
    if radial and float(search.losses(before.is_open[np.newaxis])[0]) <= loss * (1.0 + _GAIN):
        best = before.is_open.copy()
    after = replace(before, is_open=best)
    return Reconfiguration(
        before,
        after,
        opened=np.flatnonzero(best & ~before.is_open),
        closed=np.flatnonzero(~best & before.is_open),
        loss_mw=(_mean_loss(before, loads), _mean_loss(after, loads)),
    )


def _mean_loss(table: FeederTable, loads: Loads | None) -> float:
    """Mean loss of a feeder as it is run, MW; NaN where a load flow has no solution."""
    feeder = build_feeder(table)
    p_mw, q_mvar = _loads_of(feeder, loads)
    return float(make_solver("power-grid-model", feeder).solve(p_mw, q_mvar).loss_mw.mean())


def _loads_of(feeder: Feeder, loads: Loads | None) -> tuple[FloatArray, FloatArray]:
    if loads is None:
        return feeder.p_mw[np.newaxis], feeder.q_mvar[np.newaxis]
    return loads(feeder)


class _Search:
    """Configurations of a feeder, its losses and its loops. Lines are rows of lines.csv."""

    def __init__(
        self,
        mesh: Feeder,
        loads: Loads | None,
    ) -> None:
        import networkx as nx
        from power_grid_model import ComponentType, PowerGridModel

        network = mesh.network
        try:
            grid = grid_of(network, mesh.n_bus, SOURCE_VA)
            self._model = PowerGridModel(grid, system_frequency=network.f_hz)
        except RuntimeError as error:
            raise UnsupportedFeederError(f"refuses it ({error})") from error
        self._kinds = (ComponentType.generic_branch, ComponentType.shunt, ComponentType.sym_load)
        self._has_shunts = ComponentType.shunt in grid
        self._p, self._q = _loads_of(mesh, loads)
        self._row = network.branch_of_line
        self._line_ids = grid[self._kinds[0]]["id"][self._row]
        # What stays closed whatever is done joins its buses into one.
        fixed: nx.Graph[int] = nx.Graph()
        fixed.add_nodes_from(range(mesh.n_bus))
        fixed.add_edges_from((int(bus), _ROOT) for bus in mesh.slack_buses)
        fixed.add_edges_from(
            (one, other) for one, other, (kind, _) in mesh.connections if kind != "line"
        )
        self._part = {
            bus: number
            for number, part in enumerate(nx.connected_components(fixed))
            for bus in part
        }
        self._ends = [
            (self._part[int(one)], self._part[int(other)])
            for one, other in zip(mesh.line_from, mesh.line_to, strict=True)
        ]

    def _graph(self, is_open: BoolArray) -> Any:
        import networkx as nx

        graph: nx.MultiGraph[int] = nx.MultiGraph()
        graph.add_nodes_from(self._part.values())
        for line in np.flatnonzero(~is_open):
            graph.add_edge(*self._ends[line], key=int(line))
        return graph

    def is_radial(self, is_open: BoolArray) -> bool:
        """Whether the closed lines reach each part in one way only."""
        import networkx as nx

        graph = self._graph(is_open)
        return bool(nx.is_connected(graph)) and graph.number_of_edges() == len(graph) - 1

    def opened_mesh(self) -> BoolArray:
        """All lines closed, then the one with the least current of a loop opened, and again."""
        import networkx as nx

        is_open = np.zeros(len(self._ends), dtype=np.bool_)
        while True:
            graph = self._graph(is_open)
            loops = graph.number_of_edges() - len(graph) + nx.number_connected_components(graph)
            if loops == 0:
                return is_open
            simple: nx.Graph[int] = nx.Graph(graph)
            bridges: Any = nx.bridges(simple)
            needed = {frozenset(ends) for ends in bridges}
            twice = {
                frozenset((one, other))
                for one, other in simple.edges
                if graph.number_of_edges(one, other) > 1
            }
            current = self._currents(is_open)
            of_loops = [
                line
                for line in np.flatnonzero(~is_open)
                if (pair := frozenset(self._ends[line])) not in needed or pair in twice
            ]
            is_open[min(of_loops, key=lambda line: (current[line], line))] = True

    def descend(self, start: BoolArray) -> tuple[BoolArray, float]:
        """Exchange lines until nothing is gained; the configuration, and its mean loss in MW."""
        import networkx as nx

        is_open, loss = start.copy(), float(self.losses(start[np.newaxis])[0])
        gained = True
        while gained:
            gained = False
            for tie in np.flatnonzero(is_open):
                graph = self._graph(is_open)
                way = nx.shortest_path(graph, *self._ends[tie])
                loop = np.array([next(iter(graph[a][b])) for a, b in pairwise(way)], np.int64)
                line, least = self._best_of(is_open, int(tie), loop)
                if least < loss * (1.0 - _GAIN):
                    is_open[tie], is_open[line] = False, True
                    loss, gained = least, True
        return is_open, loss

    def _best_of(self, is_open: BoolArray, tie: int, loop: IntArray) -> tuple[int, float]:
        """The line of a loop to open for the least loss with the tie closed, and that loss.

        Along a loop the loss has a valley: of a long one some lines are tried, then those beside
        the best.
        """
        apart = max(1, len(loop) // _TRIES)
        some = np.arange(0, len(loop), apart)
        best, least = tie, np.inf
        while len(some):
            tries = np.tile(is_open, (len(some), 1))
            tries[:, tie] = False
            tries[np.arange(len(some)), loop[some]] = True
            losses = self.losses(tries)
            at = int(np.argmin(losses))
            if losses[at] < least:
                best, least = int(loop[some[at]]), float(losses[at])
            if apart == 1:
                break
            beside = np.arange(some[at] - apart + 1, some[at] + apart)
            some, apart = beside[(beside >= 0) & (beside < len(loop)) & (beside != some[at])], 1
        return best, least

    def losses(self, is_open: BoolArray) -> FloatArray:
        """Mean loss of each configuration over the load flows, [C] MW; infinite without solution.

        is_open: [C, n_line].
        """
        if not len(is_open):
            return np.zeros(0)
        output = self._solve(is_open)
        branch = output[self._kinds[0]]
        lost = (branch["p_from"] + branch["p_to"]).sum(axis=1)
        if self._has_shunts:
            lost = lost + output[self._kinds[1]]["p"].sum(axis=1)
        lost = np.where(np.isfinite(lost), lost / 1e6, np.inf)
        return np.asarray(lost.reshape(len(is_open), len(self._p)).mean(axis=1))

    def _currents(self, is_open: BoolArray) -> FloatArray:
        """Largest current of each line over the load flows, A."""
        current = self._solve(is_open[np.newaxis])[self._kinds[0]]["i_from"]
        return np.asarray(current[:, self._row].max(axis=0))

    def _solve(self, is_open: BoolArray) -> Any:
        """Every configuration under every load, one batch; NaN where there is no solution."""
        from power_grid_model import DatasetType, initialize_array

        branch, shunt, load = self._kinds
        n_config, n_load = len(is_open), len(self._p)
        rows = n_config * n_load
        lines = initialize_array(DatasetType.update, branch, (rows, len(self._line_ids)))
        lines["id"] = self._line_ids
        closed = np.repeat(~is_open, n_load, axis=0).astype(np.int8)
        lines["from_status"], lines["to_status"] = closed, closed
        loads = initialize_array(DatasetType.update, load, (rows, self._p.shape[1]))
        loads["p_specified"] = 1e6 * np.tile(self._p, (n_config, 1))
        loads["q_specified"] = 1e6 * np.tile(self._q, (n_config, 1))
        output: Any = self._model.calculate_power_flow(
            update_data={branch: lines, load: loads},
            output_component_types=[branch, shunt] if self._has_shunts else [branch],
            error_tolerance=TOLERANCE_PU,
            max_iterations=MAX_ITERATIONS,
            continue_on_batch_error=True,
            decode_error=False,
        )
        if self._model.batch_error is not None:
            # What stands in these rows is whatever was in memory.
            for values in output.values():
                for name in ("p_from", "p_to", "i_from", "p"):
                    if name in values.dtype.names:
                        values[name][self._model.batch_error.failed_scenarios] = np.nan
        return output
