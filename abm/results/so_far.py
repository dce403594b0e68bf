"""The record of a run that goes on: what is closed by now, as if the horizon ended there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.results.record import Record
from abm.results.supply import SupplyRecord

# What compares a whole stay, or the life of a battery, with something has no value before the end.
NOT_YET = ("benefit_usd", "benefit_net_usd", "ageing_usd", "ageing_more_usd", "cycle_depth_mean",
           "capacity_loss_percent_per_year", "fairness_benefit_evs",
           "fairness_benefit_zones")  # fmt: skip
BY_HOUR = ("zone_charge_mw", "zone_discharge_mw", "zone_plugged", "plugged_peak", "unsent")
BY_STEP = ("ev_kw", "switched_evs", "minute_charge_kw", "minute_discharge_kw", "minute_plugged")
BY_FLOW = ("flow_zone_mw", "flow_zone_mvar", "flow_point_mw")
OF_FEEDERS = ("soc_lowest", "soc_highest", "below_min", "above_min")


def closed_part(record: Record, hours: int) -> Record:
    """The first hours of a record that was made in the middle of a run, in arrays of its own.

    What is known by EV (energy, money, stays) is of the moment in which the record was made; money
    is booked when a step of the price has ended.
    """
    steps = hours * 3600 // record.scenario.clock.step_s
    flows = hours * record.flows_per_hour
    cut: dict[str, Any] = {}
    for names, last in ((BY_HOUR, hours), (BY_STEP, steps), (BY_FLOW, flows)):
        for name in names:
            values = getattr(record, name)
            cut[name] = None if values is None else values[:last].copy()
    cut |= {name: getattr(record, name).copy() for name in OF_FEEDERS}
    return replace(
        record,
        hours_closed=hours,
        ev=_copies(record.ev),
        stays=_copies(record.stays),
        alpha=None if record.alpha is None else record.alpha.copy(),
        flows=record.flows.each(lambda values: values[:flows].copy()),
        supply=None if record.supply is None else _supply(record.supply, steps, flows),
        **cut,
    )


def _copies(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: np.array(values) for name, values in columns.items()}


def _supply(supply: SupplyRecord, steps: int, flows: int) -> SupplyRecord:
    lengths = {"pv_kw_per_kwp": steps, "battery_kw": steps, "curtailed_mw": flows}
    lengths |= dict.fromkeys(SupplyRecord.FLOWS, flows)
    names = [field.name for field in fields(supply) if field.name in lengths]
    return replace(
        supply, **{name: getattr(supply, name)[: lengths[name]].copy() for name in names}
    )
