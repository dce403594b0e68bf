"""The admittances of a three-phase network: primitive matrices of its elements, and Y of nodes.

Volts, amperes, ohms and siemens throughout. A node is a phase of a bus that exists, as the end of a
line that has that phase, of a transformer or of the source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from abm.equations import BoolArray, ComplexArray, FloatArray, IntArray
from abm.errors import LoadFlowError
from abm.scenario.phase_values import PHASES, PhaseValues

# a, the operator of symmetrical components: phase b lags behind phase a by 120 degrees.
TURN = np.exp(2j * np.pi / 3.0)
POSITIVE = np.array([1.0, TURN**2, TURN])
SEQUENCES = np.array([[1.0, 1.0, 1.0], [1.0, TURN**2, TURN], [1.0, TURN, TURN**2]])
# Reactance to earth at both ends of each winding, of its rated power: without it a network behind a
# winding in delta would have no voltage to earth. OpenDSS's default (ppm_antifloat).
ANTIFLOAT = 1e-6


@dataclass(frozen=True, eq=False)
class PhaseNetwork:
    """Admittances of a `PhaseValues`, S. N nodes; B, L, X, C as there.

    exists: bool [B, 3], which phases of a bus are nodes. transformer_y: complex [X, 6, 6], currents
    into a transformer at its from and to end, three phases each, from the voltages there.
    winding_y: complex [X, 6, 6], the currents of its windings from the same voltages; rated_a:
    float64 [X, 6], their ratings, A. source_y: complex [3, 3], NaN for a stiff source; source_v:
    complex [3], behind it, V. base_v: float64 [B], rated voltage to the neutral, V.
    """

    exists: BoolArray
    transformer_y: ComplexArray
    winding_y: ComplexArray
    rated_a: FloatArray
    source_y: ComplexArray
    source_v: ComplexArray
    base_v: FloatArray

    @property
    def stiff(self) -> bool:
        """Whether the source has no impedance."""
        return bool(np.isnan(self.source_y[0, 0].real))


def phase_network(values: PhaseValues) -> PhaseNetwork:
    """Admittances of a network. LoadFlowError where a home or a capacitor hangs at no node."""
    exists = np.zeros((len(values.bus), 3), dtype=np.bool_)
    for ends in (values.line_from, values.line_to):
        np.logical_or.at(exists, ends, values.line_phases)
    exists[values.transformer_from] = exists[values.transformer_to] = True
    exists[values.source_bus] = True
    without = [
        f"home {home + 1} at {values.bus[bus]}.{''.join(np.array(list(PHASES))[lacks])}"
        for home, bus in enumerate(values.home_bus)
        if (lacks := values.home_phases[home] & ~exists[bus]).any()
    ] + [
        f"capacitor {values.capacitor[at]}"
        for at, bus in enumerate(values.capacitor_bus)
        if (np.abs(values.capacitor_y_siemens[at]).any(axis=1) & ~exists[bus]).any()
    ]
    if without:
        raise LoadFlowError("phases without a line: " + ", ".join(without[:10]))
    transformer_y, winding_y, rated_a = _transformers(values)
    z_source = of_sequences(values.source_z0_ohm, values.source_z1_ohm)
    stiff = values.source_z1_ohm == 0.0
    unknown = np.full((3, 3), complex(np.nan))
    at_kv = values.vn_kv[values.source_bus]
    phase_a = values.source_vm_pu * np.exp(1j * np.radians(values.source_va_degree))
    return PhaseNetwork(
        exists=exists,
        transformer_y=transformer_y,
        winding_y=winding_y,
        rated_a=rated_a,
        source_y=unknown if stiff else np.linalg.inv(z_source).astype(np.complex128),
        source_v=1e3 * at_kv / np.sqrt(3.0) * phase_a * POSITIVE,
        base_v=1e3 * values.vn_kv / np.sqrt(3.0),
    )


def of_sequences(zero: complex, positive: complex) -> ComplexArray:
    """Phase matrix [3, 3] of a symmetric element from its zero and positive sequence."""
    other = (zero - positive) / 3.0
    matrix: ComplexArray = np.full((3, 3), other) + positive * np.eye(3)
    return matrix


def line_admittances(values: PhaseValues, lines: IntArray) -> ComplexArray:
    """Inverse of the series impedance of some lines over their phases, [number of lines, 3, 3], S.

    LoadFlowError for lines without impedance.
    """
    z, there = values.line_z_ohm[lines], values.line_phases[lines]
    y = np.zeros_like(z)
    for phases in np.unique(there, axis=0):
        rows = np.flatnonzero((there == phases).all(axis=1))
        at = np.ix_(rows, np.flatnonzero(phases), np.flatnonzero(phases))
        singular = rows[np.linalg.matrix_rank(z[at]) < phases.sum()]
        if len(singular):
            names = ", ".join(str(name) for name in values.line[lines[singular[:10]]])
            raise LoadFlowError(f"lines without impedance: {names}")
        y[at] = np.linalg.inv(z[at])
    return y


def winding_matrix(delta: bool) -> FloatArray:
    """Voltages of three windings from those of terminals, [3, 3]: v_j - v_{j-1} in delta."""
    return np.eye(3) - np.roll(np.eye(3), -1, axis=1) if delta else np.eye(3)


def to_winding_matrix(from_delta: bool, to_delta: bool, lag_degree: float) -> FloatArray:
    """The same at the to end, of the windings on the legs of those at the from end.

    Which phase a winding is on and which way round gives the lag: with positive sequence at both
    ends, that at the to end behind by the lag, voltages of both windings of a leg are in phase.
    LoadFlowError for a lag that such windings do not have.
    """
    from_v = winding_matrix(from_delta) @ POSITIVE
    to_v = POSITIVE * np.exp(-1j * np.radians(lag_degree))
    for shift in range(3):
        for sign in (1.0, -1.0):
            matrix: FloatArray = sign * np.roll(winding_matrix(to_delta), shift, axis=0)
            ratio = (matrix @ to_v) / from_v
            if np.allclose(ratio, np.abs(ratio[0])):
                return matrix
    kinds = " and ".join("delta" if delta else "wye" for delta in (from_delta, to_delta))
    raise LoadFlowError(f"windings in {kinds} do not shift the voltage by {lag_degree:g} degrees")


def _transformers(values: PhaseValues) -> tuple[ComplexArray, ComplexArray, FloatArray]:
    """Primitive admittances, those of the windings, ratings of the windings."""
    count = len(values.transformer)
    y = np.zeros((count, 6, 6), dtype=np.complex128)
    winding_y, rated_a = y.copy(), np.zeros((count, 6))
    for x in range(count):
        deltas = bool(values.from_delta[x]), bool(values.to_delta[x])
        turns = np.zeros((6, 6))
        turns[:3, :3] = winding_matrix(deltas[0])
        turns[3:, 3:] = to_winding_matrix(*deltas, float(values.to_lag_degree[x]))
        rated_v = 1e3 * np.array([values.vn_from_kv[x], values.vn_to_kv[x]])
        rated_v /= np.where(deltas, 1.0, np.sqrt(3.0))
        volts = rated_v * np.array([values.tap_from[x], values.tap_to[x]])
        leg_va = 1e3 * values.sn_kva[x] / 3.0
        leakage = 100.0 * leg_va / (values.r_percent[x] + 1j * values.x_percent[x])
        shunt = leg_va / 100.0 * (values.noload_percent[x] - 1j * values.magnetising_percent[x])
        leg = leakage * np.outer([1.0, -1.0], [1.0, -1.0]) + np.diag([0.0, shunt])
        leg = leg / np.outer(volts, volts)
        on_legs = np.kron(leg, np.eye(3))
        winding_y[x] = on_legs @ turns
        antifloat = np.repeat(-1j * ANTIFLOAT * leg_va / np.square(rated_v) / 2.0, 3)
        y[x] = turns.T @ winding_y[x] + np.diag(antifloat * np.abs(turns).sum(axis=0))
        rated_a[x] = np.repeat(leg_va / rated_v, 3)
    return y, winding_y, rated_a


def node_admittances(values: PhaseValues, network: PhaseNetwork) -> tuple[Any, ComplexArray]:
    """Y over all phases of all buses, sparse [3B, 3B], and the current of the source [3B].

    Y v - current is what is drawn. Phases that do not exist have empty rows; a stiff source has
    neither, and its rows say what it feeds in.
    """
    from scipy.sparse import coo_matrix

    lines = line_admittances(values, np.arange(len(values.line)))
    half = values.line_y_siemens / 2.0
    blocks: list[tuple[Any, Any, ComplexArray]] = [
        (values.line_from, values.line_from, lines + half),
        (values.line_to, values.line_to, lines + half),
        (values.line_from, values.line_to, -lines),
        (values.line_to, values.line_from, -lines),
        (values.capacitor_bus, values.capacitor_bus, values.capacitor_y_siemens),
    ]
    ends = (values.transformer_from, values.transformer_to)
    for row in range(2):
        for column in range(2):
            part = network.transformer_y[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
            blocks.append((ends[row], ends[column], part))
    source = np.array([values.source_bus])
    current = np.zeros(3 * len(values.bus), dtype=np.complex128)
    if not network.stiff:
        blocks.append((source, source, network.source_y[np.newaxis]))
        current[3 * values.source_bus :][:3] = network.source_y @ network.source_v
    phases = np.arange(3)
    rows = [np.broadcast_to(3 * r[:, None, None] + phases[:, None], y.shape) for r, _, y in blocks]
    columns = [np.broadcast_to(3 * c[:, None, None] + phases, y.shape) for _, c, y in blocks]
    size = 3 * len(values.bus)
    matrix = coo_matrix(
        (
            np.concatenate([y.ravel() for *_, y in blocks]),
            (
                np.concatenate([r.ravel() for r in rows]),
                np.concatenate([c.ravel() for c in columns]),
            ),
        ),
        (size, size),
    ).tocsr()
    matrix.eliminate_zeros()
    return matrix, current
