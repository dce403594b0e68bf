"""What happens when something on the page is clicked, and what a tab is sent as time goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from abm.errors import EvenfallError, InputError
from abm.report.layout import feeder_layout
from abm.scenario.fields import clock_minutes
from abm.watch import figures
from abm.watch.evs import DAY_MIN
from abm.watch.lane import LaneView
from abm.watch.map_figure import map_chart
from abm.watch.session import Session, View
from abm.watch.tables import ev_table, messages_table, numbers_table

NO_SECOND = "-"
HOUR_MIN = 60.0


def listen(app: Any, session: Session) -> None:
    """Connect the page with the session: the clock's tick, buttons, sliders, a click on an EV."""
    from dash import ALL, MATCH, Input, Output, State, ctx, no_update

    updates = Updates(session)

    @app.callback(
        *[Output(name, "children") for name in TEXTS],
        *[Output(name, "figure") for name in CHARTS],
        Output("sync", "data"),
        Output("seen", "data"),
        Input("tick", "n_intervals"),
        Input("refresh", "data"),
        Input("ev", "data"),
        State("seen", "data"),
        State("tab", "data"),
        # One answer at a time, however long it takes.
        running=[(Output("tick", "disabled"), True, False)],
    )
    def look(_: int, __: int, ev: int | None, seen: dict[str, Any], tab: str) -> Any:
        view = session.view
        texts, charts, now = updates.since(view, ev, seen or {})
        changed = bool(seen) and seen.get("settings") != now["settings"]
        return (
            *[texts.get(name, no_update) for name in TEXTS],
            *[charts.get(name, no_update) for name in CHARTS],
            # Whose hand is on a slider knows best where it is.
            now["settings"] if changed and view.by != tab else no_update,
            now if now != seen else no_update,
        )

    # By itself: what waits for a slider would wait for whatever moves it, and `look` always runs.
    @app.callback(
        Output({"type": "slider", "field": ALL}, "value"),
        Output("first", "value"),
        Output("second", "value"),
        Input("sync", "data"),
        prevent_initial_call=True,
    )
    def sync(_: int) -> Any:
        values = {c.field: c.shown(session.scenario) for c in session.controls}
        fields = [output["id"]["field"] for output in ctx.outputs_list[0]]
        return [values[field] for field in fields], *[*session.chosen, NO_SECOND][:2]

    @app.callback(
        Output("refresh", "data"),
        Input("play", "n_clicks"),
        Input("minute", "n_clicks"),
        Input("hour", "n_clicks"),
        Input("restart", "n_clicks"),
        Input("reset", "n_clicks"),
        State("refresh", "data"),
        prevent_initial_call=True,
    )
    def press(*given: Any) -> int:
        pressed = ctx.triggered_id
        if pressed == "play":
            if session.view.finished:
                session.restart()
            session.play()
        elif pressed in ("minute", "hour"):
            session.step(1.0 if pressed == "minute" else HOUR_MIN)
        elif pressed == "restart":
            session.restart()
        elif pressed == "reset":
            session.reset()
        return int(given[-1]) + 1

    @app.callback(
        Output("said", "children"),
        Output("said", "className"),
        Input({"type": "slider", "field": ALL}, "value"),
        Input("first", "value"),
        Input("second", "value"),
        Input("speed", "value"),
        State("tab", "data"),
        prevent_initial_call=True,
    )
    def set_to(_: list[float], first: str, second: str, speed: str, tab: str) -> Any:
        moved = ctx.triggered_id
        if moved == "speed":
            session.set_speed(float(speed))
            return no_update, no_update
        if moved in ("first", "second"):
            others = [second] if second != NO_SECOND else []
            if first in others:
                return f"A and B are both {first}: choose another one beside it", "fine"
            return _tried(lambda: session.choose([first, *others], tab))
        value = ctx.triggered[0]["value"]
        if moved is None or value is None:
            return no_update, no_update
        return _tried(lambda: session.change(moved["field"], float(value), tab))

    # The number beside a slider follows the hand; the models wait until it lets go.
    app.clientside_callback(
        "(now, kept) => now === undefined || now === null ? kept : now",
        Output({"type": "value", "field": MATCH}, "children"),
        Input({"type": "slider", "field": MATCH}, "drag_value"),
        Input({"type": "slider", "field": MATCH}, "value"),
    )

    @app.callback(
        Output("ev", "data"),
        Output("ev-name", "value"),
        Output("said-ev", "children", allow_duplicate=True),
        Output("said-ev", "className", allow_duplicate=True),
        Input("evs", "clickData"),
        Input("ev-name", "value"),
        prevent_initial_call=True,
    )
    def pick(clicked: Mapping[str, Any] | None, name: str | None) -> Any:
        if ctx.triggered_id == "evs" and clicked:
            index, shown = clicked["points"][0]["customdata"][:2]
            return index, shown, "", "fine"
        found = session.find_ev(str(name or ""))
        unknown = found is None and bool(name)
        return (
            found,
            no_update,
            f"There is no EV {name}." if unknown else "",
            ("wrong" if unknown else "fine"),
        )

    @app.callback(
        Output("ev-form", "className"),
        Output("departure", "value"),
        Output("soc_target", "value"),
        Output("soc_min", "value"),
        Output("willing", "value"),
        Input("ev", "data"),
        prevent_initial_call=True,
    )
    def fill(index: int | None) -> Any:
        values = None if index is None else session.ev_values(index)
        if values is None:
            return "form hidden", None, None, None, []
        willing = [name for name in ("v2g", "boost") if values[name]]
        return "form", values["departure"], values["soc_target"], values["soc_min"], willing

    @app.callback(
        Output("said-ev", "children"),
        Output("said-ev", "className"),
        Input("change", "n_clicks"),
        State("ev", "data"),
        State("departure", "value"),
        State("soc_target", "value"),
        State("soc_min", "value"),
        State("willing", "value"),
        prevent_initial_call=True,
    )
    def change(
        _: int, index: int | None, departure: Any, target: Any, least: Any, willing: list[str]
    ) -> Any:
        if index is None:
            return no_update, no_update
        wanted = {
            "departure": departure or None,
            "soc_target": target,
            "soc_min": least,
            "v2g": "v2g" in willing,
            "boost": "boost" in willing,
        }
        return _tried(lambda: f"This EV: {session.change_ev(index, wanted)}")


