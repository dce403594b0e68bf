"""The EV as a Mesa agent: a live view of its row in the fleet's columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import mesa

from abm.fleet import Mode

if TYPE_CHECKING:
    from abm.agents.rpz import ResidentialParkingZone
    from abm.model import V2GModel


class Column:
    """An attribute of an EV that lives in a column of the fleet.

    column: name in `abm.fleet.Fleet`. low, high: what may be written. on_write: name of a method of
    the EV to call after a write.
    """

    def __init__(
        self,
        column: str,
        doc: str,
        low: float = -math.inf,
        high: float = math.inf,
        read_only: bool = False,
        on_write: str = "",
    ) -> None:
        self.column, self.low, self.high = column, low, high
        self.read_only, self.on_write = read_only, on_write
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, ev: EV | None, owner: type) -> Any:
        if ev is None:
            return self
        return getattr(ev.model.fleet, self.column)[ev.row].item()

    def __set__(self, ev: EV, value: float) -> None:
        if self.read_only:
            raise AttributeError(f"EV.{self.name} is a result and cannot be set")
        if not self.low <= value <= self.high:
            raise ValueError(f"EV.{self.name} = {value}: from {self.low:g} to {self.high:g}")
        getattr(ev.model.fleet, self.column)[ev.row] = value
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

    arrival_min = Column(
        "arrival_min", "Arrival, min from the start of the horizon.", 0.0, on_write="_reschedule"
    )
    departure_min = Column(
        "departure_min", "Departure, min from the start.", 0.0, on_write="_new_departure"
    )
    announced_min = Column("announced_min", "Departure that the RPZ is told of, min.", 0.0)
    soc = Column("soc", "State of charge now, fraction; NaN before arrival.", 0.0, 1.0)
    soc_arrival = Column("soc_arrival", "SoC on arrival, soc_i.", 0.0, 1.0, on_write="_new_target")
    soc_target = Column(
        "soc_target", "SoC wanted on departure, soc_f.", 0.0, 1.0, on_write="_new_target"
    )
    soc_goal = Column("soc_goal", "SoC that charging goes to.", read_only=True)
    soc_min = Column("soc_min", "Threshold down to which it discharges.", 0.0, 1.0)
    soc_departure = Column("soc_departure", "SoC it left with; NaN before.", read_only=True)
    capacity_kwh = Column("capacity_kwh", "Battery capacity, C_b, kWh.", 1e-6)
    efficiency = Column("efficiency", "One-way efficiency, eta_c.", 1e-6, 1.0)
    charger_kw = Column("p_max_kw", "Charger rating at the grid side, C_c, kW.", 0.0)
    discharger_kw = Column("p_discharge_kw", "V2G rating at the grid side, C_d, kW.", 0.0)
    v2g = Column("v2g", "Whether it takes part in V2G.", 0, 1)
    boost = Column(
        "boost", "Whether it charges at once, whatever is asked.", 0, 1, on_write="_new_boost"
    )
    p_kw = Column("p_kw", "Mean power of this step, kW; positive = charging.", read_only=True)
    plugged = Column("plugged", "Whether it is plugged in.", read_only=True)
    has_charged = Column("has_charged", "Whether it has begun to charge.", read_only=True)
    charged_kwh = Column("charged_kwh", "Energy drawn from the grid so far.", read_only=True)
    discharged_kwh = Column("discharged_kwh", "Energy supplied to the grid so far.", read_only=True)
    purchase_usd = Column("purchase_usd", "Paid so far, $; booked hourly.", read_only=True)
    sale_usd = Column("sale_usd", "Earned so far, $; booked hourly.", read_only=True)

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
        self.model.reschedule(self.row)

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
