"""KPIs of the user's own: of which scenario they are, and what they are for each feeder of a run.

Their words (unit, digits, label) go into one table by name, for whoever shows a KPI: `OWN` of
`abm.results.indicators`. Numbers never depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.equations import FloatArray
from abm.errors import InputError, Problem
from abm.results.indicators import ALIASES, INDICATORS, OWN, Indicator
from abm.scenario import Scenario
from abm.scenario.kpi import Kpi, as_kpi
from abm.scenario.modules import Plugin, name_of

if TYPE_CHECKING:
    from abm.results.results import Results

# Columns of tables in which KPIs stand.
TAKEN = ("case", "replication", "seed", "error", "strategy", "feeder", "feeders", "share", "kpi",
         "gap_to_optimum_percent", "foresight_cost_usd", "least_demand_mw",
         "evs_short_percent", "net_cost_usd_per_ev", "worst_gap_percent",
         "v2g_mwh", "more_purchase_usd", "missing_usd", "more_ageing_usd", "worth_usd",
         "least_sale_ratio", "most_pack_usd_per_kwh")  # fmt: skip
ALLOWED = "a number, or None where there is none"


def own_kpis(scenario: Scenario) -> dict[str, Kpi]:
    """KPIs of the user's own by name: those that the scenario names, then those given in Python.

    What is named is loaded. Raises InputError for a name that is taken or given twice, or code that
    may not be loaded or is not there.
    """
    named, given = scenario.kpis, scenario.objects.kpis
    problems = [
        Problem("kpis", name, "a name that no KPI and no column has")
        for name in {**named, **given}
        if name in INDICATORS or name in ALIASES or name in TAKEN
    ]
    problems += [
        Problem("kpis", name, "a name that is given once; the scenario has it, and with_objects")
        for name in named
        if name in given
    ]
    if problems:
        raise InputError(problems)
    found = {}
    for name in named:
        code = scenario.code_at(("kpis", name))
        if code is not None:
            found[name] = as_kpi(code.load())
    found |= {name: as_kpi(value) for name, value in given.items()}
    OWN.update({name: indicator_of(name, kpi) for name, kpi in found.items()})
    return found


def own_names(scenario: Scenario) -> tuple[str, ...]:
    """Names of the KPIs of the user's own; nothing is loaded."""
    return (*scenario.kpis, *scenario.objects.kpis)


def counting(scenario: Scenario) -> frozenset[str]:
    """Those of the user's own that count events; of code that may not be loaded none."""
    if not all(code.trusted for code in scenario.code if code.is_kpi):
        found = {name: as_kpi(value) for name, value in scenario.objects.kpis.items()}
    else:
        found = own_kpis(scenario)
    return frozenset(name for name, kpi in found.items() if kpi.count)


def counts_events(name: str, own: frozenset[str]) -> bool:
    """Whether a KPI counts events; own: `counting` of its scenario."""
    return INDICATORS[name].count if name in INDICATORS else name in own


def indicator_of(name: str, kpi: Kpi) -> Indicator:
    """The row that a KPI of the user's own would have in the table of indicators."""
    unit = f" ({kpi.unit})" if kpi.unit != "-" else ""
    return Indicator(
        section="Your own",
        name=name,
        unit=kpi.unit,
        digits=kpi.digits,
        meaning=name_of(kpi.function),
        mean=True,
        count=kpi.count,
        city="sum" if kpi.count else "",
        compared=0,
        label=kpi.label or f"{name}{unit}",
    )


def own_columns(
    kpis: Mapping[str, Kpi], n_feeders: int, of: Callable[[int], Results]
) -> dict[str, FloatArray]:
    """Each KPI as an array over the feeders, (K,); NaN where there is none or it is not finite.

    of: results of one feeder, of which a function may do what it likes. Raises PluginError where
    one raises, InputError for what is no number.
    """
    columns: dict[str, FloatArray] = {name: np.full(n_feeders, np.nan) for name in kpis}
    for k in range(n_feeders) if kpis else ():
        shown = of(k)
        for name, kpi in kpis.items():
            with Plugin(f"kpis.{name}", name_of(kpi.function), "asked for its number, it"):
                value = kpi.function(shown)
            columns[name][k] = _number(name, kpi, value)
    return columns


def _number(name: str, kpi: Kpi, value: Any) -> float:
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value[()]
    if value is None:
        return math.nan
    if not isinstance(value, bool | int | float | np.bool_ | np.integer | np.floating):
        said = repr(value) if isinstance(value, str | complex) else f"a {type(value).__name__}"
        field = f"kpis.{name}"
        raise InputError([Problem(field, f"{said}, returned by {name_of(kpi.function)}", ALLOWED)])
    number = float(value)
    return number if math.isfinite(number) else math.nan


def of_all_feeders(kpis: Mapping[str, Kpi], columns: Mapping[str, Any]) -> dict[str, float | None]:
    """What a city has of them: sums of what counts, else means over the feeders.

    None where one of the feeders has none.
    """
    found = {}
    for name, kpi in kpis.items():
        value = float(columns[name].sum() if kpi.count else columns[name].mean())
        found[name] = None if math.isnan(value) else value
    return found
