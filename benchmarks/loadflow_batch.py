"""24,000 load flows in a batch and in a loop of pandapower: `python benchmarks/loadflow_batch.py`.

The loads are the 24 hours of the base load, each bus scaled at random by 0.5 to 1.3. The loop
writes a row's loads into the net and calls `runpp`; it is measured on the first of the rows and
scaled to all of them. Everything that Evenfall's batch gives is in its time: voltages, currents,
losses, slack power and the mismatch of every row. A second table has other feeders of pandapower's
for the growth with the number of buses.
"""

from __future__ import annotations

import copy
import json
import statistics
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
from _common import machine, options, print_table, seconds, sized

from abm import Scenario
from abm.errors import LoadFlowError
from abm.grid import build_feeder, load_net, make_solver
from abm.grid.demand import base_load_of
from abm.scenario.feeder_table import FeederTable

ROWS = sized(24_000, 48)
LOOP_ROWS = sized(48, 2)
REPEATS = sized(7, 1)
TARGET = 500.0
AGREE_PU = 1e-6
LOOPS: dict[str, dict[str, Any]] = {
    "runpp(net), the default": {},
    'runpp(net, init="results", numba=False)': {"init": "results", "numba": False},
    'runpp(net, init="results")': {"init": "results"},
}
SYNTHETIC = (1_000, 3_000)
NETS = sized(
    (
        "pandapower.networks:case33bw",
        "pandapower.networks:create_cigre_network_mv",
        "pandapower.networks:create_kerber_vorstadtnetz_kabel_1",
        "pandapower.networks:mv_oberrhein",
        *(f"loadflow_batch:laterals_{n}" for n in SYNTHETIC),
    ),
    ("pandapower.networks:case33bw", "loadflow_batch:laterals_60"),
)
GROWTH_ROWS = sized(2_000, 20)


def table_of(source: str) -> FeederTable:
    """A feeder without customers of interest: a zone on the last bus, ratings of the net."""
    buses = load_net(source).bus.index.to_numpy() + 1
    zone = np.zeros(len(buses), dtype=np.int64)
    zone[-1] = 1
    none = np.array([], dtype=np.int64)
    return FeederTable(
        name=source.partition(":")[2],
        net=source,
        buses=buses,
        customer_class=np.full(len(buses), "any"),
        zone=zone,
        line_from=none,
        line_to=none,
        ampacity_a=np.array([]),
    )


def laterals_60() -> Any:
    return laterals(60)


def laterals_1000() -> Any:
    return laterals(1_000)


def laterals_3000() -> Any:
    return laterals(3_000)


def laterals(n_bus: int) -> Any:
    """A radial feeder: a trunk, and laterals of 30 buses, with some 3 % of voltage drop."""
    net = pp.create_empty_network()
    first = pp.create_bus(net, vn_kv=20.0)
    pp.create_ext_grid(net, first)
    buses = list(pp.create_buses(net, n_bus - 1, vn_kv=20.0))
    before = [first if i % 30 == 0 else buses[i - 1] for i in range(len(buses))]
    pp.create_lines_from_parameters(
        net, before, buses, 0.2, r_ohm_per_km=0.2, x_ohm_per_km=0.12, c_nf_per_km=0, max_i_ka=1
    )
    pp.create_loads(net, buses, p_mw=0.02, q_mvar=0.005)
    return net


def paper_loads(rows: int) -> tuple[Any, Any, Any]:
    """The paper's feeder and the loads of `rows` hours, [rows, n_bus] MW and Mvar."""
    scenario = Scenario.load("paper")
    feeder = build_feeder(scenario.inputs.feeder)
    base, hours_s = base_load_of(scenario, feeder), 3600 * np.arange(24)
    p, q = (mean(hours_s, 3600)[:, 0] for mean in (base.mean_p_mw, base.mean_q_mvar))
    hour = np.arange(rows) % 24
    scale = np.random.default_rng(1).uniform(0.5, 1.3, (rows, feeder.n_bus))
    return feeder, p[hour] * scale, q[hour] * scale


def net_of_loads(feeder: Any) -> Any:
    """The feeder's net with one load per bus, for the loop."""
    net = copy.deepcopy(feeder.net)
    net.load = net.load.iloc[:0]
    for bus in feeder.bus_index:
        pp.create_load(net, int(bus), 0.0)
    return net


