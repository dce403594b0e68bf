"""Load flows of a three-phase network: a fixed point over its impedance matrix ("Z-bus").

v = v0 - Z conj(S / v), v0 being the voltages without load and Z in the factors of `phase_tree`.
It contracts where |Z S| < |v|^2, which for one load is up to the greatest that can be supplied.
Beside Newton's method there is nothing left to solve: measured on small feeders and the IEEE
European one it goes to 0.002 % below the load at which Newton's ends, and where Newton's goes
further, it is with a home at the lower of two voltages that its power has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np

from abm.cache import code_folder
from abm.equations import ComplexArray, FloatArray
from abm.grid import phase_arrays, phase_kernel, phase_look, phase_tree
from abm.grid.network import checked_load
from abm.grid.phase_arrays import LANES, Found, Homes, Machines
from abm.grid.phase_flow import Terminals, ThreePhaseFlow
from abm.grid.phase_network import phase_network
from abm.grid.reference import VM_PLAUSIBLE_PU
from abm.machine import threads_there
from abm.scenario.phase_values import PhaseValues

# A milliwatt, of the kilowatt that a home draws; iterations end where a hundredth is expected.
MISMATCH_LIMIT_MVA = 1e-9
TOLERANCE_W = 1e-5
# Close to the greatest load that can be supplied the fixed point takes hundreds; else under ten.
MOST_ITERATIONS = 1000


@cache
def compiled() -> Callable[..., None]:
    """`phase_kernel.solve_rows` as machine code, from the cache where it is there."""
    import numba
    import numba.core.config
    from numba.extending import overload

    options: Any = {"error_model": "numpy"}
    for function in phase_kernel.FUNCTIONS:
        overload(function, jit_options=options, strict=False)(
            partial(lambda function, *_: function, function)
        )
    jit: Any = partial(numba.njit, nogil=True, **options)
    config: Any = numba.core.config
    digest = hashlib.sha256()
    for module in (phase_kernel, phase_look, phase_arrays):
        digest.update(Path(str(module.__file__)).read_bytes())
    before = config.CACHE_DIR
    folder = code_folder(f"phases-{digest.hexdigest()[:16]}", before)
    if folder is None:
        return cast(Callable[..., None], jit()(phase_kernel.solve_rows))
    config.CACHE_DIR = str(folder)
    try:
        return cast(Callable[..., None], jit(cache=True)(phase_kernel.solve_rows))
    finally:
        config.CACHE_DIR = before


class ThreePhaseSolver:
    """Solves batches of load flows on a three-phase network, loads being of constant power.

    LoadFlowError: buses, phases or homes without supply, windings that do not give the lag, loops
    that have no solution. A row without one, or with loads that are no numbers, is not converged.
    """

    name = "z-bus"
    # Who agrees with it on this network, see `phase_check`; "" where nobody was asked, or does not.
    checked_by = ""

    def __init__(self, values: PhaseValues) -> None:
        self.values, self.terminals = values, Terminals.of(values)
        network = phase_network(values)
        found = phase_tree.phase_tree(values, network, self.terminals)
        self._tree, self._spans = found.tree, found.spans
        self._n_line, self._rated = (
            len(values.line),
            bool(np.nanmax(values.line_ampacity_a, initial=0.0) > 0.0),
        )
        self._low_voltage = bool(found.spans.low_voltage.any())
        several = np.full(values.n_home, -1, dtype=np.int64)
        homes_3 = self.terminals.several()
        several[homes_3] = np.arange(len(homes_3))
        self._several = homes_3
        in_delta = self.terminals.to_phase >= 0
        base_v = np.ones(len(self._tree.element_bus))
        base_v[found.element] = network.base_v[values.home_bus[self.terminals.home]] * np.where(
            in_delta, np.sqrt(3.0), 1.0
        )
        self._homes = Homes(found.element, self.terminals.home, base_v, several)
        pairs = phase_arrays.as_pairs
        capacitor_level = np.where(values.vn_kv[values.capacitor_bus] > phase_tree.LOW_KV, 0, 2)
        self._machines = Machines(
            found.slot[values.transformer_from],
            found.slot[values.transformer_to],
            pairs(network.transformer_y),
            pairs(network.winding_y),
            network.rated_a,
            found.slot[values.capacitor_bus],
            pairs(values.capacitor_y_siemens),
            capacitor_level.astype(np.int64),
            pairs(found.source_row),
        )
        self._start = self._without_load()

    def _without_load(self) -> FloatArray:
        """Voltages of the buses of the tree without load, [n, 6]."""
        tree = self._tree
        v: ComplexArray = np.zeros((len(tree.parent), 3), dtype=np.complex128)
        core = tree.core_v[:, 0] + 1j * tree.core_v[:, 1]
        n_core = len(core) // 3
        v[:n_core] = core.reshape(-1, 3)
        d = tree.d[..., 0] + 1j * tree.d[..., 1]
        for i in range(n_core, len(v)):
            v[i] = d[i] @ v[tree.parent[i]]
        return phase_arrays.as_pairs(v).reshape(-1, 6)

    def nominal(self) -> tuple[FloatArray, FloatArray]:
        """The homes' nominal load at the terminals, MW and Mvar, [T] each."""
        share, home = self.terminals.share / 1e3, self.terminals.home
        return share * self.values.home_p_kw[home], share * self.values.home_q_kvar[home]

    def solve(self, p_mw: FloatArray, q_mvar: FloatArray, *, lines: bool = True) -> ThreePhaseFlow:
        """Solve B load flows. p_mw, q_mvar: float64 [B, T] at the terminals, consumption positive.

        lines: whether the currents of all lines are kept. Never raises for a row that cannot be
        solved, see `abm.grid.network.PowerFlow`; rows do not influence each other, not in their
        last bit. ValueError for arrays of another shape.
        """
        p, q, usable = checked_load(p_mw, q_mvar, len(self.terminals.home))
        # Of a row in one piece a sum is the same however many rows there are.
        p, q = np.ascontiguousarray(p), np.ascontiguousarray(q)
        rows, n_line = len(p), self._n_line if lines else 0
        count, n_x = self.values.n_home, len(self.values.transformer)
        found = Found(
            vm_pu=np.zeros((rows, count)),
            vm_high_pu=np.zeros((rows, len(self._several))),
            i_a=np.zeros((rows, n_line)),
            i_phase_a=np.zeros((rows, n_line, 3)),
            line_percent=np.zeros(rows),
            line_at=np.zeros(rows, dtype=np.int64),
            line_phase=np.zeros(rows, dtype=np.int64),
            lines_over=np.zeros(rows, dtype=np.int64),
            neutral_a=np.zeros(rows),
            neutral_at=np.zeros(rows, dtype=np.int64),
            vuf_percent=np.zeros(rows),
            vuf_at=np.zeros(rows, dtype=np.int64),
            level_loss_mw=np.zeros((rows, 3)),
            transformer_percent=np.zeros((rows, n_x)),
            slack_p_mw=np.zeros(rows),
            slack_q_mvar=np.zeros(rows),
            mismatch_mva=np.zeros(rows),
        )
        self._fill(p, q, found, lines)
        if not self._rated:
            found.line_percent[:] = np.nan
        if not self._low_voltage:
            found.neutral_a[:] = np.nan
        low, high = VM_PLAUSIBLE_PU
        highest = found.vm_pu.max(axis=1, initial=0.0)
        np.maximum(highest, found.vm_high_pu.max(axis=1, initial=0.0), out=highest)
        good = usable & (found.mismatch_mva <= MISMATCH_LIMIT_MVA)
        good &= (found.vm_pu.min(axis=1, initial=1.0) > low) & (highest < high)
        flow = ThreePhaseFlow(
            va_rad=np.zeros((rows, 0)),
            line_loss_mw=np.zeros((rows, 0)),
            loss_mw=found.slack_p_mw - p.sum(axis=1),
            converged=good,
            **found._asdict(),
        )
        if not good.all():
            flow.give_up(np.flatnonzero(~good))
        return flow

    def _fill(self, p: FloatArray, q: FloatArray, found: Found, lines: bool) -> None:
        """Solve all rows, some of them in each thread; what comes of a row is the same in any."""

        def fill(first: int, last: int) -> None:
            of = Found._make(values[first:last] for values in found)
            compiled()(
                self._tree,
                self._spans,
                self._homes,
                self._machines,
                self._start,
                p[first:last],
                q[first:last],
                of,
                lines,
                TOLERANCE_W,
                MOST_ITERATIONS,
            )

        blocks = -(-len(p) // LANES)
        threads = min(threads_there(), blocks)
        if threads < 2:
            fill(0, len(p))
            return
        # Whole blocks, since one that is half full takes as long.
        ends = [min(blocks * part // threads * LANES, len(p)) for part in range(threads + 1)]
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(fill, *span) for span in pairwise(ends)]:
                done.result()
