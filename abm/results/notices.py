"""What has to be said beside a result, once: sentences about the scenario that was run."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from abm.control import resolve_strategy
from abm.grid import Feeder, build_feeder
from abm.grid.demand import base_load_of
from abm.scenario import Scenario

# The feeder that the default limit was fitted to.
FITTED_TO = "case33bw"
LIMIT = ("grid", "demand_limit_mw")
# Of a sweep over limits more than this say the same.
MOST_LIMITS = 3
AS_PRINTED = (
    "As printed, nobody gets back what V2G took (eqs. 14-16); paper_balanced charges every EV to "
    "the SoC it asked for."
)


def limit_notices(scenario: Scenario) -> list[str]:
    """A sentence for a demand limit that cannot be meant for the feeder, none for any other.

    And one where transformers are asked after that the feeder has not.
    """
    feeder = build_feeder(scenario.inputs.feeder)
    found = _demand_limit(scenario, feeder)
    cooling = scenario.transformers.cooling
    if cooling is not None and not feeder.network.transformers.names:
        found.append(
            f"transformers.cooling = {cooling}, and feeder {feeder.name!r} has no transformers"
        )
    return found


def limits_of_all(scenarios: Iterable[Scenario]) -> list[str]:
    """The same of several scenarios, each sentence once; of many the first, and how many more."""
    found = list(dict.fromkeys(line for one in scenarios for line in limit_notices(one)))
    more = len(found) - MOST_LIMITS
    return found if more <= 0 else [*found[:MOST_LIMITS], f"and {more} more such limits"]


def _demand_limit(scenario: Scenario, feeder: Feeder) -> list[str]:
    hours_s = np.arange(scenario.hours) * 3600
    base_mw = base_load_of(scenario, feeder).mean_mw(hours_s, 3600).mean(axis=1)
    limits = scenario.demand_limit.mean(hours_s, 3600)[:, 0]
    limit = float(limits.mean())
    default = type(scenario.grid).model_fields[LIMIT[1]].default
    never_set = not scenario.written_with(LIMIT, ("grid", "feeder"))
    never_set = never_set and scenario.inputs.limit is None
    if feeder.name != FITTED_TO and never_set:
        of_whom = f"was fitted to {FITTED_TO}" if limit == default else "is another feeder's"
        return [
            f"grid.demand_limit_mw = {limit:g} MW {of_whom} and never set for "
            f"feeder {feeder.name!r}, whose base load is {base_mw.min():.3g} to "
            f"{base_mw.max():.3g} MW"
        ]
    if limit < base_mw.mean():
        above, n = int((base_mw >= limits).sum()), len(base_mw)
        so = "no charging can keep to it" if above == n else f"{above} of {n} hours are above it"
        return [
            f"grid.demand_limit_mw = {limit:g} MW is below the mean base load of feeder "
            f"{feeder.name!r}, {base_mw.mean():.3g} MW: {so}"
        ]
    return []


def as_printed_notices(scenario: Scenario) -> list[str]:
    """A sentence where V2G may take what is never given back, else []."""
    if scenario.requirement.kind != "as_printed" or resolve_strategy(scenario).rule == "g2v_only":
        return []
    return [AS_PRINTED]
