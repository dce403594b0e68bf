"""Load-flow equations (10) and (11) as plain array functions. v is complex p.u., B rows at a time.

None of them knows a solver, so what they say about a solution is a second opinion.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import ComplexArray, FloatArray


def node_currents(v: ComplexArray, y_bus: Any) -> ComplexArray:
    """Currents Y v that the nodes feed into the network, p.u. v [B, N], y_bus [M, N] -> [B, M]."""
    return np.ascontiguousarray((y_bus @ v.T).T)


def times_conjugate(a: ComplexArray, b: ComplexArray) -> ComplexArray:
    """A x conj(b), element by element, in real arithmetic.

    numpy's own product of complex numbers may fuse a multiplication and an addition or not,
    depending on how many there are, and a row must not depend on the batch that it is in.
    """
    out = np.empty(np.broadcast_shapes(a.shape, b.shape), dtype=np.complex128)
    out.real = a.real * b.real + a.imag * b.imag
    out.imag = a.imag * b.real - a.real * b.imag
    return out


def scaled(v: ComplexArray, factor: float) -> ComplexArray:
    """V x a real factor (see `times_conjugate`)."""
    out = np.empty_like(v)
    out.real, out.imag = v.real * factor, v.imag * factor
    return out


def magnitude(v: ComplexArray) -> FloatArray:
    """|v|, the same for an element whatever stands beside it (see `times_conjugate`)."""
    return np.hypot(v.real, v.imag)


def injected_power(v: ComplexArray, y_bus: Any, base_mva: float) -> ComplexArray:
    """Power that each node feeds into the network, right-hand sides of eqs. (10), (11), MVA.

    S_i = V_i conj(sum_j Y_ij V_j), whose real part is eq. (10) and whose imaginary part is
    eq. (11). v [B, N] p.u., y_bus sparse or dense [N, N] p.u. -> [B, N], P + jQ.
    """
    return scaled(times_conjugate(v, node_currents(v, y_bus)), base_mva)


def largest_residual(
    injected: ComplexArray, s_load: ComplexArray, slack: int | NDArray[np.int64]
) -> FloatArray:
    """Largest |S_spec - S_calc| over the nodes that are not slack, MVA. [B, N] twice -> [B]."""
    residual = magnitude(injected + s_load)
    residual[:, slack] = 0.0
    largest: FloatArray = residual.max(axis=1)
    return largest


def power_mismatch(
    v: ComplexArray,
    y_bus: Any,
    s_load: ComplexArray,
    slack: int | NDArray[np.int64],
    base_mva: float,
) -> FloatArray:
    """How far voltages are from solving eqs. (10), (11): largest |S_spec - S_calc|, MVA.

    v: node voltages, complex [B, N] p.u.; y_bus: admittances [N, N] p.u.; s_load: P + jQ taken
    from each node, [B, N] MVA (S_spec = -s_load); slack: node or nodes whose power is free.
    Returns float64[B]; NaN where v is NaN.
    """
    return largest_residual(injected_power(v, y_bus, base_mva), s_load, slack)


def loading_percent(i_a: FloatArray, ampacity_a: FloatArray) -> FloatArray:
    """Line loading, per cent of the ampacity. i_a [..., L] A, ampacity_a [L] A -> [..., L].

    NaN where the ampacity is not known or the load flow did not converge.
    """
    loading: FloatArray = 100.0 * i_a / ampacity_a
    return loading
