"""A three-phase network as arrays: what a feeder folder with phases says."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

PHASES = "abc"


@dataclass(frozen=True, eq=False)
class PhaseValues:
    """The network of a three-phase feeder: B buses, L lines, X transformers, C capacitors, H homes.

    Positions of buses count from 0 in the order of `bus`. Arrays with a phase axis have it in the
    order a, b, c; what a phase that is not there says is 0 (False).

    bus: str[B], names. vn_kv: float64[B], rated voltage from line to line, kV. x, y: float64[B],
    places, NaN where not known. f_hz: frequency, Hz.
    source_bus: its position; source_vm_pu, source_va_degree: voltage behind its impedance, of
    phase a; source_z1_ohm, source_z0_ohm: that impedance, positive and zero sequence, ohm at the
    bus, 0 where the source is stiff.
    line: str[L], names. line_from, line_to: int64[L]. line_phases: bool[L, 3]. line_z_ohm:
    complex128[L, 3, 3], series impedance of the whole line, ohm. line_y_siemens: complex128
    [L, 3, 3], shunt admittance of the whole line, half of it at each end, S. line_ampacity_a:
    float64[L], A by phase, NaN where not known. line_length_m: float64[L], empty where not known.
    Open lines are not among them.
    transformer: str[X], names, of two windings and three phases. transformer_from,
    transformer_to: int64[X]. from_delta, to_delta: bool[X], windings in delta; the others are wye
    with an earthed neutral. to_lag_degree: float64[X], by how much the voltage at the to end lags
    behind that at the from end, a multiple of 30. vn_from_kv, vn_to_kv: float64[X], rated voltages
    of the windings, line to line, kV. tap_from, tap_to: float64[X], p.u. of those, 1 at the middle.
    sn_kva: float64[X]. r_percent, x_percent: float64[X], of both windings together.
    noload_percent, magnetising_percent: float64[X], of sn_kva: active power and reactive current
    of the shunt branch, at the to end.
    capacitor: str[C]. capacitor_bus: int64[C]. capacitor_y_siemens: complex128[C, 3, 3].
    home_bus: int64[H], where each home is connected. home_phases: bool[H, 3]. home_delta: bool[H],
    between its phases in the place of from each of them to the neutral; never with one phase
    alone. home_p_kw, home_q_kvar: float64[H], nominal load of all phases together. charger_phase:
    int64[H], phase of a single-phase charger, -1 where nobody says. The names of the homes are the
    labels of the buses of the `FeederTable`.
    """

    bus: NDArray[np.str_]
    vn_kv: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    f_hz: float
    source_bus: int
    source_vm_pu: float
    source_va_degree: float
    source_z1_ohm: complex
    source_z0_ohm: complex
    line: NDArray[np.str_]
    line_from: NDArray[np.int64]
    line_to: NDArray[np.int64]
    line_phases: NDArray[np.bool_]
    line_z_ohm: NDArray[np.complex128]
    line_y_siemens: NDArray[np.complex128]
    line_ampacity_a: NDArray[np.float64]
    transformer: NDArray[np.str_]
    transformer_from: NDArray[np.int64]
    transformer_to: NDArray[np.int64]
    from_delta: NDArray[np.bool_]
    to_delta: NDArray[np.bool_]
    to_lag_degree: NDArray[np.float64]
    vn_from_kv: NDArray[np.float64]
    vn_to_kv: NDArray[np.float64]
    tap_from: NDArray[np.float64]
    tap_to: NDArray[np.float64]
    sn_kva: NDArray[np.float64]
    r_percent: NDArray[np.float64]
    x_percent: NDArray[np.float64]
    noload_percent: NDArray[np.float64]
    magnetising_percent: NDArray[np.float64]
    capacitor: NDArray[np.str_]
    capacitor_bus: NDArray[np.int64]
    capacitor_y_siemens: NDArray[np.complex128]
    home_bus: NDArray[np.int64]
    home_phases: NDArray[np.bool_]
    home_delta: NDArray[np.bool_]
    home_p_kw: NDArray[np.float64]
    home_q_kvar: NDArray[np.float64]
    charger_phase: NDArray[np.int64]
    line_length_m: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def n_home(self) -> int:
        """Number of homes H."""
        return len(self.home_bus)
