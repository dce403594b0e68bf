"""One scenario, run once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from abm.model import V2GModel
from abm.results import Results
from abm.scenario import Scenario


@dataclass(frozen=True)
class Run:
    """A finished run: its results and the seconds it took, making the model included."""

    results: Results
    wall_s: float


def run_once(scenario: Scenario, on_hour: Callable[[], None] | None = None) -> Run:
    """Make the model of a scenario and run it; on_hour is called after every hour."""
    began = time.perf_counter()
    results = V2GModel(scenario).run(on_hour).results
    return Run(results, time.perf_counter() - began)
