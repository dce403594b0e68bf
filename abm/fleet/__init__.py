"""The EVs as columns: sampling, sessions, battery and charger equations."""

from abm.fleet.fleet import EPS_KWH, Fleet, GroupSums, Mode, ModeArray
from abm.fleet.stays import Stays, build_stays, feeder_seeds, no_stays, sample_stays, stays_from_sessions

__all__ = [
    "EPS_KWH",
    "Fleet",
    "GroupSums",
    "Mode",
    "ModeArray",
    "Stays",
    "build_stays",
    "feeder_seeds",
    "no_stays",
    "sample_stays",
    "stays_from_sessions",
]
