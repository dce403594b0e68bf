"""A replication of a study that is run once more, to see what its tables do not hold."""

from __future__ import annotations

import math
from collections.abc import Mapping

from abm.errors import EvenfallError
from abm.model import V2GModel
from abm.results import Results
from abm.study.replications import Case, replication_seed
from abm.study.runs import results_of


def replayed(
    cases: Mapping[str, Case], seed: int, kpi: str, known: Mapping[str, float]
) -> dict[str, Results]:
    """Results of the first replication of each case, by the same names.

    seed: of the study. known: what the KPI was in that replication of the study. A case is left out
    where the replication failed, and where it does not come out again: a strategy that was an
    object of Python is no more in a study that was loaded.
    """
    found = {}
    for name, case in cases.items():
        if not math.isfinite(known[name]):
            continue
        try:
            results = results_of(V2GModel(case.scenario, seed=[replication_seed(seed, 0)]))
        except EvenfallError:
            continue
        if math.isclose(results.kpis[kpi], known[name], rel_tol=1e-6):
            found[name] = results
    return found
