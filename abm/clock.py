"""The clock: one SimPy environment and the order of things within one step.

SimPy's heap orders events by (time, priority, creation). Its Timeout always has the same priority,
so events of ours carry their phase as the priority: whatever order the processes were created in,
a step goes DEPART -> ARRIVE -> GRID -> HEM -> RPZ -> CHARGE -> RECORD. A user's own process with
plain timeouts acts before DEPART. SimPy's time is whole seconds from the start of the horizon, so
that no rounding can change an order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from enum import IntEnum
from typing import Any

import numpy as np
import simpy

from abm.equations import IntArray


class Phase(IntEnum):
    """The order within a step. Above SimPy's URGENT (0) and NORMAL (1)."""

    DEPART = 10
    ARRIVE = 11
    GRID = 12
    HEM = 13
    RPZ = 14
    CHARGE = 15
    RECORD = 16


class PhaseEvent(simpy.Event):
    """An event at a time and in a phase of it.

    ValueError when the time lies in the past.
    """

    def __init__(self, env: simpy.Environment, at_s: int, phase: Phase) -> None:
        super().__init__(env)
        if at_s < env.now:
            raise ValueError(f"{at_s} s is before now, {env.now} s")
        self._ok = True
        self._value = None
        # SimPy types priorities as a NewType of its own; any whole number is one.
        env.schedule(self, priority=phase, delay=at_s - env.now)  # type: ignore[arg-type]


class Clock:
    """Steps, hours and minutes of one horizon, and the processes that walk them.

    step_s: length of a step, s. n_steps, n_hours: of the horizon.
    """

    def __init__(self, hours: int, step_s: int, start_s: int = 0) -> None:
        """start_s: when it begins to walk, s of the horizon, at a full hour."""
        self.env = simpy.Environment(initial_time=start_s)
        self.start_s = start_s
        self.step_s = step_s
        self.steps_per_hour = 3600 // step_s
        self.steps_per_day = 24 * self.steps_per_hour
        self.n_hours = hours
        self.n_steps = hours * self.steps_per_hour
        self.horizon_s = hours * 3600

    @property
    def minute(self) -> float:
        """Minutes since the start of the horizon."""
        return float(self.env.now) / 60.0

    @property
    def step(self) -> int:
        """Index of the step that begins now."""
        return int(self.env.now) // self.step_s

    @property
    def finished(self) -> bool:
        """Whether the horizon has been walked through."""
        return int(self.env.now) >= self.horizon_s

    def every_step(self, phase: Phase, action: Callable[[], None]) -> None:
        """Do `action` in `phase` of every step."""
        self.env.process(self._repeat(self.step_s, self.horizon_s, phase, action))

    def every(self, interval_s: int, phase: Phase, action: Callable[[], None]) -> None:
        """Do `action` in `phase` every interval_s seconds, the end of the horizon included."""
        self.env.process(self._repeat(interval_s, self.horizon_s + 1, phase, action))

    def cohort(
        self, phase: Phase, steps: IntArray, rows: IntArray, action: Callable[[IntArray], None]
    ) -> None:
        """Do `action(rows)` in `phase` for all the rows whose step, a whole number, has come.

        One process walks the sorted steps; steps beyond the horizon never come.
        """
        ahead = steps >= self.step
        if ahead.any():
            self.env.process(self._walk(phase, steps[ahead], rows[ahead], action))

    def once(self, phase: Phase, step: int, action: Callable[[], None]) -> None:
        """Do `action` in `phase` of one step, of the present one at the earliest."""
        at_s = max(step * self.step_s, int(self.env.now))
        if at_s <= self.horizon_s:
            self.env.process(self._repeat(1, at_s + 1, phase, action, first_s=at_s))

    def stretches(self, phase: Phase, action: Callable[[int], None]) -> None:
        """Do `action(n_steps)` in `phase`, each time as far as nothing else is due.

        A stretch ends with the hour, with the next event of anybody else, or where `advance` stops.
        """
        self.env.process(self._stretch(phase, action))

    def advance(self, n_steps: int = 1) -> None:
        """Walk through some steps; the last one of the horizon also closes it."""
        self.env.run(until=min(int(self.env.now) + n_steps * self.step_s, self.horizon_s))
        if self.finished:
            # Departures and the last hour belong to the end of the horizon; an event in its last
            # phase ends the run even where a user's process goes on for ever.
            self.env.run(until=PhaseEvent(self.env, self.horizon_s, Phase.RECORD))

    def settle(self, phase: Phase) -> None:
        """Do what is due now in the phases up to this one; the next `advance` does the rest."""
        if not self.finished:
            self.env.run(until=PhaseEvent(self.env, int(self.env.now), phase))

    def _repeat(
        self,
        interval_s: int,
        end_s: int,
        phase: Phase,
        action: Callable[[], None],
        first_s: int | None = None,
    ) -> Generator[PhaseEvent, Any, None]:
        for at_s in range(self.start_s if first_s is None else first_s, end_s, interval_s):
            yield PhaseEvent(self.env, at_s, phase)
            action()

    def _stretch(
        self, phase: Phase, action: Callable[[int], None]
    ) -> Generator[PhaseEvent, Any, None]:
        at_s = self.start_s
        while at_s < self.horizon_s:
            yield PhaseEvent(self.env, at_s, phase)
            end_of_hour = (at_s // 3600 + 1) * 3600
            free_s = min(float(self.env.peek()), end_of_hour) - at_s
            n_steps = max(math.ceil(free_s / self.step_s), 1)
            action(n_steps)
            at_s += n_steps * self.step_s

    def _walk(
        self, phase: Phase, steps: IntArray, rows: IntArray, action: Callable[[IntArray], None]
    ) -> Generator[PhaseEvent, Any, None]:
        order = np.argsort(steps, kind="stable")
        in_time, first = np.unique(steps[order], return_index=True)
        for step, cohort in zip(in_time, np.split(rows[order], first[1:]), strict=True):
            at_s = int(step) * self.step_s
            if at_s > self.horizon_s:
                return
            yield PhaseEvent(self.env, at_s, phase)
            action(cohort)
