"""Equations (1)-(8), (10), (11) and (13)-(23) against numbers worked out by hand."""

from functools import reduce
from operator import add

import numpy as np
import pytest

from abm.equations import admission, battery, economics, load_flow, switching
from abm.fleet.stays import stream, truncated_normal

A = np.array
CASES = {
    # eq. (3): 0.85 - 0.45; with the 0.85 of eq. (7): 0.34; a full EV needs nothing
    "3": (battery.required_soc, (A([0.85, 0.4]), A([0.45, 0.5])), [0.4, 0.0]),
    "3, 7": (battery.required_soc, (0.85, 0.45, 0.85), 0.34),
    # eqs. (3), (16) as printed: 0.3 + 0.4; never above a full battery
    "16": (battery.printed_goal, (A([0.3, 0.8]), A([0.4, 0.4])), [0.7, 1.0]),
    # 0.4 of 36 kWh
    "stored": (battery.stored_energy, (0.4, 36.0), 14.4),
    # eq. (1): 14.4 / (5.4 x 0.8) x 60 = 14.4 / 4.32 x 60 = 200 min; nothing to charge takes none
    "1": (battery.charging_minutes, (A([14.4, -1.0]), 5.4, 0.8), [200.0, 0.0]),
    # eq. (2): 14.4 / 0.8 = 18 kWh
    "2": (battery.charging_energy, (14.4, 0.8), 18.0),
    # eq. (4): 5 x {5, 9}
    "4": (battery.battery_capacity, (5.0, A([5, 9])), [25.0, 45.0]),
    # eq. (8): (2 + 3) kWh in half an hour = 10 kW; in an hour 5 kW
    "8, 30 min": (battery.hourly_demand, (A([2.0, 3.0]), 30.0), 10.0),
    "8, 2 feeders": (battery.hourly_demand, (A([[2.0, 3.0], [1.0, 0.0]]),), [5.0, 1.0]),
    "8, one EV": (battery.mean_power, (0.09, 1.0 / 60.0), 5.4),
    # eq. (18): 0.5 - 0.2; below the threshold nothing
    "18": (battery.spare_soc, (A([0.5, 0.1]), 0.2), [0.3, 0.0]),
    # eq. (17): 0.3 x 40 x 0.9 = 10.8 kWh at the grid side
    "17": (battery.discharging_energy, (12.0, 0.9), 10.8),
    # eqs. (1), (15): 12 kWh stored give 10.8 kWh in 86.4 min at 7.5 kW, and charging them again
    # takes 12 / (5.4 x 0.9) x 60 = 148.148 min
    "15": (battery.put_back, (0.9, 7.5, 5.4), 148.148148148148 / 86.4),
    # 12 / 0.9 = 13.333 kWh drawn for 10.8 supplied
    "15, kWh": (battery.put_back, (0.9,), 13.3333333333333 / 10.8),
    # a minute at 5.4 kW is 0.09 kWh; 0.05 kWh stored are 0.0625 kWh at an efficiency of 0.8
    "charge": (battery.charged_in, (A([9.0, 0.05]), 5.4, 0.8, 1 / 60), [0.09, 0.0625]),
    "discharge": (battery.discharged_in, (A([9.0, 0.05]), 7.5, 0.8, 1 / 60), [0.125, 0.04]),
    # 0.5 + 2 x 0.8 / 40; 0.5 - 2 / 0.8 / 40; never across the bound
    "soc up": (battery.soc_charged, (0.5, 2.0, 0.8, 40.0, A([1.0, 0.52])), [0.54, 0.52]),
    "soc down": (battery.soc_discharged, (0.5, 2.0, 0.8, 40.0, A([0.2, 0.48])), [0.4375, 0.48]),
    # half of the way from 0.8 to 1 half of the power; all of it below, none above
    "taper": (battery.tapered_rating, (A([0.5, 0.8, 0.9, 1.0, 1.1]), 10.0, 0.8), [10, 10, 5, 0, 0]),
    # 20 kWh at 10 kW with 0.8 up to SoC 0.7: 0.5 h take 5 kWh; from 0.7 on 1 - SoC falls by
    # exp(-10 x 0.8 / (20 x 0.2) h): in 0.25 h from 0.8 0.2 x (1 - exp(-0.5)) x 20 / 0.8 kWh
    "taper, below": (battery.tapered_charge, (9.0, 10.0, 0.8, 0.5, 0.3, 20.0, 10.0, 0.8), 5.0),
    "taper, above": (
        battery.tapered_charge,
        (9.0, 10.0, 0.8, 0.25, 0.8, 20.0, 10.0, 0.8),
        5.0 * (1.0 - np.exp(-0.5)),
    ),
    # at 5 kW the knee lies at 0.9: 0.25 h from 0.85 take 1.25 kWh to it and no more
    "taper, less power": (battery.tapered_charge, (9, 5.0, 0.8, 0.25, 0.85, 20.0, 10.0, 0.8), 1.25),
    "taper, need": (battery.tapered_charge, (0.4, 10.0, 0.8, 1.0, 0.3, 20.0, 10.0, 0.8), 0.5),
    # 0.3 to 0.8 is 10 kWh at 8 kW stored: 75 min; from there to 0.9 ln 2 / 2 h more
    "taper, minutes": (
        battery.tapered_minutes,
        (A([0.3, 0.8, 0.9]), A([0.8, 0.9, 0.8]), 10.0, 0.8, 20.0, 0.8),
        [75.0, 30.0 * np.log(2.0), 0.0],
    ),
    # plugged in from 10.25 on, until 10.75, all the time, and all but a billionth of it
    "window": (
        battery.plugged_hours,
        (A([10.25, 0.0, 0.0, 10.0 + 1e-10]), A([99, 10.75, 99, 99]), 10.0, 11.0, 1 / 60),
        [0.75 / 60, 0.75 / 60, 1 / 60, 1 / 60],
    ),
    # eqs. (19), (20): 0.2 x 10 + 0.3 x 0, hour by hour
    "19": (economics.purchase_cost, ([0.2, 0.3], [10.0, 0.0]), [2.0, 0.0]),
    # eq. (21): 0.25 x 0.6 x 8; with another ratio 0.25 x 0.5 x 8
    "21": (economics.sale_revenue, (0.25, 8.0), 1.2),
    "21, ratio": (economics.sale_revenue, (0.25, 8.0, 0.5), 1.0),
    # eq. (22), the total row of Table III: 1405.38 - (415.70 - 260.00) = 1249.68
    "22": (economics.financial_benefit, (1405.38, 415.70, 260.00), 1249.68),
    # eq. (23): 1.5 - 0.5 + 2
    "23": (economics.total_benefit, ([1.5, -0.5, 2.0],), 3.0),
    # a step of a minute and what puts it back: 1 + 7.5 / (0.81 x 5.4)
    "spent": (admission.spent_discharging, (1.0, 0.9, 7.5, 5.4), 1.0 + 7.5 / 4.374),
    # minute 720 less an hour of charging, from now or from the arrival at minute 540 on
    "laxity": (admission.laxity, (720.0, A([0.0, 540.0]), 480.0, 60.0), [180.0, 120.0]),
    # 20.2 kW hold three chargers of 5.4 kW, 16.2 kW exactly three
    "chargers": (admission.whole_chargers, (A([20.2, 16.2, -1.0]), 5.4), [3.0, 3.0, 0.0]),
    "quota": (admission.quota, (A([4, 2]), 3, 6), [2.0, 1.0]),
    "room": (admission.room_left, (A([5.0, 1.0]), 2.0), [3.0, 0.0]),
}


