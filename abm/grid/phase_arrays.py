"""The arrays of which the load flow of a three-phase network is made.

Shapes: n buses of the tree, E elements, T terminals, H homes, S spans, X transformers, C
capacitors.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from abm.equations import BoolArray, ComplexArray, FloatArray, IntArray

LANES = 32

# Kinds of spans.
PLAIN, SHUNTED, LEAF, MESHED, BUS = range(5)


class Tree(NamedTuple):
    """What the load flow walks over: n buses of which the first n_core are the core, E elements.

    parent: int64 [n]. plain: bool [n], whether D = 1. d, w: float64 [n, 3, 3, 2], real and imag.
    core_z: float64 [3 n_core, 3 n_core, 2], core_v: float64 [3 n_core, 2], without load.
    element_bus: int64 [E], element_d: float64 [E, 3, 2], element_w: float64 [E, 2]: voltage of an
    element = d v + w b, and d b is fed into its bus.
    """

    parent: IntArray
    plain: Any
    d: FloatArray
    w: FloatArray
    core_z: FloatArray
    core_v: FloatArray
    element_bus: IntArray
    element_d: FloatArray
    element_w: FloatArray


class Spans(NamedTuple):
    """Where currents are looked at: stretches of lines that carry one current, and buses.

    kind: PLAIN and SHUNTED stretches above a bus of the tree, LEAF that of an element, MESHED lines
    within the core, BUS no line at all. above, below: int64 [S], buses at its ends, of a LEAF below
    is the element. bus: int64 [S], number of the bus below where its unbalance matters, else -1.
    low_voltage: bool [S]. m1, m2: float64 [S, 3, 3, 2] and m3: [S, 3, 2]: SHUNTED: shunts below,
    half the line's own; LEAF: D, half its own, W by the element; MESHED: 1/z, half its own.
    feeds: float64 [S, 3], into which phases the element of a LEAF feeds. first_line: int64 [S + 1],
    of `line`: the lines of each span; first_group: [S + 1], of group_a, A, group_size, group_line:
    its lines by ampacity, and the first of them.
    """

    kind: IntArray
    above: IntArray
    below: IntArray
    bus: IntArray
    low_voltage: Any
    m1: FloatArray
    m2: FloatArray
    m3: FloatArray
    feeds: FloatArray
    first_line: IntArray
    line: IntArray
    first_group: IntArray
    group_a: FloatArray
    group_size: IntArray
    group_line: IntArray


@dataclass
class PhaseTree:
    """`Tree`, `Spans`, and where the rest of the network is in them.

    element: int64 [T], of each terminal. slot: int64 [number of buses], position in the tree, -1
    where it is passed over. source_row: complex [3, 3 n_core]: what the source feeds in, from the
    voltages of the core, less b of its bus.
    """

    tree: Tree
    spans: Spans
    element: IntArray
    slot: IntArray
    source_row: ComplexArray


@dataclass
class Stretch:
    """One of the `Spans`, before they are columns."""

    kind: int
    above: int
    below: int
    bus: int = -1
    lines: list[int] = field(default_factory=list)
    m1: ComplexArray | None = None
    m2: ComplexArray | None = None
    m3: ComplexArray | None = None
    feeds: FloatArray | None = None


class Homes(NamedTuple):
    """Which elements the terminals are, and what is 1 p.u. there.

    element: int64 [T]. home: int64 [T]. base_v: float64 [E]. several: int64 [H], position of the
    home among those with several terminals, else -1.
    """

    element: IntArray
    home: IntArray
    base_v: FloatArray
    several: IntArray


class Machines(NamedTuple):
    """Transformers, capacitors and the source.

    from_bus, to_bus: int64 [X], in the tree. y, winding_y: float64 [X, 6, 6, 2]. rated_a: [X, 6].
    capacitor_bus: int64 [C], capacitor_y: float64 [C, 3, 3, 2], capacitor_level: int64 [C].
    source_row: float64 [3, 3 n_core, 2].
    """

    from_bus: IntArray
    to_bus: IntArray
    y: FloatArray
    winding_y: FloatArray
    rated_a: FloatArray
    capacitor_bus: IntArray
    capacitor_y: FloatArray
    capacitor_level: IntArray
    source_row: FloatArray


class Found(NamedTuple):
    """What one call fills in, row by row: arrays of `ThreePhaseFlow`, with the same shapes."""

    vm_pu: FloatArray
    vm_high_pu: FloatArray
    i_a: FloatArray
    i_phase_a: FloatArray
    line_percent: FloatArray
    line_at: IntArray
    line_phase: IntArray
    lines_over: IntArray
    neutral_a: FloatArray
    neutral_at: IntArray
    vuf_percent: FloatArray
    vuf_at: IntArray
    level_loss_mw: FloatArray
    transformer_percent: FloatArray
    slack_p_mw: FloatArray
    slack_q_mvar: FloatArray
    mismatch_mva: FloatArray


def span_arrays(spans: list[Stretch], ampacity: FloatArray, low_voltage: BoolArray) -> Spans:
    """Spans as columns. ampacity: float64 [L], A. low_voltage: bool [L]."""
    none, nothing = np.zeros((3, 3), dtype=np.complex128), np.zeros(3)
    first_line, first_group, lines = [0], [0], []
    group_a: list[float] = []
    group_size: list[int] = []
    group_line: list[int] = []
    for span in spans:
        groups: dict[float, list[int]] = defaultdict(list)
        for line in span.lines:
            if ampacity[line] > 0.0:
                groups[float(ampacity[line])].append(line)
        for a, members in groups.items():
            group_a.append(a)
            group_size.append(len(members))
            group_line.append(min(members))
        lines += span.lines
        first_line.append(len(lines))
        first_group.append(len(group_a))

    def whole(name: str) -> IntArray:
        return np.array([getattr(span, name) for span in spans], dtype=np.int64)

    def stack(name: str, empty: Any) -> Any:
        found = [getattr(span, name) for span in spans]
        return np.array([empty if one is None else one for one in found])

    return Spans(
        whole("kind"),
        whole("above"),
        whole("below"),
        whole("bus"),
        np.array(
            [bool(s.lines) and low_voltage[s.lines[0]] for s in spans],
            dtype=np.bool_,
        ),
        as_pairs(stack("m1", none).reshape(-1, 3, 3)),
        as_pairs(stack("m2", none).reshape(-1, 3, 3)),
        as_pairs(stack("m3", nothing + 0j).reshape(-1, 3)),
        np.ascontiguousarray(stack("feeds", nothing).reshape(-1, 3)),
        np.array(first_line, dtype=np.int64),
        np.array(lines, dtype=np.int64),
        np.array(first_group, dtype=np.int64),
        np.array(group_a, dtype=np.float64),
        np.array(group_size, dtype=np.int64),
        np.array(group_line, dtype=np.int64),
    )


def as_pairs(values: ComplexArray) -> FloatArray:
    """Complex numbers as real and imaginary part on an axis of their own."""
    return np.stack([values.real, values.imag], axis=-1).astype(np.float64)
