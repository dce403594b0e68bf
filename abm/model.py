"""The model: V2GModel makes the parts, connects them and steps the clock.

It reads like section II of the paper: EVs arrive at their RPZs and depart; every hour the grid
agent solves the feeder and broadcasts; every minute the home energy manager switches, the RPZs
admit, the batteries exchange energy, and the meter writes it down.
"""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import simpy

from abm.agents import EV, Engine, EvClass, GridAgent, HomeEnergyManager, Roster, make_engine
from abm.agents.base import AgentNumbers, AgentSet, Model
from abm.agents.collecting import kpis_collected
from abm.agents.given import scenario_of, seed_of
from abm.clock import Clock
from abm.control import Admission, Rule, make_strategy, resolve_strategy
from abm.engine import CompiledHour
from abm.engine.meter import Meter
from abm.fleet import Fleet, Population, feeder_seeds, no_stays
from abm.fleet.cycles import cycle_stress
from abm.fleet.owners import Behaviour, LearningOwners
from abm.grid import build_feeder, make_solver
from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.results import Record, Results, make_record
from abm.results.indicators import of_runs
from abm.results.own_kpis import own_kpis, own_names
from abm.results.so_far import closed_part
from abm.scenario import Scenario, clock_minutes
from abm.scenario.calendar import DAY_S
from abm.scenario.code import refuse_untrusted
from abm.scenario.kpi import Kpi
from abm.scenario.supply import has_pv, has_storage
from abm.signals import Broadcast, Inbox
from abm.snapshot import Snapshot, Snapshots

if TYPE_CHECKING:
    from abm.agents.base import AgentsByType


