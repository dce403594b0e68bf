"""Trained policies in the simulator: as a rule, and as weights that run without the trainer."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from abm.control import SetPoints
from abm.envs.observe import Observer
from abm.equations import FloatArray
from abm.errors import InputError, Problem
from abm.fleet import Fleet
from abm.signals import Broadcast

Policy: TypeAlias = Callable[[FloatArray], FloatArray]


class PolicyRule:
    """A rule that asks a policy every interval_min what net power each zone is to have.

    policy: observations (n_feeders, n_numbers), as `FleetEnv` has them, to powers of the zones
    (n_feeders, n_zones) [kW]. With the admission `all_at_once` it does what the environment does.
    Where zones hold different messages, each does what the policy says under its own.
    """

    def __init__(self, policy: Policy, interval_min: int = 15, guarantee: bool = True) -> None:
        self.policy, self.interval_min, self.guarantee = policy, interval_min, guarantee
        self._observer: Observer | None = None
        self._outlook: object = None
        self._slot = -1
        self._plans: dict[int, SetPoints] = {}

    def decide(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> FloatArray:
        """Power of each EV in this step, (n_evs,) [kW].

        ValueError for a broadcast without an outlook, and where the policy answers with something
        else than finite powers of all zones.
        """
        outlook, slot = broadcast.outlook, int(minute // self.interval_min)
        if outlook is None:
            raise ValueError("a policy needs a broadcast with an outlook")
        if self._observer is None or outlook is not self._outlook:
            points = SetPoints(self.interval_min, self.guarantee)
            self._observer = Observer(points, fleet, outlook)
            self._outlook, self._slot = outlook, -1
        at_once = minute == slot * self.interval_min
        if slot != self._slot:
            self._slot, self._plans = slot, {}
            (self._observer.look if at_once else self._observer.look_within)(fleet, minute)
        if broadcast.sequence not in self._plans and (at_once or not self._plans):
            self._plans[broadcast.sequence] = self._plan(fleet, broadcast, minute, at_once)
        # A message that is heard within an interval counts from the next on.
        plan = self._plans.get(broadcast.sequence, self._plans[max(self._plans)])
        return plan.decide(fleet, broadcast, minute)

    def _plan(self, fleet: Fleet, broadcast: Broadcast, minute: float, at_once: bool) -> SetPoints:
        """Powers until the next decision; who comes within an interval waits for its end."""
        plan = SetPoints(self.interval_min, self.guarantee)
        if not at_once:
            return plan
        assert self._observer is not None
        asked = np.asarray(self.policy(self._observer.observation(broadcast, minute)), np.float64)
        wanted = (fleet.n_feeders, fleet.n_zones)
        if asked.shape != wanted or not np.isfinite(asked).all():
            raise ValueError(f"a policy answers with finite powers of shape {wanted}")
        plan.set(fleet, asked, minute)
        return plan


class NetPolicy:
    """A small net in numpy: what a trainer has learnt, without the trainer.

    The observation is scaled to [-1, 1] by low and high and cut off there, goes through layers with
    tanh in between, and what comes out, cut off to [-1, 1], is a share of the action's range.
    weights: (W, b) of each layer, W of shape (n_out, n_in).
    """

    def __init__(
        self,
        weights: list[tuple[FloatArray, FloatArray]],
        observation: tuple[FloatArray, FloatArray],
        action: tuple[FloatArray, FloatArray],
    ) -> None:
        self.weights, self.observation, self.action = weights, observation, action

    def __call__(self, seen: FloatArray) -> FloatArray:
        """Powers of the zones, (n_feeders, n_zones) [kW]."""
        low, high = self.observation
        value = np.clip(2.0 * (seen - low) / np.maximum(high - low, 1e-12) - 1.0, -1.0, 1.0)
        for place, (weight, bias) in enumerate(self.weights):
            value = (np.tanh(value) if place else value) @ weight.T + bias
        low, high = self.action
        return np.asarray(low + (np.clip(value, -1.0, 1.0) + 1.0) / 2.0 * (high - low))

    def save(self, path: str | Path) -> Path:
        """Write it as .npz."""
        arrays: dict[str, Any] = {
            "observation": np.stack(self.observation),
            "action": np.stack(self.action),
        }
        for i, (weight, bias) in enumerate(self.weights):
            arrays |= {f"weight{i}": weight, f"bias{i}": bias}
        with Path(path).open("wb") as file:
            np.savez_compressed(file, **arrays)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> NetPolicy:
        """Read what `save` wrote. Raises InputError for anything else."""
        try:
            # Only a .npz is an archive; of anything else numpy might make a plain array.
            with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as held:
                arrays = {name: held[name] for name in held.files}
            # At least one: a file without weights has no layer.
            n = max(sum(name.startswith("weight") for name in arrays), 1)
            weights = [(arrays[f"weight{i}"], arrays[f"bias{i}"]) for i in range(n)]
            ends = arrays["observation"], arrays["action"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            said = "a policy that NetPolicy.save has written"
            raise InputError([Problem("policy", str(path), f"{said} ({error})")]) from error
        return cls(weights, (ends[0][0], ends[0][1]), (ends[1][0], ends[1][1]))
