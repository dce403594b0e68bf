"""What a page shows of the EVs, and what may be changed of one while it is in the model."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations.switching import can_move
from abm.errors import InputError, Problem
from abm.fleet import Fleet
from abm.fleet.columns import COLUMNS, UNKNOWN_BY_ENERGY, EVColumn
from abm.scenario.fields import clock_minutes

if TYPE_CHECKING:
    from abm.agents import EV
    from abm.model import V2GModel

DAY_MIN = 1440


class State(IntEnum):
    """What an EV is seen to do; done: plugged in with nothing left to charge."""

    ABSENT = 0
    IDLE = 1
    CHARGING = 2
    DISCHARGING = 3
    DONE = 4


STATE_WORDS = ("Absent", "Waiting", "Charging", "Discharging", "Done")


def states(fleet: Fleet) -> NDArray[np.int8]:
    """State of each EV, int8 (n,); a model is looked at between two steps and left as it is."""
    left = fleet.soc_goal - fleet.soc
    if fleet.as_printed:
        # The goal of one that has not begun is its SoC of then and what it has to charge, eq. (3).
        left = np.where(fleet.has_charged, left, fleet.soc_required)
    found = np.where(can_move(left * fleet.capacity_kwh, fleet.plugged), State.IDLE, State.DONE)
    found[fleet.mode > 0] = State.CHARGING
    found[fleet.mode < 0] = State.DISCHARGING
    return np.where(fleet.plugged, found, State.ABSENT).astype(np.int8)


def known_soc(fleet: Fleet) -> NDArray[np.float64]:
    """SoC to show of each EV: of now, or on its way the one it comes with, fraction (n,).

    Of EVs whose need is an energy, the part of it that they have been charged.
    """
    seen = np.where(fleet.arrived, fleet.soc, fleet.soc_arrival)
    return np.asarray(np.where(np.isnan(fleet.soc_departure), seen, fleet.soc_departure))


# --- one EV ------------------------------------------------------------------------------------


# Numbers of where it is, which the zone and the home say in words.
_PLACES = ("feeder", "zone", "cell", "point")
# What most people look for, first; all others stand under what columns.csv says of them.
_WORDS = {
    "mode": "does",
    "p_kw": "power, positive = charging",
    "soc": "state of charge now",
    "soc_target": "wants on departure",
    "arrival_min": "arrives",
    "departure_min": "leaves",
    "announced_min": "has announced to leave",
    "plugged": "is plugged in",
    "v2g": "takes part in V2G",
    "boost": "charges at once",
    "soc_min": "V2G down to",
    "soc_goal": "charging goes to",
    "soc_arrival": "came with",
    "soc_departure": "left with",
    "capacity_kwh": "battery",
    "efficiency": "efficiency, one way",
    "p_max_kw": "charger",
    "p_discharge_kw": "charger, V2G",
    "charged_kwh": "charged so far",
    "discharged_kwh": "discharged so far",
    "purchase_usd": "paid so far, by the hour",
    "sale_usd": "earned so far, by the hour",
    "switches": "changes of mode",
    "group": "group of its owner",
}


def described(model: V2GModel, index: int) -> list[tuple[str, str]]:
    """Everything that is known of one EV, as (meaning, value with unit) in words.

    index: of the EV in `model.evs`. All its columns are there, those of most interest first.
    """
    ev = model.evs[index]
    lines = [("zone", str(ev.zone))]
    if ev.home is not None:
        lines.append(("home and phases", f"{ev.home}, {ev.phases}"))
    others = [name for name in COLUMNS if name not in _PLACES and name not in _WORDS]
    for name in (*_WORDS, *others):
        words = _WORDS.get(name) or _meaning(COLUMNS[name])
        lines.append((words, _shown(model, ev, COLUMNS[name])))
    return lines


def _meaning(column: EVColumn) -> str:
    """What a column means, without names of fields and symbols of the paper."""
    said = re.sub(r" \(`[^)]*\)|, eq\. \(\d+\)", "", column.meaning.split(";")[0])
    return said.replace("soc_goal", "what it charges to").replace("soc_min", "the threshold")


def _shown(model: V2GModel, ev: EV, column: EVColumn) -> str:
    """The value of one column of one EV, with its unit."""
    fleet, name = model.fleet, column.name
    if fleet.by_energy and name in UNKNOWN_BY_ENERGY:
        return "not known"
    value = getattr(fleet, name)[ev.row].item()
    if name == "group":
        return _group(model, value)
    if name in ("mode", "request"):
        return ("discharging (V2G)", "idle", "charging (G2V)")[value + 1]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and math.isnan(value):
        return "not yet"
    if name in ("arrival_min", "departure_min", "announced_min"):
        return model.clock_time(value)
    if name.endswith("_step"):
        return "does not come" if value > model.clock.n_steps * 1000 else f"{value}"
    if column.unit == "fraction":
        return f"{100.0 * value:.1f} %"
    number = f"{value:.2f}" if column.unit in ("$", "kWh", "kW") else f"{value:g}"
    return number if column.unit in ("-", "step") else f"{number} {column.unit}"


def _group(model: V2GModel, number: int) -> str:
    names = list(model.scenario.owners.groups)
    return names[number] if names else "all alike"


# --- changes by hand ---------------------------------------------------------------------------

_CLOCK = re.compile(r"\s*(\d{1,2}):(\d{2})\s*")
_WHO = {"soc_target": "SoC wanted", "soc_min": "V2G threshold", "departure_min": "departure"}


def changeable(model: V2GModel, index: int) -> dict[str, Any]:
    """What may be changed of one EV, in the form in which `changes_of` takes it."""
    ev = model.evs[index]
    shares = {name: getattr(ev, name) for name in ("soc_target", "soc_min")}
    return {
        "departure": model.clock_time(ev.departure_min),
        **{k: None if math.isnan(v) else f"{100.0 * v:.1f}" for k, v in shares.items()},
        "v2g": bool(ev.v2g),
        "boost": bool(ev.boost),
    }


def changes_of(model: V2GModel, index: int, wanted: Mapping[str, Any]) -> dict[str, float | bool]:
    """What somebody wants changed of one EV by hand, by the name of its attribute.

    wanted: `departure` as a clock time "HH:MM", the first such one to come; `soc_target` and
    `soc_min` in %; `v2g` and `boost`, whether it takes part in V2G and charges at once. What is
    None or as it is already is left out. Raises InputError with all that is wrong.
    """
    ev, fleet = model.evs[index], model.fleet
    problems: list[Problem] = []
    if fleet.arrived[ev.row] and not fleet.plugged[ev.row]:
        raise InputError([Problem(f"EV {ev.ev_id}", "", "has left, and can no longer be changed")])
    new: dict[str, float | bool] = {}
    if wanted.get("departure") is not None:
        minute = _departure(model, ev, str(wanted["departure"]), problems)
        if minute is not None and model.clock_time(minute) != model.clock_time(ev.departure_min):
            new["departure_min"] = minute
    for name in ("soc_target", "soc_min"):
        share = _share(name, wanted.get(name), problems)
        if share is None or math.isnan(getattr(ev, name)):
            continue
        if round(share, 3) != round(getattr(ev, name), 3):
            new[name] = share
    for name in ("v2g", "boost"):
        if wanted.get(name) is not None and bool(wanted[name]) != getattr(ev, name):
            new[name] = bool(wanted[name])
    if "v2g" in new and fleet.by_energy:
        allowed = "takes no part in V2G, as the energy in its battery is not known"
        problems.append(Problem(f"EV {ev.ev_id}", "", allowed))
    if problems:
        raise InputError(problems)
    return new


def change(model: V2GModel, index: int, changes: Mapping[str, float | bool]) -> list[str]:
    """Write attributes of one EV, which its model goes by from the next step on; says which."""
    ev = model.evs[index]
    for name, value in changes.items():
        setattr(ev, name, value)
    return [_said(model, name, value) for name, value in changes.items()]


def _departure(model: V2GModel, ev: EV, text: str, problems: list[Problem]) -> float | None:
    """Minute of the horizon of the first such clock time after now and after the arrival."""
    match = _CLOCK.fullmatch(text)
    try:
        of_day = clock_minutes(f"{match[1]}:{match[2]}" if match else text)
    except ValueError as error:
        problems.append(Problem("departure", text, str(error)))
        return None
    after = max(model.minute, ev.arrival_min)
    ahead = (of_day - _of_day(model, after)) % DAY_MIN
    minute = float(after + (ahead or DAY_MIN))
    if minute > model.clock.n_hours * 60 and minute > ev.departure_min:
        last = model.clock_time(model.clock.n_hours * 60)
        problems.append(Problem("departure", text, f"before the run ends at {last}"))
        return None
    return minute


def _of_day(model: V2GModel, minute: float) -> float:
    whole = math.floor(minute)
    clock = model.clock_time(whole)
    return clock_minutes(clock) % DAY_MIN + (minute - whole)


def _share(name: str, value: Any, problems: list[Problem]) -> float | None:
    """A share of what was typed in %; None where nothing was."""
    if value is None or value == "":
        return None
    try:
        percent = float(value)
    except (TypeError, ValueError):
        percent = math.nan
    if not 0.0 <= percent <= 100.0:
        problems.append(Problem(_WHO[name], f"{value} %", "a number from 0 to 100"))
        return None
    return percent / 100.0


def _said(model: V2GModel, name: str, value: Any) -> str:
    if name == "departure_min":
        return f"leaves at {model.clock_time(value)}"
    if name == "v2g":
        return "takes part in V2G" if value else "takes no part in V2G"
    if name == "boost":
        return "charges at once" if value else "no longer charges at once"
    return f"{_WHO[name]} {100.0 * value:.0f} %"
