"""The EV as a Mesa agent: a live view of its row in the fleet's columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import mesa

from abm.fleet import Mode
from abm.fleet.columns import COLUMNS

if TYPE_CHECKING:
    from abm.agents.rpz import ResidentialParkingZone
    from abm.model import V2GModel


class Column:
    """An attribute of an EV that lives in a column of the fleet.

    abm/fleet/columns.csv says what it means and what may be written. column: its name there, if it
    is not the attribute's. on_write: name of a method of the EV to call after a write.
    """

    def __init__(self, column: str = "", on_write: str = "") -> None:
        self._column, self.on_write = column, on_write

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.column = COLUMNS[self._column or name]
        self.__doc__ = f"{self.column.meaning} [{self.column.unit}]"

    def __get__(self, ev: EV | None, owner: type) -> Any:
        if ev is None:
            return self
        return getattr(ev.model.fleet, self.column.name)[ev.row].item()

    def __set__(self, ev: EV, value: float) -> None:
        low, high = self.column.low, self.column.high
        if "ev" not in self.column.written_by:
            raise AttributeError(f"EV.{self.name} is a result and cannot be set")
        if not low <= value <= high:
            raise ValueError(f"EV.{self.name} = {value}: from {low:g} to {high:g}")
        getattr(ev.model.fleet, self.column.name)[ev.row] = value
        ev.model.fleet.stale = True
        if self.on_write:
            getattr(ev, self.on_write)()


class EV(mesa.Agent):
    """One electric vehicle.

    It holds nothing but the number of its row: reading and writing an attribute goes to the
    fleet's columns. Override `decide` in a subclass to change what these EVs ask for; all others
    keep to the rule of the scenario.
    """

    model: V2GModel

    arrival_min = Column(on_write="_reschedule")
    departure_min = Column(on_write="_new_departure")
    announced_min = Column()
    soc = Column()
    soc_arrival = Column(on_write="_new_target")
    soc_target = Column(on_write="_new_target")
    soc_goal = Column()
    soc_min = Column()
    soc_departure = Column()
    capacity_kwh = Column()
    efficiency = Column()
    charger_kw = Column("p_max_kw")
    discharger_kw = Column("p_discharge_kw")
    v2g = Column()
    boost = Column(on_write="_new_boost")
    p_kw = Column()
    plugged = Column()
    has_charged = Column()
    charged_kwh = Column()
    discharged_kwh = Column()
    purchase_usd = Column()
    sale_usd = Column()

    def __init__(self, model: V2GModel, row: int) -> None:
        super().__init__(model)
        self.row = row

    @property
    def ev_id(self) -> str:
        """Name in the session file, or number in the sample."""
        return self.model.fleet.ev_id(self.row)

    @property
    def zone(self) -> int:
        """Number of its RPZ, from 1 as in the paper."""
        return int(self.model.fleet.zone[self.row]) + 1

    @property
    def rpz(self) -> ResidentialParkingZone:
        """Its residential parking zone."""
        return self.model.zones[int(self.model.fleet.cell[self.row])]

    @property
    def mode(self) -> Mode:
        """What it does in this step."""
        return Mode(int(self.model.fleet.mode[self.row]))

    @property
    def requested(self) -> Mode:
        """What it asked for in this step; within `decide`, what the scenario's rule asks for."""
        return Mode(int(self.model.fleet.request[self.row]))

    def decide(self) -> Mode | int:
        """Mode to ask for in this step, called every step while plugged in; the rule's by default.

        What cannot be done (nothing to charge, nothing to give) becomes IDLE, and the RPZ may not
        admit it.
        """
        return self.requested

    def _reschedule(self) -> None:
        self.model.engine.reschedule(self.row)

    def _new_departure(self) -> None:
        # Who changes plans says so; a departure that nobody was told of leaves announced_min.
        self.model.fleet.announced_min[self.row] = self.model.fleet.departure_min[self.row]
        self._reschedule()

    def _new_boost(self) -> None:
        self.model.fleet.boosting = bool(self.model.fleet.boost.any())
        self.model.fleet.forced[self.row] = False

    def _new_target(self) -> None:
        self.model.fleet.retarget(self.row)

    def __str__(self) -> str:
        fleet, row = self.model.fleet, self.row
        arrival, departure = (
            self.model.clock_time(cast(float, self.arrival_min)),
            self.model.clock_time(cast(float, self.departure_min)),
        )
        state = self.mode.name if fleet.plugged[row] else "away"
        known = not math.isnan(self.soc)
        soc = f"SoC {self.soc:.0%}" if known else f"arrives with {self.soc_arrival:.0%}"
        return (
            f"EV {self.ev_id} in RPZ {self.zone}: {soc} of {self.capacity_kwh:g} kWh, "
            f"wants {self.soc_target:.0%}, {arrival}-{departure}, {state} {self.p_kw:+.1f} kW"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.ev_id} RPZ {self.zone}>"
