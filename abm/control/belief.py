"""How many EVs are still to come, by what was believed of them and by who has come.

The belief may be right, or wrong in how many come, or in when: all three are weighed by how well
they explain the arrivals so far (Bayes). Feeders along the first axis of arrays.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from abm.control.level import SLOT_MIN
from abm.equations import FloatArray
from abm.fleet import Fleet
from abm.fleet.expected_arrivals import ExpectedArrivals
from abm.fleet.population import DAY_MIN

# Chosen by us, of a few that were tried on seeds 1 to 3: how likely the belief is right; if it is
# not, how far the number is off (sd, fraction) and how far the time (sd, h).
RIGHT = 0.5
NUMBER_SD = 0.2
TIME_SD_H = 1.5
# Shifts of time that are weighed, in slots; 0 stands first.
SHIFTS = np.array([0, *(s for s in range(-16, 17, 2) if s)])
# Of all that are believed to come, so many may come at any time of the day.
ANY_TIME = 0.01


class Remaining:
    """The arrivals of one day, as believed and as they come.

    n_slots: of a day.
    """

    def __init__(self, arrivals: ExpectedArrivals, day: int, n_slots: int, n_feeders: int) -> None:
        of_day = arrivals.arrival_min[arrivals.day == day] - day * DAY_MIN
        self._day, self._sampled = day, len(of_day)
        slot = np.clip((of_day // SLOT_MIN).astype(np.int64), 0, n_slots - 1)
        believed = arrivals.weight * np.bincount(slot, minlength=n_slots)
        self._all = float(believed.cumsum()[-1])
        rates = np.zeros((n_slots, len(SHIFTS)))
        for i, shift in enumerate(SHIFTS):
            # Nobody is lost at the ends of the day.
            moved = np.clip(np.arange(n_slots) + shift, 0, n_slots - 1)
            rates[:, i] = np.bincount(moved, weights=believed, minlength=n_slots)
        rates += ANY_TIME * self._all / n_slots
        self._log_rates = np.log(np.maximum(rates, 1e-300))
        self._until = np.concatenate((np.zeros((1, len(SHIFTS))), rates.cumsum(axis=0)))
        self._later = np.searchsorted(np.sort(slot), np.arange(n_slots + 1), side="left")
        apart = np.exp(-0.5 * (SHIFTS * SLOT_MIN / 60.0 / TIME_SD_H) ** 2)
        self._log_prior = np.log((1.0 - RIGHT) * apart / apart.cumsum()[-1])
        self._come = np.zeros((n_feeders, len(SHIFTS)))
        self._came = np.zeros(n_feeders)
        self._known = 0

    def weight(self, fleet: Fleet, begin_min: float) -> tuple[FloatArray, FloatArray]:
        """How many EVs each stay that is expected from a minute on stands for, (n_feeders,).

        The number is one of a Poisson process whose rate is the believed one, times a factor of
        gamma distribution, at a shift of normal distribution. Whether so many come in all, or so
        many from now on, cannot be told: both count for half. -> the mean, and the mean less one
        standard deviation, at least 0.
        """
        now = int((begin_min - self._day * DAY_MIN) // SLOT_MIN)
        expected = self._sampled - int(self._later[now])
        if not expected:
            nobody = np.zeros(fleet.n_feeders)
            return nobody, nobody
        self._count(fleet, now)
        came, before = self._came[:, None], self._until[now]
        after = self._until[-1] - before
        shape = 1.0 / NUMBER_SD**2
        right = self._come[:, :1] - before[:1] + np.log(RIGHT)
        wrong = (
            self._come
            + (shape * np.log(shape) - gammaln(shape))
            + gammaln(shape + came)
            - (shape + came) * np.log(shape + before)
            + self._log_prior
        )
        likely = np.concatenate((right, wrong), axis=1)
        likely = np.exp(likely - likely.max(axis=1, keepdims=True))
        factor = np.concatenate((np.ones_like(came), (shape + came) / (shape + before)), axis=1)
        on_time = factor * np.concatenate((after[:1], after))
        in_all = np.maximum(factor * self._all - came, 0.0)
        likely /= likely.cumsum(axis=1)[:, -1:]
        left = (likely * 0.5 * (on_time + in_all)).cumsum(axis=1)[:, -1]
        # Between what may be so, and of the factor where it is not sure.
        factor_too = np.concatenate(
            (np.zeros_like(came), on_time[:, 1:] ** 2 / (shape + came)), axis=1
        )
        squares = likely * (0.5 * (on_time**2 + in_all**2) + factor_too)
        sd = np.sqrt(np.maximum(squares.cumsum(axis=1)[:, -1] - left**2, 0.0))
        return left / expected, np.maximum(left - sd, 0.0) / expected

    def _count(self, fleet: Fleet, now: int) -> None:
        """Take in who has come until a slot of the day."""
        day_min = self._day * DAY_MIN
        # The stays of all days may be there at once; those of days gone by are none of this one's.
        at_first = day_min if self._day else -np.inf
        first_min = day_min + self._known * SLOT_MIN if self._known else at_first
        new = (fleet.arrival_min >= first_min) & (fleet.arrival_min < day_min + now * SLOT_MIN)
        rows = np.flatnonzero(new & fleet.plugs_in)
        slot = ((fleet.arrival_min[rows] - day_min) // SLOT_MIN).astype(np.int64) - self._known
        slot, n, size = np.maximum(slot, 0), now - self._known, fleet.n_feeders
        counts = np.bincount(slot * size + fleet.feeder[rows], minlength=n * size)
        counts = counts.reshape(n, size)
        for i in range(n):
            self._come += counts[i][:, None] * self._log_rates[self._known + i]
            self._came += counts[i]
        self._known = now
