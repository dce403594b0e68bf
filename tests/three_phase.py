"""Three-phase networks for tests, built element by element."""

from pathlib import Path

import numpy as np
import pytest

from abm.grid.phase_network import of_sequences
from abm.scenario.phase_values import PHASES, PhaseValues


class Network:
    """A network to which elements are added; `values()` is its `PhaseValues`."""

    def __init__(self, vn_kv=11.0, vm_pu=1.0, va_degree=0.0, z1=0.05 + 0.5j, z0=0.08 + 0.6j):
        self.bus, self.vn_kv = ["source"], [vn_kv]
        self.source = {
            "f_hz": 50.0,
            "source_bus": 0,
            "source_vm_pu": vm_pu,
            "source_va_degree": va_degree,
            "source_z1_ohm": complex(z1),
            "source_z0_ohm": complex(z0),
        }
        self.lines, self.transformers, self.capacitors, self.homes = [], [], [], []

    def _at(self, bus, vn_kv):
        if bus not in self.bus:
            self.bus.append(bus)
            self.vn_kv.append(vn_kv)
        return self.bus.index(bus)

    def line(self, one, other, *, z=None, y=None, phases="abc", ampacity_a=np.nan, km=1.0):
        """z, y: complex [3, 3] or (zero, positive) per km."""
        matrices = []
        for given in (z, 0.0 if y is None else y):
            matrix = of_sequences(*given) if isinstance(given, tuple) else np.zeros((3, 3)) + given
            there = np.array([phase in phases for phase in PHASES])
            matrices.append(np.where(np.outer(there, there), matrix, 0.0) * km)
        start = self.bus.index(one)
        end = self._at(other, self.vn_kv[start])
        self.lines.append((start, end, there, *matrices, ampacity_a))
        return self

    def transformer(
        self, one, other, *, to_kv, sn_kva=400.0, delta=(True, False), lag=30.0, **more
    ):
        start = self.bus.index(one)
        end = self._at(other, to_kv)
        row = {
            "transformer_from": start,
            "transformer_to": end,
            "from_delta": delta[0],
            "to_delta": delta[1],
            "to_lag_degree": float(lag),
            "vn_from_kv": self.vn_kv[start],
            "vn_to_kv": to_kv,
            "tap_from": 1.0,
            "tap_to": 1.0,
            "sn_kva": sn_kva,
            "r_percent": 1.0,
            "x_percent": 4.0,
            "noload_percent": 0.2,
            "magnetising_percent": 0.5,
        }
        self.transformers.append({**row, **more})
        return self

    def capacitor(self, bus, y):
        self.capacitors.append((self.bus.index(bus), np.zeros((3, 3)) + y))
        return self

    def home(self, bus, phases="a", *, delta=False, p_kw=1.0, q_kvar=0.3):
        there = np.array([phase in phases for phase in PHASES])
        self.homes.append((self.bus.index(bus), there, delta, p_kw, q_kvar))
        return self

    def values(self):
        def columns(rows, *shapes_and_types):
            found = list(zip(*rows, strict=True)) or [()] * len(shapes_and_types)
            return [
                np.array(column, dtype=kind).reshape(len(rows), *shape)
                for column, (shape, kind) in zip(found, shapes_and_types, strict=True)
            ]

        whole, flag, number, square = ((), int), ((), bool), ((), float), ((3, 3), complex)
        three = ((3,), bool)
        lines = columns(self.lines, whole, whole, three, square, square, number)
        capacitors = columns(self.capacitors, whole, square)
        homes = columns(self.homes, whole, three, flag, number, number)
        empty = Network().transformer("source", "x", to_kv=0.4).transformers[0]
        return PhaseValues(
            bus=np.array(self.bus),
            vn_kv=np.array(self.vn_kv),
            x=np.full(len(self.bus), np.nan),
            y=np.full(len(self.bus), np.nan),
            **self.source,
            line=np.array([f"l{i}" for i in range(len(self.lines))], dtype=str),
            line_from=lines[0],
            line_to=lines[1],
            line_phases=lines[2],
            line_z_ohm=lines[3],
            line_y_siemens=lines[4],
            line_ampacity_a=lines[5],
            transformer=np.array([f"t{i}" for i in range(len(self.transformers))], dtype=str),
            **{
                name: np.array([row[name] for row in self.transformers], dtype=type(value))
                for name, value in empty.items()
            },
            capacitor=np.array([f"c{i}" for i in range(len(self.capacitors))], dtype=str),
            capacitor_bus=capacitors[0],
            capacitor_y_siemens=capacitors[1],
            home_bus=homes[0],
            home_phases=homes[1],
            home_delta=homes[2],
            home_p_kw=homes[3],
            home_q_kvar=homes[4],
            charger_phase=np.full(len(self.homes), -1),
        )


def street(seed=0, buses=12, shunts=True):
    """A small feeder: a transformer and a random tree of low voltage with homes of all sorts."""
    rng = np.random.default_rng(seed)
    net = Network().line("source", "mv", z=(1.0 + 1.2j, 0.4 + 0.4j), y=(2e-4j, 3e-4j), km=2.0)
    net.transformer("mv", "b0", to_kv=0.4)
    y = (1e-4j, 1.5e-4j) if shunts else None
    for i in range(1, buses):
        one = f"b{rng.integers(max(0, i - 3), i)}"
        net.line(one, f"b{i}", z=(0.9 + 0.3j, 0.3 + 0.08j), y=y, km=0.03, ampacity_a=150.0 + i)
        for _ in range(rng.integers(0, 3)):
            phases, delta = [("a", 0), ("b", 0), ("c", 0), ("abc", 0), ("bc", 1), ("abc", 1)][
                rng.integers(6)
            ]
            net.home(f"b{i}", phases, delta=bool(delta))
    return net.home(f"b{buses - 1}", "b").values()


def shared_data(name):
    """A file of the data that lie beside the repository; the test is skipped where it is absent."""
    for top in Path(__file__).resolve().parents[2:4]:
        path = top / "shared" / "data" / name
        if path.is_file():
            return path
    pytest.skip(f"../shared/data/{name} is not there")
