"""How a verb ends when it does not end well: what is said on standard error, and the exit code."""

from __future__ import annotations

import errno
import os

from abm.cli.stopping import Stopped
from abm.errors import EvenfallError, InputError, MachineError, PluginError
from abm.fault_log import write_log

# The machine cannot do it; what was handed in is wrong; nobody foresaw it (EX_SOFTWARE).
FAULT, BAD_INPUT, UNFORESEEN = 1, 2, 70
# Of the operating system's errors, those that say something of the machine and not of our code.
MACHINE = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ESTALE,
    errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENODEV, errno.ENXIO,
)  # fmt: skip


def ending(error: BaseException) -> tuple[list[str], int]:
    """The lines to say, and the exit code; notes on the error end its line."""
    code, said = _told(error)
    if isinstance(error, InputError):
        said += [f"  {problem}" for problem in error.problems]
    notes = getattr(error, "__notes__", [])
    return ["; ".join([said[0], *notes]), *said[1:]], code


def _told(error: BaseException) -> tuple[int, list[str]]:
    if isinstance(error, InputError):
        found = len(error.problems)
        return BAD_INPUT, [f"{found} problem{'s' if found > 1 else ''} with what was handed in:"]
    if isinstance(error, MachineError):
        return FAULT, [one_line(error)]
    if isinstance(error, PluginError):
        return BAD_INPUT, [f"{error}; {write_log(error)}"]
    if isinstance(error, EvenfallError):
        return BAD_INPUT, str(error).splitlines() or [type(error).__name__]
    if isinstance(error, Stopped):
        return 128 + error.number, [f"stopped by {error}"]
    if isinstance(error, KeyboardInterrupt):
        return 130, ["interrupted"]
    if isinstance(error, MemoryError):
        return FAULT, [f"out of memory{_and(one_line(error))}"]
    if isinstance(error, OSError) and error.errno in MACHINE:
        return FAULT, [_of_system(error)]
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return FAULT, ["no more threads or memory can be had"]
    said = one_line(error)
    kind = type(error).__name__
    return UNFORESEEN, [f"an error that was not foreseen, {kind}{_and(said)}; {write_log(error)}"]


def _of_system(error: OSError) -> str:
    """The name of the file, if there is one, and the system's words."""
    # Libraries put more into it than the system said.
    said = os.strerror(error.errno) if error.errno else one_line(error)
    return f"{error.filename}: {said}" if error.filename is not None else said


def one_line(error: BaseException) -> str:
    """The text of an error on one line, cut where it is very long."""
    return " ".join(str(error).split())[:300]


def _and(text: str) -> str:
    return f": {text}" if text else ""
