"""Who hangs on whom: the feeder as a networkx graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from abm.grid.feeder import Feeder


def bus_graph(net: Any, position: dict[int, int]) -> nx.MultiGraph[int]:
    """Graph of the closed connections. Nodes are bus positions, edge keys (element, index in net).

    position: pandapower bus index -> bus position. Open switches and lines out of service are no
    edges.
    """
    from pandapower.topology import create_nxgraph

    connected = create_nxgraph(net, multi=True)
    graph: nx.MultiGraph[int] = nx.MultiGraph()
    graph.add_nodes_from(position.values())
    for one, other, key in connected.edges(keys=True):
        graph.add_edge(position[int(one)], position[int(other)], key=(key[0], int(key[1])))
    return graph


def is_radial(graph: nx.MultiGraph[int], sources: int = 1) -> bool:
    """Whether each bus is reached by exactly one path, from one of the sources."""
    return bool(nx.is_forest(graph)) and nx.number_connected_components(graph) == sources


def downstream_buses(feeder: Feeder, line: int) -> NDArray[np.int64]:
    """Positions of the buses that lose their supply with one line. line: position in [0, n_line).

    Empty when the line is part of a mesh. Raises IndexError for a line that is not there.
    """
    key = ("line", int(feeder.line_index[line]))
    cut = nx.restricted_view(
        feeder.graph, [], [(int(feeder.line_from[line]), int(feeder.line_to[line]), key)]
    )
    supplied: set[int] = set()
    for slack in feeder.slack_buses:
        supplied |= nx.node_connected_component(cut, int(slack))
    return np.array(sorted(set(feeder.graph.nodes) - supplied), dtype=np.int64)
