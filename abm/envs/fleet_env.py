"""Gymnasium environments: one feeder, and many feeders in one model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from abm.envs.episodes import Episodes, Reward, RewardFunction, only
from abm.errors import InputError, Problem
from abm.results import Results
from abm.scenario import Scenario
from abm.study.replications import replication_seed

SCENARIO = "paper_balanced"
ACTIONS, UNITS = ("zone", "ev"), ("share", "kW")


def episodes_of(
    scenario: Scenario | str | Path,
    interval_min: int,
    guarantee: bool,
    reward: Reward | RewardFunction | None,
    voltages: bool,
) -> Episodes:
    """Episodes of a scenario, or of a shipped one by its name, or of a file."""
    if not isinstance(scenario, Scenario):
        scenario = Scenario.load(scenario)
    return Episodes(scenario, interval_min, guarantee, reward, voltages)


class Actions:
    """What actions mean: powers in kW, or shares of the ratings.

    action: "zone" or "ev". units: "share", from -1, all ratings for V2G, over 0 to 1, all ratings
    for charging, or "kW". low_kw, high_kw: powers at the ends, of the zones or EVs of one feeder.
    Raises InputError for anything else.
    """

    def __init__(self, episodes: Episodes, action: str, units: str) -> None:
        given = (("action", action, ACTIONS), ("units", units, UNITS))
        wrong = [
            Problem(name, str(value), " or ".join(known))
            for name, value, known in given
            if value not in known
        ]
        if wrong:
            raise InputError(wrong)
        self.by_zone, self.shares = action == "zone", units == "share"
        bounds, fleet = episodes.bounds, episodes.model.fleet
        self.low_kw, self.high_kw = -bounds.discharge_kw, bounds.charge_kw
        if not self.by_zone:
            self.low_kw = np.full(fleet.n, -float(fleet.p_discharge_kw.max(initial=0.0)))
            self.high_kw = np.full(fleet.n, float(fleet.p_max_kw.max(initial=0.0)))

    @property
    def space(self) -> Any:
        """Space of one feeder's actions, float32."""
        if self.shares:
            return _box(np.full(self.low_kw.shape, -1.0), np.ones(self.low_kw.shape))
        return _box(self.low_kw, self.high_kw)

    def kw(self, action: Any) -> NDArray[np.float64]:
        """Powers of an action, or of one for each feeder, (..., n) [kW].

        ValueError for another number of them, and for one that is not a number.
        """
        asked = np.asarray(action, dtype=np.float64)
        if asked.shape[-1:] != self.low_kw.shape or np.isnan(asked).any():
            raise ValueError(f"an action is {len(self.low_kw)} numbers, none of them NaN")
        if self.shares:
            asked = np.minimum(np.maximum(asked, -1.0), 1.0)
            asked = np.where(asked < 0.0, -asked * self.low_kw, asked * self.high_kw)
        return asked


def _box(low: NDArray[Any], high: NDArray[Any]) -> Any:
    return spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)


def clipped(seen: NDArray[np.float64], space: Any) -> NDArray[np.float32]:
    """An observation as float32, within its space."""
    found = seen.astype(np.float32)
    np.maximum(found, space.low, out=found)
    np.minimum(found, space.high, out=found)
    return found


class Seeds:
    """Seeds of one feeder's episodes.

    The first episode after `reset(seed)` is that of the seed itself; those after it have the seeds
    of its replications, as `montecarlo` has them.
    """

    def __init__(self, root: int) -> None:
        self.root, self._next = root, -1

    def draw(self) -> int:
        """Seed of the next episode."""
        self._next += 1
        return self.root if self._next == 0 else replication_seed(self.root, self._next - 1)


class FleetEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """The aggregator of one feeder: every interval it says how much power zones or EVs have.

    scenario: what is studied, a shipped scenario's name or a path; its strategy is not used.
    interval_min: minutes between two decisions. action: "zone", the net power of each zone, or
    "ev", the power of each EV in the order of `model.evs`; positive = charging. units: "share" of
    the ratings, which learners want, or "kW"; see `Actions`. guarantee: EVs without slack charge
    whatever is said, so that nobody leaves short who could be helped. reward: weights, or a
    function of `Terms`. voltages: solve the load flows at the end of each episode for
    `low_voltage_pu_h`. docs/envs.md has observations, actions, rewards and infos with their units.

    An episode is the scenario's horizon, ended by truncation. Raises InputError for a scenario that
    no environment can be made of.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium declares it so

    def __init__(
        self,
        scenario: Scenario | str | Path = SCENARIO,
        *,
        interval_min: int = 15,
        action: str = "zone",
        units: str = "share",
        guarantee: bool = True,
        reward: Reward | RewardFunction | None = None,
        voltages: bool = False,
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = render_mode
        self.episodes = episodes_of(scenario, interval_min, guarantee, reward, voltages)
        self.actions = Actions(self.episodes, action, units)
        bounds = self.episodes.bounds
        self.observation_space, self.action_space = (
            _box(bounds.low, bounds.high),
            self.actions.space,
        )
        self._seeds: Seeds | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin the next episode; with a seed the one whose fleet `run --seed` draws, too."""
        super().reset(seed=seed)
        if seed is not None:
            self._seeds = Seeds(seed)
        elif self._seeds is None:
            self._seeds = Seeds(int(self.np_random.integers(2**62)))
        drawn = self._seeds.draw()
        self.episodes.begin([drawn])
        return self._seen(), {"seed": drawn}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Hold powers for an interval. RuntimeError before `reset` and after the end."""
        if self._seeds is None or self.episodes.finished:
            raise RuntimeError("the episode has not begun or is over: call reset()")
        terms = self.episodes.step(self.actions.kw(action), self.actions.by_zone)
        reward = float(np.asarray(self.episodes.reward(terms))[0])
        return self._seen(), reward, False, self.episodes.finished, only(terms, 0)

    def _seen(self) -> NDArray[np.float32]:
        return clipped(self.episodes.observe()[0], self.observation_space)

    @property
    def results(self) -> Results:
        """Tables and KPIs of the episode that has ended. RuntimeError before its end."""
        return self.episodes.results


class FleetVectorEnv(VectorEnv[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]):
    """K feeders in one model, each with a fleet of its own: the numbers of K single environments.

    num_envs: K. autoreset_mode: "NextStep" (the step after the last begins the next episode and
    its action counts for nothing) or "SameStep" (the last step begins it, and infos have the last
    observation as "final_obs"). Everything else as in `FleetEnv`, with an action by zone.
    """

    def __init__(
        self,
        scenario: Scenario | str | Path = SCENARIO,
        num_envs: int = 64,
        *,
        interval_min: int = 15,
        units: str = "share",
        guarantee: bool = True,
        reward: Reward | RewardFunction | None = None,
        voltages: bool = False,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
    ) -> None:
        super().__init__()
        mode = AutoresetMode(autoreset_mode)
        if mode == AutoresetMode.DISABLED:
            said = "NextStep or SameStep: all feeders begin together"
            raise InputError([Problem("autoreset_mode", str(mode.value), said)])
        self.num_envs, self.render_mode, self.autoreset_mode = num_envs, render_mode, mode
        self.metadata = {"render_modes": [], "autoreset_mode": mode}
        self.episodes = episodes_of(scenario, interval_min, guarantee, reward, voltages)
        self.actions = Actions(self.episodes, "zone", units)
        bounds, power = self.episodes.bounds, self.actions.space
        self.single_observation_space, self.single_action_space = (
            _box(bounds.low, bounds.high),
            power,
        )
        self.observation_space, self.action_space = (
            _box(np.tile(low, (num_envs, 1)), np.tile(high, (num_envs, 1)))
            for low, high in ((bounds.low, bounds.high), (power.low, power.high))
        )
        self._seeds: list[Seeds] = []
        self._over = False

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin the next episodes; seed s gives the feeders s, s + 1, ..., a list one each."""
        n = self.num_envs
        given = [None] * n if seed is None else seed
        if isinstance(given, int | np.integer):
            given = [int(given) + k for k in range(n)]
        if len(given) != n:
            said = f"a number, or a list of {n}"
            raise InputError([Problem("seed", f"a list of {len(given)}", said)])
        if given[0] is not None:
            self._np_random, self._np_random_seed = seeding.np_random(given[0])
        if not self._seeds:
            self._seeds = [Seeds(int(self.np_random.integers(2**62))) for _ in given]
        for k, one in enumerate(given):
            if one is not None:
                self._seeds[k] = Seeds(one)
        return self._begin()

    def _begin(self) -> tuple[NDArray[np.float32], dict[str, Any]]:
        drawn = [seeds.draw() for seeds in self._seeds]
        self.episodes.begin(drawn)
        self._over = False
        return self._seen(), self._infos({"seed": np.array(drawn)})

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[
        NDArray[np.float32], NDArray[Any], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
    ]:
        """Hold powers of all feeders for an interval; actions: (num_envs, n_zones)."""
        if not self._seeds:
            raise RuntimeError("the episodes have not begun: call reset()")
        never = np.zeros(self.num_envs, dtype=np.bool_)
        if self._over:
            seen, infos = self._begin()
            return seen, np.zeros(self.num_envs), never, never.copy(), infos
        terms = self.episodes.step(self.actions.kw(actions))
        reward = np.array(self.episodes.reward(terms), dtype=np.float64)
        seen, infos = self._seen(), self._infos(vars(terms))
        ended = np.full(self.num_envs, self.episodes.finished)
        if ended.all():
            self._over = self.autoreset_mode == AutoresetMode.NEXT_STEP
            if not self._over:
                last, done = seen, infos
                seen, infos = self._begin()
                infos |= self._infos({"final_obs": last, "final_info": done})
        return seen, reward, never, ended, infos

    def _infos(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values of all feeders, and beside each that all have it, as Gymnasium wants."""
        there = np.ones(self.num_envs, dtype=np.bool_)
        return {**values, **{f"_{name}": there for name in values}}

    def _seen(self) -> NDArray[np.float32]:
        return clipped(self.episodes.observe(), self.single_observation_space)

    @property
    def results(self) -> Results:
        """Tables and KPIs of the episodes that have ended. RuntimeError before their end."""
        return self.episodes.results
