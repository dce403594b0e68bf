"""The loops of the three-phase load flow, which numba compiles.

LANES load flows are solved side by side. Nothing is added up across lanes and every product is
written in real arithmetic, so that a load flow has the same bits in whichever lane and beside
whatever it is solved, with any number of threads.

Shapes: n buses of the tree, E elements, T terminals, H homes, S spans, X transformers; voltages and
currents are [.., 3 phases, 2 (real, imaginary), LANES].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from abm.equations import FloatArray
from abm.grid.phase_arrays import LANES, Found, Homes, Machines, Spans, Tree
from abm.grid.phase_look import look


def walk(tree: Tree, v: FloatArray, b: FloatArray) -> None:
    """V = Z b: up the tree, through the core, down the tree. b is used up."""
    n, n_core = len(tree.parent), len(tree.core_v) // 3
    d, w = tree.d, tree.w
    for i in range(n - 1, n_core - 1, -1):
        p = tree.parent[i]
        if tree.plain[i]:
            for q in range(3):
                for k in range(LANES):
                    b[p, q, 0, k] += b[i, q, 0, k]
                    b[p, q, 1, k] += b[i, q, 1, k]
            continue
        for q in range(3):
            r0, i0 = d[i, 0, q, 0], d[i, 0, q, 1]
            r1, i1 = d[i, 1, q, 0], d[i, 1, q, 1]
            r2, i2 = d[i, 2, q, 0], d[i, 2, q, 1]
            for k in range(LANES):
                b[p, q, 0, k] += (
                    (r0 * b[i, 0, 0, k] - i0 * b[i, 0, 1, k])
                    + (r1 * b[i, 1, 0, k] - i1 * b[i, 1, 1, k])
                    + (r2 * b[i, 2, 0, k] - i2 * b[i, 2, 1, k])
                )
                b[p, q, 1, k] += (
                    (r0 * b[i, 0, 1, k] + i0 * b[i, 0, 0, k])
                    + (r1 * b[i, 1, 1, k] + i1 * b[i, 1, 0, k])
                    + (r2 * b[i, 2, 1, k] + i2 * b[i, 2, 0, k])
                )
    for row in range(3 * n_core):
        i, q = row // 3, row % 3
        for k in range(LANES):
            v[i, q, 0, k] = tree.core_v[row, 0]
            v[i, q, 1, k] = tree.core_v[row, 1]
        for column in range(3 * n_core):
            j, c = column // 3, column % 3
            r0, i0 = tree.core_z[row, column, 0], tree.core_z[row, column, 1]
            for k in range(LANES):
                v[i, q, 0, k] += r0 * b[j, c, 0, k] - i0 * b[j, c, 1, k]
                v[i, q, 1, k] += r0 * b[j, c, 1, k] + i0 * b[j, c, 0, k]
    for i in range(n_core, n):
        p = tree.parent[i]
        for q in range(3):
            r0, i0 = w[i, q, 0, 0], w[i, q, 0, 1]
            r1, i1 = w[i, q, 1, 0], w[i, q, 1, 1]
            r2, i2 = w[i, q, 2, 0], w[i, q, 2, 1]
            if tree.plain[i]:
                for k in range(LANES):
                    v[i, q, 0, k] = v[p, q, 0, k] + (
                        (r0 * b[i, 0, 0, k] - i0 * b[i, 0, 1, k])
                        + (r1 * b[i, 1, 0, k] - i1 * b[i, 1, 1, k])
                        + (r2 * b[i, 2, 0, k] - i2 * b[i, 2, 1, k])
                    )
                    v[i, q, 1, k] = v[p, q, 1, k] + (
                        (r0 * b[i, 0, 1, k] + i0 * b[i, 0, 0, k])
                        + (r1 * b[i, 1, 1, k] + i1 * b[i, 1, 0, k])
                        + (r2 * b[i, 2, 1, k] + i2 * b[i, 2, 0, k])
                    )
                continue
            s0, j0 = d[i, q, 0, 0], d[i, q, 0, 1]
            s1, j1 = d[i, q, 1, 0], d[i, q, 1, 1]
            s2, j2 = d[i, q, 2, 0], d[i, q, 2, 1]
            for k in range(LANES):
                v[i, q, 0, k] = (
                    (s0 * v[p, 0, 0, k] - j0 * v[p, 0, 1, k])
                    + (s1 * v[p, 1, 0, k] - j1 * v[p, 1, 1, k])
                    + (s2 * v[p, 2, 0, k] - j2 * v[p, 2, 1, k])
                ) + (
                    (r0 * b[i, 0, 0, k] - i0 * b[i, 0, 1, k])
                    + (r1 * b[i, 1, 0, k] - i1 * b[i, 1, 1, k])
                    + (r2 * b[i, 2, 0, k] - i2 * b[i, 2, 1, k])
                )
                v[i, q, 1, k] = (
                    (s0 * v[p, 0, 1, k] + j0 * v[p, 0, 0, k])
                    + (s1 * v[p, 1, 1, k] + j1 * v[p, 1, 0, k])
                    + (s2 * v[p, 2, 1, k] + j2 * v[p, 2, 0, k])
                ) + (
                    (r0 * b[i, 0, 1, k] + i0 * b[i, 0, 0, k])
                    + (r1 * b[i, 1, 1, k] + i1 * b[i, 1, 0, k])
                    + (r2 * b[i, 2, 1, k] + i2 * b[i, 2, 0, k])
                )


def inject(
    tree: Tree,
    s: FloatArray,
    v: FloatArray,
    b: FloatArray,
    fed: FloatArray,
    live: FloatArray,
    worst: FloatArray,
) -> None:
    """Currents of the elements at these voltages, in the lanes that are live (1.0); b from them.

    s: float64 [E, 2, LANES], drawn, W and var. fed: [E, 2, LANES], currents before and after.
    worst: [LANES], largest |S - v conj(i)|^2 of the currents before.
    """
    b[:] = 0.0
    worst[:] = 0.0
    for e in range(len(tree.element_bus)):
        i = tree.element_bus[e]
        r0, i0 = tree.element_d[e, 0, 0], tree.element_d[e, 0, 1]
        r1, i1 = tree.element_d[e, 1, 0], tree.element_d[e, 1, 1]
        r2, i2 = tree.element_d[e, 2, 0], tree.element_d[e, 2, 1]
        wr, wi = tree.element_w[e, 0], tree.element_w[e, 1]
        for k in range(LANES):
            fr, fi = fed[e, 0, k], fed[e, 1, k]
            vr = (
                (r0 * v[i, 0, 0, k] - i0 * v[i, 0, 1, k])
                + (r1 * v[i, 1, 0, k] - i1 * v[i, 1, 1, k])
                + (r2 * v[i, 2, 0, k] - i2 * v[i, 2, 1, k])
            ) + (wr * fr - wi * fi)
            vi = (
                (r0 * v[i, 0, 1, k] + i0 * v[i, 0, 0, k])
                + (r1 * v[i, 1, 1, k] + i1 * v[i, 1, 0, k])
                + (r2 * v[i, 2, 1, k] + i2 * v[i, 2, 0, k])
            ) + (wr * fi + wi * fr)
            p, q = s[e, 0, k], s[e, 1, k]
            dp = p + (vr * fr + vi * fi)
            dq = q + (vi * fr - vr * fi)
            off = dp * dp + dq * dq
            # A difference that is no number is never a solution.
            worst[k] = worst[k] if worst[k] >= off else off
            square = vr * vr + vi * vi
            new_r = -(p * vr + q * vi) / square
            new_i = -(p * vi - q * vr) / square
            fr = new_r if live[k] > 0.0 else fr
            fi = new_i if live[k] > 0.0 else fi
            fed[e, 0, k] = fr
            fed[e, 1, k] = fi
            b[i, 0, 0, k] += r0 * fr - i0 * fi
            b[i, 0, 1, k] += r0 * fi + i0 * fr
            b[i, 1, 0, k] += r1 * fr - i1 * fi
            b[i, 1, 1, k] += r1 * fi + i1 * fr
            b[i, 2, 0, k] += r2 * fr - i2 * fi
            b[i, 2, 1, k] += r2 * fi + i2 * fr


def settle(
    tree: Tree,
    s: FloatArray,
    start: FloatArray,
    v: FloatArray,
    b: FloatArray,
    fed: FloatArray,
    tolerance_w: float,
    most: int,
) -> None:
    """The fixed point v = v0 - Z conj(S / v) in all lanes, each until its own mismatch is small.

    A lane that has settled keeps its currents, from which each walk makes the same voltages.
    """
    live, worst = np.ones(LANES), np.zeros(LANES)
    n = len(tree.parent)
    for i in range(n):
        for q in range(3):
            for k in range(LANES):
                v[i, q, 0, k] = start[i, q, 0]
                v[i, q, 1, k] = start[i, q, 1]
    fed[:] = 0.0
    for _ in range(most):
        inject(tree, s, v, b, fed, live, worst)
        walk(tree, v, b)
        left = 0
        for k in range(LANES):
            # Infinite and undefined ones are left alone too.
            if live[k] > 0.0 and worst[k] > tolerance_w * tolerance_w and worst[k] < 1e300:
                left += 1
            else:
                live[k] = 0.0
        if left == 0:
            return


def solve_rows(
    tree: Tree,
    spans: Spans,
    homes: Homes,
    machines: Machines,
    start: FloatArray,
    p_mw: FloatArray,
    q_mvar: FloatArray,
    found: Found,
    lines: bool,
    tolerance_w: float,
    most: int,
) -> None:
    """Solve all rows p_mw, q_mvar [B, T], LANES at a time.

    start: voltages without load, [n, 3, 2].
    """
    n, n_element = len(tree.parent), len(tree.element_bus)
    v, b = np.zeros((n, 3, 2, LANES)), np.zeros((n, 3, 2, LANES))
    s, fed = np.zeros((n_element, 2, LANES)), np.zeros((n_element, 2, LANES))
    for first in range(0, len(p_mw), LANES):
        # Lanes without a row draw nothing.
        s[:] = 0.0
        for t in range(len(homes.element)):
            e = homes.element[t]
            for k in range(min(LANES, len(p_mw) - first)):
                s[e, 0, k] += 1e6 * p_mw[first + k, t]
                s[e, 1, k] += 1e6 * q_mvar[first + k, t]
        settle(tree, s, start, v, b, fed, tolerance_w, most)
        look(tree, spans, homes, machines, s, v, b, fed, found, first, lines)


FUNCTIONS: tuple[Any, ...] = (walk, inject, settle, look)
