"""Where chargers hang on a three-phase feeder: in which home, on which of its phases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from abm.equations import BoolArray, FloatArray, IntArray
from abm.fleet.stays import Stays, stream
from abm.grid.phase_flow import Terminals
from abm.scenario.phase_fields import ConnectionSection


@dataclass(frozen=True, eq=False)
class Points:
    """Places where a charger may hang, P in all: each phase of each home, and all its phases.

    They come home by home: a point for each terminal, and where there are several of them one more
    for chargers on all. home: int64 [P]. first: int64 [H], first point of each home. phases:
    int64 [H], terminals of each home. phase: int64 [P], 0 to 2, of a load in delta the first of its
    two, -1 of a point on all. weights: sparse [P, T], what part of a point's power is drawn at each
    terminal.
    """

    home: IntArray
    first: IntArray
    phases: IntArray
    phase: IntArray
    weights: csr_matrix[Any]

    @classmethod
    def of(cls, terminals: Terminals) -> Points:
        """The points of the homes with these terminals."""
        n_home = len(terminals.first)
        phases = np.bincount(terminals.home, minlength=n_home)
        own = phases + (phases > 1)
        first = np.cumsum(own) - own
        home = np.repeat(np.arange(n_home), own)
        all_phases = np.flatnonzero(phases > 1)
        single = np.setdiff1d(np.arange(len(home)), first[all_phases] + phases[all_phases])
        several = np.flatnonzero(phases[terminals.home] > 1)
        of_home = terminals.home[several]
        rows = np.concatenate([single, first[of_home] + phases[of_home]])
        columns = np.concatenate([np.arange(len(terminals.home)), several])
        parts = np.concatenate([np.ones(len(single)), 1.0 / phases[of_home]])
        shape = (len(home), len(terminals.home))
        phase = np.full(len(home), -1)
        phase[single] = terminals.phase
        return cls(home, first, phases, phase, csr_matrix((parts, (rows, columns)), shape))

    def at_terminals(self, values: FloatArray) -> FloatArray:
        """Powers of the points [B, P] as drawn at the terminals, [B, T].

        Each row by itself, in the order of the points of a terminal.
        """
        return np.ascontiguousarray((self.weights.T @ values.T).T)

    def of_stays(
        self,
        stays: Stays,
        homes_of_zone: Sequence[IntArray],
        section: ConnectionSection,
        seeds: Sequence[int],
        given_phase: IntArray,
    ) -> IntArray:
        """Point of each EV among all feeders, feeder x P + point, (n,).

        homes_of_zone: homes of each zone. The EVs of a zone live in its homes in an order drawn by
        the seed, one in each before any has two; those with the same name are one EV.
        given_phase: (H,), which of its home's phases a single-phase charger is on, from 0.
        """
        n_home, point = len(self.first), np.zeros(len(stays), dtype=np.int64)
        for k, seed in enumerate(seeds):
            rank = stream(seed, "homes").random(n_home)
            draws = stream(seed, "charger_phase").random((2, n_home))
            several = section.three_phase_share > draws[0]
            mine = np.flatnonzero(stays.feeder == k)
            # By home and by which EV of the home it is.
            found: dict[tuple[int, int], int] = {}
            for zone, homes in enumerate(homes_of_zone):
                # Zone by zone, so that no charger's phase depends on how many EVs another zone has.
                counts = np.zeros(3, dtype=np.int64)
                rows = mine[stays.zone[mine] == zone]
                order = homes[np.argsort(rank[homes], kind="stable")]
                number = np.unique(stays.ev[rows], return_inverse=True)[1]
                for row, at in zip(rows.tolist(), number.tolist(), strict=True):
                    home = int(order[at % len(order)])
                    charger = home, at // len(order)
                    if charger not in found:
                        found[charger] = self._of_home(
                            home, several, section.phase, draws[1], given_phase, counts
                        )
                    point[row] = k * len(self.home) + found[charger]
        return point

    def _of_home(
        self,
        home: int,
        several: BoolArray,
        how: str,
        draw: FloatArray,
        given_phase: IntArray,
        counts: IntArray,
    ) -> int:
        """Point of a charger of a home; counts: chargers by phase so far, one more with it."""
        first, phases = int(self.first[home]), int(self.phases[home])
        if phases > 1 and several[home]:
            return first + phases
        number = 0
        if phases > 1 and how == "given":
            number = int(given_phase[home])
        elif phases > 1 and how == "random":
            number = int(draw[home] * phases)
        elif phases > 1:
            number = int(np.argmin(counts[self.phase[first : first + phases]]))
        counts[self.phase[first + number]] += 1
        return first + number
