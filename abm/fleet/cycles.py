"""Rainflow counting (ASTM E1049) while a run goes on: what is left of the SoC history of each EV.

An EV turns only where it moves the other way than before, so its history is the SoC at these turns.
Cycles are counted when a later range closes them (the four-point form) and are added up at once; a
stack of the turns that are still open is all that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray, IntArray
from abm.equations.ageing import KELVIN, schmalstieg_cycle, woehler_damage, xu_cycle
from abm.scenario.ageing_fields import AgeingSection

# Depths of 0 to 10 %, 10 to 20 %, ... of the capacity.
BINS = 10
# Turns that can be open at once. Open ranges first grow and then shrink; where there are ever more,
# the oldest is counted as half a cycle, as it would be at the end.
LEVELS = 64

CycleStress = Callable[[FloatArray, FloatArray], FloatArray]


def cycle_stress(ageing: AgeingSection) -> CycleStress:
    """What one cycle, by its depth and mean SoC, adds to the sum that the model of ageing needs."""
    return partial(_cycle_stress, ageing)


def _cycle_stress(ageing: AgeingSection, depth: FloatArray, soc: FloatArray) -> FloatArray:
    if ageing.model == "schmalstieg_2014":
        # A mean over the charge, which the depth stands for.
        return np.asarray(depth * schmalstieg_cycle(depth, soc))
    if ageing.model == "xu_2018":
        return np.asarray(xu_cycle(depth, soc, ageing.temperature_c + KELVIN))
    life = ageing.cycle_life, ageing.cycle_depth, ageing.woehler_exponent
    return np.asarray(woehler_damage(depth, *life))


class Cycles:
    """Cycles of n EVs so far.

    number, depth, stress: how many, the sum of their depths and of their stresses, (n,).
    by_depth: how many in each tenth of the capacity, (n, BINS). first: where each history began,
    NaN before.
    """

    def __init__(self, n: int, stress_of: CycleStress, levels: int = LEVELS) -> None:
        self.stress_of = stress_of
        self.number, self.depth, self.stress = np.zeros(n), np.zeros(n), np.zeros(n)
        self.by_depth: FloatArray = np.zeros((n, BINS))
        self.first: FloatArray = np.full(n, np.nan)
        # Level by level, so that levels nobody uses take no memory.
        self._open: FloatArray = np.zeros((levels, n))
        self._n_open: IntArray = np.zeros(n, dtype=np.int64)
        self.direction: NDArray[np.int8] = np.zeros(n, dtype=np.int8)

    def go(self, rows: IntArray, soc: FloatArray, to: FloatArray) -> None:
        """EVs `rows`, each once, go from one SoC to another."""
        way = np.sign(to - soc).astype(np.int8)
        begins = np.isnan(self.first[rows])
        turns = begins | (way * self.direction[rows] < 0)
        self.turn(rows[turns], soc[turns])
        self.direction[rows] = np.where(way != 0, way, self.direction[rows])

    def turn(self, rows: IntArray, soc: FloatArray) -> None:
        """The histories of `rows`, each once, begin at a SoC or turn there."""
        if not len(rows):
            return
        self.first[rows] = np.where(np.isnan(self.first[rows]), soc, self.first[rows])
        full = rows[self._n_open[rows] == len(self._open)]
        if len(full):
            self._count(full, self._open[0, full], self._open[1, full], 0.5)
            self._open[:-1, full] = self._open[1:, full]
            self._n_open[full] -= 1
        self._open[self._n_open[rows], rows] = soc
        self._n_open[rows] += 1
        while len(rows):
            rows = rows[self._n_open[rows] >= 4]
            at = self._n_open[rows]
            a, b, c, d = (self._open[at - back, rows] for back in (4, 3, 2, 1))
            inner = np.abs(c - b)
            closed = (inner <= np.abs(b - a)) & (inner <= np.abs(d - c))
            rows, at = rows[closed], at[closed]
            self._count(rows, b[closed], c[closed], 1.0)
            self._open[at - 3, rows] = d[closed]
            self._n_open[rows] = at - 2

    def _count(self, rows: IntArray, soc: FloatArray, to: FloatArray, part: float) -> None:
        depth = np.abs(to - soc)
        self.number[rows] += part
        self.depth[rows] += part * depth
        self.stress[rows] += part * self.stress_of(depth, (soc + to) / 2.0)
        # 0.3 - 0.2 is a little less than a tenth.
        tenth = np.minimum((depth * BINS + 1e-9).astype(np.int64), BINS - 1)
        self.by_depth[rows, tenth] += part

    def _apart(self) -> Cycles:
        """A copy with room for what is open once more, and no more than that."""
        end, used = copy(self), int(self._n_open.max(initial=0))
        for name, own in vars(self).items():
            if isinstance(own, np.ndarray) and own is not self._open:
                setattr(end, name, own.copy())
        end._open = np.zeros((2 * used + 2, len(self.first)))
        end._open[:used] = self._open[:used]
        return end

    def ended(self, rows: IntArray, soc: FloatArray) -> Cycles:
        """All cycles, as half ones what is still open at the end (ASTM). soc: of `rows` now."""
        end = self._apart()
        end.turn(rows, soc)
        for level in range(1, int(end._n_open.max(initial=0))):
            left = np.flatnonzero(end._n_open > level)
            end._count(left, end._open[level - 1, left], end._open[level, left], 0.5)
        return end

    def repeated(self, rows: IntArray, soc: FloatArray) -> Cycles:
        """All cycles of a history that goes back to where it began, over and over. soc: of `rows`.

        What is then still open is gone through once more: that closes each of its cycles once.
        """
        end = self._apart()
        at = self.first[rows]
        end.go(rows, soc, at)
        still_open, n_open = end._open.copy(), end._n_open[rows]
        for level in range(1, int(n_open.max(initial=0))):
            here = n_open > level
            to = still_open[level, rows[here]]
            end.go(rows[here], at[here], to)
            at[here] = to
        end.go(rows, at, self.first[rows])
        return end

    def of_visits(self, visits: IntArray, soc: FloatArray) -> Cycles:
        """All cycles of EVs whose visits are rows of their own, as `repeated`, in the first row.

        visits: (V, m), -1 for none; soc: now, of all rows. What a visit has closed is closed in the
        whole history, too, and what it has left open goes on with the next one.
        """
        n, first = len(self.first), visits[0]
        whole = Cycles(n, self.stress_of, len(self._open))
        at = np.full(n, np.nan)
        for rows in visits:
            here = (rows >= 0) & ~np.isnan(self.first[np.maximum(rows, 0)])
            of, row = first[here], rows[here]
            for name in ("number", "depth", "stress", "by_depth"):
                getattr(whole, name)[of] += getattr(self, name)[row]
            for level in range(int(self._n_open[row].max(initial=0)) + 1):
                inner = self._n_open[row] >= level
                turn = self._open[min(level, len(self._open) - 1), row]
                to = np.where(self._n_open[row] > level, turn, soc[row])[inner]
                last = np.where(np.isnan(at[of[inner]]), to, at[of[inner]])
                whole.go(of[inner], last, to)
                at[of[inner]] = to
        seen = np.flatnonzero(~np.isnan(whole.first))
        return whole.repeated(seen, at[seen])


def visits_of(
    names: Sequence[str] | None, feeder: IntArray, arrival_min: FloatArray
) -> IntArray | None:
    """Rows of each EV in the order in which they come, (V, m), -1 for none; None without any again.

    names, feeder, arrival_min: of the rows, (n,) each; EVs of one name on a feeder are one.
    """
    if names is None or len(set(zip(names, feeder.tolist(), strict=True))) == len(names):
        return None
    _, named = np.unique(np.array(names, dtype=object).astype(str), return_inverse=True)
    _, battery = np.unique(feeder * (int(named.max()) + 1) + named, return_inverse=True)
    order = np.lexsort((arrival_min, battery))
    begins = np.flatnonzero(np.append(True, np.diff(battery[order]) > 0))
    counts = np.diff(np.append(begins, len(order)))
    visits = np.full((int(counts.max()), len(counts)), -1)
    place = np.arange(len(order)) - np.repeat(begins, counts)
    visits[place, battery[order]] = order
    return visits


# Steps that the compiled hour may walk before the turns of its EVs are counted.
STEPS_AT_ONCE = 30


class SocHistory:
    """What is noted of the SoC of n EVs while it changes.

    cycles: so far. minute: when the step that runs began, min. moment: sum of each change of SoC
    times when it was, hours of the horizon, (n,), from which the mean SoC follows. turn_soc,
    n_turns: turns that the compiled hour has seen and that are not counted yet, (levels, n), (n,).
    """

    def __init__(self, n: int, stress_of: CycleStress) -> None:
        self.cycles = Cycles(n, stress_of)
        self.moment: FloatArray = np.zeros(n)
        self.minute = 0.0
        # In a step an EV may arrive and move.
        self.turn_soc: FloatArray = np.zeros((2 * STEPS_AT_ONCE, n))
        self.n_turns: NDArray[np.int8] = np.zeros(n, dtype=np.int8)

    @property
    def direction(self) -> NDArray[np.int8]:
        """Which way each EV moved last, 1 up, -1 down, 0 not yet, (n,)."""
        return self.cycles.direction

    def arrive(self, rows: IntArray, last: FloatArray, soc: FloatArray) -> None:
        """EVs come with a SoC; last: that they left with, NaN of those that were never here."""
        self.cycles.go(rows, np.where(np.isnan(last), soc, last), soc)

    def move(self, rows: IntArray, soc: FloatArray, to: FloatArray, middle_h: float) -> None:
        """EVs move from one SoC to another in the step around middle_h."""
        self.cycles.go(rows, soc, to)
        self.moment[rows] += middle_h * (to - soc)

    def settle(self) -> None:
        """Count what the compiled hour has left."""
        for level in range(int(self.n_turns.max(initial=0))):
            rows = np.flatnonzero(self.n_turns > level)
            self.cycles.turn(rows, self.turn_soc[level, rows])
        self.n_turns[:] = 0

    def ended(self, soc: FloatArray, visits: IntArray | None = None) -> dict[str, NDArray[Any]]:
        """What a record keeps, by EV; soc: now, NaN where it was never here.

        visits: rows of each EV in the order in which they come, where it has several, (V, m), -1
        for none (`visits_of`). What is kept of an EV then stands in its first row.
        """
        cycles, moment = self.cycles, self.moment
        seen = np.flatnonzero(~np.isnan(cycles.first))
        if visits is None:
            cycles = cycles.repeated(seen, soc[seen])
        else:
            cycles = cycles.of_visits(visits, soc)
            moment = np.zeros_like(self.moment)
            np.add.at(moment, np.broadcast_to(visits[0], visits.shape)[visits >= 0],
                      self.moment[visits[visits >= 0]])  # fmt: skip
        return {
            "cycles": cycles.number,
            "cycle_depth": cycles.depth,
            "cycle_stress": cycles.stress,
            "cycles_by_depth": cycles.by_depth,
            "soc_moment": moment.copy(),
        }


# In place of one where the SoC is not followed.
NO_HISTORY = SocHistory(0, lambda depth, _: depth)
