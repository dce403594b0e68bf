"""The page: what stands where."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from uuid import uuid4

from abm.scenario.names import STRATEGIES
from abm.watch import figures
from abm.watch.callbacks import HOUR_MIN, NO_SECOND, listen
from abm.watch.controls import Control
from abm.watch.evs import STATE_WORDS, State
from abm.watch.session import SPEEDS, Session

# How often the page asks, ms.
ASKS_MS = 350


def make_app(session: Session) -> Any:
    """The page of a session as a Dash app, whose scripts and styles all come from its server."""
    import dash

    app = dash.Dash(
        "evenfall",
        assets_folder=str(Path(__file__).with_name("assets")),
        serve_locally=True,
        title=f"Evenfall: {session.first.name}",
        update_title="",
        suppress_callback_exceptions=True,
    )
    # Made anew for every tab, so that it begins with what holds now.
    app.layout = lambda: _body(session)
    listen(app, session)
    return app


# --- what stands where -------------------------------------------------------------------------


def _body(session: Session) -> Any:
    from dash import dcc, html

    by_energy = session.scenario.by_energy
    return html.Div(
        id="page",
        children=[
            dcc.Interval(id="tick", interval=ASKS_MS),
            dcc.Store(id="refresh", data=0),
            dcc.Store(id="seen", data={}),
            dcc.Store(id="sync"),
            dcc.Store(id="tab", data=uuid4().hex),
            dcc.Store(id="ev", data=None),
            _head(session),
            html.Div(
                className="columns",
                children=[
                    _side(session),
                    html.Div(
                        className="middle",
                        children=[
                            _panel("Demand of the feeder", "demand", "Mean power of each step"),
                            html.Div(
                                className="pair",
                                children=[
                                    _panel("EVs by zone", "zones", _state_key()),
                                    _panel(
                                        "Energy charged" if by_energy else "State of charge",
                                        "charge",
                                        "Of the EVs plugged in",
                                    ),
                                ],
                            ),
                            html.Div(
                                className="pair",
                                children=[
                                    _panel("Voltages", "map", html.Span(id="map-about")),
                                    _panel("Each EV", "evs", "Click one to read and change it"),
                                ],
                            ),
                        ],
                    ),
                    html.Div(
                        className="right",
                        children=[
                            _box("So far", html.Div(id="numbers")),
                            _box("Messages as they are heard", html.Div(id="messages")),
                            _ev_box(),
                        ],
                    ),
                ],
            ),
        ],
    )


def _head(session: Session) -> Any:
    from dash import dcc, html

    def button(name: str, label: str, title: str) -> Any:
        return html.Button(label, id=name, title=title, n_clicks=0)

    return html.Header(
        children=[
            html.Div(
                className="brand",
                children=[html.B("Evenfall"), html.Span(session.first.name)],
            ),
            html.Div(className="clock", children=[html.Span(id="clock"), html.Small(id="day")]),
            html.Div(
                className="buttons",
                children=[
                    button("play", "Play", "Go on, or stand still"),
                    button("minute", "+ 1 min", "One minute on"),
                    button("hour", "+ 1 h", "An hour on"),
                    button("restart", "Restart", "Back to the beginning, no EV changed by hand"),
                ],
            ),
            html.Label(
                className="speed",
                children=[
                    html.Span("Speed"),
                    dcc.Dropdown(
                        id="speed",
                        options=[{"label": _speed(s), "value": _named(s)} for s in SPEEDS],
                        value=_named(session.view.speed),
                        clearable=False,
                        searchable=False,
                    ),
                ],
            ),
            html.Div(id="status", role="status"),
        ]
    )


def _speed(minutes: float) -> str:
    if math.isinf(minutes):
        return "as fast as it goes"
    return f"{minutes:g} min a second" if minutes < HOUR_MIN else f"{minutes / 60:g} h a second"


def _named(speed: float) -> str:
    return f"{speed:g}"


def _side(session: Session) -> Any:
    from dash import dcc, html

    choices = [
        {"label": name, "value": name, "title": STRATEGIES[name].description}
        if name in STRATEGIES
        else {"label": name, "value": name}
        for name in session.strategies
    ]
    chosen = [*session.chosen, NO_SECOND][:2]
    return html.Div(
        className="side",
        children=[
            html.H2("Strategy"),
            html.Div(
                className="strategies",
                children=[
                    html.Span("A"),
                    dcc.Dropdown(
                        id="first", options=choices, value=chosen[0], clearable=False, maxHeight=440
                    ),
                    html.Span("B"),
                    dcc.Dropdown(
                        id="second",
                        options=[{"label": "nothing beside it", "value": NO_SECOND}, *choices],
                        value=chosen[1],
                        clearable=False,
                        maxHeight=440,
                    ),
                ],
            ),
            html.H2("What if"),
            html.Div(
                className="sliders",
                children=[_slider(c, session) for c in session.controls],
            ),
            html.Button(
                "Reset to the scenario",
                id="reset",
                title="Sliders and EVs as they were at first",
                className="quiet",
                n_clicks=0,
            ),
            html.Div(id="said", role="alert"),
        ],
    )


def _slider(control: Control, session: Session) -> Any:
    from dash import dcc, html

    return html.Div(
        className="slider",
        children=[
            html.Label(
                [
                    html.Span([control.label, html.Em(", from now") if control.live else ""]),
                    html.B(id={"type": "value", "field": control.field}),
                    html.Small(control.unit),
                ]
            ),
            dcc.Slider(
                id={"type": "slider", "field": control.field},
                min=control.low,
                max=control.high,
                step=control.step,
                value=control.shown(session.scenario),
                marks=None,
                updatemode="mouseup",
                allow_direct_input=False,
            ),
        ],
    )


def _panel(title: str, name: str, about: Any) -> Any:
    from dash import dcc, html

    return html.Section(
        className=f"panel {name}",
        children=[
            html.H2([title, html.Small(about)]),
            dcc.Graph(
                id=name,
                responsive=True,
                config={"displayModeBar": False, "displaylogo": False, "doubleClick": "reset"},
                figure={"data": [], "layout": {"xaxis": {"visible": False}}},
            ),
        ],
    )


def _box(title: str, inside: Any) -> Any:
    from dash import html

    return html.Section(className="panel box", children=[html.H2(title), inside])


def _state_key() -> Any:
    from dash import html

    order = (*State, State.ABSENT)[1:]
    return [
        html.Span(
            className="key",
            children=[
                html.I(style={"background": figures.STATE_COLORS[state]}),
                "V2G" if state == State.DISCHARGING else STATE_WORDS[state],
            ],
        )
        for state in order
    ]


def _ev_box() -> Any:
    from dash import dcc, html

    def field(name: str, label: str, unit: str) -> Any:
        return html.Label(
            [
                html.Span(label),
                dcc.Input(id=name, type="text", debounce=True, autoComplete="off"),
                html.Small(unit),
            ]
        )

    return html.Section(
        className="panel box ev",
        children=[
            html.H2(
                [
                    html.Span("EV"),
                    dcc.Input(id="ev-name", placeholder="number", debounce=True),
                    html.Small(id="ev-state"),
                ]
            ),
            html.Div(
                id="ev-form",
                className="form hidden",
                children=[
                    field("departure", "Leaves at", "h:min"),
                    field("soc_target", "Wants", "%"),
                    field("soc_min", "V2G down to", "%"),
                    dcc.Checklist(
                        id="willing",
                        options=[
                            {"label": "takes part in V2G", "value": "v2g"},
                            {"label": "charges at once", "value": "boost"},
                        ],
                        value=[],
                        inline=True,
                    ),
                    html.Button("Change this EV", id="change", n_clicks=0),
                ],
            ),
            html.Div(id="said-ev", role="alert"),
            html.Div(id="ev-about"),
        ],
    )
