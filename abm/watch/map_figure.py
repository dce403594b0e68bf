"""The feeder's map as plain data for Plotly: voltages of the last load flow, see `figures`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from abm.equations import FloatArray
from abm.report.interactive import Chart, words
from abm.report.layout import Layout
from abm.scenario import Scenario
from abm.watch.figures import INK, axes_of, numbers, page_layout, side_by_side
from abm.watch.lane import LaneView

# Lower voltages to the left, the rated one in the middle.
VOLTAGES = [
    [0.0, "#B35806"],
    [0.25, "#F1A340"],
    [0.5, "#D9DDE3"],
    [0.75, "#998EC3"],
    [1, "#542788"],
]


def map_chart(
    lanes: Sequence[LaneView], drawn: Layout, names: Sequence[str], of: Scenario
) -> Chart:
    """Voltages on the feeder's map in the last load flow of the last hour that ended.

    names: of the feeder's buses, of three phases its homes, whose lowest phase is shown. What lies
    beyond the limits has a ring.
    """
    low, high = of.grid.vm_min_pu, of.grid.vm_max_pu
    wide = max(1.0 - low, high - 1.0)
    line_x, line_y = _polylines([*drawn.ways, *drawn.joins])
    zone_of = np.zeros(len(names), dtype=np.int64)
    for number, positions in enumerate(drawn.zones, start=1):
        zone_of[positions] = number
    several = len(drawn.zones) > 1
    size = np.where((zone_of > 0) & several, 10, 7 if len(names) < 120 else 5)
    data: list[Chart] = []
    for i, lane in enumerate(lanes):
        vm = np.full(len(names), np.nan) if lane.flow is None else lane.flow.vm_pu[-1]
        known = np.isfinite(vm)
        beyond = known & ((vm < low) | (vm > high))
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": line_x,
                "y": line_y,
                "line": {"color": "#B9BEC7", "width": 1.5},
                "hoverinfo": "skip",
                **axes_of(i),
            }
        )
        label = [
            words(name) + (f", zone {zone}" if zone and several else "")
            for name, zone in zip(names, zone_of.tolist(), strict=True)
        ]
        said = [
            f"{v:.4f} p.u." if k else "no load flow yet" for v, k in zip(vm, known, strict=True)
        ]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": numbers(drawn.load_x, 6),
                "y": numbers(drawn.load_y, 6),
                "text": [f"{a}: {b}" for a, b in zip(label, said, strict=True)],
                "hovertemplate": "%{text}<extra></extra>",
                "marker": {
                    "size": size.tolist(),
                    "color": numbers(vm) if known.any() else "#fff",
                    "cmin": 1.0 - wide,
                    "cmax": 1.0 + wide,
                    "colorscale": VOLTAGES,
                    "line": {
                        "color": np.where(beyond, "#B00020", "#6B717C").tolist(),
                        "width": np.where(beyond, 2.2, 0.6).tolist(),
                    },
                    "showscale": i == len(lanes) - 1 and bool(known.any()),
                    "colorbar": {
                        "thickness": 9,
                        "len": 0.9,
                        "outlinewidth": 0,
                        "tickfont": {"size": 10},
                        "tickvals": [round(low, 3), 1.0, round(high, 3)],
                        "ticktext": [f"{low:g} limit", "1 p.u.", f"{high:g} limit"],
                    },
                },
                **axes_of(i),
            }
        )
    data += [_source(drawn) | axes_of(i) for i in range(len(lanes))]
    layout = page_layout(margin={"l": 6, "r": 6, "t": 8, "b": 6}, hovermode="closest")
    layout = side_by_side(lanes, layout, {"visible": False}, {"visible": False})
    for end in ("", "2")[: len(lanes)] if drawn.is_map else ():
        layout[f"yaxis{end}"] |= {"scaleanchor": f"x{end}", "scaleratio": drawn.aspect}
        layout[f"yaxis{end}"].pop("matches", None)
        layout[f"xaxis{end}"].pop("matches", None)
    return {"data": data, "layout": layout}


def _source(drawn: Layout) -> Chart:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": numbers(drawn.x[drawn.slack], 6),
        "y": numbers(drawn.y[drawn.slack], 6),
        "marker": {"symbol": "square", "size": 10, "color": INK},
        "hovertemplate": "Substation<extra></extra>",
    }


def _polylines(ways: Sequence[FloatArray]) -> tuple[list[float | None], list[float | None]]:
    """Many lines as one, with a gap after each."""
    gap = np.full((1, 2), np.nan)
    every = np.concatenate([part for way in ways for part in (way, gap)] or [gap])
    return numbers(every[:, 0], 6), numbers(every[:, 1], 6)
