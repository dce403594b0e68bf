"""The compiled engine and the numpy engine leave the same bytes, and so do run() and step()."""

import itertools
from tempfile import TemporaryDirectory

import pytest
from helpers import COMPILED, KINDS, arrays, same, scenario, small_paper
from hypothesis import given, settings
from hypothesis import strategies as st
from test_physics import STEPS, fields_of, limits, sessions
from test_signals import broadcasts

from abm import V2GModel
from abm.control import G2VOnly

WRITTEN = ("zone_charge_mw", "zone_discharge_mw", "zone_plugged", "plugged_peak", "soc_lowest")
WRITTEN += ("flow_zone_mw", "soc_highest", "below_min", "above_min", "sync_peak")
rule_options = st.fixed_dictionaries(
    {
        "v2g_when": st.sampled_from(["at_or_above_limit", "below_limit", "always"]),
        "one_discharge_per_stay": st.booleans(),
        "charge_above_threshold": st.booleans(),
    }
)


def everything(model):
    written = {name: getattr(model.meter, name) for name in WRITTEN}
    return {**arrays(model), **written, "mode": model.fleet.mode, "p_kw": model.fleet.p_kw}


def with_engine(base, engine):
    model = V2GModel(base.override({"clock.engine": engine}))
    assert (model.compiled is not None) == (engine == "compiled")
    return model


def assert_same(one, other):
    one, other = everything(one), everything(other)
    assert [name for name in one if not same(one[name], other[name])] == []


@pytest.mark.parametrize("strategy", COMPILED)
@pytest.mark.parametrize("kind", KINDS)
@given(rows=sessions(), step_s=st.sampled_from(STEPS), limit=limits, eq13=rule_options)
@settings(max_examples=15)
def test_both_engines_leave_the_same_bytes(strategy, kind, rows, step_s, limit, eq13):
    bounds = {"soc_lower": 0.15, "soc_upper": 0.9}
    fields = fields_of(strategy, kind, step_s, limit) | {"eq13": eq13, "ev": bounds}
    with TemporaryDirectory() as folder:
        base = scenario(*rows, folder=folder, **fields)
        assert_same(with_engine(base, "numpy").run(), with_engine(base, "compiled").run())


OTHER_PAIRS = [
    ("eq13", "coordinated"),
    ("g2v_only", "coordinated"),
    ("coordinated", "first_come"),
    ("coordinated", "least_laxity"),
]


@pytest.mark.parametrize("kind", KINDS)
@given(
    rows=sessions(most=12),
    step_s=st.sampled_from(STEPS),
    pair=st.sampled_from([("coordinated", "coordinated"), *OTHER_PAIRS]),
    margin=st.sampled_from([0.0, 5.0, 90.0]),
    weight=st.sampled_from([0.0, 0.3, 1.0]),
)
@settings(max_examples=25)
def test_both_engines_coordinate_the_same(kind, rows, step_s, pair, margin, weight):
    """A feeder almost without load, so that a few EVs are to be shaved and filled to a level."""
    fields = fields_of({"rule": pair[0], "admission": pair[1]}, kind, step_s)
    fields |= {"coordinated": {"margin_min": margin, "price_weight": weight}}
    fields |= {"base_load": {"scale": 0.01}, "forecast": {"noise": 0.1}}
    with TemporaryDirectory() as folder:
        base = scenario(*rows, folder=folder, **fields)
        assert_same(with_engine(base, "numpy").run(), with_engine(base, "compiled").run())


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 1000), weight=st.sampled_from([0.0, 0.5]), scale=st.floats(0.02, 0.2))
@settings(max_examples=6)
def test_both_engines_coordinate_a_fleet_the_same(kind, seed, weight, scale):
    base = small_paper(
        strategy="coordinated",
        seed=seed,
        requirement={"kind": kind},
        base_load={"scale": scale},
        coordinated={"price_weight": weight},
    )
    assert_same(with_engine(base, "numpy").run(), with_engine(base, "compiled").run())


