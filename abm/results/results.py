"""Tables and KPIs of a run, made when they are asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.fleet.economics import financial_benefit
from abm.grid import PowerFlow, loading_percent
from abm.results.city import city_kpis, feeder_table
from abm.results.days import day_table, group_table, stay_table
from abm.results.emergence import full_cycles, reference_costs
from abm.results.kpis import kpi_columns, kpi_dict
from abm.results.record import Record
from abm.results.recorder import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd

# An EV is short when it leaves more than this much of its capacity below the SoC it wants.
SHORT_SOC = 0.01


class Results:
    """What happened on a feeder, or on K copies of it.

    `kpis` is a flat dict (of all feeders together), `kpi_columns` has arrays over the feeders; the
    tables are pandas DataFrames: `hourly`, `zone_minute`, `zone_hour`, `ev`, `bus_hour`,
    `line_hour`, `zones`, with a column `feeder`, from 1, in front where there are several. Hours
    are clock hours 0-23 (`hour`) with a running index (`hour_index`) beside them; buses, lines and
    zones are numbered from 1 as in the paper.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.n_hours, self.n_feeders = record.n_hours, record.n_feeders
        self.hours: IntArray = np.arange(record.n_hours)
        self.clock_hours = record.clock_hours

    def of(self, feeder: int) -> Results:
        """Results of one copy of the feeder, counted from 0."""
        return Results(self.record.only(feeder))

    # --- arrays of the first feeder ------------------------------------------------------------

    @property
    def base_mw(self) -> FloatArray:
        """Demand without EVs, (n_hours,) [MW]."""
        return self.record.base_mw

    @property
    def ev_mw(self) -> FloatArray:
        """Net demand of the EVs, (n_hours,) [MW]."""
        return self.record.ev_mw[:, 0]

    @property
    def total_mw(self) -> FloatArray:
        """System demand without losses, (n_hours,) [MW]."""
        return self.record.total_mw[:, 0]

    @property
    def zone_kw(self) -> FloatArray:
        """Net power of every zone, (n_hours, n_zones) [kW]."""
        return 1e3 * self.record.zone_mw[:, 0]

    @cached_property
    def flows(self) -> PowerFlow:
        """The load flows, one row per hour."""
        every = self.record.flows
        return PowerFlow(
            **{name: getattr(every, name)[:, 0] for name in PowerFlow.__dataclass_fields__}
        )

    # --- arrays of all feeders -----------------------------------------------------------------

    @cached_property
    def loading_percent(self) -> FloatArray:
        """Loading of every line, (n_hours, K, n_line) [%]; NaN without a rating."""
        return loading_percent(self.record.flows.i_a, self.record.feeder.ampacity_a)

    @cached_property
    def soc_departure(self) -> FloatArray:
        """SoC each EV left with, (n_evs,); of the horizon's end where it is still plugged in."""
        ev = self.record.ev
        return np.where(np.isnan(ev["soc_departure"]), ev["soc"], ev["soc_departure"])

    @cached_property
    def stay_shortfall_kwh(self) -> FloatArray:
        """Energy missing below soc_target on each departure, (n_days, n_evs) [kWh].

        0 while plugged in, and on days without a stay.
        """
        stays = self.record.stays
        left_with = np.where(stays["arrived"], stays["soc_departure"], np.nan)
        missing = (stays["soc_target"] - left_with) * self.record.ev["capacity_kwh"]
        return np.where(np.isnan(missing), 0.0, np.maximum(missing, 0.0))

    @cached_property
    def stay_short(self) -> NDArray[np.bool_]:
        """Which stays ended more than SHORT_SOC below soc_target, (n_days, n_evs)."""
        stays = self.record.stays
        left_with = np.where(stays["arrived"], stays["soc_departure"], np.nan)
        return np.asarray(stays["soc_target"] - left_with > SHORT_SOC + 1e-9)

    @property
    def shortfall_kwh(self) -> FloatArray:
        """Energy missing on departure, of all days, (n_evs,) [kWh]."""
        return np.asarray(self.stay_shortfall_kwh.sum(axis=0))

    @property
    def short(self) -> NDArray[np.bool_]:
        """Which EVs left short on any day, (n_evs,)."""
        return np.asarray(self.stay_short.any(axis=0))

    @cached_property
    def stay_reference_usd(self) -> FloatArray:
        """Cost of each stay if the EV charged at once on arrival, (n_days, n_evs) [$]."""
        return reference_costs(self.record)

    @property
    def reference_cost_usd(self) -> FloatArray:
        """Cost of the same stays if the EV charged at once on arrival, (n_evs,) [$]."""
        return np.asarray(self.stay_reference_usd.sum(axis=0))

    @property
    def benefit_usd(self) -> FloatArray:
        """Benefit of each owner, eq. (22) for one EV: reference less net cost, (n_evs,) [$]."""
        ev = self.record.ev
        return financial_benefit(self.reference_cost_usd, ev["purchase_usd"], ev["sale_usd"])

    @cached_property
    def full_cycles(self) -> FloatArray:
        """Equivalent full cycles of each battery, (n_evs,)."""
        return full_cycles(self.record.ev)

    @cached_property
    def kpi_columns(self) -> dict[str, NDArray[Any]]:
        """All indicators by name, one value per feeder."""
        return kpi_columns(self)

    @cached_property
    def kpis(self) -> dict[str, Any]:
        """All indicators, of all feeders together; units in the names, None where undefined."""
        return kpi_dict(self.kpi_columns, 0) if self.n_feeders == 1 else city_kpis(self)

    # --- tables --------------------------------------------------------------------------------

    @cached_property
    def hourly(self) -> pd.DataFrame:
        """One row per hour: demand, losses, voltages, price, headroom."""
        import pandas as pd

        record = self.record
        flows, shape = record.flows, (self.n_hours, self.n_feeders)
        lowest = flows.vm_pu.min(axis=2)
        at = np.nan_to_num(flows.vm_pu, nan=np.inf).argmin(axis=2)
        bus = pd.array((record.feeder.bus_index[at] + 1).T.ravel(), dtype="Int64")
        bus[np.isnan(lowest).T.ravel()] = pd.NA

        def all_feeders(per_hour: NDArray[Any]) -> NDArray[Any]:
            return np.broadcast_to(per_hour[:, None], shape)

        limit = record.scenario.grid.demand_limit_mw
        columns = {
            "base_mw": all_feeders(record.base_mw),
            "ev_mw": record.ev_mw,
            "total_mw": record.total_mw,
            "charge_mw": record.zone_charge_mw.sum(axis=2),
            "discharge_mw": record.zone_discharge_mw.sum(axis=2),
            "evs_plugged": record.plugged_peak,
            "loss_mw": flows.loss_mw,
            "slack_p_mw": flows.slack_p_mw,
            "slack_q_mvar": flows.slack_q_mvar,
            "min_vm_pu": lowest,
            "min_vm_bus": bus,
            "max_line_loading_percent": _last_max(self.loading_percent),
            "converged": flows.converged,
            "mismatch_mva": flows.mismatch_mva,
            "messages_unsent": record.unsent,
            "price": all_feeders(record.price[self.clock_hours]),
            "headroom_mw": all_feeders(limit - record.base_mw),
        }
        return self._frame(self._hours(1), {n: _by_feeder(c) for n, c in columns.items()})

    @property
    def has_minutes(self) -> bool:
        """Whether power by minute and zone was recorded."""
        return self.record.minute_charge_kw is not None

    @cached_property
    def zone_minute(self) -> pd.DataFrame:
        """One row per step and zone: net, charging and discharging power, EVs plugged in.

        RuntimeError where minutes were not recorded (`record.zone_minute` in the scenario).
        """
        record = self.record
        charge, discharge = record.minute_charge_kw, record.minute_discharge_kw
        plugged = record.minute_plugged
        if charge is None or discharge is None or plugged is None:
            raise RuntimeError("minutes were not recorded: set record.zone_minute in the scenario")
        steps, _, n_zones = charge.shape
        step_s = record.scenario.clock.step_s
        minute = np.arange(steps) * (step_s / 60.0)
        if step_s % 60 == 0:
            minute = minute.astype(np.int64)
        return self._frame(
            {"minute": np.tile(np.repeat(minute, n_zones), self.n_feeders), **self._zones(steps)},
            {
                "p_kw": _by_feeder(charge - discharge),
                "charge_kw": _by_feeder(charge),
                "discharge_kw": _by_feeder(discharge),
                "evs_plugged": _by_feeder(plugged),
            },
        )

    @cached_property
    def zone_hour(self) -> pd.DataFrame:
        """One row per hour and zone: mean net, charging, discharging power, EVs plugged in."""
        record = self.record
        n_zones = record.zone_mw.shape[2]
        return self._frame(
            {**self._hours(n_zones), **self._zones(self.n_hours)},
            {
                "p_kw": 1e3 * _by_feeder(record.zone_mw),
                "charge_kw": 1e3 * _by_feeder(record.zone_charge_mw),
                "discharge_kw": 1e3 * _by_feeder(record.zone_discharge_mw),
                "evs_plugged": _by_feeder(record.zone_plugged),
            },
        )

    @cached_property
    def ev_order(self) -> IntArray:
        """Rows in the order of the session file or the sample, (n_evs,)."""
        ev = self.record.ev
        return np.lexsort((ev["number"], ev["feeder"]))

    @property
    def ev_ids(self) -> NDArray[np.object_]:
        """Names of the EVs in that order, (n_evs,)."""
        names = self.record.names
        if names is None:
            return (self.record.ev["number"][self.ev_order] + 1).astype(str).astype(object)
        return np.array(names, dtype=object)[self.ev_order]

    @cached_property
    def ev(self) -> pd.DataFrame:
        """One row per EV, in the order of the session file or the sample."""
        import pandas as pd

        ev, order, ids = self.record.ev, self.ev_order, self.ev_ids
        columns = {name: ev[name][order] for name in (
            "zone", "arrival_min", "departure_min", "capacity_kwh", "efficiency", "p_max_kw",
            "p_discharge_kw", "soc_arrival", "soc_target",
        )}  # fmt: skip
        columns["zone"] = columns["zone"] + 1
        stays = self.record.stays
        for name in ("announced_min", "soc_min"):
            columns[name] = stays[name][-1][order]
        groups = np.array(list(self.record.scenario.owners.groups) or ["all"], dtype=object)
        columns["group"] = groups[ev["group"][order]]
        columns["stays"] = stays["arrived"].sum(axis=0)[order]
        columns["v2g"], columns["boost"] = stays["v2g"][-1][order], stays["boost"][-1][order]
        columns["soc_departure"] = self.soc_departure[order]
        for name in ("charged_kwh", "discharged_kwh", "purchase_usd", "sale_usd"):
            columns[name] = ev[name][order]
        columns["net_cost_usd"] = columns["purchase_usd"] - columns["sale_usd"]
        columns["reference_cost_usd"] = self.reference_cost_usd[order]
        columns["benefit_usd"] = self.benefit_usd[order]
        columns["full_cycles"] = self.full_cycles[order]
        columns["switches"] = ev["switches"][order]
        columns["shortfall_kwh"] = self.shortfall_kwh[order]
        columns["short"] = self.short[order]
        lead = {} if self.n_feeders == 1 else {"feeder": ev["feeder"][order] + 1}
        return pd.DataFrame({**lead, "ev_id": pd.Series(ids, dtype="object"), **columns})

    @cached_property
    def bus_hour(self) -> pd.DataFrame:
        """One row per hour and bus: voltage and load."""
        record = self.record
        feeder, flows = record.feeder, record.flows
        p_mw = np.repeat(record.base_p_mw[self.clock_hours][:, None, :], self.n_feeders, axis=1)
        p_mw[:, :, feeder.zone_bus] += record.zone_mw
        return self._frame(
            {**self._hours(feeder.n_bus), "bus": self._repeated(feeder.bus_index + 1)},
            {
                "vm_pu": _by_feeder(flows.vm_pu),
                "va_degree": np.degrees(_by_feeder(flows.va_rad)),
                "p_mw": _by_feeder(p_mw),
            },
        )

    @cached_property
    def line_hour(self) -> pd.DataFrame:
        """One row per hour and line: current, loading, loss."""
        feeder, flows = self.record.feeder, self.record.flows
        return self._frame(
            {
                **self._hours(feeder.n_line),
                "line": self._repeated(np.arange(1, feeder.n_line + 1)),
                "from_bus": self._repeated(feeder.bus_index[feeder.line_from] + 1),
                "to_bus": self._repeated(feeder.bus_index[feeder.line_to] + 1),
            },
            {
                "i_a": _by_feeder(flows.i_a),
                "loading_percent": _by_feeder(self.loading_percent),
                "loss_mw": _by_feeder(flows.line_loss_mw),
            },
        )

    @cached_property
    def days(self) -> pd.DataFrame:
        """One row per day: who plugged in and took part, energy, money, what was missing, peak."""
        return day_table(self)

    @cached_property
    def stays(self) -> pd.DataFrame:
        """One row per EV and day, in the order of days and of the table `ev`."""
        return stay_table(self)

    @cached_property
    def groups(self) -> pd.DataFrame:
        """One row per group of owners: energy, money, what was missing."""
        return group_table(self)

    @cached_property
    def zones(self) -> pd.DataFrame:
        """One row per RPZ: energy, cost, EVs short, peak."""
        record, ev = self.record, self.record.ev
        feeder, n_zones = record.feeder, record.zone_mw.shape[2]
        cell, cells = ev["feeder"] * n_zones + ev["zone"], self.n_feeders * n_zones

        def total(values: NDArray[Any]) -> FloatArray:
            sums = np.bincount(cell, weights=values, minlength=cells)
            return sums.astype(np.float64, copy=False)

        purchase, sale = total(ev["purchase_usd"]), total(ev["sale_usd"])
        return self._frame(
            self._zones(1),
            {
                "bus": np.tile(feeder.bus_index[feeder.zone_bus] + 1, self.n_feeders),
                "evs": np.bincount(cell, minlength=cells),
                "charged_kwh": total(ev["charged_kwh"]),
                "discharged_kwh": total(ev["discharged_kwh"]),
                "purchase_usd": purchase,
                "sale_usd": sale,
                "net_cost_usd": purchase - sale,
                "benefit_usd": total(self.benefit_usd),
                "peak_kw": 1e3 * record.zone_mw.max(axis=0).ravel(),
                "evs_short": total(self.short).astype(np.int64),
                "energy_short_kwh": total(self.shortfall_kwh),
            },
        )

    @cached_property
    def feeders(self) -> pd.DataFrame:
        """One row per feeder with all its KPIs."""
        return feeder_table(self)

    # --- index columns; rows go feeder by feeder, then time, then zone, bus or line -------------

    def _frame(self, index: dict[str, NDArray[Any]], columns: dict[str, Any]) -> pd.DataFrame:
        import pandas as pd

        lead: dict[str, NDArray[Any]] = {}
        if self.n_feeders > 1:
            rows = len(next(iter(columns.values()))) // self.n_feeders
            lead["feeder"] = np.repeat(np.arange(1, self.n_feeders + 1), rows)
        return pd.DataFrame({**lead, **index, **columns}, copy=False)

    def _hours(self, n: int) -> dict[str, NDArray[Any]]:
        return {
            "hour_index": np.tile(np.repeat(self.hours, n), self.n_feeders),
            "hour": np.tile(np.repeat(self.clock_hours, n), self.n_feeders),
        }

    def _zones(self, times: int) -> dict[str, NDArray[Any]]:
        n_zones = self.record.zone_mw.shape[2]
        return {"zone": np.tile(np.arange(1, n_zones + 1), times * self.n_feeders)}

    def _repeated(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.tile(values, self.n_hours * self.n_feeders)


def _by_feeder(values: Any) -> Any:
    """(times, K, ...) -> flat, feeder by feeder; what is flat already stays."""
    if values.ndim == 1:
        return values
    return np.ascontiguousarray(np.swapaxes(values, 0, 1)).reshape(-1)


def _last_max(values: FloatArray) -> FloatArray:
    """Largest along the last axis, NaN where there is nothing."""
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    return np.asarray(np.fmax.reduce(values, axis=-1))
