"""Physics holds for whatever a rule or an admission of a user's own answers."""

import numpy as np
from helpers import ev, scenario, small_paper
from hypothesis import given, settings
from hypothesis import strategies as st

from abm import V2GModel

KWH = 1e-6


class Whim:
    """Rule and admission that answer at random, with modes or with powers."""

    def __init__(self, seed, powers):
        self.rng, self.powers = np.random.default_rng(seed), powers

    def decide(self, fleet, broadcast, minute):
        if self.powers:
            return self.rng.uniform(-200.0, 200.0, fleet.n)
        return self.rng.integers(-1, 2, fleet.n)

    def admit(self, fleet, request, broadcast, minute):
        return self.decide(fleet, broadcast, minute)


def rows(soc, target, capacity):
    return [
        ev("a", soc=soc, target=target, capacity=capacity, arrival=300.5, departure=900.25),
        ev("b", soc=1.0 - soc, target=1.0, capacity=20.0, arrival=310, departure=1300),
    ]


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    powers=st.booleans(),
    both=st.booleans(),
    kind=st.sampled_from(["as_printed", "energy_balanced"]),
    soc=st.floats(0, 1),
    target=st.floats(0, 1),
    capacity=st.sampled_from([0.01, 40.0]),
)
def test_energy_is_kept_and_no_bound_is_left(seed, powers, both, kind, soc, target, capacity):
    studied = scenario(
        *rows(soc, target, capacity), clock={"step_s": 900}, requirement={"kind": kind}
    )
    whim = Whim(seed, powers)
    model = V2GModel(studied, rule=whim, admission=whim if both else None)
    fleet = model.fleet
    while not model.clock.finished:
        model.step()
        there = fleet.plugged
        assert not fleet.p_kw[~there].any()
        assert (fleet.p_kw <= fleet.p_max_kw + KWH).all()
        assert (fleet.p_kw >= -fleet.p_discharge_kw - KWH).all()
        assert (fleet.soc[there] <= 1.0 + 1e-9).all()
        assert (fleet.soc[there] >= -1e-9).all()
    kpis = model.results.kpis
    assert kpis["energy_balance_error_kwh"] < KWH
    moved = kpis["ev_charged_mwh"] - kpis["ev_discharged_mwh"]
    assert abs(model.results.ev_mw.sum() - moved) < KWH
    assert whim.rng.bit_generator.state == np.random.default_rng(seed).bit_generator.state


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32), at=st.integers(1, 95))
def test_a_fork_of_a_whim_goes_on_as_the_whim_does(seed, at):
    studied = small_paper(clock={"step_s": 900})
    model = V2GModel(studied, rule=Whim(seed, False))
    for _ in range(at):
        model.step()
    fork = model.fork()
    assert fork.run().results.kpis == model.run().results.kpis
