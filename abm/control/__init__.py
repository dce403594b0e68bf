"""Rules and admissions, and the registry that makes them of the names in a scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from abm.control.mpc import MPCRule
from abm.control.planner import Planner
from abm.control.rules import CoordinatedRule, Eq13, G2VOnly, Rule
from abm.scenario import Scenario
from abm.scenario.names import STRATEGIES, NamedStrategy, make_object

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
    "Eq13",
    "FirstCome",
    "G2VOnly",
    "LeastLaxity",
    "MPCRule",
    "Planner",
    "Rule",
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
    "by_price": ByPriceRule,
}
ADMISSION_CLASSES: Mapping[str, Callable[..., Admission]] = {
    "all_at_once": AllAtOnce,
    "below_limit": BelowLimit,
    "first_come": FirstCome,
    "least_laxity": LeastLaxity,
    "coordinated": CoordinatedAdmission,
    "by_price": ByPriceAdmission,
}


def resolve_strategy(scenario: Scenario) -> NamedStrategy:
    """The scenario's strategy as rule and admission with their options."""
    strategy = scenario.strategy
    if isinstance(strategy, str):
        return STRATEGIES[strategy]
    return NamedStrategy(
        strategy.rule,
        strategy.admission,
        "given in the scenario",
        rule_options=strategy.rule_options,
        admission_options=strategy.admission_options,
    )


def make_strategy(scenario: Scenario) -> tuple[Rule, Admission]:
    """The scenario's rule and admission; under `coordinated` they go by one plan.

    Raises InputError when one of them cannot be made.
    """
    rule, admission = make_rule(scenario), make_admission(scenario)
    if (
        isinstance(rule, CoordinatedRule)
        and isinstance(admission, CoordinatedAdmission)
        # Options that differ make two plans.
        and rule.planner.price_weight == admission.planner.price_weight
        and rule.planner.margin_min == admission.planner.margin_min
    ):
        admission.planner = rule.planner
    return rule, admission


def make_rule(scenario: Scenario) -> Rule:
    """The scenario's switching rule. Raises InputError when it cannot be made."""
    strategy = resolve_strategy(scenario)
    return cast(
        Rule,
        _make("rule", strategy.rule, RULE_CLASSES, strategy.rule_options, scenario),
    )


def make_admission(scenario: Scenario) -> Admission:
    """The scenario's admission. Raises InputError when it cannot be made."""
    strategy = resolve_strategy(scenario)
    options = strategy.admission_options
    return cast(
        Admission,
        _make("admission", strategy.admission, ADMISSION_CLASSES, options, scenario),
    )


def _make(
    kind: str,
    name: str,
    known: Mapping[str, Callable[..., object]],
    options: Mapping[str, Any],
    scenario: Scenario,
) -> object:
    section = getattr(scenario, name, None) if name in known else None
    arguments = {**(section.model_dump() if section is not None else {}), **options}
    code = scenario.code_at(("strategy", kind)) if name not in known else None
    if code is not None:
        return code.make()
    return make_object(f"strategy.{kind}", name, known[name], arguments, options)
