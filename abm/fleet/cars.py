"""What cars themselves insist on: a least current, no pause once begun, no waking up after one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from abm.equations import FloatArray
from abm.equations.admission import EPS_MIN
from abm.equations.switching import can_move
from abm.fleet.columns import Mode, ModeArray, OfEveryEV

if TYPE_CHECKING:
    from abm.fleet.fleet import Fleet

# 6 A, the least that a charger may offer (IEC 61851-1), on one phase of 230 V and on three, kW.
SIX_AMP_KW = 1.38
SIX_AMP_THREE_PHASE_KW = 4.14
# Rating up to which a charger has one phase: 32 A at 230 V, kW.
ONE_PHASE_KW = 7.4


def least_powers(fleet: OfEveryEV, setting_kw: float) -> FloatArray:
    """Least power that each EV charges with, (n,) [kW]; setting_kw: of all chargers.

    Who cannot pause needs 6 A too.
    """
    six = np.where(fleet.p_max_kw <= ONE_PHASE_KW, SIX_AMP_KW, SIX_AMP_THREE_PHASE_KW)
    needs = fleet.needs_six_amp | fleet.cannot_pause
    return np.where(needs, np.maximum(six, setting_kw), setting_kw)


def note_pauses(fleet: Fleet) -> None:
    """Before a step: who has paused too long falls asleep, and can do nothing until unplugged.

    A pause is time plugged in without a current, after charging has begun and before it is full.
    """
    begun = can_move(fleet.need_kwh, fleet.plugged & fleet.has_charged & fleet.does_not_wake)
    paused = begun & (fleet.mode == Mode.IDLE)
    fleet.paused_min = np.where(paused, fleet.paused_min + 60.0 * fleet.step_h, 0.0)
    falls = np.flatnonzero((fleet.paused_min > fleet.wakes_within_min + EPS_MIN) & ~fleet.asleep)
    if len(falls):
        fleet.asleep[falls] = True
        fleet.look_again(falls)


def keep_going(
    fleet: Fleet, granted: ModeArray, power_kw: FloatArray | None
) -> tuple[ModeArray, FloatArray | None]:
    """What is granted, with the least power for those that have begun and cannot pause."""
    held = fleet.cannot_pause & fleet.has_charged & fleet.can_charge & (granted <= 0)
    if not held.any():
        return granted, power_kw
    every = np.inf if power_kw is None else power_kw
    return np.where(held, np.int8(Mode.G2V), granted), np.where(held, fleet.min_charge_kw, every)