def _tried(action: Callable[[], str | None]) -> tuple[Any, str]:
    """What an action says, or what was wrong with it, and how that looks."""
    from dash import html

    try:
        return action() or "", "fine"
    except InputError as error:
        return [html.Div(str(problem)) for problem in error.problems], "wrong"
    except EvenfallError as error:
        return str(error), "wrong"


TEXTS = ("clock", "day", "play", "status", "numbers", "messages", "map-about", "ev-state",
         "ev-about")  # fmt: skip
CHARTS = ("demand", "zones", "charge", "evs", "map")


class Updates:
    """What a tab has to be sent, given what it has seen."""

    def __init__(self, session: Session) -> None:
        self._session = session
        feeder = session.lanes[0].model.grid.feeder
        self._drawn = feeder_layout(feeder)
        self._buses = tuple(str(name) for name in feeder.bus_names)
        self._n_zones = session.lanes[0].model.fleet.n_zones
        self._start = float(clock_minutes(session.first.clock.start) % DAY_MIN)

    def since(
        self, view: View, ev: int | None, seen: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Texts and figures that differ from what was seen, and what has been seen with them."""
        flows = [lane.flow_hour for lane in view.lanes]
        strategies = [lane.label for lane in view.lanes]
        now = {
            "version": view.version,
            "settings": view.settings,
            "map": [view.settings, flows, strategies],
            "ev": ev,
        }
        texts: dict[str, Any] = {}
        charts: dict[str, Any] = {}
        if (view.version, ev) == (seen.get("version"), seen.get("ev")) and "ev" in seen:
            return texts, charts, now
        lanes, step_s = view.lanes, self._session.first.clock.step_s
        by_energy = self._session.first.by_energy
        texts = {
            "clock": view.clock,
            "day": f"day {view.day}" if view.n_days > 1 else "",
            "play": "Pause" if view.playing else "Play",
            "status": _status(view),
            "numbers": numbers_table(lanes, self._session.unit),
            "messages": messages_table(view, self._session),
            "ev-state": "click a dot, or type a number" if ev is None else "",
            "ev-about": [] if ev is None else ev_table(self._session.described(ev), lanes),
        }
        charts = {
            "demand": figures.demand_chart(lanes, step_s, self._start, self._session.unit),
            "zones": figures.zones_chart(lanes, self._n_zones),
            "charge": figures.charge_chart(lanes, by_energy),
            "evs": figures.evs_chart(lanes, self._start, ev, by_energy),
        }
        if now["map"] != seen.get("map"):
            scenario = self._session.scenario
            charts["map"] = map_chart(lanes, self._drawn, self._buses, scenario)
            texts["map-about"] = self._map_about(lanes)
        return texts, charts, now

    def _map_about(self, lanes: Sequence[LaneView]) -> str:
        hour = lanes[0].flow_hour
        if hour < 0:
            return "after the first hour"
        model = self._session.lanes[0].model
        flow_min = self._session.first.grid.flow_interval_min
        ends = model.clock_time((hour + 1) * 60.0)
        begins = model.clock_time((hour + 1) * 60.0 - flow_min)
        lowest = [float(lane.flow.vm_pu[-1].min()) for lane in lanes if lane.flow]
        if all(map(math.isnan, lowest)):
            return f"{begins} to {ends}, the load flow did not converge"
        said = ["not converged" if math.isnan(low) else f"{low:.3f}" for low in lowest]
        return f"{begins} to {ends}, lowest {' | '.join(said)} p.u."


def _status(view: View) -> Any:
    if view.trouble:
        return f"Stopped: {view.trouble}"
    if view.ahead is not None:
        return "on its way ..."
    if view.finished:
        return "the end"
    return ""
