"""The clock: one SimPy environment and the order of things within one step.

SimPy's heap orders events by (time, priority, creation). Its Timeout always has the same priority,
so events of ours carry their phase as the priority: whatever order the processes were created in,
a step goes DEPART -> ARRIVE -> GRID -> HEM -> RPZ -> CHARGE -> RECORD. A user's own process with
plain timeouts acts before DEPART. SimPy's time is whole seconds from the start of the horizon, so
that no rounding can change an order.

What is due is kept as plain objects, no generators, so that a clock can be copied and pickled
between two steps, and goes on in the same order.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from itertools import count
from typing import Any

import numpy as np
import simpy
from simpy.core import BoundClass

from abm.equations import IntArray
from abm.errors import InputError, Problem


class Phase(IntEnum):
    """The order within a step. Above SimPy's URGENT (0) and NORMAL (1)."""

    DEPART = 10
    ARRIVE = 11
    GRID = 12
    HEM = 13
    RPZ = 14
    CHARGE = 15
    RECORD = 16


# Above all phases: before anything else that is due at the same time.
AT_ONCE = 0


class PhaseEvent(simpy.Event):
    """An event at a time and in a phase of it.

    ValueError when the time lies in the past.
    """

    def __init__(self, env: simpy.Environment, at_s: int, phase: int) -> None:
        super().__init__(env)
        if at_s < env.now:
            raise ValueError(f"{at_s} s is before now, {env.now} s")
        self._ok = True
        self._value = None
        # SimPy types priorities as a NewType of its own; any whole number is one.
        env.schedule(self, priority=phase, delay=at_s - env.now)  # type: ignore[arg-type]


