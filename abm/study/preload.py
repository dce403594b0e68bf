"""Imported once by the server that forks workers: the heavy imports, and one tiny model.

A module and not a function, since that is what `multiprocessing` can preload; where processes are
spawned instead, each worker imports it when it starts.
"""

import os
from contextlib import suppress

PARENT = os.getppid()

# A server that cannot warm up is slower, and no reason to fail: what is wrong will show where it
# can be told.
with suppress(Exception):
    from abm.scenario import Scenario
    from abm.study.replications import simulate_batch

    simulate_batch(Scenario(fleet={"evs_per_zone": 1}, clock={"hours": 24, "step_s": 3600}), [0])

# Killed while this went on, the parent has left requests behind that nobody waits for.
if os.getppid() != PARENT:
    os._exit(0)
