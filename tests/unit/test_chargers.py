"""Chargers that keep a mode for a least time, and batteries that take less power near full."""

import numpy as np
import pytest
from helpers import ev, scenario, tight

from abm import V2GModel


class Turns:
    """Charge, wait, give in turn, every minute another."""

    def __init__(self, *modes):
        self.modes = modes

    def decide(self, fleet, broadcast, minute):
        return self.modes[int(minute) % len(self.modes)]


def modes_of(rule, *rows, step_s=60, **chargers):
    """Modes by step (S, n) under a rule that everybody is granted."""
    fields = {"clock": {"step_s": step_s}, "strategy": "uncoordinated", "ev": chargers}
    model = V2GModel(scenario(*rows, **fields))
    model.home.rule = rule
    exchange, modes = model.fleet.exchange, np.zeros((model.clock.n_steps, len(rows)), int)

    def watched(mode, power_kw):
        modes[model.clock.step] = mode
        return exchange(mode, power_kw)

    model.fleet.exchange = watched
    model.run()
    return modes, model


def lengths(modes):
    """Lengths and modes of what one EV did, without the last."""
    edges = np.flatnonzero(np.diff(modes)) + 1
    parts = np.split(modes, edges)
    return [(int(part[0]), len(part)) for part in parts[1:-1]]


ROW = ev("a", arrival=480, departure=1200, capacity=100.0, soc=0.3, target=1.0)


def test_without_least_times_a_charger_follows_every_minute():
    modes, model = modes_of(Turns(1, 0), ROW)
    assert set(lengths(modes[:, 0])) == {(1, 1), (0, 1)}
    assert model.fleet.switches[0] == 720


def test_a_charger_stays_on_and_off_for_its_least_time():
    modes, _ = modes_of(Turns(1, 0), ROW, min_on_min=10, min_off_min=7)
    assert set(lengths(modes[:, 0])) <= {(1, 10), (1, 11), (0, 7), (0, 8)}
    full = ev("a", arrival=480, departure=1200, capacity=100.0, soc=0.9, target=1.0)
    modes, _ = modes_of(Turns(1, -1), full, min_on_min=10)
    modes = modes[:1200]
    assert set(lengths(modes[:, 0])) <= {(1, 10), (1, 11), (-1, 10), (-1, 11)}


def test_least_times_are_rounded_up_to_steps():
    modes, _ = modes_of(Turns(1, 1, 1, 1, 1, 0, 0, 0, 0, 0), ROW, step_s=300, min_on_min=12)
    on = [n for mode, n in lengths(modes[:, 0]) if mode == 1]
    assert set(on) <= {3, 4}


def test_who_has_just_come_is_not_kept_off():
    modes, _ = modes_of(Turns(1), ROW, min_off_min=60)
    assert modes[480, 0] == 1


def test_a_mode_ends_early_where_nothing_is_left():
    row = ev("a", arrival=480, departure=1200, capacity=10.0, soc=0.5, target=0.55)
    modes, _ = modes_of(Turns(1), row, min_on_min=600)
    assert 0 < modes[:, 0].sum() < 10
    row = ev("a", arrival=480, departure=1200, capacity=1.0, soc=0.5, target=0.5)
    modes, _ = modes_of(Turns(-1), row, min_on_min=600)
    assert -5 < modes[:, 0].sum() < 0


def test_a_kept_charger_keeps_the_power_of_before():
    class Fades:
        def decide(self, fleet, broadcast, minute):
            return 3.0 if minute < 485 else 0.0

    modes, model = modes_of(Fades(), ROW, min_on_min=30)
    assert modes[480:510, 0].all()
    assert not modes[510:, 0].any()
    assert model.meter.charge_kw[480:510, 0] == pytest.approx(3.0)


def test_a_boosting_owner_waits_for_a_charger_that_is_kept_off():
    fields = {"owners": {"boost_probability": 1.0}, "ev": {"min_off_min": 60}}
    model = V2GModel(scenario(ROW, strategy="uncoordinated", **fields))
    assert model.run().fleet.charged_kwh[0] > 0
    assert model.fleet.switches[0] == 2


def test_switches_have_a_cost_beside_the_net_cost():
    _, model = modes_of(Turns(1, 0), ROW, switch_cost_usd=0.25)
    kpis = model.results.kpis
    assert kpis["switching_cost_usd"] == pytest.approx(0.25 * 720)
    _, free = modes_of(Turns(1, 0), ROW)
    assert kpis["net_cost_usd"] == free.results.kpis["net_cost_usd"]
    assert free.results.kpis["switching_cost_usd"] == 0.0


TAPER = {"requirement": {"kind": "energy_balanced"}, "strategy": "uncoordinated"}


def test_a_battery_takes_less_power_near_full():
    row = ev("a", arrival=480, departure=1200, capacity=20.0, soc=0.3, target=1.0)
    fields = {**TAPER, "ev": {"taper": 0.8, "efficiency": 0.9}}
    model = V2GModel(scenario(row, **fields)).run()
    drawn = model.meter.charge_kw[:, 0]
    soc = 0.3 + np.cumsum(drawn) / 60 * 0.9 / 20.0
    flat = np.flatnonzero(soc < 0.79)
    assert drawn[480 : flat[-1]] == pytest.approx(5.4)
    late = slice(flat[-1] + 30, 1100)
    before = np.concatenate([[0.3], soc[:-1]])
    assert (drawn[late] <= 5.4 * (1 - before[late]) / 0.2 + 1e-9).all()
    assert (drawn[late] >= 5.4 * (1 - soc[late]) / 0.2 - 1e-9).all()
    # The missing part falls by exp(-t / tau), tau = 20 x 0.2 / (5.4 x 0.9) h.
    left = 1.0 - soc[900]
    assert 1.0 - soc[930] == pytest.approx(left * np.exp(-0.5 * 5.4 * 0.9 / 4.0))
    assert model.results.kpis["energy_balance_error_kwh"] < 1e-9


@pytest.mark.parametrize("step_s", [30, 60, 300, 900])
def test_a_taper_does_not_depend_on_the_step(step_s):
    row = ev("a", arrival=480, departure=780, capacity=20.0, soc=0.5, target=0.99)
    fields = {**TAPER, "ev": {"taper": 0.6}, "clock": {"step_s": step_s}}
    model = V2GModel(scenario(row, **fields)).run()
    rate = 5.4 * 0.98 / (20.0 * 0.4)
    hours = 5.0 - 0.1 * 20.0 / (5.4 * 0.98)
    assert model.results.soc_departure[0] == pytest.approx(1 - 0.4 * np.exp(-rate * hours))


@pytest.mark.parametrize("strategy", ["evms_guaranteed", "coordinated"])
def test_who_needs_a_taper_is_started_in_time(strategy):
    rows = [ev(f"a{i}", arrival=480, departure=1200, capacity=20.0, target=0.97) for i in range(9)]
    fields = {**TAPER, "ev": {"taper": 0.7}, "strategy": strategy, **tight(3.0)}
    model = V2GModel(scenario(*rows, **fields)).run()
    assert model.results.soc_departure == pytest.approx(0.97)


def test_what_an_ev_could_still_charge_goes_by_the_taper():
    row = ev("a", arrival=1380, departure=1620, capacity=20.0, soc=0.7, target=1.0)
    fields = {**TAPER, "ev": {"taper": 0.7, "efficiency": 1.0}}
    model = V2GModel(scenario(row, **fields)).run()
    missing = 0.3 * np.exp(-4.0 * 5.4 / (20.0 * 0.3)) * 20.0
    assert model.results.kpis["energy_short_kwh"] == pytest.approx(missing)
