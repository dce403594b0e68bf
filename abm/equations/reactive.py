"""Reactive power of chargers: a fixed power factor, and what their rating leaves for volt-var.

Reactive power is positive where it is taken from the grid, as active power is, unless a name says
`supplied`.
"""

from __future__ import annotations

import math

import numpy as np

from abm.equations import FloatArray


def taken_per_kw(power_factor: float) -> float:
    """Reactive power that a charger takes for each kW that goes through it, kvar/kW.

    tan(arccos |PF|) with the sign of PF: above 0 it takes reactive power (inductive), below 0 it
    supplies it (capacitive), whichever way the active power goes. 0 for 1 and -1.
    """
    size = math.sqrt(1.0 - power_factor * power_factor) / abs(power_factor)
    return math.copysign(size, power_factor) if size else 0.0


def room_for_reactive(rated: FloatArray, through: FloatArray, kva_per_kw: float) -> FloatArray:
    """Reactive power that the chargers of a zone can take or supply at most, [Mvar].

    rated: ratings of all chargers with an EV plugged in [MW]; through: active power of them, both
    ways added up [MW]; means over the same time. A charger of rating p has s = kva_per_kw x p kVA;
    idle it has all of s for reactive power, at p sqrt(s^2 - p^2) of it, and what is between is
    taken to be on the straight line, which is never above the circle:

        s - through x (kva_per_kw - sqrt(kva_per_kw^2 - 1)).

    So the mean over an interval is that of the means, and exact for chargers that are on or off.
    """
    lost = kva_per_kw - math.sqrt(kva_per_kw * kva_per_kw - 1.0)
    return np.maximum(kva_per_kw * rated - lost * through, 0.0)


def droop(
    vm_pu: FloatArray, curve_vm_pu: FloatArray, curve_share: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Share that a droop curve asks for at some voltages, and its slope there, per p.u.

    curve_vm_pu: rising. The curve is straight between its points and level beyond them.
    """
    share: FloatArray = np.interp(vm_pu, curve_vm_pu, curve_share)
    slopes = np.diff(curve_share) / np.diff(curve_vm_pu)
    piece = np.searchsorted(curve_vm_pu, vm_pu, side="right")
    slope = np.concatenate([[0.0], slopes, [0.0]])[piece]
    return share, slope
