"""Models of EVs that a fleet may be made of: battery and on-board charger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, MinLen
from numpy.typing import NDArray
from pydantic import Field

from abm.scenario.csvio import NUMBER, CsvRow, frozen, read_table


class ModelRow(CsvRow):
    """One model of an EV."""

    model: Annotated[str | None, MinLen(1)] = Field(description="Its name.")
    usable_kwh: Annotated[float | None, Gt(0), NUMBER] = Field(
        description="Battery capacity that can be used; kWh."
    )
    ac_max_kw: Annotated[float | None, Gt(0), NUMBER] = Field(
        description="Rating of its on-board charger; kW."
    )
    weight: Annotated[float | None, Ge(0), NUMBER] = Field(
        1.0, description="How likely it is beside the others; 1 where the column is left out."
    )


@dataclass(frozen=True, eq=False)
class ModelTable:
    """Models of EVs, arrays (m,). below: the probability of those up to and with each."""

    names: tuple[str, ...]
    capacity_kwh: NDArray[np.float64]
    ac_max_kw: NDArray[np.float64]
    below: NDArray[np.float64]

    def drawn(self, u: NDArray[np.float64]) -> NDArray[np.int64]:
        """Which model each of these uniforms is of, (n,)."""
        return np.minimum(np.searchsorted(self.below, u, side="right"), len(self.below) - 1)


def read_models(path: Path, file: str) -> ModelTable:
    """Models from a CSV. file: name for problems. Raises InputError with all bad rows."""
    table = read_table(path, file, ModelRow)
    names = [row.model for row in table.rows]
    table.each_once("model", names, "each once; it is on line {} already")
    table.check()
    weight = table.column("weight", np.float64, 1.0)
    total = float(weight.sum())
    if total <= 0.0:
        table.note(None, "weight", f"{total:g}", "a sum above 0")
        table.check()
    return ModelTable(
        tuple(str(name) for name in names),
        table.column("usable_kwh", np.float64),
        table.column("ac_max_kw", np.float64),
        frozen(np.cumsum(weight) / total),
    )
