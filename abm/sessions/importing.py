"""A file of sessions of others as one of ours: read, cleaned, given zones, written.

What is written has one row per session: ev_id, zone, arrival and departure with their distance from
UTC, energy_kwh, and p_max_kw where it is known. Beside it stands a report of every row that was
dropped or repaired.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from abm.equations import IntArray
from abm.errors import InputError, OutputExistsError, Problem
from abm.scenario.names import display
from abm.sessions.cleaning import Sessions, clean
from abm.sessions.reading import MARK, is_ours, read_rows
from abm.sessions.sources import SOURCES, column_map
from abm.sessions.times import DateOrder, as_text


def read_file(
    path: Path,
    *,
    source: str | None = None,
    columns: Mapping[str, str] | None = None,
    timezone: str | None = None,
    duration_unit: str | None = None,
    energy_unit: str | None = None,
    dates: DateOrder | None = None,
    max_hours: float | None = None,
) -> Sessions:
    """Sessions of a file of anybody's. Raises InputError.

    source: a name from `abm.sessions.sources.SOURCES`, None to find out by the columns. columns:
    field -> column. timezone: of times without an offset. dates: order of day and month.
    """
    if source is not None and source not in SOURCES:
        raise InputError([Problem("--format", source, "one of: " + ", ".join(SOURCES))])
    file = display(path)
    rows, header, line = read_rows(path, file)
    found = column_map(header, file, line, source, columns, duration_unit, energy_unit)
    rows.ledger.notes.insert(0, f"read as {found.source}: {SOURCES[found.source].title}")
    return clean(rows, found, file, timezone, dates, max_hours)


def zones_of(sessions: Sessions, n_zones: int, by: Literal["ev", "site"] = "ev") -> IntArray:
    """A zone for each session, from 1: EVs, or sites, in turn as they first come.

    Raises InputError for sites where there are none.
    """
    import pandas as pd

    if by == "site" and not (sessions.site != "").any():
        allowed = "ev, since no session has a site; --map site=COLUMN says which column has it"
        raise InputError([Problem("--zone-by", by, allowed)])
    names = sessions.ev if by == "ev" else sessions.site
    return np.asarray(pd.factorize(names)[0] % n_zones + 1)


def report_path(out: Path) -> Path:
    """Where the report of what was dropped and repaired stands."""
    return out.with_name(f"{out.stem}.report.csv")


def write_sessions(
    sessions: Sessions, zone: IntArray, out: Path, source: str, force: bool = False
) -> Path:
    """Write the sessions, and beside them the report, whose path is returned.

    Raises OutputExistsError for a file that is there, unless `force` is given and it is ours.
    """
    import pyarrow as pa
    import pyarrow.csv as pcsv

    report = report_path(out)
    for path in (out, report):
        if os.path.lexists(path) and not (force and path.is_file() and is_ours(path)):
            allowed = "a file that is not there yet" if not force else "a file that Evenfall wrote"
            hint = "" if force else "--force replaces one that Evenfall wrote"
            raise OutputExistsError([Problem("--out", str(path), allowed, hint=hint)])
    columns: dict[str, Any] = {
        "ev_id": pa.array(sessions.ev, pa.string()),
        "zone": pa.array(zone),
        "arrival": as_text(sessions.arrival_s, sessions.zone),
        "departure": as_text(sessions.departure_s, sessions.zone),
        "energy_kwh": pa.array(sessions.energy_kwh),
    }
    rating = sessions.p_max_kw
    if not np.isnan(rating).all():
        columns["p_max_kw"] = pa.array(rating, mask=np.isnan(rating))
    out.parent.mkdir(parents=True, exist_ok=True)
    half, half_report = (path.with_name(f".{path.name}.tmp") for path in (out, report))
    with half.open("wb") as file:
        file.write(f"{MARK} from {source}, time zone {sessions.zone.key}\n".encode())
        options = pcsv.WriteOptions(include_header=True, quoting_style="needed")
        pcsv.write_csv(pa.table(columns), file, options)
    sessions.ledger.write(half_report, f"{MARK}: rows dropped or repaired of {source}")
    os.replace(half_report, report)
    os.replace(half, out)
    return report
