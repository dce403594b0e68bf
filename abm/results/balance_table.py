"""The balance of the zones in a finished run: load, EVs, PV, battery, what is drawn and fed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from abm.results.flows import zone_load, zone_net
from abm.results.record import Record
from abm.results.tables import as_frame, by_feeder, flow_times, zone_numbers

if TYPE_CHECKING:
    import pandas as pd


def balance_table(record: Record) -> pd.DataFrame:
    """One row per load flow and zone: what its bus took and gave, means.

    load_kw: of the bus without EVs; ev_kw, ev_kvar: of the chargers; pv_kw: after curtailment;
    curtailed_kw; battery_kw: positive when charging; stored_kwh: at the end; import_kw, export_kw:
    drawn from and fed into the feeder, of every time step by itself, so that both may be above 0.
    """
    supply, none = record.supply, np.zeros_like(record.flow_zone_mvar)
    columns = {
        "load_kw": zone_load(record),
        "ev_kw": zone_net(record),
        "ev_kvar": record.flow_zone_mvar,
        "pv_kw": none if supply is None else supply.pv_mw,
        "curtailed_kw": none if supply is None else supply.curtailed_mw,
        "battery_kw": none if supply is None else supply.charge_mw - supply.discharge_mw,
        "stored_kwh": none if supply is None else supply.stored_mwh,
    }
    if supply is not None:
        columns |= {"import_kw": supply.imported_mw, "export_kw": supply.exported_mw}
    index = {**flow_times(record, none.shape[2]), **zone_numbers(record, len(none))}
    return as_frame(record, index, {name: 1e3 * by_feeder(c) for name, c in columns.items()})
