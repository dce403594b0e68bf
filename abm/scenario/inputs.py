"""What the files that a scenario names say, read when it is made."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path as FilePath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, Problem
from abm.scenario.calendar import Calendar
from abm.scenario.checks import by_energy_problems, value_at
from abm.scenario.customer_inputs import classes_of, customers_of, heat_pump_of, profile_of
from abm.scenario.customers import CustomerTable
from abm.scenario.document import (
    Document,
    Origin,
    unseen,
)
from abm.scenario.ev_models import ModelTable, read_models
from abm.scenario.feeder import OWN_CUSTOMERS, read_feeder
from abm.scenario.feeder_table import FeederTable
from abm.scenario.load_profiles import LoadProfile
from abm.scenario.names import display, name_hint
from abm.scenario.phase_limits import phase_problems
from abm.scenario.prices import Prices, prices_of
from abm.scenario.references import (
    BELIEVED,
    CUSTOMERS,
    DEPENDENCE,
    EDGES,
    EV_MODELS,
    FEEDER,
    LIMIT,
    PAST,
    POOL,
    PROFILE,
    REACTIVE,
    SALE,
    SESSIONS,
    TARIFF,
    TEMPERATURE,
    locate,
    parts,
    shipped_names,
)
from abm.scenario.schema import ClockSection, ScenarioFields
from abm.scenario.series import Series, placed
from abm.scenario.series_fields import SeriesReading
from abm.scenario.series_file import read_series
from abm.scenario.session_table import SessionTable, read_sessions
from abm.scenario.stay_fields import Copula, read_dependence
from abm.scenario.supply import bad_zones, has_pv, pv_yield_of
from abm.scenario.tables import (
    Tariff,
    one_column,
    read_edges,
    read_tariff,
)
from abm.scenario.units import LIMIT as LIMIT_UNITS
from abm.scenario.units import TEMPERATURE as DEGREES
from abm.scenario.units import Quantity
from abm.scenario.yamlio import Path, dotted, show

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a scenario's files say. prices: the tariff on the horizon with all its parts.

    sessions is None when the fleet is sampled. edges: pairs of EVs of a feeder, from 0, (m, 2), or
    None. past: the sessions that the aggregator goes by, or None. limit: series that takes the
    place of grid.demand_limit_mw [MW], or None. temperature: of the air outside [degC], or None.
    pv_yield: of PV, power over peak power [kW/kWp], or None where no zone has any. dependence: of
    `fleet.stays`, by kind of day, or None; believed_dependence: of `belief.stays`. customers: one
    by one, in the place of the nominal loads, or None. pool: that they draw from, or None.
    heat_pump: electric power of one [kW], or None. ev_models: what batteries and chargers
    are drawn from, or None.
    """

    feeder: FeederTable
    profile: LoadProfile
    tariff: Tariff
    prices: Prices
    sessions: SessionTable | None = None
    edges: NDArray[np.int64] | None = None
    past: SessionTable | None = None
    limit: Series | None = None
    temperature: Series | None = None
    pv_yield: Series | None = None
    dependence: dict[str, Copula] | None = None
    believed_dependence: dict[str, Copula] | None = None
    customers: CustomerTable | None = None
    pool: LoadProfile | None = None
    heat_pump: Series | None = None
    ev_models: ModelTable | None = None


