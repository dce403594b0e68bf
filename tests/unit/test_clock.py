"""The order of things within a step, and how steps make up a run."""

import gc
import weakref
from itertools import permutations

import numpy as np
import pytest
from helpers import arrays, ev, run, same, scenario, small_paper, stepped

from abm import Scenario, V2GModel
from abm.clock import Clock, Phase, PhaseEvent

PHASES = tuple(Phase)


@pytest.mark.parametrize("order", [PHASES, PHASES[::-1], PHASES[3:] + PHASES[:3]])
def test_phases_keep_their_order_whatever_was_created_first(order):
    clock, seen = Clock(hours=1, step_s=1200), []
    for phase in order:
        clock.every_step(phase, lambda phase=phase: seen.append((clock.step, phase)))
    while not clock.finished:
        clock.advance()
    assert seen == [(step, phase) for step in range(3) for phase in PHASES]


@pytest.mark.parametrize("order", [*permutations(["cohort", "hour", "once", "user"])])
def test_processes_of_every_kind_and_a_user_s_own(order):
    clock, seen = Clock(hours=1, step_s=1800), []

    def user():
        while True:
            seen.append(f"user {clock.env.now}")
            yield clock.env.timeout(1800)

    start = {
        "cohort": lambda: clock.cohort(
            Phase.DEPART,
            np.array([1.0, 0.0, 1.0, 9.0]),
            np.arange(4),
            lambda rows: seen.append(f"depart {rows.tolist()}"),
        ),
        "hour": lambda: clock.every(3600, Phase.GRID, lambda: seen.append("grid")),
        "once": lambda: clock.once(Phase.ARRIVE, 1, lambda: seen.append("once")),
        "user": lambda: clock.env.process(user()),
    }
    for name in order:
        start[name]()
    clock.advance()
    assert seen == ["user 0", "depart [1]", "grid"]
    clock.advance()
    # The end of the horizon closes the last hour, and a process without an end does not hang it.
    assert seen[3:] == ["user 1800", "depart [0, 2]", "once", "user 3600", "grid"]
    assert clock.finished
    assert clock.env.now == 3600


def test_an_event_cannot_be_in_the_past():
    clock = Clock(hours=1, step_s=60)
    clock.advance()
    with pytest.raises(ValueError, match="before now"):
        PhaseEvent(clock.env, 59, Phase.GRID)


def test_once_in_the_past_is_now_and_beyond_the_horizon_never():
    clock, seen = Clock(hours=1, step_s=600), []
    clock.advance()
    clock.once(Phase.ARRIVE, 0, lambda: seen.append(clock.step))
    clock.once(Phase.ARRIVE, 6, lambda: seen.append("end"))
    clock.once(Phase.ARRIVE, 7, lambda: seen.append("never"))
    while not clock.finished:
        clock.advance()
    assert seen == [1, "end"]


def test_a_user_s_timeout_sees_who_is_about_to_leave():
    model, seen = V2GModel(scenario(ev(departure=600), strategy="evms")), []

    def user():
        yield model.env.timeout(600 * 60)
        seen.append(model.evs[0].plugged)

    model.env.process(user())
    later = [m.evs[0].plugged for m in stepped(model) if m.minute == 601]
    assert (seen, later) == ([True], [False])


@pytest.mark.parametrize("strategy", ["uncoordinated", "evms", "evms_guaranteed"])
def test_stepping_and_running_are_the_same(strategy):
    studied, hours = small_paper(strategy=strategy), []
    stepping = V2GModel(studied)
    for _ in stepped(stepping):
        pass
    running = V2GModel(studied).run(on_hour=lambda: hours.append(1))
    a, b = arrays(stepping), arrays(running)
    assert [name for name in a if not same(a[name], b[name])] == []
    assert len(hours) == 24
    assert stepping.running is running.running is False


def test_steps_after_the_end_change_nothing_and_results_wait_for_it():
    model = V2GModel(scenario(ev()))
    model.step()
    assert model.minute == 1
    with pytest.raises(RuntimeError, match="run"):
        _ = model.results
    before = model.run().results.kpis
    model.step()
    assert model.results.kpis == before
    assert model.minute == 1440


@pytest.mark.parametrize(
    ("departure", "plugged", "minutes"), [(1439, False, 9), (1440, False, 10), (1441, True, 10)]
)
def test_the_end_of_the_horizon(departure, plugged, minutes):
    model = run(scenario(ev(arrival=1430, departure=departure), strategy="uncoordinated"))
    table, kpis = model.results.ev.iloc[0], model.results.kpis
    assert model.evs[0].plugged is plugged
    assert kpis["evs_still_plugged"] == plugged
    # 5.4 kW for 9 or 10 minutes; who has not left is short too, as one more minute is not enough
    assert table.charged_kwh == pytest.approx(5.4 * minutes / 60)
    assert kpis["evs_short"] == 1


def test_a_process_without_an_end_does_not_hang_a_run():
    model, ticks = V2GModel(scenario(ev())), []

    def user():
        while True:
            ticks.append(model.env.now)
            yield model.env.timeout(3600)

    model.env.process(user())
    model.run()
    assert ticks == list(range(0, 86401, 3600))


@pytest.mark.parametrize("step_s", [20, 30, 300, 3600])
def test_other_steps_walk_the_same_day(step_s):
    fields = {"strategy": "uncoordinated", "clock": {"step_s": step_s}}
    model = V2GModel(scenario(ev(arrival=481, departure=1203.5), **fields))
    assert model.clock.n_steps == 86400 // step_s
    model.step()
    assert model.minute == step_s / 60
    table = model.run().results.ev.iloc[0]
    # 0.85 x 0.5 x 40 kWh / 0.98 whatever the step
    assert table.charged_kwh == pytest.approx(17 / 0.98)
    minute = model.results.zone_minute["minute"]
    assert minute.nunique() == model.clock.n_steps
    assert minute.max() == pytest.approx(1440 - step_s / 60)


@pytest.mark.parametrize(
    "strategy",
    ["uncoordinated", "evms"],
)
def test_halving_the_step_changes_next_to_nothing(strategy):
    models = [run(Scenario(strategy=strategy, clock={"step_s": step_s})) for step_s in (60, 30)]
    for name in ("arrival_min", "departure_min", "soc_arrival", "soc_target", "capacity_kwh"):
        assert same(*(getattr(model.fleet, name) for model in models))
    minute, half = (model.results.kpis for model in models)
    for name in (
        "feeder_energy_mwh", "ev_charged_mwh", "ev_discharged_mwh", "system_peak_mw",
        "plugged_peak_mw", "loss_energy_mwh", "max_loss_mw", "min_vm_pu", "purchase_usd",
        "sale_usd", "net_cost_usd", "rebound_ratio",
    ):  # fmt: skip
        assert half[name] == pytest.approx(minute[name], rel=5e-3, abs=1e-12), name


def test_a_model_that_was_closed_is_let_go():
    model = run(small_paper())
    results, gone = model.results, weakref.ref(model)
    model.close()
    del model
    gc.collect()
    assert gone() is None
    assert results.kpis["evs"] == 30
