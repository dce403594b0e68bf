"""The default schedule of the British regulations: off peak, after a random delay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from abm.control.windows import ClockWindows
from abm.equations.admission import EPS_MIN
from abm.fleet import Fleet
from abm.signals import Broadcast

# Regulation 11: what the delay is at most by default, and what it can be set to, s.
DELAY_S = 600
MOST_DELAY_S = 1800


class OffPeak:
    """Charge outside of the peaks; every change comes later by the charger's delay of the day.

    Plugging in off peak is a change as well. Owners who do not go by the schedule (`timed`) charge
    on arrival.
    """

    FIXED: ClassVar = ("_peaks",)

    def __init__(self, peaks: Mapping[str, Any] | None = None, delay_s: float = DELAY_S) -> None:
        """peaks: windows by name. delay_s: the longest delay, drawn evenly in whole seconds."""
        if not 0.0 <= delay_s <= MOST_DELAY_S:
            raise ValueError(f"delay_s = {delay_s!r}: from 0 to {MOST_DELAY_S}")
        self._peaks = ClockWindows(peaks or {})
        self.delay_s = delay_s

    def decide(
        self, fleet: Fleet, broadcast: Broadcast, minute: float
    ) -> NDArray[np.signedinteger]:
        """G2V or IDLE for every EV."""
        delay_min = np.floor(fleet.delay_draw * (self.delay_s + 1.0)) / 60.0
        # What the schedule said so long ago is what the charger does now.
        then = minute - delay_min
        free = ~self._peaks.hold(broadcast, then) & (then >= fleet.arrival_min - EPS_MIN)
        return (free | ~fleet.timed).astype(np.int8)
