"""A three-phase feeder in words."""

from __future__ import annotations

import numpy as np

from abm.equations import FloatArray
from abm.grid.phase_importing import homes_by_phase
from abm.scenario.feeder_table import FeederTable
from abm.scenario.phase_values import PHASES, PhaseValues

# So many transformers are named one by one.
_MOST = 8


def phase_lines(table: FeederTable, length_m: FloatArray, n_open: int) -> list[str]:
    """What is on a three-phase feeder, a line each.

    length_m: of each of its closed lines, (L,). n_open: how many are open.
    """
    values = table.phases
    if values is None:
        raise ValueError(f"{table.name} has no phases")
    kv = "/".join(f"{value:g}" for value in sorted(set(values.vn_kv.tolist()), reverse=True))
    loops = len(values.line) + len(values.transformer) - len(values.bus) + 1
    how = "radial" if loops == 0 else f"{loops} loop{'s' if loops > 1 else ''}"
    known = int(np.isfinite(values.line_ampacity_a).sum())
    lines = [
        f"{table.name}, three phases, {kv} kV, {how}: {len(values.bus)} buses, "
        f"{len(values.line)} lines closed, {n_open} open",
        f"source: {values.bus[values.source_bus]}, {values.source_vm_pu:g} p.u. of "
        f"{values.vn_kv[values.source_bus]:g} kV, {values.f_hz:g} Hz",
        *_lengths(values, length_m),
        f"ratings known of {known} of {len(values.line)} lines",
        *_transformers(values),
    ]
    if len(values.capacitor):
        lines.append(f"capacitors: {len(values.capacitor)}")
    by_phase = _by_phase(values)
    loads = ", ".join(f"{p:.4g} on {phase}" for phase, p in zip(PHASES, by_phase, strict=True))
    q = float(values.home_q_kvar.sum())
    lines += [
        homes_by_phase(values),
        f"nominal load: {values.home_p_kw.sum():.6g} kW ({loads}), {q:.4g} kvar",
        f"zones: {table.n_zones}",
    ]
    return lines


def _lengths(values: PhaseValues, length_m: FloatArray) -> list[str]:
    kv_of = values.vn_kv[values.line_from]
    parts = []
    for kv in sorted(set(kv_of.tolist()), reverse=True):
        rows = kv_of == kv
        parts.append(f"{kv:g} kV {rows.sum()} of {1e-3 * length_m[rows].sum():.4g} km")
    return ["lines: " + (", ".join(parts) or "none")]


def _transformers(values: PhaseValues) -> list[str]:
    n = len(values.transformer)
    if not n:
        return []
    if n > _MOST:
        return [f"transformers: {n}, {values.sn_kva.sum():.6g} kVA together"]
    each = [
        f"{name} {one:g}/{other:g} kV {kva:g} kVA"
        for name, one, other, kva in zip(
            values.transformer, values.vn_from_kv, values.vn_to_kv, values.sn_kva, strict=True
        )
    ]
    return ["transformers: " + ", ".join(each)]


def _by_phase(values: PhaseValues) -> FloatArray:
    """Nominal load of each phase, kW, in equal parts of the phases that a home has."""
    share = values.home_phases / values.home_phases.sum(axis=1, keepdims=True)
    return np.asarray((share * values.home_p_kw[:, None]).sum(axis=0))
