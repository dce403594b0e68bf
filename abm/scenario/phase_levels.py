"""Who is fed from where in a network: by which transformer, and in which phases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from abm.scenario.phase_values import PhaseValues


def feeding_transformer(
    n_bus: int,
    sources: Sequence[int],
    lines: NDArray[np.int64],
    transformers: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The last transformer on the way from a source to each bus, its position, int64 [B].

    -1 for none. Of several that feed one network of lines it is the first of the table among those
    with the fewest transformers before them. lines, transformers: their buses, int64 [., 2].
    """
    beside = _neighbours(n_bus, *lines.T)
    found = np.full(n_bus, -1, dtype=np.int64)
    reached = np.zeros(n_bus, dtype=np.bool_)

    def flood(bus: int, transformer: int) -> None:
        ahead = [bus]
        reached[bus] = True
        while ahead:
            here = ahead.pop()
            found[here] = transformer
            for other in beside[here]:
                if not reached[other]:
                    reached[other] = True
                    ahead.append(other)

    for source in sources:
        if not reached[source]:
            flood(source, -1)
    ends: list[list[int]] = transformers.tolist()
    left = list(range(len(ends)))
    while True:
        level = [at for at in left if reached[ends[at]].any()]
        if not level:
            return found
        left = [at for at in left if at not in level]
        for at in level:
            for bus in ends[at]:
                if not reached[bus]:
                    flood(bus, at)


def supplied_phases(values: PhaseValues) -> NDArray[np.bool_]:
    """Which phases of each bus closed lines and transformers join to the source, bool [B, 3].

    A transformer passes on what all three phases of one of its buses have.
    """
    n = len(values.bus)
    line, phase = np.nonzero(values.line_phases)
    beside = _neighbours(
        3 * n, 3 * values.line_from[line] + phase, 3 * values.line_to[line] + phase
    )
    behind: dict[int, list[int]] = {}
    for one, other in zip(values.transformer_from, values.transformer_to, strict=True):
        behind.setdefault(int(one), []).append(int(other))
        behind.setdefault(int(other), []).append(int(one))
    supplied = np.zeros(3 * n, dtype=np.bool_)
    ahead: list[int] = []

    def reach(nodes: list[int]) -> None:
        for node in nodes:
            if not supplied[node]:
                supplied[node] = True
                ahead.append(node)

    reach([3 * values.source_bus + phase for phase in range(3)])
    while ahead:
        node = ahead.pop()
        reach(beside[node])
        bus = node // 3
        if bus in behind and supplied[3 * bus : 3 * bus + 3].all():
            for other in behind[bus]:
                reach([3 * other, 3 * other + 1, 3 * other + 2])
    return supplied.reshape(n, 3)


def islands(values: PhaseValues, dead: NDArray[np.bool_]) -> list[list[int]]:
    """Buses that closed lines and transformers join, in groups, of those that are dead [B]."""
    beside = _neighbours(
        len(values.bus),
        np.concatenate([values.line_from, values.transformer_from]),
        np.concatenate([values.line_to, values.transformer_to]),
    )
    seen = ~dead
    found = []
    for bus in np.flatnonzero(dead):
        if seen[bus]:
            continue
        seen[bus] = True
        group, ahead = [], [int(bus)]
        while ahead:
            here = ahead.pop()
            group.append(here)
            for other in beside[here]:
                if not seen[other]:
                    seen[other] = True
                    ahead.append(other)
        found.append(sorted(group))
    return found


def _neighbours(n: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> list[list[int]]:
    """Of each of n nodes those beside it."""
    beside: list[list[int]] = [[] for _ in range(n)]
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        beside[a].append(b)
        beside[b].append(a)
    return beside
