"""Logs of what nobody foresaw: a traceback goes to a file, a person gets the file's name."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path

from abm.errors import printable

PACKAGES = ("numpy", "numba", "pandas", "pyarrow", "power-grid-model", "mesa", "distributed")


def log_folders() -> list[Path]:
    """Where a log may lie, best first: the user's state folder, then the system's temporary one."""
    folders = []
    state = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_STATE_HOME")
    with suppress(RuntimeError):  # there is no home
        folders.append(Path(state or Path.home() / ".local" / "state") / "evenfall")
    with suppress(OSError):  # no folder that can be written at all
        # A folder in a place that everybody may write to is one user's alone.
        user = os.getuid() if hasattr(os, "getuid") else ""
        folders.append(Path(tempfile.gettempdir()) / f"evenfall-{user}")
    return folders


def write_log(error: BaseException | str, doing: str = "") -> str:
    """Write an exception's traceback, with those it came from, to a new file.

    error: the exception, or the text of a traceback that came from another process. doing: what was
    done, as a line of the log. Returns the end of a sentence for the person who waits: "details in
    /home/me/.local/state/evenfall/20261126-101500-4711.log", or why there is no such file. Raises
    nothing.
    """
    why = "no folder for it"
    for folder in log_folders():
        try:
            return f"details in {_new_file(folder, _text(error, doing))}"
        except OSError as problem:
            why = problem.strerror or str(problem)
    return f"its details could not be written to a log: {why}"


def _new_file(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    for number in count(1):
        path = folder / (f"{stem}.log" if number == 1 else f"{stem}-{number}.log")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return path
    raise AssertionError("numbers have no end")


def _text(error: BaseException | str, doing: str) -> str:
    about = [
        f"time: {time.strftime('%Y-%m-%d %H:%M:%S %z')}",
        f"command: {' '.join(sys.argv)}",
        f"python: {platform.python_version()} on {platform.platform()}",
        f"versions: {', '.join(f'{name} {_version(name)}' for name in ('evenfall', *PACKAGES))}",
    ]
    if doing:
        about.append(f"doing: {doing}")
    lines = [error] if isinstance(error, str) else traceback.format_exception(error)
    text = "\n".join([*about, "", *lines])
    # Whoever looks at it in a terminal should see what there is.
    return "\n".join(printable(line.expandtabs()) for line in text.split("\n"))


def _version(name: str) -> str:
    if name == "evenfall":
        from abm import __version__

        return __version__
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
