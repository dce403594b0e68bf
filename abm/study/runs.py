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
    results = results_of(V2GModel(scenario), on_hour)
    return Run(results, time.perf_counter() - began)


def results_of(model: V2GModel, on_hour: Callable[[], None] | None = None) -> Results:
    """Run a model to the end, keep its results, and let go of it."""
    try:
        return model.run(on_hour).results
    finally:
        model.close()
