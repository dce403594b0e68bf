"""What another configuration of the feeder does to a study: the same EVs on both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.equations import FloatArray
from abm.grid import build_feeder
from abm.grid.demand import base_load_of
from abm.grid.feeder import Feeder
from abm.grid.reconfigure import Loads, Reconfiguration, reconfigure
from abm.results import Results
from abm.results.showing import Shown, Tables
from abm.scenario import Scenario
from abm.study.runs import Run, run_once

if TYPE_CHECKING:
    import pandas as pd

# What a configuration changes in a run, in the order in which it is shown.
KPIS = ("loss_energy_mwh", "max_loss_mw", "min_vm_pu", "min_vm_bus", "max_vm_pu",
        "max_line_loading_percent", "max_line_loading_line", "max_transformer_loading_percent",
        "violations", "violation_hours", "system_peak_mw", "feeder_energy_mwh", "net_cost_usd",
        "evs_short", "nonconverged_hours")  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class ReconfigurationStudy(Shown):
    """A scenario before and after; what was looked for is the least loss of these load flows."""

    change: Reconfiguration
    before: Run
    after: Run
    loads: str

    @property
    def scenario(self) -> Scenario:
        """What was studied."""
        return self.before.results.record.scenario

    @cached_property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """`kpis`: before, after and the change; `lines`: which are open."""
        return Tables(kpis=kpi_table(self), lines=line_table(self.change))

    @cached_property
    def kpis(self) -> dict[str, Any]:
        """KPIs before and after."""
        return {"before": self.before.results.kpis, "after": self.after.results.kpis}

    def _placed(self, where: Path) -> ReconfigurationStudy:
        """With the feeder in the folder, so that the run after it finds it there again."""
        record = self.after.results.record
        place = str((where / "feeder").resolve())
        studied = record.scenario.on_feeder(self.change.after, place)
        results = Results(replace(record, scenario=studied), self.after.results.wall_s)
        return replace(self, after=replace(self.after, results=results))


def loads_of(scenario: Scenario, kind: str) -> Loads | None:
    """Load flows whose loss is to be least: "nominal", or "base", the hours without EVs."""
    if kind == "nominal":
        return None

    def hours(feeder: Feeder) -> tuple[FloatArray, FloatArray]:
        base = base_load_of(scenario, feeder)
        begin_s = np.arange(scenario.hours) * 3600
        p_mw, q_mvar = base.mean_p_mw(begin_s, 3600), base.mean_q_mvar(begin_s, 3600)
        return p_mw[:, 0], q_mvar[:, 0]

    return hours


def reconfiguration_study(
    scenario: Scenario,
    kind: str,
    folder: str,
    on_hour: Callable[[], None] | None = None,
) -> ReconfigurationStudy:
    """Find the configuration and run the scenario before and after.

    kind: see `loads_of`. folder: where the new feeder is going to be. Raises what `reconfigure` and
    `run_once` do.
    """
    change = reconfigure(scenario.inputs.feeder, loads_of(scenario, kind))
    change = replace(change, after=replace(change.after, name=f"{change.before.name}-least-loss"))
    build_feeder(change.after)
    before = run_once(scenario, on_hour)
    after = run_once(scenario.on_feeder(change.after, folder), on_hour)
    return ReconfigurationStudy(change, before, after, kind)


def kpi_table(study: ReconfigurationStudy) -> pd.DataFrame:
    """KPIs beside each other: kpi, before, after, change."""
    import pandas as pd

    before, after = study.before.results.kpis, study.after.results.kpis
    rows = []
    for name in KPIS:
        if before.get(name) is None and after.get(name) is None:
            continue
        one, other = before[name], after[name]
        numbers = isinstance(one, int | float) and isinstance(other, int | float)
        change = other - one if numbers and not name.endswith("_bus") else None
        rows.append({"kpi": name, "before": one, "after": other, "change": change})
    return pd.DataFrame(rows).astype(object)


def line_table(change: Reconfiguration) -> pd.DataFrame:
    """All lines: line, its buses and name, open before and after."""
    import pandas as pd

    table, first = change.before, change.before.first_bus - 1
    columns = {
        "line": change.names(np.arange(len(table.line_from))),
        "from_bus": table.line_from + first,
        "to_bus": table.line_to + first,
        "open_before": table.is_open,
        "open_after": change.after.is_open,
    }
    if len(table.labels.line):
        columns["line_name"] = table.labels.line
    return pd.DataFrame(columns)
