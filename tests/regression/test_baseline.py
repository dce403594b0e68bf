"""The paper's scenarios give the stored KPIs; `refresh.py` stores them anew."""

import json

import pytest
from refresh import BASELINE, SCENARIOS, kpis

from abm.scenario.names import STRATEGIES

# What HiGHS leaves within its tolerances is another version's own.
REL = {"mpc": 1e-3}
STORED = json.loads(BASELINE.read_text(encoding="utf-8"))


def test_the_baseline_holds_every_strategy():
    assert {scenario: set(found) for scenario, found in STORED.items()} == {
        scenario: set(STRATEGIES) for scenario in SCENARIOS
    }


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_kpis_are_the_stored_ones(scenario, strategy):
    found, stored = kpis(scenario, strategy), STORED[scenario][strategy]
    assert list(found) == list(stored)
    for name, value in stored.items():
        if isinstance(value, float):
            assert found[name] == pytest.approx(value, rel=REL.get(strategy, 1e-9), abs=1e-9), name
        else:
            assert found[name] == value, name
