"""A schedule played through the model, so that what was planned has the results of a run."""

from __future__ import annotations

import math

import numpy as np

from abm.equations import FloatArray, IntArray
from abm.fleet import Exchange
from abm.model import V2GModel
from abm.scenario import Scenario
from abm.study.bound_lp import ROUNDING_KWH, Limits, Slots


class Replay(V2GModel):
    """A model whose EVs follow a schedule instead of rule and admission, minute by minute."""

    def __init__(self, scenario: Scenario) -> None:
        # Any strategy that plugs the EVs in will do: its rule and admission are never asked.
        super().__init__(scenario.model_copy(update={"strategy": "uncoordinated"}))
        self._scenario_studied = scenario

    def _compile(self, scenario: Scenario) -> bool:
        # A compiled hour holds a rule and an admission; a schedule has neither.
        return False

    def follow(self, slots: Slots, limits: Limits, c: FloatArray, d: FloatArray) -> None:
        """Take a schedule: c, d [kWh] by slot, each at constant power within its slot."""
        self._slots = slots
        self._charge_kw, self._discharge_kw = c / slots.window_h, d / slots.window_h
        self._soc_floor = limits.floor / self.fleet.capacity_kwh
        self._soc_ceiling = limits.ceiling / self.fleet.capacity_kwh

    def _switch(self) -> None:
        pass

    def _admit(self) -> None:
        pass

    def _exchange(self) -> None:
        fleet = self.fleet
        self._exchanged = None
        if not fleet.n_plugged:
            return
        rows = np.flatnonzero(fleet.plugged)
        e_c, e_d = self._energies(rows)
        eta = fleet.efficiency[rows]
        soc = fleet.soc[rows] + (e_c * eta - e_d / eta) / fleet.capacity_kwh[rows]
        # The last digit must not push the SoC across a bound that was just reached.
        fleet.soc[rows] = np.clip(soc, self._soc_floor[rows], self._soc_ceiling[rows])
        fleet.charged_kwh[rows] += e_c
        fleet.discharged_kwh[rows] += e_d
        fleet.has_charged[rows] |= e_c > 0.0
        net = e_c - e_d
        mode = np.zeros(fleet.n, dtype=np.int8)
        mode[rows] = np.where(np.abs(net) > ROUNDING_KWH / 60.0, np.sign(net), 0.0)
        switched = np.flatnonzero(mode != fleet.mode)
        fleet.switches[switched] += 1
        fleet.mode = mode
        fleet.p_kw[:] = 0.0
        fleet.p_kw[rows] = net / fleet.step_h
        up, down = e_c > 0.0, e_d > 0.0
        self._exchanged = Exchange(rows[up], e_c[up], rows[down], e_d[down], switched)

    def _energies(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Energy charged and discharged by some EVs in this step of the clock, kWh."""
        fleet, slots = self.fleet, self._slots
        e_c, e_d = np.zeros(len(rows)), np.zeros(len(rows))
        begin, end = self.minute, self.minute + 60.0 * fleet.step_h
        length = slots.step_min
        for step in range(int(begin // length), math.ceil(end / length)):
            here = slots.first[rows] + step - slots.step[slots.first[rows]]
            known = (here >= slots.first[rows]) & (here < slots.first[rows + 1])
            at, who = here[known], rows[known]
            until = np.minimum(fleet.departure_min[who], min(end, (step + 1.0) * length))
            since = np.maximum(fleet.arrival_min[who], max(begin, step * float(length)))
            hours = np.maximum(until - since, 0.0) / 60.0
            e_c[known] += self._charge_kw[at] * hours
            e_d[known] += self._discharge_kw[at] * hours
        return e_c, e_d
