"""The EV as a Mesa agent, a live view of its row in the fleet's columns, and the roster of EVs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from abm.agents.base import Agent
from abm.agents.rpz import ResidentialParkingZone
from abm.errors import InputError, Problem
from abm.fleet import Fleet, Mode
from abm.fleet.columns import COLUMNS, UNKNOWN_BY_ENERGY
from abm.grid.phase_feeder import ThreePhaseFeeder

if TYPE_CHECKING:
    from abm.model import V2GModel


T = TypeVar("T")
V = TypeVar("V", float, bool)


class Column(Generic[V]):
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

    @overload
    def __get__(self, ev: None, owner: type) -> Column[V]: ...

    @overload
    def __get__(self, ev: EV, owner: type) -> V: ...

    def __get__(self, ev: EV | None, owner: type) -> Any:
        if ev is None:
            return self
        if ev.model.fleet.by_energy and self.column.name in UNKNOWN_BY_ENERGY:
            return math.nan
        value = getattr(ev.model.fleet, self.column.name)[ev.row].item()
        if self.column.name == "soc" and value != value:
            # Who has not come yet has what it will come with, so that means over EVs are numbers.
            return ev.model.fleet.soc_arrival[ev.row].item()
        return value

    def __set__(self, ev: EV, value: float) -> None:
        low, high = self.column.low, self.column.high
        if "ev" not in self.column.written_by:
            raise AttributeError(f"EV.{self.name} is a result and cannot be set")
        if ev.model.fleet.by_energy and self.column.name in (*UNKNOWN_BY_ENERGY, "v2g"):
            raise AttributeError(f"EV.{self.name} is not known: the need of this EV is an energy")
        if not low <= value <= high:
            raise ValueError(f"EV.{self.name} = {value}: from {low:g} to {high:g}")
        getattr(ev.model.fleet, self.column.name)[ev.row] = value
        ev.model.fleet.stale = True
        if self.on_write:
            getattr(ev, self.on_write)()


class EV(Agent):
    """One electric vehicle.

    It holds nothing but the number of its row: reading and writing an attribute goes to the
    fleet's columns. Override `decide` in a subclass to change what these EVs ask for; all others
    keep to the rule of the scenario. Before its first arrival `soc` is the SoC with which it comes.
    """

    model: V2GModel

    arrival_min = Column[float](on_write="_reschedule")
    departure_min = Column[float](on_write="_new_departure")
    announced_min = Column[float]()
    soc = Column[float]()
    soc_arrival = Column[float](on_write="_new_target")
    soc_target = Column[float](on_write="_new_target")
    soc_goal = Column[float]()
    soc_min = Column[float]()
    soc_departure = Column[float]()
    capacity_kwh = Column[float]()
    efficiency = Column[float]()
    p_max_kw = Column[float]()
    p_discharge_kw = Column[float]()
    # As the scenario calls them.
    charger_kw = Column[float]("p_max_kw")
    discharger_kw = Column[float]("p_discharge_kw")
    v2g = Column[bool]()
    boost = Column[bool](on_write="_new_boost")
    p_kw = Column[float]()
    plugged = Column[bool]()
    has_charged = Column[bool]()
    charged_kwh = Column[float]()
    discharged_kwh = Column[float]()
    purchase_usd = Column[float]()
    sale_usd = Column[float]()

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
    def home(self) -> str | None:
        """Home in which it charges; None on a balanced feeder."""
        return self._connection[0]

    @property
    def phases(self) -> str | None:
        """Phases that its charger is on, "a" or "abc"; None on a balanced feeder."""
        return self._connection[1]

    @property
    def _connection(self) -> tuple[str | None, str | None]:
        feeder, fleet = self.model.grid.feeder, self.model.fleet
        if not isinstance(feeder, ThreePhaseFeeder):
            return None, None
        point = int(fleet.point[self.row]) % len(feeder.points.home)
        return feeder.bus_names[feeder.points.home[point]], str(feeder.point_phases[point])

    @property
    def mode(self) -> Mode:
        """What it does in this step."""
        return Mode(int(self.model.fleet.mode[self.row]))

    @property
    def requested(self) -> Mode:
        """What it asked for in this step; within `decide`, what the scenario's rule asks for."""
        return Mode(int(self.model.fleet.request[self.row]))

    def decide(self) -> Mode | int | float:
        """What to ask for in this step, called every step while plugged in; the rule's by default.

        An integer is a mode, a float a power in kW at the grid side, positive = charging. What
        cannot be done (nothing to charge, nothing to give) becomes IDLE, and the RPZ may not admit
        it.
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
            self.model.clock_time(self.arrival_min),
            self.model.clock_time(self.departure_min),
        )
        state = self.mode.name if fleet.plugged[row] else "away"
        if fleet.by_energy:
            asked = fleet.capacity_kwh[row] / fleet.efficiency[row]
            return (
                f"EV {self.ev_id} in RPZ {self.zone}: {self.charged_kwh:g} of {asked:g} kWh, "
                f"{arrival}-{departure}, {state} {self.p_kw:+.1f} kW"
            )
        known = not math.isnan(fleet.soc[row])
        soc = f"SoC {self.soc:.0%}" if known else f"arrives with {self.soc_arrival:.0%}"
        return (
            f"EV {self.ev_id} in RPZ {self.zone}: {soc} of {self.capacity_kwh:g} kWh, "
            f"wants {self.soc_target:.0%}, {arrival}-{departure}, {state} {self.p_kw:+.1f} kW"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.ev_id} RPZ {self.zone}>"


# Above this, EV objects are only made one by one, as model.evs[i].
MOST_AGENTS = 100_000

EvClass = type[EV] | Mapping[int | str, type[EV]]


class Roster:
    """EVs by their place in the session file or the sample, RPZs by feeder and zone.

    ev_class: a subclass of EV for all, or {index or ev_id: subclass} for some, the same on every
    copy of the feeder. Raises InputError for EVs that are not there, and for what is no subclass.
    """

    def __init__(self, model: V2GModel, n_zones: int, ev_class: EvClass) -> None:
        fleet = model.fleet
        self._model = model
        given = [*ev_class.values()] if isinstance(ev_class, Mapping) else [ev_class]
        wrong = [cls for cls in given if not (isinstance(cls, type) and issubclass(cls, EV))]
        if wrong:
            allowed = "a subclass of abm.EV, or {index or ev_id: subclass}"
            raise InputError([Problem("ev_class", repr(cls), allowed) for cls in wrong])
        self._default = EV if isinstance(ev_class, Mapping) else ev_class
        self._special = classes_by_index(fleet, ev_class) if isinstance(ev_class, Mapping) else {}
        self.zones = OnDemand(fleet.n_feeders * n_zones, self._make_zone)
        self.evs = OnDemand(fleet.n, self._make_ev)

    def own_minds(self) -> list[EV]:
        """The EVs whose class overrides `decide`: they are asked every step."""
        if self._default.decide is not EV.decide:
            return list(self.evs)
        special = self._special.items()
        return [self.evs[i] for i, cls in sorted(special) if cls.decide is not EV.decide]

    def make_all(self) -> None:
        """Make every agent that is not there yet, unless there are more than `MOST_AGENTS` EVs."""
        if len(self.evs) <= MOST_AGENTS:
            for agents in (self.zones, self.evs):
                if not agents.complete:
                    list(agents)

    def _make_zone(self, cell: int) -> ResidentialParkingZone:
        number, feeder = cell % self._model.fleet.n_zones, self._model.grid.feeder
        bus = int(feeder.bus_numbers[feeder.zone_bus[number]])
        copy = cell // self._model.fleet.n_zones
        return ResidentialParkingZone(self._model, number + 1, copy, bus)

    def _make_ev(self, index: int) -> EV:
        cls = self._special.get(index, self._default)
        return cls(self._model, int(self._model.fleet.row_of[index]))


def classes_by_index(fleet: Fleet, ev_class: Mapping[int | str, type[EV]]) -> dict[int, type[EV]]:
    """The classes by index of the EV; an index of one feeder and a name stand on every copy."""
    named = any(isinstance(key, str) for key in ev_class)
    index_of: dict[str, list[int]] = {}
    for i, row in enumerate(fleet.row_of) if named else ():
        index_of.setdefault(fleet.ev_id(int(row)), []).append(i)
    classes: dict[int, type[EV]] = {}
    problems = []
    per_feeder = fleet.n // fleet.n_feeders
    for key, cls in ev_class.items():
        if isinstance(key, str):
            indices = index_of.get(key, [])
        else:
            there = 0 <= key < per_feeder
            indices = [key + k * per_feeder for k in range(fleet.n_feeders)] if there else []
        if indices:
            classes |= dict.fromkeys(indices, cls)
        else:
            allowed = f"an index below {per_feeder} or an ev_id of the fleet"
            problems.append(Problem("ev_class", repr(key), allowed))
    if problems:
        raise InputError(problems)
    return classes


class OnDemand(Sequence[T], Generic[T]):
    """A sequence of n things, each made by `make(i)` when first asked for, and kept.

    A million row views would cost four seconds and half a gigabyte that most runs never look at.
    """

    def __init__(self, n: int, make: Callable[[int], T]) -> None:
        self._n, self._make = n, make
        self._made: dict[int, T] = {}

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._n))]
        i = index + self._n if index < 0 else index
        if not 0 <= i < self._n:
            raise IndexError(f"{index}: there are {self._n}")
        if i not in self._made:
            self._made[i] = self._make(i)
        return self._made[i]

    def __iter__(self) -> Iterator[T]:
        return (self[i] for i in range(self._n))

    @property
    def complete(self) -> bool:
        """Whether all of them have been made."""
        return len(self._made) == self._n

    def __repr__(self) -> str:
        return f"<{self._n}, {len(self._made)} of them made>"
