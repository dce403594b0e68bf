"""Stays as measured ones are: arrival, duration and energy drawn together, of a fleet without SoC.

Every field says its unit; `docs/scenario.md` is generated from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import Field

from abm.scenario.csvio import NUMBER, WHOLE, CsvRow, Table, frozen, read_table
from abm.scenario.fields import Allowed, Fraction, Section, Spread

KINDS_OF_DAY = ("weekday", "weekend")
# How far the probability of a step may be from that of the others.
UNEVEN = 1e-3


class DayStays(Section):
    """Stays that begin on one kind of day."""

    sessions_per_day: Fraction = Field(
        1.0, description="Probability that an EV plugs in on a day; -."
    )
    arrival_h: Spread = Field(
        Spread(low=0.0, high=24.0, mean=18.0, sd=2.0), description="Arrival; h of the day, 0 to 24."
    )
    duration_h: Spread = Field(
        Spread(low=0.0, high=72.0, mean=12.0, sd=4.0), description="How long it is plugged in; h."
    )
    energy_kwh: Spread = Field(
        Spread(low=0.0, high=80.0, mean=10.0, sd=6.0),
        description="Energy it asks for, at the grid side; kWh. What its charger cannot deliver while it is plugged in is not asked for.",
    )


class MeasuredStays(Section):
    """Stays by their energy, of one day or of all days of the horizon, as `sessions fit` writes them."""

    weekday: DayStays = Field(DayStays(), description="Stays that begin from Monday to Friday.")
    weekend: DayStays | None = Field(
        None, description="Those of Saturdays, Sundays and holidays; as on weekdays if left out."
    )
    dependence: str | None = Field(
        None,
        description="CSV of how arrival, duration and energy go together, an empirical copula; left out: each is drawn by itself.",
    )


class DependenceRow(CsvRow):
    """How often ranks of arrival, duration and energy come together."""

    day: Annotated[Literal["weekday", "weekend"] | None, Allowed("weekday or weekend")] = Field(
        description="Kind of day on which the stay begins."
    )
    arrival: Annotated[int | None, Ge(1), WHOLE] = Field(
        description="Step of the arrival among all arrivals, from 1; all steps are equally likely."
    )
    duration: Annotated[int | None, Ge(1), WHOLE] = Field(description="Step of the duration.")
    energy: Annotated[int | None, Ge(1), WHOLE] = Field(description="Step of the energy.")
    probability: Annotated[float | None, Ge(0), NUMBER] = Field(
        description="Probability of the three steps together, or how often they were seen."
    )


@dataclass(frozen=True, eq=False)
class Copula:
    """Steps of arrival, duration and energy that come together, on one kind of day.

    steps: how many there are of each. cell: which steps, from 0, (m, 3). below: probability of the
    cells up to and with each, (m,).
    """

    steps: int
    cell: NDArray[np.int64]
    below: NDArray[np.float64]

    def together(self, u: NDArray[np.float64], within: NDArray[np.float64]) -> NDArray[np.float64]:
        """Uniforms that go together, (n, 3), from independent ones, u (n,) and within (n, 3)."""
        at = np.minimum(np.searchsorted(self.below, u, side="right"), len(self.below) - 1)
        return np.asarray((self.cell[at] + within) / self.steps)


def read_dependence(path: Path, file: str) -> dict[str, Copula]:
    """Copulas by kind of day. file: name for problems. Raises InputError."""
    table = read_table(path, file, DependenceRow)
    table.check()
    found = {}
    for kind in KINDS_OF_DAY:
        rows = [row for row in table.rows if row.day == kind]
        if rows:
            found[kind] = _copula(table, rows, kind)
    if "weekday" not in found:
        table.note(None, "day", "", "at least one row of a weekday")
    table.check()
    return found


def _copula(table: Table[DependenceRow], rows: list[DependenceRow], kind: str) -> Copula:
    names = ("arrival", "duration", "energy")
    cell = np.array([[getattr(row, name) for name in names] for row in rows], dtype=np.int64) - 1
    weight = np.array([row.probability for row in rows], dtype=np.float64)
    steps = int(cell.max()) + 1
    total = float(weight.sum())
    if total <= 0.0:
        table.note(None, "probability", f"{total:g}", f"a sum above 0, of {kind}s")
        return Copula(steps, frozen(cell), frozen(weight))
    for name, step in zip(names, cell.T, strict=True):
        share = np.bincount(step, weights=weight, minlength=steps) / total
        off = int(np.abs(share - 1.0 / steps).argmax())
        if abs(share[off] - 1.0 / steps) > UNEVEN:
            said = f"{steps} equally likely steps on {kind}s; step {off + 1} has {share[off]:.4g}"
            table.note(None, name, "", said)
    return Copula(steps, frozen(cell), frozen(np.cumsum(weight) / total))
