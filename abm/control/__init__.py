"""Rules and admissions, and the registry that makes them of the names in a scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from abm.control.admission import (
    Admission,
    AllAtOnce,
    BelowLimit,
    CoordinatedAdmission,
    FirstCome,
    LeastLaxity,
    split_by_largest_remainder,
)
from abm.control.by_price import ByPriceAdmission, ByPriceRule
from abm.control.limits import Dimming, Limited, OperatingEnvelopes, Throttling
from abm.control.mpc import MPCRule
from abm.control.off_peak import OffPeak
from abm.control.planner import Planner
from abm.control.rules import CoordinatedRule, Eq13, G2VOnly, Rule
from abm.control.set_points import SetPoints
from abm.errors import InputError, Problem
from abm.scenario import Scenario
from abm.scenario.modules import name_of
from abm.scenario.names import STRATEGIES, NamedStrategy, make_object
from abm.scenario.yamlio import show

__all__ = [
    "ADMISSION_CLASSES",
    "RULE_CLASSES",
    "Admission",
    "AllAtOnce",
    "BelowLimit",
    "ByPriceAdmission",
    "ByPriceRule",
    "CoordinatedAdmission",
    "CoordinatedRule",
    "Dimming",
    "Eq13",
    "FirstCome",
    "G2VOnly",
    "LeastLaxity",
    "Limited",
    "MPCRule",
    "OffPeak",
    "OperatingEnvelopes",
    "Planner",
    "Rule",
    "SetPoints",
    "Throttling",
    "make_admission",
    "make_rule",
    "make_strategy",
    "resolve_strategy",
    "split_by_largest_remainder",
]

RULE_CLASSES: Mapping[str, Callable[..., Rule]] = {
    "g2v_only": G2VOnly,
    "eq13": Eq13,
    "coordinated": CoordinatedRule,
    "mpc": MPCRule,
    "off_peak": OffPeak,
    "by_price": ByPriceRule,
    "set_points": SetPoints,
}
ADMISSION_CLASSES: Mapping[str, Callable[..., Admission]] = {
    "all_at_once": AllAtOnce,
    "below_limit": BelowLimit,
    "first_come": FirstCome,
    "least_laxity": LeastLaxity,
    "coordinated": CoordinatedAdmission,
    "dimming": Dimming,
    "throttling": Throttling,
    "operating_envelopes": OperatingEnvelopes,
    "by_price": ByPriceAdmission,
}
# Those that put a limit on what another one grants.
LIMITS = ("dimming", "throttling", "operating_envelopes")


def resolve_strategy(scenario: Scenario) -> NamedStrategy:
    """The scenario's strategy as rule and admission with their options.

    Where objects stand in their place, they go by their class.
    """
    strategy, own = scenario.strategy, scenario.objects
    if isinstance(strategy, str):
        found = STRATEGIES[strategy]
    else:
        found = NamedStrategy(
            strategy.rule,
            strategy.admission,
            "given in the scenario",
            rule_options=strategy.rule_options,
            admission_options=strategy.admission_options,
        )
    if own.rule is not None:
        found = replace(found, rule=name_of(own.rule), rule_options={}, connected=True)
    if own.admission is not None:
        found = replace(found, admission=name_of(own.admission), admission_options={})
    return found


def make_strategy(scenario: Scenario) -> tuple[Rule, Admission]:
    """The scenario's rule and admission; under `coordinated` they go by one plan.

    Of objects (`Scenario.with_objects`) these are copies.

    Raises InputError when one of them cannot be made.
    """
    rule, admission = scenario.objects.strategy_pair()
    rule = make_rule(scenario) if rule is None else rule
    admission = make_admission(scenario) if admission is None else admission
    planned = admission.first if isinstance(admission, Limited) else admission
    if (
        isinstance(rule, CoordinatedRule)
        and isinstance(planned, CoordinatedAdmission)
        # Options that differ make two plans.
        and rule.planner.price_weight == planned.planner.price_weight
        and rule.planner.margin_min == planned.planner.margin_min
    ):
        planned.planner = rule.planner
    return rule, admission


def make_rule(scenario: Scenario) -> Rule:
    """The switching rule that the scenario names. Raises InputError when it cannot be made."""
    strategy = resolve_strategy(scenario)
    return cast(
        Rule,
        _make("rule", strategy.rule, RULE_CLASSES, strategy.rule_options, scenario),
    )


def make_admission(scenario: Scenario) -> Admission:
    """The admission that the scenario names. Raises InputError when it cannot be made."""
    strategy = resolve_strategy(scenario)
    options = strategy.admission_options
    low, high = scenario.grid.vm_min_pu, scenario.grid.vm_max_pu
    if strategy.admission == "operating_envelopes" and not low < 1.0 < high:
        field = "grid.vm_min_pu" if low >= 1.0 else "grid.vm_max_pu"
        said = f"{'below' if low >= 1.0 else 'above'} 1 under operating_envelopes"
        raise InputError([Problem(field, show(low if low >= 1.0 else high), said)])
    return cast(
        Admission,
        _make("admission", strategy.admission, ADMISSION_CLASSES, options, scenario),
    )


def _first(after: object, scenario: Scenario) -> object:
    """The admission that one with a limit asks first. Raises InputError."""
    others = [name for name in ADMISSION_CLASSES if name not in LIMITS]
    if after not in others:
        field, allowed = "strategy.admission_options.after", "one of: " + ", ".join(others)
        raise InputError([Problem(field, show(after), allowed)])
    return _make("admission", str(after), ADMISSION_CLASSES, {}, scenario)


def _make(
    kind: str,
    name: str,
    known: Mapping[str, Callable[..., object]],
    options: Mapping[str, Any],
    scenario: Scenario,
) -> object:
    section = getattr(scenario, name, None) if name in known else None
    arguments = {**(section.model_dump() if section is not None else {}), **options}
    if name in LIMITS and name in known:
        arguments["first"] = _first(arguments.pop("after"), scenario)
    code = scenario.code_at(("strategy", kind)) if name not in known else None
    if code is not None:
        return code.make()
    return make_object(f"strategy.{kind}", name, known[name], arguments, options)
