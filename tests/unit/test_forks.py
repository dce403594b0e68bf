"""Copies of a model in the middle of its run: they go on to the same bytes."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from helpers import STATE, arrays, ev, same, scenario, small_paper

from abm import EV, Scenario, V2GModel
from abm.errors import InputError, PluginError

QUARTERS = {"clock": {"step_s": 900}}
SMALL = {"fleet.evs_per_zone": 1, "clock.step_s": 900}


class Counting:
    """A rule that remembers, and asks the fleet it saw first."""

    def __init__(self):
        self.asked, self.fleet = 0, None

    def decide(self, fleet, broadcast, minute):
        self.asked += 1
        self.fleet = fleet
        return np.where(self.fleet.soc < 0.5 + 0.001 * self.asked, 1, 0)


class Moody(EV):
    """Counts its own steps, and draws from Mesa's generator."""

    def __init__(self, model, row):
        super().__init__(model, row)
        self.counted = 0

    def decide(self):
        self.counted += 1
        if self.counted == 20 and self.model.minute < 600:
            self.departure_min = self.departure_min - 30.0
        return 1 if self.model.rng.random() < 0.5 else self.requested


def lost(**fields):
    return small_paper(
        **QUARTERS, broadcast={"loss_probability": 0.3, "noise": 0.1, "what": "net"}, **fields
    )


