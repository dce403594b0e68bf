"""OpenDSS as the other opinion: a `PhaseValues` written as its commands, and what it then finds."""

from dataclasses import dataclass

import numpy as np

from abm.grid.phase_flow import Terminals
from abm.scenario.phase_values import PhaseValues

# With a lag of 30 degrees for `lag`, in turns of what each terminal is connected to.
TURNS = ("1.2.3", "3.1.2", "2.3.1")


@dataclass
class Answer:
    """v: complex [buses, 3], V; i_line: complex [L, 2, 3], A, into both ends; losses: W and var.

    winding_a: float64 [X, 2, 3]; source_va: complex, given at the bus of the source.
    """

    v: np.ndarray
    i_line: np.ndarray
    line_loss_w: np.ndarray
    transformer_loss_w: np.ndarray
    winding_a: np.ndarray
    source_va: complex


def _matrix(values):
    return "[" + " | ".join(" ".join(f"{x:.17g}" for x in row) for row in values) + "]"


class OpenDSS:
    """A network in an OpenDSS of its own."""

    def __init__(self, values: PhaseValues):
        from opendssdirect import dss

        self.dss = dss.NewContext()
        self.values, self.terminals = values, Terminals.of(values)
        self.bus = [f"b{i}" for i in range(len(values.bus))]
        for command in (
            f"set defaultbasefrequency={values.f_hz}",
            *self.source(),
            *self.lines(),
            *self.transformers(),
            *self.capacitors(),
            *self.loads(),
            f"set voltagebases=[{' '.join(map(str, np.unique(values.vn_kv)))}]",
            "calcvoltagebases",
            "set maxiterations=500",
            "set tolerance=1e-12",
        ):
            self.dss.Text.Command(command)

    def source(self):
        v = self.values
        z1, z0 = v.source_z1_ohm or 1e-7j, v.source_z0_ohm or 1e-7j
        yield (
            f"new circuit.c bus1={self.bus[v.source_bus]} phases=3 basekv={v.vn_kv[v.source_bus]}"
            f" pu={v.source_vm_pu:.17g} angle={v.source_va_degree:.17g}"
            f" r1={z1.real:.17g} x1={z1.imag:.17g} r0={z0.real:.17g} x0={z0.imag:.17g}"
        )

    def lines(self):
        v = self.values
        for at, phases in enumerate(v.line_phases):
            nodes = "." + ".".join(str(p + 1) for p in np.flatnonzero(phases))
            one = np.ix_(phases, phases)
            z, y = v.line_z_ohm[at][one], v.line_y_siemens[at][one]
            yield (
                f"new line.l{at} bus1={self.bus[v.line_from[at]]}{nodes}"
                f" bus2={self.bus[v.line_to[at]]}{nodes} phases={phases.sum()} length=1 units=none"
                f" rmatrix={_matrix(z.real)} xmatrix={_matrix(z.imag)}"
                f" cmatrix={_matrix(1e9 * y.imag / (2 * np.pi * v.f_hz))}"
            )

    def transformers(self):
        v = self.values
        for x in range(len(v.transformer)):
            deltas = v.from_delta[x], v.to_delta[x]
            lag, lead = int(v.to_lag_degree[x]), False
            if deltas[0] != deltas[1]:
                lead = lag % 120 == 90
                lag -= -30 if lead else 30
            turn = TURNS[lag % 360 // 120]
            conns = " ".join("delta" if delta else "wye" for delta in deltas)
            yield (
                f"new transformer.t{x} phases=3 windings=2"
                f" buses=[{self.bus[v.transformer_from[x]]} {self.bus[v.transformer_to[x]]}.{turn}]"
                f" conns=[{conns}] kvs=[{v.vn_from_kv[x]} {v.vn_to_kv[x]}]"
                f" kvas=[{v.sn_kva[x]} {v.sn_kva[x]}] xhl={v.x_percent[x]:.17g}"
                f" %rs=[{v.r_percent[x] / 2:.17g} {v.r_percent[x] / 2:.17g}]"
                f" taps=[{v.tap_from[x]} {v.tap_to[x]}] %noloadloss={v.noload_percent[x]:.17g}"
                f" %imag={v.magnetising_percent[x]:.17g} leadlag={'lead' if lead else 'lag'}"
            )

    def capacitors(self):
        v = self.values
        for at, y in enumerate(v.capacitor_y_siemens):
            bus = self.bus[v.capacitor_bus[at]]
            kv = v.vn_kv[v.capacitor_bus[at]]
            for i in range(3):
                for j in range(i, 3):
                    b = y[i].sum().imag if i == j else -y[i, j].imag
                    if b:
                        other = f"bus2={bus}.{j + 1}" if j > i else ""
                        yield (
                            f"new capacitor.c{at}_{i}{j} phases=1 bus1={bus}.{i + 1} {other}"
                            f" kv={kv} kvar={1e3 * kv**2 * b:.17g}"
                        )

    def loads(self):
        t, v = self.terminals, self.values
        for at in range(len(t.home)):
            bus = v.home_bus[t.home[at]]
            pair = f".{t.phase[at] + 1}" + (f".{t.to_phase[at] + 1}" if t.to_phase[at] >= 0 else "")
            kv = v.vn_kv[bus] / (1.0 if t.to_phase[at] >= 0 else np.sqrt(3.0))
            conn = "delta" if t.to_phase[at] >= 0 else "wye"
            yield (
                f"new load.h{at} phases=1 bus1={self.bus[bus]}{pair} conn={conn} kv={kv:.17g}"
                " kw=0 kvar=0 model=1 vminpu=0 vmaxpu=99"
            )

    def solve(self, p_mw, q_mvar) -> Answer:
        """One load flow, p_mw, q_mvar [T]; fails where OpenDSS does not converge."""
        dss, v = self.dss, self.values
        for at, (p, q) in enumerate(zip(p_mw, q_mvar, strict=True)):
            dss.Text.Command(f"load.h{at}.kw={1e3 * p:.17g}")
            dss.Text.Command(f"load.h{at}.kvar={1e3 * q:.17g}")
        dss.Solution.Solve()
        dss.Solution.Solve()
        assert dss.Solution.Converged()
        volts = np.zeros((len(v.bus), 3), dtype=complex)
        found = np.array(dss.Circuit.AllBusVolts()).view(complex)
        for name, value in zip(dss.Circuit.AllNodeNames(), found, strict=True):
            bus, node = name.split(".")
            if int(node) <= 3:
                volts[int(bus[1:]), int(node) - 1] = value
        line = np.zeros((len(v.line), 2, 3), dtype=complex)
        line_loss, loss = np.zeros(len(v.line)), np.zeros(len(v.transformer))
        for at, phases in enumerate(v.line_phases):
            dss.Circuit.SetActiveElement(f"line.l{at}")
            own = np.array(dss.CktElement.Currents()).view(complex)
            line[at][:, phases] = own.reshape(2, -1)
            line_loss[at] = dss.CktElement.Losses()[0]
        winding = np.zeros((len(v.transformer), 2, 3))
        for x in range(len(v.transformer)):
            dss.Circuit.SetActiveElement(f"transformer.t{x}")
            loss[x] = dss.CktElement.Losses()[0]
            dss.Transformers.Name(f"t{x}")
            # Each winding in turn for phase 1, then for phase 2, ..., both of its ends.
            own = np.array(dss.Transformers.WdgCurrents()).view(complex).reshape(3, 2, 2)[:, :, 0]
            winding[x] = np.abs(own).T
        given = -1e3 * complex(*dss.Circuit.TotalPower())
        return Answer(volts, line, line_loss, loss, winding, given)
