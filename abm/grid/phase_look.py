"""What follows from the voltages of a three-phase load flow; `phase_kernel` calls it, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from abm.equations import FloatArray
from abm.grid.phase_arrays import (
    LANES,
    LEAF,
    MESHED,
    PLAIN,
    SHUNTED,
    Found,
    Homes,
    Machines,
    Spans,
    Tree,
)

_H = 0.8660254037844386  # sin 120 degrees
# Where the parts of three complex numbers are in a row: a, then b, then c, real and imaginary.
_1, _2, _3, _4, _5 = LANES, 2 * LANES, 3 * LANES, 4 * LANES, 5 * LANES


def product(y: FloatArray, x: FloatArray, out: FloatArray) -> None:
    """Out += y x in all lanes. y: float64 [3, 3, 2]; x, out: [6 LANES]."""
    apart = 0.0
    for q in range(3):
        for j in range(3):
            if j != q:
                apart += abs(y[q, j, 0]) + abs(y[q, j, 1])
    for q in range(3):
        real, imag = out[2 * q * LANES :], out[(2 * q + 1) * LANES :]
        if apart == 0.0:
            yr, yi = y[q, q, 0], y[q, q, 1]
            own = x[2 * q * LANES :]
            for k in range(LANES):
                real[k] += yr * own[k] - yi * own[_1 + k]
            for k in range(LANES):
                imag[k] += yr * own[_1 + k] + yi * own[k]
            continue
        r0, i0 = y[q, 0, 0], y[q, 0, 1]
        r1, i1 = y[q, 1, 0], y[q, 1, 1]
        r2, i2 = y[q, 2, 0], y[q, 2, 1]
        for k in range(LANES):
            real[k] += (
                (r0 * x[k] - i0 * x[_1 + k])
                + (r1 * x[_2 + k] - i1 * x[_3 + k])
                + (r2 * x[_4 + k] - i2 * x[_5 + k])
            )
        for k in range(LANES):
            imag[k] += (
                (r0 * x[_1 + k] + i0 * x[k])
                + (r1 * x[_3 + k] + i1 * x[_2 + k])
                + (r2 * x[_5 + k] + i2 * x[_4 + k])
            )


def power(v: FloatArray, i: FloatArray, out: FloatArray, sign: float) -> None:
    """Out += sign Re(v conj(i)), of all three phases. v, i: [6 LANES], out: [LANES]."""
    for k in range(LANES):
        out[k] += sign * (
            (
                (v[k] * i[k] + v[_1 + k] * i[_1 + k])
                + (v[_2 + k] * i[_2 + k] + v[_3 + k] * i[_3 + k])
            )
            + (v[_4 + k] * i[_4 + k] + v[_5 + k] * i[_5 + k])
        )


def squares(one: FloatArray, other: FloatArray, out: FloatArray, top: FloatArray) -> None:
    """Out = |i|^2 of each phase, the larger of two ends; top: of the phases the largest.

    one, other: [6 LANES]; out: [3 LANES]; top: [LANES].
    """
    for k in range(LANES):
        top[k] = 0.0
    for q in range(3):
        a, b, own = one[2 * q * LANES :], other[2 * q * LANES :], out[q * LANES :]
        for k in range(LANES):
            here = a[k] * a[k] + a[_1 + k] * a[_1 + k]
            there = b[k] * b[k] + b[_1 + k] * b[_1 + k]
            own[k] = here if here > there else there
        for k in range(LANES):
            top[k] = own[k] if own[k] > top[k] else top[k]


def residual(one: FloatArray, other: FloatArray, out: FloatArray) -> None:
    """Out = |ia + ib + ic|^2, the larger of two ends. one, other: [6 LANES], out: [LANES]."""
    for k in range(LANES):
        real, imag = one[k] + one[_2 + k] + one[_4 + k], one[_1 + k] + one[_3 + k] + one[_5 + k]
        here = real * real + imag * imag
        real = other[k] + other[_2 + k] + other[_4 + k]
        imag = other[_1 + k] + other[_3 + k] + other[_5 + k]
        there = real * real + imag * imag
        out[k] = here if here > there else there


def unbalance(v: FloatArray, out: FloatArray) -> None:
    """Out = |V2|^2 / |V1|^2. With a = -1/2 + jh: a b + a^2 c = -(b + c) / 2 + jh (b - c)."""
    for k in range(LANES):
        real = v[k] - (v[_2 + k] + v[_4 + k]) / 2.0
        imag = v[_1 + k] - (v[_3 + k] + v[_5 + k]) / 2.0
        hr, hi = _H * (v[_3 + k] - v[_5 + k]), _H * (v[_2 + k] - v[_4 + k])
        one = (real - hr) * (real - hr) + (imag + hi) * (imag + hi)
        two = (real + hr) * (real + hr) + (imag - hi) * (imag - hi)
        out[k] = two / one


def beaten(values: FloatArray, best: FloatArray, by: float) -> bool:
    """Whether any lane's value is above by times its best: after a while, seldom."""
    count = 0
    for k in range(LANES):
        count += 1 if values[k] > by * best[k] else 0
    return count > 0


