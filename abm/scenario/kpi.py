"""KPIs of the user's own: a function of the results of one feeder, and words for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from abm.results import Results

NAME = re.compile(r"[a-z][a-z0-9_]*")
NAME_WORDS = "a name of small letters, digits and _, which begins with a letter"
WANTED = "a function of the results that returns a number, or None, or an abm.Kpi with one"


@dataclass(frozen=True)
class Kpi:
    """A KPI of the user's own, with what tables and figures say of it.

    function: of the `Results` of one feeder; it returns a number, or None where there is none.
    unit: "-" for none. digits: after the decimal point, where a person reads it. label: on figures
    and in tables, its name where left out. count: it counts events, so that its interval is never
    below 0, and a city has the sum of its feeders, else their mean.
    """

    function: Callable[[Results], float | None]
    unit: str = "-"
    digits: int = 3
    label: str = ""
    count: bool = False


def as_kpi(value: Any) -> Kpi:
    """A KPI, of a bare function too."""
    return value if isinstance(value, Kpi) else Kpi(value)
