"""What became of the rows of a file: each that was dropped or repaired, with its line and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, IntArray

DROPPED, REPAIRED = "dropped", "repaired"


@dataclass
class Ledger:
    """Rows by what was done with them and why, in the order in which it was done.

    rows: of the file, below its header. entries: what, why, lines of the file (m,), and the cells
    that it was about, (m,) or none. notes: what was done to the file as a whole, in words.
    """

    rows: int = 0
    entries: list[tuple[str, str, IntArray, NDArray[Any] | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, what: str, why: str, lines: IntArray, cells: NDArray[Any] | None = None) -> None:
        """Rows on these lines were dropped or repaired."""
        if len(lines):
            self.entries.append((what, why, lines, cells))

    def count(self, what: str) -> int:
        """How many rows were dropped; of repairs how many there were."""
        return sum(len(lines) for done, _, lines, _ in self.entries if done == what)

    def summary(self) -> list[tuple[str, str, int, int]]:
        """What, why, how many, and the first line, most of them first; dropped ones lead."""
        found = [(what, why, len(lines), int(lines.min())) for what, why, lines, _ in self.entries]
        return sorted(found, key=lambda entry: (entry[0], -entry[2], entry[1]))

    def write(self, path: Path, mark: str) -> None:
        """A CSV with one row per row that was dropped or repaired: line, what, why, cell.

        mark: the comment that it begins with.
        """
        import pandas as pd

        parts = [
            pd.DataFrame({"line": lines, "what": what, "why": why, "cell": cells})
            for what, why, lines, cells in self.entries
        ]
        empty = pd.DataFrame({"line": [], "what": [], "why": [], "cell": []})
        table = pd.concat(parts) if parts else empty
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(f"{mark}\n")
            table.sort_values("line", kind="stable").to_csv(file, index=False, lineterminator="\n")


@dataclass
class Rows:
    """Columns of one length from which rows are dropped, each time with a reason.

    columns: arrays (n,), among them "line", the line of the file.
    """

    columns: dict[str, NDArray[Any]]
    ledger: Ledger

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __setitem__(self, name: str, values: NDArray[Any]) -> None:
        self.columns[name] = values

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __len__(self) -> int:
        return len(self.columns["line"])

    def drop(self, which: BoolArray, why: str, cell: str = "") -> None:
        """Leave out rows; cell: the column to show."""
        self._note(DROPPED, which, why, cell)
        if which.any():
            self.columns = {name: values[~which] for name, values in self.columns.items()}

    def repaired(self, which: BoolArray, why: str, cell: str = "") -> None:
        """Rows have been repaired."""
        self._note(REPAIRED, which, why, cell)

    def _note(self, what: str, which: BoolArray, why: str, cell: str) -> None:
        cells = self.columns[cell][which] if cell in self.columns else None
        self.ledger.note(what, why, self.columns["line"][which], cells)

    def sort(self, *keys: str) -> None:
        """Put the rows in order, the first key leading."""
        order = np.lexsort([self.columns[name] for name in reversed(keys)])
        self.columns = {name: values[order] for name, values in self.columns.items()}
