"""The Mesa agents: EV, ResidentialParkingZone, HomeEnergyManager, GridAgent; and who walks them."""

from abm.agents.engines import CompiledEngine, Engine, StepwiseEngine, make_engine
from abm.agents.ev import EV, EvClass, OnDemand, Roster
from abm.agents.grid import GridAgent
from abm.agents.rpz import HomeEnergyManager, ResidentialParkingZone

__all__ = [
    "EV",
    "CompiledEngine",
    "Engine",
    "EvClass",
    "GridAgent",
    "HomeEnergyManager",
    "OnDemand",
    "ResidentialParkingZone",
    "Roster",
    "StepwiseEngine",
    "make_engine",
]
