"""Evenfall, ACN-Sim and EV2Gym on the same sessions: `python benchmarks/peers/compare.py`.

Writes one CSV of sessions per fleet size, puts each peer into an environment of its own (the first
time that takes a few minutes and a package index), runs all of them on it, uncontrolled, for one
day in 1-minute steps, and prints seconds, ratios and energies. README.md says what is compared.
Exit code 1 when an EV's energy differs from ACN-Sim's by more than 1e-6 kWh, or a program failed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _paths
from _common import SMOKE, cores, options, print_table, sized

from abm import Scenario, V2GModel

HERE = _paths.HERE
AGREE_KWH = 1e-6
N_ZONES = 15
COLUMNS = (
    "ev_id",
    "zone",
    "arrival_min",
    "departure_min",
    "capacity_kwh",
    "soc_arrival",
    "soc_target",
    "p_max_kw",
    "efficiency",
)
# Evenfall's run is short: repeated until this much has been measured.
EVENFALL_AT_LEAST_S = sized(2.0, 0.0)


@dataclass(frozen=True)
class Program:
    """One that is compared: its name here, in print, and the engine where it is Evenfall."""

    key: str
    title: str
    engine: str | None = None

    @property
    def is_peer(self) -> bool:
        return self.engine is None

    @property
    def adapter(self) -> Path:
        return HERE / ("run_evenfall.py" if self.engine else f"run_{self.key}.py")

    @property
    def requirements(self) -> Path:
        return HERE / f"{self.key}.txt"


# The first is what ratios and energies are set against.
EVENFALL = (
    Program("evenfall", "Evenfall, compiled", "compiled"),
    Program("evenfall_numpy", "Evenfall, numpy", "numpy"),
)
PEERS = (Program("acnsim", "ACN-Sim"), Program("ev2gym", "EV2Gym"))


def main() -> int:
    args = parse_args()
    if SMOKE:
        # The peers want environments of their own, and minutes.
        print("smoke: Evenfall alone", file=sys.stderr)
        args.skip = [peer.key for peer in PEERS]
    programs = [*EVENFALL, *(peer for peer in PEERS if peer.key not in args.skip)]
    pythons = {
        program.key: environment(program, args.cache.resolve())
        if program.is_peer
        else Path(sys.executable)
        for program in programs
    }

    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n_evs in args.evs:
            sessions = folder / f"sessions_{n_evs}.csv"
            write_sessions(sessions, n_evs)
            for program in programs:
                print(f"{n_evs} EVs, {program.title} ...", file=sys.stderr, flush=True)
                out = folder / f"{program.key}_{n_evs}.json"
                result = run(program, pythons[program.key], sessions, out, args)
                results.append({"program": program.key, "evs": n_evs, **result})
    judge(results)

    report = {
        "machine": {"cores": cores(), "python": platform.python_version()},
        "versions": {r["program"]: f"{r['version']}" for r in results if "version" in r},
        "pythons": {r["program"]: f"{r['python']}" for r in results if "python" in r},
        "results": results,
    }
    show(report)
    if args.json is not None:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    wrong = [r for r in results if "failed" in r or r.get("agrees") is False]
    return 1 if wrong else 0


def parse_args() -> argparse.Namespace:
    parser = options(__doc__)
    evs = sized([600], [2 * N_ZONES])
    parser.add_argument("--evs", type=fleet_size, nargs="+", default=evs, metavar="N")
    parser.add_argument(
        "--skip", nargs="+", default=[], choices=[peer.key for peer in PEERS], metavar="PEER"
    )
    parser.add_argument("--repeats", type=positive, default=sized(3, 1), metavar="N")
    parser.add_argument(
        "--limit-s", type=float, metavar="S", help="stop one program on one fleet after this long"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument(
        "--cache",
        type=Path,
        default=HERE / ".peers",
        metavar="DIR",
        help="environments of the peers",
    )
    return parser.parse_args()


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1")
    return number


def fleet_size(text: str) -> int:
    number = positive(text)
    if number % N_ZONES:
        raise argparse.ArgumentTypeError(f"{text} is not a multiple of {N_ZONES}, the zones")
    return number


# --- what goes in ------------------------------------------------------------------------------


def write_sessions(path: Path, n_evs: int) -> None:
    """Table I's fleet as a sessions CSV, with an ideal battery; floats in full."""
    scenario = Scenario.load("paper").override(
        {"fleet.evs_per_zone": n_evs // N_ZONES, "ev.efficiency": 1.0}
    )
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for ev in V2GModel(scenario).evs:
            values = {name: getattr(ev, name) for name in COLUMNS if name != "p_max_kw"}
            values["p_max_kw"] = ev.charger_kw
            writer.writerow([values[name] for name in COLUMNS])


def environment(peer: Program, cache: Path) -> Path:
    """Python of the peer's environment, made (anew) when its requirements have changed."""
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n", encoding="utf-8")
    folder = cache / peer.key
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = hashlib.sha256(peer.requirements.read_bytes() + sys.version.encode()).hexdigest()
    stamp = folder / "made_for"
    if python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"installing {peer.title} ...", file=sys.stderr, flush=True)
    venv.create(folder, clear=True, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-qq"]
    subprocess.run([*pip, "-r", str(peer.requirements)], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return python


# --- runs --------------------------------------------------------------------------------------


def run(
    program: Program, python: Path, sessions: Path, out: Path, args: argparse.Namespace
) -> dict[str, Any]:
    """What the adapter wrote; with `stopped_s` where the limit came first, `failed` on an error."""
    command = [str(python), str(program.adapter), str(sessions), str(out)]
    command += ["--repeats", str(args.repeats)]
    if not program.is_peer:
        command += ["--at-least-s", str(EVENFALL_AT_LEAST_S)]
    environ = {**os.environ, **({"EVENFALL_ENGINE": program.engine} if program.engine else {})}
    # Its working folder, since a peer may write into it; stdout is ours.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        try:
            code = subprocess.run(
                command,
                cwd=out.parent,
                env=environ,
                timeout=args.limit_s,
                stdout=log,
                stderr=log,
            ).returncode
        except subprocess.TimeoutExpired:
            code = 0
        log.seek(0)
        said = log.read().strip()
    if code:
        return {"failed": said.splitlines()[-1] if said else f"exit code {code}", "log": said}
    if out.exists():
        return dict(json.loads(out.read_text(encoding="utf-8")))
    return {"stopped_s": args.limit_s}


def judge(results: list[dict[str, Any]]) -> None:
    """Add median, ratio and energies to the results; the per-EV energies themselves leave."""
    ours = {r["evs"]: r for r in results if r["program"] == EVENFALL[0].key and "seconds" in r}
    by_numpy = {r["evs"]: r for r in results if r["program"] == EVENFALL[1].key and "seconds" in r}
    energies = {n: r["energy_kwh"] for n, r in ours.items()}
    for result in results:
        reference = ours.get(result["evs"])
        if "seconds" in result:
            result["median_s"] = statistics.median(result["seconds"])
        least = result.get("median_s", result.get("stopped_s"))
        if least is not None and reference is not None:
            result["ratio"] = least / statistics.median(reference["seconds"])
        if least is not None and result["evs"] in by_numpy:
            result["ratio_numpy"] = least / statistics.median(by_numpy[result["evs"]]["seconds"])
        if "energy_kwh" not in result:
            continue
        energy = result.pop("energy_kwh")
        result["total_kwh"] = sum(energy.values())
        if reference is not None:
            expected = energies[result["evs"]]
            names = expected.keys() | energy.keys()
            gaps = [abs(energy.get(name, 0.0) - expected.get(name, 0.0)) for name in names]
            result["largest_difference_kwh"] = max(gaps)
            if result["program"] == "acnsim":
                result["agrees"] = max(gaps) <= AGREE_KWH
        battery = result.pop("battery_kwh", None)
        if battery is not None:
            stored = sum(battery.values())
            result["battery_total_kwh"] = stored
            result["created_percent"] = 100.0 * (stored - result["total_kwh"]) / stored


# --- what comes out ----------------------------------------------------------------------------


def show(report: dict[str, Any]) -> None:
    titles = {program.key: program.title for program in (*EVENFALL, *PEERS)}
    machine = report["machine"]
    versions = ", ".join(f"{titles[key]} {text}" for key, text in report["versions"].items())
    print(f"{machine['cores']} cores, Python {machine['python']}; {versions}")
    print_table(
        "Uncontrolled charging of the same sessions, one day in 1-minute steps",
        (
            *("program", "EVs", "s (median)", "runs", "x compiled", "x numpy", "kWh"),
            "largest EV diff., kWh",
        ),
        [row(result, titles) for result in report["results"]],
    )
    for result in report["results"]:
        for line in remarks(result, titles):
            print(line)
    print("\nEvenfall's time includes 24 load flows of the feeder; the peers solve none.")


def row(result: dict[str, Any], titles: dict[str, str]) -> list[str]:
    title = titles[result["program"]]
    if "created_percent" in result:
        title += f" (creates {result['created_percent']:.1f} % of its energy)"
    cells = [title, str(result["evs"])]
    if "failed" in result:
        return [*cells, "failed", "", "", "", "", ""]
    ratios = [f"{result[k]:.4g}" if k in result else "" for k in ("ratio", "ratio_numpy")]
    if "stopped_s" in result:
        more = [f"> {ratio}" if ratio else "" for ratio in ratios]
        return [*cells, f"> {result['stopped_s']:g}", "0", *more, "", ""]
    gap = result.get("largest_difference_kwh")
    return [
        *cells,
        f"{result['median_s']:.4g}",
        str(len(result["seconds"])),
        *ratios,
        f"{result['total_kwh']:.3f}",
        "" if gap is None else f"{gap:.1e}",
    ]


def remarks(result: dict[str, Any], titles: dict[str, str]) -> list[str]:
    title, n_evs = titles[result["program"]], result["evs"]
    if "failed" in result:
        return [f"{title}, {n_evs} EVs, failed:", result["log"]]
    lines = []
    if result.get("load_flows_diverged"):
        diverged, load_flows = result["load_flows_diverged"], result["load_flows"]
        lines.append(
            f"{n_evs} EVs: {diverged} of {title}'s {load_flows} load flows do not converge; "
            "so many EVs that charge at will are more than one 33-bus feeder can supply."
        )
    if "agrees" in result:
        verdict = "equal to" if result["agrees"] else "NOT equal to"
        lines.append(
            f"{n_evs} EVs: the energy of every EV is {verdict} {title}'s to {AGREE_KWH:g} kWh."
        )
    if "created_percent" in result:
        stored, drawn = result["battery_total_kwh"], result["total_kwh"]
        lines.append(
            f"{n_evs} EVs: {title} rounds every battery up to 0.01 kWh after every step; of the "
            f"{stored:.1f} kWh its batteries gain, {stored - drawn:.1f} kWh "
            f"({result['created_percent']:.1f} %) came from no charger."
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
