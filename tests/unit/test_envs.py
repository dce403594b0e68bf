"""Environments: the contracts of Gymnasium and PettingZoo, and that they are the simulator."""

import copy
import pickle
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from helpers import small_paper
from pettingzoo.test import parallel_api_test

import abm.envs
from abm import V2GModel
from abm.envs import (
    Episodes,
    FleetEnv,
    FleetVectorEnv,
    NetPolicy,
    PolicyRule,
    Reward,
    ZonesEnv,
    observation_fields,
)
from abm.envs.episodes import controlled
from abm.errors import InputError
from abm.study.replications import replication_seed

BALANCED = {"requirement": {"kind": "energy_balanced"}}
SMALL = small_paper(**BALANCED, fleet={"evs_per_zone": 3})


def through(env, seed=None, share=0.3):
    """An episode of random actions about a share: observations, rewards and infos."""
    rng = np.random.default_rng(1)
    seen, info = env.reset(seed=seed)
    observations, rewards, infos, ended = [seen], [], [info], False
    while not ended:
        action = np.clip(rng.normal(share, 0.5, env.action_space.shape), -1.0, 1.0)
        seen, reward, terminated, ended, info = env.step(action.astype(np.float32))
        assert not terminated
        observations.append(seen)
        rewards.append(reward)
        infos.append(info)
    return observations, rewards, infos


@pytest.mark.parametrize("action", ["zone", "ev"])
def test_gymnasium_finds_nothing_to_say(action):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = gymnasium.make("Evenfall/Feeder-v0", scenario=SMALL, action=action)
        check_env(made.unwrapped)


def test_pettingzoo_finds_nothing_to_say(capsys):
    parallel_api_test(ZonesEnv(SMALL), num_cycles=120)
    assert "Passed" in capsys.readouterr().out


def test_gymnasium_makes_it_by_name():
    env = gymnasium.make("Evenfall/Feeder-v0", scenario=SMALL, interval_min=60)
    assert isinstance(env.unwrapped, FleetEnv)
    assert env.unwrapped.episodes.n_intervals == 24
    many = gymnasium.make_vec("Evenfall/Feeder-v0", num_envs=2, scenario=SMALL)
    assert isinstance(many, FleetVectorEnv)
    assert many.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


def test_an_episode_is_a_day_of_quarters_ended_by_truncation():
    env = FleetEnv(SMALL)
    observations, rewards, infos = through(env, seed=5)
    assert len(rewards) == 96
    fields = observation_fields(15)
    assert len(fields) == env.observation_space.shape[0] == len(observations[0])
    assert all(env.observation_space.contains(seen) for seen in observations)
    place = {name: i for i, (name, _) in enumerate(fields)}
    assert [observations[i][place["left"]] for i in (0, 48, 96)] == [1.0, 0.5, 0.0]
    most = max(sum(seen[place[f"zone_{z}_plugged"]] for z in range(1, 16)) for seen in observations)
    assert most == 45
    assert infos[0] == {"seed": 5}
    with pytest.raises(RuntimeError, match="reset"):
        env.step(env.action_space.sample())


def test_what_it_says_is_what_the_simulator_has():
    env = FleetEnv(SMALL)
    _, rewards, infos = through(env, seed=5)
    results, steps = env.results, infos[1:]
    kpis, quarter = results.kpis, results.record.demand_mw(15.0)[:, 0] * 1e3
    assert [step["demand_kw"] for step in steps] == pytest.approx(list(quarter), rel=1e-9)
    assert sum(step["cost_usd"] for step in steps) == pytest.approx(kpis["net_cost_usd"])
    assert sum(step["short_kwh"] for step in steps) == pytest.approx(kpis["energy_short_kwh"])
    net_kwh = sum(step["ev_kw"] for step in steps) / 4.0
    moved = 1e3 * (kpis["ev_charged_mwh"] - kpis["ev_discharged_mwh"])
    assert net_kwh == pytest.approx(moved)
    limit = 1e3 * SMALL.grid.demand_limit_mw
    rise = sum(step["peak_rise_kw"] for step in steps)
    assert limit + rise == pytest.approx(max(1e3 * kpis["plugged_peak_15min_mw"], limit))
    terms = rise + sum(step["cost_usd"] + step["short_kwh"] for step in steps)
    assert sum(rewards) == pytest.approx(-terms)


def test_an_action_that_is_none_is_refused():
    env, many = FleetEnv(SMALL), FleetVectorEnv(SMALL, 2)
    env.reset(seed=1)
    many.reset(seed=1)
    n = len(env.action_space.low)
    for wrong in (np.full(n, np.nan), np.zeros(n - 1), np.zeros((n, 1)), None):
        with pytest.raises(ValueError, match=f"an action is {n} numbers, none of them NaN"):
            env.step(wrong)
    with pytest.raises(ValueError, match="none of them NaN"):
        many.step(np.where(np.eye(2, n), np.nan, 0.0))
    # It was not begun.
    assert env.step(np.zeros(n))[4]["ev_kw"] == 0.0


