"""What an aggregator can know of the hours to come: forecast, tariff, expected arrivals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from abm.equations import FloatArray
from abm.fleet.expected_arrivals import WINDOW_H, ExpectedArrivals, expected_arrivals
from abm.fleet.stays import stream
from abm.scenario import Scenario


class Outlook:
    """Forecast and expectation of one model; worked out when first asked for.

    base_mw: actual base demand by clock hour, (24,) [MW]; price: by clock hour, (24,) [$/kWh].
    start_hour: clock hour at which the horizon begins. seeds: one per feeder;
    errors of the forecast come from them.
    """

    def __init__(
        self,
        scenario: Scenario,
        n_zones: int,
        seeds: Sequence[int],
        start_hour: int,
        base_mw: FloatArray,
        price: FloatArray,
    ) -> None:
        self._scenario, self._n_zones, self._seeds = scenario, n_zones, seeds
        self.n_hours = scenario.hours
        clock_hours = (start_hour + np.arange(self.n_hours)) % 24
        self._actual_mw = base_mw[clock_hours]
        self.price: FloatArray = price[clock_hours]
        self.sale_ratio = scenario.tariff.sale_ratio

    @cached_property
    def arrivals(self) -> ExpectedArrivals:
        """Expected arrivals on one feeder, by hour of the horizon."""
        return expected_arrivals(self._scenario, self._n_zones)

    @cached_property
    def day_ahead_mw(self) -> FloatArray:
        """Forecast of the base demand, (n_hours, n_feeders) [MW], as of before the horizon."""
        forecast = self._scenario.forecast
        error = np.full((self.n_hours, len(self._seeds)), 1.0 + forecast.bias)
        if forecast.noise > 0.0:
            for k, seed in enumerate(self._seeds):
                u = stream(seed, "forecast").random(self.n_hours)
                error[:, k] += forecast.noise * ndtri(np.clip(u, 1e-12, 1.0))
        return np.asarray(self._actual_mw[:, None] * np.maximum(error, 0.0))

    def base_mw(self, issued: int, hours: slice) -> FloatArray:
        """Forecast of the base demand of some hours, (n, n_feeders) [MW].

        issued: hour of the broadcast it comes with. With `forecast.revise` it is the day-ahead
        forecast times what the demand of that hour and of up to 23 before was over its forecast.
        """
        ahead = self.day_ahead_mw[hours]
        if not self._scenario.forecast.revise:
            return ahead
        told = slice(max(0, issued + 1 - WINDOW_H), issued + 1)
        known = np.cumsum(self.day_ahead_mw[told], axis=0)[-1]
        actual = np.cumsum(self._actual_mw[told])[-1]
        return np.asarray(
            ahead * np.divide(actual, known, out=np.ones_like(known), where=known > 0)
        )
