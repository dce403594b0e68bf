"""Tables and KPIs of a run, made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray, IntArray
from abm.grid import PowerFlow
from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.results import day_tables, tables
from abm.results.balance_table import balance_table
from abm.results.city import city_kpis
from abm.results.flows import OF_FLOWS, has_flow_tables
from abm.results.homes import homes_table
from abm.results.kpis import kpi_columns, kpi_dict
from abm.results.own_kpis import of_all_feeders, own_columns, own_kpis
from abm.results.record import Record
from abm.results.showing import LazyTables, Shown
from abm.results.so_far import NOT_YET
from abm.results.transformers import transformer_heat_table, transformer_table
from abm.results.violations import violation_table
from abm.scenario import Scenario
from abm.scenario.kpi import Kpi

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Stored:
    """What a folder of results says.

    own: names of the user's own among the KPIs. label: what it calls the strategy. missing: as in
    `Shown`.
    """

    kpis: Mapping[str, Any] | None = None
    own: tuple[str, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    label: str | None = None
    missing: tuple[str, ...] = ()


class Results(Shown):
    """What happened on a feeder, or on K copies of it.

    `kpis` is a flat dict (of all feeders together), `kpi_columns` has arrays over the feeders; the
    tables are pandas DataFrames: `hourly`, `zone_minute`, `zone_hour`, `ev`, `bus_hour`,
    `line_hour`, `transformer_hour`, `transformers`, `transformer_heat`, `violations`, `zones`, with
    a column `feeder`, from 1, in front where there are several. Hours are clock hours 0-23 (`hour`)
    with a running index (`hour_index`) beside them, and where load flows are of parts of an hour
    (`grid.flow_interval_min`) the `minute` in it; buses, lines, transformers and zones are numbered
    from 1, as in the paper. wall_s: seconds that the run took, None where that is not known.
    stored: of a folder that was loaded, what is in it; label: what that calls the strategy.
    """

    def __init__(
        self, record: Record, wall_s: float | None = None, stored: Stored | None = None
    ) -> None:
        self.record, self.wall_s = record, wall_s
        self._stored = stored or Stored()
        self.label = self._stored.label
        self.n_hours, self.n_feeders = record.n_hours, record.n_feeders
        self.hours: IntArray = np.arange(record.n_hours)
        self.clock_hours = record.clock_hours

    @property
    def scenario(self) -> Scenario:
        """What was run."""
        return self.record.scenario

    @property
    def missing(self) -> tuple[str, ...]:
        """Of results that were loaded, what cannot be had any more, in sentences."""
        return self._stored.missing

    def of(self, feeder: int) -> Results:
        """Results of one copy of the feeder, counted from 0."""
        return Results(self.record.only(feeder))

    # --- arrays of the first feeder ------------------------------------------------------------

    @property
    def base_mw(self) -> FloatArray:
        """Demand without EVs, (n_hours,) [MW]."""
        return self.record.base_mw[:, 0]

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
        """The load flows, one row each: per hour, or per part of it."""
        return self.record.flows.each(lambda values: values[:, 0])

    @property
    def soc_departure(self) -> FloatArray:
        """SoC each EV left with, (n_evs,); of the horizon's end where it is still plugged in."""
        ev = self.record.ev
        return np.where(np.isnan(ev["soc_departure"]), ev["soc"], ev["soc_departure"])

    @property
    def reference_cost_usd(self) -> FloatArray:
        """Cost of each EV's stays if it charged at once on arrival, (n_evs,) [$]."""
        return self.record.reference_cost_usd

    # --- indicators ----------------------------------------------------------------------------

    @cached_property
    def kpi_columns(self) -> dict[str, NDArray[Any]]:
        """All indicators by name, one value per feeder; the user's own come last.

        Raises PluginError where one of those raises, InputError where it gives no number.
        """
        found = kpi_columns(self.record)
        if self.record.hours_closed is not None:
            found |= dict.fromkeys(NOT_YET, np.full(self.n_feeders, np.nan))
        return found | own_columns(self.own_kpis, self.n_feeders, self._without_own)

    @cached_property
    def own_kpis(self) -> dict[str, Kpi]:
        """KPIs of the user's own that are among the KPIs, by name. Raises InputError."""
        return own_kpis(self.record.scenario)

    @property
    def own_names(self) -> tuple[str, ...]:
        """Names of the user's own among the KPIs, of a folder that was loaded as well."""
        return self._stored.own if self._stored.kpis is not None else tuple(self.own_kpis)

    def _without_own(self, feeder: int) -> Results:
        """Results of one feeder as a KPI of the user's own sees them, which may change them."""
        found = Results(self.record if self.n_feeders == 1 else self.record.only(feeder))
        found.own_kpis = {}
        return found

    @cached_property
    def kpis(self) -> dict[str, Any]:
        """All indicators, of all feeders together; units in the names, None where undefined."""
        if self._stored.kpis is not None:
            return dict(self._stored.kpis)
        if self.n_feeders == 1:
            return kpi_dict(self.kpi_columns, 0)
        columns = self.kpi_columns
        return city_kpis(self.record, columns) | of_all_feeders(self.own_kpis, columns)

    # --- tables --------------------------------------------------------------------------------

    @cached_property
    def table_names(self) -> tuple[str, ...]:
        """Names of the tables that its folder has."""
        record, scenario = self.record, self.record.scenario
        names = ["hourly", "ev", "bus_hour", "line_hour", "violations", "zones"]
        names.append("zone_minute" if self.has_minutes else "zone_hour")
        if record.feeder.network.transformers.names:
            names.append("transformer_hour")
        if record.heat is not None:
            names += ["transformers", "transformer_heat"]
        if self.has_homes:
            names.append("homes")
        if self.has_balance:
            names.append("zone_balance")
        if record.n_days > 1:
            names.append("days")
        if record.n_days > 1 or int(record.n_evs.sum()) < len(record.ev["zone"]):
            names.append("stays")
        if scenario.owners.groups:
            names.append("groups")
        if self.n_feeders > 1:
            names.append("feeders")
        elements = record.feeder.n_bus + record.feeder.n_line
        if not has_flow_tables(scenario, elements, record.n_feeders):
            names = [name for name in names if name not in OF_FLOWS]
        return tuple(names)

    @property
    def tables(self) -> LazyTables:
        """The tables that its folder has, by name, each made when it is asked for."""
        return LazyTables(self.table_names, lambda name: getattr(self, name))

    def _table(self, name: str, make: Callable[[Record], pd.DataFrame]) -> pd.DataFrame:
        """A table of the record, or of the folder that was loaded."""
        stored = self._stored.tables
        return stored[name] if name in stored else make(self.record)

    @cached_property
    def hourly(self) -> pd.DataFrame:
        """One row per hour: demand, losses, voltages, price, headroom."""
        return self._table("hourly", tables.hourly_table)

    @property
    def has_minutes(self) -> bool:
        """Whether power by minute and zone was recorded."""
        return self.record.minute_charge_kw is not None

    @cached_property
    def zone_minute(self) -> pd.DataFrame:
        """One row per step and zone: net, charging and discharging power, EVs plugged in.

        RuntimeError where minutes were not recorded (`record.zone_minute` in the scenario).
        """
        return self._table("zone_minute", tables.zone_minute_table)

    @cached_property
    def zone_hour(self) -> pd.DataFrame:
        """One row per hour and zone: mean net, charging, discharging power, EVs plugged in."""
        return self._table("zone_hour", tables.zone_hour_table)

    @cached_property
    def ev(self) -> pd.DataFrame:
        """One row per EV, in the order of the session file or the sample."""
        return self._table("ev", tables.ev_table)

    @cached_property
    def bus_hour(self) -> pd.DataFrame:
        """One row per load flow and bus: voltage and load."""
        return self._table("bus_hour", tables.bus_hour_table)

    @cached_property
    def line_hour(self) -> pd.DataFrame:
        """One row per load flow and line: current, loading, loss."""
        return self._table("line_hour", tables.line_hour_table)

    @cached_property
    def transformer_hour(self) -> pd.DataFrame:
        """One row per load flow and transformer: loading; none on a feeder without transformers."""
        return self._table("transformer_hour", tables.transformer_hour_table)

    @cached_property
    def transformers(self) -> pd.DataFrame:
        """One row per transformer: loading, hot spot, loss of life (`transformers.cooling`)."""
        return self._table("transformers", transformer_table)

    @cached_property
    def transformer_heat(self) -> pd.DataFrame:
        """One row per hour and transformer: loading, top oil, hot spot, loss of life."""
        return self._table("transformer_heat", transformer_heat_table)

    @cached_property
    def violations(self) -> pd.DataFrame:
        """One row per element and span of load flows that break its limit: when, and the worst."""
        return self._table("violations", violation_table)

    @property
    def has_homes(self) -> bool:
        """Whether the feeder has three phases."""
        return isinstance(self.record.feeder, ThreePhaseFeeder)

    @cached_property
    def homes(self) -> pd.DataFrame:
        """One row per home of a three-phase feeder, else RuntimeError: voltage, EVs."""
        return self._table("homes", homes_table)

    @property
    def has_balance(self) -> bool:
        """Whether zones have PV, batteries or chargers with reactive power."""
        return self.record.supply is not None or bool(self.record.flow_zone_mvar.any())

    @cached_property
    def zone_balance(self) -> pd.DataFrame:
        """One row per load flow and zone: load, EVs, PV, battery, what is drawn and fed in."""
        return self._table("zone_balance", balance_table)

    @cached_property
    def days(self) -> pd.DataFrame:
        """One row per day: who plugged in and took part, energy, money, what was missing, peak."""
        return self._table("days", day_tables.day_table)

    @cached_property
    def stays(self) -> pd.DataFrame:
        """One row per EV and day, in the order of days and of the table `ev`."""
        return self._table("stays", day_tables.stay_table)

    @cached_property
    def groups(self) -> pd.DataFrame:
        """One row per group of owners: energy, money, what was missing."""
        return self._table("groups", day_tables.group_table)

    @cached_property
    def zones(self) -> pd.DataFrame:
        """One row per RPZ: energy, cost, EVs short, peak."""
        return self._table("zones", tables.zones_table)

    @cached_property
    def feeders(self) -> pd.DataFrame:
        """One row per feeder with all its KPIs."""
        return self._table("feeders", lambda record: tables.feeder_table(record, self.kpi_columns))


class OfResults(Shown):
    """An outcome that is the results of one run, and something beside them."""

    results: Results

    @property
    def scenario(self) -> Scenario:
        """What was run."""
        return self.results.scenario

    @property
    def tables(self) -> LazyTables:
        """The tables of the run."""
        return self.results.tables

    @property
    def kpis(self) -> dict[str, Any]:
        """The KPIs of the run."""
        return self.results.kpis

    @property
    def missing(self) -> tuple[str, ...]:
        """What cannot be had of the run any more, in sentences."""
        return self.results.missing
