"""Files of sessions as others publish them: which column is what, in which unit and time zone.

A source is a set of column names. The first whose needed columns are all there is taken; a map of
the user's own goes before all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from abm.errors import InputError, Problem, nearest

# What a column can be; those of the second line have to be there, with a departure or a duration.
FIELDS = (
    "ev",
    "site",
    "charger",
    "arrival",
    "departure",
    "duration",
    "energy",
    "p_max",
    "timezone",
)
NEEDED = ("arrival", "energy")
DURATION_UNITS = {"h": 3600.0, "min": 60.0, "s": 1.0}
ENERGY_UNITS = {"kWh": 1.0, "Wh": 1e-3, "MWh": 1e3}


@dataclass(frozen=True)
class SessionFormat:
    """One way in which sessions are published.

    columns: names that a field may have there, matched without regard to case, blanks and
    underscores. marks: a column that nobody else has. timezone: of times without an offset, None
    where the user has to say. duration_unit, energy_unit: where the column's name does not say.
    """

    name: str
    title: str
    columns: Mapping[str, tuple[str, ...]]
    marks: tuple[str, ...] = ()
    timezone: str | None = None
    duration_unit: str = "h"
    energy_unit: str | None = None

    def found(self, header: Sequence[str]) -> dict[str, str]:
        """Column of the file for each field that is there."""
        known = {plain(name): name for name in reversed(header)}
        fields = {}
        for name, choices in self.columns.items():
            column = next((known[plain(c)] for c in choices if plain(c) in known), None)
            if column is not None:
                fields[name] = column
        return fields

    def fits(self, header: Sequence[str]) -> bool:
        """Whether a file with these columns can be one of this source."""
        plain_header = {plain(name) for name in header}
        return all(plain(mark) in plain_header for mark in self.marks) and not missing(
            self.found(header)
        )


def plain(name: str) -> str:
    """A column's name without regard to case, blanks, underscores and brackets."""
    return "".join(char for char in name.casefold() if char.isalnum())


def missing(fields: Mapping[str, str]) -> list[str]:
    """What there has to be and is not."""
    lacking = [name for name in NEEDED if name not in fields]
    if "departure" not in fields and "duration" not in fields:
        lacking.append("departure or duration")
    return lacking


SOURCES: dict[str, SessionFormat] = {
    source.name: source
    for source in (
        SessionFormat(
            "acn",
            "ACN-Data (Caltech, JPL), JSON as its interface gives it, or CSV with the same names",
            {
                "ev": ("userID",),
                "site": ("siteID",),
                "charger": ("stationID", "spaceID"),
                "arrival": ("connectionTime",),
                "departure": ("disconnectTime",),
                "energy": ("kWhDelivered",),
                "timezone": ("timezone",),
            },
            ("kWhDelivered", "connectionTime"),
            "UTC",
            energy_unit="kWh",
        ),
        SessionFormat(
            "elaad",
            "ElaadNL open charging transactions",
            {
                "ev": ("StartCard",),
                "site": ("ChargePoint", "ChargePoint_ID"),
                "charger": ("ChargePoint", "ChargePoint_ID"),
                "arrival": ("UTCTransactionStart",),
                "departure": ("UTCTransactionStop",),
                "duration": ("ConnectedTime",),
                "energy": ("TotalEnergy",),
                "p_max": ("MaxPower",),
            },
            ("UTCTransactionStart",),
            "UTC",
        ),
        SessionFormat(
            "trondheim",
            "Trondheim apartment buildings (Sorensen et al. 2021), names as published or plain",
            {
                "ev": ("user_id",),
                "site": ("garage_id",),
                "arrival": ("start_plugin", "arrival"),
                "departure": ("end_plugout", "departure"),
                "duration": ("duration_hours", "duration_h"),
                "energy": ("el_kwh", "energy_kwh"),
            },
            ("garage_id", "user_type"),
            "Europe/Oslo",
            energy_unit="kWh",
        ),
        SessionFormat(
            "table",
            "any table with names that say what they are, or with --map",
            {
                "ev": (
                    "ev_id",
                    "ev",
                    "vehicle_id",
                    "vehicle",
                    "car_id",
                    "user_id",
                    "user",
                    "card_id",
                ),
                "site": ("site", "site_id", "location", "location_id", "garage_id"),
                "charger": (
                    "charger",
                    "charger_id",
                    "chargepoint",
                    "charge_point_id",
                    "cpid",
                    "station",
                    "station_id",
                    "evse_id",
                ),
                "arrival": (
                    "arrival",
                    "arrival_time",
                    "start",
                    "start_time",
                    "plug_in",
                    "plugin_time",
                    "connected_at",
                    "session_start",
                    "start_plugin",
                ),
                "departure": (
                    "departure",
                    "departure_time",
                    "end",
                    "end_time",
                    "stop",
                    "stop_time",
                    "plug_out",
                    "plugout_time",
                    "disconnected_at",
                    "session_end",
                    "end_plugout",
                ),
                "duration": (
                    "duration",
                    "duration_h",
                    "duration_hours",
                    "duration_min",
                    "duration_minutes",
                    "duration_s",
                    "plugin_duration",
                ),
                "energy": (
                    "energy_kwh",
                    "energy",
                    "kwh",
                    "energy_wh",
                    "wh",
                    "el_kwh",
                    "total_energy",
                    "charged_kwh",
                    "energy_delivered",
                    "consumption_kwh",
                ),
                "p_max": ("p_max_kw", "max_power_kw", "charger_kw", "rating_kw"),
                "timezone": ("timezone", "time_zone"),
            },
        ),
    )
}


