"""What is broadcast, how often, how late, to whom, and with what error."""

import numpy as np
import pytest
from helpers import ev, run, same, scenario, small_paper, stepped
from scipy.special import ndtri

from abm import InputError, Scenario, V2GModel
from abm.cli import main
from abm.fleet.stays import stream
from abm.signals import Inbox

# One EV from 20:05 to 8:00, 5.4 kW all the time: it would take 200 kWh.
ALONE = ev(arrival=485, departure=1200, capacity=200.0, soc=0.0, target=1.0)
ALL_AT_ONCE = {"strategy": "uncoordinated", "requirement": {"kind": "energy_balanced"}}


def broadcast(**fields):
    return {"broadcast": fields}


def heard(model):
    """Every message that any zone hears, with the minute of the step in which it does."""
    found = [(0.0, model.broadcast)]
    for _ in stepped(model):
        if model.broadcast is not found[-1][1]:
            found.append((model.minute - model.clock.step_s / 60, model.broadcast))
    return found[1:]


@pytest.mark.parametrize("interval", [1, 5, 15, 60])
def test_a_message_every_interval(interval):
    model = V2GModel(scenario(ALONE, **ALL_AT_ONCE, **broadcast(interval_min=interval)))
    found = heard(model)
    base = model.results.hourly["base_mw"].to_numpy()
    assert [minute for minute, _ in found] == list(range(0, 1440, interval))
    assert [b.minute for _, b in found] == list(range(0, 1440, interval))
    assert [b.sequence for _, b in found] == list(range(1, 1440 // interval + 1))
    for minute, message in found:
        hour = int(minute) // 60
        assert (message.hour, message.clock_hour) == (hour, (12 + hour) % 24)
        assert message.demand_mw[0] == base[hour]
        assert message.price == model.grid.hourly_price[hour]


@pytest.mark.parametrize(
    ("interval", "means"), [(60, [4.95, 5.4]), (15, [3.6, 5.4]), (5, [0, 5.4])]
)
def test_net_demand_is_that_of_the_interval_that_ended(interval, means):
    fields = broadcast(what="net", interval_min=interval)
    model = V2GModel(scenario(ALONE, **ALL_AT_ONCE, **fields))
    for minute, message in heard(model):
        base = model.grid.base_mw[message.hour, 0]
        # Of the interval that begins at 480 the EV is there for all but five minutes.
        ended = minute - interval
        kw = means[0] if ended == 480 else means[1] if 480 < ended < 1200 else 0.0
        assert message.demand_mw[0] == pytest.approx(base + kw / 1e3, abs=1e-12)
        assert message.headroom_mw[0] == model.grid.limit_mw[0] - message.demand_mw[0]
        assert (
            np.isnan(message.ev_mw[0])
            if minute == 0
            else message.ev_mw[0] == pytest.approx(kw / 1e3, abs=1e-12)
        )


@pytest.mark.parametrize("interval", [15, 60])
def test_losses_are_those_of_the_interval_that_ended(interval):
    fields = broadcast(what="net_with_losses", interval_min=interval)
    model = V2GModel(scenario(ALONE, **ALL_AT_ONCE, **fields))
    found = heard(model)
    assert found[0][1].demand_mw[0] == model.grid.base_mw[0, 0]
    for minute, message in found[1:]:
        hour = int(minute - 1) // 60
        begin_s = np.array([3600 * hour])
        p_mw = model.grid.base.mean_p_mw(begin_s, 3600)[:, 0].copy()
        p_mw[0, model.grid.feeder.zone_bus[0]] += message.ev_mw[0]
        flow = model.grid.solver.solve(p_mw, model.grid.base.mean_q_mvar(begin_s, 3600)[:, 0])
        net = model.grid.base_mw[message.hour, 0] + message.ev_mw[0]
        assert message.demand_mw[0] == pytest.approx(net + flow.loss_mw[0], abs=1e-12)
        assert message.loss_mw[0] == pytest.approx(flow.loss_mw[0], abs=1e-12)
        assert message.min_vm_pu[0] == pytest.approx(flow.vm_pu.min(), abs=1e-12)
    assert not model.meter.unsent.any()


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_where_the_load_flow_fails_nothing_is_sent_and_the_old_message_stays(engine):
    # In some hours these are more than the feeder can carry; the other feeder has no trouble.
    crowd = [
        ev(f"{z}", zone=z, arrival=300, capacity=9e4, soc=0.0, target=1.0) for z in range(1, 16)
    ]
    crowd = [row | {"p_max_kw": 2000.0, "departure": 1100} for row in crowd]
    fields = ALL_AT_ONCE | broadcast(what="net_with_losses", interval_min=15)
    model = V2GModel(scenario(*crowd, **fields, clock={"engine": engine}), seed=[1, 2])
    model.fleet.p_max_kw[model.fleet.feeder == 1] = 1.0
    for _ in stepped(model):
        held = [model.inbox.of(cell) for cell in (0, 15)]
        assert all(np.isfinite(message.demand_mw).all() for message in held)
        if model.minute == 400:
            # Sent at 300 before anybody came, and at 390; 315 to 390 were not sent to the first.
            assert [message.minute for message in held] == [300, 390]
            assert [message.hour for message in held] == [5, 6]
            assert model.zones[0].broadcast is held[0]
    unsent = model.results.hourly.pivot(
        index="hour_index", columns="feeder", values="messages_unsent"
    )
    failed = ~model.results.hourly.pivot(index="hour_index", columns="feeder", values="converged")
    assert unsent[1].tolist() == [4 if bad else 0 for bad in failed[1]]
    assert unsent[1].sum() > 20
    assert unsent[2].sum() == 0
    alone = model.results.of(0).hourly["messages_unsent"]
    assert alone.tolist() == unsent[1].tolist()


@pytest.mark.parametrize(("delay", "late"), [(0.0, 0), (7.0, 7), (6.5, 7), (75.0, 75)])
@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_a_message_is_heard_after_its_delay(delay, late, engine):
    fields = broadcast(interval_min=15, delay_min=delay) | {"clock": {"engine": engine}}
    model = V2GModel(scenario(ALONE, **ALL_AT_ONCE, **fields))
    first = model.broadcast
    assert (first.sequence, first.hour, first.demand_mw[0]) == (0, 0, model.grid.base_mw[0, 0])
    found = heard(model)
    sent = [minute for minute in range(0, 1440, 15) if minute + late < 1440]
    assert [b.minute for _, b in found] == sent
    assert [minute for minute, _ in found] == [minute + late for minute in sent]
    assert [b.hour for _, b in found] == [minute // 60 for minute in sent]


def test_everybody_goes_by_what_was_known_at_the_start_until_then():
    # 12:00 is below 3.24 MW and 20:00 above it; without news the EV charges.
    row = ev(arrival=485, departure=700, soc=0.5)
    fields = {"strategy": "evms"}
    prompt, never = (
        run(scenario(row, **fields)),
        run(scenario(row, **fields, **broadcast(delay_min=1440.0))),
    )
    assert prompt.fleet.discharged_kwh[0] > 0
    assert never.fleet.discharged_kwh[0] == 0
    assert never.fleet.charged_kwh[0] > 0
    assert never.broadcast.sequence == 0


@pytest.mark.parametrize("what", ["base", "net"])
def test_a_zone_that_misses_a_message_keeps_the_last_one(what):
    fields = broadcast(what=what, loss_probability=0.4, interval_min=15)
    model = V2GModel(small_paper(**fields), seed=[1, 2])
    draws = {k: stream(seed, "broadcast_loss") for k, seed in enumerate((1, 2))}
    missed = {k: rng.random((96, 15)) < 0.4 for k, rng in draws.items()}
    last = np.zeros((2, 15), dtype=int)
    for _ in stepped(model):
        number, minute = divmod(int(model.minute) - 1, 15)
        if minute == 0:
            for k in range(2):
                last[k] = np.where(missed[k][number], last[k], number + 1)
        held = [zone.broadcast for zone in model.zones]
        assert [message.sequence for message in held] == last.ravel().tolist()
        assert model.broadcast.sequence == last.max()
        assert len(model.inbox.messages) == len(np.unique(last))
    # Stale in everything: hour and price are those of the time it was sent.
    for message in held:
        assert message.minute == 15 * (message.sequence - 1)
        assert message.hour == message.minute // 60
        assert message.price == model.grid.hourly_price[message.hour]
    assert model.compiled is None


def test_zones_act_on_the_messages_they_hold():
    """Zone 2 misses what is sent at 18:00: it goes on discharging while zone 1 charges."""
    rows = [ev("a", zone=1, arrival=365, soc=0.9), ev("b", zone=2, arrival=365, soc=0.9)]
    rows += [ev("c", zone=3, arrival=300, departure=350)]
    fields = {"strategy": "evms", "requirement": {"kind": "energy_balanced"}}
    model = V2GModel(scenario(*rows, clock={"engine": "numpy"}, **fields))
    while model.minute < 359:
        model.step()
    full, empty = (model.grid.compose(6, np.array([mw])) for mw in (9.0, 1.0))
    only_second = np.arange(15) == 1
    model.inbox.hear(full)
    model.inbox.hear(empty, ~only_second)
    model.grid.channel.heard_by = lambda: np.zeros(15, dtype=bool)
    while model.minute < 400:
        model.step()
    assert [ev.mode for ev in model.evs][:2] == [0, -1]
    assert [ev.rpz.broadcast for ev in model.evs] == [empty, full, empty]
    model.evs[0].soc = 0.5
    model.step()
    assert model.evs[0].mode == 1


def test_nobody_hears_anything_where_everything_is_lost():
    lost = run(small_paper(**broadcast(loss_probability=1.0)))
    late = run(small_paper(**broadcast(delay_min=1440.0)))
    assert lost.broadcast.sequence == 0
    for name in ("soc_departure", "charged_kwh", "discharged_kwh"):
        assert same(getattr(lost.fleet, name), getattr(late.fleet, name)), name


def test_noise_is_a_normal_error_of_each_message_the_same_under_the_same_seed():
    fields = small_paper(**broadcast(noise=0.05))
    model = V2GModel(fields, seed=[1, 2])
    found = np.array([message.demand_mw for _, message in heard(model)])
    base = model.results.of(0).hourly["base_mw"].to_numpy()
    for k, seed in enumerate((1, 2)):
        z = ndtri(stream(seed, "broadcast_noise").random(24))
        assert same(found[:, k], base * (1 + 0.05 * z))
        alone = [message.demand_mw[0] for _, message in heard(V2GModel(fields, seed=seed))]
        assert same(found[:, k], alone)
    assert 0.02 < np.std(found[:, 0] / base) < 0.08
    assert V2GModel(fields).broadcast.demand_mw[0] == model.grid.base_mw[0, 0]


def test_what_is_on_the_way_does_not_change_what_is_drawn():
    """Losses have a stream of their own: noise leaves them as they were."""
    sequences = []
    for noise in (0.0, 0.1):
        model = V2GModel(small_paper(**broadcast(loss_probability=0.5, noise=noise)))
        sequences.append([[z.broadcast.sequence for z in model.zones] for _ in stepped(model)])
    assert sequences[0] == sequences[1]


def test_the_cells_of_heard():
    class Message:
        def __init__(self, name):
            self.name, self.demand_mw = name, np.zeros(2)

    a, b, c, d, e = (Message(name) for name in "abcde")
    held = Inbox(a, np.array([0, 0, 1, 3]), 4)
    held.hear(b, np.array([True, False, False, False]))
    held.hear(c, np.zeros(4, dtype=bool))
    assert held.newest is b
    held.hear(c, np.array([False, True, True, False]))
    assert [held.of(cell).name for cell in range(4)] == ["b", "c", "c", "a"]
    assert [message.name for message in held.messages] == ["a", "b", "c"]
    values = {"a": 1, "b": 2, "c": np.array([3, 4, 5, 6])}
    assert held.by_ev(lambda message: np.asarray(values[message.name])).tolist() == [2, 2, 5, 1]
    with pytest.raises(RuntimeError, match="different messages"):
        held.by_feeder(lambda message: np.array([7, 8]))
    held.hear(d, np.array([True, True, False, False]))
    held.hear(e, np.array([False, False, True, True]))
    feeder = {"d": np.array([7, 8]), "e": np.array([9, 10])}
    assert held.by_feeder(lambda message: feeder[message.name]).tolist() == [7, 10]
    held.hear(d)
    assert [message.name for message in held.messages] == ["d"]
    assert held.by_feeder(lambda message: feeder[message.name]).tolist() == [7, 8]


@pytest.mark.parametrize(
    ("settings", "field", "allowed"),
    [
        (["broadcast.interval_min=1", "clock.step_s=300"], "broadcast.interval_min", "300 s"),
        (["clock.step_s=240", "broadcast.interval_min=5"], "broadcast.interval_min", "240 s"),
        (["broadcast.interval_min=10"], "broadcast.interval_min", "one of: 1, 5, 15, 60"),
        (["broadcast.interval_min=15.0"], "broadcast.interval_min", "one of: 1, 5, 15, 60"),
        (["broadcast.what=gross"], "broadcast.what", "one of: base, net, net_with_losses"),
        (["broadcast.delay_min=-1"], "broadcast.delay_min", "at least 0"),
        (["broadcast.loss_probability=1.1"], "broadcast.loss_probability", "at most 1"),
        (["broadcast.noise=-0.1"], "broadcast.noise", "at least 0"),
    ],
)
def test_what_cannot_be_broadcast_is_refused(settings, field, allowed, capsys):
    with pytest.raises(InputError) as caught:
        Scenario.load("paper", settings=settings)
    (problem,) = caught.value.problems
    assert problem.field == field
    assert allowed in problem.allowed
    arguments = [word for setting in settings for word in ("--set", setting)]
    assert main(["run", "paper", *arguments]) == 2
    said = capsys.readouterr()
    assert field in said.out + said.err
    assert "Traceback" not in said.out + said.err


def test_the_step_is_to_blame_where_it_was_set_last():
    with pytest.raises(InputError) as caught:
        Scenario(broadcast={"interval_min": 5}).override({"clock.step_s": 720})
    (problem,) = caught.value.problems
    assert (problem.field, problem.value) == ("clock.step_s", "720")
    assert problem.allowed == "a divisor of broadcast.interval_min = 5 min"


def test_steps_that_divide_the_interval_are_fine():
    for minutes, step_s in ((1, 60), (1, 30), (5, 300), (15, 900), (60, 3600), (5, 12)):
        Scenario(broadcast={"interval_min": minutes}, clock={"step_s": step_s})


def test_the_stale_broadcast_swings_with_the_period_of_its_messages():
    stale = run(Scenario.load("stale_broadcast")).results.kpis
    # Twice the interval and the delay, 15 min each.
    assert stale["oscillation_period_min"] == pytest.approx(60.0, rel=0.05)
    assert stale["oscillation_amplitude_mw"] > 0.3
    assert stale["mode_switches_per_ev"] > 8


def test_the_grid_says_what_it_broadcasts():
    model = V2GModel(scenario(ALONE, **ALL_AT_ONCE, **broadcast(what="net", interval_min=15)))
    while model.minute < 500:
        model.step()
    # 20:15: 3.715 MW and ten of fifteen minutes of 5.4 kW
    assert "20:15: net demand 3.719 MW, limit 3.240 MW, headroom -0.479 MW" in str(model.grid)
