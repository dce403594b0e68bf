"""What a field of the scenario is called on an axis: words and a unit, from its description."""

from __future__ import annotations

import re

from abm.scenario.document import field_at

# Units as descriptions write them; what else stands behind a semicolon is no unit.
_UNITS = (
    "kW", "MW", "kWh", "MWh", "kVA", "h", "min", "s", "%", "fraction", "p.u.", "$", "$/kWh",
    "$/kW", "km", "m", "A", "kV", "degC", "days", "ohm",
)  # fmt: skip
LONGEST = 60


def field_words(path: str) -> str:
    """A field in words: `ev.charger_kw` is "G2V charger rating at the grid side (kW)".

    The path itself where no field has it, or where its description does not begin with a name.
    """
    parts = tuple(path.split("."))
    field = field_at(parts)
    sentence = re.split(r"(?<!eq)\.(?:\s|$)", field.description or "" if field else "")[0]
    head, _, rest = sentence.partition("; ")
    name, *more = head.split(", ")
    name = name.partition(" (")[0]
    behind = [*more, rest.partition(",")[0].partition(" ")[0]]
    unit = next((word for word in behind if word in _UNITS), "")
    if field is None or not re.match(r"[A-Za-z][^:]*$", name) or len(name) > LONGEST:
        return path
    # Of a distribution it is said what it is of.
    of = f"{parts[-2].replace('_', ' ')}: " if len(parts) > 2 else ""
    return f"{of}{name} ({unit})" if unit else f"{of}{name}"


def mid_sentence(name: str) -> str:
    """A name as it stands within a sentence: its first letter small, but of EVs or V2G."""
    return name if name[1:2].isupper() else name[:1].lower() + name[1:]
