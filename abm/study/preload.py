"""Imported once by the server that forks workers: the heavy imports, and one tiny model.

A module and not a function, since that is what `multiprocessing` can preload; where processes are
spawned instead, each worker imports it when it starts.
"""

from contextlib import suppress

from abm.scenario import Scenario
from abm.study.replications import simulate_batch

# A server that cannot warm up is slower, and no reason to fail: what is wrong will show where it
# can be told.
with suppress(Exception):
    simulate_batch(Scenario(fleet={"evs_per_zone": 1}, clock={"hours": 24, "step_s": 3600}), [0])
