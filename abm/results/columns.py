"""What stands in each column of each table: unit and meaning, from columns.csv.

The columns that are KPIs are those of indicators.csv; a column that is a field of the scenario, as
in a sweep, means what that field says. docs/tables.md is made of them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from abm.results.indicators import INDICATORS
from abm.scenario.document import field_at


@dataclass(frozen=True)
class TableColumn:
    """A column of a table. table: "" where it is the same in all. unit: "-" for none."""

    table: str
    name: str
    unit: str
    meaning: str


def _read() -> Iterator[TableColumn]:
    with Path(__file__).with_name("columns.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield TableColumn(row["table"], row["name"], row["unit"], row["meaning"])


COLUMNS = {(row.table, row.name): row for row in _read()}
# Tables with a column for each KPI.
OF_KPIS = ("comparison", "feeders", "replications", "sweep", "days", "breakeven")
_CYCLES = re.compile(r"cycles_(\d+)_(\d+)")
OWN = "KPI of the user's own"


def column_of(table: str, name: str) -> TableColumn | None:
    """What stands in a column; None where that is not known, as of a KPI of the user's own."""
    found = COLUMNS.get((table, name))
    if found is None and name in INDICATORS and table in OF_KPIS:
        kpi = INDICATORS[name]
        return TableColumn(table, name, kpi.unit, kpi.meaning)
    found = found or COLUMNS.get(("", name))
    if found is not None:
        return found
    if depth := _CYCLES.fullmatch(name):
        said = f"cycles of the SoC with a depth of {depth[1]} to {depth[2]} % of the capacity"
        return TableColumn(table, name, "-", said)
    field = field_at(tuple(name.split("."))) if "." in name or name == "seed" else None
    return None if field is None else TableColumn(table, name, "-", field.description or "")


def page(text: str) -> str:
    """docs/tables.md with its tables as they are here; the prose stays."""
    start, _, rest = text.partition("<!-- columns -->\n")
    end = rest[rest.index("<!-- end -->") :]
    return f"{start}<!-- columns -->\n\n{_chapters()}\n{end}"


def _chapters() -> str:
    tables = dict.fromkeys(table for table, _ in COLUMNS)
    return "\n".join(
        "\n".join(
            [
                f"### {f'`{table}`' if table else 'In several tables'}",
                "",
                "| column | unit | meaning |",
                "| --- | --- | --- |",
                *(
                    f"| `{row.name}` | {row.unit} | {row.meaning} |"
                    for row in COLUMNS.values()
                    if row.table == table
                ),
                "",
            ]
        )
        for table in tables
    )


def main() -> None:
    """Write the tables of docs/tables.md in the working folder: python -m abm.results.columns."""
    path = Path("docs/tables.md")
    path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
