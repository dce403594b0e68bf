"""The Mesa agents: EV, ResidentialParkingZone, HomeEnergyManager, GridAgent."""

from abm.agents.ev import EV
from abm.agents.grid import GridAgent
from abm.agents.home import HomeEnergyManager
from abm.agents.roster import EvClass, OnDemand, Roster
from abm.agents.rpz import ResidentialParkingZone

__all__ = [
    "EV",
    "EvClass",
    "GridAgent",
    "HomeEnergyManager",
    "OnDemand",
    "ResidentialParkingZone",
    "Roster",
]
