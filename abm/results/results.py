"""Tables and KPIs of one feeder's run, made when they are asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.grid import PowerFlow, loading_percent
from abm.results.kpis import compute_kpis
from abm.results.recorder import FloatArray, IntArray, Record

if TYPE_CHECKING:
    import pandas as pd

# An EV is short when it leaves more than this much of its capacity below the SoC it wants.
SHORT_SOC = 0.01


class Results:
    """What happened on one feeder.

    `kpis` is a flat dict; the tables are pandas DataFrames: `hourly`, `zone_minute`, `ev`,
    `bus_hour`, `line_hour`, `zones`. Hours are clock hours 0-23 (`hour`) with a running index
    (`hour_index`) beside them; buses, lines and zones are numbered from 1 as in the paper.
    """

    def __init__(self, record: Record, feeder: int = 0) -> None:
        self.record, self.index = record, feeder
        fleet = record.fleet
        self.cells = slice(feeder * fleet.n_zones, (feeder + 1) * fleet.n_zones)
        # Sums run over rows in the fleet's order, so that the order of a session file cannot change
        # their last digit; only the table of EVs is in the order of the file.
        self.rows: IntArray = np.flatnonzero(fleet.feeder == feeder)
        self.n_hours = record.recorder.clock.n_hours
        self.hours: IntArray = np.arange(self.n_hours)
        self.clock_hours: IntArray = (self.hours + record.start_hour) % 24

    # --- arrays --------------------------------------------------------------------------------

    @cached_property
    def base_mw(self) -> FloatArray:
        """Demand without EVs, (n_hours,) [MW]."""
        return np.asarray(self.record.base_p_mw.sum(axis=1)[self.clock_hours])

    @cached_property
    def ev_mw(self) -> FloatArray:
        """Net demand of the EVs, (n_hours,) [MW]."""
        return self.record.recorder.ev_mw[:, self.index]

    @cached_property
    def total_mw(self) -> FloatArray:
        """System demand without losses, (n_hours,) [MW]."""
        return self.base_mw + self.ev_mw

    @cached_property
    def bus_p_mw(self) -> FloatArray:
        """Net load of every bus, (n_hours, n_bus) [MW]."""
        p_mw = self.record.base_p_mw[self.clock_hours].copy()
        p_mw[:, self.record.feeder.zone_bus] += self.record.recorder.zone_mw[:, self.cells]
        return p_mw

    def flow(self, name: str) -> Any:
        """One array of the load flows, hours first; see `abm.grid.PowerFlow`."""
        return np.array([getattr(flow, name)[self.index] for flow in self.record.flows])

    @cached_property
    def flows(self) -> PowerFlow:
        """The load flows of this feeder, one row per hour."""
        return PowerFlow(**{name: self.flow(name) for name in PowerFlow.__dataclass_fields__})

    @cached_property
    def loading_percent(self) -> FloatArray:
        """Loading of every line, (n_hours, n_line) [%]; NaN without a rating."""
        return loading_percent(self.flows.i_a, self.record.feeder.ampacity_a)

    @cached_property
    def soc_departure(self) -> FloatArray:
        """SoC each EV left with, (n_evs,); of the horizon's end where it is still plugged in."""
        fleet = self.record.fleet
        left = fleet.soc_departure[self.rows]
        return np.where(np.isnan(left), fleet.soc[self.rows], left)

    @cached_property
    def shortfall_kwh(self) -> FloatArray:
        """Energy missing below soc_target on departure, (n_evs,) [kWh]; 0 while plugged in."""
        fleet = self.record.fleet
        missing = (fleet.soc_target[self.rows] - self.soc_departure) * fleet.capacity_kwh[self.rows]
        return np.where(fleet.plugged[self.rows], 0.0, np.maximum(missing, 0.0))

    @cached_property
    def short(self) -> Any:
        """Which EVs left more than SHORT_SOC below soc_target, (n_evs,) bool."""
        fleet = self.record.fleet
        below = fleet.soc_target[self.rows] - self.soc_departure > SHORT_SOC + 1e-9
        return below & ~fleet.plugged[self.rows]

    @cached_property
    def kpis(self) -> dict[str, Any]:
        """All indicators of the run by name; units stand in the names. None where undefined."""
        return compute_kpis(self)

    # --- tables --------------------------------------------------------------------------------

    @cached_property
    def hourly(self) -> pd.DataFrame:
        """One row per hour: demand, losses, voltages, price, headroom."""
        import pandas as pd

        flows, recorder = self.flows, self.record.recorder
        lowest = lowest_bus(flows.vm_pu, self.record.feeder.bus_index)
        per_hour = (self.n_hours, recorder.clock.steps_per_hour, -1)
        limit = self.record.scenario.grid.demand_limit_mw
        return pd.DataFrame(
            {
                "hour_index": self.hours,
                "hour": self.clock_hours,
                "base_mw": self.base_mw,
                "ev_mw": self.ev_mw,
                "total_mw": self.total_mw,
                "charge_mw": _hour_mean(recorder.charge_kw[:, self.cells], per_hour),
                "discharge_mw": _hour_mean(recorder.discharge_kw[:, self.cells], per_hour),
                "evs_plugged": recorder.plugged_peak[:, self.index],
                "loss_mw": flows.loss_mw,
                "slack_p_mw": flows.slack_p_mw,
                "slack_q_mvar": flows.slack_q_mvar,
                "min_vm_pu": flows.vm_pu.min(axis=1),
                "min_vm_bus": pd.array(lowest, dtype="Int64"),
                "max_line_loading_percent": _row_max(self.loading_percent),
                "converged": flows.converged,
                "mismatch_mva": flows.mismatch_mva,
                "price": self.record.price[self.clock_hours],
                "headroom_mw": limit - self.base_mw,
            }
        )

    @cached_property
    def zone_minute(self) -> pd.DataFrame:
        """One row per step and zone: net, charging and discharging power, EVs plugged in."""
        import pandas as pd

        recorder, n_zones = self.record.recorder, self.record.fleet.n_zones
        steps = recorder.clock.n_steps
        minute = np.arange(steps) * (recorder.clock.step_s / 60.0)
        if recorder.clock.step_s % 60 == 0:
            minute = minute.astype(np.int64)
        charge = recorder.charge_kw[:, self.cells].ravel()
        discharge = recorder.discharge_kw[:, self.cells].ravel()
        return pd.DataFrame(
            {
                "minute": np.repeat(minute, n_zones),
                "zone": np.tile(np.arange(1, n_zones + 1), steps),
                "p_kw": charge - discharge,
                "charge_kw": charge,
                "discharge_kw": discharge,
                "evs_plugged": recorder.plugged[:, self.cells].ravel(),
            }
        )

    @cached_property
    def ev(self) -> pd.DataFrame:
        """One row per EV, in the order of the session file or the sample."""
        import pandas as pd

        fleet = self.record.fleet
        order = np.argsort(fleet.source[self.rows])
        rows = self.rows[order]
        return pd.DataFrame(
            {
                "ev_id": pd.Series([fleet.ev_id[row] for row in rows], dtype="object"),
                "zone": fleet.zone[rows] + 1,
                "arrival_min": fleet.arrival_min[rows],
                "departure_min": fleet.departure_min[rows],
                "capacity_kwh": fleet.capacity_kwh[rows],
                "efficiency": fleet.efficiency[rows],
                "p_max_kw": fleet.p_max_kw[rows],
                "p_discharge_kw": fleet.p_discharge_kw[rows],
                "soc_arrival": fleet.soc_arrival[rows],
                "soc_target": fleet.soc_target[rows],
                "soc_departure": self.soc_departure[order],
                "charged_kwh": fleet.charged_kwh[rows],
                "discharged_kwh": fleet.discharged_kwh[rows],
                "purchase_usd": fleet.purchase_usd[rows],
                "sale_usd": fleet.sale_usd[rows],
                "net_cost_usd": fleet.purchase_usd[rows] - fleet.sale_usd[rows],
                "shortfall_kwh": self.shortfall_kwh[order],
                "short": self.short[order],
            }
        )

    @cached_property
    def bus_hour(self) -> pd.DataFrame:
        """One row per hour and bus: voltage and load."""
        import pandas as pd

        feeder, flows = self.record.feeder, self.flows
        return pd.DataFrame(
            {
                **self._hours_by(feeder.n_bus),
                "bus": np.tile(feeder.bus_index + 1, self.n_hours),
                "vm_pu": flows.vm_pu.ravel(),
                "va_degree": np.degrees(flows.va_rad).ravel(),
                "p_mw": self.bus_p_mw.ravel(),
            }
        )

    @cached_property
    def line_hour(self) -> pd.DataFrame:
        """One row per hour and line: current, loading, loss."""
        import pandas as pd

        feeder, flows = self.record.feeder, self.flows
        return pd.DataFrame(
            {
                **self._hours_by(feeder.n_line),
                "line": np.tile(np.arange(1, feeder.n_line + 1), self.n_hours),
                "from_bus": np.tile(feeder.bus_index[feeder.line_from] + 1, self.n_hours),
                "to_bus": np.tile(feeder.bus_index[feeder.line_to] + 1, self.n_hours),
                "i_a": flows.i_a.ravel(),
                "loading_percent": self.loading_percent.ravel(),
                "loss_mw": flows.line_loss_mw.ravel(),
            }
        )

    @cached_property
    def zones(self) -> pd.DataFrame:
        """One row per RPZ: energy, cost, EVs short, peak."""
        import pandas as pd

        fleet, feeder, n_zones = self.record.fleet, self.record.feeder, self.record.fleet.n_zones
        zone = fleet.zone[self.rows]

        def total(values: Any) -> FloatArray:
            return np.bincount(zone, weights=values, minlength=n_zones).astype(np.float64)

        purchase, sale = total(fleet.purchase_usd[self.rows]), total(fleet.sale_usd[self.rows])
        return pd.DataFrame(
            {
                "zone": np.arange(1, n_zones + 1),
                "bus": feeder.bus_index[feeder.zone_bus] + 1,
                "evs": np.bincount(zone, minlength=n_zones),
                "charged_kwh": total(fleet.charged_kwh[self.rows]),
                "discharged_kwh": total(fleet.discharged_kwh[self.rows]),
                "purchase_usd": purchase,
                "sale_usd": sale,
                "net_cost_usd": purchase - sale,
                "peak_kw": 1e3 * self.record.recorder.zone_mw[:, self.cells].max(axis=0),
                "evs_short": total(self.short).astype(np.int64),
                "energy_short_kwh": total(self.shortfall_kwh),
            }
        )

    def _hours_by(self, n: int) -> dict[str, IntArray]:
        return {
            "hour_index": np.repeat(self.hours, n),
            "hour": np.repeat(self.clock_hours, n),
        }


def lowest_bus(vm_pu: FloatArray, bus_index: IntArray) -> list[int | None]:
    """Paper's number of the bus with the lowest voltage of each row; None where it is NaN."""
    at = np.argmin(vm_pu, axis=1)
    found = zip(at, vm_pu.min(axis=1), strict=True)
    return [None if np.isnan(lowest) else int(bus_index[i]) + 1 for i, lowest in found]


def _hour_mean(kw: FloatArray, shape: tuple[int, int, int]) -> FloatArray:
    return np.asarray(kw.reshape(shape).sum(axis=2).mean(axis=1) / 1e3)


def _row_max(values: FloatArray) -> FloatArray:
    none = np.full(len(values), np.nan)
    return none if values.shape[1] == 0 else np.asarray(np.fmax.reduce(values, axis=1))
