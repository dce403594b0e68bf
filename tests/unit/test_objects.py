"""Rules, admissions, behaviours and EV classes as objects of Python."""

import copy
import json
import pickle

import numpy as np
import pytest
from helpers import run, same, small_paper

from abm import EV, Scenario, V2GModel
from abm.control import Eq13, FirstCome
from abm.errors import InputError, PluginError
from abm.results.folder import manifest, strategy_label
from abm.scenario.digests import digest
from abm.study.compare import under
from abm.study.days import kept_by_day
from abm.study.fingerprint import differences, question
from abm.study.montecarlo import montecarlo

QUICK = {"clock": {"step_s": 900}}


def quick(**fields) -> Scenario:
    return small_paper(**{**QUICK, **fields})


class Night:
    """Charges from an hour on; counts how often it was asked."""

    def __init__(self, from_min=600.0):
        self.from_min, self.asked = from_min, 0

    def decide(self, fleet, broadcast, minute):
        self.asked += 1
        return np.full(fleet.n, int(minute >= self.from_min))


class Both(Night):
    """Rule and admission in one; the admission sees what the rule noted."""

    def admit(self, fleet, request, broadcast, minute):
        assert self.asked > 0
        return request if self.asked % 2 else np.zeros_like(request)


class Early:
    def __init__(self, minutes):
        self.minutes = minutes

    def plan(self, plan, rng):
        plan.arrival_min -= self.minutes


class Idle(EV):
    def decide(self):
        return 0


def night(fleet, broadcast, minute):
    return np.full(fleet.n, int(minute >= 600.0))


def test_a_rule_is_asked_in_the_place_of_the_named_one_and_keeps_the_admission():
    model = V2GModel(quick(), rule=Night()).run()
    assert model.home.rule.asked > 0
    assert isinstance(model.admission, FirstCome)
    assert not model.meter.ev_kw[: 600 // 15].any()
    assert model.meter.ev_kw.any()
    assert strategy_label(model.scenario) == "test_objects:Night+first_come"


def test_what_is_handed_in_never_changes_and_models_share_nothing():
    rule, studied = Night(), quick()
    runs = [V2GModel(studied, rule=rule).run() for _ in range(2)]
    assert rule.asked == 0
    asked = {model.home.rule.asked for model in runs}
    assert len(asked) == 1
    assert asked.pop() > 0
    assert same(runs[0].meter.ev_kw, runs[1].meter.ev_kw)


def test_rule_and_admission_may_be_one_object():
    both = Both()
    model = V2GModel(quick(), rule=both, admission=both)
    assert model.home.rule is model.admission is not both
    model.run()
    assert both.asked == 0


def test_a_function_does_for_a_rule_and_is_called_by_its_name():
    by_function = V2GModel(quick(), rule=night).run()
    assert same(by_function.meter.ev_kw, V2GModel(quick(), rule=Night()).run().meter.ev_kw)
    assert strategy_label(by_function.scenario) == "test_objects:night+first_come"

    def wrong(fleet, broadcast, minute):
        return 7

    with pytest.raises(InputError, match=r"strategy.rule = 7, answered by test_objects:.*wrong"):
        V2GModel(quick(), rule=wrong).run()
    with pytest.raises(PluginError, match=r"test_objects:.*lambda.*: decide raised ZeroDivision"):
        V2GModel(quick(), rule=lambda fleet, broadcast, minute: 1 / 0).run()


def test_a_built_in_rule_as_an_object_gives_the_bytes_of_its_name():
    studied = quick(clock={"step_s": 900, "engine": "compiled"})
    named = run(studied)
    given = V2GModel(studied, rule=Eq13(), admission=FirstCome()).run()
    assert given.compiled is not None
    assert same(named.meter.ev_kw, given.meter.ev_kw)


def test_a_behaviour_of_all_owners_or_of_a_group():
    plain = run(quick())
    early = V2GModel(quick(), behaviour=Early(30.0))
    assert np.allclose(early.fleet.arrival_min, plain.fleet.arrival_min - 30.0)
    groups = {"owners": {"groups": {"a": {"share": 0.5}, "b": {"share": 0.5}}}}
    some = V2GModel(quick(**groups), behaviour={"a": Early(30.0)})
    moved = some.fleet.arrival_min != V2GModel(quick(**groups)).fleet.arrival_min
    assert 0 < moved.sum() < some.fleet.n
    with pytest.raises(InputError, match=r"behaviour = c: a group of owners: a, b"):
        V2GModel(quick(**groups), behaviour={"c": Early(30.0)})


def test_an_ev_class_goes_with_the_scenario_and_stands_on_every_copy():
    studied = quick().with_objects(ev_class={0: Idle})
    model = V2GModel(studied, seed=[1, 2]).run()
    idle = [i for i, ev in enumerate(model.evs) if isinstance(ev, Idle)]
    assert idle == [0, 30]
    assert all(model.evs[i].charged_kwh == 0.0 for i in idle)
    with pytest.raises(InputError, match="ev_class = 30: an index below 30"):
        V2GModel(quick(), seed=[1, 2], ev_class={30: Idle})
    with pytest.raises(InputError, match=r"ev_class = .*Night.*: a subclass of abm.EV"):
        V2GModel(quick(), ev_class=Night)


def test_base_with_a_rule_connects_the_evs():
    model = V2GModel(quick(strategy="none"), rule=Night()).run()
    assert model.meter.ev_kw.any()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rule": Night}, r"rule = Night: .*decide\(fleet, broadcast, minute\).*Night\(\.\.\.\)"),
        ({"rule": 3}, r"rule = builtins:int: an object with a method decide"),
        ({"admission": Night()}, r"admission = test_objects:Night: .*admit\(fleet, request"),
        ({"behaviour": Night()}, r"behaviour = test_objects:Night: .*plan\(plan, rng\)"),
        ({"kpis": {"x": 3}}, r"kpis.x = 3: a function of the results"),
        ({"kpis": {"A b": len}}, r"kpis = 'A b': a name of small letters"),
    ],
)
def test_what_cannot_be_one_is_refused(given, said):
    with pytest.raises(InputError, match=said):
        quick().with_objects(**given)


