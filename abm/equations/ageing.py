"""Wear of batteries: throughput, a Woehler curve, and two published cells.

Depths, SoC and capacity losses are fractions, times and ages days. The cells are those of
Schmalstieg et al., J. Power Sources 257 (2014) 325-334, NMC in 18650 cells, and of Xu et al., IEEE
Trans. Smart Grid 9 (2018) 1131-1140, LMO. docs/equations.md says how form and units were checked.
"""

from __future__ import annotations

import numpy as np

from abm.equations import Values

KELVIN = 273.15
# Schmalstieg 2014: a cell of 2.05 Ah. Its open-circuit voltage as a line of the SoC is the one of
# EV2Gym (Orfanoudakis et al. 2024).
CELL_AH = 2.05
VOLTS_EMPTY, VOLTS_PER_SOC = 3.3324, 0.8263
CALENDAR_POWER, CYCLE_POWER = 0.75, 0.5
# Xu 2018: stress of time [1/s], SoC, temperature [1/K; K], depth; and the share of the SEI.
K_TIME, K_SOC, SOC_REFERENCE = 4.14e-10, 1.04, 0.5
K_TEMPERATURE, T_REFERENCE = 0.0693, 298.15
K_DEPTH = (1.40e5, -0.501, -1.23e5)
ALPHA_SEI, BETA_SEI = 0.0575, 121.0


def throughput_damage(full_cycles: Values, cycle_life: float, cycle_depth: float) -> Values:
    """Part of the life that equivalent full cycles use up, of cycle_life cycles of cycle_depth."""
    return full_cycles / (cycle_life * cycle_depth)


def woehler_damage(depth: Values, cycle_life: float, cycle_depth: float, exponent: float) -> Values:
    """Part of the life that one cycle of a depth uses up, 1 / N(depth) of a Woehler curve.

    N(depth) = cycle_life (depth / cycle_depth)^-exponent; damages add up (Palmgren and Miner). With
    an exponent of 1 that is `throughput_damage`.
    """
    return (depth / cycle_depth) ** exponent / cycle_life


def cell_voltage(soc: Values) -> Values:
    """Open-circuit voltage of the cell of Schmalstieg 2014 at a SoC. -> [V]."""
    return VOLTS_EMPTY + VOLTS_PER_SOC * soc


def schmalstieg_calendar(mean_soc: Values, kelvin: float) -> Values:
    """alpha_cap = (7.543 V - 23.75) 10^6 exp(-6976 / T). [-], [K] -> [1/d^0.75].

    It is linear in V and V in the SoC, so that the mean SoC over the time is all it takes.
    """
    return (7.543 * cell_voltage(mean_soc) - 23.75) * 1e6 * np.exp(-6976.0 / kelvin)


def schmalstieg_cycle(depth: Values, mean_soc: Values) -> Values:
    """beta_cap = 0.007348 (V - 3.667)^2 + 0.00076 + 0.004081 depth, of one cycle. -> [1/Ah^0.5].

    V is the quadratic mean of the voltage over the cycle, between its ends a line.
    """
    squared = cell_voltage(mean_soc) ** 2 + (VOLTS_PER_SOC * depth) ** 2 / 12.0
    return 7.348e-3 * (np.sqrt(squared) - 3.667) ** 2 + 7.6e-4 + 4.081e-3 * depth


def schmalstieg_loss(alpha: Values, beta: Values, days: Values, charge_ah: Values) -> Values:
    """Capacity lost since new: alpha t^0.75 + beta Q^0.5. Q: of charging and discharging [Ah]."""
    return alpha * days**CALENDAR_POWER + beta * charge_ah**CYCLE_POWER


def cell_charge(cycled_depth: Values) -> Values:
    """Charge through a cell of Schmalstieg 2014, both ways, in cycles of so much depth. -> [Ah]."""
    return 2.0 * CELL_AH * cycled_depth


def xu_state_stress(mean_soc: Values, kelvin: float) -> Values:
    """S_sigma S_T: stress of the SoC and of the temperature, 1 at 0.5 and 25 degrees Celsius."""
    warm = K_TEMPERATURE * (kelvin - T_REFERENCE) * T_REFERENCE / kelvin
    return np.exp(K_SOC * (mean_soc - SOC_REFERENCE) + warm)


def xu_cycle(depth: Values, mean_soc: Values, kelvin: float) -> Values:
    """f_c of one cycle: S_delta S_sigma S_T, S_delta = 1 / (k1 depth^k2 + k3)."""
    k1, k2, k3 = K_DEPTH
    return xu_state_stress(mean_soc, kelvin) / (k1 * depth**k2 + k3)


def xu_calendar(days: Values, mean_soc: Values, kelvin: float) -> Values:
    """f_t of a time: S_t S_sigma S_T, S_t = k_t t."""
    return K_TIME * 86400.0 * days * xu_state_stress(mean_soc, kelvin)


def xu_loss(stress: Values) -> Values:
    """Capacity lost since new: 1 - a exp(-b f) - (1 - a) exp(-f), f all stress so far."""
    return 1.0 - ALPHA_SEI * np.exp(-BETA_SEI * stress) - (1.0 - ALPHA_SEI) * np.exp(-stress)


def ageing_cost(
    loss: Values, end_of_life_loss: float, capacity_kwh: Values, pack_usd_per_kwh: float
) -> Values:
    """Cost of a capacity loss: its part of the one that ends a pack, times its price. -> [$]."""
    return loss / end_of_life_loss * capacity_kwh * pack_usd_per_kwh
