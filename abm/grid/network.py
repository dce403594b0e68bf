"""What a load flow is solved on, in per unit, and what it gives.

Nodes are what is solved for: buses joined by a closed switch are one node, and a line that is open
at one end or a three-winding transformer brings a node that is no bus.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import ComplexArray, FloatArray, IntArray

if TYPE_CHECKING:
    from abm.scenario.feeder_table import LineValues


# Base power of the per-unit system of a feeder that is given by its tables, MVA.
BASE_MVA = 10.0
# No line of such a feeder has a capacitance, so that nothing depends on it.
_ANY_HZ = 50.0

# Beyond what any feeder carries, and far from where squares overflow.
LARGEST_LOAD_MVA = 1e9


@dataclass(frozen=True, eq=False)
class Branches:
    """Branches in service, generic pi sections, M of them.

    from_node, to_node: int64 [M]. Series impedance r_pu + j x_pu and shunt admittance g_pu + j b_pu
    in p.u. of the voltage at the to end; ratio and shift_deg: of an ideal transformer at the from
    end, 1 and 0 where there is none; float64 [M]. lopsided: bool [M], whether the two ends differ.
    """

    from_node: IntArray
    to_node: IntArray
    r_pu: FloatArray
    x_pu: FloatArray
    g_pu: FloatArray
    b_pu: FloatArray
    ratio: FloatArray
    shift_deg: FloatArray
    lopsided: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Transformers:
    """The transformers in service, T of them, and their windings that join the rest, E of them.

    elements: pandapower's table and index of each. names: "T1 N1-N2", number and buses as in all
    tables. Of each winding: its transformer, of int64 [E]; the row of its branch, int64 [E], and
    whether it is that branch's to end, bool [E]; its rated current, A, NaN where nobody knows it,
    float64 [E].
    """

    elements: tuple[tuple[str, int], ...]
    names: tuple[str, ...]
    of: IntArray
    branch: IntArray
    at_to: NDArray[np.bool_]
    rated_a: FloatArray

    def loading_percent(self, i_a: FloatArray) -> FloatArray:
        """Loading, [B, T] %: of the windings with these currents [B, E] A the highest; NaN where
        the rating of one is not known.
        """
        loading = np.zeros((len(i_a), len(self.names)))
        np.maximum.at(loading.T, self.of, (100.0 * i_a / self.rated_a).T)
        return loading


def no_transformers() -> Transformers:
    """Of a feeder that has none."""
    none = np.zeros(0, dtype=np.int64)
    return Transformers((), (), none, none, none.astype(np.bool_), none.astype(np.float64))


@dataclass(frozen=True, eq=False)
class Network:
    """What a load flow is solved on; N nodes, M branches in service.

    y_bus: complex sparse [N, N], p.u.; y_from, y_to: complex sparse [M, N], p.u.: branch currents
    into the branch at its from and its to end are y_from v and y_to v.
    shunt_mva: complex [N], P - jQ that shunts take at 1 p.u.
    base_mva: base power, MVA. base_kv: float64 [N], kV. f_hz: frequency, Hz.
    node_of_bus: int64 [n_bus]. slack_nodes: int64 [S]; slack_v: complex [S], their voltage, p.u.
    branch_of_line: int64 [n_line], rows of the lines in `branches`. transformers: those in service.
    """

    branches: Branches
    y_bus: Any
    y_from: Any
    y_to: Any
    shunt_mva: ComplexArray
    base_mva: float
    base_kv: FloatArray
    f_hz: float
    node_of_bus: IntArray
    slack_nodes: IntArray
    slack_v: ComplexArray
    branch_of_line: IntArray
    transformers: Transformers

    @property
    def n_node(self) -> int:
        """Number of nodes N."""
        return len(self.base_kv)

    @property
    def one_node_per_bus(self) -> bool:
        """Whether node i is bus i, so that nothing has to be gathered or summed."""
        return np.array_equal(self.node_of_bus, np.arange(self.n_node))

    def per_node(self, per_bus: ComplexArray) -> ComplexArray:
        """Sum values per bus [B, n_bus] into values per node [B, N]."""
        if self.one_node_per_bus:
            return per_bus
        total = np.zeros((len(per_bus), self.n_node), dtype=np.complex128)
        np.add.at(total.T, self.node_of_bus, per_bus.T)
        return total


def empty_network(transformers: Transformers, f_hz: float) -> Network:
    """A network without nodes, of a feeder that is solved in another way."""
    from scipy.sparse import csr_matrix

    none, whole = np.zeros(0), np.zeros(0, dtype=np.int64)
    nothing = csr_matrix(np.zeros((0, 0), dtype=np.complex128))
    return Network(
        branches=Branches(whole, whole, none, none, none, none, none, none, none.astype(np.bool_)),
        y_bus=nothing,
        y_from=nothing,
        y_to=nothing,
        shunt_mva=none.astype(np.complex128),
        base_mva=BASE_MVA,
        base_kv=none,
        f_hz=f_hz,
        node_of_bus=whole,
        slack_nodes=whole,
        slack_v=none.astype(np.complex128),
        branch_of_line=whole,
        transformers=transformers,
    )


def line_network(
    values: LineValues, line_from: IntArray, line_to: IntArray, n_bus: int, slack: int
) -> Network:
    """Network of lines that are series impedances. line_from, line_to, slack: bus positions.

    I_from = (V_from - V_to) / z = -I_to, and Y the sum over the lines that end at a bus.
    """
    from scipy.sparse import csr_matrix

    n_line = len(line_from)
    base_ohm = np.square(values.vn_kv) / BASE_MVA
    r_pu, x_pu = values.r_ohm / base_ohm, values.x_ohm / base_ohm
    y = 1.0 / (r_pu + 1j * x_pu)
    rows = np.arange(n_line)
    both = (np.concatenate([rows, rows]), np.concatenate([line_from, line_to]))
    y_from = csr_matrix((np.concatenate([y, -y]), both), (n_line, n_bus))
    y_to = csr_matrix((np.concatenate([-y, y]), both), (n_line, n_bus))
    at_from, at_to = (
        csr_matrix((np.ones(n_line), (rows, end)), (n_line, n_bus)) for end in (line_from, line_to)
    )
    y_bus = (at_from.T @ y_from + at_to.T @ y_to).tocsr()
    for matrix in (y_bus, y_from, y_to):
        matrix.sum_duplicates()
    zero = np.zeros(n_line)
    return Network(
        branches=Branches(
            line_from, line_to, r_pu, x_pu, zero, zero, zero + 1.0, zero, zero.astype(np.bool_)
        ),
        y_bus=y_bus,
        y_from=y_from,
        y_to=y_to,
        shunt_mva=np.zeros(n_bus, dtype=np.complex128),
        base_mva=BASE_MVA,
        base_kv=np.full(n_bus, values.vn_kv),
        f_hz=_ANY_HZ,
        node_of_bus=np.arange(n_bus),
        slack_nodes=np.array([slack]),
        slack_v=np.array([values.slack_vm_pu], dtype=np.complex128),
        branch_of_line=rows,
        transformers=no_transformers(),
    )


@dataclass(frozen=True, eq=False)
class PowerFlow:
    """B load flows. A row that did not converge is NaN throughout, with converged False.

    vm_pu, va_rad: float64 [B, n_bus], voltage magnitude p.u. and angle rad.
    i_a: float64 [B, n_line], current A, the larger of the two ends.
    line_loss_mw: float64 [B, n_line]; loss_mw: float64 [B], all that the network loses (slack power
    less net load: lines, transformers, shunts), MW.
    slack_p_mw, slack_q_mvar: float64 [B], taken from the external grids, MW and Mvar.
    converged: bool [B]. mismatch_mva: float64 [B], residual of eqs. (10), (11).
    transformer_percent: float64 [B, T], highest current of a winding over its rating, %.
    """

    vm_pu: FloatArray
    va_rad: FloatArray
    i_a: FloatArray
    loss_mw: FloatArray
    line_loss_mw: FloatArray
    slack_p_mw: FloatArray
    slack_q_mvar: FloatArray
    converged: NDArray[np.bool_]
    mismatch_mva: FloatArray
    transformer_percent: FloatArray

    def each(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> PowerFlow:
        """All arrays, changed in the same way."""
        return type(self)(**{name: change(values) for name, values in vars(self).items()})

    def put(self, rows: IntArray, by: PowerFlow) -> None:
        """Put other load flows in the place of some rows."""
        for name, values in vars(self).items():
            values[rows] = getattr(by, name)

    def give_up(self, rows: IntArray) -> None:
        """Count some rows as not converged."""
        for values in vars(self).values():
            values[rows] = _NOTHING[values.dtype.kind]


# What stands in the arrays of a row without a solution: floats, whole numbers, flags.
_NOTHING: dict[str, Any] = {"f": np.nan, "i": -1, "b": False}


def join_flows(parts: Sequence[PowerFlow], axis: int = 0) -> PowerFlow:
    """Several sets of load flows one after the other on an axis of their arrays."""
    columns = {name: [getattr(part, name) for part in parts] for name in vars(parts[0])}
    return type(parts[0])(**{name: np.concatenate(of, axis) for name, of in columns.items()})


def empty_power_flow(rows: int, n_bus: int, n_line: int, n_transformer: int = 0) -> PowerFlow:
    """B = rows load flows of which none has converged yet, to be filled in."""

    def unknown(*shape: int) -> FloatArray:
        return np.full(shape, np.nan)

    return PowerFlow(
        vm_pu=unknown(rows, n_bus),
        va_rad=unknown(rows, n_bus),
        i_a=unknown(rows, n_line),
        loss_mw=unknown(rows),
        line_loss_mw=unknown(rows, n_line),
        slack_p_mw=unknown(rows),
        slack_q_mvar=unknown(rows),
        converged=np.zeros(rows, dtype=np.bool_),
        mismatch_mva=unknown(rows),
        transformer_percent=unknown(rows, n_transformer),
    )


def checked_load(
    p_mw: FloatArray, q_mvar: FloatArray, n_bus: int
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Loads as float64 [B, n_bus], and which rows can be tried, bool [B]; the others are zeroed.

    Rows with NaN, infinite or astronomic values cannot. ValueError for arrays of another shape.
    """
    p = np.asarray(p_mw, dtype=np.float64)
    q = np.asarray(q_mvar, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != n_bus or q.shape != p.shape:
        raise ValueError(
            f"p_mw and q_mvar have to be [B, {n_bus}], not {list(p.shape)} and {list(q.shape)}"
        )
    largest: FloatArray = np.maximum(np.abs(p), np.abs(q)).max(axis=1, initial=0.0)
    usable = largest < LARGEST_LOAD_MVA
    if not usable.all():
        p = np.where(usable[:, np.newaxis], p, 0.0)
        q = np.where(usable[:, np.newaxis], q, 0.0)
    return p, q, usable
