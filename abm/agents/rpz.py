"""Who asks and who grants: the manager of the homes, and the residential parking zones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from abm.agents.base import Agent, AgentSet
from abm.control import (
    AllAtOnce,
    BelowLimit,
    CoordinatedAdmission,
    CoordinatedRule,
    Dimming,
    Eq13,
    FirstCome,
    G2VOnly,
    LeastLaxity,
    Limited,
    MPCRule,
    OffPeak,
    OperatingEnvelopes,
    Rule,
    SetPoints,
    Throttling,
)
from abm.control.answers import Answers, split
from abm.control.limits import within
from abm.equations import FloatArray
from abm.fleet import Fleet, Mode, ModeArray
from abm.fleet.cars import keep_going, note_pauses
from abm.fleet.chargers import force, no_more_than
from abm.fleet.view import FleetView, read_only
from abm.signals import Broadcast

if TYPE_CHECKING:
    from abm.agents.ev import EV
    from abm.model import V2GModel

# Of these it is known that they write to no column, answer rightly, and grant nothing that an EV
# cannot do.
BUILT_IN_RULES = (G2VOnly, Eq13, CoordinatedRule, MPCRule, OffPeak, SetPoints)
BUILT_IN_ADMISSIONS = (
    AllAtOnce,
    BelowLimit,
    FirstCome,
    LeastLaxity,
    CoordinatedAdmission,
    Dimming,
    Throttling,
    OperatingEnvelopes,
)


class HomeEnergyManager(Agent):
    """One agent for all homes: each step asks the rule, then the EVs with a will of their own.

    rule: the scenario's switching rule. own_minds: EVs whose class overrides `decide`.
    """

    model: V2GModel

    def __init__(self, model: V2GModel, rule: Rule) -> None:
        super().__init__(model)
        self.rule = rule
        self.own_minds: list[EV] = []
        self.asks = Asking(model)
        self._minds: list[Answers] = []

    @property
    def request(self) -> ModeArray:
        """Mode asked for by each EV in this step, what it cannot do taken out."""
        return self.model.fleet.request

    def apply_rule(self) -> None:
        """S_EVMS of this step, eq. (13), for every EV that is plugged in.

        Where zones hold different messages, the rule is asked once for each of them, and each EV
        takes the answer under its own zone's.
        """
        model, fleet, rule = self.model, self.model.fleet, self.rule
        if self.own_minds or type(rule) not in BUILT_IN_RULES:
            fleet.stale = True  # somebody else's code may write to any column, at any time
        if fleet.particular:
            note_pauses(fleet)
        fleet.assess()
        fleet.asked_kw = None
        minute = model.minute
        if type(rule) in BUILT_IN_RULES:
            asked = model.inbox.by_ev(lambda message: rule.decide(fleet, message, minute))
        else:
            asked = model.inbox.by_ev(
                lambda message: self.asks.of(
                    rule, "decide", lambda seen: rule.decide(seen, message, minute)
                )
            )
        modes, fleet.asked_kw = split(fleet, asked)
        fleet.request = fleet.possible(modes)
        if self.own_minds:
            self._ask_own_minds()
        if fleet.boosting or fleet.holds:
            force(fleet)

    def _ask_own_minds(self) -> None:
        """EVs with a will of their own: each answers with a mode or with a power of its own."""
        fleet, minute = self.model.fleet, self.model.minute
        if len(self._minds) != len(self.own_minds):
            self._minds = [
                Answers(ev, "decide", "ev_class", one_kind=False) for ev in self.own_minds
            ]
        modes = fleet.request.copy()
        asked_kw = np.full(fleet.n, np.inf) if fleet.asked_kw is None else fleet.asked_kw.copy()
        for ev, answers in zip(self.own_minds, self._minds, strict=True):
            if fleet.plugged[ev.row]:
                mode, power = split(fleet, answers.ask(ev.decide, 1, minute))
                modes[ev.row] = np.broadcast_to(mode, fleet.n)[ev.row]
                asked_kw[ev.row] = np.inf if power is None else power[0]
        if fleet.asked_kw is not None or np.isfinite(asked_kw).any():
            fleet.asked_kw = asked_kw
        fleet.stale = True  # a decision may have written to the EV's attributes
        fleet.assess()
        fleet.request = fleet.possible(modes)


class Asking:
    """How a model asks rules and admissions of the user's own."""

    def __init__(self, model: V2GModel) -> None:
        self._model, self._seen = model, FleetView(model.fleet)
        self._answers: dict[str, tuple[object, Answers]] = {}

    def of(
        self, owner: object, method: str, answer: Callable[[Fleet], object]
    ) -> ModeArray | FloatArray:
        """What owner.method answers, (n_evs,), int8 modes or float64 kW. Raises InputError."""
        known, answers = self._answers.get(method, (None, None))
        if answers is None or known is not owner:
            field = "strategy.rule" if method == "decide" else "strategy.admission"
            answers = Answers(owner, method, field)
            self._answers[method] = (owner, answers)
        seen = self._seen.now()
        return answers.ask(lambda: answer(seen), seen.n, self._model.minute)


