"""What everyone is told: the broadcast, its way to the zones, who holds it, and the outlook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.economics import PriceParts
from abm.fleet.expected_arrivals import WINDOW_H, ExpectedArrivals, expected_arrivals
from abm.fleet.stays import stream
from abm.fleet.view import read_only
from abm.scenario import Scenario
from abm.scenario.calendar import Calendar
from abm.scenario.grid_fields import BroadcastSection


@dataclass(frozen=True)
class Broadcast:
    """One message of the grid agent; arrays of shape (n_feeders,).

    hour: index of the hour that begins or runs when it is sent, from 0. clock_hour: the same on the
    clock, 0-23. price: alpha(h) of that hour, $/kWh.
    demand_mw: P_D(h) in eq. (13), as `broadcast.what` in the scenario says: the base demand of that
    hour, with EV demand and losses of the interval that ended if they are asked for.
    limit_mw: P_D^max. headroom_mw: limit less demand, negative above the limit.
    ev_mw: EV demand of the interval that ended, an hour by default; NaN before the first has.
    feeder: feeder of each EV, shape (n_evs,).
    ended: gives losses and lowest voltage of the interval that ended, (n_feeders,) each; None
    before the first has. It is only called when somebody asks, so that load flows which nobody
    waits for can be solved in one batch.
    sequence: number of the message, from 1; 0 is what everybody knows at the start. minute: when it
    was sent, minutes from the start of the horizon.
    includes_evs, includes_losses: whether demand_mw has that EV demand and those losses in it.
    outlook: what an aggregator can know of the hours to come, the same object in every message of a
    run; only what is asked for is worked out.
    purchase_price, sale_price: what a kWh costs and earns in the interval that begins, with fees
    and taxes, (n_feeders,) [$/kWh]; price is alpha alone, as listed.
    battery_mw: power of the stationary batteries in the interval that ended, in demand_mw where EV
    demand is; None where there are none. operator_kw: what the connection of each EV may draw for
    charging as the network operator says, (n_evs,) [kW], infinity where it has no limit; None where
    the strategy has no operator.
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
    sequence: int = 0
    minute: float = 0.0
    includes_evs: bool = False
    includes_losses: bool = False
    outlook: Outlook | None = None
    purchase_price: FloatArray | None = None
    sale_price: FloatArray | None = None
    battery_mw: FloatArray | None = None
    operator_kw: FloatArray | None = None

    def __post_init__(self) -> None:
        # Everybody holds the same message, and rules of the user's own do, too.
        some = ("purchase_price", "sale_price", "battery_mw", "operator_kw")
        for name in ("demand_mw", "limit_mw", "headroom_mw", "ev_mw", "feeder", *some):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, read_only(getattr(self, name)))

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A copy is not to be written to, either.
        self.__dict__.update(state)
        self.__post_init__()

    @property
    def base_mw(self) -> FloatArray:
        """Demand less the EV demand, the batteries and the losses in it, (n_feeders,) [MW]."""
        base = self.demand_mw - self.ev_mw if self.includes_evs else self.demand_mw
        if self.includes_evs and self.battery_mw is not None:
            base = base - self.battery_mw
        # Where losses are not known the message is not heard.
        return base - np.nan_to_num(self.loss_mw) if self.includes_losses else base

    @property
    def loss_mw(self) -> FloatArray:
        """Losses of the interval that ended; NaN before, and where it did not converge."""
        return self.ended()[0] if self.ended is not None else np.full_like(self.demand_mw, np.nan)

    @property
    def min_vm_pu(self) -> FloatArray:
        """Lowest voltage of the interval that ended; NaN as for `loss_mw`."""
        return self.ended()[1] if self.ended is not None else np.full_like(self.demand_mw, np.nan)

    @property
    def at_or_above_limit(self) -> NDArray[np.bool_]:
        """Whether the demand is at or above the limit, per feeder."""
        return self.demand_mw >= self.limit_mw

    def to_evs(self, per_feeder: NDArray[np.generic]) -> NDArray[np.generic]:
        """A value per feeder as a value per EV; broadcasts for a single feeder."""
        return per_feeder if len(per_feeder) == 1 else per_feeder[self.feeder]


