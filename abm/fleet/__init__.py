"""The EVs as columns: what there is of each, who owns them, their stays, and the fleet."""

from abm.fleet.columns import Mode, ModeArray, group_sums
from abm.fleet.fleet import Exchange, Fleet
from abm.fleet.owners import Behaviour, DayPlan
from abm.fleet.population import Population
from abm.fleet.stays import Stays, feeder_seeds, no_stays, stays_from_sessions

__all__ = [
    "Behaviour",
    "DayPlan",
    "Exchange",
    "Fleet",
    "Mode",
    "ModeArray",
    "Population",
    "Stays",
    "feeder_seeds",
    "group_sums",
    "no_stays",
    "stays_from_sessions",
]
