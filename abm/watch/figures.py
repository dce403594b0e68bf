"""The pictures of the page as plain data for Plotly; two lanes stand side by side in each.

The feeder's map is in `abm.watch.map_figure`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray
from abm.report.interactive import Chart, words
from abm.report.look import looks_of
from abm.watch.controls import PowerUnit
from abm.watch.evs import DAY_MIN, STATE_WORDS, State
from abm.watch.lane import LaneView

# Safe for colour-blind readers, and none that a strategy has beside them.
STATE_COLORS = ("#DADEE4", "#E6B23C", "#56B4E9", "#B8432F", "#4A5560")
GREY, INK, FAINT, GRID = "#8A8F98", "#2B2F36", "#E9EBEF", "#E6E8EC"
MINUTE_MS = 60_000
# A line has no more points than this.
MOST_POINTS = 1500
# EVs that are drawn one by one.
MOST_DOTS = 2000


def numbers(values: Any, digits: int = 4) -> list[float | None]:
    """Numbers as JSON has them: so many digits after the point, None where there is none."""
    rounded = np.round(np.asarray(values, dtype=np.float64), digits)
    return [value if np.isfinite(value) else None for value in rounded.tolist()]


def page_layout(**more: Any) -> Chart:
    """The look that all pictures share."""
    return {
        "font": {"family": "system-ui, sans-serif", "size": 11, "color": INK},
        "margin": {"l": 44, "r": 12, "t": 8, "b": 30},
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "showlegend": False,
        "uirevision": "kept",
        "hoverlabel": {"bgcolor": "#fff", "font": {"color": INK}},
        **more,
    }


def _axis(title: str = "", **more: Any) -> Chart:
    look = {"gridcolor": GRID, "zeroline": False, "fixedrange": False, "linecolor": GRID}
    return {"title": {"text": title, "standoff": 4}, "tickfont": {"size": 10}, **look, **more}


def _upwards(title: str, most: int) -> Chart:
    """An axis of counts from 0, with room above the highest."""
    # Plotly keeps the range of an empty picture where two axes have to match.
    ticks = {"dtick": 1} if most < 6 else {"nticks": 6}
    return _axis(title, range=[0, 1.08 * max(most, 2)], tickformat="d", **ticks)


def side_by_side(lanes: Sequence[LaneView], layout: Chart, x: Chart, y: Chart) -> Chart:
    """Axes of one picture for each lane, the second ones without a scale of their own."""
    colors = looks_of(lane.label for lane in lanes)
    share, gap = 1.0 / len(lanes), 0.04 if len(lanes) > 1 else 0.0
    for i, lane in enumerate(lanes):
        end = "" if i == 0 else "2"
        span = [i * share + (gap if i else 0.0), (i + 1) * share - (0.0 if i else gap)]
        layout[f"xaxis{end}"] = {**x, "domain": span, "anchor": f"y{end}"}
        layout[f"yaxis{end}"] = {**y, "anchor": f"x{end}"}
        if i:
            layout["xaxis2"]["matches"] = "x"
            layout["yaxis2"] |= {"matches": "y", "showticklabels": False, "title": {"text": ""}}
        if len(lanes) > 1:
            layout.setdefault("annotations", []).append(
                {
                    "text": f"<b>{words(lane.label)}</b>",
                    "font": {"color": colors[lane.label].color, "size": 11},
                    "x": sum(span) / 2.0,
                    "y": 1.0,
                    "xref": "paper",
                    "yref": "paper",
                    "yanchor": "bottom",
                    "showarrow": False,
                }
            )
            layout["margin"] = {**layout["margin"], "t": 22}
    return layout


def axes_of(i: int) -> dict[str, str]:
    """The axes of `side_by_side` that a trace of this lane is drawn in, from 0."""
    return {} if i == 0 else {"xaxis": "x2", "yaxis": "y2"}


# --- demand ------------------------------------------------------------------------------------


def span_shown(step: int, n_steps: int, per_day: int) -> tuple[int, int]:
    """Steps that the demand is drawn of: the whole of a day and a half, else the day of now."""
    if n_steps <= per_day * 3 // 2:
        return 0, n_steps
    first = min(step, n_steps - 1) // per_day * per_day
    return first, min(first + per_day, n_steps)


def demand_chart(
    lanes: Sequence[LaneView], step_s: int, clock_start_min: float, unit: PowerUnit
) -> Chart:
    """Demand of the feeder against limit and level, by step.

    clock_start_min: clock time at which the horizon begins, minutes.
    """
    now, n_steps = lanes[0].step, len(lanes[0].base_mw)
    first, last = span_shown(now, n_steps, 86400 // step_s)
    stride = -(-(last - first) // MOST_POINTS)
    step_ms = step_s * 1000

    def at(step: float) -> float:
        return clock_start_min * MINUTE_MS + step * step_ms

    def line(values: FloatArray, name: str, **more: Any) -> Chart:
        part = values[first:last]
        part = part[: len(part) // stride * stride].reshape(-1, stride).mean(axis=1)
        return {
            "type": "scatter",
            "mode": "lines",
            "x0": at(first + stride / 2.0),
            "dx": stride * step_ms,
            "y": numbers(unit.times * part),
            "name": name,
            "hovertemplate": f"{name} %{{y:.{unit.digits}f}} {unit.name}<extra></extra>",
            **more,
        }

    data = [
        line(
            lanes[0].base_mw,
            "Without EVs",
            fill="tozeroy",
            fillcolor="#EEF0F3",
            line={"color": "#C3C8D0", "width": 1},
        )
    ]
    limit = lanes[0].limit_mw
    name = f"Limit {unit.times * limit[min(now, n_steps - 1)]:.4g} {unit.name}"
    data.append(line(limit, name, line={"color": INK, "width": 1.2, "dash": "dot", "shape": "hv"}))
    looks = looks_of(lane.label for lane in lanes)
    for lane in lanes:
        color = looks[lane.label].color
        of = f"{words(lane.label)}: " if len(lanes) > 1 else ""
        for values, name, dash in (
            (lane.fill_mw, f"{of}level to fill to", "dash"),
            (lane.shave_mw, f"{of}level to shave to", "dashdot"),
        ):
            if np.isfinite(values).any():
                look = {"color": color, "width": 1, "dash": dash, "shape": "hv"}
                data.append(line(values, name, line=look))
        # An EV more or less shows as a step, not as a slope.
        look = {"color": color, "width": 2, "shape": "hv"}
        data.append(line(lane.demand_mw, words(lane.label), line=look))
    marker = {"color": GREY, "width": 1}
    layout = page_layout(
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 11}},
        margin={"l": 48, "r": 12, "t": 26, "b": 26},
        hovermode="x unified",
        xaxis=_axis(
            type="date",
            tickformat="%H:%M",
            hoverformat="%H:%M",
            range=[at(first), at(last)],
            uirevision=f"{first}",
        ),
        yaxis=_axis(f"Demand ({unit.name})", rangemode="tozero"),
        shapes=[
            {
                "type": "line",
                "x0": at(now),
                "x1": at(now),
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": marker,
            }
        ],
    )
    return {"data": data, "layout": layout}


# --- the EVs -----------------------------------------------------------------------------------


def zones_chart(lanes: Sequence[LaneView], n_zones: int) -> Chart:
    """EVs of each zone by state, one bar a zone."""
    zones = np.arange(1, n_zones + 1)
    data: list[Chart] = []
    for i, lane in enumerate(lanes):
        counts = np.zeros((len(State), n_zones + 1), dtype=np.int64)
        np.add.at(counts, (lane.state, lane.zone), 1)
        of_zone = zones.tolist(), "Zone %{x}"
        order = (*State, State.ABSENT)[1:]
        data += [_bars(of_zone, counts[state, 1:], state) | axes_of(i) for state in order]
    most = max(np.bincount(lane.zone, minlength=2).max(initial=1) for lane in lanes)
    layout = page_layout(barmode="stack", bargap=0.15)
    room = 16 // len(lanes)
    every = -(-n_zones // room)
    ticks = list(range(1, n_zones + 1, every))
    x = _axis("Zone", tickvals=ticks, tickangle=0, range=[0.4, n_zones + 0.6])
    return {"data": data, "layout": side_by_side(lanes, layout, x, _upwards("EVs", int(most)))}


def _bars(x: tuple[list[Any], str], counts: NDArray[np.int64], state: State) -> Chart:
    """Counts of EVs in a state; x: where they stand, and how that is said."""
    at, said = x
    return {
        "type": "bar",
        "x": at,
        "y": counts.tolist(),
        "marker": {"color": STATE_COLORS[state]},
        "name": STATE_WORDS[state],
        "hovertemplate": f"{said}: %{{y}} {STATE_WORDS[state].lower()}<extra></extra>",
    }


def charge_chart(lanes: Sequence[LaneView], by_energy: bool) -> Chart:
    """State of charge of the EVs that are plugged in, in steps of 5 %, by state."""
    edges = np.arange(0.0, 1.0001, 0.05)
    middle = (100.0 * (edges[:-1] + edges[1:]) / 2.0).round(1).tolist()
    data: list[Chart] = []
    most = 1
    for i, lane in enumerate(lanes):
        plugged, _ = np.histogram(np.clip(lane.soc[lane.state != State.ABSENT], 0.0, 1.0), edges)
        most = max(most, int(plugged.max()))
        for state in (State.DISCHARGING, State.IDLE, State.CHARGING, State.DONE):
            counts, _ = np.histogram(np.clip(lane.soc[lane.state == state], 0.0, 1.0), edges)
            data.append(_bars((middle, "%{x:.0f} %"), counts, state) | axes_of(i))
    title = "State of charge (%)" if not by_energy else "Charged (%)"
    layout = page_layout(barmode="stack", bargap=0.06)
    x = _axis(title, range=[0, 100], dtick=20 if len(lanes) == 1 else 50)
    y = _upwards("EVs plugged in", most)
    return {"data": data, "layout": side_by_side(lanes, layout, x, y)}


def evs_chart(
    lanes: Sequence[LaneView], clock_start_min: float, chosen: int | None, by_energy: bool = False
) -> Chart:
    """Every EV as a dot: its state of charge over its departure; a click chooses it.

    chosen: index of the EV that has a ring around it. Of more than `MOST_DOTS` some are drawn.
    """
    data: list[Chart] = []
    for i, lane in enumerate(lanes):
        shown = np.linspace(0, len(lane.state) - 1, min(len(lane.state), MOST_DOTS)).astype(int)
        if chosen is not None:
            shown = np.union1d(shown, np.flatnonzero(lane.index == chosen))
        for state in State:
            rows = shown[lane.state[shown] == state]
            data.append(_dots(lane, rows, clock_start_min, state) | axes_of(i))
        rows = np.flatnonzero(lane.index == chosen) if chosen is not None else shown[:0]
        ring = _dots(lane, rows, clock_start_min, State.ABSENT)
        ring["marker"] = {
            "symbol": "circle-open",
            "size": 15,
            "color": INK,
            "line": {"width": 2.5},
        }
        data.append({**ring, **axes_of(i), "hoverinfo": "skip", "hovertemplate": None})
    layout = page_layout(hovermode="closest", clickmode="event")
    minutes = [lane.departure_min for lane in lanes if len(lane.departure_min)]
    days = any(np.ptp(departure) > DAY_MIN for departure in minutes)
    x = _axis("Departure", type="date", tickformat="%H:%M")
    if days:
        x["tickformatstops"] = [
            {"dtickrange": [None, DAY_MIN * MINUTE_MS - 1], "value": "%H:%M\nday %-j"},
            {"dtickrange": [DAY_MIN * MINUTE_MS, None], "value": "day %-j"},
        ]
    x["nticks"] = 6 if len(lanes) == 1 else 4
    title = "Charged (%)" if by_energy else "State of charge (%)"
    y = _axis(title, range=[-3, 103])
    return {"data": data, "layout": side_by_side(lanes, layout, x, y)}


def _dots(lane: LaneView, rows: NDArray[Any], clock_start_min: float, state: State) -> Chart:
    named = zip(
        lane.index[rows].tolist(),
        [words(name) for name in lane.names_of(rows)],
        lane.zone[rows].tolist(),
        numbers(lane.p_kw[rows], 1),
        strict=True,
    )
    return {
        "type": "scatter",
        "mode": "markers",
        "x": numbers((lane.departure_min[rows] + clock_start_min) * MINUTE_MS, 0),
        "y": numbers(100.0 * lane.soc[rows], 1),
        "customdata": [list(one) for one in named],
        "marker": {
            "color": STATE_COLORS[state],
            "size": 6 if state == State.ABSENT else 7,
            "opacity": 0.8,
            "line": {"width": 0.5, "color": "#fff"},
        },
        "name": STATE_WORDS[state],
        "hovertemplate": f"EV %{{customdata[1]}}, zone %{{customdata[2]}}: {STATE_WORDS[state]}"
        "<br>%{y:.0f} %, leaves %{x|%H:%M}<br>%{customdata[3]:+.1f} kW<extra></extra>",
    }