@pytest.mark.parametrize("strategy", COMPILED)
@given(
    rows=sessions(),
    step_s=st.sampled_from(STEPS),
    flow_min=st.sampled_from([1, 5, 15, 30]),
    how=st.sampled_from(["steps", "linear"]),
    interval=st.sampled_from([15, 60]),
)
@settings(max_examples=4)
def test_both_engines_leave_the_same_load_flows(strategy, rows, step_s, flow_min, how, interval):
    step_s = step_s if flow_min * 60 % step_s == 0 else 60
    fields = fields_of(strategy, "energy_balanced", step_s, limit=2.25)
    fields["grid"] |= {"flow_interval_min": flow_min}
    fields |= {"base_load": {"interpolation": how}, "broadcast": {"interval_min": interval}}
    with TemporaryDirectory() as folder:
        base = scenario(*rows, folder=folder, **fields)
        one, other = with_engine(base, "numpy").run(), with_engine(base, "compiled").run()
        assert len(one.meter.flow_zone_mw) == 1440 // flow_min
        assert_same(one, other)


@pytest.mark.parametrize("strategy", COMPILED)
@given(rows=sessions(), step_s=st.sampled_from(STEPS), eq13=rule_options)
@settings(max_examples=6)
def test_both_engines_follow_the_same_soc(strategy, rows, step_s, eq13):
    fields = fields_of(strategy, "energy_balanced", step_s, limit=2.25)
    fields |= {"eq13": eq13, "ageing": {"model": "xu_2018"}}
    with TemporaryDirectory() as folder:
        base = scenario(*rows, folder=folder, **fields)
        one, other = with_engine(base, "numpy").run(), with_engine(base, "compiled").run()
        assert_same(one, other)
        one, other = one.record.ev, other.record.ev
        assert "cycle_stress" in one
        assert [name for name in one if not same(one[name], other[name])] == []


@pytest.mark.parametrize("strategy", ["uncoordinated", "evms", "coordinated"])
@given(
    rows=sessions(),
    step_s=st.sampled_from(STEPS),
    flow_min=st.sampled_from([15, 60]),
    what=st.sampled_from(["base", "net", "net_with_losses"]),
    kwp=st.floats(0.0, 500.0),
    kwh=st.floats(0.0, 200.0),
    ev=st.sampled_from([{}, {"power_factor": -0.9}, {"volt_var": {"kva_per_kw": 1.2}}]),
    minutes=st.booleans(),
)
@settings(max_examples=4)
def test_both_engines_leave_the_same_zones(
    strategy, rows, step_s, flow_min, what, kwp, kwh, ev, minutes
):
    """PV, batteries and reactive power act on what the meter has, whichever way it came there."""
    fields = fields_of(strategy, "energy_balanced", step_s, limit=2.25)
    fields |= {"broadcast": {"what": what, "interval_min": 15}}
    fields["grid"] |= {"flow_interval_min": flow_min, "vm_max_pu": 1.001}
    fields |= {"pv": {"kwp_per_zone": kwp}, "storage": {"kwh_per_zone": kwh}, "ev": ev}
    fields |= {"record": {"zone_minute": minutes}}
    with TemporaryDirectory() as folder:
        base = scenario(*rows, folder=folder, **fields)
        one, other = with_engine(base, "numpy").run(), with_engine(base, "compiled").run()
        assert_same(one, other)
        one, other = one.record, other.record
        assert same(one.flow_zone_mvar, other.flow_zone_mvar)
        assert same(one.flows.vm_pu, other.flows.vm_pu)
        if one.supply is not None:
            pairs = zip(vars(one.supply).values(), vars(other.supply).values(), strict=True)
            assert all(same(*pair) for pair in pairs)


@pytest.mark.parametrize("strategy", COMPILED)
@given(rows=sessions(), broadcast=broadcasts(losses=False))
@settings(max_examples=4)
def test_both_engines_hear_the_same(strategy, rows, broadcast):
    fields = fields_of(strategy, "energy_balanced", limit=2.25, broadcast=broadcast)
    with TemporaryDirectory() as folder:
        base = scenario(*rows, folder=folder, **fields)
        assert_same(with_engine(base, "numpy").run(), with_engine(base, "compiled").run())


