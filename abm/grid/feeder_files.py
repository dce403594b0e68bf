"""A feeder as the files of a folder, which `abm.scenario.feeder` reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from abm.grid.building import build_feeder
from abm.grid.sources import as_json
from abm.scenario.feeder_table import FeederTable
from abm.scenario.yamlio import yaml_text


def feeder_files(table: FeederTable) -> Iterator[tuple[str, Any]]:
    """Names and contents; a network that is no table becomes net.json, its switches as they are.

    Raises what `build_feeder` does.
    """
    head: dict[str, Any] = {"description": table.description, "source": table.source}
    shift = table.first_bus - 1
    values = table.values
    if values is not None:
        head |= {
            "vn_kv": values.vn_kv,
            "slack_bus": values.slack_bus + shift,
            "slack_vm_pu": values.slack_vm_pu,
        }
    else:
        head["net"] = "net.json"
    yield "feeder.yaml", yaml_text({**head, "first_bus": table.first_bus})
    labels = table.labels
    zone = [number or None for number in table.zone.tolist()]
    buses: dict[str, Any] = {"bus": table.buses + shift, "customer_class": table.customer_class}
    buses |= {"zone": _whole(zone)}
    if values is not None:
        buses |= {"p_mw": values.p_mw, "q_mvar": values.q_mvar}
    optional = {"customers": table.customers, "name": labels.bus, "x": labels.x, "y": labels.y}
    yield "buses.csv", _frame(buses, optional)
    lines: dict[str, Any] = {"from_bus": table.line_from + shift, "to_bus": table.line_to + shift}
    lines["ampacity_a"] = table.ampacity_a
    if values is not None:
        lines |= {"r_ohm": values.r_ohm, "x_ohm": values.x_ohm}
    is_open = table.is_open.astype(np.int64)
    yield (
        "lines.csv",
        _frame(lines, {"open": is_open, "name": labels.line, "line": table.line_index}),
    )
    if (feeds := table.generation) is not None:
        rows = {"bus": feeds.bus + shift, "generation_class": feeds.kind}
        yield "generation.csv", _frame({**rows, "p_mw": feeds.p_mw, "q_mvar": feeds.q_mvar}, {})
    if values is None:
        yield "net.json", as_json(build_feeder(table).net)


def _whole(numbers: list[int | None]) -> Any:
    import pandas as pd

    return pd.array(numbers, dtype="Int64")


def _frame(columns: dict[str, Any], optional: dict[str, Any]) -> Any:
    """A table; of the optional columns those that say anything."""
    import pandas as pd

    for name, values in optional.items():
        known = values != "" if values.dtype.kind == "U" else ~np.isnan(values.astype(np.float64))
        if len(values) and known.any():
            columns[name] = values
    return pd.DataFrame(columns)
