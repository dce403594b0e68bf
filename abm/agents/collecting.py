"""The KPIs of a model as Mesa's batch runner reads them, where nobody has attached a collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mesa

if TYPE_CHECKING:
    from abm.model import V2GModel


def kpis_collected(model: V2GModel) -> mesa.DataCollector:
    """A DataCollector that has collected the KPIs so far, once, in the present step."""
    found = mesa.DataCollector()
    # Mesa 3.3 looks a step up by its number, 3.5 in the list of steps that were collected.
    before = [] if hasattr(found, "_collection_steps") else [None] * (model.steps - 1)
    if hasattr(found, "_collection_steps"):
        found._collection_steps = [model.steps]
    found.model_vars = {name: [*before, value] for name, value in model.kpis_so_far().items()}
    return found