class Channel:
    """Noise and losses of the messages to the zones of K feeders, `broadcast` in the scenario.

    seeds: one per feeder, each with streams of its own that are drawn from once per message, so
    that what a feeder's zones hear depends neither on the other feeders nor on the engine.
    """

    def __init__(self, section: BroadcastSection, seeds: Sequence[int], n_zones: int) -> None:
        self.loss_probability, self.noise, self.n_zones = (
            section.loss_probability,
            section.noise,
            n_zones,
        )
        losses, noise = section.loss_probability > 0.0, section.noise > 0.0
        self._loss = [stream(seed, "broadcast_loss") for seed in seeds if losses]
        self._noise = [stream(seed, "broadcast_noise") for seed in seeds if noise]

    def distorted(self, demand_mw: FloatArray) -> FloatArray:
        """The demand as the next message has it, (n_feeders,) [MW]: times 1 + noise x N(0, 1)."""
        if not self._noise:
            return demand_mw
        # random() and its inversion, since their bits are the same in every numpy.
        u = np.array([stream.random() for stream in self._noise])
        error: FloatArray = self.noise * ndtri(np.maximum(u, 2.0**-54))
        return demand_mw * (1.0 + error)

    def heard_by(self) -> NDArray[np.bool_] | None:
        """Which zones hear the next message, (n_feeders x n_zones,); None where all do."""
        if not self._loss:
            return None
        u = np.concatenate([stream.random(self.n_zones) for stream in self._loss])
        return np.asarray(u >= self.loss_probability)


class Inbox:
    """The messages in use and which of them each zone holds.

    messages: those that some zone holds, oldest first. newest: the last that any zone has heard.
    of_cell: place in `messages` of what each zone holds, (n_feeders x n_zones,).

    A rule or an admission is asked once for each message in use; where all zones hold the same one,
    as without losses, that is once.
    """

    def __init__(self, known: Broadcast, cell: IntArray, n_cells: int) -> None:
        """known: what everybody knows at the start. cell: of each EV, feeder x n_zones + zone."""
        self.messages: tuple[Broadcast, ...] = (known,)
        self.newest = known
        self.of_cell: IntArray = np.zeros(n_cells, dtype=np.int64)
        self._cell = cell

    def hear(self, message: Broadcast, by: BoolArray | None = None) -> None:
        """A new message comes in at the cells `by`, (n_cells,), or at all of them."""
        if by is None or by.all():
            self.messages = (message,)
            self.of_cell = np.zeros_like(self.of_cell)
        elif by.any():
            held = np.where(by, len(self.messages), self.of_cell)
            every = (*self.messages, message)
            in_use = np.unique(held)
            self.messages = tuple(every[i] for i in in_use)
            self.of_cell = np.searchsorted(in_use, held)
        else:
            return
        self.newest = message

    def of(self, cell: int) -> Broadcast:
        """The message that a cell holds."""
        return self.messages[int(self.of_cell[cell])]

    def by_ev(self, answer: Callable[[Broadcast], NDArray[Any]]) -> NDArray[Any]:
        """For each EV the answer under its zone's message; answers broadcast to (n_evs,)."""
        return self._chosen(answer, lambda: self.of_cell[self._cell])

    def by_feeder(self, answer: Callable[[Broadcast], NDArray[Any]]) -> NDArray[Any]:
        """For each feeder the answer, (n_feeders,), under the one message that its zones hold.

        RuntimeError where the zones of a feeder hold different ones.
        """
        return self._chosen(answer, self._of_feeder)

    def _of_feeder(self) -> IntArray:
        of = self.of_cell.reshape(len(self.newest.demand_mw), -1)
        if (of != of[:, :1]).any():
            raise RuntimeError("zones of a feeder hold different messages")
        return of[:, 0]

    def _chosen(
        self, answer: Callable[[Broadcast], NDArray[Any]], held: Callable[[], IntArray]
    ) -> NDArray[Any]:
        chosen = answer(self.messages[0])
        if len(self.messages) > 1:
            of = held()
            for i, message in enumerate(self.messages[1:], start=1):
                chosen = np.where(of == i, answer(message), chosen)
        return chosen


