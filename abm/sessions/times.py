"""Times in files: how they are written, in which time zone, and when the clocks change.

Moments are seconds since 1970 in UTC, int64; UNKNOWN where a cell says none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, IntArray
from abm.errors import InputError, Problem, nearest

UNKNOWN = np.iinfo(np.int64).min
DateOrder = Literal["dmy", "mdy"]
# ISO 8601 with or without an offset, what HTTP and ACN-Data write, and days with month and year.
_ISO, _HTTP = "ISO8601", "%a, %d %b %Y %H:%M:%S GMT"
_CLOCKS = ("%H:%M", "%H:%M:%S", "%I:%M:%S %p", "%I:%M %p")
_DAYS = ("%d{0}%m{0}%Y", "%m{0}%d{0}%Y")
# Seconds or milliseconds since 1970, from 2001 on.
_UNIX = r"^1(?:\d{9}(?:\.\d+)?|\d{12})$"
_OFFSET = r"(?:[zZ]|GMT|UTC|:\d\d(?:\.\d+)?[+-]\d\d:?\d\d)$"
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
SAMPLE = 2000


def zone_named(name: str, field: str = "--timezone") -> ZoneInfo:
    """A time zone of the IANA database. Raises InputError."""
    if not known_zone(name):
        hint = nearest(name, sorted(available_timezones()))
        allowed = "a time zone such as Europe/Oslo or UTC"
        raise InputError([Problem(field, name, allowed, hint=hint)])
    return ZoneInfo(name)


def known_zone(name: str) -> bool:
    """Whether a name is that of a time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def read_times(
    cells: NDArray[Any],
    field: str,
    order: DateOrder | None = None,
    file: str = "",
    lines: IntArray | None = None,
) -> tuple[IntArray, BoolArray]:
    """Seconds since 1970, in UTC where a cell says how far it is from that, else by its own clock.

    And which cells say so.

    cells: text without blanks around it, "" for none. order: of day and month, where the cells
    leave it open. field, file, lines: the column, and where each cell stands, for problems. Cells
    that cannot be read are UNKNOWN. Raises InputError where most cannot be, or where day and month
    may be either.
    """
    import pandas as pd

    text = pd.Series(cells, dtype="object")
    filled = text[text != ""]
    if len(filled) and matches(filled.iloc[:SAMPLE].to_numpy(), _UNIX).mean() >= 0.5:
        return _since_1970(cells)

    def refuse(allowed: str) -> InputError:
        line = None if lines is None else int(lines[filled.index[0]])
        return InputError([Problem(field, str(filled.iloc[0]), allowed, file, line)])

    fits = {form: _share(filled.iloc[:SAMPLE], form) for form in _formats(filled)}
    best = max(fits, key=lambda form: fits[form], default=_ISO)
    if len(filled) and fits[best] < 0.5:
        raise refuse(
            "times such as 2019-03-31T18:05, 31.03.2019 18:05, Sun, 31 Mar 2019 18:05:00 GMT or "
            "seconds since 1970"
        )
    if best not in (_ISO, _HTTP):
        ordered = _with_order(filled, best, fits, order)
        if ordered is None:
            raise refuse(
                "day and month in either order could be meant; say which with --dates dmy or mdy"
            )
        best = ordered
    return _seconds(text, best), matches(cells, _OFFSET)


def _since_1970(cells: NDArray[Any]) -> tuple[IntArray, BoolArray]:
    """Cells with seconds or milliseconds since 1970 in UTC, as Unix has them."""
    import pandas as pd

    known = matches(cells, _UNIX)
    seconds = pd.to_numeric(pd.Series(cells).where(known)).to_numpy(dtype=np.float64)
    seconds = np.where(seconds >= 1e11, seconds / 1e3, seconds)
    return np.where(known, np.nan_to_num(seconds).astype(np.int64), UNKNOWN), known


