"""What a feeder folder says: the rows of its tables, and the whole as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, MinLen
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field

from abm.scenario.code import Code
from abm.scenario.csvio import NUMBER, OR_EMPTY, WHOLE, CsvRow
from abm.scenario.fields import Allowed, Section
from abm.scenario.phase_values import PhaseValues

# pandapower keeps arrays as long as its highest index.
MOST_BUSES = 1_000_000
_BUS_NUMBER = (
    f"a whole number from 1 to {MOST_BUSES}, the index in pandapower + 1; with first_bus: 0 the "
    "index itself"
)
_REACTANCE = "a number above 0, from 1e-9 to 1e6"
_RATING = "a number above 0, or empty where it is not known"
_SWITCHED = "0, or empty, where it is closed, 1 where it is open"
_NO_CLASS = "a class of the load profile"

Text = Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]
_Name = Annotated[str | None, OR_EMPTY, Allowed("text, or empty")]
Coordinate = Annotated[float | None, NUMBER, OR_EMPTY, Allowed("a number, or empty")]
_BusOfRow = Annotated[int | None, WHOLE, Allowed("a bus of buses.csv")]
CLOSED = BeforeValidator(lambda cell: 0 if cell == "" else cell)


class FeederHead(Section):
    """feeder.yaml: the net, or the voltages of a network that is in the tables."""

    net: Text = Field("", description="Function or JSON file of a pandapower net.")
    description: Text = Field("", description="What the feeder is.")
    source: Text = Field("", description="Where it is from.")
    vn_kv: Annotated[float, Ge(0.01), Le(2000)] = Field(1.0, description="Rated voltage; kV.")
    slack_bus: Annotated[int, Allowed("the number of the bus that is fed")] = Field(
        1, description="Bus that is fed."
    )
    slack_vm_pu: Annotated[float, Gt(0)] = Field(1.0, description="Voltage at that bus; p.u.")
    first_bus: Annotated[int, Ge(0), Le(1)] = Field(
        1,
        description="Number of the bus with index 0 in pandapower: 0, or 1 as in the paper.",
    )


class ClassRow(CsvRow):
    """Whose load is at a bus, for `feeder import --classes file:PATH`."""

    bus: Annotated[int | None, WHOLE, Allowed("a bus of the source")] = Field(
        description="Number of the bus in the source."
    )
    customer_class: Annotated[str | None, MinLen(1), Allowed("a name")] = Field(
        description="Class of the load profile."
    )


class BusRow(CsvRow):
    """A bus of a feeder."""

    bus: Annotated[int | None, Ge(0), Le(MOST_BUSES), WHOLE, Allowed(_BUS_NUMBER)] = Field(
        description="Number of the bus."
    )
    customer_class: Annotated[str | None, MinLen(1), Allowed(_NO_CLASS)] = Field(
        description="Whose load is at the bus."
    )
    zone: Annotated[
        int | None, Ge(1), WHOLE, OR_EMPTY, Allowed("a whole number from 1, or empty")
    ] = Field(description="RPZ whose EVs plug in at the bus.")
    customers: Annotated[
        float | None,
        Ge(0),
        NUMBER,
        OR_EMPTY,
        Allowed("a number, at least 0, or empty where it is not known"),
    ] = Field(None, description="Customers at the bus; may be left out.")
    name: _Name = Field(None, description="Name in the source; may be left out.")
    x: Coordinate = Field(None, description="Place on a map, to the east; may be left out.")
    y: Coordinate = Field(None, description="Place on a map, to the north; may be left out.")


class LoadBusRow(BusRow):
    """A bus with its nominal load."""

    p_mw: Annotated[float | None, NUMBER] = Field(
        description="Active power, consumption positive; MW."
    )
    q_mvar: Annotated[float | None, NUMBER] = Field(description="Reactive power; Mvar.")


class LineRow(CsvRow):
    """A line of a feeder."""

    from_bus: _BusOfRow = Field(description="Bus at one end.")
    to_bus: _BusOfRow = Field(description="Bus at the other end.")
    ampacity_a: Annotated[float | None, Gt(0), NUMBER, OR_EMPTY, Allowed(_RATING)] = Field(
        description="Rated current; A."
    )
    open: Annotated[int | None, Ge(0), Le(1), WHOLE, CLOSED, Allowed(_SWITCHED)] = Field(
        None, description="Whether it is open, as a tie line is; may be left out."
    )
    name: _Name = Field(None, description="Name in the source; may be left out.")
    line: Annotated[int | None, Ge(0), WHOLE, OR_EMPTY, Allowed("a line of the net, once")] = Field(
        None, description="Index of the line in the net; left out, its ends say which it is."
    )


class ImpedanceRow(LineRow):
    """A line with its impedance."""

    r_ohm: Annotated[float | None, Ge(0), Le(1e6), NUMBER, Allowed("a number from 0 to 1e6")] = (
        Field(description="Resistance; ohm.")
    )
    x_ohm: Annotated[float | None, Ge(1e-9), Le(1e6), NUMBER, Allowed(_REACTANCE)] = Field(
        description="Reactance; ohm."
    )


class GenerationRow(CsvRow):
    """Generation at a bus that follows a series of its own; a bus may have several rows."""

    bus: _BusOfRow = Field(description="Bus at which it feeds in.")
    generation_class: Annotated[str | None, MinLen(1), Allowed(_NO_CLASS)] = Field(
        description="Class of the load profile whose column it follows, such as pv."
    )
    p_mw: Annotated[float | None, Ge(0), NUMBER] = Field(
        description="Nominal active power that is fed in; MW."
    )
    q_mvar: Annotated[float | None, NUMBER] = Field(
        description="Nominal reactive power that is fed in; Mvar."
    )


@dataclass(frozen=True, eq=False)
class LineValues:
    """The network of a feeder of one voltage, fed at one bus, of lines without capacitance.

    vn_kv: rated voltage, kV. slack_bus: bus that is fed, pandapower's index + 1, at slack_vm_pu
    [p.u.]. Nominal load at each bus p_mw, q_mvar float64[n], consumption positive; impedance of
    each line r_ohm, x_ohm float64[m].
    """

    vn_kv: float
    slack_bus: int
    slack_vm_pu: float
    p_mw: NDArray[np.float64]
    q_mvar: NDArray[np.float64]
    r_ohm: NDArray[np.float64]
    x_ohm: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Generation:
    """Nominal generation with series of its own, G rows.

    bus: int64[G], pandapower's index + 1. kind: str[G], class of the load profile. p_mw, q_mvar:
    float64[G], fed in, MW and Mvar.
    """

    bus: NDArray[np.int64]
    kind: NDArray[np.str_]
    p_mw: NDArray[np.float64]
    q_mvar: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Labels:
    """What the source calls things. Empty arrays where it says nothing.

    bus, line: str[n], str[m], names. x, y: float64[n], places of the buses, NaN where not known.
    """

    bus: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, dtype=np.str_))
    line: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, dtype=np.str_))
    x: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    y: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, eq=False)
class FeederTable:
    """What a feeder folder says; the network itself is built by `abm.grid`.

    net: "module:function", or the absolute path of a pandapower JSON file; "" where `values` are
    the network. code: the function, where a feeder.yaml names it. Buses are numbered from 1
    (pandapower's index + 1), in the order of buses.csv: buses int64[n], customer_class str[n], zone
    int64[n] (0 where no EVs live), customers float64[n] (NaN where not known; empty: nowhere).
    first_bus: what is shown as the number of the first bus, 0 or 1. Lines in the order of
    lines.csv: line_from, line_to int64[m], ampacity_a float64[m] [A], NaN where not known.
    is_open: bool[m]; with a net an empty array leaves its switches as they are. line_index:
    int64[m], index in the net; empty: found by the ends. generation: what follows a series of its
    own. labels: names and places.
    phases: of a three-phase feeder the network. Its buses are there; what is called bus here are
    then its homes, 1 to H, with their names and places in labels. Several homes may be of one zone,
    and there are no lines here.
    """

    name: str
    net: str
    buses: NDArray[np.int64]
    customer_class: NDArray[np.str_]
    zone: NDArray[np.int64]
    line_from: NDArray[np.int64]
    line_to: NDArray[np.int64]
    ampacity_a: NDArray[np.float64]
    values: LineValues | None = None
    description: str = ""
    source: str = ""
    code: Code | None = None
    first_bus: int = 1
    customers: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    is_open: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    line_index: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    generation: Generation | None = None
    labels: Labels = field(default_factory=Labels)
    phases: PhaseValues | None = None

    @property
    def n_zones(self) -> int:
        """Number of RPZs; zones are numbered 1 to n_zones."""
        return int(self.zone.max(initial=0))

    @property
    def classes(self) -> frozenset[str]:
        """Classes of the load profile that it needs."""
        kinds = () if self.generation is None else self.generation.kind
        return frozenset(map(str, (*self.customer_class, *kinds)))

    def zone_customers(self) -> NDArray[np.float64]:
        """Customers at the buses of each zone, float64[n_zones]; NaN where not known."""
        if not len(self.customers):
            return np.full(self.n_zones, np.nan)
        at = self.zone > 0
        found = np.zeros(self.n_zones)
        np.add.at(found, self.zone[at] - 1, self.customers[at])
        return found
