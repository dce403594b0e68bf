"""PV and stationary batteries of the zones, step by step.

The battery of a zone acts in every time step of the clock on the mean power of its zone in that
step: load of its bus and EVs, less PV. It acts after the EVs have, and they know nothing of it but
what is broadcast, so that a stretch of steps is worked out when it has ended, whichever engine
walked through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from abm.equations import FloatArray, IntArray
from abm.equations.storage import storage_power, stored_after
from abm.results.supply import SupplyRecord
from abm.scenario.supply import pv_of_zones, storage_of_zones

if TYPE_CHECKING:
    from abm.grid.base_load import BaseLoad
    from abm.model import V2GModel


class ZoneSupply:
    """What PV and batteries do in the zones of K feeders; there only where a scenario has any.

    kwp: peak power of each zone, (Z,). capacity_kwh: of each battery, (Z,). stored_kwh: what is in
    them now, (K, Z).
    """

    BY_TIME: ClassVar = {"battery_kw": "steps", "_flows": "flows"}
    FIXED: ClassVar = ("kwp", "yields", "capacity_kwh", "rated_kw", "low_kwh", "high_kwh")

    def __init__(self, model: V2GModel, zone_bus: IntArray, base: BaseLoad) -> None:
        scenario, clock, fleet = model.scenario, model.clock, model.fleet
        inputs, self.section = scenario.inputs, scenario.storage
        self._model, self._zone_bus, self._base = model, zone_bus, base
        self.kwp = pv_of_zones(scenario.pv, inputs.feeder)
        self.yields = inputs.pv_yield
        self.capacity_kwh = storage_of_zones(self.section, inputs.feeder)
        self.rated_kw = self.section.kw_per_kwh * self.capacity_kwh
        self.low_kwh, self.high_kwh = (
            self.capacity_kwh * soc for soc in (self.section.soc_min, self.section.soc_max)
        )
        shape = (fleet.n_feeders, fleet.n_zones)
        self.stored_kwh = np.broadcast_to(self.capacity_kwh * self.section.soc_start, shape).copy()
        self.step_h = clock.step_s / 3600.0
        self.steps_per_flow = scenario.grid.flow_interval_min * 60 // clock.step_s
        # The steps of the hour that runs, kW, and kWh at the end of each.
        steps = clock.steps_per_hour
        self._charge, self._discharge, self._stored, self._net = np.zeros((4, steps, *shape))
        self.battery_kw = np.zeros((clock.n_steps, fleet.n_feeders))
        flows = clock.n_steps // self.steps_per_flow
        self._flows = {name: np.full((flows, *shape), np.nan) for name in SupplyRecord.FLOWS}

    def pv_mw(self, begin_s: IntArray, window_s: int) -> FloatArray:
        """Mean PV of each zone over windows of the horizon, before curtailment, (n, Z) [MW]."""
        if self.yields is None:
            return np.zeros((len(begin_s), len(self.kwp)))
        return self.yields.mean(begin_s, window_s) * self.kwp / 1e3

    def battery_mw(self, began_s: int, window_s: int) -> FloatArray:
        """Mean power of the batteries over a window of the hour that runs, (K, Z) [MW].

        Positive when charging.
        """
        first = began_s // self._model.clock.step_s % len(self._charge)
        span = slice(first, first + window_s // self._model.clock.step_s)
        net: FloatArray = (self._charge[span] - self._discharge[span]).mean(axis=0)
        return net / 1e3

    def advance(self, first_step: int, n_steps: int) -> None:
        """The batteries through some steps of the hour that runs, in which the EVs have acted."""
        clock, section, meter = self._model.clock, self.section, self._model.meter
        step_s, shape = clock.step_s, self.stored_kwh.shape
        begin_s = np.arange(first_step, first_step + n_steps) * step_s
        house_kw = 1e3 * self._base.mean_p_mw(begin_s, step_s)[:, :, self._zone_bus]
        ev_kw = meter.net_of_zones(first_step, n_steps).reshape(n_steps, *shape)
        net_kw = house_kw + ev_kw - 1e3 * self.pv_mw(begin_s, step_s)[:, None, :]
        band = section.rule == "band"
        below = section.charge_below_kw if band else 0.0
        above = section.discharge_above_kw if band else 0.0
        first = first_step % clock.steps_per_hour
        for i in range(n_steps if self.capacity_kwh.any() else 0):
            charge, discharge = storage_power(
                net_kw[i],
                below,
                above,
                self.rated_kw,
                self.high_kwh - self.stored_kwh,
                self.stored_kwh - self.low_kwh,
                section.efficiency,
                self.step_h,
            )
            after = stored_after(
                self.stored_kwh, charge, discharge, section.efficiency, self.step_h
            )
            # A bound that was reached is met to the last digit.
            self.stored_kwh = np.clip(after, self.low_kwh, self.high_kwh)
            self._charge[first + i], self._discharge[first + i] = charge, discharge
            self._stored[first + i] = self.stored_kwh
        span = slice(first, first + n_steps)
        power = self._charge[span] - self._discharge[span]
        self._net[span] = net_kw + power
        # A running sum adds zone by zone, in the same order for any number of feeders.
        self.battery_kw[first_step : first_step + n_steps] = np.cumsum(power, axis=2)[:, :, -1]

    def close_hour(self, hour: int) -> None:
        """Write down the means over the load flows of an hour that ended."""
        flows = self._model.clock.steps_per_hour // self.steps_per_flow
        here = slice(hour * flows, (hour + 1) * flows)

        def mean_mw(values: FloatArray) -> FloatArray:
            by_flow = values.reshape(flows, self.steps_per_flow, *values.shape[1:])
            means: FloatArray = by_flow.mean(axis=1)
            return means / 1e3

        written = self._flows
        written["charge_mw"][here] = mean_mw(self._charge)
        written["discharge_mw"][here] = mean_mw(self._discharge)
        written["drawn_mw"][here] = mean_mw(np.maximum(self._net, 0.0))
        written["fed_mw"][here] = mean_mw(np.maximum(-self._net, 0.0))
        written["stored_mwh"][here] = (
            self._stored[self.steps_per_flow - 1 :: self.steps_per_flow] / 1e3
        )

    def record(self, curtailed_mw: FloatArray) -> SupplyRecord:
        """What is left of it when the run has ended; curtailed_mw: (F, K, Z)."""
        clock = self._model.clock
        return SupplyRecord(
            kwp=self.kwp,
            capacity_kwh=self.capacity_kwh,
            pv_kw_per_kwp=(
                np.zeros(clock.n_steps)
                if self.yields is None
                else self.yields.mean(np.arange(clock.n_steps) * clock.step_s, clock.step_s)[:, 0]
            ),
            battery_kw=self.battery_kw,
            curtailed_mw=curtailed_mw,
            **self._flows,
        )