@pytest.mark.parametrize("strategy", ["evms", "evms_herd", "evms_guaranteed"])
@pytest.mark.parametrize(("interval", "delay"), [(1, 0.0), (5, 3.0), (15, 15.0), (60, 0.0)])
def test_both_engines_chase_the_same_tail(strategy, interval, delay):
    broadcast = {"what": "net", "interval_min": interval, "delay_min": delay}
    base = small_paper(strategy=strategy, broadcast=broadcast, fleet={"evs_per_zone": 8})
    assert_same(with_engine(base, "numpy").run(), with_engine(base, "compiled").run())


def test_with_losses_the_numpy_engine_is_taken():
    lossy = small_paper(broadcast={"loss_probability": 0.1}, clock={"engine": "compiled"})
    assert V2GModel(lossy).compiled is None


@pytest.mark.parametrize("strategy", COMPILED)
@pytest.mark.parametrize("ask_every_h", [1, 5, 24])
def test_both_engines_leave_the_same_bytes_in_a_city(strategy, ask_every_h):
    """Also when somebody asks during the run for what is added up in between."""
    base = small_paper(strategy=strategy, feeder={"copies": 3})

    def ran(engine):
        model, hours = with_engine(base, engine), itertools.count(1)
        return model.run(
            on_hour=lambda: model.meter.sync_peak if next(hours) % ask_every_h == 0 else None
        )

    models = [ran(engine) for engine in ("numpy", "compiled")]
    assert not models[0].meter.minutes
    assert models[0].meter.sync_peak.min() > 0
    assert_same(*models)


@pytest.mark.parametrize("strategy", COMPILED)
@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_stepping_and_running_leave_the_same_bytes(strategy, engine):
    base = small_paper(strategy=strategy)
    stepped = with_engine(base, engine)
    for _ in range(stepped.clock.n_steps):
        stepped.step()
    assert stepped.clock.finished
    assert_same(stepped, with_engine(base, engine).run())


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_plans_written_during_the_run_count_in_both_engines(engine):
    model = with_engine(small_paper(strategy="evms"), engine)
    for _ in range(9 * 60):
        model.step()
    ev = next(ev for ev in model.evs if ev.plugged)
    ev.departure_min, ev.soc_target = 600.0, 1.0
    late = next(ev for ev in model.evs if not model.fleet.arrived[ev.row])
    late.arrival_min = 900.0
    model.run()
    table = model.results.ev.set_index("ev_id")
    assert table.loc[ev.ev_id, "departure_min"] == 600.0
    assert table.loc[ev.ev_id, "charged_kwh"] >= 0.0
    begin = model.results.zone_minute.set_index(["zone", "minute"])["evs_plugged"]
    assert begin[late.zone, 900] - begin[late.zone, 899] == 1
    assert begin[ev.zone, 599] - begin[ev.zone, 600] == 1


def test_a_rule_replaced_behind_the_compiled_engine_is_not_ignored():
    for engine in ("numpy", "compiled"):
        model = with_engine(small_paper(strategy="evms"), engine)
        model.home.rule = G2VOnly()
        if engine == "numpy":
            assert model.run().results.kpis["ev_discharged_mwh"] == 0.0
        else:
            with pytest.raises(RuntimeError, match="numpy"):
                model.run()


def test_a_process_of_the_users_own_cuts_the_compiled_hour():
    seen = {}

    def watch(model):
        for _ in range(3):
            yield model.env.timeout(11 * 60 * 60 // 3 + 7)
            seen.setdefault(model.env.now, []).append(model.fleet.soc.copy())

    for engine in ("numpy", "compiled"):
        model = with_engine(small_paper(strategy="evms_immediate"), engine)
        model.env.process(watch(model))
        model.run()
    assert len(seen) == 3
    assert all(same(*states) for states in seen.values())
