"""The way into the compiled hour: all feeders through a stretch, one after the other."""

from __future__ import annotations

import numpy as np

from abm.engine.admit import SET_POINTS
from abm.engine.arrays import Scratch
from abm.engine.hour import walk_feeder
from abm.engine.set_points import walk_set


def advance(first_feeder, last_feeder, ev, orders, meter):
    """Walk feeders first_feeder to last_feeder - 1 through the steps of a stretch.

    Returns the change of the number of EVs plugged in.
    """
    largest = 0
    for k in range(first_feeder, last_feeder):
        largest = max(largest, ev.first_row[k + 1] - ev.first_row[k])
    work = Scratch(
        np.empty(largest, dtype=np.int64),
        np.empty(largest, dtype=np.int64),
        np.empty(largest, dtype=np.int64),
        np.zeros(largest, dtype=np.int8),
        np.zeros(largest),
        np.zeros(largest),
        np.zeros(len(ev.plugged), dtype=np.bool_),  # only rows of these feeders are touched
        np.zeros(orders.n_zones),
        np.zeros(orders.n_zones),
    )
    change = 0
    for k in range(first_feeder, last_feeder):
        if orders.admission == SET_POINTS:
            change += walk_set(k, ev, orders, meter, work)
        else:
            change += walk_feeder(k, ev, orders, meter, work)
    return change
