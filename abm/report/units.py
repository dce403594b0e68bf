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
# No mean has more digits after the point than this.
MOST_DIGITS = 6
# The columns of a mean that have its unit.
OF_MEANS = ("mean", "sd", "ci95_low", "ci95_high")


DASH = "-"


def number(value: Any, digits: int, times: float = 1.0) -> str:
    """A number, so many times as large, with fixed digits; a dash for what is not there.

    What rounds to nothing has no sign.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    return f"{times * value:z.{digits}f}" if isinstance(value, int | float) else str(value)


def dollars(value: float, digits: int = 2) -> str:
    """An amount, its sign before the $, thousands apart."""
    text = f"{value:z,.{digits}f}"
    return f"-${text[1:]}" if text.startswith("-") else f"${text}"


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
    """A row of means of a KPI for the terminal, and digits after the point, by its interval."""
    _, times = scaled(name, small)
    digits = mean_digits(name)
    if times != 1.0:
        row, digits = {**row, **{of: times * row[of] for of in OF_MEANS}}, max(1, digits - 2)
    return row, interval_digits(row, digits)


def interval_digits(row: Mapping[Any, Any], otherwise: int) -> int:
    """Digits that the interval of a row of means supports."""
    return digits_by((row["ci95_high"] - row["ci95_low"]) / 2.0, otherwise)


def digits_by(half: float, otherwise: int) -> int:
    """Digits after the point of a mean whose 95 % interval is so much either way: 3.238 ± 0.001.

    The interval has one digit that counts, two where the first is a 1; otherwise: where there is
    none, or where it is nothing but rounding.
    """
    if not math.isfinite(half) or half <= 0.5 * 10.0**-MOST_DIGITS:
        return otherwise
    place = math.floor(math.log10(half))
    # 0.096 is 0.1 in one digit.
    leading = round(half / 10.0**place, 1)
    return min(max(0, -place + (leading < 2.0)), MOST_DIGITS)


def plus_minus(mean: float, half: float, otherwise: int) -> str:
    """A mean and the half of its interval in the digits that this supports: 3.238 ± 0.001."""
    digits = digits_by(half, otherwise)
    return f"{number(mean, digits)} ± {number(half, digits)}"


def tie(small: bool) -> str:
    """Within what demands count as alike."""
    return f"{1e3 * TIE_MW:g} kW" if small else f"{TIE_MW:g} MW"
