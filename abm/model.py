"""The model: V2GModel puts the parts together, and does nothing else.

It reads like section II of the paper: EVs arrive at their RPZs and depart; every hour the grid
agent solves the feeder and broadcasts; every minute the home energy manager switches, the RPZs
admit, the batteries exchange energy, and the recorder writes it down.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mesa
import numpy as np
import simpy

from abm.agents import EV, GridAgent, HomeEnergyManager, ResidentialParkingZone
from abm.clock import Clock, Phase
from abm.control import make_admission, make_rule, resolve_strategy
from abm.errors import InputError, Problem
from abm.fleet import Fleet, ModeArray, build_stays, feeder_seeds, no_stays
from abm.fleet.equations import FloatArray
from abm.fleet.stays import IntArray
from abm.grid import build_feeder, make_solver
from abm.results import Record, Recorder, Results, make_record
from abm.scenario import Scenario, clock_minutes
from abm.signals import Broadcast

EvClass = type[EV] | Mapping[int | str, type[EV]]


class V2GModel(mesa.Model):
    """EVs, RPZs, home energy manager and feeder of one scenario, and the clock that drives them.

    scenario: what is studied. seed: takes the place of the scenario's seed; a sequence of seeds
    puts one feeder for each (`feeder.copies` of them for each) into one model, each with its own
    fleet: the batch dimension of Monte Carlo and of cities. ev_class: a subclass of EV for all, or {index in `evs` or ev_id:
    subclass} for some.

    Raises InputError when a rule, an admission or an EV named in ev_class is not there.
    """

    broadcast: Broadcast

    def __init__(
        self,
        scenario: Scenario,
        seed: int | Sequence[int] | None = None,
        *,
        ev_class: EvClass = EV,
    ) -> None:
        given = scenario.seed if seed is None else seed
        given = (int(given),) if isinstance(given, int | np.integer) else tuple(given)
        copies = scenario.feeder.copies
        self.seeds = tuple(own for one in given for own in feeder_seeds(one, copies))
        self._scenario_studied = scenario
        super().__init__(rng=self.seeds[0])

        table = scenario.inputs.feeder
        feeder = build_feeder(table)
        n_zones = len(feeder.zone_bus)
        connected = resolve_strategy(scenario).connected
        stays = build_stays(scenario, n_zones, self.seeds) if connected else no_stays()
        self.clock = Clock(scenario.clock.hours, scenario.clock.step_s)
        self.start_hour = clock_minutes(scenario.clock.start) // 60 % 24
        self.fleet = Fleet(
            stays,
            n_zones,
            len(self.seeds),
            scenario.ev.soc_min,
            scenario.requirement,
            self.clock.step_s / 3600.0,
        )
        minutes = scenario.record.zone_minute
        self.recorder = Recorder(
            self.clock,
            self.fleet,
            scenario.ev.soc_lower,
            scenario.ev.soc_upper,
            minutes=len(self.seeds) == 1 if minutes is None else minutes,
        )
        self.admission = make_admission(scenario)
        self.granted: ModeArray = np.zeros(self.fleet.n, dtype=np.int8)
        self._results: Results | None = None
        self._exchanged: tuple[FloatArray, FloatArray] | None = None

        self.grid = GridAgent(self, feeder, make_solver(scenario.grid.solver, feeder))
        self.home = HomeEnergyManager(self, make_rule(scenario))
        self.zones = [
            ResidentialParkingZone(
                self, zone + 1, k, int(feeder.bus_index[feeder.zone_bus[zone]]) + 1
            )
            for k in range(len(self.seeds))
            for zone in range(n_zones)
        ]
        self.evs = self._create_evs(ev_class)
        self.broadcast = self.grid.compose(0)
        self._wire()

    # --- one minute, in the order of the phases ------------------------------------------------

    def _wire(self) -> None:
        """Who acts in which phase; the clock keeps the order."""
        clock = self.clock
        arrival = self._in_steps(self.fleet.arrival_min)
        departure = self._in_steps(self.fleet.departure_min)
        everyone = np.arange(self.fleet.n)
        clock.cohort(Phase.DEPART, np.ceil(departure), everyone, self._depart)
        clock.cohort(Phase.ARRIVE, np.floor(arrival), everyone, self._arrive)
        # Who comes or goes within a step is plugged in for a part of it only.
        midway = everyone[arrival % 1.0 > 0.0]
        clock.cohort(Phase.ARRIVE, np.floor(arrival[midway]) + 1, midway, self._fit_window)
        midway = everyone[departure % 1.0 > 0.0]
        clock.cohort(Phase.ARRIVE, np.floor(departure[midway]), midway, self._fit_window)
        clock.every_hour(Phase.GRID, self.grid.on_the_hour)
        clock.every_step(Phase.HEM, self._switch)
        clock.every_step(Phase.RPZ, self._admit)
        clock.every_step(Phase.CHARGE, self._exchange)
        clock.every_step(Phase.RECORD, self._record)

    def _depart(self, rows: IntArray) -> None:
        due = np.ceil(self._in_steps(self.fleet.departure_min[rows])) <= self.clock.step
        rows = rows[due & self.fleet.plugged[rows]]
        if len(rows):
            self.fleet.unplug(rows)

    def _arrive(self, rows: IntArray) -> None:
        fleet = self.fleet
        due = np.floor(self._in_steps(fleet.arrival_min[rows])) <= self.clock.step
        due &= fleet.departure_min[rows] > np.maximum(fleet.arrival_min[rows], self.minute)
        rows = rows[due & np.isnan(fleet.soc[rows])]
        if len(rows) and not self.clock.finished:
            fleet.plug_in(rows, self.minute)

    def _fit_window(self, rows: IntArray) -> None:
        self.fleet.fit_window(rows, self.minute)

    def _switch(self) -> None:
        if self.fleet.n_plugged:
            self.home.apply_rule()

    def _admit(self) -> None:
        if self.fleet.n_plugged:
            ResidentialParkingZone.admit(self, self.admission)

    def _exchange(self) -> None:
        self._exchanged = None
        if self.fleet.n_plugged:
            self._exchanged = self.fleet.exchange(self.granted)

    def _record(self) -> None:
        self.recorder.record(self.clock.step, self._exchanged)

    # --- running -------------------------------------------------------------------------------

    def step(self) -> None:
        """One step of the clock, a minute by default; the last one closes the last hour."""
        if self.clock.finished:
            return
        self.clock.advance()
        if self.clock.finished:
            self.running = False

    def run(self, on_hour: Callable[[], None] | None = None) -> V2GModel:
        """Step to the end of the horizon; on_hour is called after every hour."""
        while not self.clock.finished:
            self.step()
            if on_hour is not None and self.clock.step % self.clock.steps_per_hour == 0:
                on_hour()
        return self

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
        return make_record(
            self.scenario,
            self.seeds,
            self.start_hour,
            self.grid.solver.name,
            self.grid.base_p_mw,
            self.grid.price,
            self.fleet,
            self.recorder,
            self.grid.flows,
        )

    @property
    def results(self) -> Results:
        """Tables and KPIs of the run. RuntimeError before its end."""
        if self._results is None:
            self._results = Results(self.record)
        return self._results

    def results_of(self, feeder: int) -> Results:
        """Tables and KPIs of one copy of the feeder, counted from 0."""
        return self.results.of(feeder)

    # --- people at a prompt --------------------------------------------------------------------

    def clock_time(self, minute: float) -> str:
        """Clock time "HH:MM" of minutes from the start of the horizon."""
        of_day = (self.start_hour * 60 + math.floor(minute)) % 1440
        return f"{of_day // 60:02d}:{of_day % 60:02d}"

    def reschedule(self, row: int) -> None:
        """Arrival or departure of one EV has been changed: put the new times on the clock."""
        fleet, rows = self.fleet, np.array([row])
        leaves = self._in_steps(fleet.departure_min[rows])[0]
        arrives = self._in_steps(fleet.arrival_min[rows])[0]
        if math.isnan(fleet.soc[row]):
            self.clock.once(Phase.ARRIVE, math.floor(arrives), lambda: self._arrive(rows))
            self.clock.once(Phase.ARRIVE, math.floor(arrives) + 1, lambda: self._fit_window(rows))
        self.clock.once(Phase.ARRIVE, math.floor(leaves), lambda: self._fit_window(rows))
        self.clock.once(Phase.DEPART, math.ceil(leaves), lambda: self._depart(rows))

    def _in_steps(self, minutes: FloatArray) -> FloatArray:
        # A time within a millionth of a step's edge is on it.
        steps = minutes * (60.0 / self.clock.step_s)
        nearest = np.round(steps)
        return np.where(np.abs(steps - nearest) < 1e-6, nearest, steps)

    def _create_evs(self, ev_class: EvClass) -> list[EV]:
        classes: list[type[EV]] = [EV] * self.fleet.n
        if isinstance(ev_class, Mapping):
            index_of = {self.fleet.ev_id(int(row)): i for i, row in enumerate(self.fleet.row_of)}
            problems = []
            for key, cls in ev_class.items():
                index = index_of.get(key, -1) if isinstance(key, str) else key
                if 0 <= index < self.fleet.n:
                    classes[index] = cls
                else:
                    allowed = f"an index below {self.fleet.n} or an ev_id of the fleet"
                    problems.append(Problem("ev_class", repr(key), allowed))
            if problems:
                raise InputError(problems)
        else:
            classes = [ev_class] * self.fleet.n
        evs = [cls(self, int(row)) for cls, row in zip(classes, self.fleet.row_of, strict=True)]
        self.home.own_minds = [ev for ev in evs if type(ev).decide is not EV.decide]
        return evs

    def __str__(self) -> str:
        return (
            f"V2GModel {self.scenario.name!r}, {self.fleet.n} EVs in {len(self.zones)} RPZs on "
            f"{self.grid.feeder.name}, {self.clock_time(self.minute)} "
            f"(minute {self.minute:g} of {self.clock.n_hours * 60})"
        )
