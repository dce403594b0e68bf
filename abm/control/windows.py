"""Windows of the clock, by minute of a horizon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from abm.equations import BoolArray, FloatArray
from abm.scenario.prices import in_window
from abm.scenario.tariff_fields import PriceWindow
from abm.signals import Broadcast


class ClockWindows:
    """Which minutes of a horizon lie in any of some windows.

    spec: windows by name, as `abm.scenario.tariff_fields.PriceWindow` or its fields. ValueError for
    one that cannot be read.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.windows = [
            one if isinstance(one, PriceWindow) else PriceWindow.model_validate(one)
            for one in spec.values()
        ]
        self._inside: BoolArray | None = None

    def hold(self, broadcast: Broadcast, minutes: FloatArray) -> BoolArray:
        """Whether moments, min from the start of the horizon, lie in a window; any shape.

        Before the start it is as in the first minute.
        """
        if self._inside is None:
            assert broadcast.outlook is not None
            at_s = np.arange(broadcast.outlook.n_hours * 60) * 60
            calendar = broadcast.outlook.calendar
            self._inside = np.zeros(len(at_s), dtype=np.bool_)
            for window in self.windows:
                self._inside |= in_window(window, calendar, at_s)
        at = np.clip(np.floor(minutes).astype(np.int64), 0, len(self._inside) - 1)
        return np.asarray(self._inside[at])