class PhaseEnvironment(simpy.Environment):
    """A SimPy environment that can be copied and pickled while only events of ours are due.

    A process of a user's own is a generator, which Python can do neither with.
    """

    def __getstate__(self) -> dict[str, Any]:
        """Time and what is due. Raises InputError where something is due that is not ours."""
        # What nobody waits for, such as the end of the last `run`, is left out.
        queue = [entry for entry in self._queue if entry[3].callbacks]
        due = sorted(queue, key=lambda entry: entry[:3])
        foreign = [event for *_, event in due if type(event) is not PhaseEvent]
        if foreign:
            names = {_name_of(event) for event in foreign}
            said = "nothing of your own that is due when a model is copied"
            raise InputError([Problem("model.env", ", ".join(sorted(names)), said)])
        # Their order is kept, their numbers begin anew.
        queue = [(at, priority, i, event) for i, (at, priority, _, event) in enumerate(due)]
        return {"_now": self._now, "_queue": queue, "_active_proc": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._eid = count(len(self._queue))
        BoundClass.bind_early(self)


def _name_of(event: simpy.Event) -> str:
    for callback in event.callbacks or ():
        process = getattr(callback, "__self__", None)
        if isinstance(process, simpy.Process):
            return f"process {process.name}"
    return type(event).__name__


class Task(ABC):
    """Something that is done in a phase of the step `at_s`, and then perhaps again."""

    def __init__(self, clock: Clock, phase: Phase, at_s: int, end_s: int) -> None:
        """end_s: from when on it is done no more, s of the horizon."""
        self.clock, self.phase, self.at_s, self.end_s = clock, phase, at_s, end_s

    def start(self) -> None:
        """Begin, when all that acts now has acted."""
        self._wait(int(self.clock.env.now), AT_ONCE, self.begin)

    def begin(self, _: simpy.Event) -> None:
        """Wait for the first time."""
        if self.at_s < self.end_s:
            self._wait(self.at_s, self.phase, self.come)

    def come(self, _: simpy.Event) -> None:
        """The time has come."""
        self.at_s += self.act()
        if self.at_s < self.end_s:
            self._wait(self.at_s, self.phase, self.come)

    @abstractmethod
    def act(self) -> int:
        """Do it; after how many seconds to do it again."""

    def _wait(self, at_s: int, phase: int, then: Callable[[simpy.Event], None]) -> None:
        event = PhaseEvent(self.clock.env, at_s, phase)
        assert event.callbacks is not None
        event.callbacks.append(then)


class Repeated(Task):
    """An action at a constant interval."""

    def __init__(
        self,
        clock: Clock,
        phase: Phase,
        at_s: int,
        end_s: int,
        interval_s: int,
        action: Callable[[], None],
    ) -> None:
        super().__init__(clock, phase, at_s, end_s)
        self.interval_s, self.action = interval_s, action

    def act(self) -> int:
        """Do it."""
        self.action()
        return self.interval_s


class FreeStretch(Task):
    """An action for as many steps as nothing else is due."""

    def __init__(self, clock: Clock, phase: Phase, action: Callable[[int], None]) -> None:
        super().__init__(clock, phase, clock.start_s, clock.horizon_s)
        self.action = action

    def act(self) -> int:
        """Do it for the steps until the next event, or the end of the hour."""
        clock = self.clock
        end_of_hour = (self.at_s // 3600 + 1) * 3600
        free_s = min(float(clock.env.peek()), end_of_hour) - self.at_s
        n_steps = max(math.ceil(free_s / clock.step_s), 1)
        self.action(n_steps)
        return n_steps * clock.step_s


class Cohort(Task):
    """An action for rows whose step has come, walking sorted steps."""

    def __init__(
        self,
        clock: Clock,
        phase: Phase,
        steps: IntArray,
        rows: IntArray,
        action: Callable[[IntArray], None],
    ) -> None:
        order = np.argsort(steps, kind="stable")
        in_time, first = np.unique(steps[order], return_index=True)
        self._times_s = [int(step) * clock.step_s for step in in_time]
        self._rows = np.split(rows[order], first[1:])
        self._next = 0
        super().__init__(clock, phase, self._times_s[0], clock.horizon_s + 1)
        self.action = action

    def act(self) -> int:
        """Do it for the rows of now."""
        rows, now_s = self._rows[self._next], self._times_s[self._next]
        self._next += 1
        self.action(rows)
        last = self._next == len(self._times_s)
        return (self.end_s if last else self._times_s[self._next]) - now_s


class Clock:
    """Steps, hours and minutes of one horizon, and what is due in them.

    step_s: length of a step, s. n_steps, n_hours: of the horizon.
    """

    def __init__(self, hours: int, step_s: int, start_s: int = 0) -> None:
        """start_s: when it begins to walk, s of the horizon, at a full hour."""
        self.env = PhaseEnvironment(initial_time=start_s)
        self.start_s = start_s
        self.step_s = step_s
        self.steps_per_hour = 3600 // step_s
        self.steps_per_day = 24 * self.steps_per_hour
        self.n_hours = hours
        self.n_steps = hours * self.steps_per_hour
        self.horizon_s = hours * 3600
        # Whether it is in the middle of a step.
        self.walking = False

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
        Repeated(self, phase, self.start_s, self.horizon_s, self.step_s, action).start()

    def every(self, interval_s: int, phase: Phase, action: Callable[[], None]) -> None:
        """Do `action` in `phase` every interval_s seconds, the end of the horizon included."""
        Repeated(self, phase, self.start_s, self.horizon_s + 1, interval_s, action).start()

    def cohort(
        self, phase: Phase, steps: IntArray, rows: IntArray, action: Callable[[IntArray], None]
    ) -> None:
        """Do `action(rows)` in `phase` for all the rows whose step, a whole number, has come.

        Steps beyond the horizon never come.
        """
        ahead = steps >= self.step
        if ahead.any():
            Cohort(self, phase, steps[ahead], rows[ahead], action).start()

    def once(self, phase: Phase, step: int, action: Callable[[], None]) -> None:
        """Do `action` in `phase` of one step, of the present one at the earliest."""
        at_s = max(step * self.step_s, int(self.env.now))
        if at_s <= self.horizon_s:
            Repeated(self, phase, at_s, at_s + 1, 1, action).start()

    def stretches(self, phase: Phase, action: Callable[[int], None]) -> None:
        """Do `action(n_steps)` in `phase`, each time as far as nothing else is due.

        A stretch ends with the hour, with the next event of anybody else, or where `advance` stops.
        """
        FreeStretch(self, phase, action).start()

    def advance(self, n_steps: int = 1) -> None:
        """Walk through some steps; the last one of the horizon also closes it."""
        with self._on_its_way():
            self.env.run(until=min(int(self.env.now) + n_steps * self.step_s, self.horizon_s))
            if self.finished:
                # Departures and the last hour belong to the end of the horizon; an event in its
                # last phase ends the run even where a user's process goes on for ever.
                self.env.run(until=PhaseEvent(self.env, self.horizon_s, Phase.RECORD))

    def settle(self, phase: Phase) -> None:
        """Do what is due now in the phases up to this one; the next `advance` does the rest."""
        if not self.finished:
            with self._on_its_way():
                self.env.run(until=PhaseEvent(self.env, int(self.env.now), phase))

    @contextmanager
    def _on_its_way(self) -> Iterator[None]:
        self.walking = True
        try:
            yield
        finally:
            self.walking = False
