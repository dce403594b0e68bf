"""PV and batteries of the zones in a finished run: the balance, its KPIs and its table.

The balance of a zone, in every time step: load of its bus, EVs and battery, less PV, is drawn from
the feeder where it is above 0 and fed into it where it is below. PV that a voltage limit cuts off
in a load flow is taken off what was fed in, and what is left of it drawn more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray

if TYPE_CHECKING:
    from abm.results.record import Record


@dataclass(frozen=True, eq=False)
class SupplyRecord:
    """Arrays of K feeders with Z zones over F load flows and S steps.

    kwp: peak power of each zone, (Z,). capacity_kwh: of each battery, (Z,). pv_kw_per_kwp: what
    there is of PV, (S,). battery_kw: net power of all batteries of a feeder, (S, K). Of each load
    flow, (F, K, Z) each: charge_mw, discharge_mw of the battery at the grid side, drawn_mw, fed_mw
    of the zone before curtailment, means; curtailed_mw; stored_mwh at its end.
    """

    FLOWS: ClassVar[tuple[str, ...]] = (
        "charge_mw", "discharge_mw", "drawn_mw", "fed_mw", "stored_mwh",
    )  # fmt: skip

    kwp: FloatArray
    capacity_kwh: FloatArray
    pv_kw_per_kwp: FloatArray
    battery_kw: FloatArray
    curtailed_mw: FloatArray
    charge_mw: FloatArray
    discharge_mw: FloatArray
    drawn_mw: FloatArray
    fed_mw: FloatArray
    stored_mwh: FloatArray

    def only(self, k: int) -> SupplyRecord:
        """Of one feeder."""
        own = {name: getattr(self, name)[:, [k]] for name in _BY_FEEDER}
        return replace(self, **own)

    @property
    def there_mw(self) -> FloatArray:
        """PV of each zone before curtailment, mean over each load flow, (F, 1, Z) [MW]."""
        by_flow = self.pv_kw_per_kwp.reshape(len(self.charge_mw), -1).mean(axis=1)
        return np.asarray(by_flow[:, None, None] * self.kwp / 1e3)

    @property
    def pv_mw(self) -> FloatArray:
        """PV of each zone, (F, K, Z) [MW]."""
        return self.there_mw - self.curtailed_mw

    @property
    def exported_mw(self) -> FloatArray:
        """What each zone feeds into the feeder, (F, K, Z) [MW]."""
        return np.maximum(self.fed_mw - self.curtailed_mw, 0.0)

    @property
    def imported_mw(self) -> FloatArray:
        """What each zone draws from the feeder, (F, K, Z) [MW]."""
        return self.drawn_mw + np.maximum(self.curtailed_mw - self.fed_mw, 0.0)

    @property
    def used_mw(self) -> FloatArray:
        """PV that its own zone uses or stores, (F, K, Z) [MW]: what is fed in is PV first."""
        return self.pv_mw - np.minimum(self.pv_mw, self.exported_mw)

    @property
    def net_kw(self) -> FloatArray:
        """Batteries less PV of each feeder, by step, (S, K) [kW]."""
        pv_kw = self.pv_kw_per_kwp * self.kwp.sum()
        curtailed, there = self.curtailed_mw.sum(axis=2), self.there_mw.sum(axis=2)
        # What is curtailed in a load flow is the same share of all its steps.
        cut = np.divide(curtailed, there, out=np.zeros_like(curtailed), where=there > 0.0)
        share = 1.0 - np.repeat(cut, len(pv_kw) // len(cut), axis=0)
        return np.asarray(self.battery_kw - pv_kw[:, None] * share)


_BY_FEEDER = tuple(
    field.name
    for field in fields(SupplyRecord)
    if field.name not in ("kwp", "capacity_kwh", "pv_kw_per_kwp")
)


def join_supplies(parts: Sequence[SupplyRecord]) -> SupplyRecord:
    """Of several groups of feeders as one."""
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts], axis=1) for name in _BY_FEEDER
    }
    return replace(parts[0], **joined)


def supply_columns(record: Record) -> dict[str, NDArray[Any]]:
    """The KPIs of PV and batteries, (K,) each; without any, energies are 0 and shares unknown."""
    n, hours = record.n_feeders, record.flow_min / 60.0
    # As the load flows have it; where one has no solution it is not known which way power went.
    reverse = (record.flows.slack_p_mw < 0.0).sum(axis=0)
    columns: dict[str, NDArray[Any]] = {
        "reverse_flow_hours": reverse if hours == 1.0 else reverse * hours
    }
    if record.supply is None:
        none = {name: np.zeros(n) for name in ENERGIES}
        return {**columns, **none, **shares(none)}
    found = zone_energies(record, record.supply)
    began_kwh = record.scenario.storage.soc_start * record.supply.capacity_kwh
    stored, efficiency = 1e3 * record.supply.stored_mwh[-1], record.scenario.storage.efficiency
    gained = np.ascontiguousarray(stored - began_kwh).sum(axis=1)
    energies = {name: values.sum(axis=1) for name, values in found.items()}
    charged, discharged = (energies[f"storage_{name}_mwh"] for name in ("charged", "discharged"))
    moved = 1e3 * (efficiency * charged - discharged / efficiency)
    energies["storage_balance_error_kwh"] = np.abs(gained - moved)
    return {**columns, **energies, **shares(energies)}


def zone_energies(record: Record, supply: SupplyRecord) -> dict[str, FloatArray]:
    """What each zone had and took over the horizon, (K, Z) each [MWh]."""

    def mwh(values: FloatArray, hours: float = record.flow_min / 60.0) -> FloatArray:
        # Each zone is added up in the same order however many there are.
        return np.asarray(np.ascontiguousarray(values.transpose(1, 2, 0)).sum(axis=2) * hours)

    pv, curtailed = mwh(supply.pv_mw), mwh(supply.curtailed_mw)
    charged, discharged = mwh(supply.charge_mw), mwh(supply.discharge_mw)
    # Load of the zone's bus and what EVs draw, from its balance.
    net = mwh(supply.drawn_mw) - mwh(supply.fed_mw) - charged + discharged
    demand = net + pv + curtailed + mwh(record.zone_discharge_mw, 1.0)
    imported, exported = mwh(supply.imported_mw), mwh(supply.exported_mw)
    found = (
        pv, mwh(supply.used_mw), curtailed, demand, imported, exported, charged, discharged,
    )  # fmt: skip
    return dict(zip(ENERGIES[:-1], found, strict=True))


def zone_columns(record: Record) -> dict[str, NDArray[Any]]:
    """The same as columns of the table of zones [kWh], with their shares; {} without any."""
    if record.supply is None:
        return {}
    found = {name: values.ravel() for name, values in zone_energies(record, record.supply).items()}
    kwh = {name.replace("_mwh", "_kwh"): 1e3 * values for name, values in found.items()}
    return {**kwh, **shares(found)}


ENERGIES = (
    "pv_mwh",
    "pv_used_mwh",
    "pv_curtailed_mwh",
    "zone_demand_mwh",
    "zone_import_mwh",
    "zone_export_mwh",
    "storage_charged_mwh",
    "storage_discharged_mwh",
    "storage_balance_error_kwh",
)


def shares(energies: Mapping[str, Any]) -> dict[str, Any]:
    """Self-consumption and self-sufficiency of energies, of one feeder or of several."""
    with np.errstate(divide="ignore", invalid="ignore"):
        used = np.divide(energies["pv_used_mwh"], energies["pv_mwh"])
        bought = np.divide(energies["zone_import_mwh"], energies["zone_demand_mwh"])
    return {"self_consumption": used, "self_sufficiency": 1.0 - bought}
