"""All that needs pandapower: its nets, and its Newton-Raphson as the reference.

It takes seconds to import, so that it is imported by whoever needs it, when they need it.
"""

from __future__ import annotations

import copy
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.equations import BoolArray, ComplexArray, FloatArray, IntArray
from abm.equations.load_flow import power_mismatch
from abm.errors import LoadFlowError
from abm.grid.network import (
    BASE_MVA,
    Branches,
    Network,
    PowerFlow,
    Transformers,
    checked_load,
    empty_power_flow,
)
from abm.grid.switching import UNKNOWN_MVA

if TYPE_CHECKING:
    from abm.grid.feeder import Feeder
    from abm.scenario.feeder_table import FeederTable, LineValues

TOLERANCE_MVA = 1e-10
MAX_ITERATIONS = 20

# Farther out, or with this much power missing, a "solution" is an artefact of the iteration.
VM_PLAUSIBLE_PU = (0.3, 2.0)
MISMATCH_LIMIT_MVA = 1e-4

# What feeds or takes power other than a load or a static generator of constant power. A bus's load
# is the only thing that a simulation sets, so a feeder with one of these would not be what it says.
NOT_CONSTANT_POWER = (
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

# Columns of pandapower's tables (pandapower.pypower.idx_brch, idx_bus).
_F_BUS, _T_BUS, _BR_R, _BR_X, _BR_B, _TAP, _SHIFT, _BR_G = 0, 1, 2, 3, 4, 8, 9, 23
_ASYMMETRIES = (21, 22, 24, 25)
_GS, _BS, _BASE_KV = 4, 5, 9


# A solver is one for all models of a process, and what the libraries keep between calls is its own.
ONE_AT_A_TIME = threading.Lock()


class PandapowerSolver:
    """Solves with `pandapower.runpp` on a private copy of the net that has one load per bus.

    Currents and losses are pandapower's own results; only the mismatch is computed here.
    """

    name = "pandapower"

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder
        self._net = _constant_power_copy(feeder.net, feeder.bus_index)

    def solve(self, p_mw: FloatArray, q_mvar: FloatArray) -> PowerFlow:
        """Solve B load flows, see `abm.grid.solve.Solver.solve`."""
        with ONE_AT_A_TIME:
            return self._solved(p_mw, q_mvar)

    def _solved(self, p_mw: FloatArray, q_mvar: FloatArray) -> PowerFlow:
        feeder, net = self._feeder, self._net
        p, q, usable = checked_load(p_mw, q_mvar, feeder.n_bus)
        transformers = feeder.network.transformers.elements
        flow = empty_power_flow(len(p), feeder.n_bus, feeder.n_line, len(transformers))
        windings = feeder.network.transformers
        # 0, and NaN where no rating is known.
        unrated = windings.loading_percent(np.zeros((1, len(windings.of))))[0]
        for row in np.flatnonzero(usable):
            if not _converges(net, p[row], q[row]):
                continue
            mismatch = self._mismatch(p[row], q[row])
            vm_pu = net.res_bus["vm_pu"].loc[feeder.bus_index].to_numpy(dtype=np.float64)
            low, high = VM_PLAUSIBLE_PU
            if not (mismatch <= MISMATCH_LIMIT_MVA and vm_pu.min() > low and vm_pu.max() < high):
                continue
            flow.converged[row] = True
            flow.mismatch_mva[row] = mismatch
            flow.vm_pu[row] = vm_pu
            flow.va_rad[row] = np.radians(net.res_bus["va_degree"].loc[feeder.bus_index])
            lines = net.res_line.loc[feeder.line_index]
            flow.i_a[row] = 1e3 * lines["i_ka"]
            flow.line_loss_mw[row] = lines["pl_mw"]
            flow.transformer_percent[row] = unrated + [
                net[f"res_{kind}"]["loading_percent"].at[index] for kind, index in transformers
            ]
            flow.slack_p_mw[row] = net.res_ext_grid["p_mw"].sum()
            flow.slack_q_mvar[row] = net.res_ext_grid["q_mvar"].sum()
            flow.loss_mw[row] = flow.slack_p_mw[row] - p[row].sum()
        return flow

    def _mismatch(self, p_mw: FloatArray, q_mvar: FloatArray) -> float:
        network = self._feeder.network
        v = np.asarray(self._net._ppc["internal"]["V"], dtype=np.complex128)[np.newaxis]
        s_load: ComplexArray = network.per_node((p_mw + 1j * q_mvar)[np.newaxis])
        return float(
            power_mismatch(v, network.y_bus, s_load, network.slack_nodes, network.base_mva)[0]
        )


def net_of_lines(table: FeederTable, values: LineValues) -> Any:
    """Pandapower net of a feeder that is given by its tables, bus i of it being number i + 1."""
    import pandapower as pp

    net = pp.create_empty_network(name=table.name, sn_mva=BASE_MVA)
    for bus in np.sort(table.buses) - 1:
        pp.create_bus(net, values.vn_kv, index=int(bus))
    pp.create_ext_grid(net, values.slack_bus - 1, vm_pu=values.slack_vm_pu)
    loaded = np.flatnonzero((values.p_mw != 0.0) | (values.q_mvar != 0.0))
    pp.create_loads(
        net, table.buses[loaded] - 1, p_mw=values.p_mw[loaded], q_mvar=values.q_mvar[loaded]
    )
    pp.create_lines_from_parameters(
        net,
        table.line_from - 1,
        table.line_to - 1,
        length_km=1.0,
        r_ohm_per_km=values.r_ohm,
        x_ohm_per_km=values.x_ohm,
        c_nf_per_km=0.0,
        max_i_ka=table.ampacity_a / 1e3,
        in_service=~table.is_open if len(table.is_open) else True,
    )
    return net


def closed_connections(net: Any) -> list[tuple[int, int, tuple[str, int]]]:
    """Bus, bus and (element, its index) of all that joins two buses of a net, nothing open."""
    from pandapower.topology import create_nxgraph

    return [
        (int(one), int(other), (key[0], int(key[1])))
        for one, other, key in create_nxgraph(net, multi=True).edges(keys=True)
    ]


def nominal_load(net: Any, bus_index: IntArray) -> tuple[FloatArray, FloatArray]:
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


def feeds_and_takes(net: Any, bus_index: IntArray) -> tuple[BoolArray, BoolArray]:
    """Whether any element of a bus feeds in, and whether any takes power, bool [n_bus] each.

    Static generators and loads in service; a load of negative power feeds in.
    """
    feeds, takes = (np.zeros(len(bus_index), dtype=np.bool_) for _ in range(2))
    for kind, sign in (("load", 1.0), ("sgen", -1.0)):
        elements = net[kind][net[kind]["in_service"].astype(bool)]
        at = np.searchsorted(bus_index, elements["bus"].to_numpy(dtype=np.int64))
        p_mw = sign * (elements["p_mw"] * elements["scaling"]).to_numpy(float)
        feeds[at[p_mw < 0.0]] = True
        takes[at[p_mw > 0.0]] = True
    return feeds, takes


def read_network(
    net: Any, bus_index: IntArray, p_mw: FloatArray, q_mvar: FloatArray, first_bus: int = 1
) -> tuple[Network, IntArray]:
    """Network out of pandapower's own matrices, and the index of its lines in service [n_line].

    The net is solved once at nominal load p_mw, q_mvar [n_bus]. first_bus: number that is shown for
    index 0. Raises LoadFlowError where that
    fails, and when a bus is out of service or has no supply.
    """
    own = solved_net(net, bus_index, p_mw, q_mvar)
    solved = own._ppc["internal"]
    dead = bus_index[~np.isfinite(own.res_bus["vm_pu"].loc[bus_index].to_numpy(dtype=np.float64))]
    if len(dead):
        raise without_supply(dead + first_bus)
    in_service = np.asarray(solved["branch_is"], dtype=bool)
    row = np.cumsum(in_service) - 1
    first, last = own._pd2ppc_lookups["branch"].get("line", (0, 0))
    serving = in_service[first:last]
    bus = np.asarray(solved["bus"]).real.astype(np.float64)
    branch = np.asarray(solved["branch"]).real.astype(np.float64)
    branch[branch[:, _TAP] == 0.0, _TAP] = 1.0
    ends = branch[:, [_F_BUS, _T_BUS]].astype(np.int64)
    slack_nodes = np.unique(np.asarray(solved["ref"], dtype=np.int64))
    network = Network(
        branches=Branches(
            from_node=ends[:, 0],
            to_node=ends[:, 1],
            r_pu=branch[:, _BR_R],
            x_pu=branch[:, _BR_X],
            g_pu=branch[:, _BR_G],
            b_pu=branch[:, _BR_B],
            ratio=branch[:, _TAP],
            shift_deg=branch[:, _SHIFT],
            lopsided=np.any(branch[:, _ASYMMETRIES] != 0.0, axis=1),
        ),
        y_bus=solved["Ybus"].tocsr(),
        y_from=solved["Yf"].tocsr(),
        y_to=solved["Yt"].tocsr(),
        shunt_mva=bus[:, _GS] + 1j * bus[:, _BS],
        base_mva=float(solved["baseMVA"]),
        base_kv=bus[:, _BASE_KV],
        f_hz=float(own.f_hz),
        node_of_bus=np.asarray(own._pd2ppc_lookups["bus"])[bus_index].astype(np.int64),
        slack_nodes=slack_nodes,
        slack_v=np.asarray(solved["V"], dtype=np.complex128)[slack_nodes],
        branch_of_line=row[first:last][serving].astype(np.int64),
        transformers=_transformers_of(own, row, in_service, first_bus),
    )
    return network, own.line.index.to_numpy(dtype=np.int64)[serving]


def solved_net(net: Any, bus_index: IntArray, p_mw: FloatArray, q_mvar: FloatArray) -> Any:
    """A copy of the net, solved with one load p_mw, q_mvar [n_bus] per bus.

    Raises LoadFlowError where there is no solution, or something else feeds or takes power.
    """
    own = _constant_power_copy(net, bus_index)
    if not _converges(own, p_mw, q_mvar):
        raise LoadFlowError("the load flow does not converge at nominal load")
    return own


def _transformers_of(
    net: Any, row: IntArray, in_service: BoolArray, first_bus: int
) -> Transformers:
    """The transformers of a solved net that have a winding in service.

    row: row of each branch among those in service. A transformer of two windings is a branch from
    its higher to its lower voltage. One of three is three branches, the first to a star point
    within it and the others from there; the tables have all first ones, then all second ones.
    """
    elements: list[tuple[str, int]] = []
    names: list[str] = []
    windings: list[tuple[int, int, bool, float]] = []
    for kind, sides in (("trafo", ("hv", "lv")), ("trafo3w", ("hv", "mv", "lv"))):
        table, first = net[kind], net._pd2ppc_lookups["branch"].get(kind, (0, 0))[0]
        # Two windings are the two ends of one branch.
        apart = len(table) if kind == "trafo3w" else 0
        for position, (index, one) in enumerate(table.to_dict("index").items()):
            own = []
            for number, side in enumerate(sides):
                branch = first + position + number * apart
                mva = one[f"sn_{side}_mva" if kind == "trafo3w" else "sn_mva"]
                rated_mva = mva if mva < UNKNOWN_MVA else np.nan
                if kind == "trafo":
                    rated_mva *= one["parallel"] * one["df"]
                rated_a = 1e3 * rated_mva / (np.sqrt(3.0) * one[f"vn_{side}_kv"])
                if in_service[branch]:
                    own.append((len(elements), int(row[branch]), number > 0, float(rated_a)))
            if own:
                buses = "-".join(f"N{int(one[f'{side}_bus']) + first_bus}" for side in sides)
                elements.append((kind, int(index)))
                names.append(f"T{len(elements)} {buses}")
                windings += own
    of, branches, at_to, rated = zip(*windings, strict=True) if windings else ((), (), (), ())
    return Transformers(
        tuple(elements),
        tuple(names),
        of=np.array(of, dtype=np.int64),
        branch=np.array(branches, dtype=np.int64),
        at_to=np.array(at_to, dtype=np.bool_),
        rated_a=np.array(rated, dtype=np.float64),
    )


def without_supply(numbers: IntArray) -> LoadFlowError:
    """What is wrong with a feeder that leaves buses in the dark, by their numbers."""
    return LoadFlowError("buses without supply: " + ", ".join(f"N{one}" for one in numbers))


def _constant_power_copy(net: Any, bus_index: IntArray) -> Any:
    """Private copy of a pandapower net with exactly one constant-power load per bus.

    Loads and static generators are taken out; load i belongs to bus_index[i] and draws nothing.
    Raises LoadFlowError when something else in service feeds or takes power.
    """
    import pandapower as pp

    others = [
        f"{count} x {kind}"
        for kind in NOT_CONSTANT_POWER
        if kind in net and (count := int(net[kind]["in_service"].astype(bool).sum()))
    ]
    if others:
        raise LoadFlowError(
            "only loads, static generators and external grids may feed or take power, "
            f"but the net has {', '.join(others)}"
        )
    changing = net.load[net.load["in_service"].astype(bool) & _follows_voltage(net.load)]
    if len(changing):
        buses = ", ".join(f"N{int(bus) + 1}" for bus in changing["bus"])
        raise LoadFlowError(
            f"only loads of constant power are known here, but those at {buses} have shares of "
            "constant impedance or current"
        )
    own = copy.deepcopy(net)
    for kind in ("load", "sgen"):
        own[kind] = own[kind].iloc[:0]
    pp.create_loads(own, bus_index, p_mw=0.0, q_mvar=0.0)
    return own


def _follows_voltage(load: Any) -> BoolArray:
    """Loads that are not wholly of constant power; pandapower's names of the shares differ."""
    shares = [name for name in load if name.startswith(("const_z", "const_i"))]
    return np.asarray((load[shares].fillna(0.0) != 0.0).any(axis=1))


def _converges(own: Any, p_mw: FloatArray, q_mvar: FloatArray) -> bool:
    """One Newton-Raphson load flow on a `_constant_power_copy`; True if it converged.

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
