"""Dynamic operating envelopes: what each connection may draw, so that the network is within limits.

Every interval the operator takes the load without EVs as it was in the one that ended, and looks
for the most that connections whose EVs ask for power may draw. How much of each limit is used is
1 at the limit; limits that are broken without any EV are not to be broken any further.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from abm.control.operator import Readings
from abm.equations import BoolArray, FloatArray, IntArray
from abm.fleet import Fleet, group_sums

Sharing = Literal["equal", "proportional", "least_cut"]
SHARINGS: tuple[Sharing, ...] = ("equal", "proportional", "least_cut")
# Levels that are tried at once, twice: 1 / 256 of the whole is told apart.
LEVELS = 17
# Step of the load flows that the network is linearised by, kW.
PROBE_KW = 1.0
# What is used of a limit at zero and rounding.
EPS_USE = 1e-9


@dataclass(frozen=True, eq=False)
class PowerAsked:
    """What the connections of one feeder ask for: C of them, at P points of the network.

    kw: float64 [C], ratings of their EVs that ask for power. at: float64 [C, P], the part of a
    connection's power that is drawn at each point.
    """

    kw: FloatArray
    at: FloatArray


# What is used of the limits, [B, M], with so much drawn at the points of a feeder, [B, P] kW.
Use = Callable[[FloatArray], FloatArray]


def largest(feasible: Callable[[FloatArray], BoolArray]) -> float:
    """Largest part of the whole, 0 to 1, up to which all is feasible; feasible: of parts, [B]."""
    low, high = 0.0, 1.0
    for _ in range(2):
        parts = np.linspace(low, high, LEVELS)
        good = feasible(parts[1:])
        if good.all():
            return high
        first = int(np.argmin(good))
        low, high = float(parts[first]), float(parts[first + 1])
    return low


def envelopes(asked: PowerAsked, use: Use, sharing: Sharing, margin: float) -> FloatArray:
    """What each connection of a feeder may draw, float64 [C] kW, at most what it asks for.

    margin: part of every limit that is left. Whatever was worked out is verified by load flows.
    """
    if not asked.kw.any():
        return np.zeros_like(asked.kw)
    nothing = use(np.zeros((1, asked.at.shape[1])))[0]
    most = np.maximum(1.0 - margin, nothing + EPS_USE)

    def kept(limits_kw: FloatArray) -> BoolArray:
        return np.asarray((use(limits_kw @ asked.at) <= most).all(axis=1))

    def scaled(whole: Callable[[FloatArray], FloatArray]) -> FloatArray:
        part = largest(lambda parts: kept(whole(parts)))
        return np.asarray(whole(np.array([part]))[0])

    if sharing == "equal":
        highest = float(asked.kw.max())
        return scaled(lambda parts: np.minimum(asked.kw, highest * parts[:, None]))
    if sharing == "proportional":
        return scaled(lambda parts: asked.kw * parts[:, None])
    found = least_cut(asked, use, nothing, most)
    return scaled(lambda parts: found * parts[:, None])


def least_cut(asked: PowerAsked, use: Use, nothing: FloatArray, most: FloatArray) -> FloatArray:
    """The limits that leave the most in all, with the network linear, float64 [C] kW.

    nothing: use of the limits without EVs, most: what is allowed, [M] each. Connections at the same
    points have the same part of what they ask for.
    """
    from scipy import optimize

    places, group = np.unique(asked.at, axis=0, return_inverse=True)
    group = group.ravel()
    whole_kw = group_sums(asked.kw, group, len(places))
    per_kw = (use(places * PROBE_KW) - nothing).T / PROBE_KW
    room = most - nothing
    binds = np.maximum(per_kw, 0.0) @ whole_kw > room
    if not binds.any():
        return asked.kw
    linprog: Any = optimize.linprog
    found = linprog(
        -np.ones(len(places)), per_kw[binds], room[binds],
        bounds=np.column_stack([np.zeros(len(places)), whole_kw]), method="highs",
    )  # fmt: skip
    # Zero is feasible, so that there is an optimum.
    part = np.divide(found.x, whole_kw, out=np.zeros_like(whole_kw), where=whole_kw > 0.0)
    return np.asarray(np.clip(part, 0.0, 1.0)[group] * asked.kw)


class EnvelopeOperator:
    """Works out envelopes anew for every message, feeder by feeder."""

    def __init__(self, sharing: Sharing, margin: float) -> None:
        if sharing not in SHARINGS:
            raise ValueError(f"sharing = {sharing!r}: one of {', '.join(SHARINGS)}")
        if not 0.0 <= margin < 1.0:
            raise ValueError(f"margin = {margin!r}: from 0 to below 1")
        self.sharing: Sharing = sharing
        self.margin = margin

    def connections(self, fleet: Fleet) -> IntArray:
        """Every EV at a connection of its own."""
        return np.arange(fleet.n)

    def orders(self, fleet: Fleet, readings: Readings) -> FloatArray:
        """The envelope of each EV's connection; 0 where none of its EVs asks for power.

        Who plugs in waits for the next message.
        """
        fleet.assess()
        told = np.full(fleet.n, np.inf)
        network = readings.network
        if network is None:
            return told
        of = readings.connection
        asks_kw = np.where(fleet.can_charge, fleet.p_max_kw, 0.0)
        for k in range(fleet.n_feeders):
            rows = slice(int(fleet.first_row[k]), int(fleet.first_row[k + 1]))
            asking = np.flatnonzero(asks_kw[rows] > 0.0) + rows.start
            told[rows] = 0.0
            if not len(asking):
                continue
            which, member = np.unique(of[asking], return_inverse=True)
            kw = group_sums(asks_kw[asking], member, len(which))
            at = np.zeros((len(which), network.n_points))
            np.add.at(at, (member, network.point[asking] % network.n_points), asks_kw[asking])
            asked = PowerAsked(kw, at / kw[:, None])
            limits = envelopes(asked, partial(network.use, k), self.sharing, self.margin)
            told[asking] = limits[member]
        return told
