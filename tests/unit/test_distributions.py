"""Distributions that a scenario may draw from: each shape against its own mean, sd and bounds."""

import numpy as np
import pytest
from helpers import run, small_paper
from scipy import stats

from abm import Scenario
from abm.errors import InputError
from abm.fleet.distributions import beta, draws, lognormal, mixture
from abm.fleet.owners import draw_fraction, draw_quantity
from abm.scenario.fields import Range, Spread, TimeOfDay

U = (np.arange(200_000) + 0.5) / 200_000


def test_lognormal_is_the_one_of_scipy():
    found = lognormal(U, 0.0, 1e9, 8.0, 6.0)
    assert found.mean() == pytest.approx(8.0, rel=1e-3)
    assert found.std() == pytest.approx(6.0, rel=5e-3)
    s = np.sqrt(np.log1p((6 / 8) ** 2))
    there = stats.lognorm.ppf(U[::999], s, scale=8.0 / np.sqrt(1 + (6 / 8) ** 2))
    assert found[::999] == pytest.approx(there, rel=1e-9)
    cut = lognormal(U, 2.0, 20.0, 8.0, 6.0)
    assert (cut.min(), cut.max()) == pytest.approx((2.0, 20.0), abs=1e-3)


def test_beta_has_its_mean_and_sd():
    found = beta(U, 10.0, 50.0, 20.0, 6.0)
    assert (found.mean(), found.std()) == pytest.approx((20.0, 6.0), rel=1e-3)
    assert 10.0 <= found.min() <= found.max() <= 50.0


def test_mixture_is_the_sum_of_its_parts():
    parts = np.array([[3.0, 8.0, 1.0], [1.0, 18.0, 2.0]])
    found = mixture(U, 0.0, 24.0, parts)
    assert found.mean() == pytest.approx(10.5, rel=1e-3)
    assert (found < 13.0).mean() == pytest.approx(0.75, abs=2e-3)
    assert (np.diff(found) >= 0.0).all()


def test_empirical_and_uniform():
    spec = Spread(low=0.0, high=10.0, shape="empirical", quantiles=[0.0, 1.0, 9.0, 10.0])
    assert draw_quantity(np.array([0.0, 1 / 3, 0.5, 2 / 3]), spec) == pytest.approx([0, 1, 5, 9])
    flat = Range(low=0.2, high=0.6, shape="uniform")
    assert draw_fraction(U, flat).mean() == pytest.approx(0.4)


def test_clock_times_count_from_low():
    spec = TimeOfDay(low="16:00", high="24:00", shape="mixture", parts=[[1.0, 2.0, 0.01]])
    found = draws(U, spec, 240.0, 720.0, 480.0, 120.0, 60.0, 240.0)
    assert found.mean() == pytest.approx(360.0, abs=0.5)


SHAPES = {
    "lognormal": {"mean": 0.4, "sd": 0.2},
    "beta": {"mean": 0.4, "sd": 0.2},
    "uniform": {},
    "empirical": {"quantiles": [0.2, 0.3, 0.75]},
    "mixture": {"parts": [[1, 0.3, 0.05], [1, 0.6, 0.05]]},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_fleet_takes_every_shape(shape):
    spread = {"low": 0.2, "high": 0.75, "shape": shape, **SHAPES[shape]}
    arrival = {"low": "16:00", "high": "24:00", "sd_h": 1.5, "shape": shape}
    arrival |= {
        "empirical": {"quantiles": [0.0, 4.0, 8.0]},
        "mixture": {"parts": [[1, 3, 0.5], [1, 6, 0.5]]},
    }.get(shape, {})
    fleet = {"evs_per_zone": 2, "soc_arrival": spread, "arrival": arrival}
    model = run(small_paper(fleet=fleet))
    soc, came = model.fleet.soc_arrival, model.fleet.arrival_min
    assert ((soc >= 0.2) & (soc <= 0.75)).all()
    assert ((came >= 240) & (came <= 720)).all()
    assert len(np.unique(soc)) == 30
    again = Scenario(**{"fleet": fleet})
    assert again == again.override({"seed": again.seed})


@pytest.mark.parametrize(
    ("spread", "field"),
    [
        ({"shape": "empirical"}, "quantiles"),
        ({"shape": "empirical", "quantiles": [0.1, 0.5]}, "quantiles"),
        ({"shape": "mixture"}, "parts"),
        ({"shape": "mixture", "parts": [[1, 0.5]]}, "parts"),
        ({"shape": "mixture", "parts": [[1, 0.5, 0]]}, "parts"),
        ({"shape": "beta", "sd": 0.4}, "sd"),
        ({"shape": "gamma"}, "shape"),
    ],
)
def test_what_a_shape_needs(spread, field):
    with pytest.raises(InputError) as caught:
        Scenario(fleet={"soc_arrival": {"low": 0.2, "high": 0.75, **spread}})
    assert [problem.field for problem in caught.value.problems] == [f"fleet.soc_arrival.{field}"]
