"""Uncontrolled charging of a sessions CSV in ACN-Sim; run by compare.py in ACN-Sim's environment.

One EVSE per EV at 240 V, ideal batteries, the library's own UncontrolledCharging, 1-minute periods.
A PluginEvent at minute a and a departure at minute d make ACN-Sim charge in the minutes a to d - 1,
as Evenfall does. Two things need care for the energies to be equal:

- UncontrolledCharging sends the full pilot until the request is met, so that the last minute would
  charge up to 0.09 kWh too much. The battery handed over is full at the SoC the owner asked for: an
  ideal battery takes in its last minute just what fills it.
- An EV counts as fully charged from 1e-3 kWh below its request on and is not served any more. The
  request is put higher by that much, less a nanowatt-hour-scale slack for rounding.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from _adapter import WARM_UP_SESSIONS, Runner, main, read_sessions
from acnportal.acnsim import (
    EV,
    EVSE,
    Battery,
    ChargingNetwork,
    Current,
    EventQueue,
    PluginEvent,
    Simulator,
)
from acnportal.algorithms import UncontrolledCharging

VOLTAGE = 240.0
START = datetime(2025, 1, 1, 12)
# ACN-Sim's EV.fully_charged, and what Evenfall takes for rounding, kWh.
DONE_KWH = 1e-3
EPS_KWH = 1e-9


def prepare(path: Path, _folder: Path) -> Runner:
    sessions = read_sessions(path)

    def simulate() -> Simulator:
        network = ChargingNetwork()
        for s in sessions:
            evse = EVSE(s.ev_id, max_rate=s.p_max_kw * 1e3 / VOLTAGE)
            network.register_evse(evse, VOLTAGE, 0)
        # Binds nobody; UncontrolledCharging raises in a network without a constraint.
        network.add_constraint(Current([s.ev_id for s in sessions]), 1e12, name="feeder")
        events = []
        for s in sessions:
            battery = Battery(s.target_kwh, s.arrival_kwh, s.p_max_kw)
            request = s.target_kwh - s.arrival_kwh + DONE_KWH - EPS_KWH
            ev = EV(s.arrival_min, s.departure_min, request, s.ev_id, s.ev_id, battery)
            events.append(PluginEvent(s.arrival_min, ev))
        simulator = Simulator(
            network, UncontrolledCharging(), EventQueue(events), START, period=1, verbose=False
        )
        simulator.run()
        return simulator

    def outcome(simulator: Simulator) -> dict[str, Any]:
        evs = simulator.ev_history
        return {"energy_kwh": {name: float(ev.energy_delivered) for name, ev in evs.items()}}

    return Runner(simulate, outcome)


if __name__ == "__main__":
    main("acnportal", prepare, warm_up=WARM_UP_SESSIONS)
