"""KPIs of a run that goes on: of the hours that are closed."""

import numpy as np
import pytest
from helpers import ev, run, same, scenario, small_paper

from abm import Scenario, V2GModel
from abm.results.so_far import NOT_YET

QUARTERS = {"clock": {"step_s": 900}}
SMALL = {"fleet.evs_per_zone": 1, "clock.step_s": 900}
KINDS = {
    "paper": lambda: small_paper(**QUARTERS),
    "compiled": lambda: small_paper(clock={"step_s": 900, "engine": "compiled"}),
    "days": lambda: small_paper(**QUARTERS, horizon={"days": 2}),
    "sessions": lambda: scenario(ev("a"), ev("b", arrival=100, departure=1500), **QUARTERS),
    **{
        name: lambda name=name: Scenario.load(name).override(SMALL)
        for name in ("price_follows_demand", "demand_charge", "worn_batteries", "solar_homes")
    },
    "phases": lambda: Scenario.load("hosting_lv").override(
        {"clock.step_s": 300, "grid.flow_interval_min": 60, "fleet.evs_per_customer": 0.2}
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_closed_is_what_the_whole_run_has_of_these_hours(kind):
    studied = KINDS[kind]()
    whole = run(studied).results
    model = V2GModel(studied)
    steps = model.clock.n_steps
    for to in (1, steps // 3 + 1, steps // 2, steps - 1):
        model._advance(to - model.clock.step)
        closed = model.hours_closed
        assert closed == max(model.clock.step - 1, 0) // model.clock.steps_per_hour
        kpis = model.kpis_so_far()
        assert set(kpis) == set(whole.kpis)
        assert all(kpis[name] is None for name in NOT_YET)
        if not closed:
            assert set(kpis.values()) == {None}
            continue
        found = model.results_so_far()
        assert same(found.record.total_mw, whole.record.total_mw[:closed])
        # What is solved together depends on how much waits; a voltage is one to the last digits.
        lowest = whole.record.lowest_vm_pu[: closed * found.record.flows_per_hour].min()
        assert kpis["min_vm_pu"] == pytest.approx(lowest, rel=1e-9)
        assert kpis["ev_charged_mwh"] == pytest.approx(model.fleet.charged_kwh.sum() / 1e3)
        assert len(found.hourly) == closed
        assert same(found.record.zone_mw, whole.record.zone_mw[:closed])
    # Looking changes nothing, and at the end there is nothing else to see.
    model.run()
    assert model.kpis_so_far() == model.results.kpis == whole.kpis


def test_arrays_are_its_own():
    model = V2GModel(small_paper(**QUARTERS))
    model._advance(60)
    found = model.results_so_far()
    before = {name: values.copy() for name, values in found.record.ev.items()}
    model.run()
    assert all(same(before[name], found.record.ev[name]) for name in before)
    assert np.isfinite(found.record.zone_charge_mw).all()


def test_before_the_first_hour_there_are_no_results():
    model = V2GModel(small_paper(**QUARTERS), kpis={"mine": lambda results: 1.0})
    assert model.kpis_so_far()["mine"] is None
    with pytest.raises(RuntimeError, match="no hour has ended yet"):
        model.results_so_far()


def test_it_may_be_asked_within_a_run():
    model, seen = V2GModel(small_paper(**QUARTERS)), []
    model.run(on_hour=lambda: seen.append(model.kpis_so_far()["ev_charged_mwh"]))
    assert len(seen) == 24
    assert seen[-1] == model.results.kpis["ev_charged_mwh"]
    known = [value for value in seen if value is not None]
    assert known == sorted(known)


def test_copies_of_the_feeder():
    model = V2GModel(small_paper(**QUARTERS), seed=[1, 2])
    model._advance(50)
    together = model.results_so_far()
    alone = V2GModel(small_paper(**QUARTERS), seed=2)
    alone._advance(50)
    found, expected = together.of(1).kpis, alone.results_so_far().kpis
    assert found == expected