def look(
    tree: Tree,
    spans: Spans,
    homes: Homes,
    machines: Machines,
    s: FloatArray,
    v: FloatArray,
    b: FloatArray,
    fed: FloatArray,
    found: Found,
    first: int,
    lines: bool,
) -> None:
    """Everything that follows from the voltages, to rows first.. of the arrays found."""
    rows = min(LANES, len(found.line_percent) - first)
    look_at_homes(tree, homes, s, v, fed, found, first, rows)
    loss = np.zeros((3, LANES))
    look_at_lines(spans, v, b, fed, found, first, rows, lines, loss)
    look_at_machines(machines, v, found, first, rows, loss)
    current = np.zeros(6 * LANES)
    for k in range(6 * LANES):
        current[k] = -b[0, k]
    for i in range(len(tree.core_v) // 3):
        product(machines.source_row[:, 3 * i : 3 * i + 3], v[i], current)
    given = np.zeros(LANES)
    power(v[0], current, given, 1.0)
    for k in range(rows):
        found.slack_p_mw[first + k] = given[k] / 1e6
        reactive = 0.0
        for q in range(3):
            reactive += (
                v[0, (2 * q + 1) * LANES + k] * current[2 * q * LANES + k]
                - v[0, 2 * q * LANES + k] * current[(2 * q + 1) * LANES + k]
            )
        found.slack_q_mvar[first + k] = reactive / 1e6
        for level in range(3):
            found.level_loss_mw[first + k, level] = loss[level, k] / 1e6


def look_at_homes(
    tree: Tree,
    homes: Homes,
    s: FloatArray,
    v: FloatArray,
    fed: FloatArray,
    found: Found,
    first: int,
    rows: int,
) -> None:
    """Voltages of the homes, and the largest mismatch."""
    size, worst = np.zeros((len(tree.element_bus), LANES)), np.zeros(LANES)
    real, imag = np.empty((2, LANES))
    for e in range(len(tree.element_bus)):
        bus, own, drawn, out = v[tree.element_bus[e]], fed[e], s[e], size[e]
        wr, wi = tree.element_w[e, 0], tree.element_w[e, 1]
        for k in range(LANES):
            real[k] = wr * own[k] - wi * own[_1 + k]
        for k in range(LANES):
            imag[k] = wr * own[_1 + k] + wi * own[k]
        for q in range(3):
            dr, di = tree.element_d[e, q, 0], tree.element_d[e, q, 1]
            if dr == 0.0 and di == 0.0:
                continue
            from_r, from_i = bus[2 * q * LANES :], bus[(2 * q + 1) * LANES :]
            for k in range(LANES):
                real[k] += dr * from_r[k] - di * from_i[k]
            for k in range(LANES):
                imag[k] += dr * from_i[k] + di * from_r[k]
        for k in range(LANES):
            dp = drawn[k] + (real[k] * own[k] + imag[k] * own[_1 + k])
            dq = drawn[_1 + k] + (imag[k] * own[k] - real[k] * own[_1 + k])
            off = dp * dp + dq * dq
            worst[k] = worst[k] if worst[k] >= off else off
        base = homes.base_v[e]
        for k in range(LANES):
            out[k] = np.sqrt(real[k] * real[k] + imag[k] * imag[k]) / base
    for k in range(rows):
        found.mismatch_mva[first + k] = np.sqrt(worst[k]) / 1e6
    for k in range(rows):
        low, high = found.vm_pu[first + k], found.vm_high_pu[first + k]
        before = -1
        for t in range(len(homes.element)):
            one, h = size[homes.element[t], k], homes.home[t]
            if h != before or one < low[h] or one != one:
                low[h] = one
            at = homes.several[h]
            if at >= 0 and (h != before or one > high[at] or one != one):
                high[at] = one
            before = h


def look_at_lines(
    spans: Spans,
    v: FloatArray,
    b: FloatArray,
    fed: FloatArray,
    found: Found,
    first: int,
    rows: int,
    lines: bool,
    loss: FloatArray,
) -> None:
    """Currents and losses of the lines, unbalance of the buses. loss: float64 [3, LANES]."""
    over, at_line, at_phase, at_neutral, at_bus = np.zeros((5, LANES), dtype=np.int64)
    loading, neutral, vuf, top, one = np.zeros((5, LANES))
    below, above, through, both = np.empty((4, 6 * LANES))
    square, hot = np.empty(3 * LANES), False
    for span in range(len(spans.kind)):
        kind, p, c = spans.kind[span], spans.above[span], spans.below[span]
        m1, m2, start = spans.m1[span], spans.m2[span], v[p]
        if kind == LEAF:
            own = fed[c]
            end = through
            for k in range(6 * LANES):
                end[k] = 0.0
            product(m1, start, end)
            for q in range(3):
                zr, zi, feeds = spans.m3[span, q, 0], spans.m3[span, q, 1], spans.feeds[span, q]
                real, imag = end[2 * q * LANES :], end[(2 * q + 1) * LANES :]
                into_r, into_i = below[2 * q * LANES :], below[(2 * q + 1) * LANES :]
                for k in range(LANES):
                    real[k] += zr * own[k] - zi * own[_1 + k]
                for k in range(LANES):
                    imag[k] += zr * own[_1 + k] + zi * own[k]
                for k in range(LANES):
                    into_r[k] = -feeds * own[k]
                for k in range(LANES):
                    into_i[k] = -feeds * own[_1 + k]
        else:
            end = v[c]
        if kind in (PLAIN, SHUNTED):
            total = b[c]
            for k in range(6 * LANES):
                below[k] = -total[k]
        if kind == SHUNTED:
            product(m1, end, below)
        if kind == MESHED:
            for k in range(6 * LANES):
                both[k] = start[k] - end[k]
            below[:] = 0.0
            product(m1, both, below)
            for k in range(6 * LANES):
                both[k] = -end[k]
            product(m2, both, below)
        if kind <= MESHED:
            for k in range(6 * LANES):
                above[k] = below[k]
            if kind != PLAIN:
                for k in range(6 * LANES):
                    both[k] = start[k] + end[k]
                product(m2, both, above)
            level = 2 if spans.low_voltage[span] else 0
            power(start, above, loss[level], 1.0)
            power(end, below, loss[level], -1.0)
            squares(above, below, square, top)
            for g in range(spans.first_group[span], spans.first_group[span + 1]):
                rated = spans.group_a[g] * spans.group_a[g]
                if not beaten(top, loading, rated):
                    continue
                for k in range(LANES):
                    ratio = top[k] / rated
                    if ratio > loading[k]:
                        hot |= ratio > 1.0
                        loading[k], at_line[k] = ratio, spans.group_line[g]
                        at_phase[k] = (
                            0 if square[k] == top[k] else 1 if square[_1 + k] == top[k] else 2
                        )
            # As long as no line was above its rating in any lane, there is nothing to count.
            for g in range(spans.first_group[span], spans.first_group[span + 1] if hot else 0):
                rated = spans.group_a[g] * spans.group_a[g]
                for k in range(LANES):
                    over[k] += spans.group_size[g] if top[k] > rated else 0
            if level == 2:
                residual(above, below, one)
                if beaten(one, neutral, 1.0):
                    for k in range(LANES):
                        if one[k] > neutral[k]:
                            neutral[k] = one[k]
                            at_neutral[k] = spans.line[spans.first_line[span]]
            if lines:
                for k in range(3 * LANES):
                    square[k] = np.sqrt(square[k])
                for k in range(rows):
                    for at in range(spans.first_line[span], spans.first_line[span + 1]):
                        line = spans.line[at]
                        found.i_a[first + k, line] = np.sqrt(top[k])
                        found.i_phase_a[first + k, line, 0] = square[k]
                        found.i_phase_a[first + k, line, 1] = square[_1 + k]
                        found.i_phase_a[first + k, line, 2] = square[_2 + k]
        if spans.bus[span] >= 0:
            unbalance(end, one)
            if beaten(one, vuf, 1.0):
                for k in range(LANES):
                    if one[k] > vuf[k]:
                        vuf[k], at_bus[k] = one[k], spans.bus[span]
    for k in range(rows):
        row = first + k
        found.line_percent[row] = 100.0 * np.sqrt(loading[k])
        found.line_at[row], found.line_phase[row] = at_line[k], at_phase[k]
        found.lines_over[row] = over[k]
        found.neutral_a[row], found.neutral_at[row] = np.sqrt(neutral[k]), at_neutral[k]
        found.vuf_percent[row], found.vuf_at[row] = 100.0 * np.sqrt(vuf[k]), at_bus[k]


def look_at_machines(
    machines: Machines, v: FloatArray, found: Found, first: int, rows: int, loss: FloatArray
) -> None:
    """Loading and losses of the transformers, losses of the capacitors."""
    top, highest, square = np.empty(LANES), np.empty(LANES), np.empty(3 * LANES)
    current = np.empty(6 * LANES)
    for x in range(len(machines.from_bus)):
        one, other = v[machines.from_bus[x]], v[machines.to_bus[x]]
        top[:] = 0.0
        for end in range(2):
            at = slice(3 * end, 3 * end + 3)
            current[:] = 0.0
            product(machines.y[x, at, 0:3], one, current)
            product(machines.y[x, at, 3:6], other, current)
            power(one if end == 0 else other, current, loss[1], 1.0)
            current[:] = 0.0
            product(machines.winding_y[x, at, 0:3], one, current)
            product(machines.winding_y[x, at, 3:6], other, current)
            squares(current, current, square, highest)
            rated = machines.rated_a[x, 3 * end] * machines.rated_a[x, 3 * end]
            for k in range(LANES):
                loading = highest[k] / rated
                top[k] = loading if loading > top[k] else top[k]
        for k in range(rows):
            found.transformer_percent[first + k, x] = 100.0 * np.sqrt(top[k])
    for x in range(len(machines.capacitor_bus)):
        own = v[machines.capacitor_bus[x]]
        current[:] = 0.0
        product(machines.capacitor_y[x], own, current)
        power(own, current, loss[machines.capacitor_level[x]], 1.0)


HELPERS: tuple[Any, ...] = (
    product,
    power,
    squares,
    residual,
    unbalance,
    beaten,
    look_at_homes,
    look_at_lines,
    look_at_machines,
)
