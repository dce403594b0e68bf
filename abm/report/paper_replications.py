"""What `reproduce --replications` prints: Tables II and III with how sure each number is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from abm.report.ensemble import new_table, show
from abm.report.terminal import CASE_NAMES, DIGITS, READINGS, UNITS, number, print_lines
from abm.study.paper_replications import RUNS

if TYPE_CHECKING:
    import pandas as pd

MONEY_NAMES = {"g2v_cost": "G2V cost", "evms_net_cost": "EVMS net cost", "benefit": "Benefit"}
READING_NAMES = {"as_printed": "as printed", "energy_balanced": "energy-balanced"}


def print_paper_replications(table2: pd.DataFrame, table3: pd.DataFrame) -> None:
    """Mean and interval beside the paper's number; of Table III the totals."""
    n = int(table2["n"].max())
    rows = [
        (f"{UNITS[row['quantity']]} ({row['unit']})", CASE_NAMES[row["case"]], row)
        for row in table2.to_dict("records")
        if (row["case"], row["reading"]) in RUNS
    ]
    _print(f"Table II over {n} replications", rows)
    totals = table3[table3["zone"] == "total"].to_dict("records")
    rows = [(f"{MONEY_NAMES[row['quantity']]} ($)", "", row) for row in totals]
    _print(f"Table III over {n} replications, all zones", rows)
    lines = ["Inside: the paper's number lies in the 95 % prediction interval of one run."]
    zones = table3[table3["zone"] != "total"]
    for reading in READINGS:
        mine = zones[zones["reading"] == reading]
        inside = sum(value is True for value in mine["paper_inside"].to_list())
        lines.append(
            f"Of the {len(mine)} numbers of zones, {READING_NAMES[reading]}, {inside} are inside."
        )
    print_lines(lines)


def _print(title: str, rows: list[tuple[str, str, Any]]) -> None:
    columns = ("paper", "mean", "95 % interval", "inside")
    table = new_table(title, ("Quantity", "Case", "Reading"), columns)
    last = ("", "")
    for i, (quantity, case, row) in enumerate(rows):
        digits = DIGITS[row["unit"]]
        low, high = (number(row[name], digits) for name in ("ci95_low", "ci95_high"))
        table.add_row(
            quantity if quantity != last[0] else "",
            case if (quantity, case) != last else "",
            READING_NAMES[row["reading"]] if case != CASE_NAMES["base"] else "",
            number(row["paper"], digits),
            number(row["mean"], digits),
            f"{low} .. {high}",
            {True: "yes", False: "no"}.get(row["paper_inside"], "-"),
            end_section=i + 1 < len(rows) and rows[i + 1][0] != quantity,
        )
        last = (quantity, case)
    show(table)