def test_seeds_are_those_of_run_and_of_its_replications():
    env = FleetEnv(SMALL)
    first = through(env, seed=7)
    drawn = [env.reset()[1]["seed"] for _ in range(2)]
    assert drawn == [replication_seed(7, 0), replication_seed(7, 1)]
    again = through(env, seed=7)
    assert all(np.array_equal(*pair) for pair in zip(first[0], again[0], strict=True))
    assert first[1] == again[1]
    stays = V2GModel(SMALL, seed=7).fleet
    env.reset(seed=7)
    assert np.array_equal(env.episodes.model.fleet.arrival_min, stays.arrival_min)
    fresh = FleetEnv(SMALL)
    assert fresh.reset()[1]["seed"] != fresh.reset()[1]["seed"]


def test_many_feeders_are_as_many_single_ones():
    many = FleetVectorEnv(SMALL, 3)
    rng, seeds = np.random.default_rng(2), [4, 9, 4]
    actions = rng.uniform(-1.0, 1.0, (96, 3, 15)).astype(np.float32)
    seen, _ = many.reset(seed=seeds)
    found = [(seen, np.zeros(3), {})]
    for action in actions:
        seen, reward, terminated, truncated, info = many.step(action)
        found.append((seen, reward, info))
        assert not terminated.any()
    assert truncated.all()
    for k, seed in enumerate(seeds):
        env = FleetEnv(SMALL)
        assert np.array_equal(env.reset(seed=seed)[0], found[0][0][k])
        for action, (seen, reward, info) in zip(actions, found[1:], strict=True):
            own, alone, _, _, terms = env.step(action[k])
            assert np.array_equal(own, seen[k])
            assert alone == reward[k]
            assert {name: values[k] for name, values in info.items() if name in terms} == terms
    seen, reward, _, truncated, info = many.step(actions[0])
    assert not truncated.any()
    assert not reward.any()
    assert list(info["seed"]) == [replication_seed(seed, 0) for seed in seeds]


def test_the_last_step_may_begin_the_next_episode():
    many = FleetVectorEnv(SMALL, 2, interval_min=60, autoreset_mode="SameStep")
    many.reset(seed=1)
    for _ in range(24):
        seen, _, _, truncated, info = many.step(many.action_space.sample())
    assert truncated.all()
    left = [name for name, _ in observation_fields(15)].index("left")
    assert (seen[:, left] == 1.0).all()
    assert (info["final_obs"][:, left] == 0.0).all()
    assert list(info["seed"]) == [replication_seed(seed, 0) for seed in (1, 2)]
    assert info["_final_obs"].all()


def test_rewards_are_weighted_or_a_function_of_the_terms():
    plain = [through(FleetEnv(SMALL, reward=Reward(0.0, 0.0, w, 0.0)), 3)[1] for w in (1.0, 2.0)]
    assert plain[1] == [2.0 * reward for reward in plain[0]]
    own = through(FleetEnv(SMALL, reward=lambda terms: -terms.demand_kw), 3)
    assert own[1] == [-info["demand_kw"] for info in own[2][1:]]


def test_low_voltages_count_at_the_end_if_they_are_asked_for():
    base = SMALL.override({"grid.vm_min_pu": 0.95})
    env = FleetEnv(base, reward=Reward(0.0, 0.0, 0.0, 0.0, 1.0), interval_min=60)
    _, rewards, _ = through(env, seed=3)
    lowest = env.results.record.flows.vm_pu[:, 0].min(axis=1)
    assert rewards[:-1] == [0.0] * 23
    assert rewards[-1] == pytest.approx(-np.maximum(0.95 - lowest, 0.0).sum())
    assert rewards[-1] < -0.1


def test_powers_are_set_for_each_ev_in_the_order_of_the_model():
    env = FleetEnv(SMALL, action="ev", units="kW", guarantee=False)
    env.reset(seed=3)
    for _ in range(60):
        env.step(np.zeros(45, dtype=np.float32))
    model = env.episodes.model
    one = next(i for i, ev in enumerate(model.evs) if ev.plugged and ev.soc < ev.soc_target)
    asked = np.zeros(45, dtype=np.float32)
    asked[one] = 2.0
    before = [ev.charged_kwh for ev in model.evs]
    env.step(asked)
    drawn = np.array([ev.charged_kwh for ev in model.evs]) - before
    assert drawn[one] == pytest.approx(0.5)
    assert np.delete(drawn, one).sum() == 0.0


