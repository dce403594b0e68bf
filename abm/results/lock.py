"""The lock of an output folder: a file beside it, made in one step, that says who is at work.

A lock whose process is dead is taken over: its host is this one and no process has its number, or
one that began at another time, or the machine was started anew since. Of another host, or another
container, nothing can be known: such a lock is never taken over.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from abm.results.seals import is_regular

try:
    import fcntl
except ImportError:
    # Windows: two runs that take over the same dead lock at once are not told apart. That a module
    # may be missing is beyond its type.
    fcntl = None  # type: ignore[assignment]

_PROCESSES = Path("/proc")
# A lock that is there and gone again is asked for so often, and waited for so long in between.
TRIES, WAIT_S = 50, 0.02


@dataclass(frozen=True)
class Holder:
    """Who holds a lock.

    began: the process's start in ticks since the machine's; boot, space: the machine's start and
    the space of process numbers; each "" where the system does not say. since: UTC.
    """

    pid: int
    host: str
    began: str = ""
    boot: str = ""
    space: str = ""
    since: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"

    def is_dead(self) -> bool:
        """Whether the process is known not to run any more."""
        here = myself()
        if self.host != here.host:
            return False
        if self.boot != here.boot:
            return bool(self.boot and here.boot)
        if self.space != here.space or os.name == "nt":  # where to ask after a process is to end it
            return False
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError, ValueError):
            return True
        except OSError:  # somebody else's: it is there
            pass
        began = _began(self.pid)
        return began is not None and began != self.began


def myself() -> Holder:
    """The process that asks, as it would stand in a lock."""
    pid = os.getpid()
    since = datetime.now(UTC).isoformat(timespec="seconds")
    boot = _text(_PROCESSES / "sys/kernel/random/boot_id")
    try:
        space = str(os.stat(_PROCESSES / "self/ns/pid").st_ino)
    except OSError:
        space = ""
    return Holder(pid, socket.gethostname(), _began(pid) or "", boot, space, since)


def _began(pid: int) -> str | None:
    """When a process began, "" for one that is dead and only not buried; None: nobody says."""
    # The name in brackets may have blanks and brackets of its own.
    fields = _text(_PROCESSES / str(pid) / "stat").rpartition(")")[2].split()
    if len(fields) < 20:
        return None
    return "" if fields[0] in ("Z", "X") else fields[19]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


class LockedError(Exception):
    """Somebody holds the lock. holder: who, or None where the file does not say."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        super().__init__(str(path))
        self.path, self.holder = path, holder


class FolderLock:
    """A lock that this process holds, until `release`."""

    def __init__(self, path: Path, mine: Holder, dead: Holder | None) -> None:
        self.path, self.mine, self.dead = path, mine, dead

    def release(self) -> None:
        """Take the lock away; a process that was forked from the holder does not."""
        if os.getpid() == self.mine.pid and _read(self.path) == self.mine:
            self.path.unlink(missing_ok=True)


def take(path: Path) -> FolderLock:
    """Take the lock at `path`, in one step; raises LockedError, and OSError where none can be made.

    The lock's `dead` is the holder that it was taken over from, if any.
    """
    mine = myself()
    for left in path.parent.glob(f"{path.name}.*"):
        # What a process left that died while it took the lock.
        holder = _read(left)
        if holder is not None and holder.is_dead():
            left.unlink(missing_ok=True)
    own = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        _write(own, mine)
        for _ in range(TRIES):
            if _made(own, path):
                return FolderLock(path, mine, None)
            dead = _taken_over(own, path)
            if dead is not None:
                return FolderLock(path, mine, dead)
            time.sleep(WAIT_S)
        raise LockedError(path, _read(path))
    finally:
        own.unlink(missing_ok=True)


def _made(own: Path, path: Path) -> bool:
    """Give our file the lock's name; False where there is one."""
    try:
        os.link(own, path)
    except FileExistsError:
        return False
    except OSError:
        # A file system without hard links: it appears empty, and is written then.
        with suppress(FileExistsError), path.open("xb") as file:
            file.write(own.read_bytes())
            return True
        return False
    return True


def _taken_over(own: Path, path: Path) -> Holder | None:
    """The dead holder in whose place our file is now; None where the lock has gone meanwhile.

    Raises LockedError where its holder may live.
    """
    if not is_regular(path):
        if os.path.lexists(path):
            raise LockedError(path, None)
        return None
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    except OSError:  # somebody else's who lets nobody read it
        raise LockedError(path, None) from None
    with file:
        if fcntl is not None:
            with suppress(OSError):  # a file system that knows no such locks
                fcntl.flock(file, fcntl.LOCK_EX)
        holder = _holder(file.read())
        dead = holder is not None and holder.is_dead()
        # In this order: who is dead cannot take the lock away any more, and nobody else takes this
        # very file over, so that it is still there when ours is put in its place.
        try:
            if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return None
        except FileNotFoundError:
            return None
        if not dead:
            raise LockedError(path, holder)
        own.replace(path)
        return holder


def _write(path: Path, holder: Holder) -> None:
    with path.open("x", encoding="utf-8") as file:
        json.dump(asdict(holder), file)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> Holder | None:
    try:
        return _holder(path.read_bytes()) if is_regular(path) else None
    except OSError:
        return None


def _holder(content: bytes) -> Holder | None:
    try:
        found = Holder(**json.loads(content))
    except (ValueError, TypeError):
        return None
    fits = isinstance(found.pid, int) and found.pid > 0
    return found if fits and all(isinstance(x, str) for x in (found.host, found.began)) else None
