"""What `bound` says, draws and leaves on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from abm.report.run_figures import city_figures, run_figures
from abm.results.store import new_folder, write_json, write_run
from abm.study.compare import GAP

if TYPE_CHECKING:
    import pandas as pd

    from abm.study.bound import Bound

NAMED_EVS = 10
# Gaps smaller than this are the room that the bound's own solver has, %.
GAP_ROUNDING = 1e-4
AS_PRINTED = (
    "The scenario's requirement is as_printed; the bound is energy-balanced all the same: every EV "
    "leaves with soc_target."
)


def write_bound(bound: Bound, out: Path, force: bool, figures: bool) -> None:
    """Write a run folder with `bound.json`: objective, programme, status, EVs out of reach."""
    with new_folder(out, force) as folder:
        write_bound_files(bound, folder)
        if figures:
            if bound.results.n_feeders == 1:
                run_figures(bound.results, folder / "figures", bound.label, bound.limit_mw)
            else:
                city_figures(bound.results, folder / "figures", bound.label)


def write_bound_files(bound: Bound, folder: Path) -> None:
    """The files of a run folder and `bound.json`, into an existing folder."""
    write_run(folder, bound.results, bound.wall_s, bound.label)
    write_json(folder / "bound.json", bound.summary())


def comparison_lines(bound: Bound, table: pd.DataFrame) -> list[str]:
    """What there is to say of a bound in a comparison, in sentences."""
    lines = []
    below = list(table.loc[table[GAP] < -GAP_ROUNDING, "strategy"])
    if below:
        lines.append(
            f"{', '.join(below)}: below the bound, which gives every EV its target; these leave "
            "EVs short of it, or charge to another one."
        )
    if bound.results.record.scenario.requirement.kind == "as_printed":
        lines.append(AS_PRINTED)
    return [*lines, *unreachable_lines(bound.unreachable)]


def bound_lines(bound: Bound) -> list[str]:
    """What there is to say of a bound beside its KPIs, in sentences."""
    solved = [feeder for feeder in bound.feeders if feeder.phases]
    if not solved:
        return ["No EV is ever plugged in: there is nothing to optimise."]
    of_whom = "" if len(bound.feeders) == 1 else ", mean of the feeders"
    before = np.mean([feeder.peak_before_mw for feeder in solved])
    after = [f.lowest_peak_mw for f in solved if f.lowest_peak_mw is not None]
    least = f", {np.mean(after):.3f} MW at the least" if after else ""
    states = dict.fromkeys(p.status for feeder in solved for p in feeder.phases.values())
    programmes = "Linear programme" if len(solved) == 1 else f"{len(solved)} programmes, the first"
    size = solved[0].size
    lines = [
        f"Highest demand while EVs are plugged in{of_whom}: {before:.3f} MW without their "
        f"power{least}.",
        f"{programmes} of {size['columns']} columns and {size['rows']} rows, steps of "
        f"{bound.step_min} min: {'; '.join(states)}; {bound.solver_s:.1f} s in HiGHS, "
        f"{bound.wall_s:.1f} s in all.",
    ]
    if bound.results.record.scenario.requirement.kind == "as_printed":
        lines.append(AS_PRINTED)
    return [*lines, *unreachable_lines(bound.unreachable)]


def unreachable_lines(unreachable: pd.DataFrame) -> list[str]:
    """One sentence naming the EVs that cannot reach soc_target, and by how much; none if all can.

    The first ten are named.
    """
    n = len(unreachable)
    if not n:
        return []
    several = bool((unreachable["feeder"] > 1).any())
    named = []
    for ev in unreachable.head(NAMED_EVS).to_dict("records"):
        where = f"feeder {ev['feeder']}, zone {ev['zone']}" if several else f"zone {ev['zone']}"
        named.append(f"EV {ev['ev_id']} ({where}) by {ev['lacks_kwh']:.3g} kWh")
    more = f", and {n - NAMED_EVS} more" if n > NAMED_EVS else ""
    who = "1 EV cannot reach its" if n == 1 else f"{n} EVs cannot reach their"
    return [f"{who} target even charging all the time: {', '.join(named)}{more}."]
