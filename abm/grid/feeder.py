"""The feeder: its network, who its customers are, and who hangs on whom.

Bus position i is the i-th bus in order of pandapower index, which is the paper's bus i + 1 on
case33bw; line position l is the l-th line in service in the order of the net, or of lines.csv.
Every array of the package that has a bus or a line axis uses these positions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.equations import FloatArray, IntArray
from abm.errors import InputError, LoadFlowError, Problem
from abm.grid.nets import net_of
from abm.grid.network import Network, line_network
from abm.grid.places import (
    class_of_each,
    customers_of,
    generation_of,
    generation_problems,
    labels_of,
)
from abm.grid.reference import (
    closed_connections,
    feeds_and_takes,
    net_of_lines,
    nominal_load,
    read_network,
    without_supply,
)
from abm.grid.switching import ends_of, rows_of, set_lines, write_ampacities
from abm.scenario.code import refuse_untrusted
from abm.scenario.feeder_table import Generation, Labels
from abm.scenario.names import display

if TYPE_CHECKING:
    import networkx as nx
    from scipy.sparse import csr_matrix

    from abm.scenario.feeder_table import FeederTable, LineValues

# A feeder carries some hundred amperes, a substation some thousand.
_MOST_KA = 10.0
_FEEDERS: dict[str, Feeder] = {}


@dataclass(frozen=True, eq=False, repr=False)
class Feeder:
    """A feeder that can be solved. Shared between models of a process, so nothing in it changes.

    name; key: digest of everything it was built from.
    bus_index: int64 [n_bus], pandapower index of each bus position. line_index: int64 [n_line].
    p_mw, q_mvar: float64 [n_bus], nominal net load, MW and Mvar, consumption positive; load_p_mw,
    load_q_mvar: without the generation that has series of its own.
    class_names; bus_class: int64 [n_bus], position of the bus's customer class in class_names.
    zone_bus: int64 [Z], bus position of zones 1..Z.
    line_from, line_to: int64 [n_line], bus positions. ampacity_a: float64 [n_line], A, of the whole
    line (parallel systems together), NaN where neither table nor net knows it.
    vn_kv: float64 [n_bus], kV. slack_buses: int64 [S], positions of the external grids.
    connections: bus position, bus position and (element, its index in the net) of all that joins
    two buses; what is open or out of service does not.
    network: nodes, admittances and base values.
    generation: what has series of its own, `bus` being positions here. first_bus: number that is
    shown for index 0. labels: names of the buses and of the lines, in the order of their positions
    ("" where the source has none), and places, NaN where not known; empty arrays where there are
    none at all.
    """

    name: str
    key: str
    bus_index: IntArray
    line_index: IntArray
    p_mw: FloatArray
    q_mvar: FloatArray
    class_names: tuple[str, ...]
    bus_class: IntArray
    zone_bus: IntArray
    line_from: IntArray
    line_to: IntArray
    ampacity_a: FloatArray
    vn_kv: FloatArray
    slack_buses: IntArray
    connections: tuple[tuple[int, int, tuple[str, int]], ...]
    network: Network
    make_net: Callable[[], Any]
    load_p_mw: FloatArray
    load_q_mvar: FloatArray
    generation: Generation | None = None
    first_bus: int = 1
    labels: Labels = field(default_factory=Labels)

    def __repr__(self) -> str:
        return (
            f"Feeder({self.name!r}, {self.n_bus} buses, {self.n_line} lines, "
            f"{len(self.zone_bus)} zones)"
        )

    @cached_property
    def net(self) -> Any:
        """The pandapower net, with the ampacities in net.line.max_i_ka; made when asked for."""
        return self.make_net()

    @cached_property
    def graph(self) -> nx.MultiGraph[int]:
        """Graph of the connections. Nodes are bus positions, edge keys (element, index in net)."""
        import networkx as nx

        graph: nx.MultiGraph[int] = nx.MultiGraph()
        graph.add_nodes_from(range(self.n_bus))
        for one, other, key in self.connections:
            graph.add_edge(one, other, key=key)
        return graph

    @cached_property
    def bus_names(self) -> tuple[str, ...]:
        """What tables and figures call each bus: "N18"."""
        return tuple(f"N{number}" for number in self.bus_numbers)

    @cached_property
    def line_names(self) -> tuple[str, ...]:
        """What they call each line, by its two buses: "N17-N18"."""
        ends = zip(self.line_from, self.line_to, strict=True)
        return tuple(f"{self.bus_names[one]}-{self.bus_names[other]}" for one, other in ends)

    @property
    def n_bus(self) -> int:
        """Number of buses."""
        return len(self.bus_index)

    @property
    def n_line(self) -> int:
        """Number of lines in service."""
        return len(self.line_index)

    @property
    def bus_numbers(self) -> IntArray:
        """Number of each bus as it is shown everywhere, int64 [n_bus]."""
        return self.bus_index + self.first_bus

    def has_line(self, one: int, other: int) -> bool:
        """Whether a line in service joins two bus positions."""
        return bool(
            np.any((self.line_from == one) & (self.line_to == other))
            or np.any((self.line_from == other) & (self.line_to == one))
        )

    @property
    def slack_bus(self) -> int:
        """Position of the (first) external grid."""
        return int(self.slack_buses[0])

    @property
    def base_kv(self) -> float:
        """Rated voltage at the slack bus, kV."""
        return float(self.vn_kv[self.slack_bus])

    @property
    def base_mva(self) -> float:
        """Base power of `y_bus`, MVA."""
        return self.network.base_mva

    @property
    def y_bus(self) -> csr_matrix[Any]:
        """Admittance matrix, complex sparse [N, N], p.u.; nodes are buses unless switches join."""
        matrix: csr_matrix[Any] = self.network.y_bus
        return matrix

    @property
    def doubtful_load(self) -> str:
        """Words for a nominal load that no feeder of its voltage carries, else ""."""
        ka = float(np.hypot(self.p_mw.sum(), self.q_mvar.sum())) / (3**0.5 * self.base_kv)
        if ka < _MOST_KA:
            return ""
        total = f"{self.p_mw.sum():.4g} MW at {self.base_kv:g} kV are {ka:.3g} kA"
        return f"; its loads add up to {total}: are they in kW?"

    @property
    def is_radial(self) -> bool:
        """Whether each bus is reached by exactly one path, from one of the external grids."""
        import networkx as nx

        pieces = nx.number_connected_components(self.graph)
        return bool(nx.is_forest(self.graph)) and pieces == len(self.slack_buses)

    def downstream_buses(self, line: int) -> IntArray:
        """Positions of the buses that lose their supply with one line. line: in [0, n_line).

        Empty when the line is part of a mesh. Raises IndexError for a line that is not there.
        """
        key = ("line", int(self.line_index[line]))
        return self.unsupplied_buses((int(self.line_from[line]), int(self.line_to[line]), key))

    def unsupplied_buses(self, *cut: tuple[int, int, tuple[str, int]]) -> IntArray:
        """Positions of the buses that no path joins to an external grid. cut: connections."""
        import networkx as nx

        left = nx.restricted_view(self.graph, [], cut)
        supplied: set[int] = set()
        for slack in self.slack_buses:
            supplied |= nx.node_connected_component(left, int(slack))
        return np.array(sorted(set(left.nodes) - supplied), dtype=np.int64)


def build_feeder(table: FeederTable) -> Feeder:
    """Build the feeder of a table, or hand out the one this process built from the same values.

    Raises InputError with every problem of the table against the net (unreadable file, unknown
    function, bus or line that is not in the net, zone numbers with gaps, generation without a
    profile of its own), and LoadFlowError when buses have no supply, the net cannot be solved at
    nominal load by the reference or holds what no solver here knows.
    """
    if table.code is not None:
        refuse_untrusted([table.code])
    key = _digest(table)
    if key not in _FEEDERS:
        _FEEDERS[key] = _build(table, key)
    return _FEEDERS[key]


def _digest(table: FeederTable) -> str:
    where = "" if table.code is None else str(table.code.source())
    words = tuple(map(str, (*table.labels.bus, *table.labels.line)))
    about = repr((table.name, table.net, where, class_of_each(table), table.first_bus, words))
    digest = hashlib.sha256(about.encode("utf-8", "surrogatepass"))
    for values in (table.buses, table.zone, table.line_from, table.line_to, table.line_index):
        digest.update(np.asarray(values, dtype=np.int64).tobytes() + b"|")
    for numbers in (table.ampacity_a, table.labels.x, table.labels.y, table.is_open):
        digest.update(np.asarray(numbers, dtype=np.float64).tobytes() + b"|")
    if table.generation is not None:
        for values in astuple(table.generation):
            digest.update(repr(np.asarray(values).tolist()).encode("utf-8", "surrogatepass"))
    path = Path(table.net)
    if table.values is not None:
        for value in astuple(table.values):
            digest.update(np.asarray(value, dtype=np.float64).tobytes() + b"|")
    elif path.is_file():
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _build(table: FeederTable, key: str) -> Feeder:
    """The feeder of a table, from its values or from its net."""
    if table.values is None:
        feeder = _from_net(table, key)
    else:
        feeder = _from_values(table, table.values, key)
    for value in vars(feeder).values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    return feeder


def _from_values(table: FeederTable, values: LineValues, key: str) -> Feeder:
    order = np.argsort(table.buses)
    bus_index = np.asarray(table.buses, dtype=np.int64)[order] - 1
    position = {int(index): i for i, index in enumerate(bus_index)}
    bus_class, class_names, zone_bus, problems = customers_of(table, position)
    problems += [
        Problem("feeder.lines", ends_of(table, line), "two buses of the feeder")
        for line, (one, other) in enumerate(zip(table.line_from, table.line_to, strict=True))
        if one - 1 not in position or other - 1 not in position
    ]
    load_p, load_q = values.p_mw[order], values.q_mvar[order]
    problems += generation_problems(table, bus_index, bus_class, load_p < 0.0, load_p > 0.0)
    if problems:
        raise InputError(problems)
    serving = np.arange(len(table.line_from))
    if len(table.is_open):
        serving = np.flatnonzero(~table.is_open)
    line_from, line_to = (
        np.array([position[int(bus) - 1] for bus in end[serving]], dtype=np.int64)
        for end in (table.line_from, table.line_to)
    )
    generation, p_mw, q_mvar = generation_of(table, position, load_p, load_q)
    slack = position[values.slack_bus - 1]
    own = replace(values, r_ohm=values.r_ohm[serving], x_ohm=values.x_ohm[serving])
    feeder = Feeder(
        name=table.name,
        key=key,
        bus_index=bus_index,
        line_index=serving,
        p_mw=p_mw,
        q_mvar=q_mvar,
        class_names=class_names,
        bus_class=bus_class,
        zone_bus=zone_bus,
        line_from=line_from,
        line_to=line_to,
        ampacity_a=np.array(table.ampacity_a[serving], dtype=np.float64),
        vn_kv=np.full(len(bus_index), values.vn_kv),
        slack_buses=np.array([slack]),
        connections=tuple(
            (int(one), int(other), ("line", int(line)))
            for line, one, other in zip(serving, line_from, line_to, strict=True)
        ),
        network=line_network(own, line_from, line_to, len(bus_index), slack),
        make_net=partial(net_of_lines, table, values),
        load_p_mw=load_p,
        load_q_mvar=load_q,
        generation=generation,
        first_bus=table.first_bus,
        labels=labels_of(table, order, serving),
    )
    dark = feeder.unsupplied_buses()
    if len(dark):
        said = without_supply(feeder.bus_numbers[dark])
        raise LoadFlowError(f"feeder {table.name!r}: {said}")
    return feeder


def _from_net(table: FeederTable, key: str) -> Feeder:
    net = net_of(table)
    bus_index = np.sort(net.bus.index.to_numpy(dtype=np.int64))
    position = {int(index): i for i, index in enumerate(bus_index)}
    bus_class, class_names, zone_bus, problems = customers_of(table, position)
    problems += write_ampacities(net, table)
    feeds, takes = feeds_and_takes(net, bus_index)
    if table.generation is None:
        problems += generation_problems(table, bus_index, bus_class, feeds, takes)
    elif net.sgen["in_service"].astype(bool).any():
        said = "no static generator in service in the net, as generation.csv has them all"
        problems.append(Problem("feeder.generation", f"{len(net.sgen)} x sgen", said))
    if problems:
        raise InputError(problems)
    set_lines(net, table)
    load_p, load_q = nominal_load(net, bus_index)
    generation, p_mw, q_mvar = generation_of(table, position, load_p, load_q)
    try:
        network, line_index = read_network(net, bus_index, p_mw, q_mvar, table.first_bus)
    except LoadFlowError as error:
        raise LoadFlowError(f"{source_of(table)}: feeder {table.name!r}: {error}") from error
    except Exception as error:  # pandapower raises UserWarning and worse for a net without source
        said = f"cannot be solved: {' '.join(str(error).split())[:200]}"
        raise LoadFlowError(f"{source_of(table)}: feeder {table.name!r} {said}") from error
    lines = net.line.loc[line_index]
    slack = net.ext_grid[net.ext_grid["in_service"].astype(bool)]["bus"].unique()
    return Feeder(
        name=table.name,
        key=key,
        bus_index=bus_index,
        line_index=line_index,
        p_mw=p_mw,
        q_mvar=q_mvar,
        class_names=class_names,
        bus_class=bus_class,
        zone_bus=zone_bus,
        line_from=np.array([position[int(bus)] for bus in lines["from_bus"]], dtype=np.int64),
        line_to=np.array([position[int(bus)] for bus in lines["to_bus"]], dtype=np.int64),
        ampacity_a=(1e3 * lines["max_i_ka"] * lines["df"] * lines["parallel"]).to_numpy(
            dtype=np.float64, copy=True
        ),
        vn_kv=net.bus["vn_kv"].loc[bus_index].to_numpy(dtype=np.float64, copy=True),
        slack_buses=np.array([position[int(bus)] for bus in slack], dtype=np.int64),
        connections=tuple(
            (position[one], position[other], item) for one, other, item in closed_connections(net)
        ),
        network=network,
        make_net=lambda: net,
        load_p_mw=load_p,
        load_q_mvar=load_q,
        generation=generation,
        first_bus=table.first_bus,
        labels=labels_of(table, np.argsort(table.buses), rows_of(net, table, line_index)),
    )


def source_of(table: FeederTable) -> str:
    """Where the net of a feeder is from, in words."""
    return table.net if ":" in table.net else display(Path(table.net))