KINDS = {
    "numpy": lambda: V2GModel(small_paper(clock={"engine": "numpy", "step_s": 300})),
    "compiled": lambda: V2GModel(small_paper(clock={"engine": "compiled"})),
    "copies": lambda: V2GModel(small_paper(clock={"engine": "compiled"}), seed=[1, 2]),
    "coordinated": lambda: V2GModel(small_paper(**QUARTERS, strategy="coordinated")),
    "coordinated, compiled": lambda: V2GModel(
        small_paper(clock={"engine": "compiled"}, strategy="coordinated")
    ),
    "mpc": lambda: V2GModel(small_paper(clock={"step_s": 3600}, strategy="mpc")),
    "envelopes": lambda: V2GModel(small_paper(**QUARTERS, strategy="operating_envelopes")),
    "messages": lambda: V2GModel(lost()),
    "days": lambda: V2GModel(
        small_paper(
            **QUARTERS, horizon={"days": 2}, owners={"learning": {"graph": "watts_strogatz"}}
        )
    ),
    "rule": lambda: V2GModel(small_paper(**QUARTERS), rule=Counting()),
    "evs": lambda: V2GModel(small_paper(**QUARTERS), ev_class={3: Moody, 7: Moody}),
    "sessions": lambda: V2GModel(
        scenario(ev("a"), ev("b", arrival=610, departure=1500), clock={"step_s": 300})
    ),
    **{
        name: lambda name=name: V2GModel(Scenario.load(name).override(SMALL))
        for name in ("price_follows_demand", "demand_charge", "worn_batteries", "solar_homes",
                     "volt_var", "customers_differ")
    },
    "phases": lambda: V2GModel(
        Scenario.load("hosting_lv").override(
            {"clock.step_s": 300, "grid.flow_interval_min": 60, "fleet.evs_per_customer": 0.2}
        )
    ),
}  # fmt: skip
HOW = {
    "fork": lambda model: model.fork(),
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


def left_behind(model):
    return {**arrays(model), **{name: getattr(model.fleet, name) for name in STATE}}


@pytest.mark.parametrize("kind", KINDS)
def test_copies_go_on_to_the_same_bytes(kind):
    model = KINDS[kind]()
    steps = model.clock.n_steps
    model._advance(steps * 5 // 12 + 1)  # in the middle of an hour
    fork, pickled = model.fork(), pickle.loads(pickle.dumps(model))
    model._advance(steps // 4)
    second = fork.fork()
    second._advance(steps // 3)
    copies = [fork, pickled, pickle.loads(pickle.dumps(second))]
    expected = left_behind(model.run())
    for one in copies:
        assert type(one) is V2GModel
        found = left_behind(one.run())
        assert [name for name in expected if not same(expected[name], found[name])] == []
        assert one.results.kpis == model.results.kpis


def test_a_fork_is_apart():
    model = V2GModel(small_paper(**QUARTERS), rule=Counting())
    model._advance(40)
    model.evs[0].note = "mine"
    before = {
        name: values.copy()
        for name, values in vars(model.fleet).items()
        if isinstance(values, np.ndarray)
    }
    asked = model.home.rule.asked
    fork = model.fork()
    assert fork.evs[0] is not model.evs[0]
    assert fork.evs[0].note == "mine"
    assert fork.evs[0].model is fork
    assert {id(agent) for agent in fork.agents}.isdisjoint({id(agent) for agent in model.agents})
    fork.evs[0].departure_min = 500.0
    fork.run()
    after = vars(model.fleet)
    assert [name for name in before if not same(before[name], after[name])] == []
    assert model.home.rule.asked == asked < fork.home.rule.asked
    # What never changes is there once.
    assert fork.scenario is model.scenario
    assert fork.grid.feeder is model.grid.feeder
    assert fork.grid.solver is model.grid.solver


def test_agents_of_a_fork_have_numbers_of_their_own_and_mesa_knows_them():
    model = V2GModel(small_paper(**QUARTERS))
    _ = model.evs[0], model.evs[1]
    model._advance(10)
    fork = model.fork()
    for one in (model, fork):
        agents = list(one.agents)
        assert sorted(agent.unique_id for agent in agents) == list(range(1, len(agents) + 1))
        assert len(one.agents_by_type[EV]) == 30
    assert fork.step.__self__ is fork
    fork.step()
    assert fork.clock.step == model.clock.step + 1


def test_a_message_of_a_fork_is_not_to_be_written_to():
    model = V2GModel(small_paper(**QUARTERS))
    model._advance(10)
    for how in HOW.values():
        with pytest.raises(ValueError, match="read-only"):
            how(model).broadcast.demand_mw[0] = 0.0


def test_copies_are_made_between_two_steps():
    class Curious(EV):
        def decide(self):
            return self.model.fork().minute

    with pytest.raises(PluginError, match="RuntimeError: a model is copied between two steps"):
        V2GModel(small_paper(**QUARTERS), ev_class={0: Curious}).run()


def test_a_process_of_one_s_own_cannot_be_copied_and_is_named():
    model = V2GModel(small_paper(**QUARTERS))

    def watching():
        while True:
            yield model.env.timeout(60)

    model.env.process(watching())
    model._advance(4)
    for how in HOW.values():
        with pytest.raises(InputError, match=r"model.env = process watching: nothing of your own"):
            how(model)


def test_look_ahead_within_a_run():
    model, best = V2GModel(small_paper(**QUARTERS)), []

    def look():
        if model.minute == 720:
            fork = model.fork()
            fork.run()
            best.append(fork.results.kpis["net_cost_usd"])

    model.run(on_hour=look)
    assert best == [model.results.kpis["net_cost_usd"]]


def test_forks_are_let_go_of():
    model = V2GModel(small_paper(**QUARTERS))
    model._advance(40)
    fork = model.fork()
    assert len(fork.agents) > 30
    gone = weakref.ref(fork)
    del fork
    gc.collect()
    assert gone() is None


def test_a_subclass_with_attributes_of_its_own():
    class Mine(V2GModel):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            self.seen = []

        def step(self):
            super().step()
            self.seen.append(self.minute)

    model = Mine(small_paper(**QUARTERS))
    for _ in range(5):
        model.step()
    twin = copy.deepcopy(model)
    twin.step()
    assert len(twin.seen) == 6
    assert len(model.seen) == 5
    assert (twin.steps, model.steps) == (6, 5)