def test_what_cannot_be_copied_is_named():
    rule = Night()
    rule.file = (i for i in range(3))
    with pytest.raises(
        InputError, match=r"rule = test_objects:Night: an object that copy.deepcopy"
    ):
        V2GModel(quick(), rule=rule)


def test_override_keeps_objects_but_those_it_replaces():
    mine = quick().with_objects(rule=Night(), behaviour=Early(30.0), ev_class=Idle)
    assert mine.override(seed=5).objects == mine.objects
    other = mine.override(strategy="uncoordinated")
    assert other.objects.rule is None
    assert other.objects.behaviour is not None
    assert strategy_label(other) == "uncoordinated"
    assert mine.override({"owners.behaviour": None}).objects.behaviour is None
    assert mine.override(owners={"behaviour": None}).objects.behaviour is None
    assert mine.override({"owners.plug_in.habit": "every_day"}).objects.behaviour is not None


def test_named_code_in_whose_place_an_object_stands_needs_no_trust():
    named = quick(strategy={"rule": "nowhere:Rule"})
    with pytest.raises(InputError, match="only with --trust"):
        V2GModel(named)
    assert V2GModel(named, rule=Night()).home.rule.asked == 0


def test_scenarios_are_equal_when_their_objects_hold_the_same():
    plain, mine = quick(), quick().with_objects(rule=Night(300.0))
    assert mine == quick().with_objects(rule=Night(300.0))
    assert hash(mine) == hash(quick().with_objects(rule=Night(300.0)))
    assert mine == pickle.loads(pickle.dumps(mine)) == copy.deepcopy(mine)
    assert mine != plain
    assert mine != quick().with_objects(rule=Night(301.0))


