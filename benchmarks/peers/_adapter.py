"""What the adapters share: reading the sessions, timing the runs, writing the JSON.

Only the standard library: the file is run inside the environments of the peers.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

WARM_UP_SESSIONS = 10
# A run that takes longer than this is not repeated.
SLOW_S = 600.0
HORIZON_MIN = 1440


@dataclass(frozen=True)
class Session:
    """One row of the sessions CSV; minutes from the start of the horizon, energies kWh."""

    ev_id: str
    zone: int
    arrival_min: int
    departure_min: int
    capacity_kwh: float
    soc_arrival: float
    soc_target: float
    p_max_kw: float

    @property
    def arrival_kwh(self) -> float:
        """In the battery on arrival."""
        return self.soc_arrival * self.capacity_kwh

    @property
    def target_kwh(self) -> float:
        """Wanted in the battery on departure."""
        return self.soc_target * self.capacity_kwh


@dataclass(frozen=True)
class Runner:
    """One program, ready to run one file of sessions.

    simulate: builds the model and runs it to the end, returns it; this is what is timed. outcome:
    what it came to: {"energy_kwh": {ev_id: kWh drawn from the grid}} and what else is worth a note.
    """

    simulate: Callable[[], Any]
    outcome: Callable[[Any], dict[str, Any]]


def read_sessions(path: Path) -> list[Session]:
    """The rows of a sessions CSV. ValueError where an adapter could not do it justice."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    sessions = []
    for row in rows:
        if float(row["efficiency"]) != 1.0:
            raise ValueError(
                f"EV {row['ev_id']}: efficiency {row['efficiency']}, only 1 is compared"
            )
        times = float(row["arrival_min"]), float(row["departure_min"])
        if not all(minute.is_integer() for minute in times):
            raise ValueError(f"EV {row['ev_id']}: times {times}, only whole minutes are compared")
        sessions.append(
            Session(
                row["ev_id"],
                int(row["zone"]),
                int(times[0]),
                int(times[1]),
                float(row["capacity_kwh"]),
                float(row["soc_arrival"]),
                float(row["soc_target"]),
                float(row["p_max_kw"]),
            )
        )
    return sessions


def main(package: str, prepare: Callable[[Path, Path], Runner], *, warm_up: int | None) -> None:
    """Command line of an adapter: SESSIONS_CSV JSON [--repeats N] [--at-least-s S].

    prepare: makes a runner of a sessions CSV and a folder for files of its own. warm_up: sessions
    of the run that goes before the timed ones, None for all of them. The JSON is written anew
    after every run, so that one that is stopped leaves what it had.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("sessions", type=Path)
    parser.add_argument("json", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--at-least-s", type=float, default=0.0, help="go on repeating until then")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(_first_rows(args.sessions, folder, warm_up), folder).simulate()
        runner = prepare(args.sessions, folder)
        seconds: list[float] = []
        cpu_seconds: list[float] = []
        while len(seconds) < args.repeats or sum(seconds) < args.at_least_s:
            began, cpu_began = time.perf_counter(), time.process_time()
            finished = runner.simulate()
            seconds.append(time.perf_counter() - began)
            cpu_seconds.append(time.process_time() - cpu_began)
            result = {
                "seconds": seconds,
                # Beside the time that counts: they part where the machine had other work.
                "cpu_seconds": cpu_seconds,
                "version": _version(package),
                "python": platform.python_version(),
                **runner.outcome(finished),
            }
            del finished
            part = args.json.with_suffix(".part")
            part.write_text(json.dumps(result), encoding="utf-8")
            os.replace(part, args.json)
            if seconds[-1] > SLOW_S:
                break


def _first_rows(path: Path, folder: Path, n: int | None) -> Path:
    if n is None:
        return path
    head = folder / "warm_up.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    head.write_text("\n".join(lines[: n + 1]) + "\n", encoding="utf-8")
    return head


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "checkout"