def loop(net: Any, p: Any, q: Any, options: dict[str, Any]) -> Any:
    """Voltages [rows, n_bus] of one `runpp` after the other."""
    found = []
    for p_row, q_row in zip(p, q, strict=True):
        net.load["p_mw"], net.load["q_mvar"] = p_row, q_row
        pp.runpp(net, **options)
        found.append(net.res_bus["vm_pu"].to_numpy(copy=True))
    return np.array(found)


def batch_times(solver: Any, p: Any, q: Any, repeats: int) -> list[float]:
    solver.solve(p, q)
    return [seconds(lambda: solver.solve(p, q)) for _ in range(repeats)]


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, metavar="N")
    parser.add_argument("--loop-rows", type=int, default=LOOP_ROWS, metavar="N")
    parser.add_argument("--repeats", type=int, default=REPEATS, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    args = parser.parse_args()
    n, k = args.rows, min(args.loop_rows, args.rows)

    feeder, p, q = paper_loads(n)
    solver = make_solver("power-grid-model", feeder)
    times = batch_times(solver, p, q, args.repeats)
    flow = solver.solve(p, q)
    if not flow.converged.all():
        raise SystemExit(f"{(~flow.converged).sum()} of {n} load flows did not converge")
    batch_s = statistics.median(times)
    rows = [("Evenfall's batch", str(n), f"{batch_s:.3f}", f"{1e6 * batch_s / n:.1f}", "1", "", "")]
    report: dict[str, Any] = {"rows": n, "batch_s": times, "loops": {}}
    worst = 0.0
    for title, settings in LOOPS.items():
        net = net_of_loads(feeder)
        pp.runpp(net)
        loop(net, p[:2], q[:2], settings)
        found: list[Any] = []
        each = [
            seconds(lambda f=found, o=settings, v=net: f.append(loop(v, p[:k], q[:k], o)))
            for _ in range(3)
        ]
        whole_s = statistics.median(each) * n / k
        gap = float(np.abs(found[-1] - flow.vm_pu[:k]).max())
        worst = max(worst, gap)
        ratio = whole_s / batch_s
        rows.append(
            (
                title,
                str(k),
                f"{whole_s:.0f}",
                f"{1e6 * whole_s / n:.0f}",
                f"{ratio:.0f}",
                "met" if ratio >= TARGET else "missed",
                f"{gap:.0e}",
            )
        )
        report["loops"][title] = {"s": whole_s, "ratio": ratio, "largest_gap_pu": gap}

    growth = by_buses(args.repeats)
    report["buses"] = [
        dict(zip(("net", "buses", "lines", "us"), row, strict=True)) for row in growth
    ]
    print(machine())
    print_table(
        f"{n:,} load flows of {feeder.name}, {feeder.n_bus} buses (loops: measured rows, scaled)",
        ("", "rows", "s", "us each", "x batch", f"target {TARGET:g}", "largest gap, p.u."),
        rows,
    )
    print_table(
        f"One load flow in a batch of {GROWTH_ROWS:,} against the number of buses",
        ("net", "buses", "lines", "us each", "us per bus"),
        [(a, str(b), str(c), f"{d:.1f}", f"{d / b:.2f}") for a, b, c, d in growth],
    )
    if args.json is not None:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if worst <= AGREE_PU else 1


def by_buses(repeats: int) -> list[tuple[str, int, int, float]]:
    """Name, buses, lines and microseconds a load flow of other nets, solved by power-grid-model."""
    found = []
    for source in NETS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                feeder = build_feeder(table_of(source))
                solver = make_solver("power-grid-model", feeder)
        except LoadFlowError as error:
            print(f"{source}: left out, {error}", file=sys.stderr)
            continue
        if solver.name != "power-grid-model":
            print(f"{source}: left out, power-grid-model does not take it", file=sys.stderr)
            continue
        scale = np.random.default_rng(1).uniform(0.5, 1.0, (GROWTH_ROWS, feeder.n_bus))
        p, q = feeder.p_mw * scale, feeder.q_mvar * scale
        took = statistics.median(batch_times(solver, p, q, max(3, repeats // 2)))
        solved = int(solver.solve(p, q).converged.sum())
        if solved != GROWTH_ROWS:
            print(f"{source}: {GROWTH_ROWS - solved} rows do not converge", file=sys.stderr)
        found.append((feeder.name, feeder.n_bus, feeder.n_line, 1e6 * took / GROWTH_ROWS))
    return sorted(found, key=lambda row: row[1])


if __name__ == "__main__":
    sys.exit(main())
