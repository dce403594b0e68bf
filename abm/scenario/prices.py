"""The prices of a scenario on its horizon: energy, grid fee and tax of what is bought and sold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abm.equations.economics import PriceParts
from abm.scenario.calendar import DAY_S, Calendar, months_and_days
from abm.scenario.fields import clock_minutes
from abm.scenario.series import DAYS, Series
from abm.scenario.tariff_fields import PriceWindow, TariffSection

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Prices:
    """What a kWh costs and earns in every step of a horizon, part by part.

    step_s: step of all of it, s, divides an hour. alpha: price of energy bought, sale: of energy
    sold by a price of its own, or None: sale_ratio x alpha, (T,) each. fee_buy, fee_sell: grid fee
    of each direction, (T,). tariff: the rest, which follows from these.
    """

    step_s: int
    alpha: FloatArray
    sale: FloatArray | None
    fee_buy: FloatArray
    fee_sell: FloatArray
    tariff: TariffSection

    @property
    def step_h(self) -> float:
        """Step of the prices, h."""
        return self.step_s / 3600.0

    @property
    def has_fee(self) -> bool:
        """Whether there is a grid fee."""
        return bool(self.tariff.grid_fee)

    @property
    def has_tax(self) -> bool:
        """Whether there is a tax or a levy."""
        return self.tariff.tax != type(self.tariff.tax)()

    @property
    def follows(self) -> bool:
        """Whether the price follows the broadcast demand."""
        return self.tariff.follows_demand.usd_per_kwh_per_mw != 0.0

    def follow(self, alpha: FloatArray, demand_mw: FloatArray) -> FloatArray:
        """Price of energy bought at a demand of a feeder, any shape [$/kWh]."""
        how = self.tariff.follows_demand
        moved = alpha + how.usd_per_kwh_per_mw * (demand_mw - how.reference_mw)
        return np.maximum(moved, how.lowest) if self.follows else alpha

    def parts(
        self, steps: IntArray | slice | int = slice(None), alpha: FloatArray | None = None
    ) -> PriceParts:
        """Parts of the price in some steps; alpha: in the place of the listed one, (t,), (t, K)."""
        alpha = self.alpha[steps] if alpha is None else alpha
        ratio, tax = self.tariff.sale_ratio, self.tariff.tax

        def like(values: FloatArray) -> FloatArray:
            """By step, beside an alpha that has an axis for the feeders."""
            own = np.asarray(values[steps])
            return own.reshape(own.shape + (1,) * (np.ndim(alpha) - own.ndim))

        sold, ratio = (alpha, ratio) if self.sale is None else (like(self.sale), 1.0)
        return PriceParts.of(
            alpha,
            sold,
            ratio,
            like(self.fee_buy),
            like(self.fee_sell),
            (tax.purchase_usd_per_kwh, tax.purchase_rate),
            (tax.sale_usd_per_kwh, tax.sale_rate),
        )

    def by_hour(self, values: FloatArray) -> FloatArray:
        """Hourly means of values by step, (T, ...) -> (n_hours, ...)."""
        per_hour = 3600 // self.step_s
        return np.asarray(values.reshape(-1, per_hour, *values.shape[1:]).mean(axis=1))

    def means(self, values: FloatArray, edges_min: FloatArray) -> FloatArray:
        """Mean of values by step, (T, ...), over the steps that each window has a part of.

        edges_min: of windows in a row, min from the start of the horizon, (w + 1,). -> (w, ...).
        """
        steps = np.asarray(edges_min) * 60.0 / self.step_s
        first = np.floor(steps[:-1] + 1e-9).astype(np.int64)
        last = np.maximum(np.ceil(steps[1:] - 1e-9).astype(np.int64) - 1, first)
        last = np.minimum(last, len(values) - 1)
        first = np.minimum(first, last)
        if (first == last).all():
            return np.asarray(values[first])
        sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
        count = (last + 1 - first).reshape(-1, *[1] * (values.ndim - 1))
        mean = (sums[last + 1] - sums[first]) / count
        alone = (first == last).reshape(count.shape)
        return np.where(alone, values[first], mean)


def prices_of(
    tariff: TariffSection,
    listed: Series,
    sale: Series | None,
    calendar: Calendar,
    steps_s: tuple[int, int],
) -> Prices:
    """The prices of a tariff; listed, sale: what its files say, on the horizon.

    steps_s: the time step, in which energy cannot be told apart, so that prices are means over it;
    and a step that the prices are no longer than, s.
    """
    windows = [*tariff.time_of_use.values(), *tariff.grid_fee.values()]
    series = [listed] if sale is None else [listed, sale]
    step_s = math.gcd(steps_s[1], *(one.step_s for one in series), *(_edges_s(windows)))
    at_s = np.arange(calendar.hours * 3600 // step_s) * step_s

    def of(one: Series) -> FloatArray:
        return np.repeat(one.by_step[:, 0], one.step_s // step_s)

    alpha = of(listed)
    fees = {"purchase": np.zeros(len(at_s)), "sale": np.zeros(len(at_s))}
    for use in tariff.time_of_use.values():
        alpha[in_window(use, calendar, at_s)] = use.price
    for fee in tariff.grid_fee.values():
        for direction, values in fees.items():
            if fee.on in (direction, "both"):
                values[in_window(fee, calendar, at_s)] += fee.usd_per_kwh
    own = None if sale is None else of(sale)
    finest_s = steps_s[0]

    def kept(values: FloatArray) -> FloatArray:
        if step_s % finest_s:
            parts = math.gcd(step_s, finest_s)
            values = np.repeat(values, step_s // parts).reshape(-1, finest_s // parts).mean(axis=1)
        values.setflags(write=False)
        return values

    return Prices(
        finest_s if step_s % finest_s else step_s,
        kept(alpha),
        None if own is None else kept(own),
        kept(fees["purchase"]),
        kept(fees["sale"]),
        tariff,
    )


def _edges_s(windows: Iterable[PriceWindow]) -> list[int]:
    return [clock_minutes(edge) * 60 for window in windows for edge in (window.start, window.end)]


def in_window(window: PriceWindow, calendar: Calendar, at_s: IntArray) -> BoolArray:
    """Which moments of the horizon [s] lie in a window."""
    start, end = clock_minutes(window.start) % 1440, clock_minutes(window.end) % 1440
    wall = calendar.wall_s(at_s)
    of_day = wall % DAY_S // 60
    if start < end:
        here = (of_day >= start) & (of_day < end)
        began = wall // DAY_S
    else:
        # Over midnight, or all day: what lies before its start began the day before.
        here = (of_day >= start) | (of_day < end)
        began = wall // DAY_S - (of_day < start)
    days, which = np.unique(began, return_inverse=True)
    weekday = np.where(calendar.is_holiday(days), 6, (days + 3) % 7)
    held = np.isin(weekday, sorted(DAYS[window.days]))
    if window.months:
        month, _ = months_and_days(days)
        held &= np.isin(month, window.months)
    return np.asarray(here & held[which])
