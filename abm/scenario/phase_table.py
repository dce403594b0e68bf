"""What the folder of a three-phase feeder says: feeder.yaml and the rows of its tables."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import AfterValidator, BeforeValidator, Field

from abm.scenario.csvio import NUMBER, OR_EMPTY, WHOLE, CsvRow
from abm.scenario.feeder_table import CLOSED, Coordinate, Text
from abm.scenario.fields import Allowed, Section
from abm.scenario.phase_values import PHASES

# Of a matrix of the conductors of a line its lower triangle, by rows.
TRIANGLE = ("aa", "ba", "bb", "ca", "cb", "cc")
MOST_OHM_PER_KM = 100
SEQUENCE = ("r1_ohm_per_km", "x1_ohm_per_km", "r0_ohm_per_km", "x0_ohm_per_km")

_CONNECTION = re.compile(r"(D|YN)(d|yn)(\d{1,2})")
_CONNECTION_WORDS = (
    "windings and clock hour, such as Dyn11, YNyn0, YNd1, Dd0: D, YN, d and yn (wye with an "
    "earthed neutral); the hour is even from wye to wye and delta to delta, odd between them"
)


def connection_of(text: str) -> tuple[bool, bool, int]:
    """Whether each winding is in delta, and the clock hour of "Dyn11". Raises ValueError."""
    match = _CONNECTION.fullmatch(text)
    if match is None or int(match[3]) > 11:
        raise ValueError(text)
    from_delta, to_delta, hour = match[1] == "D", match[2] == "d", int(match[3])
    if hour % 2 != (from_delta != to_delta):
        raise ValueError(text)
    return from_delta, to_delta, hour


def _is_connection(text: str | None) -> bool:
    try:
        connection_of("Dd0" if text is None else text)
    except ValueError:
        return False
    return True


def _phases(text: str | None) -> str | None:
    """Phases in the order a, b, c."""
    if text is None:
        return None
    letters = sorted(text.lower())
    if not letters or len(set(letters)) < len(letters) or not set(letters) <= set(PHASES):
        raise ValueError(text)
    return "".join(letters)


_Name = Annotated[str | None, MinLen(1), Allowed("a name")]
_Bus = Annotated[str | None, MinLen(1), Allowed("a bus of buses.csv")]
_Phases = Annotated[
    str | None, AfterValidator(_phases), Allowed("phases out of a, b, c, as abc, bc or a")
]
_WYE = Annotated[
    Literal["wye", "delta"] | None, OR_EMPTY, Allowed("wye (to the neutral, or empty) or delta")
]
_Kv = Annotated[
    float | None,
    Ge(0.1),
    Le(800),
    NUMBER,
    Allowed("from 0.1 to 800 kV, from line to line; is it in V?"),
]
_Sequence = Annotated[
    float | None,
    Ge(0),
    Le(MOST_OHM_PER_KM),
    NUMBER,
    OR_EMPTY,
    Allowed("from 0 to 100 ohm per km; is it in milliohm?"),
]
_SelfR = Annotated[
    float | None, Ge(0), Le(100), NUMBER, OR_EMPTY, Allowed("from 0 to 100 ohm per km, or empty")
]
_Mutual = Annotated[
    float | None, Ge(-100), Le(100), NUMBER, OR_EMPTY, Allowed("a number, -100 to 100, or empty")
]
_Susceptance = Annotated[
    float | None,
    Ge(-1e4),
    Le(1e4),
    NUMBER,
    OR_EMPTY,
    Allowed("a number of uS per km, -10000 to 10000, or empty for none"),
]
_Ampacity = Annotated[
    float | None,
    Ge(1),
    Le(20_000),
    NUMBER,
    OR_EMPTY,
    Allowed("from 1 to 20000 A, or empty where it is not known; is it in kA?"),
]
_Tap = Annotated[
    float | None,
    Ge(0.5),
    Le(1.5),
    NUMBER,
    OR_EMPTY,
    Allowed("from 0.5 to 1.5 p.u. of the rated voltage, or empty for 1"),
]


class PhaseHead(Section):
    """feeder.yaml of a three-phase feeder: what feeds it."""

    three_phase: Annotated[Literal[True], Allowed("true, or no such key")] = Field(
        description="Says that the tables are those of a three-phase feeder."
    )
    description: Text = Field("", description="What the feeder is.")
    source: Text = Field("", description="Where it is from.")
    f_hz: Annotated[float, Ge(10), Le(100)] = Field(50.0, description="Frequency; Hz.")
    source_bus: Annotated[
        str,
        BeforeValidator(lambda name: str(name) if type(name) is int else name),
        Allowed("a bus of buses.csv"),
    ] = Field(description="Bus that is fed.")
    source_vm_pu: Annotated[float, Ge(0.8), Le(1.2)] = Field(
        1.0, description="Voltage behind the impedance of the source; p.u. of the bus's vn_kv."
    )
    source_va_degree: Annotated[float, Ge(-360), Le(360)] = Field(
        0.0, description="Angle of phase a of that voltage; degrees."
    )
    source_r1_ohm: Annotated[float, Ge(0), Le(1e6)] = Field(
        0.0, description="Positive-sequence resistance of the source; ohm at its bus."
    )
    source_x1_ohm: Annotated[float, Ge(0), Le(1e6)] = Field(
        0.0, description="Positive-sequence reactance; ohm. All four 0: a stiff source."
    )
    source_r0_ohm: Annotated[float, Ge(0), Le(1e6)] = Field(
        0.0, description="Zero-sequence resistance; ohm."
    )
    source_x0_ohm: Annotated[float, Ge(0), Le(1e6)] = Field(
        0.0, description="Zero-sequence reactance; ohm."
    )


class PhaseBusRow(CsvRow):
    """A bus of a three-phase feeder."""

    bus: _Name = Field(description="Name of the bus.")
    vn_kv: _Kv = Field(description="Rated voltage from line to line; kV.")
    x: Coordinate = Field(None, description="Place on a map, to the east; may be left out.")
    y: Coordinate = Field(None, description="Place on a map, to the north; may be left out.")


class LinecodeRow(CsvRow):
    """Impedances of a kind of line: by sequence, or a matrix of its conductors.

    Of a matrix the conductor `a` is the first of the line's phases, `b` the second, `c` the third.
    """

    linecode: _Name = Field(description="Name of the code.")
    r1_ohm_per_km: _Sequence = Field(None, description="Positive-sequence resistance; ohm/km.")
    x1_ohm_per_km: _Sequence = Field(None, description="Positive-sequence reactance; ohm/km.")
    r0_ohm_per_km: _Sequence = Field(None, description="Zero-sequence resistance; ohm/km.")
    x0_ohm_per_km: _Sequence = Field(None, description="Zero-sequence reactance; ohm/km.")
    b1_us_per_km: _Susceptance = Field(None, description="Positive-sequence susceptance; uS/km.")
    b0_us_per_km: _Susceptance = Field(None, description="Zero-sequence susceptance; uS/km.")
    ampacity_a: _Ampacity = Field(None, description="Rated current of a phase; A.")
    r_aa: _SelfR = Field(None, description="Resistance of the first conductor, with earth; ohm/km.")
    r_ba: _Mutual = Field(None, description="Mutual resistance of second and first; ohm/km.")
    r_bb: _SelfR = Field(None, description="Resistance of the second; ohm/km.")
    r_ca: _Mutual = Field(None, description="Mutual resistance of third and first; ohm/km.")
    r_cb: _Mutual = Field(None, description="Mutual resistance of third and second; ohm/km.")
    r_cc: _SelfR = Field(None, description="Resistance of the third; ohm/km.")
    x_aa: _SelfR = Field(None, description="Reactance of the first conductor, with earth; ohm/km.")
    x_ba: _Mutual = Field(None, description="Mutual reactance of second and first; ohm/km.")
    x_bb: _SelfR = Field(None, description="Reactance of the second; ohm/km.")
    x_ca: _Mutual = Field(None, description="Mutual reactance of third and first; ohm/km.")
    x_cb: _Mutual = Field(None, description="Mutual reactance of third and second; ohm/km.")
    x_cc: _SelfR = Field(None, description="Reactance of the third; ohm/km.")
    b_aa: _Susceptance = Field(None, description="Susceptance matrix, first conductor; uS/km.")
    b_ba: _Susceptance = Field(None, description="The same, second and first; uS/km.")
    b_bb: _Susceptance = Field(None, description="The same, second; uS/km.")
    b_ca: _Susceptance = Field(None, description="The same, third and first; uS/km.")
    b_cb: _Susceptance = Field(None, description="The same, third and second; uS/km.")
    b_cc: _Susceptance = Field(None, description="The same, third; uS/km.")


class PhaseLineRow(CsvRow):
    """A line of a three-phase feeder."""

    line: _Name = Field(description="Name of the line.")
    from_bus: _Bus = Field(description="Bus at one end.")
    to_bus: _Bus = Field(description="Bus at the other end.")
    phases: _Phases = Field(description="Phases that it has.")
    linecode: Annotated[str | None, MinLen(1), Allowed("a linecode of linecodes.csv")] = Field(
        description="Its impedances."
    )
    length_m: Annotated[
        float | None, Gt(0), Le(1e5), NUMBER, Allowed("above 0 and at most 100000 m")
    ] = Field(description="Length; m.")
    ampacity_a: _Ampacity = Field(
        None, description="Rated current of a phase; A; left out or empty: that of the linecode."
    )
    open: Annotated[
        int | None, Ge(0), Le(1), WHOLE, CLOSED, Allowed("0, or empty, where closed, 1 where open")
    ] = Field(None, description="Whether it is open; may be left out.")


class TransformerRow(CsvRow):
    """A transformer of three phases and two windings."""

    transformer: _Name = Field(description="Name of the transformer.")
    from_bus: _Bus = Field(description="Bus of the winding with the capital letters.")
    to_bus: _Bus = Field(description="Bus of the other winding.")
    connection: Annotated[str | None, Allowed(_CONNECTION_WORDS, test=_is_connection)] = Field(
        description="Connection and clock hour, such as Dyn11."
    )
    vn_from_kv: _Kv = Field(description="Rated voltage at from_bus, line to line; kV.")
    vn_to_kv: _Kv = Field(description="Rated voltage at to_bus; kV.")
    sn_kva: Annotated[
        float | None, Ge(1), Le(1e6), NUMBER, Allowed("from 1 to 1000000 kVA; is it in MVA?")
    ] = Field(description="Rated power; kVA.")
    r_percent: Annotated[float | None, Ge(0), Le(50), NUMBER, Allowed("from 0 to 50 %")] = Field(
        description="Resistance of both windings together; % on sn_kva."
    )
    x_percent: Annotated[float | None, Ge(0), Le(50), NUMBER, Allowed("from 0 to 50 %")] = Field(
        description="Reactance; %."
    )
    noload_percent: Annotated[
        float | None, Ge(0), Le(20), NUMBER, OR_EMPTY, Allowed("from 0 to 20 %, or empty for 0")
    ] = Field(None, description="No-load losses; % of sn_kva; may be left out.")
    magnetising_percent: Annotated[
        float | None, Ge(0), Le(20), NUMBER, OR_EMPTY, Allowed("from 0 to 20 %, or empty for 0")
    ] = Field(None, description="Reactive magnetising current; % of the rated; may be left out.")
    tap_from: _Tap = Field(None, description="Tap at from_bus; p.u. of vn_from_kv, 1 if left out.")
    tap_to: _Tap = Field(None, description="Tap at to_bus; p.u. of vn_to_kv, 1 if left out.")


class CapacitorRow(CsvRow):
    """A shunt capacitor."""

    capacitor: _Name = Field(description="Name of the capacitor.")
    bus: _Bus = Field(description="Bus at which it is.")
    phases: _Phases = Field(description="Phases that it has.")
    connection: _WYE = Field(
        None, description="wye, to the neutral, or delta, between the phases; left out: wye."
    )
    kv: _Kv = Field(description="Rated voltage, from line to line in wye, too; kV.")
    kvar: Annotated[
        float | None, Gt(0), Le(1e5), NUMBER, Allowed("above 0 and at most 100000 kvar")
    ] = Field(description="Reactive power at that voltage, of all phases together; kvar.")


class HomeRow(CsvRow):
    """A home, or any other customer: what is supplied by one service."""

    home: _Name = Field(description="Name of the home.")
    bus: _Bus = Field(description="Bus at which it is connected.")
    phases: _Phases = Field(description="Phases of its service.")
    connection: _WYE = Field(
        None, description="wye, from phase to neutral, or delta, between phases; left out: wye."
    )
    p_kw: Annotated[
        float | None, Ge(0), Le(1e5), NUMBER, Allowed("from 0 to 100000 kW; is it in W?")
    ] = Field(description="Nominal active power, of all its phases together; kW.")
    q_kvar: Annotated[
        float | None,
        Ge(-1e5),
        Le(1e5),
        NUMBER,
        OR_EMPTY,
        Allowed("a number, or empty with power_factor"),
    ] = Field(None, description="Nominal reactive power; kvar. Either this or power_factor.")
    power_factor: Annotated[
        float | None,
        Ge(0.1),
        Le(1),
        NUMBER,
        OR_EMPTY,
        Allowed("from 0.1 to 1, or empty with q_kvar"),
    ] = Field(None, description="Power factor, inductive.")
    customer_class: Annotated[str | None, OR_EMPTY, Allowed("a class of the load profile")] = Field(
        None, description="Class of the load profile; left out: residential."
    )
    zone: Annotated[
        int | None, Ge(1), WHOLE, OR_EMPTY, Allowed("a whole number from 1, or empty")
    ] = Field(
        None,
        description="Zone (RPZ), a number for each group of homes, empty: no EVs there; left out: "
        "by distribution transformer, in the order of transformers.csv.",
    )
    charger_phase: Annotated[
        Literal["a", "b", "c"] | None, OR_EMPTY, Allowed("a, b or c, or empty")
    ] = Field(None, description="Phase of a single-phase charger; may be left out.")
