"""The load of feeders without EVs on a horizon: groups of loads that follow columns of series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from abm.equations import FloatArray, IntArray
from abm.scenario.series import Series

# Names of groups.
CUSTOMERS, GENERATION, HEAT_PUMPS = "customers", "generation", "heat_pumps"
# Arrays of a group that have an axis over the feeders, and which one it is.
_FEEDER_AXIS = {"column": 1, "p_mw": 0, "q_mvar": 0, "factor": 1}
# Numbers of a series, or of loads by bus, that are in memory at once.
_CHUNK = 2_000_000


@dataclass(frozen=True, eq=False)
class LoadGroup:
    """Loads of K feeders that follow the columns of one series, E of them on each feeder.

    name: one of the names above. series: (n, m), 1.0 at nominal. bus: position of
    each load, ascending, (E,). column: of the series, (T or 1, K or 1, E), over T periods of
    period_h hours one after the other. p_mw, q_mvar: at 1.0, (K or 1, E), negative for what feeds
    in. factor: on both, (T or 1, K or 1, E). reactive: series that q_mvar follows, in the place of
    `series`, the same columns. linear: straight lines between the values, else steps.
    """

    name: str
    series: Series
    n_bus: int
    bus: IntArray
    column: IntArray
    p_mw: FloatArray
    q_mvar: FloatArray
    factor: FloatArray = field(default_factory=lambda: np.ones((1, 1, 1)))
    period_h: int = 1
    reactive: Series | None = None
    linear: bool = False

    @property
    def n_feeders(self) -> int:
        """K, or 1 where all feeders have the same loads."""
        return max(int(self.column.shape[1]), len(self.p_mw), int(self.factor.shape[1]))

    @property
    def n_periods(self) -> int:
        """T, or 1 where nothing changes but the series."""
        return max(len(self.column), len(self.factor))

    def mean_p_mw(self, begin_s: IntArray, window_s: int) -> FloatArray:
        """Mean active load of every bus over windows, (n, K or 1, n_bus) [MW]."""
        return self._by_bus(self.p_mw, self.series, begin_s, window_s)

    def mean_q_mvar(self, begin_s: IntArray, window_s: int) -> FloatArray:
        """Mean reactive load over the same windows, (n, K or 1, n_bus) [Mvar]."""
        return self._by_bus(self.q_mvar, self.reactive or self.series, begin_s, window_s)

    def mean_mw(self, begin_s: IntArray, window_s: int) -> FloatArray:
        """Mean active load of the whole feeder over the same windows, (n, K or 1) [MW]."""
        if self.n_periods == 1:
            return self._totals.mean(begin_s, window_s, self.linear, alone=True)
        out = np.empty((len(begin_s), self.n_feeders))
        for rows in self._chunks(len(begin_s)):
            out[rows] = self.mean_p_mw(begin_s[rows], window_s).sum(axis=2)
        return out

    def only(self, k: int) -> LoadGroup:
        """The loads of one feeder."""
        own: dict[str, Any] = {}
        for name, axis in _FEEDER_AXIS.items():
            values = getattr(self, name)
            own[name] = values if values.shape[axis] == 1 else values.take([k], axis=axis)
        return replace(self, **own)

    @cached_property
    def _totals(self) -> Series:
        """Active load of the whole feeder, for each row of the series."""
        values, weights = self.series.values, self._weights_of(self.p_mw, 0)
        total = np.zeros((len(values), self.n_feeders))
        for rows in self._chunks(len(values)):
            loads = np.asarray(weights @ values[rows].T).reshape(-1, self.n_bus, len(values[rows]))
            # One bus after the other, so that no sum depends on how many rows there are.
            for bus in range(self.n_bus):
                total[rows] += loads[:, bus].T
        return self.series.of(total)

    def _by_bus(
        self, nominal: FloatArray, series: Series, begin_s: IntArray, window_s: int
    ) -> FloatArray:
        begin_s = np.asarray(begin_s)
        out = np.empty((len(begin_s), self.n_feeders, self.n_bus))
        period = np.zeros(len(begin_s), dtype=np.int64)
        if self.n_periods > 1:
            period = np.clip(begin_s // (3600 * self.period_h), 0, self.n_periods - 1)
        for number in np.unique(period):
            weights = self._weights_of(nominal, int(number))
            mine = np.flatnonzero(period == number)
            for rows in self._chunks(len(mine)):
                at = mine[rows]
                mean = series.mean(begin_s[at], window_s, self.linear)
                out[at] = self._times(weights, mean)
        return out

    def _times(self, weights: csr_matrix[Any], values: FloatArray) -> FloatArray:
        """Load of every bus for rows of the series, (n, m) -> (n, K or 1, n_bus).

        Sums run in the order of a bus's loads, however many feeders and rows there are.
        """
        loads = np.asarray(weights @ values.T)
        # Rows in memory one after the other, so that a sum over buses is that of a row alone.
        return np.ascontiguousarray(loads.T).reshape(len(values), -1, self.n_bus)

    @cached_property
    def _steady(self) -> tuple[csr_matrix[Any], csr_matrix[Any]]:
        """`_weights` of the active and the reactive load where they are the same in all periods."""
        return self._weights(self.p_mw, 0), self._weights(self.q_mvar, 0)

    def _weights_of(self, nominal: FloatArray, period: int) -> csr_matrix[Any]:
        if self.n_periods > 1:
            return self._weights(nominal, period)
        active, reactive = self._steady
        return active if nominal is self.p_mw else reactive

    def _weights(self, nominal: FloatArray, period: int) -> csr_matrix[Any]:
        """What each column of the series adds to each bus, (K or 1 x n_bus, m)."""
        shape = (self.n_feeders, len(self.bus))
        column, factor = (
            values[period if len(values) > 1 else 0] for values in (self.column, self.factor)
        )
        data = np.broadcast_to(nominal * factor, shape).ravel()
        at = np.broadcast_to(column, shape).ravel()
        per_bus = np.bincount(self.bus, minlength=self.n_bus)
        ends = np.concatenate([[0], np.cumsum(np.tile(per_bus, shape[0]))])
        size = (shape[0] * self.n_bus, self.series.values.shape[1])
        return csr_matrix((data, at, ends), shape=size)

    def _chunks(self, n: int) -> Iterator[slice]:
        """Rows of which series and loads are in memory at once."""
        wide = max(self.series.values.shape[1], self.n_feeders * self.n_bus, 1)
        step = max(1, _CHUNK // wide)
        return (slice(first, min(n, first + step)) for first in range(0, n, step))


@dataclass(frozen=True, eq=False)
class BaseLoad:
    """Load of K feeders without EVs on a horizon: the sum of its groups.

    drawn: whether each feeder has customers of its own.

    Windows are given by when they begin, s from the start of the horizon, (n,), and their length,
    s, which has to divide an hour (ValueError). What comes back has an axis for the feeders, of
    length 1 where all have the same load.
    """

    groups: tuple[LoadGroup, ...]
    drawn: bool = False

    def mean_p_mw(self, begin_s: IntArray, window_s: int) -> FloatArray:
        """Mean active load of every bus over windows, (n, K or 1, n_bus) [MW]."""
        return _sum([group.mean_p_mw(begin_s, window_s) for group in self.groups])

    def mean_q_mvar(self, begin_s: IntArray, window_s: int) -> FloatArray:
        """Mean reactive load over the same windows, (n, K or 1, n_bus) [Mvar]."""
        return _sum([group.mean_q_mvar(begin_s, window_s) for group in self.groups])

    def mean_mw(self, begin_s: IntArray, window_s: int) -> FloatArray:
        """Mean active load of the whole feeder over the same windows, (n, K or 1) [MW]."""
        return _sum([group.mean_mw(begin_s, window_s) for group in self.groups])

    @property
    def by_hour(self) -> bool:
        """Whether nothing changes within an hour."""
        return all(not group.linear and group.series.step_s == 3600 for group in self.groups)

    def group(self, name: str) -> BaseLoad | None:
        """The load of the groups of a name; None where there are none."""
        found = tuple(group for group in self.groups if group.name == name)
        return replace(self, groups=found) if found else None

    def only(self, k: int) -> BaseLoad:
        """The load of one feeder."""
        return replace(self, groups=tuple(group.only(k) for group in self.groups))


def join_loads(parts: Sequence[tuple[BaseLoad, int]]) -> BaseLoad:
    """The load of several sets of feeders as one, in the order given; with how many each has."""
    first, _ = parts[0]
    if not first.drawn:
        return first
    groups = []
    for at, group in enumerate(first.groups):
        own: dict[str, Any] = {
            name: _along([(getattr(base.groups[at], name), n) for base, n in parts], axis)
            for name, axis in _FEEDER_AXIS.items()
        }
        groups.append(replace(group, **own))
    return replace(first, groups=tuple(groups))


def _along(parts: Sequence[tuple[NDArray[Any], int]], axis: int) -> NDArray[Any]:
    """Arrays one after the other on the axis of the feeders."""
    each = [np.repeat(values, n // values.shape[axis], axis=axis) for values, n in parts]
    return np.concatenate(each, axis=axis)


def _sum(parts: Sequence[FloatArray]) -> FloatArray:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
