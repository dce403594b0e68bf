"""What everyone is told: the hour's broadcast of the grid agent, and the base load behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abm.signals.outlook import Outlook

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Broadcast:
    """The grid agent's message at the beginning of an hour; arrays of shape (n_feeders,).

    hour: index of the hour that begins, from 0. clock_hour: the same on the clock, 0-23.
    price: alpha(h) of the hour that begins, $/kWh.
    demand_mw: demand of the hour that begins, P_D(h) in eq. (13); the base demand.
    limit_mw: P_D^max. headroom_mw: limit less demand, negative above the limit.
    ev_mw: EV demand of the hour that ended; NaN before the first has.
    feeder: feeder of each EV, shape (n_evs,).
    ended: gives losses and lowest voltage of the hour that ended, (n_feeders,) each; None before
    the first has. It is only called when somebody asks, so that load flows which nobody waits for
    can be solved in one batch.
    outlook: what an aggregator can know of the hours to come, the same object in every broadcast
    of a run; only what is asked for is worked out.
    """

    hour: int
    clock_hour: int
    price: float
    demand_mw: FloatArray
    limit_mw: FloatArray
    headroom_mw: FloatArray
    ev_mw: FloatArray
    feeder: IntArray
    ended: Callable[[], tuple[FloatArray, FloatArray]] | None = None
    outlook: Outlook | None = None

    @property
    def loss_mw(self) -> FloatArray:
        """Losses of the hour that ended; NaN before, and where the load flow did not converge."""
        return self.ended()[0] if self.ended is not None else np.full_like(self.demand_mw, np.nan)

    @property
    def min_vm_pu(self) -> FloatArray:
        """Lowest voltage of the hour that ended; NaN as for `loss_mw`."""
        return self.ended()[1] if self.ended is not None else np.full_like(self.demand_mw, np.nan)

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
