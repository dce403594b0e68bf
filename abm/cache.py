"""Where Evenfall keeps what it would otherwise work out again; it may be deleted at any time."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Folder of what is remembered; empty: no check is.
CACHE_VARIABLE = "EVENFALL_CACHE"


def cache_folder() -> Path | None:
    """The folder that `CACHE_VARIABLE` names, or ours in the user's cache; None for none."""
    if CACHE_VARIABLE in os.environ:
        named = os.environ[CACHE_VARIABLE]
        return Path(named) if named else None
    return user_folder()


def user_folder() -> Path | None:
    """Our folder in the user's cache; None where there is no home."""
    base = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    try:
        return Path(base or Path.home() / ".cache") / "evenfall"
    except RuntimeError:  # there is no home
        return None


def code_folder(name: str, numba_folder: str) -> Path | None:
    """Folder of machine code of this name; None where none can be written.

    Below numba_folder, numba's own setting, or else beside what is remembered of feeders.
    """
    base = Path(numba_folder) if numba_folder else cache_folder() or user_folder()
    if base is None:
        return None
    folder = base / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None
