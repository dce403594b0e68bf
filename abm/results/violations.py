"""Where and when a limit of the grid was broken: one row per element and span of load flows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, FloatArray
from abm.grid.phase_flow import ThreePhaseFlow
from abm.results.flows import highest_voltage, in_hours
from abm.results.record import Record

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("voltage_low", "voltage_high", "line", "transformer", "not_converged")


@dataclass(frozen=True, eq=False)
class GridLimit:
    """One kind of limit: its elements, in each load flow the value and whether it is broken.

    names: of the elements in the source of the feeder; empty where it has none.
    values, broken: (F, K, M). sign: 1 where a larger value is worse, -1 where a smaller one is.
    """

    kind: str
    elements: Sequence[str]
    names: Sequence[str]
    values: FloatArray
    broken: BoolArray
    limit: float
    unit: str
    sign: float = 1.0


def grid_limits(record: Record) -> Iterator[GridLimit]:
    """The limits in the order of `KINDS`; what is not known (NaN) breaks none."""
    grid, feeder, flows = record.scenario.grid, record.feeder, record.flows
    vm_pu, buses, named = flows.vm_pu, feeder.bus_names, feeder.labels.bus.tolist()
    highest = highest_voltage(record)
    low, high = grid.vm_min_pu, grid.vm_max_pu
    yield GridLimit("voltage_low", buses, named, vm_pu, vm_pu < low, low, "p.u.", -1.0)
    yield GridLimit("voltage_high", buses, named, highest, highest > high, high, "p.u.")
    lines, loading = feeder.line_names, record.loading_percent
    line_names = feeder.labels.line.tolist()
    if isinstance(flows, ThreePhaseFlow) and not loading.shape[2]:
        # Which line it is at each moment is not kept, but how much the highest carries.
        lines, loading = ("the highest of all",), flows.line_percent[:, :, None]
        line_names = []
    loadings: tuple[tuple[str, Sequence[str], list[str], FloatArray], ...] = (
        ("line", lines, line_names, loading),
        ("transformer", feeder.network.transformers.names, [], flows.transformer_percent),
    )
    for kind, elements, names, percent in loadings:
        yield GridLimit(kind, elements, names, percent, percent > 100.0, 100.0, "%")
    failed = ~flows.converged[:, :, None]
    yield GridLimit("not_converged", ("",), (), np.full(failed.shape, np.nan), failed, np.nan, "")


def violation_table(record: Record) -> pd.DataFrame:
    """One row per element and span of load flows in a row that break its limit.

    kind: one of `KINDS`. element: bus, line or transformer; empty where a load flow did not
    converge, which says nothing of any of them and ends every other span. name: what the source of
    the feeder calls it, empty where it has no name. begin_min, end_min: of
    the span, from the start of the horizon; begin, end: the same on the clock. hours: its length.
    worst: the value furthest from the limit, first reached in the load flow that begins at
    worst_min. limit, unit: of both. Elements without a rating have no loading and so no row. Rows
    go feeder by feeder, by begin, kind and element.
    """
    import pandas as pd

    parts = [_spans(limit, order) for order, limit in enumerate(grid_limits(record))]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    keys = ("at", "order", "begin", "feeder")
    rows = np.lexsort([found[name] for name in keys])
    found = {name: values[rows] for name, values in found.items()}
    minutes = {name: found[name] * record.flow_min for name in ("begin", "end", "worst_at")}
    lead = {} if record.n_feeders == 1 else {"feeder": found["feeder"] + 1}
    return pd.DataFrame(
        {
            **lead,
            "kind": pd.Series(np.array(KINDS, dtype=object)[found["order"]], dtype="object"),
            "element": pd.Series(found["element"], dtype="object"),
            "name": pd.Series(found["name"], dtype="object"),
            "begin_min": minutes["begin"],
            "end_min": minutes["end"],
            "begin": _clock(record, minutes["begin"]),
            "end": _clock(record, minutes["end"]),
            "hours": (minutes["end"] - minutes["begin"]) / 60.0,
            "worst": found["worst"],
            "limit": found["limit"],
            "unit": pd.Series(found["unit"], dtype="object"),
            "worst_min": minutes["worst_at"],
        }
    )


def violation_columns(record: Record) -> dict[str, NDArray[Any]]:
    """How many rows the table has of each feeder, and the hours with any of them, (K,) each."""
    spans = np.zeros(record.n_feeders, dtype=np.int64)
    flows = np.zeros(record.flows.converged.shape, dtype=np.bool_)
    for limit in grid_limits(record):
        before = np.concatenate([np.zeros_like(limit.broken[:1]), limit.broken[:-1]])
        spans += (limit.broken & ~before).sum(axis=(0, 2))
        flows |= limit.broken.any(axis=2)
    return {"violations": spans, "violation_hours": in_hours(record, flows.sum(axis=0))}


def _spans(limit: GridLimit, order: int) -> dict[str, NDArray[Any]]:
    """Feeder, place of the element, first and last load flow, and worst value of each span."""
    n_flows, _, n = limit.broken.shape
    # Feeder by feeder, element by element; a column behind keeps them apart.
    broken = np.zeros((limit.broken[0].size, n_flows + 2), dtype=np.int8)
    broken[:, 1:-1] = limit.broken.reshape(n_flows, -1).T
    change = np.diff(broken, axis=1)
    row, begin = np.nonzero(change > 0)
    end = np.nonzero(change < 0)[1]
    values = limit.values.reshape(n_flows, -1)
    worst_at = np.array(
        [
            one + (limit.sign * values[one:other, at]).argmax()
            for at, one, other in zip(row, begin, end, strict=True)
        ],
        dtype=np.int64,
    )
    elements = np.array([*limit.elements, ""], dtype=object)
    names = np.array([*(limit.names or [""] * n), ""], dtype=object)
    many = len(row)
    return {
        "feeder": row // max(n, 1),
        "order": np.full(many, order),
        "at": row % max(n, 1),
        "element": elements[row % max(n, 1)],
        "name": names[row % max(n, 1)],
        "begin": begin,
        "end": end,
        "worst_at": worst_at,
        "worst": values[worst_at, row],
        "limit": np.full(many, limit.limit),
        "unit": np.full(many, limit.unit, dtype=object),
    }


def _clock(record: Record, minutes: NDArray[np.int64]) -> Any:
    """Clock times "HH:MM" of minutes from the start of the horizon."""
    import pandas as pd

    of_day = record.scenario.calendar.clock_of(minutes.astype(np.float64))
    return pd.Series([f"{at // 60:02d}:{at % 60:02d}" for at in of_day.tolist()], dtype="object")
