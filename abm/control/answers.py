"""What rules, admissions and EVs of the user's own answer: modes, or powers in kW.

Integers are modes, -1 (V2G), 0 (idle), 1 (G2V); floats are powers in kW at the grid side, positive
= charging. Anything else is one InputError that names the class, the minute and what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, Problem
from abm.fleet import Fleet, Mode, ModeArray
from abm.scenario.modules import Plugin, name_of

MODES = (int(Mode.V2G), int(Mode.IDLE), int(Mode.G2V))
ALLOWED = "modes -1, 0, 1 as integers, or powers in kW as finite floats, positive = charging"
KINDS = ("mode", "power")
# What numpy says of writing to an array that is not to be written to.
READ_ONLY = "read-only"


class Answers:
    """The answers of one rule, admission or EV, checked.

    owner.method is who answers; field: of the scenario, for problems. one_kind: it answers with
    modes or with powers, in every minute the same, since a stray float among modes is a mistake.
    Zeros are both.
    """

    def __init__(self, owner: object, method: str, field: str, one_kind: bool = True) -> None:
        self._who = f"{name_of(owner)}.{method}"
        self._guard = Plugin(field, owner, method)
        self._field, self._one_kind = field, one_kind
        self._powers: bool | None = None

    def ask(self, answer: Callable[[], object], n_evs: int, minute: float) -> NDArray[Any]:
        """The answer, (n_evs,), int8 modes or float64 kW.

        Raises InputError for one that is neither, and where the fleet's columns were written to;
        PluginError for what the owner raises.
        """
        with self._guard:
            try:
                found = answer()
            except ValueError as error:
                if READ_ONLY not in str(error):
                    raise
                said = "columns of the fleet and values of the broadcast are read, and not written "
                found = f"{type(error).__name__}: {error}"
                raise self._wrong(found, minute, f"{said}to") from error
            return self.checked(found, n_evs, minute)

    def checked(self, found: object, n_evs: int, minute: float) -> NDArray[Any]:
        """An answer as `ask` gives it. Raises InputError."""
        if isinstance(found, list | tuple) and _mixed(found):
            raise self._wrong("integers and floats in one list", minute, ALLOWED)
        try:
            values = np.asarray(found)
        except (TypeError, ValueError) as error:
            raise self._wrong(f"{type(found).__name__}: {error}", minute, ALLOWED) from error
        if values.shape not in ((), (1,), (n_evs,)):
            said = f"one value, or one for each of the {n_evs} EVs: shape (), (1,) or ({n_evs},)"
            raise self._wrong(f"an array of shape {values.shape}", minute, said)
        if values.dtype.kind in "bui":
            powers, wrong = False, ~np.isin(values, MODES)
        elif values.dtype.kind == "f":
            powers, wrong = True, ~np.isfinite(values)
        else:
            raise self._wrong(_shown(found, values), minute, ALLOWED)
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            where = f" for EV {first} of the columns" if values.size > 1 else ""
            raise self._wrong(f"{values.flat[first]!s}{where}", minute, ALLOWED)
        before = self._powers
        if values.any() and self._one_kind and before not in (None, powers):
            example = f"{values.flat[int(np.flatnonzero(values)[0])]!s}, a {KINDS[powers]}"
            said = f"{KINDS[not powers]}s, as before: integers are modes, floats are powers"
            raise self._wrong(example, minute, said)
        if values.any():
            self._powers = powers
        elif before is not None:
            # Zeros are idle in both.
            powers = before
        as_type = np.float64 if powers else np.int8
        return np.broadcast_to(values.astype(as_type), (n_evs,))

    def _wrong(self, value: str, minute: float, allowed: str) -> InputError:
        answered = f"{value}, answered by {self._who} at minute {minute:g}"
        return InputError([Problem(self._field, answered, allowed)])


def _mixed(values: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a plain list has integers and floats in it, of which numpy would make floats."""
    floats = sum(isinstance(value, float | np.floating) for value in values)
    integers = sum(isinstance(value, int | np.integer) for value in values)
    return floats > 0 and integers > 0


def _shown(found: object, values: NDArray[Any]) -> str:
    text = repr(found) if values.size <= 1 else f"an array of {values.dtype}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def split(fleet: Fleet, answer: NDArray[Any]) -> tuple[ModeArray, NDArray[np.float64] | None]:
    """An answer as modes, and as powers >= 0 where it is one of powers; (n_evs,) each.

    Charging below the charger's least power (`ev.min_charge_kw`) is off.
    """
    if answer.dtype == np.int8:
        return answer, None
    power = np.abs(answer)
    # A charger whose rating is less can be set to that.
    off = (answer > 0.0) & (power < np.minimum(fleet.min_charge_kw, fleet.p_max_kw))
    return np.where(off, np.int8(Mode.IDLE), np.sign(answer).astype(np.int8)), power
