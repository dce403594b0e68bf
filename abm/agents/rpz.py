"""The residential parking zone as a Mesa agent: aggregates its EVs and admits their requests."""

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
    FirstCome,
    LeastLaxity,
)
from abm.fleet import Mode, ModeArray
from abm.signals import Broadcast

if TYPE_CHECKING:
    from abm.agents.ev import EV
    from abm.model import V2GModel

BUILT_IN = (AllAtOnce, BelowLimit, FirstCome, LeastLaxity, CoordinatedAdmission)


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
        known = type(admission) in BUILT_IN
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
