"""Equations (1)-(8) and (14)-(18) of the paper as plain array functions without state.

Arrays broadcast against each other; SoC and efficiency are fractions, energies kWh, powers kW,
times minutes. Energies E and powers P are at the grid side of the charger. The print is ambiguous
in places; docs/equations.md lists our reading of each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from abm.equations import BoolArray, FloatArray


def required_soc(soc_final: ArrayLike, soc_initial: ArrayLike, factor: float = 1.0) -> FloatArray:
    """SoC to be charged, eq. (3), times the 0.85 of eq. (7). [-], [-] -> [-], at least 0."""
    return np.maximum(factor * np.subtract(soc_final, soc_initial), 0.0)


def charging_minutes(
    soc_req: ArrayLike, capacity_kwh: ArrayLike, rating_kw: ArrayLike, efficiency: ArrayLike
) -> FloatArray:
    """Charging time T_cg, eq. (1): soc_req x C_b / (C_c x eta) x 60. -> [min].

    Printed as "/ C_c x eta"; energy drawn from the grid is what eq. (2) says, so eta divides.
    """
    return np.divide(charging_energy(soc_req, capacity_kwh, efficiency), rating_kw) * 60.0


def charging_energy(
    soc_req: ArrayLike, capacity_kwh: ArrayLike, efficiency: ArrayLike
) -> FloatArray:
    """Energy drawn from the grid E_cg, eq. (2): soc_req x C_b / eta. -> [kWh]."""
    return np.multiply(soc_req, capacity_kwh) / np.asarray(efficiency, dtype=np.float64)


def battery_capacity(unit_kwh: float, integers: ArrayLike) -> FloatArray:
    """Battery capacity C_b, eq. (4): theta x a random integer in [K1, K2]. -> [kWh]."""
    return np.multiply(unit_kwh, np.asarray(integers, dtype=np.float64))


def below_lower_bound(soc: ArrayLike, soc_lower: float) -> BoolArray:
    """Where eq. (5), soc >= soc_L, does not hold (1e-9 of slack for rounding)."""
    return np.asarray(soc) < soc_lower - 1e-9


def above_upper_bound(soc: ArrayLike, soc_upper: float) -> BoolArray:
    """Where eq. (6), soc <= soc_U, does not hold (1e-9 of slack for rounding)."""
    return np.asarray(soc) > soc_upper + 1e-9


def hourly_demand(energy_kwh: ArrayLike, minutes: float = 60.0) -> FloatArray:
    """Aggregated demand P_EV(h), eq. (8): sum over EVs (last axis) of E / Delta t. -> [kW]."""
    return np.asarray(np.sum(energy_kwh, axis=-1) / (minutes / 60.0), dtype=np.float64)


def discharged_soc(soc_initial: ArrayLike, soc_min: ArrayLike) -> FloatArray:
    """SoC available for V2G, eq. (18): soc_i - soc_min^Delta. [-], never negative."""
    return np.maximum(np.subtract(soc_initial, soc_min), 0.0)


def discharging_energy(
    soc_dis: ArrayLike, capacity_kwh: ArrayLike, efficiency: ArrayLike
) -> FloatArray:
    """Energy supplied to the grid E_dg, eq. (17): soc_dis x C_b x eta. -> [kWh]."""
    return np.multiply(soc_dis, capacity_kwh) * np.asarray(efficiency, dtype=np.float64)


def discharging_minutes(
    soc_dis: ArrayLike, capacity_kwh: ArrayLike, rating_kw: ArrayLike, efficiency: ArrayLike
) -> FloatArray:
    """Discharging time T_dg, eq. (15): soc_dis x C_b x eta / C_d x 60. -> [min]."""
    return np.divide(discharging_energy(soc_dis, capacity_kwh, efficiency), rating_kw) * 60.0


def total_minutes(
    soc: ArrayLike, soc_min: ArrayLike, t_discharging: ArrayLike, t_charging: ArrayLike
) -> FloatArray:
    """Time in use T, eq. (14): T_cg at or below the threshold, T_dg + T_cg above it. -> [min]."""
    above = np.greater(soc, soc_min)
    return np.where(above, np.add(t_discharging, t_charging), t_charging)


def net_energy(
    soc: ArrayLike, soc_min: ArrayLike, e_discharging: ArrayLike, e_charging: ArrayLike
) -> FloatArray:
    """Net energy E, eq. (16): E_cg at or below the threshold, -E_dg + E_cg above it. -> [kWh].

    With E_cg of eqs. (2), (3) an EV leaves with soc_min + soc_f - soc_i: the as-printed
    requirement. The energy-balanced one passes E_cg for soc_f - soc_min instead.
    """
    above = np.greater(soc, soc_min)
    return np.where(above, np.subtract(e_charging, e_discharging), e_charging)