class V2GModel(Model):
    """EVs, RPZs, home energy manager and feeder of one scenario, and the clock that drives them.

    scenario: what is studied; a name or a path is loaded. seed: takes the place of the scenario's
    seed; a sequence of seeds puts one feeder for each (`feeder.copies` of them for each) into one
    model, each with its own fleet: the batch dimension of Monte Carlo and of cities. rule,
    admission, behaviour, ev_class, kpis: objects as `Scenario.with_objects` takes them; the model
    has copies of its own. rng: the seed, as Mesa 3.5 calls it. fields: of the scenario, by their
    last name where no other has it (evs_per_zone=20), or as {"ev.efficiency": 0.9}; of `belief`
    by their whole name. snapshots: of the first days of the same run, after which it goes on.

    Raises InputError when a rule, an admission or an EV named in ev_class is not there, and where
    the scenario names code that nobody has said may be loaded (`Scenario.load(..., trust=True)`).
    """

    def __init__(
        self,
        scenario: Scenario | str | os.PathLike[str] = "paper",
        seed: int | Sequence[int] | None = None,
        *,
        rng: int | None = None,
        rule: Rule | Callable[..., Any] | None = None,
        admission: Admission | Callable[..., Any] | None = None,
        behaviour: Behaviour | Callable[..., Any] | Mapping[str, Any] | None = None,
        ev_class: EvClass | None = None,
        kpis: Mapping[str, Kpi | Callable[[Results], float | None]] | None = None,
        snapshots: Sequence[Snapshot] = (),
        **fields: Any,
    ) -> None:
        scenario = scenario_of(scenario, fields, inspect.signature(V2GModel).parameters)
        if rng is not None:
            seed = seed_of(seed, rng)
        if any(one is not None for one in (rule, admission, behaviour, ev_class, kpis)):
            scenario = scenario.with_objects(rule, admission, behaviour, ev_class, kpis)
        given = scenario.seed if seed is None else seed
        given = (int(given),) if isinstance(given, int | np.integer) else tuple(given)
        copies = scenario.feeder.copies
        self.seeds = tuple(own for one in given for own in feeder_seeds(one, copies))
        if seed is not None and len(given) == 1:
            # So that the scenario in the results gives this very run again.
            scenario = scenario.model_copy(update={"seed": given[0]})
        self._scenario_studied = scenario
        refuse_untrusted(scenario.code)
        own_kpis(scenario)  # what is no KPI is said before the run, not after it
        super().__init__(rng=self.seeds[0])
        self.agent_numbers = AgentNumbers()
        self._collector: Any = None

        table = scenario.inputs.feeder
        feeder = build_feeder(table)
        n_zones = len(feeder.zone_bus)
        connected = resolve_strategy(scenario).connected
        self.days = scenario.sets_of_stays
        self.population = Population(scenario, n_zones, self.seeds) if connected else None
        self.learning: LearningOwners | None = None
        if self.population is not None and scenario.owners.learning.graph != "off":
            self.learning = LearningOwners(self.population)
        stays = no_stays() if self.population is None else self.population.stays()
        n_points = 0
        if isinstance(feeder, ThreePhaseFeeder):
            n_points = len(feeder.points.home)
            stays = replace(stays, point=feeder.points_of(stays, scenario.connection, self.seeds))
        self.clock = Clock(scenario.hours, scenario.clock.step_s, DAY_S * len(snapshots))
        # Called when a day has ended and the next one was drawn, with how many have.
        self.on_day: Callable[[int], None] | None = None
        self.start_hour = clock_minutes(scenario.clock.start) // 60 % 24
        self.fleet = Fleet(
            stays,
            n_zones,
            len(self.seeds),
            scenario.requirement,
            self.clock.step_s / 3600.0,
            scenario.ev,
            None if scenario.ageing.model == "throughput" else cycle_stress(scenario.ageing),
        )
        self.fleet.by_energy = by_energy = scenario.by_energy
        minutes = scenario.record.zone_minute
        self.meter = Meter(
            self.clock,
            self.fleet,
            0.0 if by_energy else scenario.ev.soc_lower,
            1.0 if by_energy else scenario.ev.soc_upper,
            minutes=len(self.seeds) == 1 if minutes is None else minutes,
            flow_min=scenario.grid.flow_interval_min,
            keep_zones=has_pv(scenario.pv) or has_storage(scenario.storage),
            n_points=n_points,
            keep_through=abs(scenario.ev.power_factor) != 1.0,
        )
        made, self.admission = make_strategy(scenario)
        self._results: Results | None = None

        self.grid = GridAgent(self, feeder, make_solver(scenario.grid.solver, feeder))
        self.home = HomeEnergyManager(self, made)
        self._roster = Roster(self, n_zones, scenario.objects.ev_class or EV)
        self.zones, self.evs = self._roster.zones, self._roster.evs
        self.home.own_minds = self._roster.own_minds()
        n_cells = self.fleet.n_feeders * n_zones
        self.inbox = Inbox(self.grid.known_at_start(), self.fleet.cell, n_cells)
        self.engine = self._make_engine()
        self._snapshots = Snapshots(self._parts(), self._given())
        if snapshots:
            self._snapshots.restore(snapshots)
            self.engine.goes_on = True
            self.grid.go_on()
        self.engine.start()

    def _make_engine(self) -> Engine:
        return make_engine(self)

    # --- running -------------------------------------------------------------------------------

    def step(self) -> None:
        """One step of the clock, a minute by default; the last one closes the last hour."""
        self._advance(1)

    def advance(self, n_steps: int) -> None:
        """So many steps of the clock at once; the arrays are those of calling `step` so often."""
        left = self.clock.n_steps - self.clock.step
        self._advance(n_steps)
        self.steps += min(n_steps, left)
        if hasattr(self, "time"):  # Mesa 3.5 counts steps there, too
            self.time = float(self.steps)

    def run(self, on_hour: Callable[[], None] | None = None) -> V2GModel:
        """Walk to the end of the horizon, hour by hour; on_hour is called after every hour.

        The arrays are those of stepping to the end. A `step` overridden in a subclass is called for
        every step.
        """
        clock = self.clock
        own_step = type(self).step is not V2GModel.step
        while not clock.finished:
            left_in_hour = clock.steps_per_hour - clock.step % clock.steps_per_hour
            if own_step:
                for _ in range(left_in_hour):
                    self.step()
            else:
                self.advance(left_in_hour)
            if on_hour is not None:
                on_hour()
        return self

    def _parts(self) -> dict[str, object]:
        """What changes in a run."""
        parts = {
            "population": self.population,
            "learning": self.learning,
            "fleet": self.fleet,
            "meter": self.meter,
            "grid": self.grid,
            "inbox": self.inbox,
            "rule": self.home.rule,
            "admission": self.admission,
            "engine": self.engine,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def _given(self) -> dict[str, object]:
        """What is there in every model of the scenario, and stays."""
        return {
            "model": self,
            "scenario": self.scenario,
            "clock": self.clock,
            "feeder": self.grid.feeder,
            "solver": self.grid.solver,
            "outlook": self.grid.outlook,
            "base": self.grid.base,
        }

    def snapshot(self) -> Snapshot:
        """The state at the end of a day, within `on_day`: what the day has added, and what is now.

        `V2GModel(scenario, snapshots=...)` with those of all days so far goes on from there.
        """
        clock = self.clock
        last = clock.step
        first = max(last - clock.steps_per_day, 0)
        window, hour = self.meter.window, clock.steps_per_hour
        per_hour = 3600 // self.grid.flow_s
        rows = {
            "steps": (first, last),
            "steps_and_window": (first, last + window),
            "hours": (first // hour, last // hour),
            "flows": (first // hour * per_hour, last // hour * per_hour),
        }
        return self._snapshots.take(rows)

    # --- copies --------------------------------------------------------------------------------

    def fork(self) -> Self:
        """A second model in the same state, which goes on by itself to the same bytes.

        As `copy.deepcopy`: scenario, feeder, solver and what follows from them alone are shared,
        all else is its own, rules, EVs and what was attached to the model among it. `on_day` is
        left out. Between two steps only, else RuntimeError; InputError where a SimPy process of
        your own runs.
        """
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        kept = (*self._given().values(), *vars(self.scenario.inputs).values())
        memo |= {id(one): one for one in kept if one is not self and one is not self.clock}
        state = self.__getstate__()
        found = type(self).__new__(type(self))
        memo[id(self)] = found
        vars(found).update({name: copy.deepcopy(value, memo) for name, value in state.items()})
        return found

    def __getstate__(self) -> dict[str, Any]:
        if self.clock.walking:
            raise RuntimeError("a model is copied between two steps, not within one")
        return {**vars(self), "on_day": None}

    def _advance(self, n_steps: int) -> None:
        if not self.clock.finished:
            # Between two calls anybody may have written to a column.
            self.fleet.stale = True
            self.clock.advance(n_steps)
            self.running = not self.clock.finished

    @property
    def compiled(self) -> CompiledHour | None:
        """The compiled call, None where the model goes step by step in numpy."""
        return self.engine.hour

    @property
    def broadcast(self) -> Broadcast:
        """The newest message that any zone has heard; `heard` says which zone holds which."""
        return self.inbox.newest

    @property
    def env(self) -> simpy.Environment:
        """The SimPy environment; its time is seconds from the start of the horizon."""
        return self.clock.env

    @property
    def minute(self) -> float:
        """Minutes since the start of the horizon."""
        return self.clock.minute

    @property
    def scenario(self) -> Scenario:
        """What is studied."""
        return self._scenario_studied

    @scenario.setter
    def scenario(self, value: Any) -> None:
        # Mesa 3.5 puts a Scenario of its own here on creation; ours is set before and stays.
        pass

    # --- results -------------------------------------------------------------------------------

    @property
    def record(self) -> Record:
        """What the run leaves behind. RuntimeError before the end of the run."""
        if not self.clock.finished:
            raise RuntimeError("results are there after run(), or after stepping to the end")
        return self._record()

    def _record(self) -> Record:
        return make_record(
            self.scenario,
            self.seeds,
            self.grid.solver.name,
            self.grid.base,
            self.grid.billing.followed,
            self.grid.billing.by_ev(),
            self.fleet,
            self.meter,
            self.grid.flows,
            self.grid.taken_mvar,
            self.grid.supplied,
        )

    @property
    def results(self) -> Results:
        """Tables and KPIs of the run. RuntimeError before its end."""
        if self._results is None:
            self._results = Results(self.record)
        return self._results

    @property
    def hours_closed(self) -> int:
        """Hours that have ended and are metered; one is closed in the first step after it."""
        return self.grid.hours_closed

    def results_so_far(self) -> Results:
        """Tables and KPIs of the hours that are closed, in arrays of their own.

        Demand, voltages, losses and loadings are of these hours; energy, money and stays of the EVs
        are of now, with the money of a step of the price booked at its end. Of stays that go on
        counts as missing what can no longer be charged. What compares whole stays or lives of
        batteries is None (`abm.results.so_far.NOT_YET`). At the end of the run it is `results`.
        RuntimeError while no hour is closed.
        """
        if self.clock.finished:
            return self.results
        if self.hours_closed == 0:
            raise RuntimeError("no hour has ended yet; see model.hours_closed")
        return Results(closed_part(self._record(), self.hours_closed))

    def kpis_so_far(self) -> dict[str, Any]:
        """The KPIs of `results_so_far`; all None while no hour is closed."""
        if self.hours_closed == 0:
            return {**dict.fromkeys(of_runs()), **dict.fromkeys(own_names(self.scenario))}
        return self.results_so_far().kpis

    def results_of(self, feeder: int) -> Results:
        """Tables and KPIs of one copy of the feeder, counted from 0."""
        return self.results.of(feeder)

    def close(self) -> None:
        """Let go of what Mesa keeps of a model as long as the process lives (3.3 does)."""
        # First imported by abm.agents.base, which keeps its warning of widgets from notebooks.
        import mesa

        getattr(mesa.Agent, "_ids", {}).pop(self, None)

    @property
    def datacollector(self) -> Any:
        """Mesa's DataCollector of the model; the KPIs so far, collected now, while there is none.

        So `mesa.batch_run(V2GModel, ...)` has the KPIs of each run in its rows.
        """
        return kpis_collected(self) if self._collector is None else self._collector

    @datacollector.setter
    def datacollector(self, collector: Any) -> None:
        self._collector = collector

    # --- people at a prompt --------------------------------------------------------------------

    def clock_time(self, minute: float) -> str:
        """Clock time "HH:MM" of minutes from the start of the horizon."""
        of_day = int(self.scenario.calendar.clock_of(np.array(minute)))
        return f"{of_day // 60:02d}:{of_day % 60:02d}"

    @property
    def agents(self) -> AgentSet[Any]:
        """All Mesa agents; EVs and RPZs that nobody has asked for yet are made now.

        In a model of more than `MOST_AGENTS` EVs only those that were asked for are there.
        """
        self._roster.make_all()
        return super().agents

    @property
    def agents_by_type(self) -> AgentsByType:
        """Mesa agents by class, as `agents`."""
        self._roster.make_all()
        return super().agents_by_type

    @property
    def agent_types(self) -> list[type[Any]]:
        """Classes of Mesa agents that there are, as `agents`."""
        return list(self.agents_by_type)

    def __str__(self) -> str:
        return (
            f"V2GModel {self.scenario.name!r}, {self.fleet.n} EVs in {len(self.zones)} RPZs on "
            f"{self.grid.feeder.name}, {self.clock_time(self.minute)} "
            f"(minute {self.minute:g} of {self.clock.n_hours * 60})"
        )
