"""Two folders that change places in one step, where the system has such a thing: Linux does."""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from pathlib import Path

# Of <linux/fs.h> and <fcntl.h>.
_RENAME_EXCHANGE, _HERE = 2, -100


def swapped(new: Path, place: Path) -> bool:
    """Swap two folders in one step; False where the system, or the folder, does not allow it."""
    was, now = os.lstat(place), os.lstat(new)
    ours = (was.st_uid, was.st_gid) == (now.st_uid, now.st_gid)
    if not ours or os.path.ismount(place) or _attributes(place):
        return False
    new.chmod(stat.S_IMODE(was.st_mode))
    return _exchange(new, place)


def _attributes(place: Path) -> list[str]:
    """What a folder has besides mode and owner, such as lists of who may do what."""
    try:
        return [name for name in os.listxattr(place) if not name.startswith("security.")]
    except (OSError, AttributeError):  # a file system, or a system, without them
        return []


def _exchange(a: Path, b: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # a C library from before 2018
        return False
    done: int = call(_HERE, os.fsencode(a), _HERE, os.fsencode(b), _RENAME_EXCHANGE)
    return done == 0
