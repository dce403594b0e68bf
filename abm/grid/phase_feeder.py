"""A feeder with three phases: its buses are its homes, the network is below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, FloatArray, IntArray
from abm.errors import InputError, LoadFlowError
from abm.fleet.stays import Stays
from abm.grid.feeder import Feeder
from abm.grid.network import Network, Transformers, empty_network, no_transformers
from abm.grid.phase_flow import Terminals
from abm.grid.places import customers_of, labels_of
from abm.grid.points import Points
from abm.scenario.phase_fields import ConnectionSection
from abm.scenario.phase_values import PHASES, PhaseValues

if TYPE_CHECKING:
    import networkx as nx

    from abm.scenario.feeder_table import FeederTable


@dataclass(frozen=True, eq=False, repr=False)
class ThreePhaseFeeder(Feeder):
    """A feeder of which every phase is solved.

    The bus axis is that of its homes, in the order of homes.csv; the line axis that of the lines of
    `phases`, whose buses line_from and line_to are positions in `phases.bus`, as are those of
    `connections` and slack_buses. terminals: of the homes. zone_of: int64 [H], zone of each home
    from 0, -1 for none.
    """

    phases: PhaseValues = field(kw_only=True)
    terminals: Terminals = field(kw_only=True)
    zone_of: IntArray = field(kw_only=True)

    @cached_property
    def points(self) -> Points:
        """Where chargers may hang."""
        return Points.of(self.terminals)

    def points_of(
        self, stays: Stays, connection: ConnectionSection, seeds: Sequence[int]
    ) -> IntArray:
        """Where the charger of each EV hangs, see `Points.of_stays`, (n,)."""
        # Of a home's phases its first is number 0.
        phase = np.maximum(self.phases.charger_phase, 0)
        number = self.phases.home_phases.cumsum(axis=1) - 1
        given = np.maximum(number[np.arange(len(phase)), phase], 0)
        return self.points.of_stays(stays, self.homes_of_zone, connection, seeds, given)

    @cached_property
    def homes_of_zone(self) -> tuple[IntArray, ...]:
        """Positions of the homes of each zone."""
        return tuple(np.flatnonzero(self.zone_of == z) for z in range(len(self.zone_bus)))

    @cached_property
    def bus_names(self) -> tuple[str, ...]:
        """What tables and figures call each home."""
        return tuple(map(str, self.labels.bus))

    @cached_property
    def line_names(self) -> tuple[str, ...]:
        """What they call each line."""
        return tuple(map(str, self.phases.line))

    @property
    def line_ends(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Names of the two buses of each line, (n_line,) each."""
        names = self.phases.bus.astype(object)
        return names[self.line_from], names[self.line_to]

    @property
    def base_kv(self) -> float:
        """Rated voltage at the source, kV."""
        return float(self.phases.vn_kv[self.phases.source_bus])

    @cached_property
    def graph(self) -> nx.MultiGraph[int]:
        """Graph of the electrical buses. Nodes are positions in `phases.bus`."""
        import networkx as nx

        graph: nx.MultiGraph[int] = nx.MultiGraph()
        graph.add_nodes_from(range(len(self.phases.bus)))
        for one, other, key in self.connections:
            graph.add_edge(one, other, key=key)
        return graph

    def zone_words(self, zone: int) -> str:
        """What a zone is, from 0, as it is told a person: "of 55 homes"."""
        n = len(self.homes_of_zone[zone])
        return f"of {n} home{'' if n == 1 else 's'}"

    @cached_property
    def home_phases(self) -> NDArray[np.object_]:
        """Phases of each home, "a" or "abc", (H,)."""
        return np.array([_letters(there) for there in self.phases.home_phases], dtype=object)

    @cached_property
    def point_phases(self) -> NDArray[np.object_]:
        """Phases that a charger at each point draws from, in delta the two it is between, (P,)."""
        at, drawn = self.terminals, self.points.weights.tocsr()
        words = []
        for point in range(len(self.points.home)):
            of = drawn.indices[drawn.indptr[point] : drawn.indptr[point + 1]]
            there = np.zeros(3, dtype=np.bool_)
            there[at.phase[of]] = True
            there[at.to_phase[of][at.to_phase[of] >= 0]] = True
            words.append(_letters(there))
        return np.array(words, dtype=object)

    @cached_property
    def home_distance_m(self) -> FloatArray:
        """Length of the lines from the transformer that feeds each home, (H,) [m].

        On the way with the fewest lines; NaN where lengths are not known.
        """
        values = self.phases
        length = values.line_length_m
        if len(length) != len(values.line):
            return np.full(values.n_home, np.nan)
        found = np.full(len(values.bus), np.nan)
        found[values.source_bus] = 0.0
        import networkx as nx

        between: dict[tuple[int, int], list[int]] = {}
        for one, other, (kind, at) in self.connections:
            if kind == "line":
                between.setdefault((min(one, other), max(one, other)), []).append(at)
        for above, below in nx.bfs_edges(nx.Graph(self.graph), values.source_bus):
            ways = between.get((min(above, below), max(above, below)), [])
            found[below] = found[above] + length[ways].min() if ways else 0.0
        return np.asarray(found[values.home_bus])

    @cached_property
    def _parts(self) -> FloatArray:
        """Part of its zone that each home is, (H,)."""
        sizes = np.bincount(self.zone_of[self.zone_of >= 0], minlength=len(self.zone_bus))
        return np.where(self.zone_of >= 0, 1.0 / sizes[self.zone_of], 0.0)

    def add_to_buses(self, p_mw: FloatArray, of_zones: FloatArray) -> None:
        """Add powers of the zones (..., Z) to those of their homes (..., H), to each the same."""
        p_mw += of_zones[..., self.zone_of] * self._parts

    def in_zones(self, p_mw: FloatArray) -> FloatArray:
        """Load of the homes of each zone, (..., H) -> (..., Z)."""
        found = np.zeros((*p_mw.shape[:-1], len(self.zone_bus)))
        # Home by home, so that no sum depends on how many rows there are.
        for home in np.flatnonzero(self.zone_of >= 0):
            found[..., self.zone_of[home]] += p_mw[..., home]
        return found


