"""What interactive figures share: plain data for Plotly, traces and a layout.

Nothing of Plotly is imported to make them. Times are milliseconds on an axis of dates: of the
calendar where the scenario has a date, else of days that are numbered from 1.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray
from abm.errors import printable
from abm.report.look import Look
from abm.scenario import Scenario

# Traces and layout, as Plotly takes them.
Chart = dict[str, Any]

GREY, SKY, ORANGE, BLUE = "#7A7A7A", "#56B4E9", "#D55E00", "#0072B2"
# Height of a figure where nothing else is said, px.
HEIGHT = 400
# Letters that stand along a side of it, and along the lower one on a telephone.
TITLE_LETTERS = 36
# And beside it, in front of a row.
ROW_LETTERS = 20
# A year of no leap: its days are numbered 1 to 365 on an axis of dates.
_YEAR_ONE_S = 978_307_200


@dataclass(frozen=True)
class Drawn:
    """A figure of a report. about: what it shows and how to read it, in a sentence or two."""

    title: str
    about: str
    chart: Chart


# --- what all have -----------------------------------------------------------------------------


def words(text: object) -> str:
    """A name as Plotly shows it: nothing in it is markup."""
    return html.escape(printable(str(text)), quote=False)


def plain_numbers(values: Any, digits: int = 5) -> list[Any]:
    """Numbers with so many significant digits; None where there is none. Nested as the array."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim > 1:
        return [plain_numbers(row, digits) for row in array]
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in array.tolist()]


def base_layout(**more: Any) -> Chart:
    """The look that all figures share; height: of the whole, px."""
    # Legends hang a fixed way below the axis, whatever the height.
    below = 78.0 / (more.get("height", HEIGHT) - 80.0)
    return {
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#222"},
        "margin": {"l": 64, "r": 16, "t": 16, "b": 48},
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "hovermode": "x unified",
        "legend": {"orientation": "h", "x": 0, "y": -round(below, 3), "yanchor": "top"},
        **more,
    }


def axis(title: str, **more: Any) -> Chart:
    """An axis with a title."""
    look = {"gridcolor": "#E3E3E3", "zeroline": False, "automargin": True}
    return {"title": {"text": title, "standoff": 10}, **look, **more}


def title_lines(text: str, letters: int = TITLE_LETTERS) -> str:
    """A long title of an axis in lines, so that a small figure does not cut it off."""
    return "<br>".join(wrap(words(text), letters))


def start_ms(scenario: Scenario) -> int:
    """Beginning of the horizon on the axis of dates, ms."""
    calendar = scenario.calendar
    begin = int(calendar.wall_s(np.zeros(1, dtype=np.int64))[0])
    return 1000 * (begin if calendar.dated else _YEAR_ONE_S + begin % 86_400)


def time_axis(scenario: Scenario) -> Chart:
    """Clock times; of several days the days, too."""
    hours, calendar = scenario.hours, scenario.calendar
    if hours <= 24:
        return axis("Time of day", type="date", tickformat="%H:%M", hoverformat="%H:%M")
    day = "%a %-d %b %Y" if calendar.dated else "day %-j"
    title = "Time" if calendar.dated else "Time; a day of this axis begins at midnight"
    if calendar.zone is not None:
        title = "Time, by the clock of the beginning"
    stops = [
        {"dtickrange": [None, 43_200_000], "value": f"%H:%M\n{day}"},
        {"dtickrange": [43_200_001, None], "value": "%-d %b\n%Y" if calendar.dated else day},
    ]
    return axis(title, type="date", tickformatstops=stops, hoverformat=f"{day}, %H:%M")


def steps(
    scenario: Scenario, values: NDArray[Any], name: str, line: Chart | None = None, **more: Any
) -> Chart:
    """Means that hold for their share of the horizon each, as a trace."""
    ms = 3_600_000 * scenario.hours / max(len(values), 1)
    held = plain_numbers(np.append(values, values[-1:]))
    return {
        "type": "scatter",
        "mode": "lines",
        "name": words(name),
        "x0": start_ms(scenario),
        "dx": int(ms),
        "y": held,
        "line": {"shape": "hv", "width": 2, **(line or {})},
        **more,
    }


def line_of(look: Look, **more: Any) -> Chart:
    """Colour and dash of a strategy."""
    return {"color": look.color, "dash": look.plotly_dash, **more}


def limit_trace(scenario: Scenario, limit_mw: float | None = None, times: float = 1.0) -> Chart:
    """The demand limit by the hour, so many times; limit_mw: in the place of the scenario's."""
    hours_s = np.arange(scenario.hours) * 3600
    limit = scenario.demand_limit.mean(hours_s, 3600)[:, 0]
    if limit_mw is not None:
        limit = np.full(1, limit_mw)
    if (limit == limit[0]).all():
        limit = limit[:1]
    return steps(scenario, times * limit, "limit", {"color": GREY, "dash": "dot", "width": 1.5})


def band(
    scenario: Scenario, low: FloatArray, high: FloatArray, color: str, label: str
) -> list[Chart]:
    """A band with edges that are seen."""
    edge = {"color": color, "width": 0.8}
    how = {"fill": "tonexty", "fillcolor": translucent(color, 0.22)}
    return [
        steps(scenario, low, f"{label}, lower end", edge, showlegend=False),
        steps(scenario, high, label, edge, **how),
    ]


def translucent(color: str, part: float) -> str:
    """A colour "#RRGGBB" that lets others through."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{part:g})"


def ribbon(x: list[Any], low: Any, high: Any, color: str, **more: Any) -> list[Chart]:
    """What lies between two curves, with edges that are seen; no name of it in the legend."""
    edge = {"color": color, "width": 0.8}
    look = {"type": "scatter", "mode": "lines", "line": edge, "hoverinfo": "skip"}
    fill = {"fill": "tonexty", "fillcolor": translucent(color, 0.15)}
    return [
        {**look, "x": x, "y": plain_numbers(low), "showlegend": False, **more},
        {**look, "x": x, "y": plain_numbers(high), "showlegend": False, **fill, **more},
    ]


def menu(method: str, names: Sequence[str], what: str, own: Sequence[int]) -> Chart:
    """A menu that shows the traces of one name at a time; own: of each trace, whose it is."""
    return {
        "type": "dropdown",
        "x": 0,
        "xanchor": "left",
        "y": 1.03,
        "yanchor": "bottom",
        "buttons": [
            {
                "label": name,
                "method": method,
                "args": [{what: [group == at for group in own]}],
            }
            for at, name in enumerate(names)
        ],
    }
