"""Who sees whom: a CSV of pairs of EVs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError
from abm.scenario.csvio import read_table
from abm.scenario.tables import frozen

COLUMNS = ("ev_a", "ev_b")


def read_edges(path: Path, file: str, n_evs: int | None) -> NDArray[np.int64]:
    """Pairs of EVs of a feeder, counted from 0, (m, 2), each once and the smaller first.

    file: name for problems. n_evs: EVs on a feeder, None when it is not known. Raises InputError
    with all bad rows.
    """
    table = read_table(path, file, COLUMNS, ())
    top = f" to {n_evs}" if n_evs is not None else ""
    words = f"the number of an EV on its feeder, from 1{top}"
    pairs: set[tuple[int, int]] = set()
    for row in table.rows:
        ends: list[int] = []
        for name in COLUMNS:
            number = table.whole(row, name, words)
            if number is None:
                continue
            if number < 1 or (n_evs is not None and number > n_evs):
                table.refuse(row.line, name, row.cells[name], words)
            else:
                ends.append(number - 1)
        if len(ends) == 2 and ends[0] == ends[1]:
            table.refuse(row.line, "ev_b", row.cells["ev_b"], "another EV than ev_a")
        elif len(ends) == 2:
            pairs.add((min(ends), max(ends)))
    if table.problems:
        raise InputError(table.problems)
    return frozen(np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2))
