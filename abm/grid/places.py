"""What the tables of a feeder say, at the positions of its buses and lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from abm.equations import BoolArray, FloatArray, IntArray
from abm.errors import Problem
from abm.scenario.feeder_table import Generation, Labels

if TYPE_CHECKING:
    from abm.scenario.feeder_table import FeederTable


def class_of_each(table: FeederTable) -> tuple[str, ...]:
    """Customer class of each row of buses.csv."""
    return tuple(str(name) for name in table.customer_class)


def customers_of(
    table: FeederTable, position: dict[int, int]
) -> tuple[IntArray, tuple[str, ...], IntArray, list[Problem]]:
    """Class of each bus position, names of the classes, bus position of each zone, problems.

    Of a zone of several homes the first of them.
    """
    problems = []
    first = table.first_bus
    top = max(position, default=0) + first
    known = f"a bus of the net, {first} to {top}" if position else "a bus of the net"
    classes = class_of_each(table)
    class_names = tuple(dict.fromkeys(classes))
    bus_class = np.full(len(position), -1, dtype=np.int64)
    buses_of_zone: dict[int, list[int]] = {}
    for number, kind, zone in zip(table.buses, classes, table.zone, strict=True):
        at = position.get(int(number) - 1)
        if at is None:
            problems.append(Problem("feeder.buses", f"N{number - 1 + first}", known))
        elif bus_class[at] >= 0:
            problems.append(Problem("feeder.buses", f"N{number - 1 + first}", "each bus once"))
        else:
            bus_class[at] = class_names.index(kind)
            if zone != 0:
                buses_of_zone.setdefault(int(zone), []).append(at)
    problems += [
        Problem("feeder.buses", f"N{index + first}", "the bus is in the net and needs a row")
        for index, at in position.items()
        if bus_class[at] < 0
    ]
    n_zone = max(buses_of_zone, default=0)
    for zone in sorted({*range(1, n_zone + 1), *buses_of_zone}):
        of_zone = len(buses_of_zone.get(zone, []))
        if zone < 1 or of_zone == 0 or (of_zone > 1 and table.phases is None):
            found = ", ".join(f"N{at + first}" for at in buses_of_zone.get(zone, [])) or "no bus"
            problems.append(
                Problem(
                    "feeder.zone",
                    f"{zone} ({found})",
                    "zones count from 1 without a gap, each on one bus; 0 is none",
                )
            )
    zone_bus = np.array([buses_of_zone.get(z, [-1])[0] for z in range(1, n_zone + 1)], np.int64)
    return bus_class, class_names, zone_bus, problems


def generation_of(
    table: FeederTable, position: dict[int, int], load_p: FloatArray, load_q: FloatArray
) -> tuple[Generation | None, FloatArray, FloatArray]:
    """What has series of its own by bus position, and the nominal net load, MW and Mvar."""
    given = table.generation
    if given is None:
        return None, load_p, load_q
    at = np.array([position[int(bus) - 1] for bus in given.bus], dtype=np.int64)
    p_mw, q_mvar = load_p.copy(), load_q.copy()
    np.subtract.at(p_mw, at, given.p_mw)
    np.subtract.at(q_mvar, at, given.q_mvar)
    return replace(given, bus=at), p_mw, q_mvar


def labels_of(table: FeederTable, buses: IntArray, lines: IntArray) -> Labels:
    """Names and places by position. buses, lines: rows of the tables, -1 for a line without one."""
    given = table.labels
    line = np.where(lines >= 0, given.line[lines], "") if len(given.line) else given.line
    bus = given.bus[buses] if len(given.bus) else given.bus
    x, y = (of[buses] if len(of) else of for of in (given.x, given.y))
    return Labels(bus, line, x, y)


def generation_problems(
    table: FeederTable, bus_index: IntArray, bus_class: IntArray, feeds: BoolArray, takes: BoolArray
) -> list[Problem]:
    """A problem where a bus that feeds in would follow the load profile of those that take power.

    feeds, takes: bool [n_bus]. A bus has one power and one class, and its class one profile.
    """
    wrong = feeds & (takes | np.isin(bus_class, bus_class[takes])) & (bus_class >= 0)
    if not wrong.any():
        return []
    buses = ", ".join(f"N{index + table.first_bus}" for index in bus_index[wrong])
    said = (
        "generation with a series of its own, in generation.csv; netted into the load it would "
        "follow the customers' profile. A bus that only feeds in may instead have a class of its "
        "own in buses.csv, with a column of the load profile"
    )
    return [Problem("feeder.generation", f"{buses} of feeder {table.name!r}", said)]
