"""Names that a scenario may use: rules, admissions, solvers and the named strategies.

Pure data, so that a scenario can be checked without importing the code behind the names; a test
holds these tuples and the registry in `abm.control` together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

RULES: Mapping[str, str] = MappingProxyType(
    {
        "g2v_only": "charge as soon as plugged in, never discharge (eqs. 1-8)",
        "eq13": "the paper's switching rule, eq. (13), with its options in `eq13`",
        "coordinated": "V2G while base demand is above the hour's level, else G2V",
    }
)

ADMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "all_at_once": "every request is served",
        "below_limit": "every request is served while the broadcast demand is below the limit",
        "first_come": "within the broadcast headroom, first come first served",
        "least_laxity": "within the broadcast headroom, the EV with least slack first",
        "coordinated": "up or down to the hour's level by slack, nobody left short",
    }
)

SOLVERS: Mapping[str, str] = MappingProxyType(
    {
        "power-grid-model": "fast, checked against pandapower before its first use on a feeder",
        "pandapower": "the reference",
    }
)


@dataclass(frozen=True)
class NamedStrategy:
    """A switching rule and an admission under one name.

    connected: False leaves every EV unplugged, the base case.
    """

    rule: str
    admission: str
    description: str
    connected: bool = True
    rule_options: Mapping[str, Any] = field(default_factory=dict)
    admission_options: Mapping[str, Any] = field(default_factory=dict)


STRATEGIES: Mapping[str, NamedStrategy] = MappingProxyType(
    {
        "none": NamedStrategy(
            "g2v_only", "all_at_once", "no EV connected: the base case", connected=False
        ),
        "uncoordinated": NamedStrategy(
            "g2v_only", "all_at_once", "every EV charges on arrival: the paper's G2V mode"
        ),
        "evms": NamedStrategy(
            "eq13", "first_come", "eq. (13), charging first come first served under the limit"
        ),
        "evms_immediate": NamedStrategy(
            "eq13", "all_at_once", "eq. (13) read literally: charge at once after discharging"
        ),
        "evms_herd": NamedStrategy(
            "eq13", "below_limit", "eq. (13), each home alone: all start once demand is below limit"
        ),
        "evms_guaranteed": NamedStrategy(
            "eq13",
            "least_laxity",
            "eq. (13), least slack first, nobody left short who can be helped",
            admission_options={"guarantee": True},
        ),
        "coordinated": NamedStrategy(
            "coordinated",
            "coordinated",
            "one demand level each hour: the valley filled and the peak shaved to it by slack",
        ),
    }
)
