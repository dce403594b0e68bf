"""The leaderboard in the terminal."""

from __future__ import annotations

import numpy as np

from abm.report.terminal import new_table, print_lines, show
from abm.report.units import number, plus_minus
from abm.results.indicators import kpi_label, mean_digits
from abm.study.compare import GAP
from abm.study.leaderboard import COST, MEANING, SHORT, SWITCHES, Leaderboard

COLUMNS = {
    GAP: ("above the\nbound %", 1),
    SHORT: ("EVs\nshort %", 1),
    COST: ("net cost\n$ per EV", 2),
    SWITCHES: ("changes of\nmode per EV", 1),
}
WORST = ("most in a\nworld %", 1)


def print_leaderboard(found: Leaderboard) -> None:
    """One row per strategy over all worlds, somebody's own marked; means and 95 % intervals."""
    cases = found.ensemble.cases
    feeders, disturbances = (
        list(dict.fromkeys(case.labels[name] for case in cases))
        for name in ("feeder", "disturbance")
    )
    counts = {"feeder": len(feeders), "disturbance": len(disturbances), "seed": found.ensemble.n}
    how_many = [f"{n} {what}{'' if n == 1 else 's'}" for what, n in counts.items()]
    title = f"{', '.join(how_many)}: means, 95 % interval"
    columns = COLUMNS | {
        name: (kpi_label(name).replace(" (", "\n("), mean_digits(name)) for name in found.besides
    }
    headers = [header for header, _ in columns.values()]
    table = new_table(title, ("strategy",), [headers[0], WORST[0], *headers[1:]])
    for row in found.table.to_dict("records"):
        cells = [
            _interval(row[name], row[f"{name}_low"], row[f"{name}_high"], digits)
            for name, (_, digits) in columns.items()
        ]
        worst = number(row["worst_gap_percent"], WORST[1])
        name = f"{row['strategy']} *" if row["strategy"] in found.mine else str(row["strategy"])
        table.add_row(name, cells[0], worst, *cells[1:])
    show(table)
    said = [f"* {', '.join(found.mine)}: your own.", f"Feeders: {', '.join(feeders)}."]
    said += [f"{name}: {MEANING[name]}." for name in disturbances]
    print_lines(said)


def _interval(mean: float, low: float, high: float, digits: int) -> str:
    """A mean with half the width of its interval, where it has one."""
    if not np.isfinite(low):
        return number(mean, digits)
    return plus_minus(mean, (high - low) / 2.0, digits)
