"""The load of a feeder without EVs: its customers and the profile of a scenario."""

from __future__ import annotations

import numpy as np

from abm.grid.feeder import Feeder
from abm.scenario import Scenario
from abm.signals import BaseLoad, FeedIn


def base_load_of(scenario: Scenario, feeder: Feeder) -> BaseLoad:
    """Load without EVs of a feeder in a scenario, less its generation; `scale` is of the load."""
    profile, section = scenario.inputs.profile, scenario.base_load
    at = {name: i for i, name in enumerate(profile.classes)}
    column = np.array([at[name] for name in feeder.class_names], dtype=np.int64)
    feed_in = None
    if (given := feeder.generation) is not None:
        own = np.array([at[str(name)] for name in given.kind], dtype=np.int64)
        feed_in = FeedIn(given.bus, own, given.p_mw, given.q_mvar)
    return BaseLoad(
        section.scale * feeder.load_p_mw,
        section.scale * feeder.load_q_mvar,
        column[feeder.bus_class],
        profile.series,
        section.interpolation,
        feed_in,
    )
