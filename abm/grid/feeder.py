"""The feeder: a pandapower net, who its customers are, and the matrices it is judged by.

Bus position i is the i-th bus in order of pandapower index, which is the paper's bus i + 1 on
case33bw; line position l is the l-th line in service in pandapower's order. Every array of the
package that has a bus or a line axis uses these positions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.errors import InputError, LoadFlowError, Problem
from abm.grid.equations import FloatArray
from abm.grid.netfile import load_net
from abm.grid.network import (
    IntArray,
    Network,
    constant_power_copy,
    read_network,
    run_reference,
)
from abm.grid.table import FeederTable
from abm.grid.topology import bus_graph, is_radial

if TYPE_CHECKING:
    import networkx as nx
    from scipy.sparse import csr_matrix

_FEEDERS: dict[str, Feeder] = {}


@dataclass(frozen=True, eq=False, repr=False)
class Feeder:
    """A feeder that can be solved. Shared between models of a process, so nothing in it changes.

    name; key: digest of everything it was built from; net: the pandapower net, with the ampacities
    in net.line.max_i_ka.
    bus_index: int64 [n_bus], pandapower index of each bus position. line_index: int64 [n_line].
    p_mw, q_mvar: float64 [n_bus], nominal net load, MW and Mvar, consumption positive.
    class_names; bus_class: int64 [n_bus], position of the bus's customer class in class_names.
    zone_bus: int64 [Z], bus position of zones 1..Z.
    line_from, line_to: int64 [n_line], bus positions. ampacity_a: float64 [n_line], A, of the whole
    line (parallel systems together), NaN where neither table nor net knows it.
    vn_kv: float64 [n_bus], kV. slack_buses: int64 [S], positions of the external grids.
    graph: networkx graph of the closed connections (`abm.grid.topology`).
    network: nodes, admittances and base values, from pandapower's own matrices.
    """

    name: str
    key: str
    net: Any
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
    graph: nx.MultiGraph[int]
    network: Network

    def __repr__(self) -> str:
        return (
            f"Feeder({self.name!r}, {self.n_bus} buses, {self.n_line} lines, "
            f"{len(self.zone_bus)} zones)"
        )

    @property
    def n_bus(self) -> int:
        """Number of buses."""
        return len(self.bus_index)

    @property
    def n_line(self) -> int:
        """Number of lines in service."""
        return len(self.line_index)

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
    def is_radial(self) -> bool:
        """Whether each bus is reached by exactly one path, from one of the external grids."""
        return is_radial(self.graph, len(self.slack_buses))


def build_feeder(table: FeederTable) -> Feeder:
    """Build the feeder of a table, or hand out the one this process built from the same values.

    Raises InputError with every problem of the table against the net (unreadable file, unknown
    function, bus or line that is not in the net, zone numbers with gaps), and LoadFlowError when
    the net cannot be solved at nominal load by the reference or holds what no solver here knows.
    """
    key = _digest(table)
    if key not in _FEEDERS:
        _FEEDERS[key] = _build(table, key)
    return _FEEDERS[key]


def _digest(table: FeederTable) -> str:
    digest = hashlib.sha256(repr((table.name, table.net, _class_of_each(table))).encode("utf-8"))
    for values in (table.buses, table.zone, table.line_from, table.line_to):
        digest.update(np.asarray(values, dtype=np.int64).tobytes() + b"|")
    digest.update(np.asarray(table.ampacity_a, dtype=np.float64).tobytes())
    path = Path(table.net)
    if path.is_file():
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _class_of_each(table: FeederTable) -> tuple[str, ...]:
    return tuple(str(name) for name in table.customer_class)


def _build(table: FeederTable, key: str) -> Feeder:
    net = load_net(table.net)
    bus_index = np.sort(net.bus.index.to_numpy(dtype=np.int64))
    position = {int(index): i for i, index in enumerate(bus_index)}
    bus_class, class_names, zone_bus, problems = _customers(table, position)
    problems += _write_ampacities(net, table)
    if problems:
        raise InputError(problems)

    p_mw, q_mvar = _nominal_load(net, bus_index)
    network, line_index = _reference(table.name, net, bus_index, p_mw, q_mvar)
    lines = net.line.loc[line_index]
    slack = net.ext_grid[net.ext_grid["in_service"].astype(bool)]["bus"].unique()
    feeder = Feeder(
        name=table.name,
        key=key,
        net=net,
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
        graph=bus_graph(net, position),
        network=network,
    )
    for value in vars(feeder).values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    return feeder


def _customers(
    table: FeederTable, position: dict[int, int]
) -> tuple[IntArray, tuple[str, ...], IntArray, list[Problem]]:
    """Class of each bus position, names of the classes, bus position of each zone, problems."""
    problems = []
    known = f"a bus of the net, 1 to {max(position) + 1}" if position else "a bus of the net"
    classes = _class_of_each(table)
    class_names = tuple(dict.fromkeys(classes))
    bus_class = np.full(len(position), -1, dtype=np.int64)
    buses_of_zone: dict[int, list[int]] = {}
    for number, kind, zone in zip(table.buses, classes, table.zone, strict=True):
        at = position.get(int(number) - 1)
        if at is None:
            problems.append(Problem("feeder.buses", f"N{number}", known))
        elif bus_class[at] >= 0:
            problems.append(Problem("feeder.buses", f"N{number}", "each bus once"))
        else:
            bus_class[at] = class_names.index(kind)
            if zone != 0:
                buses_of_zone.setdefault(int(zone), []).append(at)
    problems += [
        Problem("feeder.buses", f"N{index + 1}", "the bus is in the net and needs a row")
        for index, at in position.items()
        if bus_class[at] < 0
    ]
    n_zone = max(buses_of_zone, default=0)
    for zone in sorted({*range(1, n_zone + 1), *buses_of_zone}):
        if zone < 1 or len(buses_of_zone.get(zone, [])) != 1:
            found = ", ".join(f"N{at + 1}" for at in buses_of_zone.get(zone, [])) or "no bus"
            problems.append(
                Problem(
                    "feeder.zone",
                    f"{zone} ({found})",
                    "zones count from 1 without a gap, each on one bus; 0 is none",
                )
            )
    zone_bus = np.array([buses_of_zone.get(z, [-1])[0] for z in range(1, n_zone + 1)], np.int64)
    return bus_class, class_names, zone_bus, problems


def _write_ampacities(net: Any, table: FeederTable) -> list[Problem]:
    """Write the table's ampacities to net.line.max_i_ka; problems for lines the net does not have.

    Lines between the same two buses are taken in the order of the net.
    """
    between: dict[tuple[int, int], list[int]] = {}
    for index, one, other in zip(
        net.line.index, net.line["from_bus"], net.line["to_bus"], strict=True
    ):
        between.setdefault((min(one, other), max(one, other)), []).append(int(index))
    max_i_ka = net.line["max_i_ka"].astype(float)
    systems = net.line["df"] * net.line["parallel"]
    problems = []
    for one, other, ampacity in zip(table.line_from, table.line_to, table.ampacity_a, strict=True):
        free = between.get((int(min(one, other)) - 1, int(max(one, other)) - 1))
        if not free:
            wanted = "a line of the net, once" if free is not None else "a line of the net"
            problems.append(Problem("feeder.lines", f"N{one}-N{other}", wanted))
            continue
        index = free.pop(0)
        if ampacity <= 0.0:
            problems.append(
                Problem("feeder.ampacity_a", f"{ampacity:g} (N{one}-N{other})", "A, above 0")
            )
        elif not np.isnan(ampacity):
            max_i_ka[index] = ampacity / 1e3 / systems[index]
    net.line["max_i_ka"] = max_i_ka
    return problems


def _nominal_load(net: Any, bus_index: IntArray) -> tuple[FloatArray, FloatArray]:
    """Loads less static generators in service, scaled, summed per bus: p [n_bus] MW, q Mvar."""
    totals = np.zeros((2, len(bus_index)))
    for kind, sign in (("load", 1.0), ("sgen", -1.0)):
        elements = net[kind][net[kind]["in_service"].astype(bool)]
        at = np.searchsorted(bus_index, elements["bus"].to_numpy(dtype=np.int64))
        for row, column in enumerate(("p_mw", "q_mvar")):
            np.add.at(
                totals[row], at, sign * (elements[column] * elements["scaling"]).to_numpy(float)
            )
    return totals[0].copy(), totals[1].copy()


def _reference(
    name: str, net: Any, bus_index: IntArray, p_mw: FloatArray, q_mvar: FloatArray
) -> tuple[Network, IntArray]:
    """Solve the net once at nominal load and read its matrices. LoadFlowError where it fails."""
    try:
        own = constant_power_copy(net, bus_index)
        if not run_reference(own, p_mw, q_mvar):
            raise LoadFlowError("the load flow does not converge at nominal load")
        return read_network(own, bus_index)
    except LoadFlowError as error:
        raise LoadFlowError(f"feeder {name!r}: {error}") from error
    except Exception as error:  # pandapower raises UserWarning and worse for a net without source
        raise LoadFlowError(f"feeder {name!r} cannot be solved: {error}") from error
