"""The arithmetic of the admissions, on numbers or columns: room, shares, laxity, what V2G costs.

Who comes before whom is the admissions' own, `abm.control`; whether somebody fits is said here.
"""

from __future__ import annotations

import numpy as np

from abm.equations import Values
from abm.equations.battery import put_back

# A charger is not set to less than this, kW.
LEAST_KW = 0.01
# A charger that needs this much more than there is still fits.
EPS_KW = 1e-6
# Slack that is this much too little, in minutes, is rounding.
EPS_MIN = 1e-9
# So much later may an EV at charging have to begin than one that waits before it gives its place
# up. Chosen by us: with 2 h EVs change places too often, with no end to it those who leave first
# come too late.
HANDOVER_MIN = 180.0


def room_left(headroom_kw: Values, taken_kw: Values) -> Values:
    """Room for charging that others leave, at least 0. -> [kW]."""
    return np.maximum(headroom_kw - taken_kw, 0.0)


def fits(total_kw: Values, room_kw: Values) -> Values:
    """Whether so much power fits into the room."""
    return total_kw <= room_kw + EPS_KW


def reaches(total_kw: Values, target_kw: Values) -> Values:
    """Whether so much power comes up to the target."""
    return total_kw >= target_kw - EPS_KW


def whole_chargers(room_kw: Values, unit_kw: Values) -> Values:
    """How many chargers of unit_kw > 0 the room holds, a whole number as a float."""
    return np.floor(np.maximum(room_kw, 0.0) / unit_kw + EPS_KW)


def quota(waiting: Values, chargers: Values, all_waiting: Values) -> Values:
    """A zone's share of the chargers by its waiting EVs, before it is made whole."""
    return waiting * (chargers / np.maximum(all_waiting, 1))


def whole_part(share: Values) -> Values:
    """Whole chargers of a quota, as a float."""
    return np.floor(share + 1e-9)


def latest_start(announced_min: Values, charging_min: Values) -> Values:
    """The latest minute at which charging without a break would do."""
    return announced_min - charging_min


def place_in_line(latest_min: Values, charges: Values) -> Values:
    """What EVs are served by, least first: their latest start, with a lead for those at it."""
    return latest_min - HANDOVER_MIN * charges


def laxity(announced_min: Values, arrival_min: Values, now_min: float, left_min: Values) -> Values:
    """Slack: minutes until the announced departure less those of charging still needed."""
    return announced_min - np.maximum(arrival_min, now_min) - left_min


def slack(latest_min: Values, arrival_min: Values, now_min: float) -> Values:
    """Minutes until the latest start."""
    return latest_min - np.maximum(arrival_min, now_min)


def out_of_slack(slack_min: Values, spent_min: Values) -> Values:
    """Whether spending so much slack leaves too little to reach the goal."""
    return slack_min < spent_min - EPS_MIN


def minutes_until_set(now_min: float, interval_min: float) -> float:
    """Minutes until powers are set the next time, at the next whole interval of the horizon."""
    return float((np.floor(now_min / interval_min + 1e-9) + 1.0) * interval_min - now_min)


def whole_steps(minutes: float, step_min: float) -> float:
    """The least number of whole steps that last so long. [min], [min] -> [min]."""
    return float(np.ceil(minutes / step_min - EPS_MIN) * step_min)


def spent_discharging(
    minutes: Values, efficiency: Values, discharged_kw: Values, charging_kw: Values
) -> Values:
    """Slack that discharging for some minutes takes: these and those of putting back. -> [min]."""
    return minutes + minutes * put_back(efficiency, discharged_kw, charging_kw)