def three_phase_feeder(table: FeederTable, phases: PhaseValues, key: str) -> ThreePhaseFeeder:
    """The feeder of a table with phases. Raises InputError and LoadFlowError as `build_feeder`."""
    n_home, n_line = phases.n_home, len(phases.line)
    position = {int(bus) - 1: at for at, bus in enumerate(table.buses)}
    bus_class, class_names, zone_bus, problems = customers_of(table, position)
    if problems:
        raise InputError(problems)
    lines = zip(phases.line_from, phases.line_to, strict=True)
    windings = zip(phases.transformer_from, phases.transformer_to, strict=True)
    connections = [(int(one), int(other), ("line", i)) for i, (one, other) in enumerate(lines)]
    connections += [(int(one), int(other), ("trafo", i)) for i, (one, other) in enumerate(windings)]
    p_mw, q_mvar = phases.home_p_kw / 1e3, phases.home_q_kvar / 1e3
    return ThreePhaseFeeder(
        name=table.name,
        key=key,
        bus_index=np.arange(n_home),
        line_index=np.arange(n_line),
        p_mw=p_mw,
        q_mvar=q_mvar,
        class_names=class_names,
        bus_class=bus_class,
        zone_bus=zone_bus,
        line_from=phases.line_from,
        line_to=phases.line_to,
        ampacity_a=phases.line_ampacity_a,
        vn_kv=phases.vn_kv[phases.home_bus],
        slack_buses=np.array([phases.source_bus]),
        connections=tuple(connections),
        network=_no_network(phases),
        make_net=_no_net,
        load_p_mw=p_mw,
        load_q_mvar=q_mvar,
        labels=labels_of(table, np.arange(n_home), np.arange(n_line)),
        phases=phases,
        terminals=Terminals.of(phases),
        zone_of=table.zone - 1,
    )


def _letters(there: BoolArray) -> str:
    return "".join(PHASES[phase] for phase in np.flatnonzero(there))


def _no_net() -> Any:
    raise LoadFlowError("a three-phase feeder has no balanced pandapower net")


def _no_network(phases: PhaseValues) -> Network:
    """A network without nodes, which knows the transformers by their names."""
    none = no_transformers()
    names = tuple(map(str, phases.transformer))
    elements = tuple(("trafo", i) for i in range(len(names)))
    known = Transformers(elements, names, none.of, none.branch, none.at_to, none.rated_a)
    return empty_network(known, phases.f_hz)
