"""Equations (1)-(8) and (14)-(23) against numbers worked out by hand."""

import numpy as np
import pytest

from abm.equations import battery, economics
from abm.fleet.stays import stream, truncated_normal

CASES = {
    # eq. (3): 0.85 - 0.45; with the 0.85 of eq. (7): 0.34; a full EV needs nothing
    "3": (battery.required_soc, ([0.85, 0.4], [0.45, 0.5]), [0.4, 0.0]),
    "3, 7": (battery.required_soc, (0.85, 0.45, 0.85), 0.34),
    # eq. (1): 0.4 x 36 / (5.4 x 0.8) x 60 = 14.4 / 4.32 x 60 = 200 min
    "1": (battery.charging_minutes, (0.4, 36.0, 5.4, 0.8), 200.0),
    # eq. (2): 0.4 x 36 / 0.8 = 18 kWh
    "2": (battery.charging_energy, (0.4, 36.0, 0.8), 18.0),
    # eq. (4): 5 x {5, 9}
    "4": (battery.battery_capacity, (5.0, [5, 9]), [25.0, 45.0]),
    # eq. (8): (2 + 3) kWh in half an hour = 10 kW; in an hour 5 kW
    "8, 30 min": (battery.hourly_demand, ([2.0, 3.0], 30.0), 10.0),
    "8, 2 feeders": (battery.hourly_demand, ([[2.0, 3.0], [1.0, 0.0]],), [5.0, 1.0]),
    # eq. (18): 0.5 - 0.2; below the threshold nothing
    "18": (battery.discharged_soc, ([0.5, 0.1], 0.2), [0.3, 0.0]),
    # eq. (17): 0.3 x 40 x 0.9 = 10.8 kWh at the grid side
    "17": (battery.discharging_energy, (0.3, 40.0, 0.9), 10.8),
    # eq. (15): 10.8 / 7.5 x 60 = 86.4 min
    "15": (battery.discharging_minutes, (0.3, 40.0, 7.5, 0.9), 86.4),
    # eq. (14): above the threshold 86.4 + 200, at it 200
    "14": (battery.total_minutes, ([0.5, 0.2], 0.2, 86.4, 200.0), [286.4, 200.0]),
    # eq. (16): 18 - 10.8, at the threshold 18
    "16": (battery.net_energy, ([0.5, 0.2], 0.2, 10.8, 18.0), [7.2, 18.0]),
    # eqs. (19), (20): 0.2 x 10 + 0.3 x 0, hour by hour
    "19": (economics.purchase_cost, ([0.2, 0.3], [10.0, 0.0]), [2.0, 0.0]),
    # eq. (21): 0.25 x 0.6 x 8; with another ratio 0.25 x 0.5 x 8
    "21": (economics.sale_revenue, (0.25, 8.0), 1.2),
    "21, ratio": (economics.sale_revenue, (0.25, 8.0, 0.5), 1.0),
    # eq. (22), the total row of Table III: 1405.38 - (415.70 - 260.00) = 1249.68
    "22": (economics.financial_benefit, (1405.38, 415.70, 260.00), 1249.68),
    # eq. (23): 1.5 - 0.5 + 2
    "23": (economics.total_benefit, ([1.5, -0.5, 2.0],), 3.0),
}


@pytest.mark.parametrize(("function", "arguments", "expected"), CASES.values(), ids=CASES.keys())
def test_equation(function, arguments, expected):
    np.testing.assert_allclose(function(*arguments), expected, rtol=1e-12, atol=1e-15)


def test_bounds_of_the_soc_count_with_a_little_slack():
    soc = [0.2 - 1e-8, 0.2 - 1e-12, 0.2, 0.9, 0.9 + 1e-12, 0.9 + 1e-8]
    assert battery.below_lower_bound(soc, 0.2).tolist() == [True] + [False] * 5
    assert battery.above_upper_bound(soc, 0.9).tolist() == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("low", "high", "mean", "sd", "expected"),
    [
        (0.2, 0.75, 0.475, 0.11, 0.475),  # symmetric: the middle
        # one-sided: mean + sd (phi(0) - phi(2)) / (Phi(2) - Phi(0))
        #            = 10 + 3 (0.398942 - 0.053991) / (0.977250 - 0.5) = 12.1684
        (10.0, 16.0, 10.0, 3.0, 12.1684),
        (5.0, 5.0, 5.0, 1.0, 5.0),  # a point
    ],
)
def test_truncated_normal_keeps_to_its_range_and_mean(low, high, mean, sd, expected):
    draws = truncated_normal(stream(1, "arrival").random(200_000), low, high, mean, sd)
    assert low <= draws.min() <= draws.max() <= high
    assert draws.mean() == pytest.approx(expected, abs=4 * sd / np.sqrt(len(draws)))


def test_streams_are_reproducible_and_differ_by_cause_and_seed():
    first = stream(1, "arrival").random(4).tolist()
    assert stream(1, "arrival").random(4).tolist() == first
    assert stream(2, "arrival").random(4).tolist() != first
    assert stream(1, "departure").random(4).tolist() != first
