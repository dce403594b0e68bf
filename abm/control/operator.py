"""The network operator: what it lets connections draw, by what it has measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np

from abm.equations import BoolArray, FloatArray, IntArray
from abm.fleet import Fleet

# BNetzA, BK6-22-300, annex 1: simultaneity of so many controllable devices behind one connection,
# from two on; nine and more have the last.
SIMULTANEITY = (0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45)

Overload = Literal["demand", "transformers"]


@dataclass(frozen=True, eq=False)
class NetworkModel:
    """The network as the operator of K feeders knows it, with the other loads as measured.

    point: int64 [n_evs], where the charger of each EV hangs, feeder x n_points + point. use: how
    much of each limit of a feeder is used with powers at its points, [B, n_points] kW -> [B, M], 1
    at the limit. transformer: int64 [n_evs], which one of its feeder feeds each EV, -1 for none.
    transformer_use: load of each in the interval that ended over its rating, [K, X].
    """

    point: IntArray
    n_points: int
    use: Callable[[int, FloatArray], FloatArray]
    transformer: IntArray
    transformer_use: Callable[[], FloatArray]


@dataclass(frozen=True, eq=False)
class Readings:
    """What the operator of K feeders has when it sends a message.

    minute: of the horizon. load_mw: mean net demand, losses apart, over the interval that ended,
    (K,); None before the first has. limit_mw: limit of the demand, (K,). connection: int64 [n_evs],
    of each EV, from 0. network: None before the first interval has ended.
    """

    minute: float
    load_mw: FloatArray | None
    limit_mw: FloatArray
    connection: IntArray
    network: NetworkModel | None = None


class Operator(Protocol):
    """Who works out what connections may draw."""

    def connections(self, fleet: Fleet) -> IntArray:
        """Connection of each EV where no homes are known, from 0, (n_evs,)."""

    def orders(self, fleet: Fleet, readings: Readings) -> FloatArray:
        """What the connection of each EV may draw for charging, (n_evs,) [kW], inf: no limit."""


class DimmingOperator:
    """Dims the chargers below what is loaded above a threshold, until it is well below.

    overload: whether that is a feeder by its demand or a transformer. dimmed: which are, (K,) or
    (K, X); since_min: since when. chargers_per_connection: so many EVs of
    a zone in a row, by number, share a connection.
    """

    def __init__(
        self,
        limit_kw: float,
        begin_above: float,
        end_below: float,
        least_min: float,
        chargers_per_connection: int,
        overload: Overload = "demand",
    ) -> None:
        if end_below > begin_above:
            raise ValueError(f"end_below = {end_below!r}: at most begin_above = {begin_above!r}")
        if chargers_per_connection < 1:
            raise ValueError(f"chargers_per_connection = {chargers_per_connection!r}: at least 1")
        if overload not in get_args(Overload):
            raise ValueError(f"overload = {overload!r}: one of {', '.join(get_args(Overload))}")
        self.limit_kw, self.begin_above, self.end_below = limit_kw, begin_above, end_below
        self.least_min, self.chargers_per_connection = least_min, chargers_per_connection
        self.overload = overload
        self.dimmed: BoolArray | None = None
        self.since_min: FloatArray = np.zeros(0)

    def connections(self, fleet: Fleet) -> IntArray:
        """So many EVs of a zone in a row, by their numbers, at each."""
        (cell, _), charger = np.unique([fleet.cell, fleet.ev], axis=1, return_inverse=True)
        first = np.searchsorted(cell, cell)
        number = (np.arange(len(cell)) - first) // self.chargers_per_connection
        _, connection = np.unique([cell, number], axis=1, return_inverse=True)
        return np.asarray(connection.ravel()[charger.ravel()])

    def switch(self, readings: Readings) -> BoolArray:
        """Which feeders are dimmed from now on, (K,), or which transformers, (K, X)."""
        load, limit = readings.load_mw, readings.limit_mw
        if self.overload == "transformers" and readings.network is not None:
            load = readings.network.transformer_use()
            limit = np.ones_like(load)
        if load is None:
            return np.zeros(limit.shape, dtype=np.bool_)
        if self.dimmed is None:
            self.dimmed = np.zeros(limit.shape, dtype=np.bool_)
            self.since_min = np.full(limit.shape, -np.inf)
        held = readings.minute - self.since_min < self.least_min
        high = load > self.begin_above * limit
        low = load < self.end_below * limit
        now = np.where(self.dimmed, held | ~low, high)
        self.since_min = np.where(now & ~self.dimmed, readings.minute, self.since_min)
        self.dimmed = now
        return now

    def orders(self, fleet: Fleet, readings: Readings) -> FloatArray:
        """The power that is always left to each connection below what is dimmed."""
        of, dimmed = readings.connection, self.switch(readings)
        if not dimmed.any():
            return np.full(fleet.n, np.inf)
        # Several stays of an EV are at one charger.
        most = int(fleet.ev.max(initial=0)) + 1
        with_ev = np.unique(of * most + fleet.ev) // most
        left_kw = always_left_kw(np.bincount(with_ev), self.limit_kw)[of]
        if self.overload == "transformers" and readings.network is not None:
            above = readings.network.transformer
            mine = dimmed[fleet.feeder, above] & (above >= 0)
        else:
            mine = dimmed[fleet.feeder]
        return np.where(mine, left_kw, np.inf)


def always_left_kw(chargers: IntArray, each_kw: float) -> FloatArray:
    """What may always be drawn behind connections with so many chargers, [kW].

    P_min,14a = each + (n - 1) x simultaneity(n) x each, BK6-22-300, annex 1, 4.5.2, without heat
    pumps.
    """
    table = np.array([0.0, 1.0, *SIMULTANEITY])
    factor = table[np.minimum(chargers, len(table) - 1)]
    return np.asarray(each_kw * (1.0 + np.maximum(chargers - 1, 0) * factor))
