"""What a model is asked for: a scenario in several forms, and a seed under two names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from abm.errors import InputError, Problem
from abm.scenario import Scenario
from abm.scenario.short_names import full_names


def scenario_of(
    scenario: Scenario | str | os.PathLike[str], fields: Mapping[str, Any], others: Iterable[str]
) -> Scenario:
    """A scenario, loaded where it is a name or a path, with some fields changed.

    fields: as `full_names` reads them; others: what else a name might have been meant to be. Raises
    InputError.
    """
    if not isinstance(scenario, Scenario):
        scenario = Scenario.load(scenario)
    return scenario.override(full_names(fields, others)) if fields else scenario


def seed_of(seed: object, rng: object) -> int:
    """The seed that is called rng. Raises InputError."""
    if seed is not None:
        raise InputError([Problem("rng", repr(rng), "left out where there is a seed")])
    if isinstance(rng, bool) or not isinstance(rng, int | np.integer):
        raise InputError([Problem("rng", repr(rng), "a whole number, the seed")])
    return int(rng)
