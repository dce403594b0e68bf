"""Switching rules: which mode each EV asks for, minute by minute.

A rule is any object with `decide`; it sees the whole fleet and answers for all EVs at once. What an
EV cannot do (not plugged in, nothing to charge, nothing to give) is taken out afterwards, so a rule
need not look.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from abm.control.planner import Planner
from abm.equations import BoolArray
from abm.equations.switching import charges, discharges, mode
from abm.fleet import Fleet, Mode
from abm.signals import Broadcast


class Rule(Protocol):
    """What the home energy manager applies."""

    def decide(
        self, fleet: Fleet, broadcast: Broadcast, minute: float
    ) -> NDArray[np.signedinteger | np.floating]:
        """What each EV asks for, one value for all or (n_evs,): integers are modes, see `Mode`.

        Floats are powers in kW at the grid side, positive = charging; ratings, need and the
        charger's least power limit them. minute: minutes from the start of the horizon at which
        the step begins. Columns of the fleet are read-only.
        """


class G2VOnly:
    """Charge whenever plugged in, never discharge: eqs. (1)-(8)."""

    def decide(
        self, fleet: Fleet, broadcast: Broadcast, minute: float
    ) -> NDArray[np.signedinteger]:
        """G2V for every EV."""
        return np.array([Mode.G2V], dtype=np.int8)


class Eq13:
    """The paper's switching rule S_EVMS, eq. (13).

    V2G while the broadcast demand is at or above the limit (`v2g_when`) and the SoC is above the
    threshold; G2V at the threshold and, with `charge_above_threshold`, also above it whenever the
    EV is not to discharge. With `one_discharge_per_stay` an EV that has begun to charge does not
    discharge again, T = T_dg + T_cg of eq. (14).
    """

    def __init__(
        self,
        v2g_when: Literal["at_or_above_limit", "below_limit", "always"] = "at_or_above_limit",
        one_discharge_per_stay: bool = True,
        charge_above_threshold: bool = True,
    ) -> None:
        if v2g_when not in ("at_or_above_limit", "below_limit", "always"):
            raise ValueError(f"v2g_when = {v2g_when!r}: at_or_above_limit, below_limit or always")
        self.v2g_when = v2g_when
        self.one_discharge_per_stay = one_discharge_per_stay
        self.charge_above_threshold = charge_above_threshold

    def told_to_discharge(self, broadcast: Broadcast) -> NDArray[np.bool_]:
        """Whether EVs above the threshold are to discharge in this hour, per feeder."""
        above = broadcast.at_or_above_limit
        if self.v2g_when == "always":
            return np.ones_like(above)
        return ~above if self.v2g_when == "below_limit" else above

    def decide(
        self, fleet: Fleet, broadcast: Broadcast, minute: float
    ) -> NDArray[np.signedinteger]:
        """V2G, G2V or IDLE for every EV."""
        told = self.told_to_discharge(broadcast)
        if not told.any() and self.charge_above_threshold:
            return np.array([Mode.G2V], dtype=np.int8)
        one, above = self.one_discharge_per_stay, self.charge_above_threshold
        return switch(fleet, broadcast.to_evs(told), one, above)


class CoordinatedRule:
    """V2G while base demand, or what is due beside it, is above the level to shave to, else G2V.

    As printed, an EV that has begun to charge does not discharge again, eq. (14). Options as in the
    scenario's section `coordinated`.
    """

    def __init__(
        self, margin_min: float = 5.0, price_weight: float = 0.0, modulate: bool = False
    ) -> None:
        """modulate: the admission's alone."""
        self.planner = Planner(margin_min, price_weight)

    def told_to_discharge(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> BoolArray:
        """Whether EVs that can are to discharge in this slot, per feeder."""
        return self.planner.orders(fleet, broadcast, minute).told

    def decide(
        self, fleet: Fleet, broadcast: Broadcast, minute: float
    ) -> NDArray[np.signedinteger]:
        """V2G or G2V for every EV."""
        told = self.told_to_discharge(fleet, broadcast, minute)
        if not told.any():
            return np.array([Mode.G2V], dtype=np.int8)
        return switch(fleet, broadcast.to_evs(told), one_discharge=fleet.as_printed)


def switch(
    fleet: Fleet, told: NDArray[np.generic], one_discharge: bool, charge_above: bool = True
) -> NDArray[np.signedinteger]:
    """The modes of eq. (13) for all EVs; told (n_evs,): whether demand calls for V2G."""
    v2g = discharges(told, fleet.can_discharge, fleet.has_charged, one_discharge)
    g2v = charges(v2g, fleet.can_discharge, fleet.has_charged, charge_above)
    asked: NDArray[np.int8] = mode(g2v, v2g)
    return asked
