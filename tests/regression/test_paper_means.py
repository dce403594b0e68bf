"""Means over 20 seeds against the columns of READING.md, which the paper's Tables II, III meet."""

import numpy as np
import pytest
from helpers import run

from abm import Scenario

QUANTITIES = ("feeder_energy_mwh", "system_peak_mw", "max_loss_mw", "min_vm_pu", "net_cost_usd")
# Day MWh, peak MW, largest loss MW, lowest voltage p.u., net cost $
FOUND = {
    ("paper", "uncoordinated"): (71.99, 5.24, 0.378, 0.8709, 1430),
    ("paper", "evms"): (67.20, 3.24, 0.145, 0.929, 167),
    ("paper_balanced", "uncoordinated"): (73.94, 5.59, 0.431, 0.861, 1800),
    ("paper_balanced", "evms"): (72.29, 3.24, 0.144, 0.929, 730),
}
# The net cost of EVMS as printed is a small difference of large sums: 167 +- 17 over seeds.
STATED = {("paper", "evms", "net_cost_usd"): 17.0}


@pytest.fixture(scope="module", params=FOUND, ids="-".join)
def case(request):
    scenario, strategy = request.param
    model = run(Scenario.load(scenario).override(strategy=strategy), seed=range(1, 21))
    return request.param, [model.results_of(k).kpis for k in range(20)]


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_means_over_20_seeds(case, quantity):
    which, kpis = case
    expected = FOUND[which][QUANTITIES.index(quantity)]
    spread = STATED.get((*which, quantity), 0.02 * expected)
    assert np.mean([k[quantity] for k in kpis]) == pytest.approx(expected, abs=spread)


def test_hours_of_the_peaks(case):
    (_, strategy), kpis = case
    hours = {k["system_peak_hour"] for k in kpis}
    if strategy == "uncoordinated":
        # READING.md says 21:00; the two hours after 20:00 are within 1 % of each other.
        assert hours <= {20, 21}
    else:
        # Flat under the limit from the last hour before the evening peak into the morning, so that
        # a few kW decide which hour is the highest.
        assert hours <= {18, 23, 0, 1, 2, 3, 4, 5, 6}
        assert all(3.22 < k["system_peak_mw"] <= 3.24 for k in kpis)


def test_who_is_left_short(case):
    (scenario, strategy), kpis = case
    short = np.mean([k["evs_short"] for k in kpis])
    if strategy == "uncoordinated":
        assert short == (0 if scenario == "paper_balanced" else 600)
    else:  # READING.md: 272 of 600 in 4 seeds, "almost half"
        assert (short == 600) if scenario == "paper" else (200 < short < 300)
