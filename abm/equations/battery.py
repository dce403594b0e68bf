"""Battery and charger: equations (1)-(8) and (14)-(18), on numbers or columns.

SoC and efficiency are fractions, energies kWh, powers kW, times minutes. Energies and powers are at
the grid side of the charger unless they are called stored: that is what the battery holds. The
print is ambiguous in places; docs/equations.md lists our reading of each.
"""

from __future__ import annotations

import numpy as np

from abm.equations import Values

# Stored energies below this are rounding, not a wish to charge or something to give.
EPS_KWH = 1e-9
# A SoC this far outside its bounds is still on them.
EPS_SOC = 1e-9
# With a taper a battery is charged up to here in a time that can be said.
ALMOST_FULL = 0.999
# To divide by where a power may be 0.
TINY_KW = 1e-12
# Within this part of a step a stay fills the whole of it.
EPS_STEP = 1e-9


def required_soc(soc_final: Values, soc_initial: Values, factor: float = 1.0) -> Values:
    """SoC to be charged, eq. (3), times the 0.85 of eq. (7). [-], [-] -> [-], at least 0."""
    return np.maximum(factor * (soc_final - soc_initial), 0.0)


def printed_goal(soc: Values, soc_required: Values) -> Values:
    """SoC that charging goes to as printed, eqs. (3), (16), at most 1. [-], [-] -> [-].

    What V2G took before charging began is not charged again: the required SoC is added to `soc`.
    """
    return np.minimum(soc + soc_required, 1.0)


def battery_capacity(unit_kwh: float, integers: Values) -> Values:
    """Battery capacity C_b, eq. (4): theta x a random integer in [K1, K2]. -> [kWh]."""
    return unit_kwh * integers


def below_lower_bound(soc: Values, soc_lower: float) -> Values:
    """Where eq. (5), soc >= soc_L, does not hold."""
    return soc < soc_lower - EPS_SOC


def above_upper_bound(soc: Values, soc_upper: float) -> Values:
    """Where eq. (6), soc <= soc_U, does not hold."""
    return soc > soc_upper + EPS_SOC


def spare_soc(soc: Values, soc_min: Values) -> Values:
    """SoC available for V2G, eq. (18): soc_i - soc_min^Delta, at least 0. [-], [-] -> [-]."""
    return np.maximum(soc - soc_min, 0.0)


def stored_energy(soc: Values, capacity_kwh: Values) -> Values:
    """Energy of a part of the SoC in the battery: soc x C_b. [-], [kWh] -> [kWh stored]."""
    return soc * capacity_kwh


def charging_energy(stored_kwh: Values, efficiency: Values) -> Values:
    """Energy drawn from the grid E_cg to store some, eq. (2). [kWh stored] -> [kWh]."""
    return stored_kwh / efficiency


def discharging_energy(stored_kwh: Values, efficiency: Values) -> Values:
    """Energy supplied to the grid E_dg from what was stored, eq. (17). [kWh stored] -> [kWh]."""
    return stored_kwh * efficiency


def charging_minutes(stored_kwh: Values, rating_kw: Values, efficiency: Values) -> Values:
    """Charging time T_cg, eq. (1), at least 0. [kWh stored], [kW], [-] -> [min].

    Printed as "/ C_c x eta"; energy drawn from the grid is what eq. (2) says, so eta divides.
    """
    return np.maximum(60.0 * stored_kwh / (rating_kw * efficiency), 0.0)


def tapered_rating(soc: Values, rating_kw: Values, taper: float) -> Values:
    """Power that a battery takes at a SoC: the rating up to `taper`, from there linear to 0 at 1.

    The constant-current, constant-voltage charge in its plainest form, as in ACN-Sim's two-stage
    battery and SpiceEV's `cccv`. [-], [kW], [-] -> [kW].
    """
    return rating_kw * np.clip((1.0 - soc) / (1.0 - taper), 0.0, 1.0)


def tapered_charge(
    stored_kwh: Values,
    power_kw: Values,
    efficiency: Values,
    hours: Values,
    soc: Values,
    capacity_kwh: Values,
    rating_kw: Values,
    taper: float,
) -> Values:
    """`charged_in` with a taper: at power_kw as far as `tapered_rating` allows it. -> [kWh].

    Where the taper limits the power the SoC that is missing to 1 falls exponentially.
    """
    # The SoC from which on the battery takes less than power_kw.
    knee = 1.0 - (1.0 - taper) * np.minimum(power_kw / rating_kw, 1.0)
    flat_kwh = charging_energy(stored_energy(np.maximum(knee - soc, 0.0), capacity_kwh), efficiency)
    flat_h = np.minimum(hours, flat_kwh / np.maximum(power_kw, TINY_KW))
    left_kwh = charging_energy(stored_energy(1.0 - np.maximum(soc, knee), capacity_kwh), efficiency)
    per_h = rating_kw * efficiency / (capacity_kwh * (1.0 - taper))
    tail_kwh = -left_kwh * np.expm1(-per_h * (hours - flat_h))
    return np.minimum(charging_energy(stored_kwh, efficiency), power_kw * flat_h + tail_kwh)


