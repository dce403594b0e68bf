"""What load flows of a three-phase feeder give, and the terminals at which its homes hang."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from abm.equations import FloatArray, IntArray
from abm.grid.network import PowerFlow
from abm.scenario.phase_values import PhaseValues

# Of `ThreePhaseFlow.level_loss_mw`.
LEVELS = ("medium_voltage", "transformers", "low_voltage")


@dataclass(frozen=True, eq=False)
class ThreePhaseFlow(PowerFlow):
    """B load flows of a three-phase feeder with H homes, L lines and X transformers.

    Of `PowerFlow` the bus axis is that of the homes: vm_pu [B, H] is the lowest of the voltages of
    a home's phases to the neutral (of a load in delta: between its phases), p.u.; va_rad and
    line_loss_mw are not kept [B, 0]; i_a [B, L or 0] is the highest of the phases, at either end;
    slack_p_mw, slack_q_mvar come from the source; transformer_percent [B, X] is the highest current
    of a phase of a winding over its rating.

    vm_high_pu: float64 [B, H3], highest voltage of those homes that have several phases, in their
    order. i_phase_a: float64 [B, L or 0, 3], current of each phase, the larger of the two ends, A.
    line_percent: float64 [B], highest loading of a line, %, NaN where no rating is known; line_at,
    line_phase: int64 [B], which line and phase that is; lines_over: int64 [B], how many lines are
    loaded above 100 %. neutral_a: float64 [B], highest residual current |Ia + Ib + Ic| of a line of
    low voltage, A, which returns by neutral and earth; neutral_at: int64 [B], of which line.
    NaN where there is no such line.
    vuf_percent: float64 [B], highest voltage unbalance factor |V2| / |V1| of a bus with three
    phases below which a home hangs, %, where a home's own line or one of several branches
    off; vuf_at: int64 [B], which bus. level_loss_mw: float64
    [B, 3], losses of `LEVELS`, MW: lines and capacitors above 1 kV, transformers, the rest; their
    sum is loss_mw. Of a row that did not converge whole numbers are -1.
    """

    vm_high_pu: FloatArray
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


@dataclass(frozen=True, eq=False)
class Terminals:
    """Where power is drawn: one row for each phase of each home, T in all.

    Homes come in their order, their phases in the order a, b, c; a home in delta has a terminal
    between each two of its phases: ab, bc, ca, those of which both are there.

    home: int64 [T], position of its home. phase: int64 [T], 0 to 2; in delta the first of the two,
    to_phase: int64 [T], the second, else -1: the neutral. share: float64 [T], part of the load of
    its home.
    """

    home: IntArray
    phase: IntArray
    to_phase: IntArray
    share: FloatArray

    @classmethod
    def of(cls, values: PhaseValues) -> Terminals:
        """The terminals of a network."""
        there = values.home_phases.copy()
        two = values.home_delta
        # Phase p in delta stands for the pair of p and the next one.
        there[two] &= np.roll(values.home_phases[two], -1, axis=1)
        home, phase = np.nonzero(there)
        to_phase = np.where(two[home], (phase + 1) % 3, -1)
        return cls(home, phase, to_phase, 1.0 / there.sum(axis=1)[home])

    @cached_property
    def first(self) -> IntArray:
        """First terminal of each home, (H,), for `np.add.reduceat` and the like."""
        return np.flatnonzero(np.diff(self.home, prepend=-1))

    def per_home_min(self, values: FloatArray) -> FloatArray:
        """[B, T] -> [B, H]: lowest of the phases."""
        if len(self.first) == values.shape[1]:
            return values
        return np.minimum.reduceat(values, self.first, axis=1)

    def several(self) -> IntArray:
        """Homes of more than one terminal, those of `ThreePhaseFlow.vm_high_pu`, (H3,)."""
        return np.flatnonzero(np.diff(np.append(self.first, len(self.home))) > 1)
