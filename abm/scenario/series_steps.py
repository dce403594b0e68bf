"""Regular steps out of the rows of a file: what is missing, doubled or off the step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from abm.scenario.series_cells import MOST_LINES, SeriesFile
from abm.scenario.series_fields import SERIES_STEPS_MIN, SeriesReading

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


_STEPS_S = [60 * step for step in SERIES_STEPS_MIN]


def merged(at: IntArray, values: FloatArray, n: int, doubled: str) -> FloatArray:
    """Values at their places, (n, ...), NaN where there is none; of several the one wanted."""
    out = np.full((n, *values.shape[1:]), np.nan)
    if doubled == "mean":
        count = np.bincount(at, minlength=n).reshape(-1, *[1] * (values.ndim - 1))
        sums = np.zeros_like(out)
        np.add.at(sums, at, values)
        return np.divide(sums, count, out=out, where=count > 0)
    order = slice(None, None, -1) if doubled == "first" else slice(None)
    out[at[order]] = values[order]
    return out


def step_of(found: SeriesFile, time: str, moments: IntArray, reading: SeriesReading) -> int:
    """Step of the series, s: as the scenario says, else the most frequent one."""
    if reading.step_min is not None:
        return 60 * reading.step_min
    between = np.diff(moments)
    if not len(between):
        found.note(time, "", "at least two time stamps, or `step_min` in how the file is read")
        found.check()
    steps, count = np.unique(between, return_counts=True)
    step_s = int(steps[count.argmax()])
    if step_s not in _STEPS_S:
        near = min(_STEPS_S, key=lambda known: abs(known - step_s))
        if reading.irregular == "nearest" and abs(near - step_s) <= near // 4:
            return near
        said = "a step that divides an hour: 1 to 60 min; or `step_min` in how the file is read"
        found.note(time, f"{step_s / 60:g} min", said)
        found.check()
    return step_s


def regular(
    found: SeriesFile, time: str, names: Sequence[str], number: IntArray, rows: IntArray,
    values: FloatArray, reading: SeriesReading, n: int, shown: Callable[[int], str],
) -> FloatArray:  # fmt: skip
    """Values of n steps one after the other, (n, m); what is doubled or missing as `reading` says.

    names: of the m columns. number: step of each of `rows` of the file.
    """
    seen, first = np.unique(number, return_index=True)
    if len(seen) < len(number) and reading.doubled == "refuse":
        again = np.setdiff1d(np.arange(len(number)), first)
        said = "each time once; or `doubled` in how the file is read"
        labels = {int(rows[i]): shown(int(number[i])) for i in again}
        found.note_rows(time, rows[again], said, labels)
    table = merged(number, values[rows], n, reading.doubled)
    empty = np.isnan(table)
    if empty.any():
        if reading.missing == "refuse":
            _note_missing(found, time, names, number, rows, values, n, shown)
        else:
            _fill(found, time, table, reading.missing)
    return table


def _note_missing(
    found: SeriesFile, time: str, names: Sequence[str], number: IntArray, rows: IntArray,
    values: FloatArray, n: int, shown: Callable[[int], str],
) -> None:  # fmt: skip
    said = "missing; a number, or `missing` in how the file is read"
    for at, name in enumerate(names):
        empty = rows[np.isnan(values[rows, at])]
        known = np.array([row not in found.refused for row in empty], dtype=np.bool_)
        found.note_rows(name, empty[known], said, dict.fromkeys(empty.tolist(), ""))
    if found.problems:
        # What was refused may be what is missing.
        return
    gone = np.setdiff1d(np.arange(n), number)
    if len(gone):
        # Runs of steps that are not there, each by the line before it.
        starts = np.flatnonzero(np.diff(gone, prepend=-9) > 1)
        lengths = np.diff(np.append(starts, len(gone)))
        order = np.argsort(number, kind="stable")
        for start, length in list(zip(starts, lengths, strict=True))[:MOST_LINES]:
            at = np.searchsorted(number[order], gone[start]) - 1
            line = found.lines[rows[order[at]]] if at >= 0 else None
            said = f"missing, {length} steps; or `missing` in how the file is read"
            found.note(time, shown(int(gone[start])), said, line)
        if len(starts) > MOST_LINES:
            found.note(time, "", f"and {len(starts) - MOST_LINES} gaps more")


def _fill(found: SeriesFile, time: str, table: FloatArray, how: str) -> None:
    """Fill what is empty, in place."""
    if how == "zero":
        np.nan_to_num(table, copy=False)
        return
    at = np.arange(len(table))
    for column in table.T:
        known = np.flatnonzero(~np.isnan(column))
        if not len(known):
            found.note(time, "", "at least one value in each column")
            return
        if how == "linear":
            column[:] = np.interp(at, known, column[known])
        else:
            before = np.clip(np.searchsorted(known, at, side="right") - 1, 0, None)
            column[:] = column[known[before]]
