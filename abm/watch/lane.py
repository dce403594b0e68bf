"""One strategy that is watched: its model, and what was seen of it step by step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from abm.clock import Phase
from abm.equations import FloatArray
from abm.grid import PowerFlow
from abm.model import V2GModel
from abm.results.folder import strategy_label
from abm.scenario import Scenario
from abm.scenario.series import constant
from abm.watch.evs import known_soc, states

# Messages that are kept to be shown.
MOST_MESSAGES = 60
QUARTER_S = 900


@dataclass(frozen=True)
class Received:
    """A message when it came in. sent, heard: minutes from the start of the horizon.

    demand_mw, limit_mw [MW] and price [$/kWh] as they stand in it; zones: how many heard it.
    """

    sequence: int
    sent: float
    heard: float
    demand_mw: float
    limit_mw: float
    price: float
    zones: int


@dataclass(frozen=True, eq=False)
class LaneView:
    """What is shown of a lane at one moment.

    step: steps walked so far. state, soc, zone (from 1), departure_min, p_kw: of each EV, (n,);
    index, names: its place in `model.evs`, and the names by that place, None for numbers.
    demand_mw: by step of the horizon, NaN from `step` on; limit_mw: as it was heard, from `step` on
    the one of now; fill_mw, shave_mw: the levels of `coordinated`; base_mw: demand without EVs,
    known to the end. flow: the load flows of the last hour that ended, flow_hour: that hour, -1
    before the first. numbers: what stands beside the figures.
    """

    label: str
    step: int
    state: NDArray[np.int8]
    soc: FloatArray
    zone: NDArray[np.int64]
    departure_min: FloatArray
    p_kw: FloatArray
    index: NDArray[np.int64]
    demand_mw: FloatArray
    limit_mw: FloatArray
    fill_mw: FloatArray
    shave_mw: FloatArray
    base_mw: FloatArray
    flow: PowerFlow | None
    flow_hour: int
    messages: tuple[Received, ...]
    numbers: Numbers
    names: tuple[str, ...] | None

    def names_of(self, rows: NDArray[np.int64]) -> list[str]:
        """Names of some EVs: as in the session file, else their numbers, from 1."""
        index = self.index[rows].tolist()
        return [str(i + 1) if self.names is None else self.names[i] for i in index]


@dataclass(frozen=True)
class Numbers:
    """Figures of a moment: powers [MW], energies so far [kWh], counts of EVs.

    peak_mw: highest mean of a quarter of an hour so far, NaN before the first. left, short: EVs
    that have left since the day began, and those of them without all that they were to charge.
    paid_usd: what was paid less what was earned so far, booked hourly.
    """

    demand_mw: float
    ev_mw: float
    peak_mw: float
    charged_kwh: float
    discharged_kwh: float
    left: int
    short: int
    paid_usd: float


@dataclass(eq=False)
class Lane:
    """A model that is walked step by step, with a memory of what a page shows of it.

    scenario: of one feeder, under the strategy that is watched.
    """

    scenario: Scenario
    messages: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.label = strategy_label(self.scenario)
        studied = self.scenario
        if studied.clock.engine == "auto":
            # Both give the same numbers, and the compiled one takes its time for each call.
            clock = studied.clock.model_copy(update={"engine": "numpy"})
            studied = studied.model_copy(update={"clock": clock})
        self.model = model = V2GModel(studied)
        begin_s = np.arange(model.clock.n_steps) * model.clock.step_s
        self.base_mw: FloatArray = model.grid.without_evs_mw(begin_s, model.clock.step_s)[:, 0]
        self.ev_mw, self.limit_mw, self.fill_mw, self.shave_mw = np.full(
            (4, model.clock.n_steps), np.nan
        )
        self._heard = -1
        self._flow: PowerFlow | None = None
        self._flow_hour = -1

    def step(self) -> None:
        """One step of the model, and a note of what came of it.

        Whoever leaves, comes or sends when it ends has done so: at a full hour that hour is closed.
        """
        model, at = self.model, self.model.clock.step
        if model.clock.finished:
            return
        model.step()
        self.ev_mw[at] = model.fleet.p_kw.sum() / 1e3
        self.limit_mw[at] = model.broadcast.limit_mw[0]
        self.fill_mw[at], self.shave_mw[at] = self._levels_mw()
        self._listen(at)
        model.clock.settle(Phase.GRID)
        self._listen(at + 1)

    def _listen(self, step: int) -> None:
        """Note a message that the model has heard in this step, if any."""
        newest = self.model.broadcast
        if newest.sequence != self._heard:
            self._heard = newest.sequence
            if newest.sequence:
                self._note_message(step)

    def _levels_mw(self) -> tuple[float, float]:
        """What a planner of `coordinated` fills the demand up to and shaves it to, NaN without."""
        planner = getattr(self.model.home.rule, "planner", None)
        plans = planner.plans if planner is not None else {}
        if not plans:
            return np.nan, np.nan
        newest = next(reversed(plans.values()))
        return float(newest.level_kw[0]) / 1e3, float(newest.shave_kw[0]) / 1e3

    def _note_message(self, step: int) -> None:
        inbox, newest = self.model.inbox, self.model.broadcast
        held = len(inbox.messages) - 1
        self.messages.append(
            Received(
                newest.sequence,
                newest.minute,
                step * self.model.clock.step_s / 60.0,
                float(newest.demand_mw[0]),
                float(newest.limit_mw[0]),
                newest.price,
                int((inbox.of_cell == held).sum()),
            )
        )
        del self.messages[:-MOST_MESSAGES]

    def set_limit(self, limit_mw: float) -> None:
        """The demand limit from the next message on [MW]."""
        grid = self.model.grid
        grid.limit = constant(limit_mw, self.scenario.hours)
        grid.limit_mw[:] = limit_mw

    def view(self) -> LaneView:
        """What is to be seen now; load flows that wait are solved."""
        model, fleet, step = self.model, self.model.fleet, self.model.clock.step
        demand = self.base_mw + self.ev_mw
        if model.grid.supply is not None:
            demand = demand + model.grid.supply.battery_kw[:, 0] / 1e3
        limit = self.limit_mw.copy()
        limit[step:] = model.grid.limit_mw[0]
        hours = len(model.grid.load_flows.zone_power)
        if hours - 1 != self._flow_hour:
            self._flow, self._flow_hour = model.grid.load_flows.at(hours - 1), hours - 1
        return LaneView(
            self.label,
            step,
            states(fleet),
            known_soc(fleet),
            fleet.zone + 1,
            fleet.departure_min.copy(),
            fleet.p_kw.copy(),
            fleet.stay_index,
            demand,
            limit,
            self.fill_mw.copy(),
            self.shave_mw.copy(),
            self.base_mw,
            self._flow,
            self._flow_hour,
            tuple(self.messages),
            self._numbers(demand, step),
            fleet.names,
        )

    def _numbers(self, demand: FloatArray, step: int) -> Numbers:
        fleet, step_s = self.model.fleet, self.model.clock.step_s
        per_quarter = max(1, QUARTER_S // step_s)
        whole = demand[: step // per_quarter * per_quarter].reshape(-1, per_quarter).mean(axis=1)
        gone = ~np.isnan(fleet.soc_departure)
        missing = (fleet.soc_goal - fleet.soc_departure)[gone] * fleet.capacity_kwh[gone]
        return Numbers(
            float(demand[step - 1]) if step else float(self.base_mw[0]),
            float(self.ev_mw[step - 1]) if step else 0.0,
            float(whole.max()) if len(whole) else np.nan,
            float(fleet.charged_kwh.sum()),
            float(fleet.discharged_kwh.sum()),
            int(gone.sum()),
            int((missing > 0.1).sum()),
            float(fleet.purchase_usd.sum() - fleet.sale_usd.sum()),
        )
