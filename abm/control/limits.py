"""Limits on what is charged with, whoever has granted it: throttling, and dimming by the operator.

A limit is laid over an admission that is asked first. It holds for everybody, boosting owners too,
and for charging alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from abm.control.admission import Admission, AllAtOnce
from abm.control.envelopes import EnvelopeOperator, Sharing
from abm.control.operator import DimmingOperator, Operator, Overload
from abm.control.windows import ClockWindows
from abm.equations import FloatArray, IntArray
from abm.equations.admission import LEAST_KW
from abm.fleet import Fleet, Mode, ModeArray, group_sums
from abm.fleet.chargers import no_more_than
from abm.signals import Broadcast


class Limited(ABC):
    """An admission that is asked first, and a limit on the power that EVs charge with.

    operator: who works the limit out from what is measured, None where nobody does.
    """

    operator: Operator | None = None

    def __init__(self, first: Admission | None = None) -> None:
        self.first = AllAtOnce() if first is None else first

    def admit(
        self, fleet: Fleet, request: ModeArray, broadcast: Broadcast, minute: float
    ) -> ModeArray | FloatArray:
        """What the first admission grants."""
        return self.first.admit(fleet, request, broadcast, minute)

    @abstractmethod
    def limit_kw(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> FloatArray:
        """Most that each EV may charge with, (n_evs,) [kW]; infinity for no limit."""


class Throttling(Limited):
    """At most a share of the rating in some windows of the day."""

    FIXED: ClassVar = ("_windows",)

    def __init__(
        self,
        windows: Mapping[str, Any] | None = None,
        share: float = 0.5,
        first: Admission | None = None,
    ) -> None:
        super().__init__(first)
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"share = {share!r}: from 0 to 1")
        self._windows, self.share = ClockWindows(windows or {}), share

    def limit_kw(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> FloatArray:
        """The share of each rating within a window."""
        if not self._windows.hold(broadcast, np.array(minute)):
            return np.full(fleet.n, np.inf)
        return self.share * fleet.p_max_kw


class Told(Limited):
    """What the operator lets each connection draw; its EVs that can charge share it evenly.

    connection: of each EV, from 0, (n_evs,); the grid agent says it.
    """

    FIXED: ClassVar = ("connection",)

    def __init__(self, operator: Operator, first: Admission | None = None) -> None:
        super().__init__(first)
        self.operator: Operator = operator
        self.connection: IntArray = np.zeros(0, dtype=np.int64)

    def limit_kw(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> FloatArray:
        """The EV's part of the limit in the message."""
        told = broadcast.operator_kw
        if told is None:
            return np.full(fleet.n, np.inf)
        of = self.connection
        n_of = group_sums(fleet.can_charge.astype(np.float64), of, int(of.max(initial=0)) + 1)
        return told / np.maximum(n_of[of], 1.0)


class Dimming(Told):
    """Section 14a EnWG: chargers dimmed to a power that is always left, while load is too high."""

    def __init__(
        self,
        limit_kw: float = 4.2,
        begin_above: float = 1.0,
        end_below: float = 0.9,
        least_min: float = 15.0,
        chargers_per_connection: int = 1,
        overload: Overload = "demand",
        first: Admission | None = None,
    ) -> None:
        """Options as in the scenario's section `dimming`."""
        operator = DimmingOperator(
            limit_kw, begin_above, end_below, least_min, chargers_per_connection, overload
        )
        super().__init__(operator, first)


class OperatingEnvelopes(Told):
    """Each connection within an envelope that keeps the network within its limits."""

    def __init__(
        self,
        sharing: Sharing = "equal",
        margin: float = 0.05,
        first: Admission | None = None,
    ) -> None:
        """Options as in the scenario's section `operating_envelopes`."""
        super().__init__(EnvelopeOperator(sharing, margin), first)


def within(
    fleet: Fleet, granted: ModeArray, power_kw: FloatArray | None, limit_kw: FloatArray
) -> tuple[ModeArray, FloatArray | None]:
    """Modes and powers, >= 0, within a limit on charging, (n_evs,) [kW].

    Who may have less than its charger or its car can be set to does not charge.
    """
    if np.isposinf(limit_kw).all():
        return granted, power_kw
    charges = granted > 0
    least_kw = np.minimum(np.maximum(fleet.min_charge_kw, LEAST_KW), fleet.p_max_kw)
    off = charges & (limit_kw < least_kw)
    most_kw = np.where(charges, limit_kw, np.inf)
    return np.where(off, np.int8(Mode.IDLE), granted), np.minimum(no_more_than(power_kw), most_kw)
