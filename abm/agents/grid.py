"""The grid agent: solves the feeder every hour and broadcasts what everybody goes by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from abm.agents.base import Agent
from abm.agents.billing import Billing
from abm.agents.load_flows import LoadFlows, ZonePower
from abm.agents.network_use import connections_of, readings
from abm.agents.supply import ZoneSupply
from abm.clock import Phase
from abm.control import Limited
from abm.control.limits import Told
from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.battery import hourly_demand
from abm.grid import Feeder, PowerFlow, Solver
from abm.grid.demand import base_load_of
from abm.grid.reactive import ChargersReactive, rated_in_use
from abm.results.supply import SupplyRecord
from abm.scenario.supply import has_pv, has_storage
from abm.signals import Broadcast, Channel, Outlook

if TYPE_CHECKING:
    from abm.model import V2GModel

CALLED = {
    "base": "base demand",
    "net": "net demand",
    "net_with_losses": "net demand with losses",
}


@dataclass(frozen=True)
class Measured:
    """What was measured over an interval that ended.

    hour: of the horizon, in which it lies. ev_mw: mean EV demand, battery_mw: mean power of the
    stationary batteries, (n_feeders,) each [MW]. began_s: when it began, s of the horizon. zones:
    what they did in it. grid: who measured it.
    """

    FIXED: ClassVar = ("flow",)

    hour: int
    ev_mw: FloatArray
    battery_mw: FloatArray
    began_s: int
    zones: ZonePower
    grid: GridAgent

    @cached_property
    def flow(self) -> PowerFlow:
        """Its load flow, n_feeders rows, solved when first asked for."""
        return self.grid.flow_of(self)

    def losses_and_voltages(self) -> tuple[FloatArray, FloatArray]:
        """Losses [MW] and lowest voltage [p.u.], (n_feeders,) each."""
        flow = self.flow
        return flow.loss_mw, np.asarray(flow.vm_pu.min(axis=1))


class GridAgent(Agent):
    """The distribution feeder and its operator.

    It solves the AC load flow of every hour or part of it (`grid.flow_interval_min` in the
    scenario), eqs. (10), (11), for the mean powers over it, so that energy is kept. Every interval
    of the broadcast, an hour by default, it sends demand and headroom with the EV demand, losses
    and voltages of the interval that ended; `broadcast` in the scenario says what counts as demand,
    how often it is sent, how late and by whom it is heard.

    interval_s: time between two messages, s. delay_steps: steps from a message to when it is heard.
    base: load without EVs; supply: PV and batteries of the zones, None where there are none.
    base_mw: hourly means of the load less the PV, (n_hours, K or 1). hourly_price: alpha as listed,
    hourly means, (n_hours,). limit: P_D^max on the horizon.

    A load flow is solved when somebody asks for it (a rule that looks at voltages, a person
    at a prompt, the results), together with all that are waiting: the numbers are the same, and one
    batch is many times as fast as its rows one by one.
    """

    FIXED: ClassVar = ("base", "base_mw", "prices", "hourly_price", "limit", "outlook")

    model: V2GModel

    def __init__(self, model: V2GModel, feeder: Feeder, solver: Solver) -> None:
        super().__init__(model)
        scenario = model.scenario
        self.feeder, self.solver = feeder, solver
        self.base = base_load_of(scenario, feeder, model.seeds)
        hours_s = np.arange(model.clock.n_hours) * 3600
        self.supply: ZoneSupply | None = None
        if has_pv(scenario.pv) or has_storage(scenario.storage):
            self.supply = ZoneSupply(model, feeder.zone_bus, self.base)
        self.base_mw = self.without_evs_mw(hours_s, 3600)
        self.prices = scenario.inputs.prices
        self.hourly_price = self.prices.by_hour(self.prices.alpha)
        self.sale_ratio = scenario.tariff.sale_ratio
        self.limit = scenario.demand_limit
        self.limit_mw = np.full(model.fleet.n_feeders, scenario.grid.demand_limit_mw)
        section, clock = scenario.broadcast, model.clock
        self.what, self.interval_s = section.what, section.interval_min * 60
        self.billing = Billing(scenario, model.fleet, self.base, self.interval_s)
        self.delay_steps = math.ceil(round(section.delay_min * 60.0 / clock.step_s, 9))
        self.channel = Channel(section, model.seeds, model.fleet.n_zones)
        self._sequence = 0
        self._measured: Measured | None = None
        # What the meter had summed up in this hour when the interval began.
        self._before: dict[str, FloatArray] = {}
        self._sent_mw = self._base_from(0)
        self.billing.follow(0, self._sent_mw)
        # Nobody knows beforehand what this feeder's customers draw.
        expected = base_load_of(scenario, feeder) if self.base.drawn else self.base
        self.outlook = Outlook(
            scenario,
            len(feeder.zone_bus),
            model.seeds,
            self.base.mean_mw(hours_s, 3600),
            self._pv_mw(hours_s, 3600),
            expected.mean_mw(hours_s, 3600),
        )
        self.flow_s = scenario.grid.flow_interval_min * 60
        self.reactive = ChargersReactive(scenario.ev)
        self.load_flows = LoadFlows(model, feeder, solver, self.base, self.supply, self.reactive)
        # Who limits what connections draw, and what it has last said.
        admission = model.admission
        self.operator = admission.operator if isinstance(admission, Limited) else None
        if isinstance(admission, Told):
            admission.connection = connections_of(model.fleet, feeder, admission.operator)
        self._operator_kw: FloatArray | None = None
        # Messages that nobody has heard yet, and the step in which they are.
        self._on_their_way: list[tuple[int, Broadcast, BoolArray | None]] = []

    def clock_hour(self, hour: int) -> int:
        """Hour on the clock, 0-23, of an hour of the horizon."""
        return int(self.model.scenario.calendar.clock_hours[hour])

    def close_interval(self) -> None:
        """Measure the interval that ended, if any, and close the hour that ended with it."""
        now_s = int(self.model.env.now)
        on_the_hour = now_s % 3600 == 0
        self.book()
        if now_s > 0:
            if self.supply is not None:
                step_s = self.model.clock.step_s
                began = now_s - self.interval_s
                self.supply.advance(began // step_s, self.interval_s // step_s)
            self._measured = self._measure(now_s - self.interval_s, on_the_hour)
            if on_the_hour:
                self._close(now_s // 3600 - 1)

    def book(self) -> None:
        """Put what was moved since the last booking on the owners' bills, if a price has ended."""
        self.billing.book(int(self.model.env.now))

    def known_at_start(self) -> Broadcast:
        """What everybody goes by until the first message is heard: the first hour without EVs."""
        return self.compose(0, self._sent_mw)

    def compose(self, hour: int, demand_mw: FloatArray) -> Broadcast:
        """The message of now, in an hour of the horizon; demand_mw: (n_feeders,)."""
        model, clock_hour, measured = self.model, self.clock_hour(hour), self._measured
        unknown = np.full(model.fleet.n_feeders, np.nan)
        if model.scenario.inputs.limit is not None:
            now_s = np.array([int(model.env.now)])
            self.limit_mw[:] = self.limit.mean(now_s, self.interval_s)[0, 0]
        now = self.billing.in_force(int(model.env.now))
        return Broadcast(
            hour=hour,
            clock_hour=clock_hour,
            price=float(self.hourly_price[hour]),
            purchase_price=np.broadcast_to(now.buy, demand_mw.shape),
            sale_price=np.broadcast_to(now.sell, demand_mw.shape),
            demand_mw=demand_mw,
            limit_mw=self.limit_mw.copy(),
            headroom_mw=self.limit_mw - demand_mw,
            ev_mw=unknown if measured is None else measured.ev_mw,
            feeder=model.fleet.feeder,
            ended=None if measured is None else measured.losses_and_voltages,
            sequence=self._sequence,
            minute=model.minute,
            includes_evs=self.what != "base" and measured is not None,
            includes_losses=self.what == "net_with_losses" and measured is not None,
            outlook=self.outlook,
            battery_mw=None if measured is None else measured.battery_mw,
            operator_kw=self._operator_kw,
        )

    def send(self) -> None:
        """Tell everyone what the interval that begins, if any, brings."""
        model, clock = self.model, self.model.clock
        if clock.finished:
            return
        now_s = int(model.env.now)
        hour = now_s // 3600
        self._sequence += 1
        demand_mw, sent = self._demand(now_s)
        self.billing.follow(now_s, demand_mw)
        if self.operator is not None:
            self._operator_kw = self.operator.orders(model.fleet, readings(self, self._measured))
        message = self.compose(hour, demand_mw)
        heard_by = self.channel.heard_by()
        if not sent.all():
            cells = np.repeat(sent, model.fleet.n_zones)
            heard_by = cells if heard_by is None else heard_by & cells
        if self.delay_steps == 0:
            model.inbox.hear(message, heard_by)
        else:
            self._on_their_way.append((clock.step + self.delay_steps, message, heard_by))
            clock.once(Phase.GRID, clock.step + self.delay_steps, self._deliver)

    def _deliver(self) -> None:
        """Hand over the oldest message that is on its way."""
        _, message, heard_by = self._on_their_way.pop(0)
        if not self.model.clock.finished:
            self.model.inbox.hear(message, heard_by)

    def go_on(self) -> None:
        """Put on the clock of a run that goes on what messages were on their way."""
        clock = self.model.clock
        for step, _, _ in self._on_their_way:
            clock.once(Phase.GRID, step, self._deliver)

    def _base_from(self, begin_s: int) -> FloatArray:
        """Mean base demand over the interval of a message that begins then, (n_feeders,) [MW]."""
        mean = self.without_evs_mw(np.array([begin_s]), self.interval_s)[0]
        return np.full(self.model.fleet.n_feeders, mean)

    def without_evs_mw(self, begin_s: IntArray, window_s: int) -> FloatArray:
        """Mean demand without EVs and batteries, load less PV, over windows, (n, K or 1) [MW]."""
        return self.base.mean_mw(begin_s, window_s) - self._pv_mw(begin_s, window_s)

    def _pv_mw(self, begin_s: IntArray, window_s: int) -> FloatArray:
        """Mean PV of a feeder over windows, before curtailment, (n, 1) [MW]; 0 without any."""
        if self.supply is None:
            return np.zeros((len(begin_s), 1))
        return np.asarray(self.supply.pv_mw(begin_s, window_s).sum(axis=1, keepdims=True))

    def _demand(self, now_s: int) -> tuple[FloatArray, BoolArray]:
        """Demand to broadcast, (n_feeders,) [MW], and the feeders on which it can be sent.

        Losses of a load flow that did not converge are not known, so nothing is sent there.
        """
        n_feeders, measured = self.model.fleet.n_feeders, self._measured
        demand = self._base_from(now_s)
        sent = np.ones(n_feeders, dtype=np.bool_)
        if measured is not None and self.what != "base":
            demand = demand + measured.ev_mw
            if measured.battery_mw is not None:
                demand = demand + measured.battery_mw
        if measured is not None and self.what == "net_with_losses":
            flow = measured.flow
            sent = flow.converged
            self.model.meter.unsent[measured.hour] += ~sent
            demand = demand + np.where(sent, flow.loss_mw, 0.0)
        self._sent_mw = np.where(sent, self.channel.distorted(demand), self._sent_mw)
        return self._sent_mw, sent

    def _measure(self, began_s: int, on_the_hour: bool) -> Measured:
        """The interval that ended; began_s: when it began, s of the horizon."""
        meter, hour = self.model.meter, began_s // 3600
        summed = {
            "zones": np.array([meter.hour_charge, meter.hour_discharge]),
            "points": np.array([meter.point_charge.sum(axis=0), meter.point_discharge.sum(axis=0)]),
        }
        per_mw = self.interval_s // self.model.clock.step_s * 1e3
        shape = (2, 1, self.model.fleet.n_feeders, -1)
        found = {}
        for name, sums in summed.items():
            charge_mw, discharge_mw = ((sums - self._before.get(name, 0.0)) / per_mw).reshape(shape)
            found[name] = charge_mw - discharge_mw, charge_mw + discharge_mw
        self._before = {} if on_the_hour else summed
        ev_mw = hourly_demand(found["zones"][0][0])
        zones = self._zone_power(began_s, self.interval_s, *found["zones"], *found["points"])
        # A feeder may have no zones.
        battery_mw = np.cumsum(np.insert(zones.battery_mw[0], 0, 0.0, axis=1), axis=1)[:, -1]
        return Measured(hour, ev_mw, battery_mw, began_s, zones, self)

    def flow_of(self, measured: Measured) -> PowerFlow:
        """The load flow of an interval that was measured."""
        if self.interval_s == self.flow_s == 3600:
            # The hour is solved for the results in any case.
            return self.load_flows.at(measured.hour)
        return self.load_flows.solve(measured.began_s, self.interval_s, measured.zones).flow

    def _zone_power(
        self,
        began_s: int,
        window_s: int,
        net_mw: FloatArray,
        through_mw: FloatArray,
        point_mw: FloatArray,
        point_through_mw: FloatArray,
    ) -> ZonePower:
        """Of windows that have ended, with who was plugged in where somebody needs to know.

        net_mw, through_mw: (W, n_feeders, n_zones); the same by point.
        """
        begin_s = began_s + np.arange(len(net_mw)) * window_s
        rated_mw = battery_mw = np.zeros_like(net_mw)
        if self.reactive.by_voltage:
            fleet, step_s = self.model.fleet, self.model.clock.step_s
            spans = [(int(at) // step_s, (int(at) + window_s) // step_s) for at in begin_s]
            rated_mw = np.array([rated_in_use(fleet, *span) for span in spans])
        if self.supply is not None:
            of = [self.supply.battery_mw(int(at), window_s) for at in begin_s]
            battery_mw = np.array(of)
        return ZonePower(net_mw, through_mw, rated_mw, battery_mw, point_mw, point_through_mw)

    def _close(self, hour: int) -> None:
        meter, flow_s = self.model.meter, self.flow_s
        net_mw = meter.close_hour(hour)
        per_hour = 3600 // flow_s
        here, shape = slice(hour * per_hour, (hour + 1) * per_hour), (per_hour, len(net_mw), -1)
        if flow_s == 3600:
            through = meter.zone_charge_mw[hour] + meter.zone_discharge_mw[hour]
            of_zones = [net_mw[None], through.reshape(1, *net_mw.shape)]
        else:
            metered = meter.flow_zone_mw, meter.flow_through_mw
            of_zones = [values[here].reshape(per_hour, *net_mw.shape) for values in metered]
        metered = meter.flow_point_mw, meter.flow_point_through_mw
        of_points = [values[here].reshape(shape) for values in metered]
        zones = self._zone_power(hour * 3600, flow_s, *of_zones, *of_points)
        self.load_flows.zone_power.append(zones)
        if self.supply is not None:
            self.supply.close_hour(hour)

    @property
    def hours_closed(self) -> int:
        """Hours of the horizon that have ended and are metered."""
        return len(self.load_flows.zone_power)

    @property
    def flows(self) -> PowerFlow:
        """The load flows of the hours that ended, several per hour or one, (n_flows, K, ...)."""
        return self.load_flows.flows

    @property
    def taken_mvar(self) -> FloatArray:
        """Reactive power that the chargers take in each load flow, (n_flows, K, Z) [Mvar].

        NaN where a load flow with volt-var did not converge.
        """
        return self.load_flows.taken_mvar

    @property
    def supplied(self) -> SupplyRecord | None:
        """What PV and batteries of the zones did; None where there are none."""
        return None if self.supply is None else self.supply.record(self.load_flows.curtailed_mw)

    def __str__(self) -> str:
        model = self.model
        broadcast = model.broadcast
        return (
            f"Feeder {self.feeder.name} at {model.clock_time(broadcast.minute)}: "
            f"{CALLED[self.what]} {broadcast.demand_mw[0]:.3f} MW, "
            f"limit {broadcast.limit_mw[0]:.3f} MW, headroom {broadcast.headroom_mw[0]:+.3f} MW"
        )
