"""The two ways through a day, `clock.engine` in the scenario: who acts in which phase of a step.

Both close the intervals of the broadcast and turn over the days. Between those, one goes step by
step in numpy and asks rule, EVs and admission; the other hands whole hours to `abm.engine`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from abm.agents.rpz import ResidentialParkingZone
from abm.clock import Phase
from abm.control.level import SLOT_MIN
from abm.engine import CompiledHour
from abm.equations import FloatArray, IntArray
from abm.fleet import Exchange, ModeArray
from abm.fleet.owners import stay_benefit

if TYPE_CHECKING:
    from abm.model import V2GModel

# EV-steps from which loading the compiled engine pays: some twenty days of the paper's fleet.
WORTH_COMPILING = 20_000_000


class Engine:
    """What both ways have in common: the intervals of the broadcast, and days in a row.

    hour: the compiled call, None where there is none.
    """

    hour: CompiledHour | None = None

    def __init__(self, model: V2GModel) -> None:
        self.model = model
        # Whether what ended with the present moment is behind us already, in a run that goes on.
        self.goes_on = False

    def start(self) -> None:
        """Put on the clock who acts in which phase; the clock keeps the order."""
        clock, grid = self.model.clock, self.model.grid
        clock.every(grid.interval_s, Phase.GRID, self.on_the_interval)
        if grid.billing.every_s % grid.interval_s:
            clock.every(grid.billing.every_s, Phase.GRID, grid.book)
        self.expect()

    def expect(self) -> None:
        """A day's stays have been drawn: put what they need on the clock."""

    def reschedule(self, row: int) -> None:
        """Arrival or departure of one EV has been written: its new times hold."""
        self.model.fleet.reschedule(row)

    def on_the_interval(self) -> None:
        """Close the interval that ended, turn over the day if it did, and broadcast."""
        model, clock = self.model, self.model.clock
        if not self.goes_on:
            model.grid.close_interval()
            if clock.step and clock.step % clock.steps_per_day == 0:
                if model.days > 1:
                    self.turn_over_the_day()
                if model.on_day is not None and not clock.finished:
                    model.on_day(clock.step // clock.steps_per_day)
        self.goes_on = False
        model.grid.send()

    def turn_over_the_day(self) -> None:
        """Every stay ends with its day; the owners learn from it, and the next day is drawn."""
        model = self.model
        fleet, population, clock = model.fleet, model.population, model.clock
        fleet.unplug(np.flatnonzero(fleet.plugged))
        ended = model.meter.close_day()
        if population is None or clock.finished:
            return
        day = clock.step // clock.steps_per_day
        if model.learning is not None:
            benefit = stay_benefit(fleet, ended, model.grid.billing.purchase_price, model.scenario)
            shown = ended["arrived"][fleet.row_of], ended["v2g"][fleet.row_of]
            population.participates = model.learning.after(day - 1, *shown, benefit[fleet.row_of])
        fleet.begin(population.stays(day, fleet.last_soc()))
        fleet.out_of_order = True
        self.expect()

    def depart(self, rows: IntArray) -> None:
        """DEPART: those of `rows` whose departure has come leave."""
        fleet = self.model.fleet
        rows = rows[(fleet.departure_step[rows] <= self.model.clock.step) & fleet.plugged[rows]]
        if len(rows):
            fleet.unplug(rows)


class StepwiseEngine(Engine):
    """Step by step in numpy: every phase a few calls on whole columns.

    granted, granted_kw: mode that each EV has been granted in this step, and at most how much
    power, >= 0; None: each at its rating.
    """

    def __init__(self, model: V2GModel) -> None:
        super().__init__(model)
        self.granted: ModeArray = np.zeros(model.fleet.n, dtype=np.int8)
        self.granted_kw: FloatArray | None = None
        self.exchanged: Exchange | None = None

    def start(self) -> None:
        """Put all phases of every step on the clock."""
        super().start()
        clock = self.model.clock
        clock.every_step(Phase.HEM, self.switch)
        clock.every_step(Phase.RPZ, self.admit)
        clock.every_step(Phase.CHARGE, self.exchange)
        clock.every_step(Phase.RECORD, self.record)

    def expect(self) -> None:
        """Put the arrivals and departures of the day on the clock."""
        clock, fleet = self.model.clock, self.model.fleet
        rows = np.flatnonzero(fleet.plugs_in)
        arrives, leaves = fleet.arrival_step, fleet.departure_step
        clock.cohort(Phase.DEPART, leaves[rows], rows, self.depart)
        clock.cohort(Phase.ARRIVE, arrives[rows], rows, self.arrive)
        # Who comes or goes within a step is plugged in for a part of it only.
        midway = rows[fleet.in_steps(fleet.arrival_min[rows]) % 1.0 > 0.0]
        clock.cohort(Phase.ARRIVE, arrives[midway] + 1, midway, self.fit_window)
        midway = rows[fleet.in_steps(fleet.departure_min[rows]) % 1.0 > 0.0]
        clock.cohort(Phase.ARRIVE, leaves[midway] - 1, midway, self.fit_window)

    def reschedule(self, row: int) -> None:
        """Arrival or departure of one EV has been written: put the new times on the clock."""
        super().reschedule(row)
        fleet, clock, rows = self.model.fleet, self.model.clock, np.array([row])
        arrives, leaves = int(fleet.arrival_step[row]), int(fleet.departure_step[row])
        if not fleet.arrived[row]:
            clock.once(Phase.ARRIVE, arrives, partial(self.arrive, rows))
            clock.once(Phase.ARRIVE, arrives + 1, partial(self.fit_window, rows))
        clock.once(Phase.ARRIVE, leaves - 1, partial(self.fit_window, rows))
        clock.once(Phase.DEPART, leaves, partial(self.depart, rows))

    def arrive(self, rows: IntArray) -> None:
        """ARRIVE: those of `rows` whose arrival has come plug in."""
        model, fleet = self.model, self.model.fleet
        due = fleet.arrival_step[rows] <= model.clock.step
        due &= fleet.departure_min[rows] > np.maximum(fleet.arrival_min[rows], model.minute)
        rows = rows[due & ~fleet.arrived[rows]]
        if len(rows) and not model.clock.finished:
            fleet.plug_in(rows, model.minute)
            model.meter.note_soc(rows)

    def fit_window(self, rows: IntArray) -> None:
        """ARRIVE: how much of this step `rows` are plugged in."""
        self.model.fleet.fit_window(rows, self.model.minute)

    def switch(self) -> None:
        """HEM: the rule and the EVs with a will of their own say what they ask for."""
        if self.model.fleet.n_plugged:
            self.model.home.apply_rule()

    def admit(self) -> None:
        """RPZ: the zones grant it or not."""
        if self.model.fleet.n_plugged:
            self.granted, self.granted_kw = ResidentialParkingZone.admit(self.model)

    def exchange(self) -> None:
        """CHARGE: the batteries move their energy."""
        fleet = self.model.fleet
        self.exchanged = None
        if fleet.n_plugged:
            if fleet.history is not None:
                fleet.history.minute = self.model.minute
            self.exchanged = fleet.exchange(self.granted, self.granted_kw)

    def record(self) -> None:
        """RECORD: the meter writes it down."""
        self.model.meter.record(self.model.clock.step, self.exchanged)


class CompiledEngine(Engine):
    """Hour by hour through the compiled call, which looks at the columns for who comes and goes."""

    def __init__(self, model: V2GModel, hour: CompiledHour) -> None:
        super().__init__(model)
        self.hour: CompiledHour = hour

    def start(self) -> None:
        """Put the stretches between messages on the clock, and the last departures."""
        super().start()
        clock, everybody = self.model.clock, np.arange(self.model.fleet.n)
        if self.hour.plans:
            # A stretch is walked under one plan.
            clock.every(60 * SLOT_MIN, Phase.GRID, self.end_of_plan)
        clock.stretches(Phase.HEM, self.walk)
        clock.once(Phase.DEPART, clock.n_steps, partial(self.depart, everybody))

    def end_of_plan(self) -> None:
        """Nothing but a moment at which a stretch ends."""

    def walk(self, n_steps: int) -> None:
        """HEM to RECORD of some steps of an hour. RuntimeError for another rule or admission."""
        model, hour = self.model, self.hour
        if model.home.rule is not hour.rule or model.admission is not hour.admission:
            # Going on with the old one would be a wrong answer without a word.
            raise RuntimeError(
                "rule or admission was replaced after the model was made; that needs "
                "clock.engine: numpy in the scenario"
            )
        hour.advance(model.inbox, model.clock.step, n_steps)


def make_engine(model: V2GModel) -> Engine:
    """The engine that `clock.engine` names, numpy where nothing compiled would do."""
    engine, scenario = model.scenario.clock.engine, model.scenario
    # Both engines give the same bytes, so `auto` may choose by what is sooner done: a single day of
    # a small fleet is over before numba has been imported.
    worth = model.fleet.n * model.clock.n_steps >= WORTH_COMPILING
    wanted = engine == "compiled" or (engine == "auto" and worth)
    # The compiled hour knows one message per feeder, no minds but the rule's, and chargers that
    # switch whenever they are told to and keep their power.
    plain = not (model.fleet.holds or model.fleet.taper or model.fleet.particular)
    alone = not model.home.own_minds and scenario.broadcast.loss_probability == 0.0
    if wanted and alone and plain:
        hour = CompiledHour.of(model.fleet, model.meter, model.home.rule, model.admission)
        if hour is not None:
            return CompiledEngine(model, hour)
    return StepwiseEngine(model)
