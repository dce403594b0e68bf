"""Indicators and tables of the transformers: hot spot, top oil, loss of life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.results.record import Record
from abm.results.tables import as_frame, by_feeder, hour_columns
from abm.results.thermal import Heat

if TYPE_CHECKING:
    import pandas as pd

PLACES = ("max_hot_spot_transformer", "max_hot_spot_hour", "max_loss_of_life_transformer")
HOURS_OVER = "hot_spot_over_transformer_hours"
NUMBERS = (
    "max_hot_spot_c", "max_top_oil_c", "max_loss_of_life_h", "max_loss_of_life_percent",
    "mean_ageing_rate", HOURS_OVER,
)  # fmt: skip


def heat_columns(record: Record) -> dict[str, NDArray[Any]]:
    """The indicators of the transformers, one array over the feeders each, (K,).

    NaN or None where temperatures are not worked out, and where those of any transformer are not
    known throughout.
    """
    n = record.n_feeders
    found: dict[str, NDArray[Any]] = {name: np.full(n, np.nan) for name in NUMBERS}
    found |= {name: np.full(n, None, dtype=object) for name in PLACES}
    heat = record.heat
    if heat is None:
        return found
    names, life_h = transformer_names(record), record.scenario.transformers.normal_life_h
    for k in range(n):
        hot_spot, aged_h = heat.hot_spot_c[:, k], heat.aged_h[:, k].sum(axis=0)
        if np.isnan(aged_h).any():
            continue
        hour, hottest = np.unravel_index(int(hot_spot.argmax()), hot_spot.shape)
        oldest = int(aged_h.argmax())
        found["max_hot_spot_c"][k] = hot_spot[hour, hottest]
        found["max_hot_spot_transformer"][k] = names[hottest]
        found["max_hot_spot_hour"][k] = int(record.clock_hours[hour])
        found["max_top_oil_c"][k] = heat.top_oil_c[:, k].max()
        found["max_loss_of_life_h"][k] = aged_h[oldest]
        found["max_loss_of_life_transformer"][k] = names[oldest]
        found["max_loss_of_life_percent"][k] = 100.0 * aged_h[oldest] / life_h
        found["mean_ageing_rate"][k] = aged_h.mean() / record.n_hours
        found[HOURS_OVER][k] = heat.over_h[:, k].sum()
    return found


def transformer_names(record: Record) -> NDArray[np.object_]:
    """Number and buses of each transformer, (X,)."""
    return np.array(record.feeder.network.transformers.names, dtype=object)


def transformer_table(record: Record) -> pd.DataFrame:
    """One row per transformer: its heat over the horizon; empty cells where it is not known.

    hot_spot_hour_index: hour of the horizon with the highest hot spot, from 0. hours_over: with the
    hot spot above `transformers.hot_spot_limit_c`. ageing_rate: mean, relative to the rated one.
    RuntimeError where temperatures are not worked out.
    """
    import pandas as pd

    heat = _heat(record)
    aged_h = heat.aged_h.sum(axis=0).ravel()
    known = ~np.isnan(aged_h)
    at = pd.array(np.where(known, heat.hot_spot_c.argmax(axis=0).ravel(), 0), dtype="Int64")
    at[~known] = pd.NA
    columns = {
        "mean_load_percent": 100.0 * heat.load.mean(axis=0).ravel(),
        "max_top_oil_c": heat.top_oil_c.max(axis=0).ravel(),
        "max_hot_spot_c": heat.hot_spot_c.max(axis=0).ravel(),
        "hot_spot_hour_index": at,
        "hours_over": heat.over_h.sum(axis=0).ravel(),
        "loss_of_life_h": aged_h,
        "loss_of_life_percent": 100.0 * aged_h / record.scenario.transformers.normal_life_h,
        "ageing_rate": aged_h / record.n_hours,
    }
    names = np.tile(transformer_names(record), record.n_feeders)
    return as_frame(record, {"transformer": names}, columns)


def transformer_heat_table(record: Record) -> pd.DataFrame:
    """One row per hour and transformer: mean loading, highest top oil and hot spot, loss of life.

    load_percent: of the rating that the heat goes by. Empty cells from a load flow without a
    solution on. RuntimeError where temperatures are not worked out.
    """
    heat, names = _heat(record), transformer_names(record)
    return as_frame(
        record,
        {
            **hour_columns(record, len(names)),
            "transformer": np.tile(names, record.n_hours * record.n_feeders),
        },
        {
            "load_percent": 100.0 * by_feeder(heat.load),
            "top_oil_c": by_feeder(heat.top_oil_c),
            "hot_spot_c": by_feeder(heat.hot_spot_c),
            "loss_of_life_h": by_feeder(heat.aged_h),
        },
    )


def _heat(record: Record) -> Heat:
    if record.heat is None:
        raise RuntimeError("no temperatures: set transformers.cooling in the scenario")
    return record.heat
