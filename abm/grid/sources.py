"""Networks of other programs as pandapower nets, by a name or from a file."""

from __future__ import annotations

import inspect
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abm.errors import InputError, Problem, nearest, needs
from abm.grid.matpower import read_case
from abm.grid.nets import foreign_parts, load_net
from abm.scenario.names import display
from abm.scenario.yamlio import plain_scalar, show

SOURCES = (
    "pandapower:NAME (a function of pandapower.networks), simbench:CODE, or a file: a pandapower "
    "net (.json, .xlsx), a MATPOWER case (.m, .mat) or an OpenDSS script (.dss, .dss.gz)"
)
_PICKLES = (".p", ".pkl", ".pickle")


@dataclass(frozen=True, eq=False)
class ReadNet:
    """A net of somebody's, the caller's own.

    name: a short name. said: where it is from, in words. first_bus: number that the source gives to
    index 0 of the net. notes: of what was read in another way than pandapower does.
    """

    net: Any
    name: str
    said: str
    first_bus: int
    notes: tuple[str, ...] = ()


def read_source(reference: str) -> ReadNet:
    """The net behind a reference, see `SOURCES`. Raises InputError."""
    kind, colon, rest = reference.partition(":")
    if colon and kind in ("pandapower", "simbench"):
        with _quiet():
            return _of_pandapower(rest) if kind == "pandapower" else _of_simbench(rest)
    path = Path(reference)
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        said = "no pickle, which runs what is in it when it is read; pandapower.to_json saves a net"
        raise _wrong(reference, said)
    if suffix not in (".json", ".xlsx", ".m", ".mat"):
        raise _wrong(reference, SOURCES, nearest(reference, _functions()))
    if not path.is_file():
        raise _wrong(reference, "a file; there is none of this name")
    with _quiet():
        if suffix == ".json":
            return ReadNet(load_net(reference), path.stem, path.name, 0)
        if suffix == ".xlsx":
            return ReadNet(_of_excel(path), path.stem, path.name, 0)
        return ReadNet(read_case(path), path.stem, path.name, 1)


def missing_extra(package: str, extra: str, what: str) -> InputError:
    """What is said where a library is not there that only this needs."""
    return InputError([Problem("package", package, needs(package, extra, what))])


def _wrong(reference: str, said: str, hint: str = "") -> InputError:
    return InputError([Problem("SOURCE", show(reference), said, hint=hint)])


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what libraries say of their own code."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _functions() -> tuple[str, ...]:
    """Names of pandapower.networks that make a net without being told more."""
    import pandapower.networks as networks

    return tuple(
        name
        for name, value in vars(networks).items()
        if inspect.isfunction(value) and _ready(value) and not name.startswith("_")
    )


def _ready(function: Callable[..., Any]) -> bool:
    """Whether a function can be called without arguments."""
    return all(
        one.default is not one.empty or one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        for one in inspect.signature(function).parameters.values()
    )


def _of_pandapower(text: str) -> ReadNet:
    import pandapower as pp
    import pandapower.networks as networks

    name, *given = text.split(",")
    known = _functions()
    if name not in known:
        said = "a function of pandapower.networks that makes a net"
        raise _wrong(f"pandapower:{text}", said, nearest(name, known))
    function = getattr(networks, name)
    options = {}
    for option in given:
        key, equals, value = option.partition("=")
        if not equals or key not in inspect.signature(function).parameters:
            takes = ", ".join(inspect.signature(function).parameters) or "none"
            raise _wrong(f"pandapower:{text}", f"options NAME=VALUE of {name}; it has {takes}")
        options[key] = plain_scalar(value)
    try:
        net = function(**options)
    except Exception as error:  # it lets through whatever its builders raise
        said = f"a net; {name} ends with {type(error).__name__}: {error}"
        raise _wrong(f"pandapower:{text}", said[:300]) from error
    if not isinstance(net, pp.pandapowerNet):
        raise _wrong(f"pandapower:{text}", f"one net; {name} gives {type(net).__name__}")
    short = name.removeprefix("create_").replace("_network", "")
    return ReadNet(net, short, f"pandapower.networks.{text}, pandapower {pp.__version__}", 0)


def _of_simbench(code: str) -> ReadNet:
    try:
        import simbench
    except ImportError:
        raise missing_extra("simbench", "simbench", "its nets") from None
    import pandas as pd

    codes = [str(one) for one in simbench.collect_all_simbench_codes()]
    if code not in codes:
        raise _wrong(f"simbench:{code}", "a code of SimBench", nearest(code, codes))
    net = simbench.get_simbench_net(code)
    # SimBench knows ratio taps alone and says no type, without which pandapower leaves them out.
    moved = net.trafo.index[net.trafo["tap_pos"].fillna(0) != net.trafo["tap_neutral"].fillna(0)]
    typeless = net.trafo.get("tap_changer_type", pd.Series(index=net.trafo.index)).isna()
    notes = tuple(
        f"trafo {index}: tap_pos {net.trafo.at[index, 'tap_pos']:g} counts, as SimBench means it; "
        "pandapower leaves it out where simbench gives its tap no type (tap_changer_type)"
        for index in moved[typeless[moved].to_numpy()]
    )
    net.trafo["tap_changer_type"] = "Ratio"
    # It merges columns through sets, so that their order is another in each process.
    for kind, table in net.items():
        if isinstance(table, pd.DataFrame):
            net[kind] = table.sort_index(axis=1)
    return ReadNet(net, code, f"SimBench {code} (ODbL), simbench {simbench.__version__}", 0, notes)


def _of_excel(path: Path) -> Any:
    """Net of a workbook that pandapower has written, with nothing in it but plain data."""
    import pandapower as pp
    import pandas as pd

    file = display(path)

    def wrong(said: str) -> InputError:
        return InputError([Problem("SOURCE", "", said, file)])

    try:
        sheets = pd.read_excel(path, sheet_name=None, index_col=0, engine="openpyxl")
    except ImportError:  # of openpyxl, by pandas, before it opens the file
        raise missing_extra("openpyxl", "excel", "workbooks") from None
    except Exception as error:  # a workbook can be broken in any way
        raise wrong(f"an Excel workbook ({type(error).__name__}: {error})"[:300]) from error
    for sheet, table in sheets.items():
        cells = [cell for cell in table.to_numpy().ravel() if isinstance(cell, str)]
        for part in foreign_parts(cells):
            raise wrong(f"pandapower's own classes and tables; sheet {sheet} holds {part}")
    if "bus" not in sheets or not ({"parameters", "dtypes"} & set(sheets)):
        held = ", ".join(map(str, list(sheets)[:8]))
        raise wrong(f"a workbook of pandapower.to_excel, with a sheet bus; it has {held}")
    try:
        net = pp.from_excel(str(path))
    except Exception as error:  # it lets through whatever its readers raise
        raise wrong(f"a net of pandapower ({type(error).__name__}: {error})"[:300]) from error
    return net


def as_json(net: Any) -> str:
    """Text of a net's file, the same for the same net."""
    import pandapower as pp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = str(pp.to_json(net))
    return json.dumps(json.loads(text), indent=1) + "\n"
