"""How many decisions a second the environments take: one feeder, and many in one model.

Time is that of the process on its cores, so that what else the machine does counts little; the
clock on the wall stands beside it. Zones are given a share of their ratings that keeps many EVs
charging, and now and then discharges.
"""

import argparse
import time

import numpy as np

from abm.envs import FleetEnv, FleetVectorEnv

GOALS = {"episodes/s, one feeder": 60.0, "env steps/s, all feeders": 60_000.0}


def rates(name, step, reset, n_steps, repeats, per_step):
    """Best of some repeats: of the process, and on the wall."""
    best = [0.0, 0.0]
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        reset()
        for number in range(n_steps):
            step(number)
        took = time.process_time() - cpu, time.perf_counter() - wall
        best = [max(old, per_step / one) for old, one in zip(best, took, strict=True)]
    goal = GOALS[name]
    print(f"{name:28s} {best[0]:9.0f} of CPU time, {best[1]:9.0f} on the wall; goal {goal:.0f}")
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feeders", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--smoke", action="store_true", help="two feeders, once")
    options = parser.parse_args()
    feeders, repeats = (2, 1) if options.smoke else (options.feeders, options.repeats)
    rng = np.random.default_rng(1)
    one = FleetEnv()
    n = one.episodes.n_intervals
    actions = rng.uniform(-0.1, 0.3, (n, 15)).astype(np.float32)
    one.reset(seed=1)
    one.step(actions[0])  # what is compiled is compiled, or taken from the cache
    print(f"{one.episodes.model.fleet.n} EVs on each feeder, {n} decisions a day")
    rates("episodes/s, one feeder", lambda i: one.step(actions[i]), one.reset, n, repeats, 1)
    many = FleetVectorEnv(num_envs=feeders)
    many.reset(seed=1)
    all_of_them = np.repeat(actions[:, None], feeders, axis=1)
    print(f"{feeders} feeders in one model")
    rates(
        "env steps/s, all feeders",
        lambda i: many.step(all_of_them[i]),
        many.reset,
        n,
        repeats,
        n * feeders,
    )


if __name__ == "__main__":
    main()
