"""Evenfall: residential EV fleets on a real distribution feeder, agent by agent, minute by minute.

Public names; they are imported when first used, so that `evenfall --help` need not wait for Mesa.
"""

from __future__ import annotations

import gc
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from abm.agents import EV, GridAgent, HomeEnergyManager, ResidentialParkingZone
    from abm.control import Admission, Rule
    from abm.errors import EvenfallError, InputError, Problem
    from abm.fleet import Fleet, Mode
    from abm.fleet.owners import Behaviour, DayPlan
    from abm.model import V2GModel
    from abm.results import Results
    from abm.scenario import Scenario
    from abm.scenario.kpi import Kpi
    from abm.signals import Broadcast

__version__ = "0.1.0"

_HOME = {
    "Admission": "abm.control",
    "Behaviour": "abm.fleet.owners",
    "Broadcast": "abm.signals",
    "DayPlan": "abm.fleet.owners",
    "EV": "abm.agents",
    "EvenfallError": "abm.errors",
    "Fleet": "abm.fleet",
    "GridAgent": "abm.agents",
    "HomeEnergyManager": "abm.agents",
    "InputError": "abm.errors",
    "Kpi": "abm.scenario.kpi",
    "Mode": "abm.fleet",
    "Problem": "abm.errors",
    "ResidentialParkingZone": "abm.agents",
    "Results": "abm.results",
    "Rule": "abm.control",
    "Scenario": "abm.scenario",
    "V2GModel": "abm.model",
}

__all__ = [
    "EV",
    "Admission",
    "Behaviour",
    "Broadcast",
    "DayPlan",
    "EvenfallError",
    "Fleet",
    "GridAgent",
    "HomeEnergyManager",
    "InputError",
    "Kpi",
    "Mode",
    "Problem",
    "ResidentialParkingZone",
    "Results",
    "Rule",
    "Scenario",
    "V2GModel",
    "__version__",
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
    return sorted({*globals(), *_HOME})
