"""Uncontrolled charging of a sessions CSV in EV2Gym; run by compare.py in EV2Gym's environment.

EV2Gym draws its EVs itself or loads a pickled replay; the one function that hands it the EVs is
replaced by one that hands it the sessions. One charging station per EV at one phase of 240 V, one
transformer without a limit per zone, ideal batteries, 1-minute steps, the library's default
observation and reward, its power flow off (it knows 15-minute steps only).

An EV that arrives at step a is charged from step a on, one that departs at step d still in step d:
the departure handed over is one minute earlier. Its ChargeAsFastAsPossible fills every battery
whatever the owner asked for; here it stops there. Equal energies cannot be had: EV2Gym rounds each
battery up to 0.01 kWh after every step, which fills it without a charger.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from _adapter import HORIZON_MIN, WARM_UP_SESSIONS, Runner, Session, main, read_sessions
from ev2gym.baselines.heuristics import ChargeAsFastAsPossible
from ev2gym.models import ev2gym_env
from ev2gym.models.ev import EV

VOLTAGE = 240.0
NO_LIMIT_KW = 1e9


class UntilTarget(ChargeAsFastAsPossible):
    """Charge as fast as possible until the EV has what its owner asked for."""

    def get_action(self, env: Any) -> np.ndarray:
        actions = super().get_action(env)
        for i, station in enumerate(env.charging_stations):
            ev = station.evs_connected[0]
            if ev is not None:
                # The share of the full power that is needed; the rest of it in the last step.
                step_kwh = station.get_max_power() / 60.0
                missing_kwh = ev.desired_capacity - ev.current_capacity
                actions[i] = min(max(missing_kwh / step_kwh, 0.0), 1.0)
        return actions


def prepare(path: Path, folder: Path) -> Runner:
    # By zone, since EV2Gym numbers stations so; it wants the EVs by arrival.
    sessions = sorted(read_sessions(path), key=lambda s: s.zone)
    if any(s.arrival_min < 1 for s in sessions):
        raise ValueError("EV2Gym never plugs in an EV that arrives at step 0")
    config = _write_config(sessions, folder)

    def evs(env: Any) -> list[EV]:
        made = []
        for station, s in enumerate(sessions):
            ev = EV(
                id=0,
                location=station,
                battery_capacity_at_arrival=s.arrival_kwh,
                time_of_arrival=s.arrival_min,
                time_of_departure=s.departure_min - 1,
                desired_capacity=s.target_kwh,
                battery_capacity=s.capacity_kwh,
                min_battery_capacity=0.0,
                min_emergency_battery_capacity=0.0,
                max_ac_charge_power=s.p_max_kw,
                max_discharge_power=0.0,
                ev_phases=1,
                transition_soc=1,
                timescale=env.timescale,
            )
            made.append(ev)
        return sorted(made, key=lambda ev: ev.time_of_arrival)

    def simulate() -> Any:
        ev2gym_env.load_ev_profiles = evs
        with contextlib.redirect_stdout(io.StringIO()):
            env = ev2gym_env.EV2Gym(config_file=config, seed=1)
            agent = UntilTarget()
            for _ in range(env.simulation_length):
                env.step(agent.get_action(env))
        return env

    def outcome(env: Any) -> dict[str, Any]:
        energy, battery = {}, {}
        for ev in env.EVs:
            ev_id = sessions[ev.location].ev_id
            energy[ev_id] = float(ev.total_energy_exchanged)
            battery[ev_id] = float(ev.current_capacity - ev.battery_capacity_at_arrival)
        return {"energy_kwh": energy, "battery_kwh": battery}

    return Runner(simulate, outcome)


def _write_config(sessions: list[Session], folder: Path) -> str:
    """EV2Gym's input files, stations under transformers and settings; the path of the latter."""
    topology: dict[str, Any] = {}
    for i, s in enumerate(sessions):
        zone = topology.setdefault(
            f"zone_{s.zone}", {"max_power": NO_LIMIT_KW, "charging_stations": {}}
        )
        zone["charging_stations"][f"cs_{i}"] = {
            "min_charge_current": 0,
            "max_charge_current": s.p_max_kw * 1e3 / VOLTAGE,
            "min_discharge_current": 0,
            "max_discharge_current": 0,
            "voltage": VOLTAGE,
            "n_ports": 1,
            "charger_type": "AC",
            "phases": 1,
        }
    topology_file = folder / "topology.json"
    topology_file.write_text(json.dumps(topology), encoding="utf-8")
    off = {"include": False}
    config = {
        "timescale": 1,
        "simulation_length": HORIZON_MIN,
        # Any day with prices in its data; noon, as in the paper's study.
        **{"year": 2022, "month": 1, "day": 17, "hour": 12, "minute": 0},
        **{"random_day": False, "random_hour": False, "simulation_days": "both"},
        **{"scenario": "private", "spawn_multiplier": 1, "discharge_price_factor": 1},
        "v2g_enabled": False,
        "number_of_charging_stations": len(sessions),
        "number_of_transformers": len(topology),
        "number_of_ports_per_cs": 1,
        "charging_network_topology": str(topology_file),
        "simulate_grid": False,
        "power_setpoint_enabled": False,
        "tr_seed": 1,
        "inflexible_loads": off,
        "solar_power": off,
        "demand_response": {**off, "notification_of_event_minutes": 0},
        "heterogeneous_ev_specs": False,
        "charging_station": {"voltage": VOLTAGE, "phases": 1},
    }
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return str(file)


if __name__ == "__main__":
    main("ev2gym", prepare, warm_up=WARM_UP_SESSIONS)
