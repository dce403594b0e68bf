"""The level of the strategy `coordinated`: the least below which all that is due fits in time.

Slots of a quarter of an hour along the first axis of arrays, feeders along the last:
(n_slots, n_feeders). Demands, powers and levels in kW, energies in kWh at the grid side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from abm.equations import BoolArray, FloatArray

SLOT_MIN = 15
# Feeders solved in one go, so that what is worked on stays in the cache.
BLOCK = 64
# Halvings of the range in which a level is looked for: to a few W where it is some MW.
HALVINGS = 20
# Energies below this are rounding, kWh.
NOTHING_KWH = 1e-6
# Of the energy that is shaved, so much belongs to the evening that is being planned.
EVENING = 0.99


@dataclass(frozen=True)
class Energies:
    """What EVs need and can give, cumulative to the end of each slot, (n_slots, n_feeders) [kWh].

    due: what must have been charged by then, each EV as late as it can. have: what can have been
    discharged by then, each EV as early as it can. later: of that, what belongs to EVs that leave
    after the slot. charge_kw, discharge_kw: ratings that are plugged in. back: kWh to charge again
    for each kWh discharged, mean, (n_feeders,).
    """

    due: FloatArray
    have: FloatArray
    later: FloatArray
    charge_kw: FloatArray
    discharge_kw: FloatArray
    back: FloatArray

    def of(self, block: slice) -> Energies:
        """Those of some feeders."""
        return Energies(
            self.due[:, block],
            self.have[:, block],
            self.later[:, block],
            self.charge_kw[:, block],
            self.discharge_kw[:, block],
            self.back[block],
        )

    def plus(self, other: Energies, weight: FloatArray) -> Energies:
        """These, and those of one feeder `weight` times on each, (n_feeders,)."""
        return Energies(
            self.due + other.due * weight,
            self.have + other.have * weight,
            self.later + other.later * weight,
            self.charge_kw + other.charge_kw * weight,
            self.discharge_kw + other.discharge_kw * weight,
            self.back,
        )


def filled_kwh(level: FloatArray, demand: FloatArray, power: FloatArray) -> FloatArray:
    """Energy that fits below a level by the end of each slot, sum min(max(L - D, 0), P) x h.

    level (n_feeders,), demand and power (n_slots, n_feeders) -> (n_slots, n_feeders).
    """
    room = np.subtract(level, demand)
    np.maximum(room, 0.0, out=room)
    np.minimum(room, power, out=room)
    return np.asarray(np.cumsum(room, axis=0, out=room) * (SLOT_MIN / 60.0))


def shaved_kwh(level: FloatArray, demand: FloatArray, power: FloatArray) -> FloatArray:
    """Energy that it takes to come down to a level, by the end of each slot, likewise."""
    return filled_kwh(-level, -demand, power)


def lasts(level: FloatArray, high: FloatArray, energies: Energies) -> BoolArray:
    """Whether what EVs have by each slot is enough to shave down to a level until then."""
    shaved = shaved_kwh(level, high, energies.discharge_kw)
    return np.asarray((shaved <= energies.have + NOTHING_KWH).all(axis=0))


def holds(
    level: FloatArray, least: FloatArray, low: FloatArray, high: FloatArray, energies: Energies
) -> BoolArray:
    """Whether all that is due by each slot fits below a level until then.

    least: of shaving. What was discharged is charged again: EVs with most slack discharge, so it is
    due with the last of those who can give it. While demand is being shaved, who has to charge all
    the same is charged by others who discharge so much more.
    """
    filled = filled_kwh(level, low, energies.charge_kw)
    shaved = shaved_kwh(np.maximum(level, least), high, energies.discharge_kw)
    total = shaved[-1]
    evening = np.empty(shaved.shape, dtype=np.bool_)
    evening[0] = total > NOTHING_KWH
    evening[1:] = shaved[:-1] < EVENING * total - NOTHING_KWH
    # By the end all is settled, however long demand is shaved.
    evening[-1] = False
    missing = energies.due - filled
    swapped = np.where(evening, missing, 0.0).max(axis=0)
    owed = energies.back * np.maximum(total + swapped - energies.later, 0.0)
    in_evening = missing <= np.maximum(energies.have - shaved, 0.0) + NOTHING_KWH
    in_night = missing + owed <= swapped + NOTHING_KWH
    return np.asarray(np.where(evening, in_evening, in_night).all(axis=0))


def solve_levels(
    low: FloatArray, high: FloatArray, energies: Energies
) -> tuple[FloatArray, FloatArray]:
    """Level to fill the valley to and level to shave the peak to, (n_feeders,) each [kW].

    low, high: demand that is filled and that is shaved, (n_slots, n_feeders). The level is the
    least that `holds`, the level to shave to is the same or as much higher as it takes that it
    `lasts`.
    """
    n_feeders = low.shape[1]
    level, peak = np.empty(n_feeders), np.empty(n_feeders)
    for first in range(0, n_feeders, BLOCK):
        block = slice(first, first + BLOCK)
        below, above, own = low[:, block], high[:, block], energies.of(block)
        highest = above.max(axis=0)
        lowest = (above - own.discharge_kw).min(axis=0)

        least = _least(partial(lasts, high=above, energies=own), lowest, highest)
        top = np.maximum((below + own.charge_kw).max(axis=0), highest)
        fits = partial(holds, least=least, low=below, high=above, energies=own)
        level[block] = _least(fits, lowest, top)
        peak[block] = np.maximum(level[block], least)
    return level, peak


def _least(
    enough: Callable[[FloatArray], BoolArray], low: FloatArray, high: FloatArray
) -> FloatArray:
    """The least level from low to high that is enough, by halving; high where none is."""
    high = np.where(enough(low), low, high)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        good = enough(middle)
        low, high = np.where(good, low, middle), np.where(good, middle, high)
    return high
