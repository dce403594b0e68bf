"""The home energy manager's switching rule, equation (13), on numbers or columns.

Modes are -1 (V2G), 0 (idle) and 1 (G2V). can_discharge: whether the EV is plugged in, takes part
and has something above its threshold.
"""

from __future__ import annotations

import numpy as np

from abm.equations import Values
from abm.equations.battery import EPS_KWH


def can_move(stored_kwh: Values, allowed: Values) -> Values:
    """Whether there is energy to charge or to give, and the EV may: plugged in, taking part."""
    return np.logical_and(stored_kwh > EPS_KWH, allowed)


def discharges(
    told: Values, can_discharge: Values, has_charged: Values, one_discharge: bool
) -> Values:
    """Where eq. (13) says V2G: demand at the limit and SoC above the threshold.

    one_discharge: an EV that has begun to charge does not discharge again, T = T_dg + T_cg of (14).
    """
    again = np.logical_and(one_discharge, has_charged)
    return np.logical_and(np.logical_and(told, can_discharge), np.logical_not(again))


def charges(v2g: Values, can_discharge: Values, has_charged: Values, charge_above: bool) -> Values:
    """Where eq. (13) says G2V: at the threshold, and with charge_above wherever it says not V2G."""
    begun = np.logical_or(charge_above, np.logical_or(has_charged, np.logical_not(can_discharge)))
    return np.logical_and(np.logical_not(v2g), begun)


def mode(g2v: Values, v2g: Values) -> Values:
    """Where to charge and where to discharge as modes, int8."""
    return g2v * np.int8(1) - v2g * np.int8(1)
