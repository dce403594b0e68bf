"""Physics, engines and batches hold for any owners on any number of days, under every strategy."""

import pytest
from helpers import COMPILED, CONNECTED, SELDOM, same
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engines import everything

from abm import Scenario, V2GModel

KWH = 1e-6
chance = st.sampled_from([0.0, 0.3, 1.0])
fraction = st.sampled_from([0.0, 0.2, 0.5, 0.9])


def spread(*values):
    return st.tuples(*[st.sampled_from(values)] * 2).map(
        lambda pair: {"low": min(pair), "high": max(pair)}
    )


behaviour = {
    "plug_in": st.fixed_dictionaries(
        {
            "habit": st.sampled_from(["every_day", "below_soc", "probability"]),
            "soc": fraction,
            "probability": chance,
        }
    ),
    "v2g_participation": chance,
    "own_threshold": st.none() | spread(0.0, 0.3, 0.7),
    "boost_probability": chance,
    "late_return": st.fixed_dictionaries({"probability": chance, "delay_h": spread(0.0, 1.0, 9.0)}),
    "early_departure": st.fixed_dictionaries(
        {"probability": chance, "early_h": spread(0.0, 1.0, 8.0, 20.0)}
    ),
    "trip": st.fixed_dictionaries({"probability": chance, "distance_km": spread(0.0, 60.0, 400.0)}),
    "weekend": st.none()
    | st.fixed_dictionaries(
        {
            "arrival": st.none() | st.just({"low": "14:00", "high": "18:00"}),
            "departure": st.none() | st.just({"low": "9:00", "high": "12:00"}),
        }
    ),
}
groups = st.just({}) | st.fixed_dictionaries(
    {
        "a": st.fixed_dictionaries({"share": st.just(0.4)}, optional=behaviour),
        "b": st.fixed_dictionaries({"share": st.just(0.6)}, optional=behaviour),
    }
)
learning = st.fixed_dictionaries(
    {
        "graph": st.sampled_from(["alone", "watts_strogatz", "barabasi_albert", "zone"]),
        "trial_probability": chance,
        "memory": fraction,
    }
)


@st.composite
def studies(draw, strategy):
    days = draw(st.sampled_from([1, 2, 3]))
    owners = {
        **draw(st.fixed_dictionaries({}, optional=behaviour)),
        "groups": draw(groups),
        "learning": draw(learning) if days > 1 else {},
    }
    return Scenario(
        strategy=strategy,
        seed=draw(st.integers(0, 50)),
        fleet={"evs_per_zone": 2},
        grid={"demand_limit_mw": draw(st.sampled_from([3.24, 2.25]))},
        horizon={"days": days, "first_day": draw(st.sampled_from(["friday", "monday"]))},
        requirement={"kind": draw(st.sampled_from(["as_printed", "energy_balanced"]))},
        clock={"step_s": draw(st.sampled_from([60, 300]))},
        owners=owners,
        **SELDOM,
    )


def check_day(fleet, day):
    """What holds of every stay of a day."""
    there = day["arrived"]
    gained = day["charged_kwh"] * fleet.efficiency - day["discharged_kwh"] / fleet.efficiency
    stored = (day["soc_departure"] - day["soc_arrival"]) * fleet.capacity_kwh
    assert stored[there] == pytest.approx(gained[there], abs=KWH)
    assert not gained[~there].any()
    hours = (day["departure_min"] - day["arrival_min"]) / 60
    assert (day["charged_kwh"][there] <= (fleet.p_max_kw * hours)[there] + KWH).all()
    assert (day["discharged_kwh"][there] <= (fleet.p_discharge_kw * hours)[there] + KWH).all()
    assert not day["discharged_kwh"][~day["v2g"]].any()
    assert ((day["soc_arrival"] >= -1e-12) & (day["soc_arrival"] <= 1)).all()
    gave = day["discharged_kwh"] > 0
    assert (day["soc_arrival"][gave] > 0).all()


@pytest.mark.parametrize("strategy", CONNECTED)
@given(data=st.data())
@settings(max_examples=8)
def test_any_owners_keep_to_physics_in_both_engines(strategy, data):
    studied = data.draw(studies(strategy))
    models = []
    for engine in ("numpy", "compiled") if strategy in COMPILED else ("numpy",):
        model = V2GModel(studied.override({"clock.engine": engine}))
        fleet, days = model.fleet, studied.horizon.days
        while not model.clock.finished:
            model.step()
            if engine == "numpy":
                assert not fleet.p_kw[~fleet.plugged].any()
                assert (fleet.p_kw <= fleet.p_max_kw + KWH).all()
                assert (fleet.p_kw >= -fleet.p_discharge_kw - KWH).all()
                soc = fleet.soc[fleet.plugged]
                assert ((soc >= -1e-12) & (soc <= 1)).all()
        recorded = model.meter.days if days > 1 else [model.meter.close_day()]
        assert len(recorded) == days
        for day in recorded:
            check_day(fleet, day)
        assert model.results.kpis["energy_balance_error_kwh"] <= KWH
        models.append(model)
    one, other = (everything(model) for model in (models[0], models[-1]))
    if models[-1].compiled is not None:
        assert [name for name in one if not same(one[name], other[name])] == []


@given(data=st.data())
@settings(max_examples=10)
def test_a_feeder_with_owners_does_not_see_its_neighbours(data):
    studied = data.draw(studies(data.draw(st.sampled_from(CONNECTED))))
    batch = V2GModel(studied, seed=[7, 8]).run()
    alone = V2GModel(studied, seed=8).run()
    assert batch.results_of(1).kpis == alone.results.kpis
    assert batch.results_of(1).days.equals(alone.results.days)
    assert batch.results_of(1).ev.equals(alone.results.ev)
