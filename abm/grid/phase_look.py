"""What follows from the voltages of a three-phase load flow; `phase_kernel` calls it, compiled."""

from __future__ import annotations

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
    n_core = len(tree.core_v) // 3
    # Elements: voltage and mismatch.
    size = np.zeros((len(tree.element_bus), LANES))
    worst = np.zeros(LANES)
    for e in range(len(tree.element_bus)):
        i = tree.element_bus[e]
        base = homes.base_v[e]
        for k in range(LANES):
            vr = tree.element_w[e, 0] * fed[e, 0, k] - tree.element_w[e, 1] * fed[e, 1, k]
            vi = tree.element_w[e, 0] * fed[e, 1, k] + tree.element_w[e, 1] * fed[e, 0, k]
            for q in range(3):
                r, m = tree.element_d[e, q, 0], tree.element_d[e, q, 1]
                vr += r * v[i, q, 0, k] - m * v[i, q, 1, k]
                vi += r * v[i, q, 1, k] + m * v[i, q, 0, k]
            dp = s[e, 0, k] + (vr * fed[e, 0, k] + vi * fed[e, 1, k])
            dq = s[e, 1, k] + (vi * fed[e, 0, k] - vr * fed[e, 1, k])
            off = dp * dp + dq * dq
            worst[k] = worst[k] if worst[k] >= off else off
            size[e, k] = np.sqrt(vr * vr + vi * vi) / base
    for k in range(rows):
        found.mismatch_mva[first + k] = np.sqrt(worst[k]) / 1e6
    before = -1
    for t in range(len(homes.element)):
        e, h = homes.element[t], homes.home[t]
        high = homes.several[h]
        for k in range(rows):
            one = size[e, k]
            if h != before or one < found.vm_pu[first + k, h] or one != one:
                found.vm_pu[first + k, h] = one
            if high >= 0 and (h != before or one > found.vm_high_pu[first + k, high] or one != one):
                found.vm_high_pu[first + k, high] = one
        before = h

    over, loading = np.zeros(LANES, dtype=np.int64), np.zeros(LANES)
    line_at, line_phase = np.zeros((2, LANES), dtype=np.int64)
    neutral, neutral_at = np.zeros(LANES), np.zeros(LANES, dtype=np.int64)
    vuf, vuf_at = np.zeros(LANES), np.zeros(LANES, dtype=np.int64)
    loss = np.zeros((3, LANES))
    above, below = np.zeros((2, 3, 2, LANES))  # currents at both ends
    end = np.zeros((3, 2, LANES))  # voltage below
    square = np.zeros((3, LANES))
    top = np.zeros(LANES)
    for line in range(len(spans.kind)):
        kind, p, c = spans.kind[line], spans.above[line], spans.below[line]
        m1, m2 = spans.m1[line], spans.m2[line]
        if kind == LEAF:
            for q in range(3):
                for k in range(LANES):
                    end[q, 0, k] = (
                        spans.m3[line, q, 0] * fed[c, 0, k] - spans.m3[line, q, 1] * fed[c, 1, k]
                    )
                    end[q, 1, k] = (
                        spans.m3[line, q, 0] * fed[c, 1, k] + spans.m3[line, q, 1] * fed[c, 0, k]
                    )
                    below[q, 0, k] = -spans.feeds[line, q] * fed[c, 0, k]
                    below[q, 1, k] = -spans.feeds[line, q] * fed[c, 1, k]
                for j in range(3):
                    for k in range(LANES):
                        end[q, 0, k] += m1[q, j, 0] * v[p, j, 0, k] - m1[q, j, 1] * v[p, j, 1, k]
                        end[q, 1, k] += m1[q, j, 0] * v[p, j, 1, k] + m1[q, j, 1] * v[p, j, 0, k]
        else:
            for q in range(3):
                for k in range(LANES):
                    end[q, 0, k], end[q, 1, k] = v[c, q, 0, k], v[c, q, 1, k]
        if kind in (PLAIN, SHUNTED):
            for q in range(3):
                for k in range(LANES):
                    below[q, 0, k], below[q, 1, k] = -b[c, q, 0, k], -b[c, q, 1, k]
        if kind == SHUNTED:
            for q in range(3):
                for j in range(3):
                    for k in range(LANES):
                        below[q, 0, k] += m1[q, j, 0] * end[j, 0, k] - m1[q, j, 1] * end[j, 1, k]
                        below[q, 1, k] += m1[q, j, 0] * end[j, 1, k] + m1[q, j, 1] * end[j, 0, k]
        if kind == MESHED:
            for q in range(3):
                for k in range(LANES):
                    below[q, 0, k] = 0.0
                    below[q, 1, k] = 0.0
                for j in range(3):
                    for k in range(LANES):
                        dr, di = v[p, j, 0, k] - end[j, 0, k], v[p, j, 1, k] - end[j, 1, k]
                        below[q, 0, k] += (m1[q, j, 0] * dr - m1[q, j, 1] * di) - (
                            m2[q, j, 0] * end[j, 0, k] - m2[q, j, 1] * end[j, 1, k]
                        )
                        below[q, 1, k] += (m1[q, j, 0] * di + m1[q, j, 1] * dr) - (
                            m2[q, j, 0] * end[j, 1, k] + m2[q, j, 1] * end[j, 0, k]
                        )
        if kind <= MESHED:
            for q in range(3):
                for k in range(LANES):
                    above[q, 0, k], above[q, 1, k] = below[q, 0, k], below[q, 1, k]
            if kind != PLAIN:
                for q in range(3):
                    for j in range(3):
                        for k in range(LANES):
                            vr, vi = v[p, j, 0, k] + end[j, 0, k], v[p, j, 1, k] + end[j, 1, k]
                            above[q, 0, k] += m2[q, j, 0] * vr - m2[q, j, 1] * vi
                            above[q, 1, k] += m2[q, j, 0] * vi + m2[q, j, 1] * vr
            level = 2 if spans.low_voltage[line] else 0
            for q in range(3):
                for k in range(LANES):
                    loss[level, k] += (
                        v[p, q, 0, k] * above[q, 0, k] + v[p, q, 1, k] * above[q, 1, k]
                    ) - (end[q, 0, k] * below[q, 0, k] + end[q, 1, k] * below[q, 1, k])
                    one = above[q, 0, k] * above[q, 0, k] + above[q, 1, k] * above[q, 1, k]
                    other = below[q, 0, k] * below[q, 0, k] + below[q, 1, k] * below[q, 1, k]
                    square[q, k] = one if one >= other else other
            for k in range(LANES):
                top[k] = max(max(square[0, k], square[1, k]), square[2, k])
            for g in range(spans.first_group[line], spans.first_group[line + 1]):
                rated = spans.group_a[g] * spans.group_a[g]
                for k in range(LANES):
                    ratio = top[k] / rated
                    if ratio > 1.0:
                        over[k] += spans.group_size[g]
                    if ratio > loading[k]:
                        loading[k] = ratio
                        line_at[k] = spans.group_line[g]
                        phase = 0 if square[0, k] == top[k] else 1 if square[1, k] == top[k] else 2
                        line_phase[k] = phase
            if level == 2:
                for k in range(LANES):
                    re = above[0, 0, k] + above[1, 0, k] + above[2, 0, k]
                    im = above[0, 1, k] + above[1, 1, k] + above[2, 1, k]
                    one = re * re + im * im
                    re = below[0, 0, k] + below[1, 0, k] + below[2, 0, k]
                    im = below[0, 1, k] + below[1, 1, k] + below[2, 1, k]
                    other = re * re + im * im
                    one = one if one >= other else other
                    if one > neutral[k]:
                        neutral[k] = one
                        neutral_at[k] = spans.line[spans.first_line[line]]
            if lines:
                for q in range(3):
                    for k in range(LANES):
                        square[q, k] = np.sqrt(square[q, k])
                for k in range(LANES):
                    top[k] = np.sqrt(top[k])
                for at in range(spans.first_line[line], spans.first_line[line + 1]):
                    for k in range(rows):
                        found.i_a[first + k, spans.line[at]] = top[k]
                        for q in range(3):
                            found.i_phase_a[first + k, spans.line[at], q] = square[q, k]
        if spans.bus[line] >= 0:
            for k in range(LANES):
                # With a = -1/2 + j h: a b + a^2 c = -(b + c) / 2 + j h (b - c).
                mr = end[0, 0, k] - (end[1, 0, k] + end[2, 0, k]) / 2.0
                mi = end[0, 1, k] - (end[1, 1, k] + end[2, 1, k]) / 2.0
                hr, hi = _H * (end[1, 1, k] - end[2, 1, k]), _H * (end[1, 0, k] - end[2, 0, k])
                one = (mr - hr) * (mr - hr) + (mi + hi) * (mi + hi)
                two = (mr + hr) * (mr + hr) + (mi - hi) * (mi - hi)
                ratio = two / one
                if ratio > vuf[k]:
                    vuf[k] = ratio
                    vuf_at[k] = spans.bus[line]

    current = np.zeros((2, 6, 2, LANES))
    for x in range(len(machines.from_bus)):
        top[:] = 0.0
        for q in range(6):
            current[:, q] = 0.0
            for j in range(6):
                i = machines.from_bus[x] if j < 3 else machines.to_bus[x]
                yr, yi = machines.y[x, q, j, 0], machines.y[x, q, j, 1]
                wr, wi = machines.winding_y[x, q, j, 0], machines.winding_y[x, q, j, 1]
                for k in range(LANES):
                    vr, vi = v[i, j % 3, 0, k], v[i, j % 3, 1, k]
                    current[0, q, 0, k] += yr * vr - yi * vi
                    current[0, q, 1, k] += yr * vi + yi * vr
                    current[1, q, 0, k] += wr * vr - wi * vi
                    current[1, q, 1, k] += wr * vi + wi * vr
            i = machines.from_bus[x] if q < 3 else machines.to_bus[x]
            for k in range(LANES):
                loss[1, k] += (
                    v[i, q % 3, 0, k] * current[0, q, 0, k]
                    + v[i, q % 3, 1, k] * current[0, q, 1, k]
                )
                re, im = (
                    current[1, q, 0, k] / machines.rated_a[x, q],
                    current[1, q, 1, k] / machines.rated_a[x, q],
                )
                one = re * re + im * im
                top[k] = one if one > top[k] else top[k]
        for k in range(rows):
            found.transformer_percent[first + k, x] = 100.0 * np.sqrt(top[k])
    for x in range(len(machines.capacitor_bus)):
        i, level = machines.capacitor_bus[x], machines.capacitor_level[x]
        for q in range(3):
            for j in range(3):
                yr, yi = machines.capacitor_y[x, q, j, 0], machines.capacitor_y[x, q, j, 1]
                for k in range(LANES):
                    re = yr * v[i, j, 0, k] - yi * v[i, j, 1, k]
                    im = yr * v[i, j, 1, k] + yi * v[i, j, 0, k]
                    loss[level, k] += v[i, q, 0, k] * re + v[i, q, 1, k] * im
    for k in range(rows):
        power, reactive = 0.0, 0.0
        for q in range(3):
            re, im = -b[0, q, 0, k], -b[0, q, 1, k]
            for column in range(3 * n_core):
                yr, yi = machines.source_row[q, column, 0], machines.source_row[q, column, 1]
                vr, vi = v[column // 3, column % 3, 0, k], v[column // 3, column % 3, 1, k]
                re += yr * vr - yi * vi
                im += yr * vi + yi * vr
            power += v[0, q, 0, k] * re + v[0, q, 1, k] * im
            reactive += v[0, q, 1, k] * re - v[0, q, 0, k] * im
        row = first + k
        found.slack_p_mw[row] = power / 1e6
        found.slack_q_mvar[row] = reactive / 1e6
        found.line_percent[row] = 100.0 * np.sqrt(loading[k])
        found.line_at[row], found.line_phase[row] = line_at[k], line_phase[k]
        found.lines_over[row] = over[k]
        found.neutral_a[row], found.neutral_at[row] = np.sqrt(neutral[k]), neutral_at[k]
        found.vuf_percent[row], found.vuf_at[row] = 100.0 * np.sqrt(vuf[k]), vuf_at[k]
        for level in range(3):
            found.level_loss_mw[row, level] = loss[level, k] / 1e6
