"""Rules that do what no rule should: raise for some fleets, kill the process they run in."""

import os
import signal
from pathlib import Path

import numpy as np

from abm import Mode


class Sometimes:
    """Charges; raises when the first EV to arrive on a feeder comes before `early` minutes."""

    def __init__(self, early: float = 0.0) -> None:
        self.early = early

    def decide(self, fleet, broadcast, minute):
        if fleet.arrival_min.min() < self.early:
            raise ValueError("somebody came too early")
        return np.array([Mode.G2V])


class Deadly:
    """Charges; kills its process while the file `alive` is there, and takes it away if `once`."""

    def __init__(self, alive: str = "/nowhere", once: bool = True, early: float = np.inf) -> None:
        self.alive, self.once, self.early = Path(alive), once, early

    def decide(self, fleet, broadcast, minute):
        if self.alive.exists() and fleet.arrival_min.min() < self.early:
            if self.once:
                self.alive.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return np.array([Mode.G2V])
