"""Rules and admissions, and the registry that names them."""

from abm.control.admission import (
    Admission,
    AllAtOnce,
    BelowLimit,
    CoordinatedAdmission,
    FirstCome,
    LeastLaxity,
    split_by_largest_remainder,
)
from abm.control.planner import Planner
from abm.control.registry import make_admission, make_rule, make_strategy, resolve_strategy
from abm.control.rules import CoordinatedRule, Eq13, G2VOnly, Rule

__all__ = [
    "Admission",
    "AllAtOnce",
    "BelowLimit",
    "CoordinatedAdmission",
    "CoordinatedRule",
    "Eq13",
    "FirstCome",
    "G2VOnly",
    "LeastLaxity",
    "Planner",
    "Rule",
    "make_admission",
    "make_rule",
    "make_strategy",
    "resolve_strategy",
    "split_by_largest_remainder",
]
