"""The way of a message: an error in what it says, and zones that miss it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from abm.equations import FloatArray
from abm.fleet.stays import stream
from abm.scenario.schema import BroadcastSection


class Channel:
    """Noise and losses of the messages to the zones of K feeders, `broadcast` in the scenario.

    seeds: one per feeder, each with streams of its own that are drawn from once per message, so
    that what a feeder's zones hear depends neither on the other feeders nor on the engine.
    """

    def __init__(self, section: BroadcastSection, seeds: Sequence[int], n_zones: int) -> None:
        self.loss_probability, self.noise, self.n_zones = (
            section.loss_probability,
            section.noise,
            n_zones,
        )
        losses, noise = section.loss_probability > 0.0, section.noise > 0.0
        self._loss = [stream(seed, "broadcast_loss") for seed in seeds if losses]
        self._noise = [stream(seed, "broadcast_noise") for seed in seeds if noise]

    def distorted(self, demand_mw: FloatArray) -> FloatArray:
        """The demand as the next message has it, (n_feeders,) [MW]: times 1 + noise x N(0, 1)."""
        if not self._noise:
            return demand_mw
        # random() and its inversion, since their bits are the same in every numpy.
        u = np.array([stream.random() for stream in self._noise])
        error: FloatArray = self.noise * ndtri(np.maximum(u, 2.0**-54))
        return demand_mw * (1.0 + error)

    def heard_by(self) -> NDArray[np.bool_] | None:
        """Which zones hear the next message, (n_feeders x n_zones,); None where all do."""
        if not self._loss:
            return None
        u = np.concatenate([stream.random(self.n_zones) for stream in self._loss])
        return np.asarray(u >= self.loss_probability)
