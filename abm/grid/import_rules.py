"""Rules by which an imported feeder gets zones, classes and customers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from abm.equations import FloatArray
from abm.errors import InputError, Problem, nearest
from abm.scenario.csvio import read_table
from abm.scenario.feeder_table import ClassRow
from abm.scenario.names import display
from abm.scenario.yamlio import show

ZONES = "loads, loads:CLASS, farthest:K, random:K, random:K:SEED, buses:N,N,... or none"
CLASSES = "words, voltage:KV, all:CLASS or file:PATH"
CUSTOMERS = "loads, kw:KW or auto"
# Nominal load of a customer where a load is a whole substation, kW: an assumption of ours.
KW_PER_CUSTOMER = 1.5
LOW_VOLTAGE_KV = 1.0
# Voltages of a nominal load beyond these are worth a doubt.
_PLAUSIBLE_PU = (0.8, 1.2)
# The first pattern that is found in type, profile or name of a load says its class.
_WORDS = (
    ("industrial", r"indust|\bind\b|\bG3\b|G3-|\bI\d+\b"),
    ("commercial", r"commerc|business|\bCI?\d+\b|\bG[0-9](-|\b)|\bBL-|shop|office|hotel"),
    ("residential", r"resid|home|house|\bHH|\bH0|\bR\d+\b|\bL[0-2](-|\b)|lv_"),
)


@dataclass(frozen=True, eq=False)
class ImportedFeeder:
    """A feeder as the files of its folder.

    files: name -> text or table. summary: what there is. notes: what was left out, is assumed or is
    not known. classes: of the load profile, which it needs.
    """

    name: str
    files: dict[str, Any]
    summary: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Loads:
    """The loads of a net. first: number that its source gives to index 0.

    buses: all indices, sorted. load_mw: of each bus with load. notes: of what is assumed.
    """

    net: Any
    first: int
    buses: list[int]
    load_mw: dict[int, float]
    notes: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> set[int]:
        """Numbers of the buses in the source."""
        return {bus + self.first for bus in self.buses}

    @property
    def loaded(self) -> list[int]:
        """Buses with load."""
        return [bus for bus in self.buses if bus in self.load_mw]


def powers(table: Any, column: str) -> Any:
    """Power of each load or generator with its scaling."""
    return table[column].astype(float) * table["scaling"].astype(float)


def classes_of(of: Loads, rule: str, problems: list[Problem]) -> dict[int, str]:
    """Class of each bus; that of its largest load, where it has several."""
    kind, _, rest = rule.partition(":")
    if kind == "all" and rest:
        return dict.fromkeys(of.buses, rest)
    if kind == "voltage" and (limit := _number(rest)) is not None:
        kv = of.net.bus["vn_kv"]
        return {bus: "residential" if kv.at[bus] < limit else "commercial" for bus in of.buses}
    if kind == "file" and rest:
        return _class_file(of, Path(rest), problems)
    if rule != "words":
        problems.append(Problem("--classes", show(rule), CLASSES))
    load = of.net.load.assign(mw=powers(of.net.load, "p_mw"))
    largest = load.sort_values("mw", kind="stable").drop_duplicates("bus", keep="last")
    found = {
        int(largest.at[index, "bus"]): first_match(words_of(largest, index), _WORDS, "residential")
        for index in largest.index
    }
    # A bus without load needs a class, too: the usual one.
    names = [found[bus] for bus in of.loaded] or ["residential"]
    usual = max(dict.fromkeys(names), key=names.count)
    return {bus: found.get(bus, usual) for bus in of.buses}


def _class_file(of: Loads, path: Path, problems: list[Problem]) -> dict[int, str]:
    try:
        table = read_table(path, display(path), ClassRow)
    except InputError as error:
        problems += error.problems
        return {}
    numbers = [row.bus for row in table.rows]
    table.each_once("bus", numbers, "each bus once; it is on line {} already")
    for at, number in enumerate(numbers):
        if number is not None and number not in of.numbers:
            table.refuse(at, "bus")
    missing = sorted(of.numbers.difference(*[numbers]))
    if missing and not table.problems:
        shown = ", ".join(map(str, missing[:8])) + (", ..." if missing[8:] else "")
        table.note(None, "bus", "", f"a row for each bus; missing: {shown}")
    problems += table.problems
    return {(row.bus or 0) - of.first: row.customer_class or "" for row in table.rows}


def zones_of(
    of: Loads, rule: str, class_of: dict[int, str], problems: list[Problem]
) -> dict[int, int]:
    """Zone of each bus that has one, numbered in the order of the buses."""
    try:
        chosen = _chosen(of, rule, class_of)
    except InputError as error:
        problems += error.problems
        return {}
    return {bus: zone for zone, bus in enumerate(sorted(chosen), start=1)}


def _chosen(of: Loads, rule: str, class_of: dict[int, str]) -> list[int]:
    def wrong(said: str, hint: str = "") -> InputError:
        return InputError([Problem("--zones", show(rule), said, hint=hint)])

    def some(text: str) -> int:
        count = _whole(text)
        if not count or count > len(of.loaded):
            raise wrong(f"{kind}: and how many of the {len(of.loaded)} buses with load")
        return count

    kind, _, rest = rule.partition(":")
    if rule in ("loads", "none"):
        return of.loaded if kind == "loads" else []
    if kind == "loads":
        found = [bus for bus in of.loaded if class_of.get(bus) == rest]
        if not found:
            known = sorted({class_of[bus] for bus in of.loaded if bus in class_of})
            raise wrong(f"loads: and a class of a load: {', '.join(known)}", nearest(rest, known))
        return found
    if kind == "farthest":
        far = _distances(of)
        return sorted(of.loaded, key=lambda bus: (-far[bus], bus))[: some(rest)]
    if kind == "random":
        text, _, seed_text = rest.partition(":")
        seed = _whole(seed_text or "1")
        if seed is None:
            raise wrong(ZONES)
        draws = np.random.default_rng(np.random.SeedSequence(seed)).random(len(of.loaded))
        return [of.loaded[at] for at in np.argsort(draws, kind="stable")[: some(text)]]
    if kind == "buses":
        asked = [_whole(number) for number in rest.split(",")]
        numbers = [number for number in asked if number is not None]
        if len(set(numbers)) < len(asked) or not of.numbers.issuperset(numbers):
            low, high = min(of.numbers), max(of.numbers)
            raise wrong(f"buses: and numbers of buses of the source, {low} to {high}, each once")
        return [number - of.first for number in numbers]
    raise wrong(ZONES)


def _distances(of: Loads) -> dict[int, float]:
    """Impedance from the source to each bus along the least way, p.u."""
    import networkx as nx
    from pandapower.topology import create_nxgraph

    graph = create_nxgraph(
        of.net, multi=False, calc_branch_impedances=True, branch_impedance_unit="pu"
    )
    sources = {int(bus) for bus in of.net.ext_grid["bus"]}
    found = nx.multi_source_dijkstra_path_length(graph, sources, weight="z_pu")
    return {int(bus): float(length) for bus, length in found.items()}


def customers_of(of: Loads, rule: str, problems: list[Problem]) -> dict[int, float]:
    """Customers at each bus with load: its loads, or its power over that of one customer."""
    kind, _, rest = rule.partition(":")
    kw = KW_PER_CUSTOMER if rule in ("auto", "loads") else _number(rest)
    if kw is None or kind not in ("auto", "loads", "kw"):
        problems.append(Problem("--customers", show(rule), CUSTOMERS))
        return {}
    loads = of.net.load.groupby("bus").size()
    low = {bus for bus in of.loaded if of.net.bus["vn_kv"].at[bus] < LOW_VOLTAGE_KV}
    counted = {"loads": set(of.loaded), "auto": low, "kw": set()}[kind]
    if kind == "auto" and len(low) < len(of.loaded):
        of.notes.append(
            f"customers of a load at {LOW_VOLTAGE_KV:g} kV or more: its nominal load over {kw:g} "
            "kW, an assumption (--customers)"
        )
    return {
        bus: float(loads.at[bus]) if bus in counted else float(round(1e3 * of.load_mw[bus] / kw))
        for bus in of.loaded
    }


def words_of(table: Any, index: Any) -> Iterator[str]:
    """What a net says of a load or generator: type, profile, name."""
    for column in ("type", "profile", "name"):
        if column in table:
            yield one_line(table.at[index, column])


def first_match(words: Iterator[str], patterns: tuple[tuple[str, str], ...], otherwise: str) -> str:
    """Name of the first pattern that is found in the first word in which any is."""
    for word in words:
        for name, pattern in patterns:
            if re.search(pattern, word, re.I):
                return name
    return otherwise


def one_line(cell: Any) -> str:
    """A cell as one line of text; "" where there is none."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    return " ".join(str(cell).split())


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 < value < np.inf else None


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text.strip()) else None


def doubtful_voltages(vm_pu: FloatArray, doubt: str) -> list[str]:
    """A note on voltages that no feeder has at its nominal load, where there are some."""
    low, high = _PLAUSIBLE_PU
    if vm_pu.min() >= low and vm_pu.max() <= high:
        return []
    return [f"a voltage beyond {low:g} to {high:g} p.u.: {doubt}"]
