"""The grid agent: solves the feeder every hour and broadcasts what the hour brings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import mesa
import numpy as np

from abm.grid import Feeder, PowerFlow, Solver
from abm.signals import Broadcast, Outlook, base_load

if TYPE_CHECKING:
    from abm.fleet.equations import FloatArray
    from abm.model import V2GModel


class GridAgent(mesa.Agent):
    """The distribution feeder and its operator.

    It solves the AC load flow of every hour, eqs. (10), (11), for the hour's mean powers, so that
    energy is kept, and on the hour it broadcasts the base demand and the headroom of the hour that
    begins with the EV demand, losses and voltages of the one that ended.

    base_p_mw, base_q_mvar: load without EVs, shape (24, n_bus), by clock hour.

    An hour's load flow is solved when somebody asks for it (a rule that looks at voltages, a person
    at a prompt, the results), together with all that are waiting: the numbers are the same, and one
    batch is many times as fast as its rows one by one.
    """

    model: V2GModel

    def __init__(self, model: V2GModel, feeder: Feeder, solver: Solver) -> None:
        super().__init__(model)
        scenario = model.scenario
        self.feeder, self.solver = feeder, solver
        profile = scenario.inputs.profile
        column = {name: i for i, name in enumerate(profile.classes)}
        of_bus = np.array([column[name] for name in feeder.class_names], dtype=np.int64)
        of_bus = of_bus[feeder.bus_class]
        scale = scenario.base_load.scale
        self.base_p_mw = base_load(feeder.p_mw, of_bus, profile.multiplier, scale)
        self.base_q_mvar = base_load(feeder.q_mvar, of_bus, profile.multiplier, scale)
        self.base_mw = self.base_p_mw.sum(axis=1)
        self.price = scenario.inputs.tariff.price
        self.sale_ratio = scenario.tariff.sale_ratio
        self.limit_mw = np.full(model.fleet.n_feeders, scenario.grid.demand_limit_mw)
        self.outlook = Outlook(
            scenario,
            len(feeder.zone_bus),
            model.seeds,
            model.start_hour,
            self.base_mw,
            self.price,
        )
        self._solved: list[PowerFlow] = []
        self._unsolved: list[tuple[FloatArray, FloatArray]] = []

    def clock_hour(self, hour: int) -> int:
        """Hour on the clock, 0-23, of an hour of the horizon."""
        return (self.model.start_hour + hour) % 24

    def on_the_hour(self) -> None:
        """Close the hour that ended, if any, and broadcast for the one that begins, if any."""
        hour = int(self.model.env.now) // 3600
        if hour > 0:
            self._close(hour - 1)
        if not self.model.clock.finished:
            self.model.broadcast = self.compose(hour)

    def compose(self, hour: int) -> Broadcast:
        """The broadcast at the beginning of an hour."""
        model, clock_hour = self.model, self.clock_hour(hour)
        demand = np.full(model.fleet.n_feeders, self.base_mw[clock_hour])
        if hour > 0:
            ev_mw, ended = (
                model.recorder.ev_mw[hour - 1],
                partial(self._losses_and_voltages, hour - 1),
            )
        else:
            ev_mw, ended = np.full(model.fleet.n_feeders, np.nan), None
        return Broadcast(
            hour=hour,
            clock_hour=clock_hour,
            price=float(self.price[clock_hour]),
            demand_mw=demand,
            limit_mw=self.limit_mw,
            headroom_mw=self.limit_mw - demand,
            ev_mw=ev_mw,
            feeder=model.fleet.feeder,
            ended=ended,
            outlook=self.outlook,
        )

    def _close(self, hour: int) -> None:
        model, clock_hour = self.model, self.clock_hour(hour)
        n_feeders = model.fleet.n_feeders
        zone_mw = model.recorder.close_hour(hour)
        p_mw = np.repeat(self.base_p_mw[clock_hour][None, :], n_feeders, axis=0)
        p_mw[:, self.feeder.zone_bus] += zone_mw
        q_mvar = np.repeat(self.base_q_mvar[clock_hour][None, :], n_feeders, axis=0)
        self._unsolved.append((p_mw, q_mvar))
        model.fleet.book_hour(float(self.price[clock_hour]), self.sale_ratio)

    @property
    def flows(self) -> list[PowerFlow]:
        """The load flows of the hours that ended, n_feeders rows each."""
        if self._unsolved:
            p_mw, q_mvar = (np.concatenate(loads) for loads in zip(*self._unsolved, strict=True))
            batch, n = self.solver.solve(p_mw, q_mvar), self.model.fleet.n_feeders
            for first in range(0, len(p_mw), n):
                rows = {
                    name: getattr(batch, name)[first : first + n]
                    for name in PowerFlow.__dataclass_fields__
                }
                self._solved.append(PowerFlow(**rows))
            self._unsolved.clear()
        return self._solved

    def _losses_and_voltages(self, hour: int) -> tuple[FloatArray, FloatArray]:
        flow = self.flows[hour]
        return flow.loss_mw, np.asarray(flow.vm_pu.min(axis=1))

    def __str__(self) -> str:
        broadcast = self.model.broadcast
        return (
            f"Feeder {self.feeder.name} at {broadcast.clock_hour}:00: base demand "
            f"{broadcast.demand_mw[0]:.3f} MW, limit {broadcast.limit_mw[0]:.3f} MW, "
            f"headroom {broadcast.headroom_mw[0]:+.3f} MW"
        )
