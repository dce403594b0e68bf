"""The home energy management agent: applies the switching rule every minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mesa
import numpy as np

from abm.control import CoordinatedRule, Eq13, G2VOnly, Rule
from abm.fleet import ModeArray

if TYPE_CHECKING:
    from abm.agents.ev import EV
    from abm.model import V2GModel


BUILT_IN = (G2VOnly, Eq13, CoordinatedRule)


class HomeEnergyManager(mesa.Agent):
    """One agent for all homes: each step asks the rule, then the EVs with a will of their own.

    rule: the scenario's switching rule. own_minds: EVs whose class overrides `decide`.
    """

    model: V2GModel

    def __init__(self, model: V2GModel, rule: Rule) -> None:
        super().__init__(model)
        self.rule = rule
        self.own_minds: list[EV] = []

    @property
    def request(self) -> ModeArray:
        """Mode asked for by each EV in this step, what it cannot do taken out."""
        return self.model.fleet.request

    def apply_rule(self) -> None:
        """S_EVMS of this step, eq. (13), for every EV that is plugged in.

        Where zones hold different messages, the rule is asked once for each of them, and each EV
        takes the answer under its own zone's.
        """
        fleet = self.model.fleet
        if self.own_minds or type(self.rule) not in BUILT_IN:
            fleet.stale = True  # somebody else's code may write to any column, at any time
        fleet.assess()
        rule, minute = self.rule, self.model.minute
        asked = self.model.inbox.by_ev(lambda message: rule.decide(fleet, message, minute))
        fleet.request = fleet.possible(np.asarray(asked))
        if self.own_minds:
            self._ask_own_minds()
        if fleet.boosting:
            fleet.force()

    def _ask_own_minds(self) -> None:
        fleet = self.model.fleet
        asked = fleet.request.copy()
        for ev in self.own_minds:
            if fleet.plugged[ev.row]:
                asked[ev.row] = int(ev.decide())
        fleet.stale = True  # a decision may have written to the EV's attributes
        fleet.assess()
        fleet.request = fleet.possible(asked)
