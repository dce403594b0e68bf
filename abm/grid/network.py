"""The per-unit network behind a feeder, read out of pandapower's own matrices.

Nodes are what pandapower solves for: buses joined by a closed switch are one node, and a line that
is open at one end or a three-winding transformer brings a node that is no bus.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.errors import LoadFlowError
from abm.grid.equations import ComplexArray, FloatArray

IntArray = NDArray[np.int64]

TOLERANCE_MVA = 1e-10
MAX_ITERATIONS = 20

# What feeds or takes power other than a load or a static generator of constant power. A bus's load
# is the only thing that a simulation sets, so a feeder with one of these would not be what it says.
_NOT_CONSTANT_POWER = (
    "gen",
    "storage",
    "motor",
    "ward",
    "xward",
    "asymmetric_load",
    "asymmetric_sgen",
    "dcline",
    "svc",
    "ssc",
    "tcsc",
    "vsc",
    "b2b_vsc",
    "line_dc",
    "source_dc",
    "load_dc",
)


@dataclass(frozen=True, eq=False)
class Network:
    """What a load flow is solved on; N nodes, M branches in service.

    y_bus: complex sparse [N, N], p.u.; y_from, y_to: complex sparse [M, N], p.u.: branch currents
    into the branch at its from and its to end are y_from v and y_to v.
    branch: float64 [M, 26], bus: float64 [N, ...], pandapower's (MATPOWER's) branch and bus tables.
    base_mva: base power, MVA. base_kv: float64 [N], kV. f_hz: frequency, Hz.
    node_of_bus: int64 [n_bus]. slack_nodes: int64 [S]. v_nominal: complex [N], p.u., the solution
    at nominal load. branch_of_line: int64 [n_line], rows of the lines in `branch`.
    """

    y_bus: Any
    y_from: Any
    y_to: Any
    branch: FloatArray
    bus: FloatArray
    base_mva: float
    base_kv: FloatArray
    f_hz: float
    node_of_bus: IntArray
    slack_nodes: IntArray
    v_nominal: ComplexArray
    branch_of_line: IntArray

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


def constant_power_copy(net: Any, bus_index: IntArray) -> Any:
    """Private copy of a pandapower net with exactly one constant-power load per bus.

    Loads and static generators are taken out; load i belongs to bus_index[i] and draws nothing.
    Raises LoadFlowError when something else in service feeds or takes power.
    """
    import pandapower as pp

    others = [
        f"{count} x {kind}"
        for kind in _NOT_CONSTANT_POWER
        if kind in net and (count := int(net[kind]["in_service"].astype(bool).sum()))
    ]
    if others:
        raise LoadFlowError(
            "only loads, static generators and external grids may feed or take power, "
            f"but the net has {', '.join(others)}"
        )
    own = copy.deepcopy(net)
    for kind in ("load", "sgen"):
        own[kind] = own[kind].iloc[:0]
    pp.create_loads(own, bus_index, p_mw=0.0, q_mvar=0.0)
    return own


def run_reference(own: Any, p_mw: FloatArray, q_mvar: FloatArray) -> bool:
    """One pandapower Newton-Raphson load flow on a `constant_power_copy`; True if it converged.

    p_mw, q_mvar: float64 [n_bus], consumption positive. Results stay in the net's res_ tables.
    """
    import pandapower as pp

    own.load["p_mw"] = p_mw
    own.load["q_mvar"] = q_mvar
    # A diverging Newton overflows on its way; that it did not converge says it all.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            # init="auto", never "results": after a failed run those are NaN.
            pp.runpp(
                own,
                init="auto",
                numba=False,
                tolerance_mva=TOLERANCE_MVA,
                max_iteration=MAX_ITERATIONS,
            )
        except pp.LoadflowNotConverged:
            return False
    return True


def read_network(own: Any, bus_index: IntArray) -> tuple[Network, IntArray]:
    """Network of a solved `constant_power_copy`, and the index of its lines in service [n_line].

    Raises LoadFlowError when a bus of bus_index [n_bus] is out of service or has no supply.
    """
    solved = own._ppc["internal"]
    dead = bus_index[~np.isfinite(own.res_bus["vm_pu"].loc[bus_index].to_numpy(dtype=np.float64))]
    if len(dead):
        names = ", ".join(f"N{index + 1}" for index in dead)
        raise LoadFlowError(f"buses without supply: {names}")
    in_service = np.asarray(solved["branch_is"], dtype=bool)
    row = np.cumsum(in_service) - 1
    first, last = own._pd2ppc_lookups["branch"].get("line", (0, 0))
    serving = in_service[first:last]
    bus = np.asarray(solved["bus"]).real.astype(np.float64)
    network = Network(
        y_bus=solved["Ybus"].tocsr(),
        y_from=solved["Yf"].tocsr(),
        y_to=solved["Yt"].tocsr(),
        branch=np.asarray(solved["branch"]).real.astype(np.float64),
        bus=bus,
        base_mva=float(solved["baseMVA"]),
        base_kv=bus[:, 9],  # BASE_KV
        f_hz=float(own.f_hz),
        node_of_bus=np.asarray(own._pd2ppc_lookups["bus"])[bus_index].astype(np.int64),
        slack_nodes=np.unique(np.asarray(solved["ref"], dtype=np.int64)),
        v_nominal=np.asarray(solved["V"], dtype=np.complex128),
        branch_of_line=row[first:last][serving].astype(np.int64),
    )
    return network, own.line.index.to_numpy(dtype=np.int64)[serving]
