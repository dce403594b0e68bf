"""From columns of text to sessions: what cannot be meant is dropped, what can be is repaired.

Each step says in words what it did and to which rows; `abm.sessions.ledger` keeps count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, FloatArray, IntArray
from abm.errors import InputError, Problem
from abm.sessions.ledger import Ledger, Rows
from abm.sessions.sources import ColumnMap
from abm.sessions.times import (
    UNKNOWN,
    DateOrder,
    known_zone,
    matches,
    read_times,
    to_utc,
    zone_named,
)

# Median energies outside of this cannot be those of cars, kWh.
PLAUSIBLE_KWH = (0.1, 200.0)
# No car charges faster, kW; a session that says so is wrong in its energy or its times.
MOST_KW = 1000.0
HOUR_S = 3600.0
# Hours, minutes and seconds, with days before them where there are many: 1:30, 26:05:10.
_CLOCK = r"^(?:(\d+) days? ?,? ?)?(\d+):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?$"


@dataclass(frozen=True)
class Sessions:
    """Measured sessions, in order of arrival; arrays (n,).

    ev: names. site: names, "" where there are none. arrival_s, departure_s: seconds since 1970 in
    UTC. energy_kwh: drawn from the grid. p_max_kw: rating, NaN where it is not known. zone: the
    time zone that the file's own times are of. lines: of the file.
    """

    ev: NDArray[Any]
    site: NDArray[Any]
    arrival_s: IntArray
    departure_s: IntArray
    energy_kwh: FloatArray
    p_max_kw: FloatArray
    lines: IntArray
    zone: ZoneInfo
    ledger: Ledger

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def duration_h(self) -> FloatArray:
        """How long each was plugged in, h."""
        return (self.departure_s - self.arrival_s) / HOUR_S


def clean(
    rows: Rows,
    columns: ColumnMap,
    file: str,
    timezone: str | None = None,
    order: DateOrder | None = None,
    max_hours: float | None = None,
) -> Sessions:
    """Sessions of a file. Raises InputError where it cannot be read at all, or nothing is left.

    timezone: of times that say no offset, and of what is written; None for the source's own.
    order: of day and month where the file leaves it open. max_hours: longer ones are dropped.
    """
    fields = columns.fields
    for name, column in fields.items():
        rows[f"@{name}"] = rows[column]
    zone = zone_named(timezone or _zone_of(rows) or columns.timezone or "UTC")
    _energy(rows, columns, file)
    _times(rows, columns, file, zone, timezone or columns.timezone, order)
    _implausible(rows, max_hours)
    if "@ev" not in fields and "@ev" not in rows and "@charger" not in rows:
        rows.ledger.notes.append("no column names the EV: each session is taken for one of its own")
    _names(rows)
    _duplicates(rows)
    _overlaps(rows)
    rows.sort("arrival", "line")
    if not len(rows):
        first = rows.ledger.summary()[0] if rows.ledger.entries else ("", "none", 0, 0)
        allowed = f"at least one session that can be used; most were dropped since {first[1]}"
        raise InputError([Problem("rows", str(rows.ledger.rows), allowed, file)])
    unknown = np.full(len(rows), np.nan)
    return Sessions(
        rows["ev"],
        rows["@site"] if "@site" in rows else np.full(len(rows), "", dtype=object),
        rows["arrival"],
        rows["departure"],
        rows["energy"],
        _rating(rows) if "@p_max" in rows else unknown,
        rows["line"],
        zone,
        rows.ledger,
    )


def _zone_of(rows: Rows) -> str:
    """The time zone that most rows name, "" where they name none."""
    if "@timezone" not in rows:
        return ""
    names, counts = np.unique(rows["@timezone"].astype(str), return_counts=True)
    known = np.array([bool(name) and known_zone(str(name)) for name in names])
    strange = np.isin(rows["@timezone"].astype(str), names[~known & (names != "")])
    said = "its time zone is not known; its times are in UTC all the same"
    rows.repaired(strange, said, "@timezone")
    return str(names[known][counts[known].argmax()]) if known.any() else ""


# --- numbers -----------------------------------------------------------------------------------


def numbers(rows: Rows, name: str) -> FloatArray:
    """A column of text as numbers, NaN where it says none; decimal commas are read as points.

    Where a number has both, the mark that comes last is the decimal one.
    """
    import pandas as pd

    cells = rows[f"@{name}"]
    text, comma = pd.Series(cells, dtype="object"), matches(cells, ",")
    if comma.any():
        if matches(cells, r",.*\.").any():
            said = f"{name}: commas and points in one number: commas were taken for thousands"
            text = text.str.replace(",", "", regex=False)
        elif text[comma].str.contains(".", regex=False).any():
            said = f"{name}: commas and points in one number: points were taken for thousands"
            text = text.where(~comma, text.str.replace(".", "", regex=False))
        else:
            said = f"{name}: decimal commas were read as points"
        rows.ledger.notes.append(said)
        text = text.str.replace(",", ".", regex=False)
    values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _energy(rows: Rows, columns: ColumnMap, file: str) -> None:
    energy, cell = numbers(rows, "energy"), columns.fields["energy"]
    rows["energy"] = energy
    empty = rows["@energy"] == ""
    rows.drop(np.isnan(rows["energy"]) & empty, "its energy is missing", "@energy")
    rows.drop(np.isnan(rows["energy"]), "its energy is not a number", "@energy")
    rows.drop(rows["energy"] < 0.0, "its energy is negative", "@energy")
    rows.drop(rows["energy"] == 0.0, "it charged nothing", "@energy")
    if not len(rows):
        return
    median, (least, most) = float(np.median(rows["energy"])), PLAUSIBLE_KWH
    factor = columns.energy_kwh
    in_kwh = median * (1.0 if factor is None else factor)
    if not least <= in_kwh <= most:
        unit = "Wh" if in_kwh > most else "MWh"
        allowed = (
            f"energies of cars; half of these are above {in_kwh:g} kWh as they are read: say "
            f"--energy-unit if they are in another unit, such as {unit}"
        )
        raise InputError([Problem(cell, f"{median:g}", allowed, file)])
    if factor not in (None, 1.0):
        assert factor is not None
        rows.ledger.notes.append(f"energy: {cell} was multiplied by {factor:g} to be kWh")
        rows["energy"] = rows["energy"] * factor


def _rating(rows: Rows) -> FloatArray:
    """Ratings; one below what its session took in the mean cannot be, and gives way to that."""
    rating = numbers(rows, "p_max")
    rating = np.where(rating > 0.0, rating, np.nan)
    mean_kw = rows["energy"] * HOUR_S / (rows["departure"] - rows["arrival"])
    low = rating < mean_kw
    rows.repaired(low, "its power is below the mean that it took: that mean was taken", "@p_max")
    return np.where(low, mean_kw, rating)


# --- times -------------------------------------------------------------------------------------


def _times(
    rows: Rows,
    columns: ColumnMap,
    file: str,
    zone: ZoneInfo,
    said_zone: str | None,
    order: DateOrder | None,
) -> None:
    fields = columns.fields
    if "duration" in fields:
        rows["duration"] = _durations(rows, columns.duration_s)
        rows.drop(rows["duration"] < 0.0, "its duration is negative", "@duration")
    clocks: dict[str, tuple[IntArray, BoolArray]] = {}
    for name in ("arrival", "departure"):
        if name in fields:
            cells = rows[f"@{name}"]
            clock, aware = read_times(cells, fields[name], order, file, rows["line"])
            # UTCTransactionStart of ElaadNL: its name says how far from UTC it is.
            aware |= fields[name].lower().startswith("utc")
            clocks[name] = clock, aware
    if not said_zone and any(((~aware) & (c != UNKNOWN)).any() for c, aware in clocks.values()):
        allowed = (
            "times with their distance from UTC, or --timezone, such as --timezone Europe/Oslo"
        )
        raise InputError([Problem(fields["arrival"], str(rows["@arrival"][0]), allowed, file)])
    rows["arrival"], rows["arrival_aware"] = clocks["arrival"]
    known = "departure" in clocks
    rows["departure"] = clocks["departure"][0] if known else np.full(len(rows), UNKNOWN)
    rows["departure_aware"] = (
        clocks["departure"][1] if known else np.ones(len(rows), dtype=np.bool_)
    )
    rows.drop(rows["arrival"] == UNKNOWN, "its arrival cannot be read", "@arrival")
    if not known:
        unread = np.isnan(rows["duration"]) & (rows["@duration"] != "")
        rows.drop(unread, "its duration cannot be read", "@duration")
    _localise(rows, "arrival", zone)
    _localise(rows, "departure", zone)
    gone = rows["departure"] == UNKNOWN
    if "duration" in rows:
        lasts = np.round(np.where(np.isnan(rows["duration"]), 0.0, rows["duration"]))
        end = rows["arrival"] + lasts.astype(np.int64)
        if known:
            filled = gone & (lasts > 0.0)
            rows.repaired(filled, "its departure is missing: arrival and duration say it")
            rows["departure"] = np.where(filled, end, rows["departure"])
            short = (rows["departure"] == rows["arrival"]) & (lasts > 0.0)
            said = "it ends in the minute in which it began: its end follows from its duration"
            rows.repaired(short, said, "@departure")
            rows["departure"] = np.where(short, end, rows["departure"])
        else:
            rows["departure"] = np.where(lasts > 0.0, end, UNKNOWN)
    rows.drop(rows["departure"] == UNKNOWN, "its end is not known", "@departure")
    rows.drop(rows["departure"] < rows["arrival"], "it ends before it begins", "@departure")
    rows.drop(rows["departure"] == rows["arrival"], "it takes no time", "@departure")


def _durations(rows: Rows, unit_s: float) -> FloatArray:
    """How long each lasts, s: numbers in the unit of the column, or hours, minutes and seconds."""
    import pandas as pd

    cells = rows["@duration"]
    clock = matches(cells, _CLOCK)
    if not clock.any():
        return numbers(rows, "duration") * unit_s
    rows.ledger.notes.append("duration: 1:30 is an hour and a half, 0:01:30 a minute and a half")
    parts = pd.Series(cells, dtype="object").str.extract(_CLOCK).astype(np.float64).fillna(0.0)
    seconds = parts.to_numpy() @ np.array([24 * HOUR_S, HOUR_S, 60.0, 1.0])
    return np.where(clock, seconds, numbers(rows, "duration") * unit_s)


def _localise(rows: Rows, name: str, zone: ZoneInfo) -> None:
    """Times by a clock on the wall as moments; what the change of clocks leaves open is said."""
    clock = rows[name]
    at = np.flatnonzero((clock != UNKNOWN) & ~rows[f"{name}_aware"])
    if not len(at):
        return
    first, second, twice, never = to_utc(clock[at], zone)
    chosen = first
    if name == "departure":
        chosen = np.where(first <= rows["arrival"][at], second, first)
        if "duration" in rows:
            end = rows["arrival"][at] + rows["duration"][at]
            nearer = np.abs(second - end) < np.abs(first - end)
            chosen = np.where(nearer, second, chosen)
    rows[name] = clock.copy()
    rows[name][at] = chosen
    flags = np.zeros(len(rows), dtype=np.bool_)
    flags[at] = never
    said = (
        f"its {name} is in the hour that the clock leaves out: taken by the clock not yet changed"
    )
    rows.repaired(flags, said, f"@{name}")
    flags = np.zeros(len(rows), dtype=np.bool_)
    flags[at] = twice
    how = "the first was taken" if name == "arrival" else "that which fits its arrival was taken"
    said = f"its {name} is in the hour that the clock runs through twice: {how}"
    rows.repaired(flags, said, f"@{name}")


def _implausible(rows: Rows, max_hours: float | None) -> None:
    lasts = (rows["departure"] - rows["arrival"]) / HOUR_S
    fast = rows["energy"] > MOST_KW * lasts
    rows.drop(fast, f"it would have charged at more than {MOST_KW:g} kW", "@energy")
    if max_hours is not None:
        lasts = (rows["departure"] - rows["arrival"]) / HOUR_S
        rows.drop(lasts > max_hours, f"it lasts more than {max_hours:g} h", "@departure")


# --- EVs ---------------------------------------------------------------------------------------


def _names(rows: Rows) -> None:
    """Names of the EVs; where there is none that of the charger, else one for each session."""
    n = len(rows)
    ev = rows["@ev"].copy() if "@ev" in rows else np.full(n, "", dtype=object)
    nameless = ev == ""
    if "@charger" in rows and nameless.any():
        charger = rows["@charger"]
        by_charger = nameless & (charger != "")
        ev[by_charger] = "charger " + charger[by_charger]
        rows.repaired(by_charger, "no EV is named: it is named by its charger", "@charger")
        nameless = ev == ""
    ev[nameless] = [f"session {line}" for line in rows["line"][nameless]]
    if "@ev" in rows:
        rows.repaired(nameless, "no EV is named: it is taken for one of its own")
    rows["ev"] = ev


def _duplicates(rows: Rows) -> None:
    import pandas as pd

    same = pd.DataFrame({name: rows[name] for name in ("ev", "arrival", "departure", "energy")})
    rows.drop(same.duplicated().to_numpy(), "it is there already, in every column", "ev")


def _overlaps(rows: Rows) -> None:
    """An EV that would be plugged in twice at once is two EVs under one name."""
    import pandas as pd

    if not len(rows):
        return
    rows["code"] = pd.factorize(rows["ev"])[0]
    rows.sort("code", "arrival", "line")
    code, arrival, departure = rows["code"], rows["arrival"], rows["departure"]
    same = code[1:] == code[:-1]
    latest = pd.Series(departure).groupby(code).cummax().to_numpy()
    meets = np.append(False, same & (arrival[1:] < latest[:-1]))
    second = np.zeros(len(rows), dtype=np.int64)
    for one in np.unique(code[meets]):
        of_one = slice(*np.searchsorted(code, (one, one + 1)))
        second[of_one] = _cars(arrival[of_one], departure[of_one])
    moved = second > 0
    said = "it begins while the same EV is plugged in: taken for that of a second car"
    rows.repaired(moved, said, "ev")
    rows["ev"] = rows["ev"].copy()
    rows["ev"][moved] = [
        f"{name} #{k + 1}" for name, k in zip(rows["ev"][moved], second[moved], strict=True)
    ]


def _cars(arrival: IntArray, departure: IntArray) -> list[int]:
    """Which of several cars each session is of, the first that is free, from 0."""
    free: list[int] = []
    found = []
    for begin, end in zip(arrival.tolist(), departure.tolist(), strict=True):
        car = next((k for k, until in enumerate(free) if until <= begin), len(free))
        free[car:] = [end, *free[car + 1 :]]
        found.append(car)
    return found