class Outlook:
    """Forecast and expectation of one model; worked out when first asked for.

    base_mw: actual base demand without PV, hourly means, (n_hours, K or 1) [MW]; pv_mw: the PV that
    comes off it, which is known ahead. expected_mw: the demand that can be expected, of which the
    forecast is made; customers draw their own. seeds: one per feeder; errors of the forecast come
    from them.
    """

    def __init__(
        self,
        scenario: Scenario,
        n_zones: int,
        seeds: Sequence[int],
        base_mw: FloatArray,
        pv_mw: FloatArray,
        expected_mw: FloatArray,
    ) -> None:
        self._scenario, self._n_zones, self._seeds = scenario, n_zones, seeds
        self.n_hours = scenario.hours
        # Stays end with their day where there are several.
        self.day_hours = 24 if scenario.horizon.days > 1 else scenario.hours
        self._actual_mw = np.broadcast_to(base_mw, (self.n_hours, len(seeds)))
        self._expected_mw = np.broadcast_to(expected_mw, (self.n_hours, len(seeds)))
        self._pv_mw = np.broadcast_to(pv_mw, (self.n_hours, len(seeds)))
        self.prices = scenario.inputs.prices
        self.sale_ratio = scenario.tariff.sale_ratio

    @cached_property
    def calendar(self) -> Calendar:
        """Dates, weekdays and clock times of the horizon."""
        return self._scenario.calendar

    @cached_property
    def price(self) -> FloatArray:
        """Price alpha of each hour as listed, (n_hours,) [$/kWh]."""
        return self.prices.by_hour(self.prices.alpha)

    @cached_property
    def expected(self) -> PriceParts:
        """Parts of the price by its step, (T, n_feeders or 1), as they can be expected.

        A price that follows the demand is expected at the day-ahead forecast of the base demand.
        """
        alpha = self.prices.alpha[:, None]
        if self.prices.follows:
            per_hour = 3600 // self.prices.step_s
            forecast = self.day_ahead_mw - self._pv_mw
            alpha = self.prices.follow(alpha, np.repeat(forecast, per_hour, axis=0))
        return self.prices.parts(alpha=alpha)

    def purchase_price(self, edges_min: FloatArray) -> FloatArray:
        """What a kWh bought is expected to cost in windows, all told, (w, n_feeders or 1)."""
        return self.prices.means(self.expected.buy, edges_min)

    def sale_price(self, edges_min: FloatArray) -> FloatArray:
        """What a kWh sold is expected to earn in windows, all told, (w, n_feeders or 1)."""
        return self.prices.means(self.expected.sell, edges_min)

    @cached_property
    def arrivals(self) -> ExpectedArrivals:
        """Expected arrivals on one feeder, by hour of the horizon."""
        return expected_arrivals(self._scenario, self._n_zones)

    @cached_property
    def day_ahead_mw(self) -> FloatArray:
        """Forecast of the base demand without PV, (n_hours, n_feeders) [MW], made beforehand."""
        forecast = self._scenario.forecast
        error = np.full((self.n_hours, len(self._seeds)), 1.0 + forecast.bias)
        if forecast.noise > 0.0:
            for k, seed in enumerate(self._seeds):
                u = stream(seed, "forecast").random(self.n_hours)
                error[:, k] += forecast.noise * ndtri(np.clip(u, 1e-12, 1.0))
        return np.asarray(self._expected_mw * np.maximum(error, 0.0))

    def metered_mw(self, hour: int) -> FloatArray:
        """Base demand of an hour that is over, as each feeder's meter has it, (n_feeders,) [MW]."""
        return np.asarray(self._actual_mw[hour] - self._pv_mw[hour])

    def base_mw(self, issued: int, hours: slice) -> FloatArray:
        """Forecast of the base demand of some hours, less the PV, (n, n_feeders) [MW].

        issued: hour of the broadcast it comes with. With `forecast.revise` it is the day-ahead
        forecast times what the demand of that hour and of up to 23 before was over its forecast, as
        far as that is more than the scatter of these hours explains: errors that go to and fro
        from hour to hour say nothing about the next ones.
        """
        ahead, pv_mw = self.day_ahead_mw[hours], self._pv_mw[hours]
        if not self._scenario.forecast.revise:
            return np.asarray(ahead - pv_mw)
        told = slice(max(0, issued + 1 - WINDOW_H), issued + 1)
        forecast, n = self.day_ahead_mw[told], issued + 1 - told.start
        if n < 2:
            return np.asarray(ahead - pv_mw)
        known = np.cumsum(forecast, axis=0)[-1]
        actual = np.cumsum(self._actual_mw[told], axis=0)[-1]
        over = np.divide(actual, known, out=np.ones_like(known), where=known > 0) - 1.0
        hourly = np.divide(
            self._actual_mw[told], forecast, out=np.ones_like(forecast), where=forecast > 0
        )
        scatter = np.cumsum((hourly - 1.0 - over) ** 2, axis=0)[-1] / (n - 1)
        # Shrunk by twice the variance of a mean, the positive part (James and Stein).
        noise = np.divide(
            2.0 * scatter, n * over**2, out=np.ones_like(over), where=np.abs(over) > 1e-12
        )
        return np.asarray(ahead * (1.0 + over * np.maximum(1.0 - noise, 0.0)) - pv_mw)
