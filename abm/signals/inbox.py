"""Who has heard which message, and what each EV does under the one that its zone holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, IntArray
from abm.signals.broadcast import Broadcast


class Inbox:
    """The messages in use and which of them each zone holds.

    messages: those that some zone holds, oldest first. newest: the last that any zone has heard.
    of_cell: place in `messages` of what each zone holds, (n_feeders x n_zones,).

    A rule or an admission is asked once for each message in use; where all zones hold the same one,
    as without losses, that is once.
    """

    def __init__(self, known: Broadcast, cell: IntArray, n_cells: int) -> None:
        """known: what everybody knows at the start. cell: of each EV, feeder x n_zones + zone."""
        self.messages: tuple[Broadcast, ...] = (known,)
        self.newest = known
        self.of_cell: IntArray = np.zeros(n_cells, dtype=np.int64)
        self._cell = cell

    def hear(self, message: Broadcast, by: BoolArray | None = None) -> None:
        """A new message comes in at the cells `by`, (n_cells,), or at all of them."""
        if by is None or by.all():
            self.messages = (message,)
            self.of_cell = np.zeros_like(self.of_cell)
        elif by.any():
            held = np.where(by, len(self.messages), self.of_cell)
            every = (*self.messages, message)
            in_use = np.unique(held)
            self.messages = tuple(every[i] for i in in_use)
            self.of_cell = np.searchsorted(in_use, held)
        else:
            return
        self.newest = message

    def of(self, cell: int) -> Broadcast:
        """The message that a cell holds."""
        return self.messages[int(self.of_cell[cell])]

    def by_ev(self, answer: Callable[[Broadcast], NDArray[Any]]) -> NDArray[Any]:
        """For each EV the answer under its zone's message; answers broadcast to (n_evs,)."""
        return self._chosen(answer, lambda: self.of_cell[self._cell])

    def by_feeder(self, answer: Callable[[Broadcast], NDArray[Any]]) -> NDArray[Any]:
        """For each feeder the answer, (n_feeders,), under the one message that its zones hold.

        RuntimeError where the zones of a feeder hold different ones.
        """
        return self._chosen(answer, self._of_feeder)

    def _of_feeder(self) -> IntArray:
        of = self.of_cell.reshape(len(self.newest.demand_mw), -1)
        if (of != of[:, :1]).any():
            raise RuntimeError("zones of a feeder hold different messages")
        return of[:, 0]

    def _chosen(
        self, answer: Callable[[Broadcast], NDArray[Any]], held: Callable[[], IntArray]
    ) -> NDArray[Any]:
        chosen = answer(self.messages[0])
        if len(self.messages) > 1:
            of = held()
            for i, message in enumerate(self.messages[1:], start=1):
                chosen = np.where(of == i, answer(message), chosen)
        return chosen
