"""Homes that go by the price they are told: charge while it is low, discharge while it is high."""

from __future__ import annotations

import numpy as np

from abm.control.admission import LeastLaxity
from abm.control.rules import Eq13
from abm.equations import BoolArray, FloatArray
from abm.fleet import Fleet, ModeArray
from abm.signals import Broadcast

DAY_H = 24


class ByPriceRule(Eq13):
    """G2V, and V2G while a kWh sold earns at least `discharge_above`, whatever the demand."""

    def __init__(
        self, charge_below: float | None = None, discharge_above: float | None = None
    ) -> None:
        """charge_below: the admission's alone. discharge_above: $/kWh; None: never."""
        super().__init__(one_discharge_per_stay=False)
        self.discharge_above = np.inf if discharge_above is None else discharge_above

    def told_to_discharge(self, broadcast: Broadcast) -> BoolArray:
        """Whether the sale price calls for V2G, per feeder."""
        assert broadcast.sale_price is not None
        return np.asarray(broadcast.sale_price >= self.discharge_above)


class ByPriceAdmission(LeastLaxity):
    """Charging while a kWh costs at most `charge_below`; who has no slack left charges in any case.

    Every home for itself: nobody asks whether the feeder has room. Owners who do not go by the
    price (`timed`) charge on arrival.
    """

    def __init__(
        self, charge_below: float | None = None, discharge_above: float | None = None
    ) -> None:
        """charge_below: $/kWh; None: the mean over the day. discharge_above: the rule's alone."""
        super().__init__(guarantee=True)
        self.charge_below = charge_below

    def room_mw(self, broadcast: Broadcast) -> FloatArray:
        """All the room there is while the price is low, else none, per feeder."""
        assert broadcast.purchase_price is not None
        most = self.charge_below
        cheap = broadcast.purchase_price <= (day_mean(broadcast) if most is None else most)
        return np.where(cheap, np.inf, 0.0)

    def admit(
        self, fleet: Fleet, request: ModeArray, broadcast: Broadcast, minute: float
    ) -> ModeArray | FloatArray:
        """What the price allows, and all that the others ask for."""
        granted = super().admit(fleet, request, broadcast, minute)
        others = ~fleet.timed & (request > 0)
        if not others.any():
            return granted
        if fleet.asked_kw is None:
            return np.where(others, request, granted)
        return np.where(others, fleet.charging_kw, granted)


def day_mean(broadcast: Broadcast) -> FloatArray:
    """Mean of the purchase price over the day of a message, as expected before it, per feeder."""
    outlook = broadcast.outlook
    assert outlook is not None
    begin = broadcast.hour // DAY_H * DAY_H
    end = min(begin + DAY_H, outlook.n_hours)
    mean = outlook.purchase_price(np.array([begin, end]) * 60.0)[0]
    return np.broadcast_to(mean, broadcast.demand_mw.shape)