def read_inputs(
    fields: ScenarioFields, document: Document, bad: Collection[Path]
) -> tuple[Inputs | None, list[Problem]]:
    """Read what the scenario names. bad: paths of fields that were refused already.

    Returns None and the problems of all files when any of them cannot be used.
    """
    problems: list[Problem] = []

    def note(found: Iterable[Problem]) -> None:
        """Problems of fields, each where its field was written."""
        problems.extend(document.locate(p, tuple(p.field.split("."))) for p in found)

    def read(path: Path, wanted: str, reader: Callable[[FilePath], _T]) -> _T | None:
        if any(path[: len(refused)] == refused for refused in bad):
            return None
        reference = value_at(fields, path)
        target = locate(reference, path, document)
        # os.path says False, where pathlib raises, to a name that no file can have.
        there = os.path.isdir(target) if path == FEEDER else os.path.isfile(target)
        if not reference.strip() or not there:
            known = shipped_names(path)
            said = (
                f"{wanted} not found"
                if not os.path.exists(target)
                else f"{wanted}, this is not one"
            )
            hint = name_hint(reference, known) if known else ""
            missing = Problem(dotted(path), show(reference), said, hint=hint)
            problems.append(document.locate(missing, path))
            return None
        origin = document.origin(path)
        # Of a folder outside nothing more has to be said of the files in it.
        outs = any(
            document.leads_out(dotted(path), reference, file, origin) for file in parts(target)
        )
        try:
            return reader(target)
        except InputError as error:
            hidden = outs or origin.foreign
            problems.extend(unseen(p, origin.place) if hidden else p for p in error.problems)
            return None

    calendar = calendar_of(fields)
    try:
        calendar.check()
    except InputError as error:
        problems += [document.locate(problem, ("clock", "holidays")) for problem in error.problems]
        calendar = calendar_of(fields.model_copy(update={"clock": _without_holidays(fields)}))
    how_price = fields.tariff.reading
    of_load = (partial(read, path) for path in (PROFILE, REACTIVE, POOL))
    profile, pool, found = profile_of(fields, calendar, *of_load)
    note(found)
    tariff = read(
        TARIFF,
        "a tariff (CSV or parquet file)",
        lambda p: read_tariff(p, display(p), how_price, calendar),
    )

    sale: Tariff | None = None
    if fields.tariff.sale_prices is not None:
        how_sale = fields.tariff.sale_reading
        sale = read(
            SALE,
            "a tariff (CSV or parquet file)",
            lambda p: read_tariff(p, display(p), how_sale, calendar, "tariff.sale_reading"),
        )
        if sale is not None and tariff is not None and sale.unit != tariff.unit:
            said = f"the unit of tariff.prices, {tariff.unit}"
            problems.append(document.locate(Problem(dotted(SALE), sale.unit, said), SALE))

    def read_one(
        path: Path, name: str, quantity: Quantity, reading: SeriesReading, at: str
    ) -> Series | None:
        """A series of one column, where the scenario names a file of it."""
        if value_at(fields, path) is None:
            return None

        def reader(file: FilePath) -> Series:
            table = read_series(file, display(file), reading, quantity, calendar, at)
            return placed(one_column(table, name), calendar)

        return read(path, "a series (CSV or parquet file)", reader)

    limit = read_one(LIMIT, "limit", LIMIT_UNITS, fields.grid.limit_reading, "grid.limit_reading")
    if limit is not None and not (limit.values > 0.0).all():
        low = f"{limit.values.min():g}"
        problems.append(document.locate(Problem(dotted(LIMIT), low, "limits above 0 MW"), LIMIT))
    temperature = read_one(
        TEMPERATURE, "temperature", DEGREES, fields.weather.reading, "weather.reading"
    )
    heat_pump, found = heat_pump_of(fields, calendar, partial(read, TEMPERATURE))
    note(found)
    classes = classes_of(fields.base_load, profile)
    trust, beside = document.trusted, document.origin(FEEDER).base
    feeder = read(FEEDER, "a feeder (folder)", lambda p: read_feeder(p, classes, trust, beside))
    n_zones = feeder.n_zones if feeder is not None else None
    if feeder is not None:
        note(bad_zones(fields, feeder))
        note(phase_problems(fields, feeder))
    customers: CustomerTable | None = None
    if feeder is not None and profile is not None:
        singly = os.path.isfile(locate(fields.grid.feeder, FEEDER, document) / OWN_CUSTOMERS)
        reads = partial(read, CUSTOMERS), partial(read, FEEDER) if singly else None
        customers, found = customers_of(fields, feeder, profile, *reads)
        note(found)
        if customers is not None:
            feeder = replace(feeder, customers=customers.counts(len(feeder.buses)))
    pv_yield: Series | None = None
    if has_pv(fields.pv):
        pv_yield, found = pv_yield_of(fields, calendar, temperature, read)
        problems += [document.locate(problem, ("pv", "panels")) for problem in found]
    if feeder is not None and os.path.isabs(feeder.net):
        head = parts(locate(fields.grid.feeder, FEEDER, document))[1]
        named = Origin(display(head), base=head.parent, of_file=True)
        document.leads_out(
            "net", os.path.relpath(feeder.net, head.parent), FilePath(feeder.net), named
        )

    def read_stays(path: Path) -> SessionTable | None:
        wanted = "a file of sessions (CSV)"
        return read(path, wanted, lambda p: read_sessions(p, display(p), fields, n_zones, calendar))

    past = read_stays(PAST) if fields.belief.sessions is not None else None
    if fields.belief.arrivals == "sessions" and fields.belief.sessions is None:
        said = "a file of sessions (CSV), with belief.arrivals = sessions"
        problems.append(document.locate(Problem(dotted(PAST), "", f"missing; {said}"), PAST))
    sessions: SessionTable | None = None
    if fields.fleet.sessions is not None:
        sessions = read_stays(SESSIONS)
    elif feeder is not None and feeder.n_zones == 0 and fields.fleet.has_evs:
        none = Problem(
            dotted(FEEDER), show(fields.grid.feeder), "a feeder with zones; this has none"
        )
        problems.append(document.locate(none, FEEDER))
    elif feeder is not None and fields.fleet.evs_per_customer is not None:
        problems += _customers_missing(fields, feeder, document)
    dependence, believed = (
        read(path, "a table of dependence (CSV)", lambda p: read_dependence(p, display(p)))
        if value_at(fields, path) is not None
        else None
        for path in (DEPENDENCE, BELIEVED)
    )
    models: ModelTable | None = None
    if fields.fleet.ev_models is not None:
        wanted = "a table of EV models (CSV file)"
        models = read(EV_MODELS, wanted, lambda p: read_models(p, display(p)))
    energies = any(table is not None and table.energy_kwh is not None for table in (sessions, past))
    drawn = fields.fleet.stays is not None and fields.fleet.sessions is None
    if energies or drawn or fields.belief.stays is not None:
        problems += by_energy_problems(fields, document)
    edges: NDArray[np.int64] | None = None
    if fields.owners.learning.graph == "edges" and fields.owners.learning.edges is not None:
        n_evs: int | None = None
        if feeder is not None:
            n_evs = int(fields.fleet.evs_of(feeder.zone_customers()).sum())
        edges = read(EDGES, "a file of pairs (CSV)", lambda p: read_edges(p, display(p), n_evs))
    if problems or profile is None or tariff is None or feeder is None:
        return None, problems
    code, folder = feeder.code, locate(fields.grid.feeder, FEEDER, document)
    if code is not None and not trust and document.trusts(folder):
        # Which says nothing of who wrote a module beside the scenario.
        code = replace(code, trusted=True, folders=code.folders[:1])
    feeder = replace(feeder, name=_feeder_name(fields, feeder), code=code)
    follows = fields.tariff.follows_demand.usd_per_kwh_per_mw != 0.0
    every_s = 60 * fields.broadcast.interval_min if follows else 3600
    own = None if sale is None else sale.series
    prices = prices_of(fields.tariff, tariff.series, own, calendar, (fields.clock.step_s, every_s))
    read_in = Inputs(
        feeder=feeder,
        profile=profile,
        tariff=tariff,
        prices=prices,
        sessions=sessions,
        edges=edges,
        past=past,
        limit=limit,
        temperature=temperature,
        pv_yield=pv_yield,
        dependence=dependence,
        believed_dependence=believed,
        customers=customers,
        pool=pool,
        heat_pump=heat_pump,
        ev_models=models,
    )
    return read_in, []


