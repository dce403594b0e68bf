"""A stationary battery that follows the power of its zone, step by step."""

from __future__ import annotations

import numpy as np

from abm.equations import FloatArray


def storage_power(
    net_kw: FloatArray,
    below_kw: float,
    above_kw: float,
    rated_kw: FloatArray,
    room_kwh: FloatArray,
    ready_kwh: FloatArray,
    efficiency: float,
    hours: float,
) -> tuple[FloatArray, FloatArray]:
    """Charging and discharging power over one step, both >= 0 and never both at once [kW].

    net_kw: power that the zone takes without the battery. It charges with what net_kw is below
    below_kw and discharges what it is above above_kw (both 0: self-consumption), as far as its
    rating, the room left (room_kwh) and what is stored above its lower bound (ready_kwh) go.
    efficiency: one way, between grid and battery. hours: length of the step.
    """
    # The last digit of what is stored may lie beyond a bound.
    most_in = np.minimum(rated_kw, np.maximum(room_kwh, 0.0) / (efficiency * hours))
    most_out = np.minimum(rated_kw, np.maximum(ready_kwh, 0.0) * efficiency / hours)
    charge = np.minimum(np.maximum(below_kw - net_kw, 0.0), most_in)
    discharge = np.minimum(np.maximum(net_kw - above_kw, 0.0), most_out)
    return charge, discharge


def stored_after(
    stored_kwh: FloatArray,
    charge_kw: FloatArray,
    discharge_kw: FloatArray,
    efficiency: float,
    hours: float,
) -> FloatArray:
    """Energy in the battery after a step: plus eta x charged, less discharged / eta [kWh]."""
    return stored_kwh + (efficiency * charge_kw - discharge_kw / efficiency) * hours
