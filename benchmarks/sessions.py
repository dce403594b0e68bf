"""A million sessions of others, read, cleaned and written: seconds and peak memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from email.utils import formatdate
from pathlib import Path

import numpy as np
from _common import machine, options, sized

SESSIONS = sized(1_000_000, 2_000)
BUDGET_S, BUDGET_MB = 20.0, 2000.0
# Seconds of the years 2018 to 2020.
FIRST, SPAN = 1_514_764_800, 3 * 365 * 86400


def draws(n: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    arrival = FIRST + rng.integers(0, SPAN // 60, n) * 60
    lasts = 60 + rng.exponential(9 * 3600.0, n).astype(np.int64) // 60 * 60
    energy = 0.1 + np.round(rng.gamma(2.0, 5.0, n), 2)
    return arrival, arrival + lasts, np.round(energy, 2), rng.integers(0, n // 300 + 1, n)


def write_csv(path: Path, n: int) -> None:
    arrival, departure, energy, ev = draws(n)
    stamps = [np.datetime_as_string(t.astype("datetime64[s]")) for t in (arrival, departure)]
    with path.open("w", encoding="utf-8") as out:
        out.write("user_id;arrival;departure;energy_kwh\n")
        for who, begin, end, kwh in zip(ev, *stamps, energy, strict=True):
            out.write(f"u{who};{begin};{end};{kwh}\n".replace(".", ","))


def write_json(path: Path, n: int) -> None:
    arrival, departure, energy, ev = (values.tolist() for values in draws(n))
    with path.open("w", encoding="utf-8") as out:
        out.write('{"_meta": {}, "_items": [\n')
        for i in range(n):
            item = {
                "connectionTime": formatdate(arrival[i], usegmt=True),
                "disconnectTime": formatdate(departure[i], usegmt=True),
                "doneChargingTime": None,
                "kWhDelivered": energy[i],
                "sessionID": f"session_{i}",
                "siteID": "0099",
                "stationID": f"9-99-{i % 100}",
                "timezone": "America/Los_Angeles",
                "userID": f"{ev[i]:09d}",
                "userInputs": [{"kWhRequested": 10.0, "minutesAvailable": 300}],
            }
            out.write(json.dumps(item) + (",\n" if i + 1 < n else "\n]}"))


def measure(source: Path) -> None:
    """One import in this process, which prints seconds and peak memory."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from abm.cli import main

    began = time.perf_counter()
    out = source.with_name(f"{source.name}.ours.csv")
    command = ["sessions", "import", str(source), "--out", str(out), "--json"]
    code = main([*command, "--timezone", "Europe/Oslo"])
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"seconds": time.perf_counter() - began, "peak_mb": peak_mb}), file=sys.stderr)
    sys.exit(code)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument(
        "--measure", metavar="FILE", type=Path, help="the import alone, in a process of its own"
    )
    chosen = parser.parse_args()
    if chosen.measure:
        measure(chosen.measure)
    print(machine())
    print(f"{SESSIONS:,} sessions; budget {BUDGET_S:g} s and {BUDGET_MB:g} MB, imports included")
    for name, writer in (("CSV", write_csv), ("JSON of ACN-Data", write_json)):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "sessions"
            writer(source, SESSIONS)
            ran = subprocess.run(
                [sys.executable, __file__, "--measure", str(source)],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            found = json.loads(ran.stderr.strip().splitlines()[-1])
            kept = json.loads(ran.stdout)["sessions"]
            share = found["seconds"] / BUDGET_S, found["peak_mb"] / BUDGET_MB
            print(
                f"{name:>16}: {kept:,} kept, {found['seconds']:.1f} s ({share[0]:.0%} of the "
                f"budget), {found['peak_mb']:.0f} MB ({share[1]:.0%})"
            )


if __name__ == "__main__":
    main()