def test_the_power_balance_of_eqs_10_and_11_is_the_sum_over_the_buses():
    """With the sign of (11) in both: V_m sum V_r y_mr cos (less: sin) (theta_mr + d_r - d_m)."""
    draws = np.random.default_rng(5)
    v_m, delta = draws.uniform(0.9, 1.1, (2, 4)), draws.uniform(-0.2, 0.2, (2, 4))
    y, theta = draws.uniform(0.0, 9.0, (4, 4)), draws.uniform(-3.0, 3.0, (4, 4))
    angle = theta + delta[:, None, :] - delta[:, :, None]
    active = v_m * (v_m[:, None, :] * y * np.cos(angle)).sum(axis=2)
    reactive = -v_m * (v_m[:, None, :] * y * np.sin(angle)).sum(axis=2)
    found = load_flow.injected_power(v_m * np.exp(1j * delta), y * np.exp(1j * theta), 10.0)
    assert found.real == pytest.approx(10.0 * active)
    assert found.imag == pytest.approx(10.0 * reactive)


def modes(told, can_discharge, has_charged, one, above):
    v2g = switching.discharges(told, can_discharge, has_charged, one)
    return switching.mode(switching.charges(v2g, can_discharge, has_charged, above), v2g)


@pytest.mark.parametrize(
    ("told", "can_discharge", "has_charged", "one", "above", "mode"),
    [
        (True, True, False, True, True, -1),  # demand at the limit, SoC above the threshold
        (True, True, True, True, True, 1),  # T_dg + T_cg: no discharging after charging
        (True, True, True, False, True, -1),
        (False, True, False, True, True, 1),
        (False, True, False, True, False, 0),  # above the threshold and not told to
        (False, True, True, True, False, 1),  # has begun to charge
        (True, False, False, True, False, 1),  # at the threshold
    ],
)
def test_eq_13_on_numbers_and_columns(told, can_discharge, has_charged, one, above, mode):
    assert modes(told, can_discharge, has_charged, one, above) == mode
    columns = [np.array([value, value]) for value in (told, can_discharge, has_charged)]
    found = modes(*columns, one, above)
    assert found.tolist() == [mode, mode]
    assert found.dtype == np.int8


@pytest.mark.parametrize(("function", "arguments", "expected"), CASES.values(), ids=CASES.keys())
def test_equation(function, arguments, expected):
    np.testing.assert_allclose(function(*arguments), expected, rtol=1e-12, atol=1e-15)


def test_bounds_of_the_soc_count_with_a_little_slack():
    soc = np.array([0.2 - 1e-8, 0.2 - 1e-12, 0.2, 0.9, 0.9 + 1e-12, 0.9 + 1e-8])
    assert battery.below_lower_bound(soc, 0.2).tolist() == [True] + [False] * 5
    assert battery.above_upper_bound(soc, 0.9).tolist() == [False] * 5 + [True]


def test_rounding_decides_nothing_in_an_admission():
    three = 5.4 + 5.4 + 5.4
    # One after the other, as chargers are added up; `sum` keeps what is lost since Python 3.12.
    eight = reduce(add, [0.1] * 8)
    assert three > 16.2
    assert admission.fits(three, 16.2)
    assert not admission.fits(16.21, 16.2)
    assert 16.2 / 5.4 < 3.0
    assert admission.whole_chargers(16.2, 5.4) == 3.0
    assert admission.whole_chargers(16.1, 5.4) == 2.0
    assert eight < 0.8
    assert admission.reaches(eight, 0.8)
    assert not admission.reaches(0.79, 0.8)
    assert 0.7 + 0.1 + 0.1 + 0.1 < 1.0
    assert admission.whole_part(0.7 + 0.1 + 0.1 + 0.1) == 1.0
    assert admission.whole_part(0.99) == 0.0
    assert not admission.out_of_slack(eight, 0.8)
    assert admission.out_of_slack(0.79, 0.8)


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
