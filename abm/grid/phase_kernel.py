"""The loops of the three-phase load flow, which numba compiles.

LANES load flows are solved side by side. Nothing is added up across lanes and every product is
written in real arithmetic, so that a load flow has the same bits in whichever lane and beside
whatever it is solved, with any number of threads.

Shapes: n buses of the tree, E elements, T terminals, H homes, S spans, X transformers; voltages and
currents are [.., 6 LANES]: real and imaginary part of phase a in all lanes, of b, of c.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from abm.equations import FloatArray
from abm.grid.phase_arrays import LANES, Found, Homes, Machines, Spans, Tree
from abm.grid.phase_look import HELPERS, look

# Where the parts of three complex numbers are in a row: a, then b, then c, real and imaginary.
_1, _2, _3, _4, _5 = LANES, 2 * LANES, 3 * LANES, 4 * LANES, 5 * LANES


def walk(tree: Tree, v: FloatArray, b: FloatArray) -> None:
    """V = Z b: up the tree, through the core, down the tree. b is summed up on the way."""
    n, n_core = len(tree.parent), len(tree.core_v) // 3
    for i in range(n - 1, n_core - 1, -1):
        own, above = b[i], b[tree.parent[i]]
        if tree.plain[i]:
            for k in range(6 * LANES):
                above[k] += own[k]
            continue
        for q in range(3):
            r0, i0 = tree.d[i, 0, q, 0], tree.d[i, 0, q, 1]
            r1, i1 = tree.d[i, 1, q, 0], tree.d[i, 1, q, 1]
            r2, i2 = tree.d[i, 2, q, 0], tree.d[i, 2, q, 1]
            real, imag = above[2 * q * LANES :], above[(2 * q + 1) * LANES :]
            for k in range(LANES):
                real[k] += (
                    (r0 * own[k] - i0 * own[_1 + k])
                    + (r1 * own[_2 + k] - i1 * own[_3 + k])
                    + (r2 * own[_4 + k] - i2 * own[_5 + k])
                )
            for k in range(LANES):
                imag[k] += (
                    (r0 * own[_1 + k] + i0 * own[k])
                    + (r1 * own[_3 + k] + i1 * own[_2 + k])
                    + (r2 * own[_5 + k] + i2 * own[_4 + k])
                )
    for row in range(3 * n_core):
        real, imag = (
            v[row // 3, 2 * (row % 3) * LANES :],
            v[row // 3, (2 * (row % 3) + 1) * LANES :],
        )
        for k in range(LANES):
            real[k] = tree.core_v[row, 0]
            imag[k] = tree.core_v[row, 1]
        for column in range(3 * n_core):
            r0, i0 = tree.core_z[row, column, 0], tree.core_z[row, column, 1]
            fed = b[column // 3, 2 * (column % 3) * LANES :]
            for k in range(LANES):
                real[k] += r0 * fed[k] - i0 * fed[_1 + k]
            for k in range(LANES):
                imag[k] += r0 * fed[_1 + k] + i0 * fed[k]
    for i in range(n_core, n):
        own, above, out = b[i], v[tree.parent[i]], v[i]
        for q in range(3):
            r0, i0 = tree.w[i, q, 0, 0], tree.w[i, q, 0, 1]
            r1, i1 = tree.w[i, q, 1, 0], tree.w[i, q, 1, 1]
            r2, i2 = tree.w[i, q, 2, 0], tree.w[i, q, 2, 1]
            real, imag = out[2 * q * LANES :], out[(2 * q + 1) * LANES :]
            if tree.plain[i]:
                straight = above[2 * q * LANES :]
                for k in range(LANES):
                    real[k] = straight[k] + (
                        (r0 * own[k] - i0 * own[_1 + k])
                        + (r1 * own[_2 + k] - i1 * own[_3 + k])
                        + (r2 * own[_4 + k] - i2 * own[_5 + k])
                    )
                for k in range(LANES):
                    imag[k] = straight[_1 + k] + (
                        (r0 * own[_1 + k] + i0 * own[k])
                        + (r1 * own[_3 + k] + i1 * own[_2 + k])
                        + (r2 * own[_5 + k] + i2 * own[_4 + k])
                    )
                continue
            s0, j0 = tree.d[i, q, 0, 0], tree.d[i, q, 0, 1]
            s1, j1 = tree.d[i, q, 1, 0], tree.d[i, q, 1, 1]
            s2, j2 = tree.d[i, q, 2, 0], tree.d[i, q, 2, 1]
            for k in range(LANES):
                real[k] = (
                    (s0 * above[k] - j0 * above[_1 + k])
                    + (s1 * above[_2 + k] - j1 * above[_3 + k])
                    + (s2 * above[_4 + k] - j2 * above[_5 + k])
                ) + (
                    (r0 * own[k] - i0 * own[_1 + k])
                    + (r1 * own[_2 + k] - i1 * own[_3 + k])
                    + (r2 * own[_4 + k] - i2 * own[_5 + k])
                )
            for k in range(LANES):
                imag[k] = (
                    (s0 * above[_1 + k] + j0 * above[k])
                    + (s1 * above[_3 + k] + j1 * above[_2 + k])
                    + (s2 * above[_5 + k] + j2 * above[_4 + k])
                ) + (
                    (r0 * own[_1 + k] + i0 * own[k])
                    + (r1 * own[_3 + k] + i1 * own[_2 + k])
                    + (r2 * own[_5 + k] + i2 * own[_4 + k])
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

    s: float64 [E, 2 LANES], drawn, W and var. fed: [E, 2 LANES], currents before and after.
    worst: [LANES], largest |S - v conj(i)|^2 of the currents before.
    """
    b[:] = 0.0
    worst[:] = 0.0
    real, imag, inverse = np.empty((3, LANES))
    for e in range(len(tree.element_bus)):
        bus, own, power, out = v[tree.element_bus[e]], fed[e], s[e], b[tree.element_bus[e]]
        d = tree.element_d[e]
        r0, i0, r1, i1, r2, i2 = d[0, 0], d[0, 1], d[1, 0], d[1, 1], d[2, 0], d[2, 1]
        wr, wi = tree.element_w[e, 0], tree.element_w[e, 1]
        for k in range(LANES):
            real[k] = (
                (r0 * bus[k] - i0 * bus[_1 + k])
                + (r1 * bus[_2 + k] - i1 * bus[_3 + k])
                + (r2 * bus[_4 + k] - i2 * bus[_5 + k])
            ) + (wr * own[k] - wi * own[_1 + k])
        for k in range(LANES):
            imag[k] = (
                (r0 * bus[_1 + k] + i0 * bus[k])
                + (r1 * bus[_3 + k] + i1 * bus[_2 + k])
                + (r2 * bus[_5 + k] + i2 * bus[_4 + k])
            ) + (wr * own[_1 + k] + wi * own[k])
        for k in range(LANES):
            dp = power[k] + (real[k] * own[k] + imag[k] * own[_1 + k])
            dq = power[_1 + k] + (imag[k] * own[k] - real[k] * own[_1 + k])
            off = dp * dp + dq * dq
            # A difference that is no number is never a solution.
            worst[k] = worst[k] if worst[k] >= off else off
        for k in range(LANES):
            inverse[k] = -live[k] / (real[k] * real[k] + imag[k] * imag[k])
        for k in range(LANES):
            new = (power[k] * real[k] + power[_1 + k] * imag[k]) * inverse[k]
            own[k] = new if live[k] > 0.0 else own[k]
        for k in range(LANES):
            new = (power[k] * imag[k] - power[_1 + k] * real[k]) * inverse[k]
            own[_1 + k] = new if live[k] > 0.0 else own[_1 + k]
        for q in range(3):
            dr, di = d[q, 0], d[q, 1]
            if dr != 0.0 or di != 0.0:
                into_r, into_i = out[2 * q * LANES :], out[(2 * q + 1) * LANES :]
                for k in range(LANES):
                    into_r[k] += dr * own[k] - di * own[_1 + k]
                for k in range(LANES):
                    into_i[k] += dr * own[_1 + k] + di * own[k]


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
    live, worst, before = np.ones(LANES), np.zeros(LANES), np.zeros(LANES)
    enough = tolerance_w * tolerance_w
    for i in range(len(tree.parent)):
        for q in range(6):
            v[i, q * LANES : (q + 1) * LANES] = start[i, q]
    fed[:] = 0.0
    for _ in range(most):
        inject(tree, s, v, b, fed, live, worst)
        walk(tree, v, b)
        left = 0
        for k in range(LANES):
            # The walk that was just made is worth as much as the one before it. Infinite and
            # undefined ones are left alone too.
            expected = worst[k] * min(1.0, worst[k] / before[k])
            if live[k] > 0.0 and expected > enough and worst[k] < 1e300:
                left += 1
                before[k] = worst[k]
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

    start: voltages without load, [n, 6].
    """
    n, n_element = len(tree.parent), len(tree.element_bus)
    v, b = np.zeros((n, 6 * LANES)), np.zeros((n, 6 * LANES))
    s, fed = np.zeros((n_element, 2 * LANES)), np.zeros((n_element, 2 * LANES))
    for first in range(0, len(p_mw), LANES):
        # Lanes without a row draw nothing.
        s[:] = 0.0
        for k in range(min(LANES, len(p_mw) - first)):
            for t in range(len(homes.element)):
                s[homes.element[t], k] += 1e6 * p_mw[first + k, t]
                s[homes.element[t], LANES + k] += 1e6 * q_mvar[first + k, t]
        settle(tree, s, start, v, b, fed, tolerance_w, most)
        look(tree, spans, homes, machines, s, v, b, fed, found, first, lines)


FUNCTIONS: tuple[Any, ...] = (walk, inject, settle, look, *HELPERS)
