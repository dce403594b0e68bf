"""Names that a scenario may use, and what stands behind them.

Rules, admissions, solvers and named strategies are pure data, so that a scenario can be checked
without importing the code behind them; a test holds them and the registry in `abm.control`
together. Scenarios, feeders, tariffs and load profiles that ship with the package are files. Code
of the user's own, `module:Class`, is in `abm.scenario.code`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

from abm.errors import InputError, Problem, nearest
from abm.scenario.yamlio import parse_yaml, read_text, show

_PACKAGE = Path(__file__).resolve().parent.parent
_SHIPPED = {
    "scenarios": "*.yaml",
    "feeders": "feeders/*/feeder.yaml",
    "tariffs": "tariffs/*.csv",
    "profiles": "profiles/*.csv",
    "pools": "profiles/*.parquet",
    "pv": "pv/*.csv",
    "ev_models": "ev_models/*.csv",
    "sessions": "sessions/*.csv",
}

RULES: Mapping[str, str] = MappingProxyType(
    {
        "g2v_only": "charge as soon as plugged in, never discharge (eqs. 1-8)",
        "eq13": "the paper's switching rule, eq. (13), with its options in `eq13`",
        "coordinated": "V2G while base demand is above the hour's level, else G2V",
        "mpc": "powers planned ahead by an optimiser every few minutes, with what is known by then",
        "off_peak": "G2V outside of peaks, after a random delay, with its options in `off_peak`",
        "by_price": "G2V, and V2G while a kWh sold earns enough, with its options in `by_price`",
        "set_points": "powers that a controller outside sets for zones or EVs (docs/envs.md)",
    }
)

# Load profiles that a package makes, by what a reference to one begins with.
READY_PROFILES: Mapping[str, str] = MappingProxyType(
    {
        "demandlib:bdew": "standard profiles of BDEW by calendar date: h0_dyn, g0 to g6, l0 to l2",
        "simbench:CODE": "profiles of a SimBench scenario, as simbench:1-LV-rural1--0-sw",
    }
)

ADMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "all_at_once": "every request is served",
        "below_limit": "every request is served while the broadcast demand is below the limit",
        "first_come": "within the broadcast headroom, first come first served",
        "least_laxity": "within the broadcast headroom, the EV with least slack first",
        "coordinated": "up or down to the hour's level by slack, nobody left short",
        "dimming": "an admission, with each charger limited to 4.2 kW while load is too high",
        "throttling": "an admission, with chargers limited to a part of their rating in some hours",
        "operating_envelopes": "an admission, with connections limited so that the network holds",
        "by_price": "each home alone while a kWh bought is cheap, or when it has to",
    }
)

SOLVERS: Mapping[str, str] = MappingProxyType(
    {
        "power-grid-model": "fast, checked against pandapower before its first use on a feeder",
        "pandapower": "the reference",
    }
)


@dataclass(frozen=True)
class NamedStrategy:
    """A switching rule and an admission under one name.

    connected: False leaves every EV unplugged, the base case.
    """

    rule: str
    admission: str
    description: str
    connected: bool = True
    rule_options: Mapping[str, Any] = field(default_factory=dict)
    admission_options: Mapping[str, Any] = field(default_factory=dict)


STRATEGIES: Mapping[str, NamedStrategy] = MappingProxyType(
    {
        "none": NamedStrategy(
            "g2v_only", "all_at_once", "no EV connected: the base case", connected=False
        ),
        "uncoordinated": NamedStrategy(
            "g2v_only", "all_at_once", "every EV charges on arrival: the paper's G2V mode"
        ),
        "evms": NamedStrategy(
            "eq13", "first_come", "eq. (13), charging first come first served under the limit"
        ),
        "evms_immediate": NamedStrategy(
            "eq13", "all_at_once", "eq. (13) read literally: charge at once after discharging"
        ),
        "evms_herd": NamedStrategy(
            "eq13", "below_limit", "eq. (13), each home alone: all start once demand is below limit"
        ),
        "evms_guaranteed": NamedStrategy(
            "eq13",
            "least_laxity",
            "eq. (13), least slack first, nobody left short who can be helped",
            admission_options={"guarantee": True},
        ),
        "coordinated": NamedStrategy(
            "coordinated",
            "coordinated",
            "one demand level each quarter hour: valley filled and peak shaved to it by slack",
        ),
        "dimming": NamedStrategy(
            "g2v_only",
            "dimming",
            "section 14a EnWG: every EV charges on arrival, at 4.2 kW while load is too high",
        ),
        "off_peak": NamedStrategy(
            "off_peak",
            "all_at_once",
            "UK regulations of 2021: not from 8 to 11 and 16 to 22 on weekdays, random delay",
        ),
        "throttling": NamedStrategy(
            "g2v_only",
            "throttling",
            "every EV charges on arrival, at half its rating from 16 to 20",
        ),
        "operating_envelopes": NamedStrategy(
            "g2v_only",
            "operating_envelopes",
            "every EV charges on arrival, within what the operator works out for its connection",
        ),
        "mpc": NamedStrategy(
            "mpc",
            "all_at_once",
            "rolling-horizon optimisation (HiGHS) with what coordinated knows: slow, a yardstick",
        ),
    }
)


def shipped_dir() -> Path:
    """Folder of the shipped data: inside an installed package, else beside it in the repository."""
    inside = _PACKAGE / "_scenarios"
    return inside if inside.is_dir() else _PACKAGE.parent / "scenarios"


def shipped_files(kind: str) -> dict[str, Path]:
    """Name -> file of what ships; of a feeder its folder. kind: scenarios, feeders, ..."""
    found = sorted(shipped_dir().glob(_SHIPPED[kind]))
    if kind == "feeders":
        return {path.parent.name: path.parent for path in found}
    return {path.stem: path for path in found}


def shipped_scenarios() -> dict[str, str]:
    """Name -> one-line description of every shipped scenario."""
    return {name: _of_yaml(path) for name, path in shipped_files("scenarios").items()}


def shipped_feeders() -> dict[str, str]:
    """Name -> one-line description of every shipped feeder."""
    folders = shipped_files("feeders").items()
    return {name: _of_yaml(path / "feeder.yaml") for name, path in folders}


def shipped_tariffs() -> dict[str, str]:
    """Name -> one-line description of every shipped tariff."""
    return {name: _of_csv(path) for name, path in shipped_files("tariffs").items()}


def shipped_sessions() -> dict[str, str]:
    """Name -> one-line description of every shipped file of sessions."""
    return {name: _of_csv(path) for name, path in shipped_files("sessions").items()}


def shipped_ev_models() -> dict[str, str]:
    """Name -> one-line description of every shipped table of EV models."""
    return {name: _of_csv(path) for name, path in shipped_files("ev_models").items()}


def shipped_profiles() -> dict[str, str]:
    """Name -> one-line description of every shipped load profile."""
    return {name: _of_csv(path) for name, path in shipped_files("profiles").items()}


def shipped_pools() -> dict[str, str]:
    """Name -> one-line description of every shipped pool of profiles."""
    return {name: _of_parquet(path) for name, path in shipped_files("pools").items()}


def shipped_pv() -> dict[str, str]:
    """Name -> one-line description of every shipped yield of PV."""
    return {name: _of_csv(path) for name, path in shipped_files("pv").items()}


def _of_yaml(path: Path) -> str:
    try:
        data, _ = parse_yaml(read_text(path, str(path)))
    except InputError:
        return ""
    text = data.get("description", "") if isinstance(data, dict) else ""
    return " ".join(str(text).split())


def _of_csv(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as lines:
        first = lines.readline().strip()
    return first.lstrip("# ") if first.startswith("#") else ""


def _of_parquet(path: Path) -> str:
    from pyarrow import parquet

    of_file = parquet.read_metadata(path).metadata or {}
    return str(of_file.get(b"description", b"").decode())


def name_hint(word: str, known: dict[str, Path]) -> str:
    """Hint for a name that is not shipped: the nearest one, else all of them."""
    stem = Path(word).stem
    return nearest(stem, list(known)) or "shipped: " + ", ".join(known)


def display(path: Path) -> str:
    """A path as problems show it: relative to the working folder when it lies below it."""
    try:
        return str(Path(os.path.realpath(path)).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def make_object(
    field: str,
    name: str,
    factory: Callable[..., object],
    arguments: Mapping[str, Any],
    options: Mapping[str, Any],
) -> object:
    """factory(**arguments).

    field: for problems; options: what the user wrote of the arguments. Raises InputError, also for
    an option that is not of the plain type that the class says it is.
    """
    problems = _option_problems(field, name, factory, options)
    if problems:
        raise InputError(problems)
    try:
        return factory(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(
            [Problem(f"{field}_options", repr(dict(options)), f"{name}: {error}")]
        ) from error


# What an option of a plain type has to be, in words, and the types that will do.
_PLAIN: Mapping[object, tuple[str, tuple[type, ...]]] = MappingProxyType(
    {
        bool: ("true or false", (bool,)),
        int: ("a whole number", (int,)),
        float: ("a number", (int, float)),
        str: ("text", (str,)),
    }
)


def _option_problems(
    field: str, name: str, factory: Callable[..., object], options: Mapping[str, Any]
) -> list[Problem]:
    """A problem for each option that is something else than its annotation says."""
    try:
        wanted = get_type_hints(factory.__init__)
    except Exception:  # an annotation that only a type checker can read
        return []
    problems = []
    for option, value in options.items():
        words, types = _PLAIN.get(wanted.get(option), ("", ()))
        # True and False are whole numbers to Python, and no numbers to a person.
        fits = isinstance(value, types) and (bool in types or not isinstance(value, bool))
        if words and not fits:
            path = f"{field}_options.{option}"
            problems.append(Problem(path, show(value), f"{name}: {words}"))
    return problems
