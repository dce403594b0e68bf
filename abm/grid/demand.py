"""The load of a feeder without EVs: its customers and the profile of a scenario."""

from __future__ import annotations

import numpy as np

from abm.grid.feeder import Feeder
from abm.scenario import Scenario
from abm.signals import BaseLoad


def base_load_of(scenario: Scenario, feeder: Feeder) -> BaseLoad:
    """Load without EVs of a feeder in a scenario."""
    profile, section = scenario.inputs.profile, scenario.base_load
    at = {name: i for i, name in enumerate(profile.classes)}
    column = np.array([at[name] for name in feeder.class_names], dtype=np.int64)
    return BaseLoad(
        section.scale * feeder.p_mw,
        section.scale * feeder.q_mvar,
        column[feeder.bus_class],
        profile.series,
        section.interpolation,
    )
