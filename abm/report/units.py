"""Powers and energies in the terminal: in kilowatts where the demand stays below a megawatt.

Files and figures have the units in their names and on their axes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from abm.results.indicators import indicator, mean_digits
from abm.results.kpis import TIE_MW
from abm.study.compare import FORESIGHT, GAP

KILO = {"MW": "kW", "MWh": "kWh", "Mvarh": "kvarh"}
_UNIT = re.compile(r"\b(MW|MWh|Mvarh)\b")
# The columns of a mean that have its unit.
OF_MEANS = ("mean", "sd", "ci95_low", "ci95_high")


DASH = "-"


def number(value: Any, digits: int, times: float = 1.0) -> str:
    """A number, so many times as large, with fixed digits; a dash for what is not there."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    return f"{times * value:.{digits}f}" if isinstance(value, int | float) else str(value)


def below_a_megawatt(peaks_mw: Iterable[Any]) -> bool:
    """Whether the demands of a table, MW, have three digits that say little."""
    known = [peak for peak in peaks_mw if peak is not None and not math.isnan(peak)]
    return bool(known) and max(known) < 1.0


def in_kilo(text: str) -> str:
    """A label or header with kilo in the place of mega."""
    return _UNIT.sub(lambda found: KILO[found[1]], text)


def scaled(name: str, small: bool) -> tuple[int, float]:
    """Digits after the point of a KPI in the terminal, 0 of what is none, and how many times it."""
    if name in (GAP, FORESIGHT):
        return 2, 1.0
    row = indicator(name)
    if row is None:
        return 0, 1.0
    return (max(1, row.digits - 2), 1e3) if small and row.unit in KILO else (row.digits, 1.0)


def scaled_mean(name: str, row: Mapping[Any, Any], small: bool) -> tuple[Mapping[Any, Any], int]:
    """A row of means of a KPI for the terminal, and digits after the point."""
    _, times = scaled(name, small)
    digits = mean_digits(name)
    if times == 1.0:
        return row, digits
    return {**row, **{of: times * row[of] for of in OF_MEANS}}, max(1, digits - 2)


def tie(small: bool) -> str:
    """Within what demands count as alike."""
    return f"{1e3 * TIE_MW:g} kW" if small else f"{TIE_MW:g} MW"
