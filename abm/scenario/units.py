"""Units of series: what a file may say, and what it is in ours."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_POWERS = {"w": 1e-3, "kw": 1.0, "mw": 1e3}
_ENERGIES = {"wh": 1e-3, "kwh": 1.0, "mwh": 1e3}
_MONEY = re.compile(r"(.+)/\s*(kwh|mwh)")
_CENTS = {"ct": "EUR", "cent": "EUR", "eurct": "EUR", "c": "$", "p": "GBP", "øre": "NOK"}


@dataclass(frozen=True)
class Quantity:
    """What a series is of.

    word: for problems. unit: what it is in where nothing is said. kind: power, price, or plain with
    its factors. words: what may be said. most: largest value that can be meant, in our unit.
    least: smallest allowed.
    mean_most: largest mean that can be meant, by unit: per MWh prices are a thousand times larger.
    doubt: what a larger mean may be instead.
    """

    word: str
    unit: str
    kind: str
    words: str
    most: float
    factors: Mapping[str, tuple[str, float, float]] = field(default_factory=dict)
    least: float = -math.inf
    mean_most: Mapping[str, float] = field(default_factory=dict)
    doubt: str = ""

    def factor(self, written: str, step_h: float) -> tuple[str, float, float] | None:
        """Our unit, factor and offset that turn a value into it; None for a unit that is none.

        step_h: step of the series, h: an energy of a step is a mean power over it.
        """
        text = written.strip()
        low = text.lower().replace(" ", "")
        if low in self.factors:
            return self.factors[low]
        if self.kind == "price" and (match := _MONEY.fullmatch(text.lower())):
            money = text[: len(match[1])].strip()
            per = 1.0 if match[2] == "kwh" else 1e-3
            if money.lower() in _CENTS:
                return f"{_CENTS[money.lower()]}/kWh", per / 100.0, 0.0
            return f"{money}/kWh", per, 0.0
        if self.kind == "power":
            if low in _POWERS:
                return self._of_kw(_POWERS[low])
            if low in _ENERGIES:
                return self._of_kw(_ENERGIES[low] / step_h)
        return None

    def _of_kw(self, kw: float) -> tuple[str, float, float]:
        return ("MW", kw / 1e3, 0.0) if self.unit == "MW" else ("kW", kw, 0.0)


_PLAIN = {
    "-": ("-", 1.0, 0.0),
    "1": ("-", 1.0, 0.0),
    "p.u.": ("-", 1.0, 0.0),
    "pu": ("-", 1.0, 0.0),
}
_PLAIN |= {"%": ("-", 0.01, 0.0)}

LOAD = Quantity(
    "load", "-", "power", "-, p.u., % of the nominal load; W, kW, MW; Wh, kWh, MWh of a step", 1e6,
    _PLAIN, 0.0,
)  # fmt: skip
_VARS = {"var": ("kvar", 1e-3, 0.0), "kvar": ("kvar", 1.0, 0.0), "mvar": ("kvar", 1e3, 0.0)}
REACTIVE = Quantity(
    "reactive load", "-", "plain", "-, p.u., % of the nominal reactive load; var, kvar, Mvar", 1e6,
    _PLAIN | _VARS,
)  # fmt: skip
LIMIT = Quantity("the limit", "MW", "power", "W, kW, MW; Wh, kWh, MWh of a step", 1e5, least=0.0)
PRICE = Quantity(
    "the price", "$/kWh", "price",
    "a currency or cents per kWh or MWh: $/kWh, EUR/MWh, ct/kWh", 1e4,
    mean_most={f"{money}/kWh": 12.0 for money in ("$", "USD", "EUR", "€", "GBP", "£", "CHF")},
    doubt="is it per MWh?",
)  # fmt: skip
TEMPERATURE = Quantity(
    "the temperature", "degC", "plain", "degC, K, degF", 80.0,
    {
        "degc": ("degC", 1.0, 0.0), "c": ("degC", 1.0, 0.0), "°c": ("degC", 1.0, 0.0),
        "k": ("degC", 1.0, -273.15), "degf": ("degC", 5.0 / 9.0, -160.0 / 9.0),
        "f": ("degC", 5.0 / 9.0, -160.0 / 9.0),
    },
)  # fmt: skip
IRRADIANCE = Quantity(
    "irradiance", "W/m2", "plain", "W/m2, kW/m2", 2000.0,
    {
        "w/m2": ("W/m2", 1.0, 0.0), "w/m²": ("W/m2", 1.0, 0.0), "w/m^2": ("W/m2", 1.0, 0.0),
        "kw/m2": ("W/m2", 1e3, 0.0), "kw/m²": ("W/m2", 1e3, 0.0), "kw/m^2": ("W/m2", 1e3, 0.0),
    },
    0.0,
)  # fmt: skip
PV_POWER = Quantity(
    "PV power", "-", "power", "kW/kWp, -, %; W, kW, MW; Wh, kWh, MWh of a step", 1e6,
    {**_PLAIN, "kw/kwp": ("-", 1.0, 0.0), "w/wp": ("-", 1.0, 0.0)}, 0.0,
    {"-": 1.0}, "is it in % or W?",
)  # fmt: skip
