"""The EVs in a scenario: who plugs in, battery and charger, what is believed of those to come.

Every field says its unit; `docs/scenario.md` is generated from here.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from abm.scenario.fields import (
    Capacity,
    DroopCurve,
    Fraction,
    PowerFactor,
    Range,
    Section,
    TimeOfDay,
)
from abm.scenario.stay_fields import MeasuredStays


class FleetSection(Section):
    """Who plugs in, where and when: Table I, or a file of sessions."""

    evs_per_zone: int = Field(
        40, ge=0, le=1_000_000, description="EVs in each RPZ (N_EV / N_z = 600 / 15)."
    )
    evs_per_customer: float | None = Field(
        None,
        ge=0.0,
        le=1000.0,
        description="EVs per customer, in place of evs_per_zone: each RPZ has this times its customers (buses.csv of the feeder) as a whole number, so that zones may differ: the nearest, but of zones with equally many customers the nearest for all of them together.",
    )
    drawn_per_customer: float | None = Field(
        None,
        ge=0.0,
        le=1000.0,
        description="EVs per customer that are drawn, at least evs_per_customer, of which those of the first evs_per_customer are there: with the same value here, the EVs of a lower evs_per_customer are among those of a higher one, in the same homes, with the same days. Left out: as many as are there.",
    )
    sessions: str | None = Field(
        None,
        description="CSV of sessions that replaces the sampled fleet; columns ev_id, zone, arrival_min, departure_min (or arrival, departure as time stamps), then either capacity_kwh, soc_arrival, soc_target or energy_kwh, and optional p_max_kw, p_discharge_kw, efficiency. Minutes count from the start of the horizon, which may have several days; an EV may come again when it has left.",
    )
    stays: MeasuredStays | None = Field(
        None,
        description="Stays drawn as measured ones are, by their energy, in the place of the distributions below; `sessions fit` writes them.",
    )
    arrival: TimeOfDay = Field(
        TimeOfDay(low="16:00", high="24:00", mean="20:00", sd_h=1.5),
        description="Arrival, T_AR; clock times.",
    )
    departure: TimeOfDay = Field(
        TimeOfDay(low="7:00", high="9:00", mean="8:00", sd_h=0.5),
        description="Departure, T_DEP; clock times after the arrival.",
    )
    soc_arrival: Range = Field(
        Range(low=0.2, high=0.75), description="SoC on arrival, soc_i; fraction."
    )
    soc_target: Range = Field(
        Range(low=0.8, high=0.9), description="SoC wanted on departure, soc_f; fraction."
    )
    capacity: Capacity = Field(Capacity(), description="Battery capacity, C_b; kWh.")
    ev_models: str | None = Field(
        None,
        description="Models of EVs that battery and on-board charger are drawn from in the place of `capacity`: a name from `list`, or a CSV with columns model, usable_kwh, ac_max_kw and optional weight. An EV charges and discharges at no more than its own charger and the one on the wall allow.",
    )

    def evs_of(self, customers: NDArray[np.float64]) -> NDArray[np.int64]:
        """EVs in each zone, int64[n_zones]. customers: of each zone, NaN where not known."""
        if self.evs_per_customer is None:
            return np.full(len(customers), self.evs_per_zone, dtype=np.int64)
        return _to_whole(self.evs_per_customer, customers)

    def drawn_of(self, customers: NDArray[np.float64]) -> NDArray[np.int64]:
        """EVs in each zone that are drawn, int64[n_zones], the first of which are there."""
        if self.drawn_per_customer is None or self.evs_per_customer is None:
            return self.evs_of(customers)
        return _to_whole(self.drawn_per_customer, customers)

    @property
    def has_evs(self) -> bool:
        """Whether a zone has any, as far as can be known without a feeder."""
        given = self.evs_per_customer
        return (self.evs_per_zone if given is None else given) > 0


def _to_whole(each: float, customers: NDArray[np.float64]) -> NDArray[np.int64]:
    """So many for each customer, as whole numbers; none where they are not known.

    Zones with equally many customers have together the nearest whole number. As `each` grows they
    are rounded up one after the other, first here, then there (multiples of the golden section), so
    that of ten homes with a zone each five have an EV at 0.5, and none loses it at 0.6.
    """
    values, group, count = np.unique(
        np.nan_to_num(customers), return_inverse=True, return_counts=True
    )
    every = np.arange(len(group))
    begin = np.repeat(np.cumsum(count) - count, count)
    among, turn = np.empty_like(every), np.empty_like(every)
    among[np.argsort(group, kind="stable")] = every - begin
    spread = (0.5 + among * (math.sqrt(5.0) - 1.0) / 2.0) % 1.0
    turn[np.lexsort((spread, group))] = every - begin
    together = np.floor(each * values * count + 0.5).astype(np.int64)
    return np.asarray((together[group] + count[group] - 1 - turn) // count[group])


class VoltVarSection(Section):
    """Reactive power of the chargers by the voltage at their bus."""

    curve: DroopCurve = Field(
        [[0.92, 0.44], [0.98, 0.0], [1.02, 0.0], [1.08, -0.44]],
        description="Points of a curve that is straight between them and level beyond: voltage of the zone's bus, p.u., and reactive power supplied (negative: taken) over the kVA of the chargers with an EV plugged in; the default is that of IEEE 1547-2018, category B. What their active power leaves of the kVA limits it.",
    )
    kva_per_kw: float = Field(
        1.0,
        ge=1.0,
        le=10.0,
        description="Apparent power of a charger over its rating (the larger of G2V and V2G), kVA/kW; active power comes first.",
    )


class CarsSection(Section):
    """What some cars insist on, whoever controls the charger; each share is drawn by itself."""

    cannot_pause: Fraction = Field(
        0.0,
        description="Share of the EVs that cannot pause: once charging has begun in a stay it goes on until they are full, at 6 A at least, whatever is granted.",
    )
    does_not_wake: Fraction = Field(
        0.0,
        description="Share of the EVs that do not wake up: a pause of more than wakes_within_min after charging has begun ends it until they are plugged in anew.",
    )
    wakes_within_min: float = Field(
        15.0,
        ge=0.0,
        le=1440.0,
        description="Longest pause after which such an EV goes on charging, min.",
    )
    needs_six_amp: Fraction = Field(
        0.0,
        description="Share of the EVs that need 6 A on each phase to charge: 1.38 kW where the charger is rated up to 7.4 kW (one phase), 4.14 kW above (three); below it they do not. Read like ev.min_charge_kw, which holds for all.",
    )


class EvSection(Section):
    """Battery and charger, the same for every EV unless a session says otherwise."""

    efficiency: float = Field(
        0.98,
        gt=0.0,
        le=1.0,
        description="One-way efficiency between grid and battery, eta_c, for charging and discharging; fraction.",
    )
    soc_min: Fraction = Field(
        0.2, description="Threshold down to which V2G discharges, soc_min^Delta; fraction."
    )
    soc_lower: Fraction = Field(
        0.0, description="Lower bound of the SoC, soc_L in eq. (5); fraction."
    )
    soc_upper: Fraction = Field(
        1.0, description="Upper bound of the SoC, soc_U in eq. (6); fraction."
    )
    charger_kw: float = Field(
        5.4, gt=0.0, le=1e4, description="G2V charger rating at the grid side, C_c; kW."
    )
    discharger_kw: float = Field(
        7.5, ge=0.0, le=1e4, description="V2G rating at the grid side, C_d; kW."
    )
    min_charge_kw: float = Field(
        0.0,
        ge=0.0,
        le=1e4,
        description="Least power that a charger can be set to, kW; 6 A on one phase of 230 V are 1.38. Below it a charger is off. Only read where a rule or an admission answers with powers, or limits them.",
    )
    taper: float | None = Field(
        None,
        gt=0.0,
        lt=1.0,
        description="SoC up to which a battery takes its charger's full power, from there falling linearly to zero at a SoC of 1, fraction; left out: full power throughout. The bound and the reference cost of eq. (22) charge at full power.",
    )
    min_on_min: float = Field(
        0.0,
        ge=0.0,
        le=1440.0,
        description="Least time that a charger stays in a mode, G2V or V2G, min, rounded up to time steps; it ends earlier where there is nothing left to move.",
    )
    min_off_min: float = Field(
        0.0,
        ge=0.0,
        le=1440.0,
        description="Least time that a charger that was switched off stays off, min, rounded up to time steps; from V2G to G2V and back it need not be off.",
    )
    cars: CarsSection = Field(CarsSection(), description="What some cars insist on.")
    power_factor: PowerFactor = Field(
        1.0,
        description="Power factor of the chargers, the same in G2V and V2G. Above 0 they take reactive power, |P| x tan(arccos PF) (inductive), below 0 they supply it (capacitive); 1 and -1: none. Ratings are of active power.",
    )
    volt_var: VoltVarSection | None = Field(
        None,
        description="Reactive power by voltage instead of a power factor; left out: none.",
    )
    switch_cost_usd: float = Field(
        0.0,
        ge=0.0,
        le=1e6,
        description="Cost of a change of mode, $: wear of charger and battery. Reported as switching_cost_usd, not part of the net cost.",
    )


class Requirement(Section):
    """How much an EV has to charge in a stay: eqs. (3), (7), (14)-(16)."""

    kind: Literal["as_printed", "energy_balanced"] = Field(
        "as_printed",
        description="as_printed: charging adds factor x (soc_f - soc_i) to the SoC it starts from, eqs. (3), (16); energy_balanced: charging goes to soc_f.",
    )
    factor: float = Field(
        0.85,
        gt=0.0,
        le=1.0,
        description="Share of the requirement that is charged, 0.85 in eq. (7); only read when as_printed.",
    )


class BeliefSection(Section):
    """What the aggregator of `coordinated` and `mpc` believes of the EVs still to come, apart from the truth.

    What is left out is believed as it is in `fleet`.
    """

    arrivals: Literal["distributions", "sessions", "nobody"] | None = Field(
        None,
        description="Who is expected: EVs drawn from distributions, those of a file of past sessions, or nobody. Left out: distributions, and nobody where the fleet comes from a file of sessions.",
    )
    sessions: str | None = Field(
        None,
        description="CSV of past sessions, columns as in `fleet.sessions`; read with `arrivals: sessions`; where all arrive on the first day every day of the horizon is like it.",
    )
    evs_per_zone: int | None = Field(None, ge=0, le=1_000_000, description="EVs in each RPZ.")
    stays: MeasuredStays | None = Field(
        None, description="Stays as in `fleet.stays`, whatever the fleet is."
    )
    arrival: TimeOfDay | None = Field(None, description="Arrival; clock times.")
    departure: TimeOfDay | None = Field(None, description="Departure; clock times.")
    soc_arrival: Range | None = Field(None, description="SoC on arrival; fraction.")
    soc_target: Range | None = Field(None, description="SoC wanted on departure; fraction.")
    arrival_shift_h: float = Field(
        0.0,
        ge=-24.0,
        le=24.0,
        description="Everybody is believed to come so much later, h; not after half an hour before the departure.",
    )
