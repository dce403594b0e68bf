"""PettingZoo: one agent for each zone of a feeder, all deciding at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from abm.envs.episodes import Reward, RewardFunction
from abm.envs.fleet_env import SCENARIO, FleetEnv
from abm.envs.observe import N_FEEDER, N_ZONE
from abm.scenario import Scenario

Seen = NDArray[np.float32]


class ZonesEnv(ParallelEnv[str, Seen, Seen]):
    """The zones of one feeder as agents `zone_1`, `zone_2`, ...: a shared reward, own powers.

    Each sees what the feeder's aggregator sees of the feeder, and of the zones its own alone, and
    says the net power of its zone, an array of one number. All get the reward of the feeder,
    divided by the number of agents. Arguments as of `FleetEnv`.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "evenfall_zones_v0", "render_modes": []}

    def __init__(
        self,
        scenario: Scenario | str | Path = SCENARIO,
        *,
        interval_min: int = 15,
        units: str = "share",
        guarantee: bool = True,
        reward: Reward | RewardFunction | None = None,
        voltages: bool = False,
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = render_mode
        self.feeder = FleetEnv(
            scenario,
            interval_min=interval_min,
            units=units,
            guarantee=guarantee,
            reward=reward,
            voltages=voltages,
        )
        n_zones = self.feeder.episodes.n_zones
        self.possible_agents = [f"zone_{number}" for number in range(1, n_zones + 1)]
        self.agents: list[str] = []
        whole = self.feeder.observation_space
        power = self.feeder.action_space
        assert isinstance(whole, spaces.Box)
        assert isinstance(power, spaces.Box)
        self._observations, self._actions = {}, {}
        for place, agent in enumerate(self.possible_agents):
            mine = _part(place)
            self._observations[agent] = spaces.Box(whole.low[mine], whole.high[mine])
            one = slice(place, place + 1)
            self._actions[agent] = spaces.Box(power.low[one], power.high[one])

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """What an agent sees."""
        return self._observations[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """What an agent says: the net power of its zone, (1,), in `units`."""
        return self._actions[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Seen], dict[str, dict[str, Any]]]:
        """Begin the next episode, with a seed that of its fleet."""
        seen, info = self.feeder.reset(seed=seed, options=options)
        self.agents = [*self.possible_agents]
        return self._split(seen), {agent: dict(info) for agent in self.agents}

    def step(
        self, actions: dict[str, Seen]
    ) -> tuple[
        dict[str, Seen],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Hold the powers of all zones for an interval."""
        agents = self.agents
        asked = np.array([float(np.asarray(actions[agent]).ravel()[0]) for agent in agents])
        seen, reward, _, ended, info = self.feeder.step(asked)
        if ended:
            self.agents = []
        share = reward / len(agents)
        return (
            self._split(seen),
            dict.fromkeys(agents, share),
            dict.fromkeys(agents, False),
            dict.fromkeys(agents, ended),
            {agent: dict(info) for agent in agents},
        )

    def _split(self, seen: Seen) -> dict[str, Seen]:
        return {agent: seen[_part(place)] for place, agent in enumerate(self.possible_agents)}

    def render(self) -> None:
        """Nothing is drawn; `feeder.results` has tables and figures of an episode that ended."""

    def close(self) -> None:
        """Nothing is held open."""


def _part(place: int) -> NDArray[np.int64]:
    """Which numbers of the aggregator's observation an agent sees."""
    first = N_FEEDER + place * N_ZONE
    return np.concatenate([np.arange(N_FEEDER), np.arange(first, first + N_ZONE)])
