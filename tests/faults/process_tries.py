"""Signals, kills, closed pipes, full disks, no memory, lost clusters; a process for each try.

    python tests/faults/process_tries.py CLASS FOLDER

prints how many tries there were and what did not hold, as JSON. Moments are drawn with a seed, but
where a process is by then depends on the machine.
"""

import contextlib
import importlib
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from storage_tries import Tries

import abm
from abm.cli import script
from abm.results.ownership import check_written

ROOT = Path(abm.__file__).parents[1]
# What verbs import, so that a fork need not.
WARM = ("abm.model", "abm.study", "abm.study.sweep", "abm.study.montecarlo", "abm.study.folder")
WARM += ("abm.report.run_figures", "abm.report.study_figures", "abm.report.study_terminal")
WARM += ("abm.results.tables", "abm.engine.compiled", "pyarrow.parquet", "highspy")
SMALL = ["--set", "fleet.evs_per_zone=1"]
STUDY = [*SMALL, "--strategies", "none,evms", "--replications", "60"]
VERBS = {
    "run": ["run", "paper", *SMALL, "--no-figures"],
    "compare": ["compare", "paper", *SMALL, "--strategies", "none,evms", "--no-bound"],
    "bound": ["bound", "paper", *SMALL, "--no-figures"],
    "montecarlo": ["montecarlo", "paper", *STUDY, "--workers", "1"],
    "sweep": ["sweep", "paper", *SMALL, "--vary", "fleet.evs_per_zone=1,2", "--workers", "1"],
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DAYS = ["run", "paper", *SMALL, "--no-figures", "--set", "horizon.days=20"]
BAD = ("Traceback", "ignored", "semaphore", "leaked", "resource_tracker", "Error:")
POOL = ["montecarlo", "paper", *SMALL, "--replications", "3000", "--workers", "2"]


@dataclass
class Process:
    """A verb in a session of its own, in an empty folder."""

    pid: int
    here: Path
    began: float = field(default_factory=time.monotonic)

    def wait(self, seconds: float = 60.0) -> int | None:
        """Exit code, as the shell has it for a killed one; None where it had to be killed."""
        while time.monotonic() < self.began + seconds:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 1000 - code
            time.sleep(0.005)
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None

    @property
    def said(self) -> str:
        return (self.here / "err").read_text()

    @property
    def last(self) -> str:
        return (self.said.splitlines() or [""])[-1]

    def others(self) -> list[int]:
        """The other processes of its session that still run."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.pid and state != "Z" and int(entry.name) != self.pid:
                    found.append(int(entry.name))
        return found

    def others_end(self, seconds: float = 15.0) -> bool:
        end = time.monotonic() + seconds
        while self.others() and time.monotonic() < end:
            time.sleep(0.05)
        return not self.others()

    def left_over(self) -> list[str]:
        """What is in the folder and is neither ours nor a result."""
        return [path.name for path in self.here.iterdir() if path.name not in ("err", "out", "o")]


def folder(top: Path) -> Path:
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir(parents=True)
    return top


def forked(
    argv, here: Path, prepare=lambda: None, out: int | None = None, again: bool = False
) -> Process:
    """The verb in a fork of this process, which has imported everything; again: in its folder."""
    if not again:
        folder(here)
    child = os.fork()
    if child:
        return Process(child, here)
    code = 99
    try:
        os.setsid()
        os.chdir(here)
        os.dup2(os.open("err", os.O_WRONLY | os.O_CREAT), 2)
        os.dup2(os.open("out", os.O_WRONLY | os.O_CREAT) if out is None else out, 1)
        prepare()
        sys.argv = ["evenfall", *argv, "--out", "o"]
        script()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
        os._exit(code)


def started(argv, here: Path) -> Process:
    """The verb as a process of its own, from the first line of Python on."""
    folder(here)
    with (here / "err").open("wb") as err, (here / "out").open("wb") as out:
        words = [sys.executable, "-c", "from abm.cli import script; script()", *argv, "--out", "o"]
        process = subprocess.Popen(words, cwd=here, stdout=out, stderr=err, start_new_session=True)
    # It is waited for by its number.
    process.returncode = 0
    return Process(process.pid, here)


def sound(out: Path) -> bool:
    """Whether all that is said to be there is as it was written."""
    check = check_written(out)
    return check is not None and not check.damaged


def whole(out: Path) -> bool:
    return (out / "manifest.json").is_file() and sound(out)


def kept_well(process: Process, code: int | None, codes=()) -> str:
    """What is wrong with how a process ended and what it left; "" where nothing is."""
    out = process.here / "o"
    if code not in (0, *codes):
        return f"exit code {code}: {process.said}"
    if any(word in process.said for word in BAD):
        return process.said
    if process.left_over():
        return f"left {process.left_over()}"
    parts = re.search(r"keeps \d+ finished chunk", process.last)
    if code == 0 or "whole result" in process.last or "result is whole" in process.last:
        return "" if whole(out) else "no whole result"
    if parts:
        return "" if (out / "study.json").is_file() and sound(out) else "no study to go on with"
    return f"something of it is there: {process.last}" if os.path.lexists(out) else ""


# --- signals --------------------------------------------------------------------------------------


def signals(top: Path) -> Tries:
    """A signal at any moment of any verb; its own processes are one."""
    tries, draw = Tries(), random.Random(1)
    for n in range(30):
        name = list(VERBS)[n % len(VERBS)]
        number = SIGNALS[n // len(VERBS) % len(SIGNALS)]
        process = forked(VERBS[name], top / "here")
        time.sleep(0.1 + draw.random() * 0.8)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        code = process.wait()
        wrong = kept_well(process, code, [128 + number])
        if not wrong and code and not process.last.startswith(f"stopped by {number.name}"):
            wrong = process.said
        tries.note(f"{name} {number.name}: {wrong}", not wrong)
    return tries


def signals_workers(top: Path) -> Tries:
    """A signal to a study with workers, or to all of its session, from the start of Python on."""
    tries, draw = Tries(), random.Random(2)
    for n in range(6):
        number, group = SIGNALS[n % 3], n % 2
        process = started(POOL, top / "here")
        # Before our own first line a signal is Python's.
        time.sleep(0.5 + draw.random() * 4.0)
        (os.killpg if group else os.kill)(process.pid, number)
        wrong = kept_well(process, process.wait(), [128 + number])
        if not wrong and not process.others_end():
            wrong = f"children outlive it: {process.others()}"
        tries.note(f"{number.name} to {'all' if group else 'one'}: {wrong}", not wrong)
    return tries


def second_signal(top: Path) -> Tries:
    """A second signal does not wait for anything."""
    tries, draw = Tries(), random.Random(3)
    for n in range(3):
        first, second = SIGNALS[n % 3], SIGNALS[(n + 1) % 3]
        process = started(POOL, top / "here")
        time.sleep(1.5 + draw.random() * 3.0)
        os.kill(process.pid, first)
        time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, second)
        code = process.wait()
        wrong = "" if code in (128 + first, 128 + second) else f"exit code {code}: {process.said}"
        wrong = process.said if any(word in process.said for word in BAD) else wrong
        if not wrong and not process.others_end():
            wrong = f"children outlive it: {process.others()}"
        tries.note(f"{first.name}, {second.name}: {wrong}", not wrong)
    return tries


# --- kills ----------------------------------------------------------------------------------------


def killed_parent(top: Path) -> Tries:
    """Workers, their server and the tracker notice that nobody is left, and say nothing."""
    tries, draw = Tries(), random.Random(4)
    for n in range(6):
        process = started(POOL, top / "here")
        time.sleep(0.5 + draw.random() * 4.5)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wrong = "" if process.others_end() else f"children outlive it: {process.others()}"
        wrong = process.said if any(word in process.said for word in BAD) else wrong
        tries.note(f"{n}: {wrong}", not wrong)
    return tries


def killed_workers(top: Path) -> Tries:
    """Workers or their server are killed; the study ends well all the same.

    Not the standard library's tracker of semaphores, which says what it thinks of that.
    """
    tries, draw = Tries(), random.Random(5)
    for n in range(3):
        study = [*POOL]
        study[study.index("3000")] = "150"
        process = started(study, top / "here")
        end = time.monotonic() + 30
        while not process.others() and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(draw.random() * 2.5)
        others = [pid for pid in process.others() if b"tracker" not in command(pid)]
        for victim in draw.sample(others, min(n % 2 + 1, len(others))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        wrong = kept_well(process, process.wait(120.0))
        if not wrong and not process.others_end():
            wrong = f"children outlive it: {process.others()}"
        tries.note(f"{n}: {wrong}", not wrong)
    return tries


def killed_days(top: Path) -> Tries:
    """A run of several days is killed again and again; gone on with, it leaves the same bytes."""
    tries, draw = Tries(), random.Random(6)

    def files(out: Path) -> dict[str, bytes]:
        names = sorted(path.name for path in out.iterdir() if path.suffix in (".parquet", ".json"))
        return {name: (out / name).read_bytes() for name in names if name != "manifest.json"}

    forked(DAYS, top / "whole").wait()
    wanted = files(top / "whole" / "o")
    for n in range(4):
        here, kills = top / "here", 0
        process = forked(DAYS, here)
        while kills < 8:
            time.sleep(0.2 + draw.random())
            found, _ = os.waitpid(process.pid, os.WNOHANG)
            if found:
                break
            os.kill(process.pid, signal.SIGKILL)
            os.waitpid(process.pid, 0)
            kills += 1
            process = forked([*DAYS, "--resume"], here, again=True)
        else:
            process.wait()
        here = process.here
        wrong = "" if whole(here / "o") else f"no whole result: {process.said}"
        wrong = wrong or ("" if files(here / "o") == wanted else "other bytes")
        wrong = wrong or (f"left {process.left_over()}" if process.left_over() else "")
        tries.note(f"{n}, {kills} kills: {wrong}", not wrong)
    return tries


def command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


# --- streams --------------------------------------------------------------------------------------


def pipes(top: Path) -> Tries:
    """Nobody reads, nothing is open, or the disk behind is full."""
    tries = Tries()

    def closed(*descriptors):
        return lambda: [os.close(descriptor) for descriptor in descriptors]

    for name, argv in VERBS.items():
        for how, prepare in {"read": None, "1": closed(1), "2": closed(2)}.items():
            read, write = os.pipe()
            os.close(read)
            if prepare is None:
                process = forked([*argv, "--json"], top / "here", out=write)
            else:
                process = forked(argv, top / "here", prepare)
            os.close(write)
            code = process.wait()
            wrong = "" if code == 0 and whole(process.here / "o") else f"{code}: {process.said}"
            tries.note(f"{name}, {how} closed: {wrong}", not wrong)
        with open("/dev/full", "wb") as full:
            process = forked(argv, top / "here", out=full.fileno())
        code = process.wait()
        fine = code == 1 and process.last.startswith("standard output: No space left")
        tries.note(f"{name}, full: {code} {process.said}", fine and whole(process.here / "o"))
    return tries


# --- disk and memory ------------------------------------------------------------------------------


def full_disk(top: Path) -> Tries:
    """No file may grow beyond a limit, as on a full disk; drawn anew for each try."""
    tries, draw = Tries(), random.Random(6)
    for n in range(20):
        name = list(VERBS)[n % len(VERBS)]
        most = int(10 ** draw.uniform(2.0, 5.3))
        limit = (most, resource.RLIM_INFINITY)
        process = forked(VERBS[name], top / "here", lambda limit=limit: no_larger(limit))
        code = process.wait()
        wrong = kept_well(process, code, [1])
        # What it says goes to a file, too, and may not fit.
        if not wrong and code and len(process.said) < most and "File too large" not in process.last:
            wrong = process.said
        tries.note(f"{name}, {most} bytes: {wrong}", not wrong)
    return tries


def no_larger(limit) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def no_memory(top: Path) -> Tries:
    """A limit of address space: refused before, or ended with a line."""
    tries, draw = Tries(), random.Random(7)
    large = ["run", "paper", "--set", "fleet.evs_per_zone=4000", "--no-figures"]
    # What numba compiles is kept: LLVM itself ends a process that has no memory left for it.
    forked([*large, "--set", "clock.engine=compiled"], top / "here").wait(300.0)
    for _ in range(10):
        more = int(draw.uniform(20e6, 200e6))
        process = forked(large, top / "here", lambda more=more: no_more(more))
        code = process.wait(120.0)
        wrong = kept_well(process, code, [1, 2])
        if not wrong and code and "memory" not in process.said:
            wrong = process.said
        tries.note(f"{more / 1e6:.0f} MB: {code} {wrong}", not wrong)
    return tries


def no_more(more: int) -> None:
    now = int(re.search(r"VmSize:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))


# --- clusters -------------------------------------------------------------------------------------


@contextlib.contextmanager
def scheduler(top: Path, workers: int):
    """A Dask scheduler and its workers: address and processes, the scheduler first."""
    top.mkdir(parents=True, exist_ok=True)
    (top / "s.json").unlink(missing_ok=True)
    dask, shared = [sys.executable, "-m", "dask"], ["--scheduler-file", str(top / "s.json")]
    words = [[*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", *shared]]
    words += [
        [*dask, "worker", *shared, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    ] * workers
    with (top / "log").open("wb") as log:
        processes = [subprocess.Popen(one, stdout=log, stderr=log) for one in words]
    try:
        for _ in range(600):
            text = (top / "s.json").read_text() if (top / "s.json").exists() else ""
            found = re.search(r"tcp://[\d.:]+", text)
            if found and (top / "log").read_text().count("Register worker") >= workers:
                break
            time.sleep(0.05)
        yield found[0], processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def clusters(top: Path) -> Tries:
    """Nobody listens, a silent port, no worker, last worker or scheduler lost, or stopped."""
    tries = Tries()
    study = [*POOL[: POOL.index("--workers")], "--cluster"]

    def end(name: str, process: Process, says: str) -> None:
        code = process.wait()
        wrong = kept_well(process, code, [1])
        if not wrong and (code != 1 or says not in process.last):
            wrong = f"{code} {process.said}"
        tries.note(f"{name}: {wrong}", not wrong)

    limit = ["--cluster-timeout", "2"]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        process = started([*study, address, "--cluster-timeout", "7"], top / "here")
        end("silent", process, "no scheduler answered within 7 s")
        tries.note("silent: nothing is said", "no answer from a scheduler so far" in process.said)
    process = started([*study, address, *limit], top / "here")
    end("nobody", process, "no scheduler answered within 2 s")
    with scheduler(top / "dask", 0) as (address, _):
        process = started([*study, address, *limit], top / "here")
        end("no worker", process, "no worker within 2 s")
    for name, victim, number, says in (
        ("last worker", 1, signal.SIGKILL, "no worker within 2 s"),
        ("scheduler", 0, signal.SIGKILL, "no answer from the scheduler within 2 s"),
        ("stopped", 0, signal.SIGSTOP, "no answer from the scheduler within 2 s"),
    ):
        with scheduler(top / "dask", 1) as (address, processes):
            process = started([*study, address, *limit], top / "here")
            parts = process.here / "o" / "parts"
            while not list(parts.glob("*.parquet")) and "--cluster" not in process.said:
                time.sleep(0.05)
            processes[victim].send_signal(number)
            end(name, process, says)
            tries.note(f"{name}: {process.last}", "finished chunk" in process.last)
    return tries


CLASSES = {
    "signals": signals,
    "signals to workers": signals_workers,
    "second signal": second_signal,
    "killed parent": killed_parent,
    "killed workers": killed_workers,
    "killed days": killed_days,
    "pipes": pipes,
    "full disk": full_disk,
    "no memory": no_memory,
    "clusters": clusters,
}

if __name__ == "__main__":
    for module in WARM:
        importlib.import_module(module)
    found = CLASSES[sys.argv[1]](Path(sys.argv[2]))
    print(json.dumps({"tried": found.tried, "failed": found.failed}))
