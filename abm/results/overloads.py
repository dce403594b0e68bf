"""When the demand of a feeder was above its limit, by the quarter of an hour."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from abm.results.record import Record

WINDOW_MIN = 15.0


def overload_columns(record: Record) -> dict[str, NDArray[Any]]:
    """Hours above the limit and how many spells they make, of each feeder, (K,)."""
    demand = record.demand_mw(WINDOW_MIN)
    above = demand > record.limit_mw(WINDOW_MIN)[:, None] + 1e-9
    begins = above.copy()
    begins[1:] &= ~above[:-1]
    return {
        "overload_hours": above.sum(axis=0) * (record.window_s(WINDOW_MIN) / 3600.0),
        "overloads": begins.sum(axis=0),
    }
