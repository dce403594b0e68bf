"""power-grid-model's asymmetric load flow as the other opinion on a three-phase network.

What it does not model is said by name: loads between phases, lines without all three phases,
capacitors that differ by phase, and shunts of a line that are more than a capacitance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from abm.equations import ComplexArray, FloatArray, IntArray
from abm.grid.agreement import UnsupportedFeederError
from abm.grid.phase_flow import Terminals
from abm.grid.phase_network import ANTIFLOAT
from abm.scenario.phase_values import PhaseValues

# An ideal source behind a line that is its impedance. Much more loses digits, much less is an
# impedance of its own.
SOURCE_VA = 1e18
# Newton's last step is far below it; less is not reached where an element has next to no impedance.
TOLERANCE_PU = 1e-7
MAX_ITERATIONS = 50


class PowerGridModelPhases:
    """Voltages of all buses by power-grid-model. UnsupportedFeederError: it cannot model that."""

    name = "power-grid-model"

    def __init__(self, values: PhaseValues) -> None:
        from power_grid_model import ComponentType, PowerGridModel

        self._values, self._terminals = values, Terminals.of(values)
        self._load, self._node = ComponentType.asym_load, ComponentType.node
        try:
            self._model = PowerGridModel(_grid_of(values), system_frequency=values.f_hz)
        except RuntimeError as error:  # the base of power-grid-model's own errors
            raise UnsupportedFeederError(f"refuses it ({error})") from error

    def voltages(self, p_mw: FloatArray, q_mvar: FloatArray) -> ComplexArray:
        """Of B load flows, p_mw, q_mvar [B, T] at the terminals, V, [B, buses, 3]; NaN if none."""
        from power_grid_model import DatasetType, initialize_array

        values, terminals = self._values, self._terminals
        update: Any = initialize_array(DatasetType.update, self._load, (len(p_mw), values.n_home))
        for name, power in (("p_specified", p_mw), ("q_specified", q_mvar)):
            update[name] = 0.0
            update[name][:, terminals.home, terminals.phase] = 1e6 * power
        output: Any = self._model.calculate_power_flow(
            symmetric=False,
            update_data={self._load: update},
            output_component_types=[self._node],
            error_tolerance=TOLERANCE_PU,
            max_iterations=MAX_ITERATIONS,
            continue_on_batch_error=True,
            decode_error=False,
        )[self._node]
        nodes = output[:, : len(values.bus)]
        base = (1e3 * values.vn_kv / np.sqrt(3.0))[:, np.newaxis]
        v: ComplexArray = nodes["u_pu"] * base * np.exp(1j * nodes["u_angle"])
        if self._model.batch_error is not None:
            v[self._model.batch_error.failed_scenarios] = np.nan
        return v


def _symmetric(matrices: ComplexArray) -> Any:
    """Which of [N, 3, 3] look the same from each phase, bool [N]."""
    turned = np.roll(np.roll(matrices, 1, axis=1), 1, axis=2)
    mirrored = np.swapaxes(matrices, 1, 2)
    size = 1e-12 * np.abs(matrices).max(axis=(1, 2), initial=0.0)[:, np.newaxis, np.newaxis]
    same = (np.abs(matrices - turned) <= size) & (np.abs(matrices - mirrored) <= size)
    return same.all(axis=(1, 2))


def _sequences(matrices: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """Positive and zero sequence of symmetric ones [N, 3, 3]."""
    own, mutual = matrices[:, 0, 0], matrices[:, 1, 0]
    return own - mutual, own + 2.0 * mutual


def beyond(values: PhaseValues) -> str:
    """What power-grid-model cannot model of a network, in words; "" where it can model it all."""
    found = (
        (values.home_delta, "loads between phases"),
        (~values.line_phases.all(axis=1), "lines without all three phases"),
        (~_symmetric(values.capacitor_y_siemens), "capacitors that differ by phase"),
        (
            ~_symmetric(values.line_y_siemens) | values.line_y_siemens.real.any(axis=(1, 2)),
            "shunts of lines that differ by phase or are no capacitance",
        ),
    )
    lacks = [f"{int(np.sum(rows))} {name}" for rows, name in found if np.any(rows)]
    return f"cannot model {', '.join(lacks)}" if lacks else ""


def _grid_of(values: PhaseValues) -> dict[Any, Any]:
    """Its input: nodes (the last one is behind the source), lines, transformers, shunts, loads."""
    from power_grid_model import ComponentType, LoadGenType, WindingType, initialize_array

    if lacks := beyond(values):
        raise UnsupportedFeederError(lacks)
    used = 0

    def component(kind: Any, count: int) -> Any:
        nonlocal used
        array = initialize_array("input", kind, count)
        array["id"] = np.arange(used, used + count)
        used += count
        return array

    count = len(values.bus)
    stiff = values.source_z1_ohm == 0.0
    nodes = component(ComponentType.node, count + (not stiff))
    nodes["u_rated"] = 1e3 * np.append(
        values.vn_kv, [] if stiff else values.vn_kv[values.source_bus]
    )
    grid = {ComponentType.node: nodes}

    per_hz = 1.0 / (2.0 * np.pi * values.f_hz)
    even = _symmetric(values.line_z_ohm)
    z1, z0 = _sequences(values.line_z_ohm[even])
    y1, y0 = _sequences(values.line_y_siemens[even])
    ends = values.line_from[even], values.line_to[even]
    if not stiff:
        z1, z0 = np.append(z1, values.source_z1_ohm), np.append(z0, values.source_z0_ohm)
        y1, y0 = np.append(y1, 0.0), np.append(y0, 0.0)
        ends = np.append(ends[0], count), np.append(ends[1], values.source_bus)
    lines = component(ComponentType.line, len(z1))
    lines["r1"], lines["x1"], lines["r0"], lines["x0"] = z1.real, z1.imag, z0.real, z0.imag
    lines["c1"], lines["c0"] = y1.imag * per_hz, y0.imag * per_hz
    lines["tan1"] = lines["tan0"] = 0.0
    _join(lines, *ends)
    grid[ComponentType.line] = lines
    if not even.all():
        uneven = component(ComponentType.asym_line, int(np.sum(~even)))
        z = values.line_z_ohm[~even]
        y1, y0 = _sequences(values.line_y_siemens[~even])
        for row, one in enumerate("abc"):
            for column, other in enumerate("abc"[: row + 1]):
                uneven[f"r_{one}{other}"] = z[:, row, column].real
                uneven[f"x_{one}{other}"] = z[:, row, column].imag
        uneven["c1"], uneven["c0"] = y1.imag * per_hz, y0.imag * per_hz
        _join(uneven, values.line_from[~even], values.line_to[~even])
        grid[ComponentType.asym_line] = uneven

    machines = component(ComponentType.transformer, len(values.transformer))
    machines["u1"] = 1e3 * values.vn_from_kv * values.tap_from
    machines["u2"] = 1e3 * values.vn_to_kv * values.tap_to
    machines["sn"] = 1e3 * values.sn_kva
    impedance = (values.r_percent + 1j * values.x_percent) / 100.0
    machines["uk"] = np.abs(impedance)
    machines["pk"] = impedance.real * machines["sn"]
    machines["i0"] = machines["p0"] = 0.0
    for end, delta in (("from", values.from_delta), ("to", values.to_delta)):
        machines[f"winding_{end}"] = np.where(delta, WindingType.delta, WindingType.wye_n)
    machines["clock"] = np.round(values.to_lag_degree / 30.0).astype(int) % 12
    machines["tap_side"] = 0
    for name in ("tap_pos", "tap_min", "tap_max", "tap_nom"):
        machines[name] = 0
    machines["tap_size"] = 0.0
    _join(machines, values.transformer_from, values.transformer_to)
    grid[ComponentType.transformer] = machines

    at, positive, zero = _shunts(values)
    shunts = component(ComponentType.shunt, len(at))
    shunts["node"], shunts["status"] = at, 1
    shunts["g1"], shunts["b1"] = positive.real, positive.imag
    shunts["g0"], shunts["b0"] = zero.real, zero.imag
    grid[ComponentType.shunt] = shunts

    loads = component(ComponentType.asym_load, values.n_home)
    loads["node"], loads["status"] = values.home_bus, 1
    loads["type"] = LoadGenType.const_power
    loads["p_specified"] = loads["q_specified"] = 0.0
    grid[ComponentType.asym_load] = loads

    source = component(ComponentType.source, 1)
    source["node"], source["status"] = values.source_bus if stiff else count, 1
    source["u_ref"] = values.source_vm_pu
    source["u_ref_angle"] = np.radians(values.source_va_degree)
    source["sk"] = SOURCE_VA
    grid[ComponentType.source] = source
    return grid


def _join(branches: Any, one: IntArray, other: IntArray) -> None:
    branches["from_node"], branches["to_node"] = one, other
    branches["from_status"] = branches["to_status"] = 1


def _shunts(values: PhaseValues) -> tuple[IntArray, ComplexArray, ComplexArray]:
    """Nodes, positive and zero sequence, S: capacitors, and what transformers have to earth."""
    at = [values.capacitor_bus]
    sequences: list[Any] = [_sequences(values.capacitor_y_siemens)]
    va = 1e3 * values.sn_kva
    for bus, delta, vn_kv, tap, last in (
        (values.transformer_from, values.from_delta, values.vn_from_kv, values.tap_from, False),
        (values.transformer_to, values.to_delta, values.vn_to_kv, values.tap_to, True),
    ):
        # Of a leg in wye; in delta the voltage of a winding is higher by the root of three.
        leg = va / np.square(1e3 * vn_kv)
        antifloat: Any = -1j * ANTIFLOAT / 2.0 * leg * np.where(delta, 2.0 / 3.0, 1.0)
        percent = values.noload_percent - 1j * values.magnetising_percent
        own: Any = leg * percent / 100.0 / np.square(tap) if last else np.zeros(len(bus))
        at.append(bus)
        sequences.append((antifloat + own, antifloat + np.where(delta, 0.0, own)))
    positive, zero = (np.concatenate(parts) for parts in zip(*sequences, strict=True))
    return np.concatenate(at), positive, zero
