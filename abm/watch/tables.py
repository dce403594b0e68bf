"""The tables of the page: what has come of it so far, the messages, one EV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from abm.report.look import looks_of
from abm.watch.controls import PowerUnit
from abm.watch.lane import LaneView
from abm.watch.session import Session, View


def numbers_table(lanes: Sequence[LaneView], unit: PowerUnit) -> Any:
    """What has come of the run so far, a column for each lane."""
    from dash import html

    looks = looks_of(lane.label for lane in lanes)
    head = html.Tr(
        [
            html.Th(),
            *[html.Th(lane.label, style={"color": looks[lane.label].color}) for lane in lanes],
        ]
    )

    def row(label: str, unit: str, values: Sequence[str]) -> Any:
        return html.Tr([html.Td([label, html.Small(unit)]), *[html.Td(v) for v in values]])

    of = [lane.numbers for lane in lanes]
    rows = [
        row("Demand now", unit.name, [unit.show(n.demand_mw) for n in of]),
        row("of which EVs", unit.name, [unit.show(n.ev_mw, "+") for n in of]),
        row("Highest 15 min", unit.name, [unit.show(n.peak_mw) for n in of]),
        row("Charged", "kWh", [f"{n.charged_kwh:,.0f}" for n in of]),
        row("Discharged", "kWh", [f"{n.discharged_kwh:,.0f}" for n in of]),
        row("Owners have paid", "$", [f"{n.paid_usd:,.2f}" for n in of]),
        row("EVs that left", "", [f"{n.left}" for n in of]),
        row("... not charged in full", "", [f"{n.short}" for n in of]),
    ]
    return html.Table([html.Thead(head), html.Tbody(rows)], className="numbers")


def messages_table(view: View, session: Session) -> Any:
    """Newest first; a message that both lanes heard alike is one row."""
    from dash import html

    looks = looks_of(lane.label for lane in view.lanes)
    model, unit = session.lanes[0].model, session.unit
    found: dict[Any, list[str]] = {}
    for lane in view.lanes:
        for message in lane.messages:
            found.setdefault(message, []).append(lane.label)
    if not found:
        return html.P("none yet", className="none")
    several = len(view.lanes) > 1
    n_zones = model.fleet.n_zones
    rows = []
    for message in sorted(found, key=lambda m: (-m.heard, -m.sequence)):
        late = message.heard - message.sent > 1e-9
        who = [
            html.I(style={"background": looks[label].color}, title=label)
            for label in (found[message] if several and len(found[message]) == 1 else ())
        ]
        over = message.demand_mw >= message.limit_mw
        rows.append(
            html.Tr(
                [
                    html.Td(
                        [
                            model.clock_time(message.heard),
                            html.Small(f"sent {model.clock_time(message.sent)}") if late else None,
                        ]
                    ),
                    html.Td(unit.show(message.demand_mw), className="over" if over else ""),
                    html.Td(unit.show(message.limit_mw)),
                    html.Td(f"{message.price:.3f}"),
                    html.Td([f"{message.zones}/{n_zones}", *who]),
                ]
            )
        )
    heads = [
        ("Heard", ""),
        ("Demand", unit.name),
        ("Limit", unit.name),
        ("Price", "$/kWh"),
        ("Zones", ""),
    ]
    head = html.Tr([html.Th([label, html.Small(unit)]) for label, unit in heads])
    return html.Table([html.Thead(head), html.Tbody(rows)], className="messages")


def ev_table(lines: Sequence[tuple[str, ...]], lanes: Sequence[LaneView]) -> Any:
    """All that is known of an EV; lines: of `Session.described`."""
    from dash import html

    if not lines:
        return html.P("this strategy has no EVs", className="none")
    looks = looks_of(lane.label for lane in lanes)
    head = []
    if len(lanes) > 1 and len(lines[0]) > 2:
        names = [html.Th(lane.label, style={"color": looks[lane.label].color}) for lane in lanes]
        head = [html.Thead(html.Tr([html.Th(), *names]))]
    rows = [html.Tr([html.Td(line[0]), *[html.Td(value) for value in line[1:]]]) for line in lines]
    return html.Table([*head, html.Tbody(rows)], className="about")