def tapered_minutes(
    soc: Values,
    goal: Values,
    rating_kw: Values,
    efficiency: Values,
    capacity_kwh: Values,
    taper: float,
) -> Values:
    """`charging_minutes` from a SoC to a goal with a taper, at least 0. -> [min].

    The last thousandth below 1, which would take for ever, is not waited for.
    """
    flat = np.maximum(np.minimum(goal, taper) - soc, 0.0)
    flat_min = charging_minutes(stored_energy(flat, capacity_kwh), rating_kw, efficiency)
    per_h = rating_kw * efficiency / (capacity_kwh * (1.0 - taper))
    begin = 1.0 - np.clip(soc, taper, ALMOST_FULL)
    end = 1.0 - np.clip(goal, taper, ALMOST_FULL)
    return flat_min + np.maximum(np.log(begin / end), 0.0) / per_h * 60.0


def tapered_mean(
    soc: Values,
    goal: Values,
    rating_kw: Values,
    efficiency: Values,
    capacity_kwh: Values,
    taper: float,
) -> Values:
    """Mean power of charging from a SoC to a goal with a taper; the rating where none is. [kW]."""
    hours = tapered_minutes(soc, goal, rating_kw, efficiency, capacity_kwh, taper) / 60.0
    stored = stored_energy(np.clip(goal, soc, np.maximum(soc, ALMOST_FULL)) - soc, capacity_kwh)
    mean = charging_energy(stored, efficiency) / np.maximum(hours, EPS_STEP)
    return np.where(hours > EPS_STEP, np.minimum(mean, rating_kw), rating_kw)


def put_back(efficiency: Values, discharged: Values = 1.0, charging: Values = 1.0) -> Values:
    """What V2G has to put back: T_cg of eq. (1) over T_dg of eq. (15) for the same stored energy.

    discharged, charging: ratings [kW]. Minutes of charging for each minute of discharging; with
    equal ratings, kWh to draw for each kWh supplied.
    """
    return discharged / (efficiency**2 * charging)


def plugged_hours(
    arrival_min: Values, departure_min: Values, begin_min: Values, end_min: Values, step_h: float
) -> Values:
    """Hours of the step from begin_min to end_min in which a stay is plugged in; step_h for all."""
    since, until = np.maximum(arrival_min, begin_min), np.minimum(departure_min, end_min)
    hours = np.maximum((until - since) / 60.0, 0.0)
    # Almost all of the step is all of it: the larger of the two, and not more than the step.
    almost = hours > step_h * (1.0 - EPS_STEP)
    return np.minimum(np.maximum(hours, almost * step_h), step_h)


def charged_in(stored_kwh: Values, rating_kw: Values, efficiency: Values, hours: Values) -> Values:
    """Energy drawn in some hours: at the rating, or what just reaches the goal. -> [kWh]."""
    return np.minimum(charging_energy(stored_kwh, efficiency), rating_kw * hours)


def discharged_in(
    stored_kwh: Values, rating_kw: Values, efficiency: Values, hours: Values
) -> Values:
    """Energy supplied in some hours: at the rating, or down to the threshold. -> [kWh]."""
    return np.minimum(discharging_energy(stored_kwh, efficiency), rating_kw * hours)


def soc_drawn(energy_kwh: Values, efficiency: Values, capacity_kwh: Values) -> Values:
    """SoC that drawing energy_kwh adds. -> [-]."""
    return energy_kwh * efficiency / capacity_kwh


def soc_supplied(energy_kwh: Values, efficiency: Values, capacity_kwh: Values) -> Values:
    """SoC that supplying energy_kwh takes. -> [-]."""
    return energy_kwh / efficiency / capacity_kwh


def soc_charged(
    soc: Values, energy_kwh: Values, efficiency: Values, capacity_kwh: Values, soc_most: Values
) -> Values:
    """SoC after drawing energy_kwh; the last digit does not push it across soc_most. -> [-]."""
    return np.minimum(soc + soc_drawn(energy_kwh, efficiency, capacity_kwh), soc_most)


def soc_discharged(
    soc: Values, energy_kwh: Values, efficiency: Values, capacity_kwh: Values, soc_least: Values
) -> Values:
    """SoC after supplying energy_kwh; the last digit does not push it across soc_least. -> [-]."""
    return np.maximum(soc - soc_supplied(energy_kwh, efficiency, capacity_kwh), soc_least)


def energy_gained(charged_kwh: Values, discharged_kwh: Values, efficiency: Values) -> Values:
    """What a battery has more than before, from what went through its plug. -> [kWh]."""
    return charged_kwh * efficiency - discharged_kwh / efficiency


def full_cycles(
    charged_kwh: Values, discharged_kwh: Values, efficiency: Values, capacity_kwh: Values
) -> Values:
    """Equivalent full cycles: energy through the battery over twice its capacity. -> [-]."""
    through = charged_kwh * efficiency + discharged_kwh / efficiency
    return through / (2.0 * capacity_kwh)


def mean_power(energy_kwh: Values, hours: float) -> Values:
    """Power of an EV or a zone over a time, the summand of eq. (8). [kWh], [h] -> [kW]."""
    return energy_kwh / hours


def hourly_demand(energy_kwh: Values, minutes: float = 60.0) -> Values:
    """Aggregated demand P_EV(h), eq. (8): sum of E / Delta t over the last axis. -> [kW]."""
    return np.sum(energy_kwh, axis=-1) / (minutes / 60.0)
