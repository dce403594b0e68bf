"""The impedance matrix of a three-phase network, in factors: a tree of buses below a core.

From its leaves on, a bus that hangs at one line or transformer only is eliminated: what is left of
it at its parent is a current and a shunt. With v the voltages of a bus, b the currents fed into it
and into all below, S its shunts and those of all below,

    v = D v_parent + W b,    b_parent = D^T b + ...,    S_parent = ... + what is left of S,

where for a line of impedance z D = (1 + z S)^-1, W = D z: no admittance of a line of a few
centimetres is ever formed, and without shunts D = 1, W = z. Buses in loops stay, with the source:
the core, whose admittances are inverted as a whole. Radial networks have a core of one bus. So the
product of the impedance matrix and a vector of currents is one walk up the tree and one down, and
its cost grows with the number of buses, not with its square.

Homes at the end of a line of their own are no bus of the tree but an element at its parent. Buses
below which nothing hangs are left out, and buses without shunts between two lines are passed over.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from abm.equations import ComplexArray, FloatArray, IntArray
from abm.errors import LoadFlowError
from abm.grid.phase_arrays import (
    BUS,
    LEAF,
    MESHED,
    PLAIN,
    SHUNTED,
    PhaseTree,
    Stretch,
    Tree,
    as_pairs,
    span_arrays,
)
from abm.grid.phase_flow import Terminals
from abm.grid.phase_network import PhaseNetwork, line_admittances
from abm.scenario.phase_values import PHASES, PhaseValues

# Of a core: its matrix is dense.
LARGEST_CORE = 300
# Above it a line is medium voltage.
LOW_KV = 1.0


class _Build:
    """The elimination, step by step."""

    def __init__(self, values: PhaseValues, network: PhaseNetwork, terminals: Terminals) -> None:
        self.values, self.network = values, network
        self.n_line = len(values.line)
        self.low_voltage = values.vn_kv[values.line_from] <= LOW_KV
        self.ends = np.stack(
            [
                np.concatenate([values.line_from, values.transformer_from]),
                np.concatenate([values.line_to, values.transformer_to]),
            ],
            axis=1,
        )
        self.half = values.line_y_siemens / 2.0
        self.line_shunt = np.asarray(self.half.any(axis=(1, 2)))
        count = len(values.bus)
        self.shunt: dict[int, ComplexArray] = {}
        for at, bus in enumerate(values.capacitor_bus.tolist()):
            self._add_shunt(bus, values.capacitor_y_siemens[at])
        # Elements by bus: what is fed into its phases by one ampere, and their terminals.
        self.element = np.full(len(terminals.home), -1, dtype=np.int64)
        self.elements: dict[int, dict[tuple[int, int], list[int]]] = defaultdict(dict)
        buses = values.home_bus[terminals.home].tolist()
        pairs = zip(terminals.phase.tolist(), terminals.to_phase.tolist(), strict=True)
        for terminal, (bus, pair) in enumerate(zip(buses, pairs, strict=True)):
            self.elements[bus].setdefault(pair, []).append(terminal)
        self.supplied = np.zeros((count, 3), dtype=np.bool_)
        self.supplied[values.source_bus] = True
        self.below = np.zeros(count, dtype=np.bool_)  # a home hangs here or below
        self.below[values.home_bus] = True
        self._strip()
        self._supply_core()
        self._eliminate()

    def _add_shunt(self, bus: int, y: ComplexArray) -> None:
        before = self.shunt.get(bus)
        self.shunt[bus] = y if before is None else before + y

    def _strip(self) -> None:
        """Order of elimination, and parent and edge of each bus that is eliminated."""
        values = self.values
        edges_at: list[set[int]] = [set() for _ in values.bus]
        ends: list[list[int]] = self.ends.tolist()
        for edge, (one, other) in enumerate(ends):
            if one == other:
                raise LoadFlowError(f"a line joins bus {values.bus[one]} to itself")
            edges_at[one].add(edge)
            edges_at[other].add(edge)
        reached, todo = {values.source_bus}, [values.source_bus]
        while todo:
            bus = todo.pop()
            for edge in edges_at[bus]:
                other = ends[edge][0] + ends[edge][1] - bus
                if other not in reached:
                    reached.add(other)
                    todo.append(other)
        if len(reached) < len(edges_at):
            dark = [str(name) for bus, name in enumerate(values.bus) if bus not in reached]
            raise LoadFlowError("buses without supply: " + ", ".join(dark[:10]))
        self.order: list[int] = []
        self.parent: dict[int, int] = {}
        self.edge: dict[int, int] = {}
        self.transposed: dict[int, bool] = {}
        leaves = [b for b, at in enumerate(edges_at) if len(at) == 1 and b != values.source_bus]
        while leaves:
            bus = leaves.pop()
            (edge,) = edges_at[bus]
            above = ends[edge][0] + ends[edge][1] - bus
            self.order.append(bus)
            self.parent[bus], self.edge[bus] = above, edge
            edges_at[above].discard(edge)
            edges_at[bus].clear()
            if len(edges_at[above]) == 1 and above != values.source_bus:
                leaves.append(above)
        gone = set(self.order)
        self.core = [values.source_bus] + [
            b for b in range(len(edges_at)) if b not in gone and b != values.source_bus
        ]
        self.core_edges = sorted({edge for bus in self.core for edge in edges_at[bus]})

    def _supply_core(self) -> None:
        """Which phases of the core the source reaches, by lines that have them."""
        before = -1
        while before < (before := int(self.supplied.sum())):
            for edge in self.core_edges:
                one, other = self.ends[edge]
                reached = self.supplied[one] | self.supplied[other]
                if edge < self.n_line:
                    reached &= self.values.line_phases[edge]
                elif not reached.all():
                    continue
                self.supplied[one] |= reached
                self.supplied[other] |= reached

    def _eliminate(self) -> None:
        """D, W and the shunts left over, leaves first."""
        values = self.values
        one = np.eye(3, dtype=np.complex128)
        self.d: dict[int, ComplexArray] = {}
        self.w: dict[int, ComplexArray] = {}
        for bus in self.order:
            above, edge = self.parent[bus], self.edge[bus]
            self.below[above] |= self.below[bus]
            shunt = self.shunt.get(bus)
            if edge >= self.n_line:
                x = edge - self.n_line
                y: Any = self.network.transformer_y[x]
                at_from = values.transformer_from[x] == bus
                c, p = (slice(0, 3), slice(3, 6)) if at_from else (slice(3, 6), slice(0, 3))
                self.w[bus] = np.linalg.inv(y[c, c] if shunt is None else y[c, c] + shunt)
                self.d[bus] = -self.w[bus] @ y[c, p]
                left: ComplexArray = y[p, p] + y[p, c] @ self.d[bus]
                self._add_shunt(above, left)
            elif shunt is not None or self.line_shunt[edge]:
                half = self.half[edge]
                total = half if shunt is None else shunt + half
                self.d[bus] = np.linalg.inv(one + values.line_z_ohm[edge] @ total)
                self.w[bus] = self.d[bus] @ values.line_z_ohm[edge]
                self._add_shunt(above, half + total @ self.d[bus])
            else:
                self.w[bus] = values.line_z_ohm[edge]
        for bus in reversed(self.order):
            edge, above = self.edge[bus], self.parent[bus]
            if edge < self.n_line:
                np.logical_and(
                    self.supplied[above], values.line_phases[edge], out=self.supplied[bus]
                )
            else:
                self.supplied[bus] = True
                if not self.supplied[above].all():
                    raise self._unsupplied(above)
        for bus in (*self.core, *self.order):
            drawn = np.zeros(3, dtype=np.bool_)
            for pair in self.elements.get(bus, ()):
                drawn[[phase for phase in pair if phase >= 0]] = True
            if bus in self.shunt:
                drawn |= self.shunt[bus].any(axis=1)
            if (drawn & ~self.supplied[bus]).any():
                raise self._unsupplied(bus)

    def _unsupplied(self, bus: int) -> LoadFlowError:
        lacks = "".join(np.array(list(PHASES))[~self.supplied[bus]])
        return LoadFlowError(f"phases {lacks} of bus {self.values.bus[bus]} are not supplied")

    # --- what is kept, and as what -------------------------------------------------------------

    def _classify(self) -> None:
        """Which buses of the tree are left out, elements of their parent, or passed over."""
        kept: dict[int, int] = defaultdict(int)
        self.status: dict[int, str] = {}
        for bus in self.order:
            edge = self.edge[bus]
            line = edge < self.n_line
            elements = len(self.elements.get(bus, ()))
            if line and not self.below[bus] and bus not in self.d:
                self.status[bus] = "nothing"
                continue
            if line and not kept[bus] and elements == 1 and bus not in self.shunt:
                self.status[bus] = "element"
            elif line and kept[bus] == 1 and not elements and bus not in self.d:
                self.status[bus] = "passed"
            else:
                self.status[bus] = "bus"
            kept[self.parent[bus]] += 1

    def arrays(self) -> PhaseTree:
        """The result."""
        self._classify()
        # From the core down: what each bus hangs at, by which impedance and lines.
        children: dict[int, list[int]] = defaultdict(list)
        hangs: dict[int, tuple[int, Any, list[int]]] = {}
        for bus in reversed(self.order):
            status, above, edge = self.status[bus], self.parent[bus], self.edge[bus]
            if status == "nothing":
                continue
            at, z, lines = hangs[above] if self.status.get(above) == "passed" else (above, 0.0, [])
            if edge < self.n_line:
                lines = [*lines, edge]
            hangs[bus] = (at, z + self.w[bus], lines)
            if status != "passed":
                children[at].append(bus)
        self.hangs = hangs
        buses = list(self.core)
        todo = [c for bus in reversed(self.core) for c in children[bus]]
        while todo:
            bus = todo.pop()
            if self.status[bus] == "bus":
                buses.append(bus)
                todo += children[bus]
        slot = np.full(len(self.values.bus), -1, dtype=np.int64)
        slot[buses] = np.arange(len(buses))
        n_core = len(self.core)
        n = len(buses)
        parent = np.zeros(n, dtype=np.int64)
        d, w = np.zeros((2, n, 3, 3), dtype=np.complex128)
        plain = np.zeros(n, dtype=np.bool_)
        spans: list[Stretch] = []
        element_bus: list[int] = []
        element_d: list[ComplexArray] = []
        element_w: list[complex] = []
        one = np.eye(3, dtype=np.complex128)

        def add_element(bus: int, at: int, fed: ComplexArray, w: complex, pair: Any) -> None:
            self.element[self.elements[bus][pair]] = len(element_bus)
            element_bus.append(at)
            element_d.append(fed)
            element_w.append(w)

        for position, bus in enumerate(buses):
            unbalance = self._unbalance(bus)
            if position >= n_core:
                at, w[position], lines = hangs[bus]
                parent[position] = slot[at]
                plain[position] = bus not in self.d
                d[position] = self.d.get(bus, one)
                spans.append(self._span(bus, int(slot[at]), position, lines))
            elif unbalance >= 0:
                spans.append(Stretch(BUS, position, position, unbalance))
            for pair in self.elements.get(bus, ()):
                add_element(bus, position, self._feeds(pair) * one[0, 0], 0j, pair)
            for child in children[bus]:
                if self.status[child] != "element":
                    continue
                (pair,) = self.elements[child]
                _, z, lines = hangs[child]
                feeds, through = self._feeds(pair), self.d.get(child, one)
                spans.append(
                    Stretch(
                        LEAF, position, len(element_bus), -1, lines,
                        m1=through, m2=self.half[lines[-1]], m3=z @ feeds, feeds=feeds,
                    )
                )  # fmt: skip
                add_element(child, position, feeds @ through, complex(feeds @ z @ feeds), pair)
        spans += [
            Stretch(
                MESHED, int(slot[self.ends[e, 0]]), int(slot[self.ends[e, 1]]), -1, [e],
                m1=y, m2=self.half[e],
            )
            for e, y in self._core_lines()
        ]  # fmt: skip
        core_z, core_v, source_row = self._core_matrices(slot)
        tree = Tree(
            parent,
            plain,
            as_pairs(d),
            as_pairs(w),
            as_pairs(core_z),
            as_pairs(core_v),
            np.array(element_bus, dtype=np.int64),
            as_pairs(np.array(element_d, dtype=np.complex128).reshape(-1, 3)),
            as_pairs(np.array(element_w, dtype=np.complex128)),
        )
        return PhaseTree(
            tree,
            span_arrays(spans, self.values.line_ampacity_a, self.low_voltage),
            self.element,
            slot,
            source_row,
        )

    @staticmethod
    def _feeds(pair: tuple[int, int]) -> FloatArray:
        feeds = np.zeros(3)
        feeds[pair[0]] = 1.0
        if pair[1] >= 0:
            feeds[pair[1]] = -1.0
        return feeds

    def _unbalance(self, bus: int) -> int:
        return bus if self.below[bus] and self.supplied[bus].all() else -1

    def _span(self, bus: int, above: int, position: int, lines: list[int]) -> Stretch:
        """What carries the current of a bus of the tree."""
        unbalance = self._unbalance(bus)
        if self.edge[bus] >= self.n_line:
            return Stretch(BUS, position, position, unbalance)
        if bus not in self.d:
            return Stretch(PLAIN, above, position, unbalance, lines)
        shunt = self.shunt.get(bus)
        return Stretch(SHUNTED, above, position, unbalance, lines, m1=shunt, m2=self.half[lines[0]])

    def _core_lines(self) -> list[tuple[int, ComplexArray]]:
        edges = [edge for edge in self.core_edges if edge < self.n_line]
        return list(
            zip(edges, line_admittances(self.values, np.array(edges, dtype=np.int64)), strict=True)
        )

    def _core_matrices(self, slot: IntArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
        """Impedances of the core, its voltages without load, and the row of the source."""
        network, n_core = self.network, len(self.core)
        if n_core > LARGEST_CORE:
            raise LoadFlowError(
                f"{n_core} buses are in loops, {LARGEST_CORE} at most can be solved"
            )
        size = 3 * n_core
        y = np.zeros((size, size), dtype=np.complex128)

        def add(one: int, other: int, block: ComplexArray) -> None:
            y[3 * one : 3 * one + 3, 3 * other : 3 * other + 3] += block

        for edge, series in self._core_lines():
            one, other = slot[self.ends[edge]].tolist()
            for here, there in ((one, other), (other, one)):
                add(here, here, series + self.half[edge])
                add(here, there, -series)
        for edge in self.core_edges:
            if edge >= self.n_line:
                at = slot[self.ends[edge]].tolist()
                block = network.transformer_y[edge - self.n_line]
                for row in range(2):
                    for column in range(2):
                        part = block[3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
                        add(at[row], at[column], part)
        for bus in self.core:
            if bus in self.shunt:
                add(int(slot[bus]), int(slot[bus]), self.shunt[bus])
        source_row = y[:3].copy()
        z, v = np.zeros_like(y), np.zeros(size, dtype=np.complex128)
        free = np.flatnonzero(self.supplied[self.core])
        if network.stiff:
            free = free[free >= 3]
            v[:3] = network.source_v
            current = -y[:, :3] @ network.source_v
        else:
            y[:3, :3] += network.source_y
            current = np.zeros(size, dtype=np.complex128)
            current[:3] = network.source_y @ network.source_v
        among = np.ix_(free, free)
        z[among] = inverse(y[among])
        v[free] = (z[among] * current[free]).sum(axis=1)
        return z, v, source_row


def inverse(y: ComplexArray) -> ComplexArray:
    """Inverse of [N, N] by elimination, row by row. LoadFlowError where there is none.

    The bits of LAPACK's depend on the number of threads, of which a worker has one.
    """
    left, right = y.copy(), np.eye(len(y), dtype=np.complex128)
    for i in range(len(y)):
        pivot = i + int(np.abs(left[i:, i]).argmax())
        for matrix in (left, right):
            matrix[[i, pivot]] = matrix[[pivot, i]]
        if left[i, i] == 0.0:
            raise LoadFlowError("the impedances of its loops have no inverse")
        right[i] /= left[i, i]
        left[i] /= left[i, i]
        factor = left[:, i].copy()
        factor[i] = 0.0
        rows = np.flatnonzero(factor)
        for matrix in (left, right):
            matrix[rows] -= factor[rows, np.newaxis] * matrix[i]
    return right


def phase_tree(values: PhaseValues, network: PhaseNetwork, terminals: Terminals) -> PhaseTree:
    """Eliminate all that is no core. LoadFlowError for buses and phases without supply."""
    return _Build(values, network, terminals).arrays()
