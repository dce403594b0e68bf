"""Who asks and who grants: the manager of the homes, and the residential parking zones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mesa
import numpy as np
from mesa.agent import AgentSet

from abm.control import (
    Admission,
    AllAtOnce,
    BelowLimit,
    CoordinatedAdmission,
    CoordinatedRule,
    Eq13,
    FirstCome,
    G2VOnly,
    LeastLaxity,
    Rule,
)
from abm.fleet import Mode, ModeArray
from abm.signals import Broadcast

if TYPE_CHECKING:
    from abm.agents.ev import EV
    from abm.model import V2GModel

# Of these it is known that they write to no column, and grant nothing that an EV cannot do.
BUILT_IN_RULES = (G2VOnly, Eq13, CoordinatedRule)
BUILT_IN_ADMISSIONS = (AllAtOnce, BelowLimit, FirstCome, LeastLaxity, CoordinatedAdmission)


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
        if self.own_minds or type(self.rule) not in BUILT_IN_RULES:
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


class ResidentialParkingZone(mesa.Agent):
    """One RPZ: the aggregator of the EVs at one bus.

    number: zone as in the paper, from 1. feeder: copy of the feeder, from 0. bus: paper's number of
    the bus it is connected to.
    """

    model: V2GModel

    def __init__(self, model: V2GModel, number: int, feeder: int, bus: int) -> None:
        super().__init__(model)
        self.number, self.feeder, self.bus = number, feeder, bus
        self.cell = feeder * model.fleet.n_zones + number - 1
        first, last = model.fleet.first_row[feeder], model.fleet.first_row[feeder + 1]
        own = model.fleet.zone[first:last].searchsorted([number - 1, number]) + first
        self.rows = slice(int(own[0]), int(own[1]))

    @classmethod
    def admit(cls, model: V2GModel, admission: Admission) -> ModeArray:
        """Modes granted to the EVs of all zones, (n_evs,), each within its share of the headroom.

        One call for all, since zone by zone each minute would be fifty times as slow. Where zones
        hold different messages it is one call for each of them: a zone takes its part of the split
        that it works out, for the whole feeder, from the message it holds.
        """
        fleet, minute = model.fleet, model.minute
        asked = fleet.request
        if fleet.boosting:
            asked = np.where(fleet.forced, np.int8(Mode.IDLE), asked)
        granted = model.inbox.by_ev(lambda message: admission.admit(fleet, asked, message, minute))
        # What somebody else's admission grants may be more than the EVs can do.
        known = type(admission) in BUILT_IN_ADMISSIONS
        granted = granted if known else fleet.possible(np.asarray(granted))
        return np.where(fleet.forced, np.int8(Mode.G2V), granted) if fleet.boosting else granted

    @property
    def broadcast(self) -> Broadcast:
        """The message that it holds: the last one it heard."""
        return self.model.inbox.of(self.cell)

    @property
    def evs(self) -> AgentSet[EV]:
        """Its EVs."""
        fleet = self.model.fleet
        mine = [self.model.evs[int(i)] for i in fleet.stay_index[self.rows]]
        return AgentSet(mine, random=self.model.random)

    @property
    def plugged(self) -> int:
        """Number of EVs plugged in."""
        return int(self.model.fleet.plugged_count[self.cell])

    @property
    def waiting(self) -> int:
        """Number of EVs that asked to charge in this step and were not admitted."""
        request, mode = self.model.fleet.request[self.rows], self.model.fleet.mode[self.rows]
        return int(((request > 0) & (mode <= 0)).sum())

    @property
    def p_kw(self) -> float:
        """Power of this step, kW; positive = charging."""
        return float(self.model.fleet.p_kw[self.rows].sum())

    @property
    def admitted_kw(self) -> float:
        """Ratings of the chargers in use: what it takes of the feeder's headroom, kW."""
        fleet = self.model.fleet
        return float(fleet.p_max_kw[self.rows][fleet.mode[self.rows] > 0].sum())

    @property
    def charged_kwh(self) -> float:
        """Energy its EVs have drawn so far, kWh."""
        return float(self.model.fleet.charged_kwh[self.rows].sum())

    @property
    def discharged_kwh(self) -> float:
        """Energy its EVs have supplied so far, kWh."""
        return float(self.model.fleet.discharged_kwh[self.rows].sum())

    def __str__(self) -> str:
        where = f" of feeder {self.feeder}" if self.model.fleet.n_feeders > 1 else ""
        return (
            f"RPZ {self.number}{where} on bus N{self.bus}: {self.plugged} EVs plugged in, "
            f"{self.p_kw:+.1f} kW, {self.waiting} waiting"
        )
