"""Who is there: EVs and RPZs, made when somebody asks, and the EVs with minds of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from abm.agents.ev import EV
from abm.agents.rpz import ResidentialParkingZone
from abm.errors import InputError, Problem

if TYPE_CHECKING:
    from abm.fleet import Fleet
    from abm.model import V2GModel


# Above this, EV objects are only made one by one, as model.evs[i].
MOST_AGENTS = 100_000

EvClass = type[EV] | Mapping[int | str, type[EV]]


class Roster:
    """EVs by their place in the session file or the sample, RPZs by feeder and zone.

    ev_class: a subclass of EV for all, or {index or ev_id: subclass} for some. Raises InputError
    for EVs that are not there.
    """

    def __init__(self, model: V2GModel, n_zones: int, ev_class: EvClass) -> None:
        fleet = model.fleet
        self._model = model
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
        bus = int(feeder.bus_index[feeder.zone_bus[number]]) + 1
        copy = cell // self._model.fleet.n_zones
        return ResidentialParkingZone(self._model, number + 1, copy, bus)

    def _make_ev(self, index: int) -> EV:
        cls = self._special.get(index, self._default)
        return cls(self._model, int(self._model.fleet.row_of[index]))


def classes_by_index(fleet: Fleet, ev_class: Mapping[int | str, type[EV]]) -> dict[int, type[EV]]:
    """The classes by index of the EV; a name stands on every copy of the feeder."""
    named = any(isinstance(key, str) for key in ev_class)
    index_of: dict[str, list[int]] = {}
    for i, row in enumerate(fleet.row_of) if named else ():
        index_of.setdefault(fleet.ev_id(int(row)), []).append(i)
    classes: dict[int, type[EV]] = {}
    problems = []
    for key, cls in ev_class.items():
        indices = index_of.get(key, [-1]) if isinstance(key, str) else [key]
        if all(0 <= index < fleet.n for index in indices):
            classes |= dict.fromkeys(indices, cls)
        else:
            allowed = f"an index below {fleet.n} or an ev_id of the fleet"
            problems.append(Problem("ev_class", repr(key), allowed))
    if problems:
        raise InputError(problems)
    return classes


T = TypeVar("T")


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
