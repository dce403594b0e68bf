"""How each strategy looks in every figure: one colour, dash and mark of its own.

Colours are Okabe and Ito's for what is compared most often, and others that stay apart from them
for readers who confuse red and green; what differs in colour differs in dash and mark, too. No
drawing library is imported: figures, reports and dashboards take their looks from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from zlib import crc32

# matplotlib's name of a dash, or an offset and lengths in line widths.
Dash = str | tuple[float, tuple[float, ...]]

BOUND = "bound"
BASE = "none"

_PLOTLY_DASH = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
_PLOTLY_MARK = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "v": "triangle-down",
    "D": "diamond",
    "P": "cross",
    "X": "x",
    "*": "star",
    "<": "triangle-left",
    ">": "triangle-right",
    "p": "pentagon",
    "h": "hexagon",
    "d": "diamond-tall",
    "8": "octagon",
    ".": "circle-dot",
    "1": "y-down",
    "2": "y-up",
    "+": "cross-thin",
}


@dataclass(frozen=True)
class Look:
    """Of one strategy. color: "#RRGGBB". dash, marker: as in matplotlib. label: in legends."""

    color: str
    dash: Dash
    marker: str
    label: str

    @property
    def plotly_dash(self) -> str:
        """The dash as plotly has it: a name, or lengths in pixels of a line of 2 pixels."""
        if isinstance(self.dash, str):
            return _PLOTLY_DASH[self.dash]
        return ",".join(f"{2.0 * part:g}px" for part in self.dash[1])

    @property
    def plotly_marker(self) -> str:
        """The mark as plotly has it."""
        return _PLOTLY_MARK[self.marker]

    @property
    def ink(self) -> str:
        """The colour for text: as dark as reading on white needs, a contrast of 4.5."""
        rgb = [int(self.color[at : at + 2], 16) / 255.0 for at in (1, 3, 5)]
        while _luminance(rgb) > 1.05 / 4.5 - 0.05:
            rgb = [0.95 * part for part in rgb]
        return "#" + "".join(f"{round(255.0 * part):02X}" for part in rgb)

    @property
    def line(self) -> dict[str, Any]:
        """Colour and dash, as keywords of a line in matplotlib."""
        return {"color": self.color, "ls": self.dash}


def _luminance(rgb: Sequence[float]) -> float:
    """Relative luminance of sRGB, as WCAG has it."""
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _dashes(*lengths: float) -> Dash:
    return 0.0, lengths


LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        name: Look(color, dash, marker, name)
        for name, color, dash, marker in (
            (BOUND, "#000000", "-", "*"),
            (BASE, "#4D4D4D", ":", "."),
            ("uncoordinated", "#D55E00", "--", "^"),
            ("evms", "#009E73", "-.", "s"),
            ("coordinated", "#0072B2", "-", "o"),
            ("mpc", "#E69F00", _dashes(6, 1.5), "D"),
            ("evms_immediate", "#CC79A7", _dashes(3, 1, 1, 1, 1, 1), "v"),
            ("evms_herd", "#882255", _dashes(2, 1), "X"),
            ("evms_guaranteed", "#56B4E9", _dashes(8, 1.5, 1, 1.5), "P"),
            ("dimming", "#7A4A00", _dashes(5, 1, 2, 1), "<"),
            ("off_peak", "#332288", _dashes(1, 2), ">"),
            ("throttling", "#999933", _dashes(4, 2), "p"),
            ("operating_envelopes", "#5555DD", _dashes(8, 1, 2, 1, 2, 1), "h"),
        )
    }
)
# What other names mean one of these.
_SAME = {"bound_cost": BOUND, "base": BASE, "without evs": BASE, "g2v": "uncoordinated"}
# For strategies that are not ours: what is far from the looks that stand beside them most often.
_FREE: tuple[tuple[str, Dash, str], ...] = (
    ("#661100", _dashes(10, 2), "d"),
    ("#0000DD", _dashes(1, 1), "8"),
    ("#117733", _dashes(6, 1, 1, 1), "1"),
    ("#44AABB", _dashes(3, 3), "2"),
    ("#B8578B", _dashes(12, 2, 2, 2), "+"),
)


def look_of(name: str) -> Look:
    """The look of a strategy, the bound ("bound") or the base demand ("none", "base").

    A name that is none of ours has one of the looks left over, always the same; in a figure of
    several, `looks_of` keeps any two apart.
    """
    known = LOOKS.get(_SAME.get(name.lower(), name.lower()))
    if known is not None:
        return Look(known.color, known.dash, known.marker, name)
    return Look(*_FREE[crc32(name.encode()) % len(_FREE)], name)


def looks_of(names: Iterable[str]) -> dict[str, Look]:
    """The look of each of several strategies, no two alike while there are looks left.

    Of two that would look alike the one named first keeps its look.
    """
    found: dict[str, Look] = {}
    for name in names:
        look = look_of(name)
        taken = {(one.color, one.dash) for one in found.values()}
        if (look.color, look.dash) in taken:
            free = (*_FREE, *((one.color, one.dash, one.marker) for one in LOOKS.values()))
            first = crc32(name.encode()) % len(_FREE)
            order = (*free[first : len(_FREE)], *free[:first], *free[len(_FREE) :])
            left = [one for one in order if one[:2] not in taken]
            look = Look(*left[0], name) if left else look
        found[name] = look
    return found
