"""The feeder of a report as a map over time: voltages at its buses, loadings of its lines.

The drawing is SVG; what changes is packed as whole numbers of 16 bits, little-endian, in base64,
and coloured by the script of the page.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray, IntArray
from abm.errors import printable
from abm.report.layout import Layout, feeder_layout
from abm.report.moments import moments
from abm.results import Results
from abm.results.flows import highest_loading
from abm.results.indicators import grain_of

WIDTH = 1000.0
# Elements that a map may have, and its bytes; moments, lines and buses that can be read one by one.
MOST_ELEMENTS, MOST_BYTES = 40_000, 700_000
MOST_FRAMES, MOST_LINES, MOST_LOADS = 400, 2_000, 3_000
# More buses than this have no numbers beside them.
MOST_NUMBERS = 60
# Up to so many transformers have large marks.
FEW = 12
# From so many lines and buses on places are rounded.
LARGE = 4_000
UNKNOWN = 65535
# From a line without a load to one far above its rating, %.
LOAD_STOPS = ((0.0, "#C9CDD2"), (50.0, "#B9A978"), (80.0, "#F0B93A"), (100.0, "#D55E00"),
              (130.0, "#5B0A2E"))  # fmt: skip
VM_COLOURS = ("#00224E", "#575C6D", "#A69D75", "#FDE737")


@dataclass(frozen=True)
class FeederMap:
    """markup: drawing and controls. data: for the script. about: what it shows, what was thinned.

    left_out: why there is no map, "" where there is one.
    """

    markup: str
    data: dict[str, Any]
    about: str
    left_out: str = ""


def feeder_map(runs: Mapping[str, Results], most_bytes: int = MOST_BYTES) -> FeederMap:
    """The feeder under each strategy at its load flows, of many those that are worst.

    Of several feeders the one with the lowest voltage under the first strategy.
    """
    first = next(iter(runs.values()))
    record, feeder = first.record, first.record.feeder
    at = feeder_layout(feeder)
    n_line, n_load, n_transformer = len(at.ways), len(at.load_x), len(at.transformer_x)
    elements = n_line + n_load + n_transformer
    if elements > MOST_ELEMENTS:
        said = f"The feeder has {elements} buses, lines and transformers: too many for a map here."
        return FeederMap("", {}, "", said)
    k = _worst_feeder(first)
    shown = _read_one_by_one(runs, k, n_line, n_load)
    drawing, names = _drawing(at, feeder.bus_numbers, shown), _names(first, shown)
    fixed = len(drawing) + sum(len(name) + 4 for group in names.values() for name in group)
    numbers = len(shown.lines) + len(shown.loads) + n_transformer
    each = max(1.0, len(runs) * numbers * 8 / 3 + 20)
    most = min(MOST_FRAMES, max(1, int((most_bytes - fixed) / each)))
    frames = worst_flows(list(runs.values()), k, most)
    grain = grain_of(record.flow_min)
    about = f"Voltages and loadings: {grain}."
    if first.n_feeders > 1:
        about = f"Feeder {k + 1} of {first.n_feeders}, that with the lowest voltage. {about}"
    n_flows = len(record.flow_hours)
    if len(frames) < n_flows:
        about += (
            f" To keep this file small it has {len(frames)} of {n_flows} load flows: those with "
            "the lowest voltages and the highest loadings."
        )
    if not record.flows.i_a.shape[2]:
        about += " Currents of single lines were not kept."
    elif len(shown.lines) < n_line:
        about += (
            f" Of {n_line} lines the {len(shown.lines)} with the highest loadings have colours."
        )
    if len(shown.loads) < n_load:
        about += f" Of {n_load} buses the {len(shown.loads)} with the lowest voltages have colours."
    times = moments(first.record, frames, first.record.flow_min)
    grid = record.scenario.grid
    data = {
        **names,
        "hint": "Point at a bus or a line to read it.",
        "times": times,
        "runs": [_packed(name, one, k, frames, shown) for name, one in runs.items()],
        "vm_min": grid.vm_min_pu,
        "vm_max": grid.vm_max_pu,
        "vm_stops": _vm_stops(runs, k, grid.vm_min_pu, grid.vm_max_pu),
        "load_stops": [list(stop) for stop in LOAD_STOPS],
        "thin": 1.6 if elements <= 300 else 0.9,
        "thick": 4.0 if elements <= 300 else 2.2,
    }
    start = int(np.argmin(_lowest(first, k)[frames])) if len(frames) else 0
    return FeederMap(_controls(drawing, list(runs), times, start, data), data, about)


@dataclass(frozen=True)
class _Readable:
    """Positions of the lines and of the buses (homes) that are drawn one by one."""

    lines: IntArray
    loads: IntArray


def _read_one_by_one(runs: Mapping[str, Results], k: int, n_line: int, n_load: int) -> _Readable:
    """All of a small feeder; of a large one the lines and buses that are worst."""
    lines, loads = np.arange(n_line), np.arange(n_load)
    records = [one.record for one in runs.values()]
    if n_load > MOST_LOADS:
        low = [np.nan_to_num(r.flows.vm_pu[:, k], nan=np.inf).min(axis=0) for r in records]
        order = np.argsort(np.min(low, axis=0), kind="stable")
        loads = np.sort(order[:MOST_LOADS])
    if n_line > MOST_LINES:
        if not records[0].flows.i_a.shape[2]:
            return _Readable(lines[:0], loads)
        high = [np.nan_to_num(r.loading_percent[:, k]).max(axis=0) for r in records]
        order = np.argsort(-np.max(high, axis=0), kind="stable")
        lines = np.sort(order[:MOST_LINES])
    return _Readable(lines, loads)


def _worst_feeder(results: Results) -> int:
    low = np.nan_to_num(results.record.lowest_vm_pu, nan=np.inf).min(axis=0)
    return int(np.argmin(low))


def _lowest(results: Results, k: int) -> FloatArray:
    return np.nan_to_num(results.record.lowest_vm_pu[:, k], nan=np.inf)


def worst_flows(runs: Sequence[Results], k: int, most: int) -> IntArray:
    """Load flows with the lowest voltage or the highest loading under any strategy, in time."""
    n = len(runs[0].record.flow_hours)
    if n <= most:
        return np.arange(n)
    low = np.min([_lowest(one, k) for one in runs], axis=0)
    high = np.zeros(n)
    for one in runs:
        percent = one.record.flows.transformer_percent[:, k]
        for values in (highest_loading(one.record)[:, k, None], percent):
            high = np.maximum(high, np.nan_to_num(values).max(axis=1, initial=0.0))
    by_voltage, by_loading = np.argsort(low, kind="stable"), np.argsort(-high, kind="stable")
    chosen: dict[int, None] = {}
    for pair in zip(by_voltage.tolist(), by_loading.tolist(), strict=True):
        for flow in pair:
            if len(chosen) < most:
                chosen[flow] = None
    return np.array(sorted(chosen), dtype=np.int64)


def packed(values: FloatArray, scale: float) -> str:
    """Values as whole numbers of 1/scale in base64; what is not known or too large: `UNKNOWN`."""
    whole = np.round(np.nan_to_num(values, nan=-1.0, posinf=-1.0, neginf=-1.0) * scale)
    there = (whole >= 0) & (whole < UNKNOWN)
    numbers: NDArray[Any] = np.where(there, whole, UNKNOWN).astype("<u2")
    return b64encode(numbers.tobytes()).decode("ascii")


def _packed(
    name: str, results: Results, k: int, frames: IntArray, shown: _Readable
) -> dict[str, Any]:
    flows = results.record.flows
    vm_pu = flows.vm_pu[frames, k][:, shown.loads]
    found = {"name": printable(name), "vm": packed(vm_pu, 1e4)}
    if flows.i_a.shape[2]:
        percent = results.record.loading_percent[frames, k][:, shown.lines]
        found["line"] = packed(percent, 10.0)
    if flows.transformer_percent.shape[2]:
        found["transformer"] = packed(flows.transformer_percent[frames, k], 10.0)
    return found


def _names(results: Results, shown: _Readable) -> dict[str, list[str]]:
    feeder = results.record.feeder
    what = "home " if results.has_homes else ""
    buses, lines = feeder.bus_names, feeder.line_names
    return {
        "loads": [printable(f"{what}{buses[at]}") for at in shown.loads],
        "lines": [printable(lines[at]) for at in shown.lines],
        "transformers": [printable(name) for name in feeder.network.transformers.names],
    }


def _vm_stops(runs: Mapping[str, Results], k: int, low: float, high: float) -> list[list[Any]]:
    """Colours from the lower limit to 1 p.u., or to the upper limit where voltages are above."""
    most = max(float(np.nanmax(one.record.flows.vm_pu[:, k], initial=0.0)) for one in runs.values())
    top = high if most > 1.005 or low >= 1.0 else 1.0
    places = np.linspace(low, top, len(VM_COLOURS)).tolist()
    return [[place, colour] for place, colour in zip(places, VM_COLOURS, strict=True)]


# --- the drawing -------------------------------------------------------------------------------


def _drawing(at: Layout, numbers: NDArray[Any], shown: _Readable) -> str:
    x, y = np.append(at.x, at.load_x), np.append(at.y, at.load_y)
    span_x, span_y = float(np.ptp(x)) or 1.0, float(np.ptp(y)) or 1.0
    height = WIDTH * at.aspect * span_y / span_x if at.is_map else 95.0 * span_y + 60.0
    height = float(np.clip(height, 140.0, 640.0))
    pad, left, top = 32.0, float(x.min()), float(y.max())
    across, down = (WIDTH - 2 * pad) / span_x, (height - 2 * pad) / span_y
    if at.is_map:
        across = min(across, down / at.aspect)
        down = across * at.aspect
    shift = (WIDTH - across * span_x) / 2.0

    def place(px: float, py: float) -> tuple[float, float]:
        return shift + across * (px - left), pad + down * (top - py)

    large = len(at.ways) + len(at.load_x) > LARGE

    def short(value: float) -> str:
        # Whole units of a thousand are what a large feeder has bytes for.
        return f"{value:.0f}" if large else _short(value)

    def path(way: FloatArray) -> str:
        return "M" + "L".join(" ".join(map(short, place(*point))) for point in way.tolist())

    def circle(kind: str, px: float, py: float, r: float) -> str:
        cx, cy = map(short, place(px, py))
        return f'<circle class="{kind}" cx="{cx}" cy="{cy}" r="{_short(r)}"/>'

    many = len(at.ways) + len(at.load_x) > 300
    small = len(at.load_x) > 300
    radius = 2.6 if small else 5.0 if many else 7.0
    parts = [f'<svg viewBox="0 0 1000 {_short(height)}" role="img" aria-labelledby="map-title">']
    parts += [f'<path class="j" d="{path(way)}"/>' for way in at.joins]
    others = np.setdiff1d(np.arange(len(at.ways)), shown.lines)
    if len(others):
        parts.append(f'<path class="g" d="{"".join(path(at.ways[row]) for row in others)}"/>')
    parts += [f'<path class="l" d="{path(at.ways[row])}"/>' for row in shown.lines]
    for zone in at.zones:
        # A zone of a street is all of it: a ring is for those at one bus.
        if len(zone) == 1:
            parts.append(circle("z", at.load_x[zone[0]], at.load_y[zone[0]], radius + 4.0))
    parts += [circle("b", at.load_x[row], at.load_y[row], radius) for row in shown.loads]
    for bus in at.slack.tolist():
        cx, cy = place(at.x[bus], at.y[bus])
        parts.append(
            f'<rect class="s" x="{_short(cx - 7)}" y="{_short(cy - 7)}" width="14" height="14"/>'
        )
    r = 11 if len(at.transformer_x) <= FEW else 5
    for px, py in zip(at.transformer_x.tolist(), at.transformer_y.tolist(), strict=True):
        if np.isfinite(px):
            cx, cy = place(px, py)
            d = f"M{_short(cx)} {_short(cy - r)}l{r} {r}l-{r} {r}l-{r} -{r}z"
        else:
            d = ""
        parts.append(f'<path class="t" d="{d}"/>')
    if len(at.load_x) <= MOST_NUMBERS and len(numbers) == len(at.x):
        for bus, number in enumerate(numbers.tolist()):
            cx, cy = place(at.x[bus], at.y[bus])
            parts.append(f'<text x="{_short(cx + 8)}" y="{_short(cy - 9)}">{number}</text>')
    return "".join([*parts, "</svg>"])


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _controls(
    drawing: str, names: Sequence[str], times: Sequence[str], start: int, data: Mapping[str, Any]
) -> str:
    choose = ""
    if len(names) > 1:
        options = "".join(
            f'<option value="{i}">{escape(printable(name))}</option>'
            for i, name in enumerate(names)
        )
        choose = f"<label>Strategy <select>{options}</select></label>"
    stops = data["vm_stops"]
    vm = ",".join(colour for _, colour in stops)
    load = ",".join(f"{colour} {100.0 * at / 130.0:.0f}%" for at, colour in LOAD_STOPS)
    return (
        '<div class="map">'
        f'<div class="bar"><button type="button" class="play">Play</button>{choose}'
        '<label for="map-time">Time</label>'
        f'<input id="map-time" type="range" min="0" max="{max(len(times) - 1, 0)}" '
        f'value="{start}" step="1"><span class="when"></span></div>'
        f'<p class="say"></p>{drawing}'
        '<div class="key">'
        f'<span>{stops[0][0]:g} p.u.<span class="ramp" style="background:linear-gradient(90deg,{vm}'
        f')"></span>{stops[-1][0]:g} p.u.</span>'
        f'<span>loading 0<span class="ramp" style="background:linear-gradient(90deg,{load})">'
        "</span>130 %</span>"
        '<span><span class="dot" style="border:3px solid #aa3377"></span>beyond a limit</span>'
        '<span><span class="dot" style="border:2px solid #d55e00"></span>parking zone</span>'
        '</div><p class="tip soft"></p></div>'
    )