def test_digests_tell_state_and_code_and_nothing_else():
    def adds(n):
        return lambda x: x + n

    assert digest(adds(1)) == digest(adds(1)) != digest(adds(2))
    assert digest(lambda x: x + 1) != digest(lambda x: x - 1)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
    assert digest({"x", "y", "z"}) == digest({"z", "y", "x"})
    assert digest([1]) != digest((1,))
    assert digest(1) != digest(1.0) != digest("1.0")
    assert digest(np.arange(3)) != digest(np.arange(3.0)) != digest(np.arange(3.0)[:, None])
    first, second = "".join(["ab", "c"]), "".join(["a", "bc"])
    assert digest([first, first]) == digest([first, second])
    circle: list = [1]
    circle.append(circle)
    assert digest(circle) == digest(copy.deepcopy(circle)) != digest([1, [1]])
    assert digest(np.random.default_rng(1)) == digest(np.random.default_rng(1))
    assert digest(np.random.default_rng(1)) != digest(np.random.default_rng(2))

    def made(text):
        space: dict = {"__name__": __name__, "np": np}
        exec(text, space)
        return space["Rule"]()

    source = "def f():\n    return {}\nclass Rule:\n    def decide(self, *a):\n        return f()"
    assert digest(made(source.format(1))) == digest(made("\n\n" + source.format(1)))
    assert digest(made(source.format(1))) != digest(made(source.format(2)))


def test_manifest_and_yaml_say_what_was_given_and_do_not_pretend():
    mine = quick().with_objects(rule=Night(300.0), kpis={"highest": max})
    said = manifest("run", mine, ["mine"])["objects"]
    assert json.loads(json.dumps(said)) == said
    assert said["rule"]["class"] == "test_objects:Night"
    assert "0x" not in said["rule"]["text"]
    assert len(said["rule"]["source"]) == 64
    assert said["kpis.highest"]["class"] == "builtins:builtin_function_or_method"
    assert "objects" not in manifest("run", quick(), ["evms"])
    text = mine.to_yaml()
    assert "# rule = test_objects:Night" in text
    assert "another scenario" in text
    assert quick().to_yaml() in text


def test_a_study_does_not_go_on_with_another_object():
    def asked(rule):
        one = quick() if rule is None else quick().with_objects(rule=rule)
        return question("montecarlo", one, ["mine"], 10, [one])

    before = asked(Night(300.0))
    assert list(differences(before, asked(Night(300.0)), "study.json")) == []
    fields = [str(p) for p in differences(before, asked(Night(301.0)), "study.json")]
    assert any("objects.rule.digest" in field for field in fields)
    assert list(differences(before, asked(None), "study.json"))
    cases = [
        question("x", quick(), ["a"], 1, [quick().with_objects(rule=Night(m))]) for m in (1, 2)
    ]
    assert list(differences(*cases, "study.json"))


def test_days_are_not_kept_of_a_run_whose_objects_remember():
    week = quick(horizon={"days": 2})
    assert kept_by_day(week)
    assert kept_by_day(week.with_objects(kpis={"x": max}))
    assert not kept_by_day(week.with_objects(rule=Night()))


def test_under_keeps_the_scenarios_own_pair():
    mine = quick().with_objects(rule=Night())
    found = under(mine, [strategy_label(mine), "evms"])
    assert found["test_objects:Night+first_come"].objects.rule is not None
    assert not found["evms"].objects


def test_replications_have_objects_of_their_own_whatever_the_batch_and_the_workers():
    mine = quick().with_objects(rule=Night(), ev_class={3: Idle})
    ensemble = montecarlo(mine, 3)
    alone = run(mine, seed=ensemble.seeds[2]).results.kpis
    assert ensemble.values("net_cost_usd")[0, 2] == alone["net_cost_usd"]
    assert montecarlo(mine, 3, workers=2).table.equals(ensemble.table)
    with pytest.raises(InputError, match=r"rule = test_objects:.*lambda.*pickle can send"):
        montecarlo(quick().with_objects(rule=lambda *given: 1), 2, workers=2)


def test_objects_are_among_the_differences_of_a_scenario():
    mine = quick().with_objects(rule=Night(300.0))
    found = mine.differences(quick())
    assert [(one.field, one.value) for one in found] == [("rule", "test_objects:Night")]
    assert mine.differences(mine) == []
    assert len(mine.differences(quick().with_objects(rule=Night(301.0)))) == 1
