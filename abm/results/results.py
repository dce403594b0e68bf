"""Tables and KPIs of a run, made when they are asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray, IntArray
from abm.equations.economics import financial_benefit
from abm.grid import PowerFlow, loading_percent
from abm.results import tables
from abm.results.city import city_kpis, feeder_table
from abm.results.days import day_table, group_table, stay_table
from abm.results.emergence import full_cycles, reference_costs
from abm.results.kpis import kpi_columns, kpi_dict
from abm.results.record import Record

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
        return tables.hourly_table(self)

    @property
    def has_minutes(self) -> bool:
        """Whether power by minute and zone was recorded."""
        return self.record.minute_charge_kw is not None

    @cached_property
    def zone_minute(self) -> pd.DataFrame:
        """One row per step and zone: net, charging and discharging power, EVs plugged in.

        RuntimeError where minutes were not recorded (`record.zone_minute` in the scenario).
        """
        return tables.zone_minute_table(self)

    @cached_property
    def zone_hour(self) -> pd.DataFrame:
        """One row per hour and zone: mean net, charging, discharging power, EVs plugged in."""
        return tables.zone_hour_table(self)

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
        return tables.ev_table(self)

    @cached_property
    def bus_hour(self) -> pd.DataFrame:
        """One row per hour and bus: voltage and load."""
        return tables.bus_hour_table(self)

    @cached_property
    def line_hour(self) -> pd.DataFrame:
        """One row per hour and line: current, loading, loss."""
        return tables.line_hour_table(self)

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
        return tables.zones_table(self)

    @cached_property
    def feeders(self) -> pd.DataFrame:
        """One row per feeder with all its KPIs."""
        return feeder_table(self)