def _without_holidays(fields: ScenarioFields) -> ClockSection:
    return fields.clock.model_copy(update={"holidays": None})


def calendar_of(fields: ScenarioFields) -> Calendar:
    """The calendar of a scenario's horizon."""
    clock, horizon = fields.clock, fields.horizon
    hours = 24 * horizon.days if horizon.days > 1 else clock.hours
    return _calendar(
        clock.start, hours, clock.start_date, clock.timezone, horizon.first_day, clock.holidays
    )


@lru_cache(maxsize=16)
def _calendar(*of: Any) -> Calendar:
    return Calendar(*of)


def _customers_missing(
    fields: ScenarioFields, feeder: FeederTable, document: Document
) -> list[Problem]:
    """A problem where EVs go by customers and those of a zone are not known."""
    unknown = np.flatnonzero(np.isnan(feeder.zone_customers())) + 1
    if not len(unknown):
        return []
    zones = ", ".join(map(str, unknown[:8])) + (", ..." if len(unknown) > 8 else "")
    path: Path = ("fleet", "evs_per_customer")
    said = f"a feeder with customers of each zone in buses.csv; missing: zone {zones}"
    wrong = Problem(dotted(path), show(fields.fleet.evs_per_customer), said)
    return [document.locate(wrong, path)]


def _feeder_name(fields: ScenarioFields, feeder: FeederTable) -> str:
    known = shipped_names(FEEDER)
    return fields.grid.feeder if fields.grid.feeder in known else feeder.name
