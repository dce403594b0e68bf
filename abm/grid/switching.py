"""Lines of a net as lines.csv has them: which is which, their ratings, and which are open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from abm.equations import IntArray
from abm.errors import Problem

if TYPE_CHECKING:
    from abm.scenario.feeder_table import FeederTable

# Ratings from here on stand for one that nobody knows, such as pandapower's 99999 kA.
UNKNOWN_KA = 9999.0
# The same of transformers, which may be in kVA by mistake: what pandapower makes of none.
UNKNOWN_MVA = 99_999.0


def ends_of(table: FeederTable, row: int) -> str:
    """A row of lines.csv by its buses, such as N4-N5."""
    shift = table.first_bus - 1
    return f"N{table.line_from[row] + shift}-N{table.line_to[row] + shift}"


def rows_of(net: Any, table: FeederTable, line_index: IntArray) -> IntArray:
    """Row of lines.csv of each of these lines of the net; -1 where it has none."""
    found, _ = lines_of(net, table)
    row = {index: at for at, index in enumerate(found) if index is not None}
    return np.array([row.get(int(index), -1) for index in line_index], dtype=np.int64)


def lines_of(net: Any, table: FeederTable) -> tuple[list[int | None], list[Problem]]:
    """Index in the net of each row of lines.csv, None where there is none; and what is wrong.

    By the column `line`, else by the ends: lines between the same two buses are taken in the order
    of the net.
    """
    ends = {
        int(index): (min(one, other), max(one, other))
        for index, one, other in zip(
            net.line.index, net.line["from_bus"], net.line["to_bus"], strict=True
        )
    }
    between: dict[tuple[int, int], list[int]] = {}
    for index, pair in ends.items():
        between.setdefault(pair, []).append(index)
    found: list[int | None] = []
    problems: list[Problem] = []
    for row, (one, other) in enumerate(zip(table.line_from, table.line_to, strict=True)):
        pair = (int(min(one, other)) - 1, int(max(one, other)) - 1)
        if len(table.line_index):
            named = int(table.line_index[row])
            at = named if ends.get(named) == pair else None
            wanted = f"line {named} of the net, with its ends"
        else:
            free = between.get(pair)
            at = free.pop(0) if free else None
            wanted = "a line of the net, once" if free is not None else "a line of the net"
        if at is None:
            problems.append(Problem("feeder.lines", ends_of(table, row), wanted))
        found.append(at)
    return found, problems


def write_ampacities(net: Any, table: FeederTable) -> list[Problem]:
    """Write the table's ampacities to net.line.max_i_ka; problems for lines the net does not have.

    Where neither knows it max_i_ka becomes NaN.
    """
    found, problems = lines_of(net, table)
    max_i_ka = net.line["max_i_ka"].astype(float)
    max_i_ka[max_i_ka >= UNKNOWN_KA] = np.nan
    systems = net.line["df"] * net.line["parallel"]
    for row, (index, ampacity) in enumerate(zip(found, table.ampacity_a, strict=True)):
        if index is not None and ampacity <= 0.0:
            said = f"{ampacity:g} ({ends_of(table, row)})"
            problems.append(Problem("feeder.ampacity_a", said, "A, above 0"))
        elif index is not None and not np.isnan(ampacity):
            max_i_ka[index] = ampacity / 1e3 / systems[index]
    net.line["max_i_ka"] = max_i_ka
    return problems


def amperes_of(line: Any) -> Any:
    """Rating of each row of net.line, A, its parallel systems together."""
    systems = line["df"].astype(float) * line["parallel"].astype(float)
    return 1e3 * line["max_i_ka"].astype(float) * systems


def open_lines(net: Any) -> set[int]:
    """Indices of the lines of a net that are out of service or open at an end."""
    switches = net.switch[(net.switch["et"] == "l") & ~net.switch["closed"].astype(bool)]
    out = net.line.index[~net.line["in_service"].astype(bool)]
    return set(map(int, out)) | set(map(int, switches["element"]))


def set_lines(net: Any, table: FeederTable) -> None:
    """Open and close lines of the net as the table says; what already is so is left alone.

    A line that is opened is opened at its first switch, or taken out of service where it has none.
    """
    if not len(table.is_open):
        return
    found, _ = lines_of(net, table)
    now = open_lines(net)
    for index, wanted in zip(found, table.is_open, strict=True):
        if index is None or bool(wanted) == (index in now):
            continue
        own = net.switch.index[(net.switch["et"] == "l") & (net.switch["element"] == index)]
        if not wanted:
            net.line.loc[index, "in_service"] = True
            net.switch.loc[own, "closed"] = True
        elif len(own):
            net.switch.loc[own[0], "closed"] = False
        else:
            net.line.loc[index, "in_service"] = False
