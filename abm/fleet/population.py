"""The owners: who they are for good, and what each of them does from day to day.

What holds for good (zone, group, battery, SoC wanted, own threshold) is drawn once; arrival,
departure, trip and mood are drawn anew each day from a stream of that day, so that day 5 is the
same whatever the number of days. An EV's draws do not depend on the groups: two scenarios that
differ in the groups' distributions compare the same owners.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.battery import battery_capacity
from abm.errors import InputError, Problem
from abm.fleet.columns import COLUMNS, FRACTIONS, PLANNED
from abm.fleet.distributions import draws
from abm.fleet.measured import measured_stays, there_of
from abm.fleet.owners import (
    SATURDAY,
    DayPlan,
    OwnerGroup,
    draw_fraction,
    draw_minutes,
    draw_quantity,
    owner_groups,
)
from abm.fleet.stays import Stays, as_told, canonical_order, stays_from_sessions, stream
from abm.scenario import Scenario, TimeOfDay, clock_minutes, stay_windows
from abm.scenario.fields import Capacity
from abm.scenario.modules import Plugin, name_of

DAY_MIN = 1440.0


class Population:
    """All owners of K feeders, n in all, feeder by feeder, in the order of their numbers.

    seeds: one per feeder; a feeder's owners depend on its own alone. participates: who takes part
    in V2G, (n,); learning changes it. Raises InputError for a behaviour that cannot be made.
    """

    FIXED: ClassVar = ("groups", "group", "_rows", "_base", "_there", "_ev", "seeds")

    def __init__(self, scenario: Scenario, n_zones: int, seeds: Sequence[int]) -> None:
        self.scenario, self.n_zones, self.seeds = scenario, n_zones, tuple(seeds)
        self.groups = owner_groups(scenario)
        table = scenario.inputs.sessions
        self.zone_evs = scenario.zone_evs
        # Whether the stays of all days are there from the beginning, each with a row of its own.
        drawn = table is None and scenario.fleet.stays is not None
        measured = measured_stays(scenario, self.seeds) if drawn else None
        self.at_once = table is not None or measured is not None
        self.per_feeder = int(self.zone_evs.sum()) if table is None else len(table)
        if measured is not None:
            self.per_feeder = len(measured) // max(len(self.seeds), 1)
        self.n = self.per_feeder * len(self.seeds)
        # Rows of a feeder that are drawn, and which of them are there.
        self._drawn, self._there = self.per_feeder, np.arange(self.per_feeder)
        if table is None:
            evs = there_of(scenario)
            dates = self.per_feeder // max(len(evs), 1)
            self._drawn = int(scenario.zone_evs_drawn.sum()) * dates
            self._there = (evs[:, None] * dates + np.arange(dates)).ravel()
            self._ev: IntArray = np.repeat(evs, dates)
        else:
            # By name, so that it does not depend on the order of the file.
            self._ev = np.unique(table.ev_id, return_inverse=True)[1]
        # Shares may be rounded to the whole EV in one way only.
        edges = np.cumsum([kind.share for kind in self.groups]) * self._drawn
        last = np.floor(edges + 0.5 + 1e-9).astype(np.int64)
        self.group: IntArray = np.zeros(self.n, dtype=np.int64)
        if len(self.groups) > 1:
            self.group = np.concatenate(
                [np.searchsorted(last, self._rank(seed), side="right") for seed in self.seeds]
                or [self.group]
            )
            self.group = np.minimum(self.group, len(self.groups) - 1)
        self._rows = [
            np.flatnonzero(self.group == g) if len(self.groups) > 1 else slice(None)
            for g in range(len(self.groups))
        ]
        self._base = self._for_good(table) if measured is None else measured
        self._base = replace(self._base, **self._particulars())
        # What an EV could give is not known where its need is an energy.
        self.participates = np.zeros(self.n, dtype=np.bool_)
        if not scenario.by_energy:
            self.participates = self._draw("participation", "v2g_participation", None)

    def _rank(self, seed: int) -> IntArray:
        """A place for each EV of a feeder in a random order."""
        order = np.argsort(stream(seed, "group").random(self._drawn), kind="stable")
        rank = np.empty(self._drawn, dtype=np.int64)
        rank[order] = np.arange(self._drawn)
        return rank[self._there]

    def uniform(self, name: str, day: int | None = 0) -> FloatArray:
        """Uniform draws of one cause on one day, (n,); day None: for good, the same for an EV."""
        at, most = self._there, self._drawn
        if day is None:
            at, most = self._ev, int(self._ev.max(initial=-1)) + 1
        parts = [stream(seed, name, day or 0).random(most)[at] for seed in self.seeds]
        return np.concatenate(parts) if parts else np.zeros(0)

    def each(self, of: Callable[[OwnerGroup, Any], Any], dtype: Any = np.float64) -> NDArray[Any]:
        """Values put together from those of each group; of(kind, rows)."""
        if len(self.groups) == 1:
            value = np.asarray(of(self.groups[0], slice(None)), dtype=dtype)
            return np.broadcast_to(value, (self.n,)).copy() if value.ndim == 0 else value
        out = np.zeros(self.n, dtype=dtype)
        for kind, rows in zip(self.groups, self._rows, strict=True):
            out[rows] = of(kind, rows)
        return out

    def _draw(self, stream_name: str, field: str, day: int | None = 0) -> BoolArray:
        """Who is struck by a probability of its group, (n,)."""

        def chance(kind: OwnerGroup) -> float:
            found = getattr(kind.spec, field)
            return float(getattr(found, "probability", found))

        if all(chance(kind) in (0.0, 1.0) for kind in self.groups):
            return self.each(lambda kind, rows: chance(kind) == 1.0, np.bool_)
        u = self.uniform(stream_name, day)
        return self.each(lambda kind, rows: u[rows] < chance(kind), np.bool_)

    # --- what holds for good -------------------------------------------------------------------

    def _for_good(self, table: Any) -> Stays:
        """Battery, charger, SoC wanted and threshold of everybody, and the SoC of the first day."""
        scenario, ev, n = self.scenario, self.scenario.ev, self.n
        if table is not None:
            stays = stays_from_sessions(table, len(self.seeds), ev.soc_min)
            return stays if scenario.by_energy else replace(stays, soc_min=self._thresholds())

        def spread(name: str) -> FloatArray:
            u = self.uniform(name)
            return self.each(lambda kind, rows: draw_fraction(u[rows], getattr(kind.spec, name)))

        # random() instead of integers(): its bits have been the same in every numpy since 1.17.
        u = self.uniform("capacity")

        def capacity(kind: OwnerGroup, rows: Any) -> FloatArray:
            spec = cast(Capacity, kind.spec.capacity)
            span = spec.high - spec.low + 1
            integers = np.minimum((u[rows] * span).astype(np.int64), span - 1)
            return np.asarray(battery_capacity(spec.unit_kwh, spec.low + integers))

        capacity_kwh = self.each(capacity)
        charger_kw = self.each(lambda kind, rows: kind.spec.charger_kw)
        discharger_kw = self.each(lambda kind, rows: kind.spec.discharger_kw)
        if (models := scenario.inputs.ev_models) is not None:
            model = models.drawn(u)
            capacity_kwh = models.capacity_kwh[model]
            charger_kw = np.minimum(charger_kw, models.ac_max_kw[model])
            discharger_kw = np.minimum(discharger_kw, models.ac_max_kw[model])
        never = np.full(n, np.nan)
        return Stays(
            names=None,
            feeder=np.repeat(np.arange(len(self.seeds)), self.per_feeder),
            zone=np.tile(np.repeat(np.arange(self.n_zones), self.zone_evs), len(self.seeds)),
            arrival_min=never,
            departure_min=never,
            announced_min=never,
            capacity_kwh=capacity_kwh,
            soc_arrival=spread("soc_arrival"),
            soc_target=spread("soc_target"),
            soc_min=self._thresholds(),
            p_max_kw=charger_kw,
            p_discharge_kw=discharger_kw,
            efficiency=np.full(n, ev.efficiency),
            **{**as_told(n), "group": self.group},
        )

    def _particulars(self) -> dict[str, Any]:
        """Whose owner goes by price or schedule, and what cars insist on, by column."""
        cars = self.scenario.ev.cars

        def drawn(name: str) -> BoolArray:
            share: float = getattr(cars, name)
            if share in (0.0, 1.0):
                return np.full(self.n, share == 1.0)
            return np.asarray(self.uniform(name, None) < share)

        names = ("cannot_pause", "does_not_wake", "needs_six_amp")
        timed = self._draw("timed", "timed", None)
        return {"timed": timed, **{name: drawn(name) for name in names}}

    def _delay_draws(self, day: int, stays: Stays) -> FloatArray:
        """Draws that random delays go by, (n,); those of a file do not depend on its order."""
        u = self.uniform("delay", day)
        if self.scenario.inputs.sessions is None:
            return u
        order = canonical_order(stays, stays.feeder * self.n_zones + stays.zone)
        draws = np.empty(self.n)
        draws[order] = u
        return draws

    def _thresholds(self) -> FloatArray:
        """V2G thresholds: the fleet's, or an anxious owner's own where that is above it."""
        soc_min = self.scenario.ev.soc_min
        if all(kind.spec.own_threshold is None for kind in self.groups):
            return np.full(self.n, soc_min)
        u = self.uniform("own_threshold", None)

        def own(kind: OwnerGroup, rows: Any) -> Any:
            spread = kind.spec.own_threshold
            return (
                soc_min if spread is None else np.maximum(soc_min, draw_fraction(u[rows], spread))
            )

        return self.each(own)

    # --- a day ---------------------------------------------------------------------------------

    def weekday(self, day: int) -> int:
        """Day of the week of a day of the horizon, from 0, Monday; holidays are Sundays."""
        return self.scenario.calendar.weekday(day)

    def stays(self, day: int = 0, soc: FloatArray | None = None) -> Stays:
        """Everybody's stay on a day, from 0; soc: what each battery held when it was last seen."""
        base = self._base
        day_start = DAY_MIN * day
        weekend = self.weekday(day) >= SATURDAY
        columns = {f.name: getattr(base, f.name) for f in fields(Stays)}
        if not self.at_once:
            columns["arrival_min"], columns["departure_min"] = self._times(day, weekend)
        if soc is not None:
            columns |= self._after_trip(day, weekend, soc)
        columns["announced_min"] = columns["departure_min"]
        columns["v2g"] = self.participates.copy()
        columns["boost"] = self._draw("boost", "boost_probability", day)
        columns["plugs_in"] = base.plugs_in & self._plugs_in(day, weekend, columns["soc_arrival"])
        late = self._draw("late", "late_return", day)
        if late.any():
            u = self.uniform("late_by", day)
            delay = self.each(lambda kind, rows: draw_minutes(u[rows], kind.delay_h))
            columns["arrival_min"] = columns["arrival_min"] + np.where(late, delay, 0.0)
        early = self._draw("early", "early_departure", day)
        if early.any():
            u = self.uniform("early_by", day)
            sooner = self.each(lambda kind, rows: draw_minutes(u[rows], kind.early_h))
            columns["departure_min"] = columns["departure_min"] - np.where(early, sooner, 0.0)
        if any(kind.behaviour is not None for kind in self.groups):
            self._behave(day, columns)
        # Who has been at home all along plugs in when the day begins.
        columns["arrival_min"] = np.maximum(columns["arrival_min"], 0.0)
        if self.scenario.sets_of_stays > 1:
            columns["departure_min"] = np.minimum(columns["departure_min"], DAY_MIN)
        # Who comes home after the departure, or leaves before coming home, does not plug in.
        columns["plugs_in"] = columns["plugs_in"] & (
            columns["departure_min"] > columns["arrival_min"]
        )
        for name in ("arrival_min", "departure_min", "announced_min"):
            columns[name] = columns[name] + day_start if day else columns[name]
        stays = Stays(**columns)
        return replace(stays, delay_draw=self._delay_draws(day, stays))

    def _times(self, day: int, weekend: bool) -> tuple[FloatArray, FloatArray]:
        """Whole minutes whatever the time step, so that the fleet does not depend on it."""
        u = self.uniform("arrival", day), self.uniform("departure", day)
        start = clock_minutes(self.scenario.clock.start)

        def specs(kind: OwnerGroup) -> tuple[TimeOfDay, TimeOfDay]:
            comes, leaves = kind.arrival(weekend), kind.departure(weekend)
            first = stay_windows(self.scenario, comes, leaves)[1][0]
            leaving_day = self.weekday(day + int((start + first) // DAY_MIN))
            return comes, kind.departure(leaving_day >= SATURDAY)

        calendar = self.scenario.calendar
        found = {kind.name: specs(kind) for kind in self.groups}
        windows = {name: stay_windows(self.scenario, *found[name]) for name in found}

        def minutes(which: int) -> FloatArray:
            def of(kind: OwnerGroup, rows: Any) -> FloatArray:
                low, high, mean = windows[kind.name][which]
                spec = found[kind.name][which]
                sd = (high - low) / 4 if spec.sd_h is None else spec.sd_h * 60.0
                drawn = np.round(draws(u[which][rows], spec, low, high, mean, sd, 60.0, low))
                # Owners go by the clock on the wall, minutes are elapsed time.
                return np.asarray(drawn - calendar.ahead_min(DAY_MIN * day + drawn))

            return self.each(of)

        return minutes(0), minutes(1)

    def _after_trip(self, day: int, weekend: bool, soc: FloatArray) -> dict[str, FloatArray]:
        """SoC on coming home from the day's trip; what the battery did not hold is charged away."""
        drives = self.uniform("trip", day)
        u = self.uniform("distance", day)

        def energy(kind: OwnerGroup, rows: Any) -> FloatArray:
            trip = kind.on("trip", weekend)
            kwh = draw_quantity(u[rows], trip.distance_km) * trip.kwh_per_km
            return np.where(drives[rows] < trip.probability, kwh, 0.0)

        trip_kwh, capacity = self.each(energy), self._base.capacity_kwh
        left = np.maximum(soc - self.scenario.ev.soc_lower, 0.0) * capacity
        short = np.maximum(trip_kwh - left, 0.0)
        return {
            "soc_arrival": soc - (trip_kwh - short) / capacity,
            "trip_kwh": trip_kwh,
            "trip_short_kwh": short,
        }

    def _plugs_in(self, day: int, weekend: bool, soc: FloatArray) -> BoolArray:
        habits = [kind.on("plug_in", weekend) for kind in self.groups]
        if all(habit.habit == "every_day" for habit in habits):
            return np.ones(self.n, dtype=np.bool_)
        u = self.uniform("plug_in", day)

        def of(kind: OwnerGroup, rows: Any) -> Any:
            habit = kind.on("plug_in", weekend)
            if habit.habit == "below_soc":
                return soc[rows] < habit.soc
            return habit.habit == "every_day" or u[rows] < habit.probability

        return self.each(of, np.bool_)

    def _behave(self, day: int, columns: dict[str, Any]) -> None:
        """Ask the behaviours of the user's own, feeder by feeder so that none sees another."""
        for name in PLANNED:
            columns[name] = columns[name].copy()
        for g, kind in enumerate(self.groups):
            if kind.behaviour is None:
                continue
            for k, seed in enumerate(self.seeds):
                first = k * self.per_feeder
                mine = self.group[first : first + self.per_feeder] == g
                rows = np.flatnonzero(mine) + first
                plan = DayPlan(
                    day=day,
                    weekday=self.weekday(day),
                    evs=rows - first,
                    zone=self._base.zone[rows],
                    capacity_kwh=self._base.capacity_kwh[rows],
                    soc=columns["soc_arrival"][rows],
                    **{name: columns[name][rows] for name in PLANNED},
                )
                with Plugin("owners.behaviour", kind.behaviour, "plan"):
                    kind.behaviour.plan(plan, stream(seed, "behaviour", day, g))
                for name, values in self._checked(kind, plan, len(rows)).items():
                    columns[name][rows] = values

    def _checked(self, kind: OwnerGroup, plan: DayPlan, n: int) -> dict[str, NDArray[Any]]:
        """What a behaviour has written, if it can be meant. Raises InputError."""
        written, problems = {}, []
        for name in PLANNED:
            values = np.asarray(getattr(plan, name))
            good = values.shape == (n,) and values.dtype.kind in "biuf"
            good = good and bool(np.isfinite(values).all())
            allowed = f"plan.{name}: {n} finite numbers"
            if good and name in FRACTIONS:
                good = bool(((values >= 0.0) & (values <= 1.0)).all())
                allowed = f"plan.{name}: {n} fractions from 0 to 1"
            if good:
                written[name] = values.astype(COLUMNS[name].dtype)
            else:
                owner = name_of(kind.behaviour)
                problems.append(Problem("owners.behaviour", owner, allowed))
        if problems:
            raise InputError(problems)
        return written
