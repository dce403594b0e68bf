"""Heat pumps: how much heat they make of electricity."""

from __future__ import annotations

import numpy as np

from abm.equations import FloatArray

# Staffell et al., A review of domestic heat pumps, Energy & Environmental Science 5 (2012) 9291,
# doi 10.1039/C2EE22653G: fits to data of test benches over the lift, with the lifts they are for.
AIR = (6.81, -0.121, 0.000630, 15.0, 60.0)
GROUND = (8.77, -0.150, 0.000734, 20.0, 60.0)


def coefficient_of_performance(
    source_c: FloatArray, supply_c: FloatArray, of: tuple[float, float, float, float, float]
) -> FloatArray:
    """Heat over electricity, by the lift from the source to the water that heats, of shape (n,).

    source_c, supply_c: degC. of: `AIR` or `GROUND`. COP = a + b dT + c dT^2; a lift outside the
    fit's range has the value at its end.
    """
    a, b, c, low, high = of
    lift = np.clip(supply_c - source_c, low, high)
    return np.asarray(a + b * lift + c * lift**2)
