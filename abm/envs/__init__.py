"""Environments to train and compare controllers in: Gymnasium, vectorised, and PettingZoo.

An import of this package registers `Evenfall/Feeder-v0` for `gymnasium.make` and
`gymnasium.make_vec`, where Gymnasium is installed (extra `rl`). A trained policy runs as a rule of
the simulator through `PolicyRule`, which needs neither. docs/envs.md says what is in what unit.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from abm.errors import InputError, Problem, needs

if TYPE_CHECKING:
    from abm.envs.episodes import Episodes, Reward, Terms
    from abm.envs.fleet_env import FleetEnv, FleetVectorEnv
    from abm.envs.observe import observation_fields
    from abm.envs.policy import NetPolicy, PolicyRule
    from abm.envs.zones_env import ZonesEnv

__all__ = [
    "Episodes",
    "FleetEnv",
    "FleetVectorEnv",
    "NetPolicy",
    "PolicyRule",
    "Reward",
    "Terms",
    "ZonesEnv",
    "observation_fields",
]
NAME = "Evenfall/Feeder-v0"
_HOMES = {
    "Episodes": "episodes",
    "FleetEnv": "fleet_env",
    "FleetVectorEnv": "fleet_env",
    "NetPolicy": "policy",
    "PolicyRule": "policy",
    "Reward": "episodes",
    "Terms": "episodes",
    "ZonesEnv": "zones_env",
    "observation_fields": "observe",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in ("gymnasium", "pettingzoo"):
            raise
        raise InputError([Problem(f"abm.envs.{name}", "", needs(package, "rl"))]) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__


def _register() -> None:
    """Let Gymnasium know the environment, if it is installed."""
    try:
        from gymnasium.envs.registration import register
    except ModuleNotFoundError:
        return
    register(
        NAME,
        entry_point="abm.envs.fleet_env:FleetEnv",
        vector_entry_point="abm.envs.fleet_env:FleetVectorEnv",
    )


_register()