def matches(cells: NDArray[Any], pattern: str) -> BoolArray:
    """Which cells a regular expression is found in, (n,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.match_substring_regex(pa.array(cells, pa.string()), pattern)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _formats(filled: Any) -> list[str]:
    """The ways in which these cells may be written."""
    found = [_ISO, _HTTP]
    for mark in "-/.":
        if filled.iloc[:SAMPLE].str.contains(mark, regex=False).any():
            # Nobody who writes points puts the month first.
            for days in _DAYS[:1] if mark == "." else _DAYS:
                found += [f"{days.format(mark)} {clock}" for clock in _CLOCKS]
    return found


def _parsed(text: Any, form: str) -> Any:
    import pandas as pd

    return pd.to_datetime(text, format=form, errors="coerce", utc=True)


def _share(sample: Any, form: str) -> float:
    return float(_parsed(sample, form).notna().mean()) if len(sample) else 0.0


def _with_order(
    filled: Any, best: str, fits: dict[str, float], order: DateOrder | None
) -> str | None:
    """The way of writing with day and month in the right order; None where it may be either."""
    other = best.replace("%d", "%x").replace("%m", "%d").replace("%x", "%m")
    day_first = (
        {"dmy": best, "mdy": other} if best.startswith("%d") else {"dmy": other, "mdy": best}
    )
    if order is not None:
        return day_first[order]
    read = {form: int(_parsed(filled, form).notna().sum()) for form in {best, other}}
    if other in fits and read[best] == read[other]:
        return None
    return max(read, key=lambda form: read[form])


def _seconds(text: Any, form: str) -> IntArray:
    found = _parsed(*((_as_iso(text), _ISO) if form == _HTTP else (text, form)))
    known = found.notna().to_numpy()
    stamps = found.dt.tz_localize(None).to_numpy(dtype="datetime64[s]").astype(np.int64)
    return np.where(known, stamps, UNKNOWN)


def _as_iso(text: Any) -> Any:
    """Times as HTTP writes them, "Sun, 31 Mar 2019 18:05:00 GMT", as ISO, which is read faster."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pa.array(text, pa.string())

    def part(begin: int, end: int) -> Any:
        return pc.utf8_slice_codeunits(cells, begin, end)

    month = pc.index_in(part(8, 11), pa.array(_MONTHS))
    number = pc.take(pa.array([f"{i:02d}" for i in range(1, 13)]), month)
    day = pc.binary_join_element_wise(part(12, 16), number, part(5, 7), "-")
    iso = pc.binary_join_element_wise(day, part(17, 25), "T")
    whole = pc.and_(pc.is_valid(month), pc.equal(part(25, 29), " GMT"))
    return pd.Series(pc.if_else(whole, iso, "").to_numpy(zero_copy_only=False), dtype="object")


def to_utc(clock: IntArray, zone: ZoneInfo) -> tuple[IntArray, IntArray, BoolArray, BoolArray]:
    """Moments of a clock on the wall, (n,) [s], known ones.

    -> moments with the first of two hours where the clock runs through one twice, moments with the
    second, where there are two, and where there is none: a clock that was not put forward shows
    such a time, and the moment is its.
    """
    day = 24 * 3600
    # The clock is changed once in two days at most.
    before, after = (clock - offsets(clock + shift, zone) for shift in (-day, day))
    holds_before = before + offsets(before, zone) == clock
    holds_after = after + offsets(after, zone) == clock
    first = np.where(holds_before | ~holds_after, before, after)
    second = np.where(holds_after, after, first)
    return (
        first,
        second,
        holds_before & holds_after & (before != after),
        ~holds_before & ~holds_after,
    )


def offsets(moments: IntArray, zone: ZoneInfo) -> IntArray:
    """How far the clock of a zone is ahead of UTC at these moments, (n,) [s]."""
    import pandas as pd

    # Clocks change on a quarter of an hour, and many moments share one.
    quarters, place = np.unique(moments // 900, return_inverse=True)
    begin = quarters * 900
    index = pd.DatetimeIndex(begin.astype("datetime64[s]")).tz_localize("UTC").tz_convert(zone)
    local = index.tz_localize(None).to_numpy(dtype="datetime64[s]").astype(np.int64)
    return np.asarray((local - begin)[place])


def as_text(moments: IntArray, zone: ZoneInfo) -> Sequence[str] | Any:
    """ISO 8601 with offset by the clock of a zone: 2019-03-31T18:05:00+02:00."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ahead = offsets(moments, zone)
    values, place = np.unique(ahead, return_inverse=True)
    names = [
        f"{'-' if v < 0 else '+'}{abs(int(v)) // 3600:02d}:{abs(int(v)) // 60 % 60:02d}"
        for v in values
    ]
    local = pa.array((moments + ahead).astype("datetime64[s]"))
    suffix = pa.DictionaryArray.from_arrays(place.astype(np.int32), pa.array(names, pa.string()))
    stamp = pc.strftime(local, format="%Y-%m-%dT%H:%M:%S")
    return pc.binary_join_element_wise(stamp, suffix.dictionary_decode(), "")