def test_nobody_is_short_whatever_a_learner_tries():
    env = FleetEnv(SMALL)
    through(env, seed=11, share=-1.0)
    assert env.results.kpis["evs_short"] == 0
    worst = FleetEnv(SMALL, guarantee=False)
    through(worst, seed=11, share=-1.0)
    assert worst.results.kpis["evs_short"] > 20


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_a_policy_does_as_a_rule_what_it_does_in_the_environment(engine):
    rng = np.random.default_rng(0)
    env = FleetEnv(SMALL.override({"clock.engine": engine}), units="kW")
    box, power = env.observation_space, env.action_space
    layer = (rng.normal(0.0, 0.2, (15, box.shape[0])), rng.normal(0.0, 0.3, 15))
    policy = NetPolicy([layer], (box.low, box.high), (power.low, power.high))
    seen, _ = env.reset(seed=8)
    ended = False
    while not ended:
        # As a rule it has numbers of twice the digits.
        exact = env.episodes.observe()
        assert np.array_equal(exact[0].astype(np.float32), seen)
        env.episodes.step(policy(exact))
        seen, ended = env.episodes.observe()[0].astype(np.float32), env.episodes.finished
    base = SMALL.override({"strategy": {"rule": "g2v_only", "admission": "all_at_once"}})
    model = V2GModel(base, seed=8)
    model.home.rule = PolicyRule(policy)
    model.run()
    mine, theirs = model.results.ev, env.results.ev
    assert mine["charged_kwh"].sum() > 0.0
    assert mine["discharged_kwh"].sum() > 0.0
    for name in ("charged_kwh", "discharged_kwh", "soc_departure"):
        assert np.array_equal(mine[name], theirs[name]), name


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_in_the_midst_of_an_episode_goes_on_by_itself(copied):
    env, action = FleetEnv(SMALL), np.full(15, 0.3, dtype=np.float32)
    env.reset(seed=8)
    for _ in range(30):
        env.step(action)
    there = env.episodes.model.fleet.n_plugged
    other = copied(env)
    ahead = [other.step(action)[0] for _ in range(10)]
    assert env.episodes.model.fleet.n_plugged == there
    mine = [env.step(action)[0] for _ in range(10)]
    assert np.array_equal(ahead, mine)
    # Zones see who has come meanwhile.
    assert len(np.unique(mine, axis=0)) == 10
    assert env.episodes.model.fleet.n_plugged > there


def test_a_policy_is_kept_as_a_file_and_refused_where_it_is_none(tmp_path):
    layer = (np.ones((2, 3)), np.zeros(2))
    policy = NetPolicy([layer], (np.zeros(3), np.ones(3)), (-np.ones(2), np.ones(2)))
    seen = np.array([[0.1, 0.9, 0.3]])
    found = NetPolicy.load(policy.save(tmp_path / "policy.npz"))
    assert np.array_equal(found(seen), policy(seen))
    (tmp_path / "none.npz").write_text("nothing")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "policy.npz").read_bytes()[:200])
    np.save(tmp_path / "array.npy", seen)
    np.savez(tmp_path / "no_layer.npz", observation=np.ones((2, 3)), action=np.ones((2, 2)))
    for name in ("none.npz", "empty.npz", "cut.npz", "array.npy", "no_layer.npz", "absent.npz"):
        with pytest.raises(InputError, match="NetPolicy"):
            NetPolicy.load(tmp_path / name)


def test_a_policy_that_answers_with_something_else_is_named():
    model = V2GModel(SMALL.override({"strategy": "uncoordinated"}))
    model.home.rule = PolicyRule(lambda seen: np.zeros(15))
    with pytest.raises(Exception, match=r"finite powers of shape \(1, 15\)"):
        model.run()


@pytest.mark.parametrize(
    ("fields", "more", "said"),
    [
        ({"feeder": {"copies": 2}}, {}, "feeder.copies"),
        ({"storage": {"kwh_per_zone": 50.0}}, {}, "storage"),
        ({"clock": {"step_s": 1200}}, {}, "interval_min"),
        ({}, {"interval_min": 0}, "interval_min = 0: one of"),
        ({}, {"action": "car"}, "action = car: zone or ev"),
        ({}, {"units": "MW"}, "units = MW: share or kW"),
        ({}, {"reward": 3}, "reward = 3: weights"),
    ],
)
def test_what_no_environment_can_be_made_of_is_refused(fields, more, said):
    with pytest.raises(InputError, match=said):
        FleetEnv(SMALL.override(fields), **more)


def test_all_feeders_begin_together():
    with pytest.raises(InputError, match="autoreset_mode"):
        FleetVectorEnv(SMALL, 2, autoreset_mode=AutoresetMode.DISABLED)
    many = FleetVectorEnv(SMALL, 2)
    with pytest.raises(RuntimeError, match="reset"):
        many.step(many.action_space.sample())
    with pytest.raises(InputError, match="a list of 3"):
        many.reset(seed=[1, 2, 3])


def test_several_days_are_one_episode():
    base = controlled(SMALL.override({"horizon": {"days": 2}}), 60)
    episodes = Episodes(base, 60)
    episodes.begin([1])
    for _ in range(48):
        terms = episodes.step(np.full(15, 8.0))
    assert episodes.finished
    assert terms.demand_kw.shape == (1,)
    assert episodes.results.kpis["evs_short"] == 0


def test_without_gymnasium_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "abm.envs.fleet_env", None)
    monkeypatch.delitem(sys.modules, "abm.envs.fleet_env")
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(InputError, match=r"evenfall\[rl\]"):
        abm.envs.__getattr__("FleetEnv")
    with pytest.raises(AttributeError, match="Nothing"):
        abm.envs.__getattr__("Nothing")


def test_all_names_are_seen_before_they_are_imported():
    assert dir(abm.envs) == sorted(abm.envs.__all__)
