"""The folders that `reproduce` and `compare` leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from abm.report.bound import write_bound_files
from abm.report.figures import demand_curves, save
from abm.report.paper_figures import paper_figures
from abm.report.run_figures import run_figures
from abm.results.store import MANIFEST, new_folder, versions, write_json, write_run
from abm.scenario import Scenario
from abm.study import Bound, Reproduction, Run
from abm.study.reproduce import run_names

if TYPE_CHECKING:
    import pandas as pd


def write_reproduction(
    study: Reproduction,
    table2: pd.DataFrame,
    table3: pd.DataFrame,
    out: Path,
    force: bool,
    on_part: Callable[[], None],
    more: Mapping[str, pd.DataFrame] | None = None,
) -> None:
    """Write a run folder for each run, the tables and the paper's figures; six parts.

    more: tables besides Tables II and III, by name of the CSV.
    """
    with new_folder(out, force) as folder:
        for key, name in run_names().items():
            run = study.runs[key]
            (folder / name).mkdir()
            write_run(folder / name, run.results, run.wall_s)
            run_figures(run.results, folder / name / "figures")
            on_part()
        for name, table in {"table2": table2, "table3": table3, **(more or {})}.items():
            table.to_csv(folder / f"{name}.csv", index=False)
        paper_figures(study, folder / "figures")
        seed = study.results("base", "as_printed").record.seeds[0]
        runs = list(run_names().values())
        write_json(
            folder / MANIFEST,
            {"study": "reproduce", "seed": seed, "runs": runs, "versions": versions()},
        )
        on_part()


def write_comparison(
    scenario: Scenario,
    runs: Mapping[str, Run],
    table: pd.DataFrame,
    out: Path,
    force: bool,
    bound: Bound | None = None,
) -> None:
    """Write a run folder for each strategy and the bound, comparison.csv and the curves' figure."""
    with new_folder(out, force) as folder:
        for name, run in runs.items():
            (folder / name).mkdir()
            write_run(folder / name, run.results, run.wall_s)
        if bound is not None:
            (folder / bound.label).mkdir()
            write_bound_files(bound, folder / bound.label)
        table.to_csv(folder / "comparison.csv", index=False)
        (folder / "figures").mkdir()
        results = {name: run.results for name, run in runs.items()}
        title = f"System demand by strategy: {scenario.name}"
        copies = scenario.feeder.copies
        of_whom = "" if copies == 1 else f", mean of {copies} feeders"
        ylabel = f"Mean power of the hour (MW){of_whom}"
        least = None if bound is None else bound.results
        curves = demand_curves(title, results, ylabel, least)
        save(curves, folder / "figures" / "demand.png")
        write_json(
            folder / MANIFEST,
            {
                "study": "compare",
                "scenario": scenario.name,
                "seed": scenario.seed,
                "strategies": list(runs),
                "bound": bound is not None,
                "versions": versions(),
            },
        )
