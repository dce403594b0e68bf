"""What all tabs of a page share: one or two lanes, the pace, and the thread that walks them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from abm.clock import Clock
from abm.errors import EvenfallError, InputError, Problem
from abm.fault_log import write_log
from abm.model import V2GModel
from abm.results.folder import strategy_label
from abm.scenario import Scenario
from abm.scenario.fields import clock_minutes
from abm.study.compare import strategies_of, under
from abm.watch.controls import controls_of, power_unit
from abm.watch.evs import DAY_MIN, change, changeable, changes_of, described
from abm.watch.lane import Lane, LaneView

# The thread holds the lock for so long at most, unless a single step takes longer, s.
BATCH_S = 0.04
# A view is made no more often than this while models run, s.
VIEW_S = 0.1
# What is left of the clock's time for those who wait for the lock, s.
BREATH_S = 0.005
# So many minutes of simulation a second, and as many as there can be.
SPEEDS = (1.0, 5.0, 15.0, 60.0, 240.0, math.inf)
FIRST_SPEED = 15.0


@dataclass(frozen=True, eq=False)
class View:
    """What a page shows at one moment.

    version: rises with every change. settings: rises when fields or strategies were changed; by:
    the tab that did so last, "" where all have to take note. ahead: minute that the models are on
    their way to without a pause, None where there is none. trouble: why they have stopped, "" where
    they have not. day: of the clock, from 1, a new one each midnight.
    """

    version: int
    settings: int
    by: str
    lanes: tuple[LaneView, ...]
    minute: float
    clock: str
    day: int
    n_days: int
    playing: bool
    finished: bool
    speed: float
    ahead: float | None
    trouble: str


class Session:
    """A scenario that is watched under one strategy or two, on the same EVs.

    Everything may be called from any thread. `view` is what was seen last and waits for nobody.
    Without `start` nothing moves but by `walk_to`, in the caller's thread.

    Raises InputError for a scenario of several feeders, and where its models cannot be made.
    """

    def __init__(self, scenario: Scenario, speed: float = FIRST_SPEED) -> None:
        if scenario.feeder.copies > 1:
            said = "1, as one feeder is shown: --set feeder.copies=1"
            raise InputError([Problem("feeder.copies", str(scenario.feeder.copies), said)])
        # The scenario's own, whatever is chosen later, and all that ship.
        self.strategies = tuple(strategies_of(scenario))
        self.controls, self.unit = controls_of(scenario), power_unit(scenario)
        self.first = scenario
        self.scenario = scenario
        self.chosen: tuple[str, ...] = (strategy_label(scenario),)
        self._by_hand: set[int] = set()
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._playing, self._speed = False, speed
        self._ahead: float | None = None
        self._trouble = ""
        self._version = self._settings = 0
        self._by = ""
        self.lanes = self._make_lanes(scenario, self.chosen)
        self.view = self._see()

    # --- time ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to walk whenever something is to be walked, until `close`."""
        self._thread = threading.Thread(target=self._work, name="evenfall-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, after the step that it is in."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def play(self, playing: bool | None = None) -> None:
        """Go on or stand still; None: the other of the two."""
        with self._lock:
            self._playing = not self._playing if playing is None else playing
            self._ahead = None
            self._publish()

    def set_speed(self, speed: float) -> None:
        """Minutes of simulation a second, infinite for as many as there can be."""
        with self._lock:
            self._speed = speed if speed > 0.0 else FIRST_SPEED
            self._publish()

    def step(self, minutes: float) -> None:
        """Walk some minutes on, by a whole step at least, and stand still."""
        with self._lock:
            step_min = self._clock.step_s / 60.0
            self._playing = False
            self._ahead = min(self.minute + max(minutes, step_min), self._end)
            self._publish()

    def restart(self) -> None:
        """Back to the beginning; what was changed of EVs by hand is forgotten."""
        with self._lock:
            self._replace(self.scenario, self.chosen)
            self._playing, self._ahead = False, None
            self._publish()

    def walk_to(self, minute: float, budget_s: float = math.inf) -> None:
        """Walk all lanes up to a minute of the horizon, or for so long, s."""
        with self._lock:
            self._steps_to(minute, budget_s)
            self._publish()

    # --- what may be changed -------------------------------------------------------------------

    def change(self, field: str, value: float, by: str = "") -> str:
        """Change a field of the scenario; says what follows, "" where it has that value.

        A field that models take up in mid-run holds from the next message on. For others the models
        are made anew, and walk from the beginning to the minute they were in. by: the tab that
        asks. Raises InputError for a value that the scenario does not allow; then nothing has been
        changed.
        """
        with self._lock:
            control = next(one for one in self.controls if one.field == field)
            if math.isclose(control.shown(self.scenario), value, abs_tol=1e-9):
                return ""
            try:
                scenario = self.scenario.override({field: control.meant(value)})
                forgotten = "" if control.live else self._replace(scenario, self.chosen)
            except EvenfallError:
                self._note_settings("")  # the slider goes back to where it was
                raise
            self.scenario = scenario
            if control.live:
                for lane in self.lanes:
                    lane.set_limit(float(control.meant(value)))
            self._note_settings(by)
            words = f"{control.label}: {value:g} {control.unit}".rstrip()
            since = "from the next message on" if control.live else "from the start"
            return f"{words}, {since}{forgotten}"

    def reset(self) -> None:
        """All fields as they were at first, in models made anew that walk to this minute."""
        with self._lock:
            self._replace(self.first, self.chosen)
            self.scenario = self.first
            self._note_settings("")

    def choose(self, strategies: Sequence[str], by: str = "") -> str:
        """Watch these strategies, one or two different ones, from the start to this minute.

        by: the tab that asks. Says what was forgotten of it, if anything. Raises InputError for
        what is no strategy.
        """
        with self._lock:
            chosen = tuple(dict.fromkeys(strategies))[:2]
            if not chosen or chosen == self.chosen:
                return ""
            forgotten = self._replace(self.scenario, chosen)
            self.chosen = chosen
            self._note_settings(by)
            return f"{' and '.join(chosen)}, from the start{forgotten}" if forgotten else ""

    def change_ev(self, index: int, wanted: Mapping[str, Any]) -> str:
        """Change an EV by hand in every lane; says what has been changed.

        wanted: see `abm.watch.evs.changes_of`. Raises InputError with all that is wrong, and then
        nothing has been changed.
        """
        with self._lock:
            models = self._models_with(index)
            changes = [changes_of(model, index, wanted) for model in models]
            said: dict[str, None] = {}
            for model, new in zip(models, changes, strict=True):
                said |= dict.fromkeys(change(model, index, new))
            if said:
                self._by_hand.add(index)
            self._publish()
            return ", ".join(said) if said else "nothing was changed"

    def described(self, index: int) -> list[tuple[str, ...]]:
        """What is known of an EV: its meaning in words, and the value in each lane."""
        with self._lock:
            models = self._models_with(index)
            if not models:
                return []
            columns = [described(model, index) for model in models]
        return [
            (meaning, *(column[i][1] for column in columns))
            for i, (meaning, _) in enumerate(columns[0])
        ]

    def ev_values(self, index: int) -> dict[str, Any] | None:
        """What may be changed of an EV, as it is typed; None where no lane has that EV."""
        with self._lock:
            models = self._models_with(index)
            return changeable(models[0], index) if models else None

    def find_ev(self, name: str) -> int | None:
        """Index of the EV of this name, None where there is none."""
        with self._lock:
            fleet = max((lane.model.fleet for lane in self.lanes), key=lambda fleet: fleet.n)
            name = name.strip()
            if fleet.names is None:
                number = int(name) if name.isdecimal() else 0
                return number - 1 if 1 <= number <= fleet.n else None
            return fleet.names.index(name) if name in fleet.names else None

    # --- within the lock -----------------------------------------------------------------------

    @property
    def minute(self) -> float:
        """Minutes since the start of the horizon."""
        return self.lanes[0].model.minute

    @property
    def _clock(self) -> Clock:
        return self.lanes[0].model.clock

    @property
    def _end(self) -> float:
        return self._clock.n_hours * 60.0

    def _models_with(self, index: int) -> list[V2GModel]:
        """Of the lanes those models that have an EV of this index."""
        return [lane.model for lane in self.lanes if index < lane.model.fleet.n]

    def _steps_to(self, minute: float, budget_s: float) -> None:
        until = time.monotonic() + budget_s
        while self.minute < minute and not self._clock.finished:
            for lane in self.lanes:
                lane.step()
            if time.monotonic() >= until:
                break

    def _make_lanes(self, scenario: Scenario, strategies: Sequence[str]) -> tuple[Lane, ...]:
        return tuple(Lane(one) for one in under(scenario, strategies).values())

    def _replace(self, scenario: Scenario, strategies: Sequence[str]) -> str:
        """Other models in the place of these; they will walk to the minute of now.

        Says how many EVs are no longer as somebody changed them by hand, "" for none.
        """
        minute = self.minute if self._ahead is None else self._ahead
        lanes = self._make_lanes(scenario, strategies)
        for lane in self.lanes:
            lane.model.close()
        self.lanes, self._trouble = lanes, ""
        self._ahead = min(minute, self._end) if minute > 0.0 else None
        n, self._by_hand = len(self._by_hand), set()
        if not n:
            return ""
        return f"; what was changed by hand of {n} {'EV' if n == 1 else 'EVs'} is forgotten"

    def _note_settings(self, by: str) -> None:
        self._settings += 1
        self._by = by
        self._publish()

    def _publish(self) -> None:
        self._version += 1
        if self._ahead is not None and self.minute >= self._ahead:
            self._ahead = None
        if self._clock.finished:
            self._playing = False
        self.view = self._see()

    def _see(self) -> View:
        model, clock = self.lanes[0].model, self._clock
        return View(
            self._version,
            self._settings,
            self._by,
            tuple(lane.view() for lane in self.lanes),
            model.minute,
            model.clock_time(model.minute),
            int((clock_minutes(self.first.clock.start) % DAY_MIN + model.minute) // DAY_MIN) + 1,
            -(-clock.n_steps // clock.steps_per_day),
            self._playing,
            clock.finished,
            self._speed,
            self._ahead,
            self._trouble,
        )

    # --- the thread ----------------------------------------------------------------------------

    def _work(self) -> None:
        last = seen = time.monotonic()
        owed = 0.0  # minutes of simulation that should have been walked by now
        while not self._closing.wait(BREATH_S):
            now = time.monotonic()
            with self._lock:
                moving = self._playing or self._ahead is not None
                owed = owed + self._speed * (now - last) if moving else 0.0
                last = now
                if not moving:
                    continue
                step_min, before = self._clock.step_s / 60.0, self.minute
                if self._ahead is not None:
                    goal = self._ahead
                else:
                    goal = before + (owed // step_min * step_min if owed < 1e6 else 1e6)
                shown = self.view
                if goal > before:
                    self._walk(goal, BATCH_S)
                    # What could not be walked in time is let go.
                    owed = min(owed - (self.minute - before), step_min)
                settled = not self._playing and self._ahead is None
                if now - seen >= VIEW_S or settled or self._clock.finished:
                    seen = now
                    if self.minute != shown.minute or settled:
                        self._publish()

    def _walk(self, minute: float, budget_s: float) -> None:
        """Walk, and where a model fails stand still and say why."""
        try:
            self._steps_to(minute, budget_s)
        except EvenfallError as error:
            self._stop(str(error))
        except Exception as error:  # a page that stands still without a word helps nobody
            self._stop(f"{type(error).__name__}: {error}; {write_log(error)}")

    def _stop(self, why: str) -> None:
        self._playing, self._ahead, self._trouble = False, None, why
