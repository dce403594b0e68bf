"""The folders whose scenarios may name code of their own: the user's own list of them.

It is the key `trusted` of a TOML file that `EVENFALL_CONFIG` names, else of `evenfall/config.toml`
in `XDG_CONFIG_HOME` or `~/.config`:

    trusted = ["/home/me/studies", "~/work"]
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from abm.errors import InputError, Problem
from abm.scenario.yamlio import read_text, show


def config_file() -> Path:
    """The user's own configuration: EVENFALL_CONFIG, else evenfall/config.toml where XDG says."""
    if named := os.environ.get("EVENFALL_CONFIG"):
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path(os.path.expanduser("~/.config"))
    return base / "evenfall" / "config.toml"


def trusted_folders() -> tuple[Path, ...]:
    """The folders under `trusted` in the user's configuration, links followed.

    None where there is no such file. Raises InputError where it cannot be read, or where a folder
    is not given by its whole path.
    """
    path = config_file()
    if not os.path.lexists(path):
        return ()
    shown = str(path)
    try:
        found = tomllib.loads(read_text(path, shown))
    except tomllib.TOMLDecodeError as error:
        raise InputError([Problem("file", "", f"TOML; {error}", shown)]) from None
    folders = found.get("trusted", [])
    said = 'a list of folders by their whole paths, such as ["/home/me/studies", "~/work"]'
    if not isinstance(folders, list):
        raise InputError([Problem("trusted", show(folders), said, shown)])
    whole = [os.path.expanduser(name) if isinstance(name, str) else "" for name in folders]
    wrong = [name for name, path_ in zip(folders, whole, strict=True) if not os.path.isabs(path_)]
    if wrong:
        raise InputError([Problem("trusted", show(name), said, shown) for name in wrong])
    return tuple(Path(os.path.realpath(name)) for name in whole)


def in_trusted_folder(folder: Path) -> bool:
    """Whether a folder is one that the user trusts, or lies in one. Raises InputError."""
    real = Path(os.path.realpath(folder))
    return any(real.is_relative_to(trusted) for trusted in trusted_folders())