class ResidentialParkingZone(Agent):
    """One RPZ: the aggregator of the EVs at one bus, or in some homes of a three-phase feeder.

    number: zone as in the paper, from 1. feeder: copy of the feeder, from 0. bus: paper's number of
    the bus it is connected to; of several homes that of the first.
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
    def admit(cls, model: V2GModel) -> tuple[ModeArray, FloatArray | None]:
        """What is granted to the EVs of all zones, each within its share of the headroom.

        Modes, and at most how much power, >= 0, or None where each has its rating; (n_evs,) each.
        One call for all, since zone by zone each minute would be fifty times as slow. Where zones
        hold different messages it is one call for each of them: a zone takes its part of the split
        that it works out, for the whole feeder, from the message it holds.
        """
        fleet, minute, admission = model.fleet, model.minute, model.admission
        asked, forcing = fleet.request, fleet.boosting or fleet.holds
        if forcing:
            asked = np.where(fleet.forced, np.int8(Mode.IDLE), asked)
        if type(admission) in BUILT_IN_ADMISSIONS:
            answer = model.inbox.by_ev(lambda m: admission.admit(fleet, asked, m, minute))
            granted, power_kw = split(fleet, answer)
        else:
            shown = read_only(asked)
            answer = model.inbox.by_ev(
                lambda message: model.home.asks.of(
                    admission,
                    "admit",
                    lambda seen: admission.admit(seen, shown, message, minute),
                )
            )
            granted, power_kw = split(fleet, answer)
            # What somebody else's admission grants may be more than the EVs can do.
            granted = fleet.possible(granted)
        if power_kw is None and fleet.asked_kw is not None:
            # Who is granted what it asked for has the power that it asked for.
            power_kw = np.where(granted == asked, fleet.asked_kw, np.inf)
        if forcing:
            granted = np.where(fleet.forced, fleet.request, granted)
            own_kw = fleet.forced_power_kw
            if power_kw is not None or own_kw is not None:
                power_kw = np.where(fleet.forced, no_more_than(own_kw), no_more_than(power_kw))
        if isinstance(admission, Limited):
            limit_kw = model.inbox.by_ev(lambda m: admission.limit_kw(fleet, m, minute))
            granted, power_kw = within(fleet, granted, power_kw, limit_kw)
        if fleet.particular:
            granted, power_kw = keep_going(fleet, granted, power_kw)
        return granted, power_kw

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
        at = self.model.grid.feeder.zone_words(self.number - 1)
        return (
            f"RPZ {self.number}{where} {at}: {self.plugged} EVs plugged in, "
            f"{self.p_kw:+.1f} kW, {self.waiting} waiting"
        )