@dataclass(frozen=True)
class ColumnMap:
    """Which column is what, and what it is measured in.

    fields: field -> column. timezone: of times that say no offset, or None.
    """

    source: str
    fields: dict[str, str] = field(default_factory=dict)
    timezone: str | None = None
    duration_s: float = 3600.0
    energy_kwh: float | None = None


def column_map(
    header: Sequence[str],
    file: str,
    line: int | None = None,
    source: str | None = None,
    own: Mapping[str, str] | None = None,
    duration_unit: str | None = None,
    energy_unit: str | None = None,
) -> ColumnMap:
    """What the columns of a file are. Raises InputError, all problems at once.

    source: a name from `SOURCES`, None to find out. own: field -> column, as the user says. Units:
    as the user says, None for what the column's name or the source says.
    """
    problems = []
    for name, column in (own or {}).items():
        if name not in FIELDS:
            allowed = "one of: " + ", ".join(FIELDS)
            problems.append(Problem("--map", name, allowed, hint=nearest(name, FIELDS)))
        elif column not in header:
            hint = nearest(column, header) or "there are: " + ", ".join(header)
            problems.append(
                Problem("--map", f"{name}={column}", "a column of the file", file, line, hint)
            )
    if problems:
        raise InputError(problems)
    chosen = [SOURCES[source]] if source else [s for s in SOURCES.values() if s.fits(header)]
    taken = chosen[0] if chosen else SOURCES["table"]
    fields = {**taken.found(header), **(own or {})}
    if lacking := missing(fields):
        hint = "there are: " + ", ".join(header) + "; say which is which with --map"
        allowed = f"a column for each of {', '.join(lacking)}"
        raise InputError([Problem("columns", "", allowed, file, line, hint)])
    duration = duration_unit or _unit_in(
        fields.get("duration", ""), "duration", taken.duration_unit
    )
    energy = energy_unit or _unit_in(fields["energy"], "energy", taken.energy_unit or "")
    return ColumnMap(
        taken.name,
        fields,
        taken.timezone,
        DURATION_UNITS[duration],
        ENERGY_UNITS[energy] if energy else None,
    )


# Endings of a column's name that say its unit.
_UNITS = {
    "energy": {"kwh": "kWh", "mwh": "MWh", "wh": "Wh"},
    "duration": {
        **dict.fromkeys(("hours", "hour", "hrs"), "h"),
        **dict.fromkeys(("minutes", "minute", "mins", "min"), "min"),
        **dict.fromkeys(("seconds", "second", "secs", "sec"), "s"),
    },
}


def _unit_in(column: str, kind: str, otherwise: str) -> str:
    """The unit that a column's name ends in: energy_wh, Duration (min)."""
    name = plain(column)
    said = next((unit for end, unit in _UNITS[kind].items() if name.endswith(end)), None)
    tail = column.rstrip(")]").replace("(", "_").replace("[", "_").split("_")[-1].strip()
    return said or (tail if kind == "duration" and tail in DURATION_UNITS else otherwise)
