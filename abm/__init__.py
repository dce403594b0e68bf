"""Evenfall: residential EV fleets on a real distribution feeder, agent by agent, minute by minute.

Public names; they are imported when first used, so that `evenfall --help` need not wait for Mesa.
"""

from __future__ import annotations

import gc
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from abm.agents import EV, GridAgent, HomeEnergyManager, ResidentialParkingZone
    from abm.api import (
        bound,
        breakeven,
        compare,
        hosting,
        montecarlo,
        reconfigure,
        reproduce,
        run,
        sweep,
    )
    from abm.control import Admission, Rule
    from abm.errors import EvenfallError, InputError, Problem
    from abm.fleet import Fleet, Mode
    from abm.fleet.owners import Behaviour, DayPlan
    from abm.model import V2GModel
    from abm.results import Results
    from abm.scenario import Scenario
    from abm.scenario.kpi import Kpi
    from abm.signals import Broadcast
    from abm.study.bound import Bound
    from abm.study.outcomes import (
        BreakEven,
        Comparison,
        HostingStudy,
        MonteCarlo,
        PaperStudy,
        Sweep,
    )
    from abm.study.reconfigure import ReconfigurationStudy

__version__ = "0.1.0"

_HOME = {
    "Admission": "abm.control",
    "Behaviour": "abm.fleet.owners",
    "Bound": "abm.study.bound",
    "BreakEven": "abm.study.outcomes",
    "Broadcast": "abm.signals",
    "Comparison": "abm.study.outcomes",
    "DayPlan": "abm.fleet.owners",
    "EV": "abm.agents",
    "EvenfallError": "abm.errors",
    "Fleet": "abm.fleet",
    "GridAgent": "abm.agents",
    "HomeEnergyManager": "abm.agents",
    "HostingStudy": "abm.study.outcomes",
    "InputError": "abm.errors",
    "Kpi": "abm.scenario.kpi",
    "Mode": "abm.fleet",
    "MonteCarlo": "abm.study.outcomes",
    "PaperStudy": "abm.study.outcomes",
    "Problem": "abm.errors",
    "ReconfigurationStudy": "abm.study.reconfigure",
    "ResidentialParkingZone": "abm.agents",
    "Results": "abm.results",
    "Rule": "abm.control",
    "Scenario": "abm.scenario",
    "Sweep": "abm.study.outcomes",
    "V2GModel": "abm.model",
    "bound": "abm.api",
    "breakeven": "abm.api",
    "compare": "abm.api",
    "hosting": "abm.api",
    "montecarlo": "abm.api",
    "reconfigure": "abm.api",
    "reproduce": "abm.api",
    "run": "abm.api",
    "sweep": "abm.api",
}

__all__ = [
    "EV",
    "Admission",
    "Behaviour",
    "Bound",
    "BreakEven",
    "Broadcast",
    "Comparison",
    "DayPlan",
    "EvenfallError",
    "Fleet",
    "GridAgent",
    "HomeEnergyManager",
    "HostingStudy",
    "InputError",
    "Kpi",
    "Mode",
    "MonteCarlo",
    "PaperStudy",
    "Problem",
    "ReconfigurationStudy",
    "ResidentialParkingZone",
    "Results",
    "Rule",
    "Scenario",
    "Sweep",
    "V2GModel",
    "__version__",
    "bound",
    "breakeven",
    "compare",
    "hosting",
    "montecarlo",
    "reconfigure",
    "reproduce",
    "run",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'abm' has no attribute {name!r}")
    # What a module makes when it is imported stays: looking for garbage in it takes a tenth of it.
    collecting = gc.isenabled()
    gc.disable()
    try:
        value = getattr(importlib.import_module(_HOME[name]), name)
    finally:
        if collecting:
            gc.enable()
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
