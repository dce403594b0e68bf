"""The feeder: its network, who its customers are, and who hangs on whom.

Bus position i is the i-th bus in order of pandapower index, which is the paper's bus i + 1 on
case33bw; line position l is the l-th line in service in the order of the net, or of lines.csv.
Every array of the package that has a bus or a line axis uses these positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray, IntArray
from abm.grid.network import Network
from abm.scenario.feeder_table import Generation, Labels
from abm.scenario.phase_levels import feeding_transformer

if TYPE_CHECKING:
    import networkx as nx
    from scipy.sparse import csr_matrix


# A feeder carries some hundred amperes, a substation some thousand.
_MOST_KA = 10.0


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
    none at all. line_km: float64 [n_line], lengths; empty where not known.
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
    line_km: FloatArray = field(default_factory=lambda: np.zeros(0))

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
    def line_ends(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """What tables call the two buses of each line, (n_line,) each."""
        return self.bus_numbers[self.line_from], self.bus_numbers[self.line_to]

    def zone_words(self, zone: int) -> str:
        """Where a zone is, from 0, as it is told a person: "on bus N18"."""
        return f"on bus {self.bus_names[self.zone_bus[zone]]}"

    @cached_property
    def transformer_above(self) -> IntArray:
        """Last transformer on the way from the source to each node of `graph`, -1: none.

        Its position among `network.transformers`.
        """
        position = {key: at for at, key in enumerate(self.network.transformers.elements)}
        of = np.array([position.get(key, -1) for _, _, key in self.connections], dtype=np.int64)
        ends = [(one, other) for one, other, _ in self.connections]
        between = np.array(ends, dtype=np.int64).reshape(-1, 2)
        sources, windings = self.slack_buses.tolist(), of >= 0
        last = feeding_transformer(len(self.graph), sources, between[~windings], between[windings])
        return np.append(of[windings], -1)[last]

    def add_to_buses(self, p_mw: FloatArray, of_zones: FloatArray) -> None:
        """Add powers of the zones (..., Z) to those of the buses (..., n_bus) where they are."""
        p_mw[..., self.zone_bus] += of_zones

    def in_zones(self, p_mw: FloatArray) -> FloatArray:
        """Load of the buses of each zone, (..., n_bus) -> (..., Z)."""
        return p_mw[..., self.zone_bus]

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
