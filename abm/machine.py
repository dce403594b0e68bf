"""What the machine has: cores, memory and disk, as far as this process may use them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
CGROUPS = Path("/sys/fs/cgroup")
# A limit of version 1 that is none is a number near 2^63.
NO_LIMIT = 2**60


def cores_there() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_there() -> int:
    """Threads to compute with: one per core, fewer if NUMBA_NUM_THREADS says so.

    In workers of a study it says 1, since each has one core.
    """
    wanted = os.environ.get("NUMBA_NUM_THREADS", "")
    limit = int(wanted) if wanted.isdigit() else 0
    return min(cores_there(), limit) if limit > 0 else cores_there()


def over_spans(n: int, threads: int, call: Callable[[int, int], T]) -> list[T]:
    """What call(first, last) says of the spans of 0 to n - 1, one for each thread, in order.

    The call is compiled code that lets go of the interpreter.
    """
    if threads <= 1:
        return [call(0, n)]
    spans = list(pairwise(n * i // threads for i in range(threads + 1)))
    pool = _pool(os.getpid())
    others = [pool.submit(call, *span) for span in spans[1:]]
    mine = call(*spans[0])
    return [mine, *(other.result() for other in others)]


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Threads that stay: to start one takes as long as some feeders' quarter of an hour.

    One is started when none is idle, so that there are no more than were ever wanted at once; they
    end with the process. process: whose they are; a fork of it has none of them.
    """
    return ThreadPoolExecutor(cores_there(), thread_name_prefix=f"evenfall-{process}")


def memory_there(proc: Path = Path("/proc"), cgroups: Path = CGROUPS) -> int | None:
    """Bytes of memory that this process can still have; None where nobody says.

    The least of: what is free or can be freed, swap included; what the limits of its control groups
    leave; what its own limit of address space leaves (`ulimit -v`).
    """
    found = [*_of_system(proc), *_of_groups(proc, cgroups), *_of_process(proc)]
    return max(0, min(found)) if found else None


def disk_there(path: Path) -> int | None:
    """Bytes that can still be written below `path`, which need not be there yet."""
    place = Path(os.path.abspath(path))
    with suppress(OSError):
        around = next(folder for folder in (place, *place.parents) if folder.is_dir())
        return shutil.disk_usage(around).free
    return None


def _of_system(proc: Path) -> Iterator[int]:
    fields = _fields(proc / "meminfo")
    if "MemAvailable" in fields:
        yield fields["MemAvailable"] + fields.get("SwapFree", 0)
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_groups(proc: Path, cgroups: Path) -> Iterator[int]:
    """What each control group of the process leaves, and each group around it."""
    with suppress(OSError):
        for line in (proc / "self" / "cgroup").read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers == "":
                root, limit, used, idle = cgroups, "memory.max", "memory.current", "inactive_file"
            elif "memory" in controllers.split(","):
                root, limit = cgroups / "memory", "memory.limit_in_bytes"
                used, idle = "memory.usage_in_bytes", "total_inactive_file"
            else:
                continue
            group = root / name.strip("/")
            # In a container the path is the host's, and the limits stand at the root.
            for folder in (group, *group.parents):
                most = _number(folder / limit)
                if most is not None and most < NO_LIMIT:
                    cached = _fields(folder / "memory.stat").get(idle, 0)
                    yield most - (_number(folder / used) or 0) + cached
                if folder == root:
                    break


def _of_process(proc: Path) -> Iterator[int]:
    if os.name != "posix":
        return
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        yield most - _fields(proc / "self" / "status").get("VmSize", 0)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # not there, or the word "max"
        return None


def _fields(path: Path) -> dict[str, int]:
    """Lines "name: 12 kB" or "name 12" in bytes."""
    found = {}
    with suppress(OSError):
        for line in path.read_text().splitlines():
            name, *rest = line.replace(":", " ").split()
            if rest and rest[0].isdigit():
                found[name] = int(rest[0]) * (1024 if rest[1:] == ["kB"] else 1)
    return found


def in_words(size: float) -> str:
    """A number of bytes as people write it: "12.3 GB"."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000.0 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000.0
    raise AssertionError("the last unit has no end")
