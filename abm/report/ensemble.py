"""The folder that `montecarlo` and `sweep` leave, and what they print."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from abm.report.terminal import console, number, print_lines
from abm.results.indicators import kpi_label, mean_digits
from abm.scenario import Scenario
from abm.study.ensemble import Ensemble
from abm.study.folder import StudyFolder
from abm.study.tables import (
    bands_table,
    differences_table,
    replications_table,
    summary_dict,
    summary_table,
)

if TYPE_CHECKING:
    import pandas as pd

# What the terminal shows; the files have all.
MAIN = (
    "system_peak_mw",
    "min_vm_pu",
    "loss_energy_mwh",
    "feeder_energy_mwh",
    "net_cost_usd",
    "evs_short",
    "energy_short_kwh",
)

# More pairs of strategies than this are for the file.
MOST_PAIRS = 3


# --- files -------------------------------------------------------------------------------------


def write_montecarlo(
    ensemble: Ensemble, scenario: Scenario, folder: StudyFolder, began: float
) -> None:
    """Tables, figures and, last, the manifest. began: `time.perf_counter()` at the start."""
    from abm.report.ensemble_figures import ensemble_figures

    bands = bands_table(ensemble)
    folder.write("scenario.yaml", scenario.to_yaml().encode())
    folder.write("replications.parquet", parquet_writer(replications_table(ensemble)))
    folder.write("bands.parquet", lambda path: bands.to_parquet(path, index=False))
    folder.write("summary.csv", csv_bytes(summary_table(ensemble)))
    folder.write("differences.csv", csv_bytes(differences_table(ensemble)))
    folder.write_json("summary.json", summary_dict(ensemble))
    ensemble_figures(ensemble, bands, folder.write)
    write_manifest(ensemble, folder, began)


def write_manifest(ensemble: Ensemble, folder: StudyFolder, began: float) -> None:
    """The last file: what was studied, and how it went."""
    question = folder.question
    names = ("study", "scenario_sha256", "files", "strategies", "seed", "until", "versions")
    folder.write_manifest(
        {
            "scenario": question["scenario"]["name"],
            **{name: question[name] for name in names if name in question},
            "replications": ensemble.n,
            "stopped_early": ensemble.stopped is not None,
            "failed": len(ensemble.failures),
            "lost": ensemble.lost,
            "wall_s": time.perf_counter() - began,
        },
    )


def parquet_writer(table: Any) -> Callable[[Path], None]:
    """A function that writes an Arrow table to a path."""

    def write(path: Path) -> None:
        import pyarrow.parquet as pq

        pq.write_table(table, path)

    return write


def csv_bytes(table: pd.DataFrame) -> bytes:
    """A table as CSV with lines that end alike on every system."""
    return table.to_csv(index=False, lineterminator="\n").encode()


# --- terminal ----------------------------------------------------------------------------------


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if not task.speed else f"{task.speed:.1f}/s")


@contextmanager
def replications_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error with the rate and the time left; called with what has come in."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True), speed_estimate_period=60) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)


def print_ensemble(ensemble: Ensemble, scenario: Scenario) -> None:
    """Mean, sd and interval of the main KPIs by strategy, and the paired differences."""
    rows = summary_table(ensemble).to_dict("records")
    found = {(row["kpi"], row["strategy"]): row for row in rows}
    title = f"{scenario.name}, {ensemble.n} replications, seed {scenario.seed}"
    table = new_table(title, ("Quantity", "Strategy"), ("n", "mean", "sd", "95 % interval"))
    for kpi, name, digits in ((kpi, kpi_label(kpi), mean_digits(kpi)) for kpi in MAIN):
        for i, case in enumerate(ensemble.cases):
            if (kpi, str(case)) not in found:
                continue  # nothing succeeded
            row = found[kpi, str(case)]
            table.add_row(
                name if i == 0 else "",
                str(case),
                f"{row['n']:.0f}",
                number(row["mean"], digits),
                number(row["sd"], digits),
                _interval(row, digits),
                end_section=i == len(ensemble.cases) - 1,
            )
    show(table)
    if len(ensemble.cases) > 1:
        print_differences(differences_table(ensemble))


def print_differences(differences: pd.DataFrame) -> None:
    """Paired differences of the main KPIs, a table for each pair; of many, those to the first."""
    pairs = list(differences.groupby(["strategy", "minus"], sort=False))
    first = differences["minus"].iloc[0]
    shown = [pair for pair in pairs if len(pairs) <= MOST_PAIRS or pair[0][1] == first]
    for (strategy, minus), rows in shown:
        found = {row["kpi"]: row for row in rows.to_dict("records")}
        columns = ("n", "mean", "sd", "95 % interval", "excludes zero")
        table = new_table(f"{strategy} less {minus}, on the same EVs", ("Difference",), columns)
        for kpi, name, digits in ((kpi, kpi_label(kpi), mean_digits(kpi)) for kpi in MAIN):
            if kpi in found:
                row = found[kpi]
                table.add_row(
                    name,
                    str(row["n"]),
                    number(row["mean"], digits),
                    number(row["sd"], digits),
                    _interval(row, digits),
                    "yes" if row["excludes_zero"] else "no",
                )
        show(table)
    if len(shown) < len(pairs):
        print_lines([f"{len(pairs) - len(shown)} more pairs in differences.csv"])


def show(table: Table) -> None:
    """Print a table whole: as wide as it is, even where the terminal is not."""
    out = console()
    wide = Console(highlight=False, width=10_000)
    out.width = max(out.width, wide.measure(table).maximum)
    out.print(table)


def new_table(title: str, words: Iterable[str], numbers: Iterable[str]) -> Table:
    """A table with columns of words, then columns of numbers."""
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for name in words:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _interval(row: Any, digits: int) -> str:
    low, high = (number(row[name], digits) for name in ("ci95_low", "ci95_high"))
    return f"{low} .. {high}"
