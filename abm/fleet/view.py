"""The fleet as somebody else's code sees it: the same columns, which cannot be written to."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from abm.fleet.fleet import Fleet

ArrayT = TypeVar("ArrayT", bound=np.ndarray)


def read_only(array: ArrayT) -> ArrayT:
    """A view of an array; writing to it raises ValueError."""
    view = array.view()
    view.flags.writeable = False
    return view


class FleetView:
    """A second fleet whose arrays are read-only views of a fleet's own, brought up to date."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet, self._view = fleet, copy.copy(fleet)
        self._known: dict[str, NDArray[np.generic]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # A copy of a view shows nothing of the copied fleet: they are made anew.
        return {**self.__dict__, "_known": {}}

    def now(self) -> Fleet:
        """The fleet of this moment, to be read; the same object every time."""
        for name, value in vars(self._fleet).items():
            if not isinstance(value, np.ndarray):
                setattr(self._view, name, copy.copy(value))
            elif self._known.get(name) is not value:
                # Most columns stay one array through a run, and a view of it stays right.
                self._known[name] = value
                setattr(self._view, name, read_only(value))
        return self._view
