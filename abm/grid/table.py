"""What a feeder is built from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from abm.grid.equations import FloatArray
from abm.grid.network import IntArray


class FeederTable(Protocol):
    """The table that `build_feeder` reads; `abm.scenario.FeederTable` is one.

    Buses are numbered as in the paper, from 1: pandapower's index + 1.
    """

    @property
    def name(self) -> str:
        """Name of the feeder, for messages."""
        ...

    @property
    def net(self) -> str:
        """Where the net comes from: "module:function", or the path of a pandapower JSON file."""
        ...

    @property
    def buses(self) -> IntArray:
        """Bus numbers, int64 [n], each bus of the net once, in any order."""
        ...

    @property
    def customer_class(self) -> Iterable[str]:
        """Customer class at each of `buses`, n names."""
        ...

    @property
    def zone(self) -> IntArray:
        """RPZ at each of `buses`, int64 [n]; 1 to Z each on one bus, 0 where there is none."""
        ...

    @property
    def line_from(self) -> IntArray:
        """Bus number at one end of each line, int64 [L]; which end does not matter."""
        ...

    @property
    def line_to(self) -> IntArray:
        """Bus number at the other end, int64 [L]."""
        ...

    @property
    def ampacity_a(self) -> FloatArray:
        """Ampacity of each line, float64 [L], A; NaN leaves the net's own."""
        ...
