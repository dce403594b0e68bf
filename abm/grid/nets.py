"""Pandapower nets of others: read from a file or made by a function, and what is wrong in them.

A file of a net can name classes of any module, which pandapower imports: it is looked through
first, and refused where it names others than those of which a net is made.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.errors import InputError, Problem
from abm.scenario.code import Code
from abm.scenario.modules import Plugin
from abm.scenario.names import display
from abm.scenario.yamlio import read_text, show

if TYPE_CHECKING:
    import pandas as pd

    from abm.scenario.feeder_table import FeederTable

# What a file of a net may hold: whole packages, of which pandapower itself makes plain data only.
_HOLDS = ("pandapower", "pandas", "numpy", "networkx", "shapely", "geopandas", "builtins")
_TABLES = ("DataFrame", "Series")
_DEEPEST = 20


def net_of(table: FeederTable) -> Any:
    """The pandapower net that a feeder names, the caller's own, with nothing wrong in it.

    Raises InputError, PluginError.
    """
    net = load_net(table.net) if table.code is None else _called(table.code)
    file = table.net if ":" in table.net else display(Path(table.net))
    try:
        problems = list(net_problems(net, file, table.first_bus))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        said = f"a pandapower net with its tables ({type(error).__name__}: {error})"
        problems = [Problem("net", "", said, file)]
    if problems:
        raise InputError(problems)
    return net


def load_net(source: str) -> Any:
    """Pandapower net of "module:function" or of the path of a pandapower JSON file.

    The net is the caller's own. Raises InputError (field "feeder.net") when there is no such
    module, function or file, or when it does not give a pandapower net; PluginError for a function
    that raises.
    """
    if source.lower().endswith(".json") or ":" not in source:
        return _from_file(source)
    return _called(Code("feeder.net", source, (Path.cwd(),), trusted=True))


def _called(code: Code) -> Any:
    function = code.load()
    with Plugin(code.field, code.name, f"{code.attribute}()"):
        # A user's function may hand out the same net each time; we write ampacities into ours.
        net = copy.deepcopy(function())
    return _a_net(net, lambda said: code.problem(said))


def _from_file(source: str) -> Any:
    shown = display(Path(source))

    def wrong(said: str) -> Problem:
        return Problem("feeder.net", source, said)

    if not Path(source).is_file():
        said = "a pandapower JSON file, or module:function; there is no such file"
        raise InputError([wrong(said)])
    text = read_text(Path(source), shown)
    try:
        foreign = list(foreign_parts(json.loads(text)))
    except (ValueError, RecursionError) as error:
        said = f"not a pandapower JSON file: {type(error).__name__}"
        raise InputError([wrong(said)]) from error
    if foreign:
        said = f"a net of pandapower's own classes and tables; this file holds {foreign[0]}"
        raise InputError([wrong(said)])
    import pandapower as pp

    try:
        net = pp.from_json_string(text, convert=True)
    except Exception as error:  # it lets through whatever its parsers raise
        said = f"not a pandapower JSON file: {type(error).__name__}"
        raise InputError([wrong(said)]) from error
    return _a_net(net, wrong)


def _a_net(net: Any, wrong: Callable[[str], Problem]) -> Any:
    from pandapower import pandapowerNet

    if not isinstance(net, pandapowerNet):
        said = f"has to give a pandapower net, not {type(net).__name__}"
        raise InputError([wrong(said)])
    if len(net.bus) == 0:
        raise InputError([wrong("the net has no buses")])
    return net


def foreign_parts(data: Any, depth: int = 0) -> Iterator[str]:
    """What pandapower would import or open besides the classes of which nets are made."""
    if depth > _DEEPEST:
        yield "something nested too deeply"
    elif isinstance(data, dict):
        module, kind = data.get("_module"), data.get("_class")
        if module is not None or kind is not None:
            known = str(module).partition(".")[0] in _HOLDS and kind not in ("function", "method")
            if not known:
                yield show(f"{module}.{kind}")
            table = data.get("_object")
            if kind in _TABLES and isinstance(table, str) and not table.lstrip().startswith("{"):
                yield "a table that is not in it"
        for item in data.values():
            yield from foreign_parts(item, depth + 1)
    elif isinstance(data, list):
        for item in data:
            yield from foreign_parts(item, depth + 1)
    elif isinstance(data, str) and "{" in data:
        # Objects stand within tables as text.
        try:
            inner = json.loads(data)
        except ValueError:
            if "_module" in data or "\\u" in data:
                yield "text that cannot be read as JSON"
            return
        if not isinstance(inner, str):
            yield from foreign_parts(inner, depth + 1)


# Columns of buses of each table, and of numbers with what they have to be.
_ENDS = {
    "load": ("bus",),
    "sgen": ("bus",),
    "ext_grid": ("bus",),
    "shunt": ("bus",),
    "line": ("from_bus", "to_bus"),
    "trafo": ("hv_bus", "lv_bus"),
    "trafo3w": ("hv_bus", "mv_bus", "lv_bus"),
    "impedance": ("from_bus", "to_bus"),
    "switch": ("bus",),
}
_ANY, _ABOVE, _FROM = "a number", "a number above 0", "a number, at least 0"
_NUMBERS = {
    "bus": {"vn_kv": _ABOVE},
    "load": {"p_mw": _ANY, "q_mvar": _ANY, "scaling": _ANY},
    "sgen": {"p_mw": _ANY, "q_mvar": _ANY, "scaling": _ANY},
    "ext_grid": {"vm_pu": _ABOVE},
    "line": {
        "length_km": _ABOVE,
        "r_ohm_per_km": _FROM,
        "x_ohm_per_km": _ANY,
        "c_nf_per_km": _ANY,
        "parallel": _ABOVE,
        "df": _ABOVE,
    },
    "trafo": {"sn_mva": _ABOVE, "vn_hv_kv": _ABOVE, "vn_lv_kv": _ABOVE, "vk_percent": _ABOVE},
    "trafo3w": {"vn_hv_kv": _ABOVE, "vn_mv_kv": _ABOVE, "vn_lv_kv": _ABOVE},
    "impedance": {"rft_pu": _ANY, "xft_pu": _ANY, "rtf_pu": _ANY, "xtf_pu": _ANY},
    "shunt": {"p_mw": _ANY, "q_mvar": _ANY},
}


def net_problems(net: Any, file: str, first_bus: int = 1) -> Iterator[Problem]:
    """What no load flow can be solved with: element, column and value. file: name for problems;
    first_bus: number that is shown for index 0.

    Elements in service count: an end that is no bus of the net, a number that is none or out of its
    range, a line or an impedance of 0 ohm, no external grid.
    """
    buses = {int(index) for index in net.bus.index}
    for kind, ends in _ENDS.items():
        for column in ends:
            table = _serving(net, kind)
            for index, bus in zip(table.index, table[column], strict=True):
                if bus not in buses:
                    field = f"{kind} {index}, {column}"
                    said = f"a bus of the net: {_few(sorted(buses))}"
                    yield Problem(field, f"{bus}", said, file)
    for kind, columns in _NUMBERS.items():
        table = _serving(net, kind)
        for column, said in columns.items():
            for index, value in table[column].items():
                if not _fits(value, said):
                    field = f"{_element(kind, index, table, first_bus)}, {column}"
                    yield Problem(field, f"{value}", said, file)
    for kind, one, other in (
        ("line", "r_ohm_per_km", "x_ohm_per_km"),
        ("impedance", "rft_pu", "xft_pu"),
    ):
        table = _serving(net, kind)
        for index, r, x in zip(table.index, table[one], table[other], strict=True):
            if r == 0 and x == 0:
                field = f"{_element(kind, index, table, first_bus)}, {one} and {other}"
                yield Problem(field, "0", "an impedance above 0; a switch joins two buses", file)
    if not len(_serving(net, "ext_grid")):
        yield Problem("ext_grid", "", "missing; an external grid in service feeds the net", file)


def _serving(net: Any, kind: str) -> pd.DataFrame:
    table: pd.DataFrame = net[kind]
    if "in_service" in table:
        table = table[table["in_service"].astype(bool)]
    return table


def _element(kind: str, index: Any, table: pd.DataFrame, first_bus: int) -> str:
    """A name such as line 3 (N4-N5) or load 2 (N7): table and index, the paper's buses."""
    buses: list[Any] = [table.at[index, column] for column in _ENDS.get(kind, ())] or [index]
    return f"{kind} {index} ({'-'.join(f'N{int(bus) + first_bus}' for bus in buses)})"


def _few(buses: list[int], most: int = 8) -> str:
    listed = ", ".join(map(str, buses[:most]))
    return f"{listed}, ..." if len(buses) > most else listed


def _fits(value: Any, said: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return False
    if not np.isfinite(value):
        return False
    return said == _ANY or bool(value > 0) or (said == _FROM and bool(value == 0))
