"""Powers that are set from outside: both engines leave the same bytes, and bounds hold."""

from tempfile import TemporaryDirectory

import numpy as np
import pytest
from helpers import KINDS, scenario, small_paper
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engines import assert_same, with_engine
from test_physics import STEPS, fields_of, sessions

from abm.control import SetPoints


def spec(interval_min=15, guarantee=True):
    options = {"interval_min": interval_min, "guarantee": guarantee}
    return {"rule": "set_points", "admission": "all_at_once", "rule_options": options}


def driven(model, seed, by_zone, largest_kw=30.0):
    """Set random powers every interval, now and then none, and run to the end."""
    rule, fleet = model.home.rule, model.fleet
    assert isinstance(rule, SetPoints)
    rng, n = np.random.default_rng(seed), fleet.n
    if by_zone:
        n = fleet.n_feeders * fleet.n_zones
    while not model.clock.finished:
        asked = rng.uniform(-largest_kw, largest_kw, n) * (rng.random(n) < 0.8)
        if rng.random() < 0.9:
            rule.set(fleet, asked, model.minute, by_zone)
        for _ in range(rule.interval_min * 60 // model.clock.step_s):
            model.step()
    return model


@pytest.mark.parametrize("kind", KINDS)
@given(
    rows=sessions(most=12),
    step_s=st.sampled_from(STEPS),
    interval=st.sampled_from([15, 60]),
    guarantee=st.booleans(),
    by_zone=st.booleans(),
    least=st.sampled_from([0.0, 1.4]),
    seed=st.integers(0, 99),
)
@settings(max_examples=8)
def test_both_engines_hold_the_same_powers(
    kind, rows, step_s, interval, guarantee, by_zone, least, seed
):
    fields = fields_of(spec(interval, guarantee), kind, step_s)
    fields |= {"ev": {"soc_lower": 0.15, "soc_upper": 0.9, "min_charge_kw": least}}
    with TemporaryDirectory() as folder:
        base = scenario(*rows, folder=folder, **fields)
        models = [with_engine(base, engine) for engine in ("numpy", "compiled")]
        assert_same(*(driven(model, seed, by_zone) for model in models))


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 1000), boost=st.sampled_from([0.0, 0.3]), guarantee=st.booleans())
@settings(max_examples=3)
def test_both_engines_hold_the_same_powers_in_a_city(kind, seed, boost, guarantee):
    base = small_paper(
        strategy=spec(guarantee=guarantee),
        seed=seed,
        requirement={"kind": kind},
        feeder={"copies": 3},
        owners={"boost_probability": boost},
        fleet={"evs_per_zone": 5},
    )
    models = [with_engine(base, engine) for engine in ("numpy", "compiled")]
    assert_same(*(driven(model, seed, by_zone=True) for model in models))
    assert models[0].fleet.discharged_kwh.sum() > 0.0


def test_a_zone_has_the_power_that_was_set_as_long_as_its_evs_can():
    base = small_paper(strategy=spec(), fleet={"evs_per_zone": 20}, requirement={"kind": KINDS[1]})
    model = with_engine(base, "numpy")
    rule, seen = model.home.rule, 0
    while not model.clock.finished:
        asked = np.full(model.fleet.n_zones, 6.5)
        rule.set(model.fleet, asked, model.minute)
        before = model.fleet.charged_kwh.copy()
        free = ~model.fleet.plugged | (model.fleet.departure_min > model.minute + 15.0)
        for _ in range(15):
            model.step()
        drawn = np.bincount(model.fleet.zone, model.fleet.charged_kwh - before) / 0.25
        own = model.fleet.need_kwh * model.fleet.plugged / model.fleet.efficiency
        for zone in range(model.fleet.n_zones):
            mine = model.fleet.zone == zone
            settled = free[mine].all()
            late = model.fleet.arrival_min[mine] > model.minute - 15.0
            late &= model.fleet.arrival_min[mine] < model.minute
            if settled and not late.any() and own[mine].sum() > 20.0 and drawn[zone] < 10.0:
                assert drawn[zone] == pytest.approx(6.5, abs=1e-6)
                seen += 1
    assert seen > 50


def test_nobody_is_short_whatever_is_set_and_without_the_guarantee_all_are():
    fields = {"requirement": {"kind": KINDS[1]}, "fleet": {"evs_per_zone": 4}}
    for guarantee in (True, False):
        model = with_engine(small_paper(strategy=spec(guarantee=guarantee), **fields), "numpy")
        rule = model.home.rule
        while not model.clock.finished:
            rule.set(model.fleet, np.full(model.fleet.n_zones, -100.0), model.minute)
            model._advance(15)
        kpis = model.results.kpis
        assert kpis["evs_short"] == (0 if guarantee else model.fleet.n)
        assert kpis["ev_discharged_mwh"] > 0.0


def test_an_interval_that_is_none_is_refused():
    with pytest.raises(ValueError, match="interval_min = 7"):
        SetPoints(7)
