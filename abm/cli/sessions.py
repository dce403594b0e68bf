"""The verb `sessions`: measured sessions of others into a table of ours, and fits of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from abm.cli.common import OUTPUTS, add_output, claim_output, print_json
from abm.errors import InputError, Problem, printable

if TYPE_CHECKING:
    from abm.sessions.cleaning import Sessions

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def add_verbs(verbs: Verbs) -> None:
    """`sessions import` and `sessions fit` with their options."""
    verb = verbs.add_parser("sessions", help="measured sessions: import a file, fit what is in it")
    kinds = verb.add_subparsers(title="what to do", metavar="WHAT", required=True)

    one = kinds.add_parser("import", help="a file of sessions as a CSV that `fleet.sessions` takes")
    _add_reading(one)
    one.add_argument("--out", metavar="CSV", type=Path, required=True, help="file to write")
    one.add_argument("--force", action="store_true", help="replace one that Evenfall wrote")
    one.add_argument("--zones", metavar="N", type=int, default=15, help="RPZs (default 15)")
    one.add_argument(
        "--zone-by", choices=("ev", "site"), default="ev", help="what shares a zone (default ev)"
    )
    one.set_defaults(verb=_import)

    one = kinds.add_parser("fit", help="distributions of a file's sessions, as part of a scenario")
    _add_reading(one)
    one.add_argument(
        "--shape",
        default="auto",
        help="normal, lognormal, beta, mixture or empirical (default: the nearest that is near "
        "enough, else empirical)",
    )
    one.add_argument("--zones", metavar="N", type=int, default=15, help="RPZs (default 15)")
    # Its --format is that of the file that is read.
    add_output(one, "outputs/fitted_FILE", formats=False)
    one.set_defaults(verb=_fit)


def _add_reading(verb: argparse.ArgumentParser) -> None:
    """FILE, and what it does not say itself."""
    verb.add_argument(
        "file", metavar="FILE", type=Path, help="CSV, JSON of ACN-Data, or a name from `list`"
    )
    verb.add_argument("--format", help="acn, elaad, trondheim or table (default: by the columns)")
    verb.add_argument(
        "--map",
        metavar="FIELD=COLUMN",
        action="append",
        default=[],
        help="what a column is: arrival, departure, duration, energy, ev, site, charger, p_max, "
        "timezone; may be repeated",
    )
    verb.add_argument(
        "--timezone",
        metavar="ZONE",
        help="of times without an offset, and of the clock that hours and days are by, e.g. "
        "Europe/Oslo",
    )
    verb.add_argument("--dates", choices=("dmy", "mdy"), help="order of day and month")
    verb.add_argument("--energy-unit", choices=("kWh", "Wh", "MWh"), help="unit of the energy")
    verb.add_argument("--duration-unit", choices=("h", "min", "s"), help="unit of the duration")
    verb.add_argument("--max-hours", metavar="H", type=float, help="drop longer sessions")
    verb.add_argument("--json", action="store_true", help="what was done, as JSON")


def _read(options: argparse.Namespace) -> Sessions:
    from abm.scenario.names import shipped_files
    from abm.sessions.importing import read_file

    problems, columns = [], {}
    for text in options.map:
        name, equals, column = text.partition("=")
        if equals and name and column:
            columns[name.strip()] = column.strip()
        else:
            problems.append(Problem("--map", text, "FIELD=COLUMN, such as arrival=Start"))
    if options.max_hours is not None and not 0.0 < options.max_hours < 1e6:
        problems.append(Problem("--max-hours", f"{options.max_hours:g}", "hours above 0"))
    if problems:
        raise InputError(problems)
    known = shipped_files("sessions")
    shipped = known.get(str(options.file)) if not options.file.exists() else None
    return read_file(
        shipped or options.file,
        source=options.format,
        columns=columns,
        timezone=options.timezone,
        duration_unit=options.duration_unit,
        energy_unit=options.energy_unit,
        dates=options.dates,
        max_hours=options.max_hours,
    )


def _import(options: argparse.Namespace) -> int:
    from abm.sessions.importing import write_sessions, zones_of

    if not 1 <= options.zones <= 100_000:
        raise InputError([Problem("--zones", str(options.zones), "a whole number from 1")])
    sessions = _read(options)
    zone = zones_of(sessions, options.zones, options.zone_by)
    report = write_sessions(sessions, zone, options.out, options.file.name, options.force)
    said = {**account(sessions), "written": str(options.out), "report": str(report)}
    if options.json:
        print_json(said)
        return 0
    print_account(sessions)
    print(printable(f"written: {options.out}; every dropped or repaired row: {report}"))
    return 0


def _fit(options: argparse.Namespace) -> int:
    from abm.results.folder import made_by
    from abm.sessions.fit import DEPENDENCE, fit_sessions, name_of
    from abm.sessions.shapes import SHAPES

    problems = []
    if options.shape not in ("auto", *SHAPES):
        allowed = "one of: auto, " + ", ".join(SHAPES)
        problems.append(Problem("--shape", options.shape, allowed))
    if not 1 <= options.zones <= 100_000:
        problems.append(Problem("--zones", str(options.zones), "a whole number from 1"))
    if problems:
        raise InputError(problems)
    sessions = _read(options)
    name = name_of(options.file)
    out = options.out or OUTPUTS / name
    claimed = claim_output(options, out)
    fit = fit_sessions(sessions, str(options.file), options.shape)

    from abm.report.figures import pictures
    from abm.report.fitted import fit_figure, print_fit

    with claimed.new() as folder:
        folder.write("fitted.yaml", fit.fragment(name, options.zones, options.file.name))
        folder.write(DEPENDENCE, fit.dependence())
        folder.write("fit.csv", fit.table())
        folder.write("drawn.csv", fit.drawn_table())
        title = f"{options.file.name}: {len(sessions):,} sessions"
        folder.write_all(pictures({"fit": lambda: fit_figure(title, fit)}))
        about = {**account(sessions), "shape": options.shape, "zones": options.zones}
        folder.write_manifest(made_by("sessions fit", None, source=options.file.name, **about))
    if options.json:
        print_json({**about, "written": str(out), "charger_kw": fit.charger_kw})
        return 0
    print_account(sessions)
    print_fit(fit)
    print(printable(f"Written to {out}; `extends: {out / 'fitted.yaml'}` takes it"))
    return 0


def account(sessions: Sessions) -> dict[str, object]:
    """What became of a file's rows, as plain data."""
    ledger = sessions.ledger
    days = (sessions.departure_s.max() - sessions.arrival_s.min()) / 86400.0
    return {
        "rows": ledger.rows,
        "sessions": len(sessions),
        "evs": len(set(sessions.ev)),
        "days": float(days),
        "energy_kwh": float(sessions.energy_kwh.sum()),
        "timezone": sessions.zone.key,
        "notes": list(ledger.notes),
        "rows_dropped": ledger.count("dropped"),
        "repairs": ledger.count("repaired"),
        "reasons": [
            {"what": what, "why": why, "rows": rows, "first_line": first}
            for what, why, rows, first in ledger.summary()
        ],
    }


def print_account(sessions: Sessions) -> None:
    """The same in lines."""
    found = account(sessions)
    for note in sessions.ledger.notes:
        print(printable(note))
    for what, why, rows, first in sessions.ledger.summary():
        print(printable(f"{what:>8} {rows:>9,}  {why} (first: row {first})"))
    print(
        f"{found['sessions']:,} of {found['rows']:,} rows are sessions, of {found['evs']:,} EVs in "
        f"{found['days']:.1f} days: {found['energy_kwh']:,.1f} kWh"
    )
