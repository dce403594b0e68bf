"""What a scenario may say of KPIs of the user's own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from abm.scenario.fields import Allowed, is_class
from abm.scenario.kpi import NAME

KpiName = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
KpiFunction = Annotated[
    str, Allowed("a function, or an abm.Kpi, as module:function", test=is_class)
]
