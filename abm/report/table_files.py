"""The tables of the terminal as files: Markdown, LaTeX with booktabs, CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from functools import singledispatch

from rich.table import Table

from abm.report.breakeven import print_break_even
from abm.report.feeder_terminal import print_reconfiguration
from abm.report.hosting import print_hosting
from abm.report.leaderboard import print_leaderboard
from abm.report.paper_terminal import print_table2, print_table3
from abm.report.printing import printing
from abm.report.study_terminal import print_ensemble, print_paper_replications, print_sweep
from abm.report.terminal import caught, print_comparison, print_days, print_groups, print_kpis
from abm.results import Results
from abm.results.day_tables import days_together
from abm.results.folder import strategy_label
from abm.results.staging import Content
from abm.study.bound import Bound
from abm.study.leaderboard import Leaderboard
from abm.study.outcomes import BreakEven, Comparison, HostingStudy, MonteCarlo, PaperStudy, Sweep
from abm.study.reconfigure import ReconfigurationStudy

# What LaTeX would obey, and how it is written to be seen.
_LATEX = {
    "\\": r"\textbackslash{}",
    **{letter: rf"\{letter}" for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"$<$",
    ">": r"$>$",
}


@singledispatch
def tell(outcome: object) -> None:
    """Print the tables of an outcome as its verb does; nothing of an outcome without tables."""


@tell.register(Results)
def _(outcome: Results) -> None:
    _tell_run(outcome, outcome.label or strategy_label(outcome.record.scenario))


@tell.register(Bound)
def _(outcome: Bound) -> None:
    _tell_run(outcome.results, outcome.label)


def _tell_run(outcome: Results, label: str) -> None:
    scenario = outcome.record.scenario
    title = f"{scenario.name}, {label}, seed {outcome.record.seeds[0]}"
    print_kpis(title, outcome.kpis, scenario.horizon.days, scenario.grid.flow_interval_min)
    if scenario.owners.groups:
        print_groups(outcome.groups)
    if scenario.horizon.days > 1:
        print_days(days_together(outcome.record))


@tell.register(Comparison)
def _(outcome: Comparison) -> None:
    evs = max(run.results.kpis["evs"] for run in outcome.runs.values())
    flow_min = outcome.scenario.grid.flow_interval_min
    print_comparison(outcome.tables["comparison"], evs, flow_min)


@tell.register(MonteCarlo)
def _(outcome: MonteCarlo) -> None:
    print_ensemble(outcome.ensemble, outcome.scenario)


@tell.register(Sweep)
def _(outcome: Sweep) -> None:
    print_sweep(outcome.ensemble, outcome.tables, outcome.ranges, outcome.shown)


@tell.register(HostingStudy)
def _(outcome: HostingStudy) -> None:
    print_hosting(outcome.found)


@tell.register(PaperStudy)
def _(outcome: PaperStudy) -> None:
    tables = outcome.tables
    print_table2(tables["table2"])
    print_table3(tables["table3"])
    if outcome.ensemble is not None:
        print_paper_replications(tables["table2_replications"], tables["table3_replications"])


@tell.register(BreakEven)
def _(outcome: BreakEven) -> None:
    print_break_even(outcome.scenario, outcome.tables["breakeven"], outcome.strategies)


tell.register(Leaderboard, print_leaderboard)
tell.register(ReconfigurationStudy, print_reconfiguration)


def table_files(outcome: object) -> Iterator[tuple[str, Content]]:
    """The tables of an outcome in the formats that were asked for, names and contents.

    `tables.md` and `tables.tex` have all of them; in `tables/` each is a CSV.
    """
    formats = printing().tables
    if not formats:
        return
    with caught() as tables:
        tell(outcome)
    if not tables:
        return
    if "md" in formats:
        yield "tables.md", "\n".join(markdown(table) for table in tables)
    if "latex" in formats:
        yield "tables.tex", "% needs \\usepackage{booktabs}\n" + "\n".join(map(latex, tables))
    if "csv" in formats:
        names = _file_names(tables)
        for name, table in zip(names, tables, strict=True):
            yield f"tables/{name}.csv", comma_separated(table)


def markdown(table: Table) -> str:
    """A table under its title; columns of numbers stand to the right."""
    head, rows, right = _cells(table)
    lines = [f"**{_words(str(table.title or ''))}**", ""]
    lines.append(_md_row(head))
    lines.append(_md_row(["---:" if to_right else "---" for to_right in right]))
    lines += [_md_row(row) for row in rows]
    return "\n".join(lines) + "\n"


def _md_row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def latex(table: Table) -> str:
    """A table environment with a caption, in booktabs; everything that LaTeX obeys is escaped."""
    head, rows, right = _cells(table)
    ends = [row.end_section for row in table.rows]
    lines = [
        r"\begin{table}",
        rf"\caption{{{_escaped(_words(str(table.title or '')))}}}",
        rf"\begin{{tabular}}{{{''.join('r' if to_right else 'l' for to_right in right)}}}",
        r"\toprule",
        _tex_row(head),
        r"\midrule",
    ]
    for i, (row, ends_here) in enumerate(zip(rows, ends, strict=True)):
        lines.append(_tex_row(row))
        if ends_here and i + 1 < len(rows):
            lines.append(r"\midrule")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_escaped, cells)) + r" \\"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def comma_separated(table: Table) -> str:
    """A table as CSV; what stands once above its like is in every row."""
    head, rows, right = _cells(table)
    last = [""] * len(head)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        # Of the first columns alone: what is left blank behind something new is blank.
        named = next((i for i, cell in enumerate(row) if cell or right[i]), len(row))
        last = [*last[:named], *row[named:]]
        writer.writerow(last)
    return out.getvalue()


def _cells(table: Table) -> tuple[list[str], list[list[str]], list[bool]]:
    """Headers in one line, cells by row, and which columns stand to the right."""
    head = [_words(str(column.header)) for column in table.columns]
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return head, rows, [column.justify == "right" for column in table.columns]


def _words(text: str) -> str:
    """Text in one line; a word or field that was broken for the terminal is whole again."""
    return " ".join(re.sub(r"-\n(?=[a-z])|(?<=[a-z]\.)\n(?=\w+(?:\.|$))", "", text).split())


def _file_names(tables: Sequence[Table]) -> list[str]:
    """A name for each table, of the words of its title, none twice."""
    names: list[str] = []
    for table in tables:
        words = re.sub(r"[^a-z0-9]+", "_", _words(str(table.title or "table")).lower()).strip("_")
        name = words[:60].strip("_") or "table"
        names.append(name if name not in names else f"{name}_{len(names) + 1}")
    return names
