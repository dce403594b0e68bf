"""Sessions of which only the energy is known, over several days, under every strategy."""

from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from helpers import COMPILED, CONNECTED, by_energy, run, scenario, tight
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engines import assert_same, with_engine
from test_physics import STEPS, limits

from abm import V2GModel
from abm.study.bound import optimum

KWH = 1e-6
DAYS = 2


@st.composite
def sessions(draw, most=8):
    """EVs that come again and again, also over midnight, for little and for more than they can."""
    rows = []
    for i in range(draw(st.integers(1, most))):
        free = draw(st.floats(0, 1500))
        for _ in range(draw(st.integers(1, 3))):
            arrival = free + draw(st.floats(0, 600))
            departure = arrival + draw(st.floats(0.5, 1500))
            free = departure
            if arrival < DAYS * 1440:
                energy = draw(st.sampled_from([0.01, 3.0, 12.5, 60.0]) | st.floats(0.1, 100))
                rating = draw(st.sampled_from([1.4, 3.7, 11.0, ""]))
                zone = draw(st.sampled_from([1, 1, 2, 15]))
                rows.append(by_energy(f"ev{i}", zone, arrival, departure, energy, p_max_kw=rating))
    return rows or [by_energy()]


def fields_of(strategy, step_s=60, limit=3.24, efficiency=0.9, **more):
    return {
        "strategy": strategy,
        "requirement": {"kind": "energy_balanced"},
        "clock": {"step_s": step_s},
        "horizon": {"days": DAYS},
        # Bounds of the SoC are not read where there is none.
        "ev": {"efficiency": efficiency, "soc_lower": 0.15, "soc_min": 0.2, "soc_upper": 0.9},
        **tight(limit),
        **more,
    }


@pytest.mark.parametrize("strategy", CONNECTED)
@given(
    rows=sessions(),
    step_s=st.sampled_from(STEPS),
    limit=limits,
    efficiency=st.sampled_from([0.5, 0.9, 1.0]),
)
@settings(max_examples=4)
def test_energy_is_conserved_and_taken_only_while_plugged_in(
    strategy, rows, step_s, limit, efficiency
):
    with TemporaryDirectory() as folder:
        base = scenario(*rows, folder=folder, **fields_of(strategy, step_s, limit, efficiency))
        model = run(base)
    results, fleet = model.results, model.fleet
    stays = results.stays
    asked = pd.DataFrame(rows)
    assert stays["energy_kwh"].to_numpy() == pytest.approx(asked["energy_kwh"].to_numpy(), abs=KWH)
    assert (stays["charged_kwh"] <= stays["energy_kwh"] + KWH).all()
    assert (stays["discharged_kwh"] == 0.0).all()
    ended = stays["departure_min"] <= DAYS * 1440
    balance = stays["charged_kwh"] + stays["shortfall_kwh"] - stays["energy_kwh"]
    assert (np.abs(balance[ended]) < KWH).all()
    assert model.meter.ev_kw.sum() * base.clock.step_s / 3600 == pytest.approx(
        stays["charged_kwh"].sum(), abs=KWH
    )
    # What was drawn in a step fits into the time for which somebody was plugged in.
    here = np.minimum(stays["departure_min"], DAYS * 1440) - stays["arrival_min"]
    rating = fleet.p_max_kw[fleet.row_of]
    assert (stays["charged_kwh"] <= rating * here / 60 + KWH).all()
    power, plugged = model.meter.charge_kw, model.meter.plugged
    assert (power[plugged == 0] == 0.0).all()
    assert results.kpis["energy_balance_error_kwh"] < KWH
    by_ev = results.ev.set_index("ev_id")
    assert by_ev["charged_kwh"].sum() == pytest.approx(stays["charged_kwh"].sum(), abs=KWH)
    assert by_ev["stays"].to_dict() == stays.groupby("ev_id")["plugged_in"].sum().to_dict()


@pytest.mark.parametrize("strategy", COMPILED)
@given(rows=sessions(), step_s=st.sampled_from(STEPS), limit=limits)
@settings(max_examples=4)
def test_both_engines_leave_the_same_bytes(strategy, rows, step_s, limit):
    with TemporaryDirectory() as folder:
        base = scenario(*rows, folder=folder, **fields_of(strategy, step_s, limit))
        assert_same(with_engine(base, "numpy").run(), with_engine(base, "compiled").run())


@given(rows=sessions(most=4), objective=st.sampled_from(["peak", "cost"]))
@settings(max_examples=5)
def test_the_bound_gives_every_session_what_it_can_take(rows, objective):
    with TemporaryDirectory() as folder:
        base = scenario(*rows, folder=folder, **fields_of("uncoordinated"))
        best, at_once = optimum(base, objective), V2GModel(base).run().results
    # Those that the horizon cuts off may leave the rest for after it.
    ended = at_once.stays["departure_min"] <= DAYS * 1440
    short = at_once.stays["shortfall_kwh"][ended].sum()
    assert best.results.stays["shortfall_kwh"][ended].sum() == pytest.approx(short, abs=1e-4)
    key = "peak_15min_mw" if objective == "peak" else "net_cost_usd"
    if ended.all():
        assert best.results.kpis[key] <= at_once.kpis[key] + 1e-4
