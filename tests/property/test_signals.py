"""Physics and repeatability hold whatever is broadcast, however late, to whomever."""

import numpy as np
import pytest
from helpers import CONNECTED, arrays, run, same, scenario, small_paper, stepped
from hypothesis import given, settings
from hypothesis import strategies as st
from test_physics import KWH, fields_of, sessions

from abm import V2GModel


def broadcasts(losses=True):
    """Settings of `broadcast`; a time step of 60 s divides every interval."""
    return st.fixed_dictionaries(
        {
            "what": st.sampled_from(["base", "net", "net_with_losses"]),
            "interval_min": st.sampled_from([1, 5, 15, 60]),
            "delay_min": st.sampled_from([0.0, 1.0, 7.5, 30.0, 90.0]),
            "loss_probability": st.sampled_from([0.0, 0.3, 1.0] if losses else [0.0]),
            "noise": st.sampled_from([0.0, 0.05, 1.0]),
        }
    )


@pytest.mark.parametrize("strategy", CONNECTED)
@given(rows=sessions(), broadcast=broadcasts())
@settings(max_examples=4)
def test_energy_bounds_and_ratings(strategy, rows, broadcast):
    fields = fields_of(strategy, "energy_balanced", limit=2.25, broadcast=broadcast)
    model = V2GModel(scenario(*rows, **fields))
    fleet = model.fleet
    lowest = np.minimum(fleet.soc_arrival, fleet.soc_min)
    most = np.maximum(fleet.soc_target, fleet.soc_arrival)
    for _ in stepped(model):
        soc = fleet.soc[~np.isnan(fleet.soc)]
        known = ~np.isnan(fleet.soc)
        assert (soc >= lowest[known]).all()
        assert (soc <= most[known]).all()
        assert (fleet.p_kw <= fleet.p_max_kw + KWH).all()
        assert (fleet.p_kw >= -fleet.p_discharge_kw - KWH).all()
        assert not fleet.p_kw[~fleet.plugged].any()
    stored = (model.results.soc_departure - fleet.soc_arrival) * fleet.capacity_kwh
    eta = fleet.efficiency
    assert stored == pytest.approx(fleet.charged_kwh * eta - fleet.discharged_kwh / eta, abs=KWH)


@pytest.mark.parametrize("strategy", CONNECTED)
@given(broadcast=broadcasts())
@settings(max_examples=2)
def test_a_batch_equals_its_single_runs(strategy, broadcast):
    studied = small_paper(strategy=strategy, broadcast=broadcast, record={"zone_minute": True})
    batch = run(studied, seed=[3, 4])
    for k, seed in enumerate((3, 4)):
        one, alone = batch.results_of(k), run(studied, seed=seed).results
        assert one.kpis == alone.kpis
        for name in ("hourly", "zone_minute", "ev", "zones"):
            assert getattr(one, name).equals(getattr(alone, name)), name


@given(broadcast=broadcasts(), strategy=st.sampled_from(CONNECTED))
@settings(max_examples=4)
def test_the_same_seed_gives_the_same_bytes_stepped_or_run(broadcast, strategy):
    studied = small_paper(strategy=strategy, broadcast=broadcast)
    stepping = V2GModel(studied)
    for _ in stepped(stepping):
        pass
    a, b = arrays(stepping), arrays(run(studied))
    assert [name for name in a if not same(a[name], b[name])] == []
