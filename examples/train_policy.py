"""A policy that learns the level, in minutes on a CPU
===================================================

Proximal policy optimisation (stable-baselines3) on the vector environment, and what came of it in a
table beside every strategy, ``mpc`` and the bound.

.. code-block:: sh

    python examples/train_policy.py                  # the table, with the weights that are shipped
    python examples/train_policy.py --train 300000   # train anew; pip install -e ".[train]"
    evenfall leaderboard examples/train_policy:Trained --trust

What is learnt is one number every quarter of an hour: the demand that the EVs are to bring the
feeder to, as a share of its limit. What it is learnt from are shares too, so that the policy runs
on feeders that it has never seen. The weights are a file of 10 kB that runs in numpy.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from abm import Scenario
from abm.envs import NetPolicy, PolicyRule
from abm.envs.observe import AHEAD_H, N_FEEDER, N_ZONE

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE / "level_policy.npz"
SEED, FEEDERS, HIDDEN = 11, 16, 32
# Levels lie between these shares of the limit.
LOWEST, HIGHEST = 0.75, 1.15
N_FEATURES = 7 + 2 * AHEAD_H + 6


def features(seen):
    """Of observations (K, n): shares of the limit and of the mean price, (K, N_FEATURES)."""
    feeder = seen[:, :N_FEEDER]
    zones = seen[:, N_FEEDER:].reshape(len(seen), -1, N_ZONE).sum(axis=1)
    limit = np.maximum(feeder[:, 3:4], 1e-6)
    demand, price = feeder[:, 5 : 6 + AHEAD_H] / limit, feeder[:, 6 + AHEAD_H :]
    price = price / np.maximum(price.mean(axis=1, keepdims=True), 1e-6)
    power = zones[:, [1, 2, 3, 6]] / limit
    # Need and what is due within four hours, as mean powers of the night and of that time.
    energy = zones[:, [4, 5]] / limit / [10.0, 4.0]
    peak = np.clip(feeder[:, 4:5] / limit - 1.0, -1.0, 1.0)
    parts = [feeder[:, :3], peak, 2.0 * demand - 2.0, price - 1.0, power, energy]
    found = np.concatenate([np.ones((len(seen), 1)), *parts], axis=1)
    return np.clip(found, -1.0, 1.0)


def powers(seen, chosen):
    """Net power of each zone (K, n_zones) [kW] that brings demand to the levels chosen, (K, 1)."""
    feeder, zones = seen[:, :N_FEEDER], seen[:, N_FEEDER:].reshape(len(seen), -1, N_ZONE)
    share = LOWEST + (np.clip(chosen, -1.0, 1.0) + 1.0) / 2.0 * (HIGHEST - LOWEST)
    wanted = share * feeder[:, 3:4] - feeder[:, 5:6]
    able = np.where(wanted[:, :, None] > 0.0, zones[:, :, 1:2], zones[:, :, 2:3])[:, :, 0]
    must = zones[:, :, 3]
    # Who must charge does so; the rest of what is wanted is shared by what zones can do.
    rest = wanted - must.sum(axis=1, keepdims=True)
    free = np.where(rest > 0.0, np.maximum(zones[:, :, 1] - must, 0.0), zones[:, :, 2])
    total = np.maximum(free.sum(axis=1, keepdims=True), 1e-9)
    part = np.minimum(np.abs(rest) / total, 1.0) * np.sign(rest)
    return np.where(able + must > 0.0, must + part * free, 0.0)


class LevelPolicy:
    """A net on `features` that chooses the level of `powers`."""

    def __init__(self, net):
        self.net = net

    def __call__(self, seen):
        """Net power of each zone, (K, n_zones) [kW]."""
        return powers(seen, self.net(features(seen)))


class Trained(PolicyRule):
    """The policy of the shipped weights, as a rule."""

    def __init__(self):
        super().__init__(LevelPolicy(NetPolicy.load(WEIGHTS)))


def train(steps, scenario):
    """Train for so many decisions and write the weights. Returns the time it took, s."""
    import torch
    from gymnasium import spaces
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecEnv

    from abm.envs import FleetVectorEnv, Reward

    class Levels(VecEnv):
        """`FleetVectorEnv` as stable-baselines3 wants it, with features and levels."""

        def __init__(self):
            limit_kw = 1e3 * scenario.grid.demand_limit_mw
            # Any peak counts, down to a twentieth below the limit; 100 kW as much as 100 $.
            self.scale, reward = 100.0, Reward(1.0, 0.0, 1.0, 1.0, limit_kw=0.95 * limit_kw)
            self.many = FleetVectorEnv(
                scenario, FEEDERS, units="kW", reward=reward, autoreset_mode="SameStep"
            )
            own = spaces.Box(-1.0, 1.0, (N_FEATURES,), np.float32)
            super().__init__(FEEDERS, own, spaces.Box(-1.0, 1.0, (1,), np.float32))
            self.render_mode = None

        def reset(self):
            self.seen, _ = self.many.reset(seed=SEED * 1000)
            self.earned = np.zeros(FEEDERS)
            return features(self.seen).astype(np.float32)

        def step_async(self, actions):
            self.actions = powers(self.seen, actions)

        def step_wait(self):
            self.seen, reward, _, ended, info = self.many.step(self.actions)
            self.earned += reward / self.scale
            infos = [{} for _ in range(FEEDERS)]
            if ended.any():
                # The time that is left is seen, so that the end is one, and no cut.
                last = features(info["final_obs"]).astype(np.float32)
                infos = [
                    {"terminal_observation": one, "episode": {"r": earned, "l": 96, "t": 0.0}}
                    for one, earned in zip(last, self.earned.tolist(), strict=True)
                ]
                self.earned[:] = 0.0
            seen = features(self.seen).astype(np.float32)
            return seen, (reward / self.scale).astype(np.float32), ended, infos

        def close(self):
            self.many.close()

        def get_attr(self, name, indices=None):
            return [getattr(self, name, None)] * FEEDERS

        def set_attr(self, name, value, indices=None):
            raise AttributeError(name)

        def env_method(self, name, *args, indices=None, **more):
            raise AttributeError(name)

        def env_is_wrapped(self, wrapper, indices=None):
            return [False] * FEEDERS

    began = time.perf_counter()
    torch.set_num_threads(1)  # more wait for each other longer than so small a net takes
    learner = PPO(
        "MlpPolicy",
        Levels(),
        n_steps=96,
        batch_size=512,
        gamma=0.999,
        gae_lambda=0.97,
        learning_rate=1e-3,
        seed=SEED,
        device="cpu",
        policy_kwargs={"net_arch": [HIDDEN, HIDDEN], "log_std_init": -2.2},
    )
    for _ in range(10):
        learner.learn(max(steps // 10, 1), reset_num_timesteps=False)
        took = time.perf_counter() - began
        days = [one["r"] for one in learner.ep_info_buffer]
        said = f", reward {np.mean(days):.2f} a day" if days else ""
        print(f"{learner.num_timesteps} decisions, {took:.0f} s{said}", flush=True)
    layers = [*learner.policy.mlp_extractor.policy_net, learner.policy.action_net]
    weights = [
        tuple(part.detach().numpy() for part in (layer.weight, layer.bias))
        for layer in layers
        if hasattr(layer, "weight")
    ]
    ends = -np.ones(N_FEATURES, dtype=np.float32), np.ones(N_FEATURES, dtype=np.float32)
    NetPolicy(weights, ends, (-np.ones(1), np.ones(1))).save(WEIGHTS)
    return time.perf_counter() - began


def main() -> None:
    """Train a policy, if asked to, and show it beside every strategy, mpc and the bound."""
    from abm.report.leaderboard import print_leaderboard
    from abm.study.leaderboard import leaderboard

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--train", metavar="STEPS", type=int, help="decisions to train for")
    parser.add_argument("--seeds", metavar="N", type=int, default=5, help="seeds of the table")
    parser.add_argument("--workers", metavar="N", type=int, default=1, help="processes")
    parser.add_argument("--smoke", action="store_true", help="few EVs, one strategy beside it")
    options = parser.parse_args()
    if options.train is not None:
        took = train(options.train, Scenario.load("paper_balanced"))
        print(f"Trained for {options.train} decisions in {took:.0f} s, seed {SEED}")
    smoke = options.smoke
    found = leaderboard(
        {"trained": Trained()},
        ["uncoordinated"] if smoke else None,
        replications=1 if smoke else options.seeds,
        settings=["fleet.evs_per_zone=1"] if smoke else (),
        feeders=["case33bw"],
        disturbances=["none"],
        workers=options.workers,
    )
    print_leaderboard(found)


if __name__ == "__main__":
    main()
