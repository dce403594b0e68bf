"""Builds the feeder of a table, once in a process."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.equations import FloatArray
from abm.errors import InputError, LoadFlowError, Problem
from abm.grid.feeder import Feeder
from abm.grid.nets import net_of
from abm.grid.network import line_network
from abm.grid.phase_feeder import three_phase_feeder
from abm.grid.places import (
    class_of_each,
    customers_of,
    generation_of,
    generation_problems,
    labels_of,
)
from abm.grid.reference import (
    closed_connections,
    feeds_and_takes,
    net_of_lines,
    nominal_load,
    read_network,
    without_supply,
)
from abm.grid.switching import ends_of, rows_of, set_lines, write_ampacities
from abm.scenario.code import refuse_untrusted
from abm.scenario.names import display

if TYPE_CHECKING:
    from abm.scenario.feeder_table import FeederTable, LineValues

_FEEDERS: dict[str, Feeder] = {}


def build_feeder(table: FeederTable) -> Feeder:
    """Build the feeder of a table, or hand out the one this process built from the same values.

    Raises InputError with every problem of the table against the net (unreadable file, unknown
    function, bus or line that is not in the net, zone numbers with gaps, generation without a
    profile of its own), and LoadFlowError when buses have no supply, the net cannot be solved at
    nominal load by the reference or holds what no solver here knows.
    """
    if table.code is not None:
        refuse_untrusted([table.code])
    key = _digest(table)
    if key not in _FEEDERS:
        _FEEDERS[key] = _build(table, key)
    return _FEEDERS[key]


def _digest(table: FeederTable) -> str:
    where = "" if table.code is None else str(table.code.source())
    words = tuple(map(str, (*table.labels.bus, *table.labels.line)))
    about = repr((table.name, table.net, where, class_of_each(table), table.first_bus, words))
    digest = hashlib.sha256(about.encode("utf-8", "surrogatepass"))
    for values in (table.buses, table.zone, table.line_from, table.line_to, table.line_index):
        digest.update(np.asarray(values, dtype=np.int64).tobytes() + b"|")
    for numbers in (table.ampacity_a, table.labels.x, table.labels.y, table.is_open):
        digest.update(np.asarray(numbers, dtype=np.float64).tobytes() + b"|")
    if table.phases is not None:
        for given in vars(table.phases).values():
            digest.update(_bytes_of(given) + b"|")
    if table.generation is not None:
        for values in astuple(table.generation):
            digest.update(repr(np.asarray(values).tolist()).encode("utf-8", "surrogatepass"))
    path = Path(table.net)
    if table.values is not None:
        for value in astuple(table.values):
            digest.update(np.asarray(value, dtype=np.float64).tobytes() + b"|")
    elif path.is_file():
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _bytes_of(given: Any) -> bytes:
    """Array or number as bytes that are the same in every process."""
    array = np.asarray(given)
    if array.dtype.kind == "U":
        return repr(array.tolist()).encode("utf-8", "surrogatepass")
    return array.tobytes()


def _build(table: FeederTable, key: str) -> Feeder:
    """The feeder of a table, from its values or from its net."""
    feeder: Feeder
    if table.phases is not None:
        feeder = three_phase_feeder(table, table.phases, key)
    elif table.values is None:
        feeder = _from_net(table, key)
    else:
        feeder = _from_values(table, table.values, key)
    for value in vars(feeder).values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    return feeder


def _from_values(table: FeederTable, values: LineValues, key: str) -> Feeder:
    order = np.argsort(table.buses)
    bus_index = np.asarray(table.buses, dtype=np.int64)[order] - 1
    position = {int(index): i for i, index in enumerate(bus_index)}
    bus_class, class_names, zone_bus, problems = customers_of(table, position)
    problems += [
        Problem("feeder.lines", ends_of(table, line), "two buses of the feeder")
        for line, (one, other) in enumerate(zip(table.line_from, table.line_to, strict=True))
        if one - 1 not in position or other - 1 not in position
    ]
    load_p, load_q = values.p_mw[order], values.q_mvar[order]
    problems += generation_problems(table, bus_index, bus_class, load_p < 0.0, load_p > 0.0)
    if problems:
        raise InputError(problems)
    serving = np.arange(len(table.line_from))
    if len(table.is_open):
        serving = np.flatnonzero(~table.is_open)
    line_from, line_to = (
        np.array([position[int(bus) - 1] for bus in end[serving]], dtype=np.int64)
        for end in (table.line_from, table.line_to)
    )
    generation, p_mw, q_mvar = generation_of(table, position, load_p, load_q)
    slack = position[values.slack_bus - 1]
    own = replace(values, r_ohm=values.r_ohm[serving], x_ohm=values.x_ohm[serving])
    feeder = Feeder(
        name=table.name,
        key=key,
        bus_index=bus_index,
        line_index=serving,
        p_mw=p_mw,
        q_mvar=q_mvar,
        class_names=class_names,
        bus_class=bus_class,
        zone_bus=zone_bus,
        line_from=line_from,
        line_to=line_to,
        ampacity_a=np.array(table.ampacity_a[serving], dtype=np.float64),
        vn_kv=np.full(len(bus_index), values.vn_kv),
        slack_buses=np.array([slack]),
        connections=tuple(
            (int(one), int(other), ("line", int(line)))
            for line, one, other in zip(serving, line_from, line_to, strict=True)
        ),
        network=line_network(own, line_from, line_to, len(bus_index), slack),
        make_net=partial(net_of_lines, table, values),
        load_p_mw=load_p,
        load_q_mvar=load_q,
        generation=generation,
        first_bus=table.first_bus,
        labels=labels_of(table, order, serving),
    )
    dark = feeder.unsupplied_buses()
    if len(dark):
        said = without_supply(feeder.bus_numbers[dark])
        raise LoadFlowError(f"feeder {table.name!r}: {said}")
    return feeder


def _from_net(table: FeederTable, key: str) -> Feeder:
    net = net_of(table)
    bus_index = np.sort(net.bus.index.to_numpy(dtype=np.int64))
    position = {int(index): i for i, index in enumerate(bus_index)}
    bus_class, class_names, zone_bus, problems = customers_of(table, position)
    problems += write_ampacities(net, table)
    feeds, takes = feeds_and_takes(net, bus_index)
    if table.generation is None:
        problems += generation_problems(table, bus_index, bus_class, feeds, takes)
    elif net.sgen["in_service"].astype(bool).any():
        said = "no static generator in service in the net, as generation.csv has them all"
        problems.append(Problem("feeder.generation", f"{len(net.sgen)} x sgen", said))
    if problems:
        raise InputError(problems)
    set_lines(net, table)
    load_p, load_q = nominal_load(net, bus_index)
    generation, p_mw, q_mvar = generation_of(table, position, load_p, load_q)
    try:
        network, line_index = read_network(net, bus_index, p_mw, q_mvar, table.first_bus)
    except LoadFlowError as error:
        raise LoadFlowError(f"{source_of(table)}: feeder {table.name!r}: {error}") from error
    except Exception as error:  # pandapower raises UserWarning and worse for a net without source
        said = f"cannot be solved: {' '.join(str(error).split())[:200]}"
        raise LoadFlowError(f"{source_of(table)}: feeder {table.name!r} {said}") from error
    lines = net.line.loc[line_index]
    slack = net.ext_grid[net.ext_grid["in_service"].astype(bool)]["bus"].unique()
    return Feeder(
        name=table.name,
        key=key,
        bus_index=bus_index,
        line_index=line_index,
        p_mw=p_mw,
        q_mvar=q_mvar,
        class_names=class_names,
        bus_class=bus_class,
        zone_bus=zone_bus,
        line_from=np.array([position[int(bus)] for bus in lines["from_bus"]], dtype=np.int64),
        line_to=np.array([position[int(bus)] for bus in lines["to_bus"]], dtype=np.int64),
        ampacity_a=(1e3 * lines["max_i_ka"] * lines["df"] * lines["parallel"]).to_numpy(
            dtype=np.float64, copy=True
        ),
        vn_kv=net.bus["vn_kv"].loc[bus_index].to_numpy(dtype=np.float64, copy=True),
        slack_buses=np.array([position[int(bus)] for bus in slack], dtype=np.int64),
        connections=tuple(
            (position[one], position[other], item) for one, other, item in closed_connections(net)
        ),
        network=network,
        make_net=lambda: net,
        load_p_mw=load_p,
        load_q_mvar=load_q,
        generation=generation,
        first_bus=table.first_bus,
        labels=labels_of(table, np.argsort(table.buses), rows_of(net, table, line_index)),
        line_km=_lengths(lines["length_km"].to_numpy(dtype=np.float64, copy=True)),
    )


def _lengths(km: FloatArray) -> FloatArray:
    """Lengths of lines; none where all are 1 km, as in nets made of impedances alone."""
    return km if len(km) and (km != 1.0).any() else np.zeros(0)


def source_of(table: FeederTable) -> str:
    """Where the net of a feeder is from, in words."""
    return table.net if ":" in table.net else display(Path(table.net))
