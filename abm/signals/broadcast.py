"""What everyone is told: the hour's broadcast of the grid agent, and the base load behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Broadcast:
    """The grid agent's message at the beginning of an hour; arrays of shape (n_feeders,).

    hour: index of the hour that begins, from 0. clock_hour: the same on the clock, 0-23.
    price: alpha(h) of the hour that begins, $/kWh.
    demand_mw: demand of the hour that begins, P_D(h) in eq. (13); the base demand.
    limit_mw: P_D^max. headroom_mw: limit less demand, negative above the limit.
    ev_mw, loss_mw, min_vm_pu: EV demand, losses and lowest voltage of the hour that ended; NaN
    before the first hour has ended and where the load flow did not converge.
    feeder: feeder of each EV, shape (n_evs,).
    """

    hour: int
    clock_hour: int
    price: float
    demand_mw: FloatArray
    limit_mw: FloatArray
    headroom_mw: FloatArray
    ev_mw: FloatArray
    loss_mw: FloatArray
    min_vm_pu: FloatArray
    feeder: IntArray

    @property
    def at_or_above_limit(self) -> NDArray[np.bool_]:
        """Whether the demand is at or above the limit, per feeder."""
        return self.demand_mw >= self.limit_mw

    def to_evs(self, per_feeder: NDArray[np.generic]) -> NDArray[np.generic]:
        """A value per feeder as a value per EV; broadcasts for a single feeder."""
        return per_feeder if len(per_feeder) == 1 else per_feeder[self.feeder]


def base_load(
    nominal: FloatArray, bus_class: IntArray, multiplier: FloatArray, scale: float
) -> FloatArray:
    """Load of each bus in each clock hour.

    nominal (n_bus,) [MW or Mvar], bus_class (n_bus,) index of the customer class, multiplier
    (24, n_classes), scale [-] -> (24, n_bus) [MW or Mvar].
    """
    return scale * nominal[None, :] * multiplier[:, bus_class]
