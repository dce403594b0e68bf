"""The session behind the dashboard, and who is let in: without a browser."""

import math
import socket
import time

import numpy as np
import pytest
from helpers import by_energy, ev, scenario, small_paper

from abm import InputError, Scenario, V2GModel
from abm.fleet.columns import COLUMNS
from abm.report.layout import feeder_layout
from abm.watch import figures
from abm.watch.access import host_allowed, is_local
from abm.watch.callbacks import Updates
from abm.watch.controls import bounds_of, controls_of
from abm.watch.evs import State, states
from abm.watch.map_figure import map_chart
from abm.watch.server import Server, bind, check_dash, warning_of
from abm.watch.session import Session


def until(condition, seconds=20.0):
    """Wait for what a thread does; that it takes its time is no failure."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def test_a_watched_run_is_the_run():
    session = Session(small_paper(strategy="evms"))
    for minute in (1, 7, 300, 301, 1440):
        session.walk_to(minute)
        assert session.view.minute == minute
    watched = session.lanes[0].model.results
    alone = V2GModel(small_paper(strategy="evms")).run().results
    assert watched.kpis == alone.kpis
    for name in ("ev", "zone_minute", "bus_hour"):
        assert getattr(watched, name).equals(getattr(alone, name))
    lane = session.lanes[0]
    np.testing.assert_allclose(1e3 * lane.ev_mw, lane.model.meter.ev_kw[:, 0], atol=1e-9)
    assert session.view.finished
    assert not session.view.playing


def test_what_is_seen_of_the_evs():
    session = Session(
        scenario(
            ev("a", arrival=60, departure=240, soc=0.79, target=0.8),
            ev("b", arrival=60, departure=1200, soc=0.3, target=0.8),
            ev("c", arrival=600, departure=900, soc=0.5, target=0.8),
            strategy="uncoordinated",
        )
    )
    fleet = session.lanes[0].model.fleet

    def seen():
        return {fleet.ev_id(row): State(s).name for row, s in enumerate(states(fleet))}

    assert seen() == {"a": "ABSENT", "b": "ABSENT", "c": "ABSENT"}
    session.walk_to(62)
    assert seen() == {"a": "CHARGING", "b": "CHARGING", "c": "ABSENT"}
    session.walk_to(120)
    assert seen() == {"a": "DONE", "b": "CHARGING", "c": "ABSENT"}
    session.walk_to(300)
    assert seen()["a"] == "ABSENT"
    assert session.view.lanes[0].numbers.left == 1
    assert session.view.lanes[0].numbers.short == 0
    assert session.find_ev("c") == 2
    assert session.find_ev("d") is None


def test_waiting_and_discharging_are_told_apart():
    low_limit = {"grid": {"demand_limit_mw": 2.0}}
    session = Session(scenario(ev("a", arrival=0, soc=0.5), strategy="evms", **low_limit))
    fleet = session.lanes[0].model.fleet
    session.walk_to(1)
    assert states(fleet).tolist() == [State.DISCHARGING]
    session.walk_to(479)
    assert states(fleet).tolist() == [State.IDLE]


def test_messages_are_noted_when_they_are_heard():
    late = {"broadcast": {"delay_min": 20.0, "interval_min": 60}}
    session = Session(small_paper(**late))
    session.walk_to(19)
    assert session.view.lanes[0].messages == ()
    session.walk_to(150)
    first, second, third = session.view.lanes[0].messages
    assert (first.sequence, first.sent, first.heard) == (1, 0.0, 20.0)
    assert (second.sent, second.heard, second.zones) == (60.0, 80.0, 15)
    assert (third.sent, third.heard) == (120.0, 140.0)
    assert first.demand_mw == pytest.approx(session.lanes[0].base_mw[0])
    lost = Session(small_paper(broadcast={"loss_probability": 0.5}))
    lost.walk_to(240)
    assert all(0 < message.zones < 15 for message in lost.view.lanes[0].messages)


def test_a_slider_makes_models_anew_and_walks_them_to_the_same_minute():
    session = Session(small_paper(strategy="evms"))
    session.walk_to(500)
    said = session.change("fleet.evs_per_zone", 3)
    assert said == "EVs in each zone: 3, from the start"
    assert session.view.ahead == 500
    session.start()
    until(lambda: session.view.ahead is None)
    session.close()
    assert session.view.minute == 500
    assert len(session.view.lanes[0].state) == 45
    alone = V2GModel(small_paper(strategy="evms").override({"fleet.evs_per_zone": 3}))
    for _ in range(500):
        alone.step()
    np.testing.assert_array_equal(session.lanes[0].model.fleet.soc, alone.fleet.soc)
    assert session.change("fleet.evs_per_zone", 3) == ""
    session.reset()
    assert len(session.lanes[0].model.evs) == 30


def test_the_limit_holds_from_the_next_message_on():
    session = Session(small_paper(strategy="evms"))
    session.walk_to(90)
    assert session.change("grid.demand_limit_mw", 2.0).endswith("from the next message on")
    assert session.view.ahead is None
    session.walk_to(130)
    lane = session.view.lanes[0]
    assert set(lane.limit_mw[:120]) == {3.1}
    assert set(lane.limit_mw[120:]) == {2.0}
    assert [message.limit_mw for message in lane.messages] == [3.1, 3.1, 2.0]


def test_a_value_that_a_scenario_refuses_changes_nothing():
    session = Session(small_paper(strategy="evms"))
    session.walk_to(10)
    before, settings = session.lanes, session.view.settings
    with pytest.raises(InputError, match=r"ev\.efficiency = 0"):
        session.change("ev.efficiency", 0.0)
    assert session.lanes is before
    assert session.scenario.ev.efficiency == 0.98
    # The slider is put back in every tab.
    assert session.view.settings > settings


def test_at_a_full_hour_that_hour_is_seen():
    session = Session(small_paper(strategy="evms"))
    session.walk_to(59)
    assert session.view.lanes[0].flow is None
    session.walk_to(60)
    lane = session.view.lanes[0]
    assert (lane.flow_hour, [message.heard for message in lane.messages]) == (0, [0.0, 60.0])
    alone = V2GModel(small_paper(strategy="evms")).run().results
    np.testing.assert_array_equal(lane.flow.vm_pu[-1], alone.record.flows.vm_pu[0, 0])


def test_models_made_anew_say_whose_changes_they_forget():
    session = Session(small_paper(strategy="evms"))
    session.walk_to(60)
    session.change_ev(0, {"v2g": not session.ev_values(0)["v2g"]})
    session.change_ev(1, {"soc_target": "81"})
    said = session.change("fleet.evs_per_zone", 3)
    assert said.endswith(", from the start; what was changed by hand of 2 EVs is forgotten")
    assert session.change("fleet.evs_per_zone", 4).endswith(", from the start")
    session.walk_to(60)
    session.change_ev(0, {"soc_target": "81"})
    assert session.choose(["none"]).endswith("by hand of 1 EV is forgotten")


def test_two_strategies_meet_the_same_evs():
    session = Session(small_paper(strategy="evms"))
    session.walk_to(30)
    session.choose(["evms", "coordinated"])
    session.walk_to(1440)
    a, b = session.lanes
    assert (a.label, b.label) == ("evms", "coordinated")
    assert a.model.minute == b.model.minute == 1440
    np.testing.assert_array_equal(a.model.fleet.arrival_min, b.model.fleet.arrival_min)
    assert np.isfinite(b.shave_mw).any()
    assert np.isnan(a.fill_mw).all()
    assert len(session.described(3)[0]) == 3
    with pytest.raises(InputError, match="one of the strategies"):
        session.choose(["evms", "best"])
    session.choose(["none"])
    assert session.described(3) == []
    assert session.ev_values(3) is None


def test_an_ev_is_changed_by_hand_in_both_lanes(tmp_path):
    one = ev("a", arrival=480, departure=1200, soc=0.3)
    session = Session(scenario(one, folder=tmp_path, strategy="evms"))
    session.choose(["evms", "uncoordinated"])
    session.walk_to(500)
    wanted = {"departure": "23:30", "soc_target": "60", "soc_min": 30, "v2g": False}
    said = session.change_ev(0, {**wanted, "boost": False})
    assert said == "leaves at 23:30, SoC wanted 60 %, V2G threshold 30 %, takes no part in V2G"
    for lane in session.lanes:
        changed = lane.model.evs[0]
        assert (changed.departure_min, changed.announced_min) == (690.0, 690.0)
        assert (changed.soc_target, changed.soc_min, changed.v2g) == (0.6, 0.3, False)
    assert session.change_ev(0, {"departure": "23:30", "soc_target": "60"}) == "nothing was changed"
    session.walk_to(700)
    assert not session.lanes[0].model.evs[0].plugged
    with pytest.raises(InputError, match="EV a: has left"):
        session.change_ev(0, {"soc_target": "70"})


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_changed():
    session = Session(scenario(ev("a", arrival=480, departure=1200), strategy="evms"))
    session.walk_to(500)
    bad = {"departure": "25:61", "soc_target": "120", "soc_min": "much", "v2g": False}
    with pytest.raises(InputError) as error:
        session.change_ev(0, bad)
    fields = [problem.field for problem in error.value.problems]
    assert fields == ["departure", "SoC wanted", "V2G threshold"]
    assert session.lanes[0].model.evs[0].v2g
    with pytest.raises(InputError, match="before the run ends at 12:00"):
        session.change_ev(0, {"departure": "12:30"})


def test_of_an_energy_need_only_times_and_boost_are_changed():
    session = Session(
        scenario(by_energy("a"), requirement={"kind": "energy_balanced"}, strategy="uncoordinated")
    )
    session.walk_to(500)
    values = session.ev_values(0)
    assert values["soc_target"] is None
    assert session.change_ev(0, {**values, "boost": True}) == "charges at once"
    with pytest.raises(InputError, match="no part in V2G"):
        session.change_ev(0, {"v2g": True})
    assert ("state of charge now", "not known") in session.described(0)


def test_all_columns_of_an_ev_are_described():
    session = Session(small_paper(strategy="evms"))
    session.walk_to(700)
    lines = session.described(0)
    # Feeder, cell and point are places in arrays; the zone stands there by its number.
    assert len(lines) == len(COLUMNS) - 3
    text = "\n".join(" ".join(line) for line in lines)
    assert "_" not in text
    assert "`" not in text


def test_steps_and_play_in_the_thread():
    session = Session(small_paper(strategy="evms"), speed=math.inf)
    session.start()
    session.step(1)
    until(lambda: session.view.minute == 1 and session.view.ahead is None)
    session.step(60)
    until(lambda: session.view.minute == 61 and session.view.ahead is None)
    session.play()
    assert session.view.playing
    until(lambda: session.view.finished)
    assert session.view.minute == 1440
    assert not session.view.playing
    session.restart()
    assert (session.view.minute, session.view.finished) == (0, False)
    session.close()


def test_a_model_that_fails_stands_still_and_says_why():
    session = Session(small_paper(strategy="evms"), speed=math.inf)

    class Broken:
        def decide(self, fleet, broadcast, minute):
            raise KeyError("no such thing")

    session.lanes[0].model.home.rule = Broken()
    session.start()
    session.play()
    until(lambda: session.view.trouble)
    assert "no such thing" in session.view.trouble
    assert not session.view.playing
    session.restart()
    assert session.view.trouble == ""
    session.close()


def test_several_feeders_are_refused():
    with pytest.raises(InputError, match=r"feeder\.copies = 3"):
        Session(small_paper(feeder={"copies": 3}))


@pytest.mark.parametrize("name", ["paper", "hosting_lv", "year"])
def test_sliders_stay_within_what_their_fields_allow(name):
    studied = Scenario.load(name)
    found = controls_of(studied)
    assert len(found) >= 8
    for control in found:
        low, high = bounds_of(control.field)
        assert low <= control.low / control.scale < control.high / control.scale <= high
        assert control.low <= control.shown(studied) <= control.high
        for end in (control.low, control.high):
            studied.override({control.field: control.meant(end)})


def test_small_demands_are_in_kilowatts():
    session = Session(Scenario.load("hosting_lv"))
    limit = next(control for control in session.controls if control.live)
    assert (limit.unit, limit.shown(session.scenario), limit.step) == ("kW", 100.0, 1.0)
    assert limit.meant(120.0) == 0.12
    assert session.unit.show(0.0571) == "57.1"
    assert session.unit.show(math.nan) == "-"
    assert Session(small_paper()).unit.show(0.1, "+") == "+0.100"


def test_sliders_that_nobody_would_look_at_are_left_out():
    fields = [control.field for control in controls_of(scenario(ev()))]
    assert "fleet.evs_per_zone" not in fields
    assert "ev.charger_kw" in fields
    rated = [control.field for control in controls_of(scenario(ev(p_max_kw=3.7)))]
    assert "ev.charger_kw" not in rated
    needs = scenario(by_energy("a"), requirement={"kind": "energy_balanced"})
    assert not [one.field for one in controls_of(needs) if "v2g" in one.field or "soc" in one.field]
    fields = [control.field for control in controls_of(Scenario.load("hosting_lv"))]
    assert "fleet.evs_per_customer" in fields
    assert "fleet.evs_per_zone" not in fields


def test_days_follow_each_other():
    session = Session(small_paper(horizon={"days": 2}))
    session.walk_to(1440 + 30)
    view = session.view
    assert (view.day, view.n_days, view.clock) == (2, 2, "12:30")
    assert figures.span_shown(1470, 2880, 1440) == (1440, 2880)
    assert figures.span_shown(100, 2160, 1440) == (0, 2160)


def json_of(chart):
    import json

    return json.dumps(chart, allow_nan=False)


@pytest.mark.parametrize("strategies", [["evms"], ["evms", "coordinated"], ["none"]])
def test_figures_are_plain_data(strategies):
    session = Session(small_paper(strategy="evms"))
    session.choose(strategies)
    session.walk_to(481)
    lanes = session.view.lanes
    feeder = session.lanes[0].model.grid.feeder
    drawn, names = feeder_layout(feeder), feeder.bus_names
    charts = [
        figures.demand_chart(lanes, 60, 720.0, session.unit),
        figures.zones_chart(lanes, 15),
        figures.charge_chart(lanes, by_energy=False),
        figures.evs_chart(lanes, 720.0, 4),
        map_chart(lanes, drawn, names, session.scenario),
    ]
    for chart in charts:
        assert "NaN" not in json_of(chart)
        axes = {trace.get("xaxis", "x") for trace in chart["data"]}
        assert axes == ({"x"} if len(strategies) == 1 or chart is charts[0] else {"x", "x2"})
    n_evs = 30 * sum(strategy != "none" for strategy in strategies)
    bars = charts[1]["data"]
    assert sum(sum(trace["y"]) for trace in bars) == n_evs
    dots = [trace for trace in charts[3]["data"] if trace["marker"].get("symbol") is None]
    assert sum(len(trace["x"]) for trace in dots) == n_evs
    vm = session.lanes[0].model.grid.load_flows.at(7).vm_pu[-1]
    np.testing.assert_allclose(charts[4]["data"][1]["marker"]["color"], vm, atol=1e-4)


def test_a_load_flow_that_fails_is_said_in_words():
    session = Session(small_paper(base_load={"scale": 6.0}))
    session.walk_to(480)
    texts, _, _ = Updates(session).since(session.view, None, {})
    assert texts["map-about"] == "19:00 to 20:00, the load flow did not converge"


def test_departures_of_several_days_have_times_and_days():
    session = Session(small_paper(horizon={"days": 1}))
    lanes = session.view.lanes
    alone = figures.evs_chart(lanes, 720.0, None)["layout"]["xaxis"]
    assert "tickformatstops" not in alone
    lanes[0].departure_min[0] += 2880.0
    (near, far) = figures.evs_chart(lanes, 720.0, None)["layout"]["xaxis"]["tickformatstops"]
    assert near["value"] == "%H:%M\nday %-j"
    assert far["value"] == "day %-j"


def test_names_of_users_are_no_markup():
    session = Session(scenario(ev("<img src=x>"), strategy="evms"))
    chart = figures.evs_chart(session.view.lanes, 720.0, None)
    assert "<img" not in json_of(chart)
    assert "&lt;img" in json_of(chart)


# --- who is let in -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("dash")
    found = Server(Session(small_paper(strategy="evms")))
    yield found
    found.close()


def asking(server, host="127.0.0.1"):
    client = server._server.app.test_client()
    base = f"http://{host}:{server.port}"
    return lambda path, **how: client.open(path, base_url=base, **how)


PATHS = ("/", "/_dash-layout", "/_dash-dependencies", "/assets/watch.css", "/nothing")


def test_without_the_token_nothing_is_served(server):
    ask = asking(server)
    for path in (*PATHS, "/?token=", "/?token=wrong", "/?token=ä"):
        assert ask(path).status_code == 403
    assert ask("/_dash-update-component", method="POST", json={}).status_code == 403
    assert ask(f"/_dash-update-component?token={server.token}", method="POST").status_code == 403


def test_the_token_becomes_a_cookie(server):
    ask = asking(server)
    answer = ask(f"/?token={server.token}")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    for path in PATHS[:4]:
        with ask(path) as answer:
            assert answer.status_code == 200
    assert "default-src 'self'" in ask("/").headers["Content-Security-Policy"]


def test_another_name_for_this_machine_is_refused(server):
    ask = asking(server, "evil.example")
    assert ask(f"/?token={server.token}").status_code == 403
    ask = asking(server, "localhost")
    assert ask(f"/?token={server.token}").status_code == 302


@pytest.mark.parametrize(
    ("header", "bound", "allowed"),
    [
        ("127.0.0.1:8050", "127.0.0.1", True),
        ("[::1]:8050", "::1", True),
        ("[::1]", "::1", True),
        ("192.168.1.4:8050", "127.0.0.1", False),
        ("192.168.1.4:8050", "0.0.0.0", True),
        ("evil.example:8050", "0.0.0.0", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("lab.example:80", "lab.example", True),
        ("", "127.0.0.1", False),
    ],
)
def test_hosts(header, bound, allowed):
    assert host_allowed(header, bound) is allowed


def test_only_what_others_can_reach_is_warned_of():
    assert [is_local(host) for host in ("127.0.0.1", "::1", "localhost", "127.3.2.1")] == [True] * 4
    assert warning_of("127.0.0.1") == ""
    assert "not encrypted" in warning_of("0.0.0.0")


def test_ports():
    with bind("127.0.0.1", None) as first:
        taken = first.getsockname()[1]
        with pytest.raises(InputError, match=f"--port = {taken}: taken"):
            bind("127.0.0.1", taken)
        with bind("127.0.0.1", None) as second:
            assert second.getsockname()[1] != taken
    with pytest.raises(InputError, match="--port = 70000"):
        bind("127.0.0.1", 70000)
    with pytest.raises(InputError, match="--host"):
        bind("192.0.2.77", 0)


def test_the_server_listens_on_the_loopback_alone(server):
    assert server._bound.getsockname()[0] == "127.0.0.1"
    assert server._bound.family == socket.AF_INET


def test_without_dash_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "evenfall\[watch\]"'):
        check_dash()
