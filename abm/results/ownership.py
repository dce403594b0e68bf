"""Which folders are ours, which files in them, and what has become of those.

A folder is ours when its manifest has our format and version, a list of files with their SHA-256,
and a seal that holds. Only what is on that list and still has its hash may be replaced or removed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from abm.errors import printable
from abm.results.seals import digest_of, is_regular, open_part, read_sealed, sha256_of

MANIFEST, STUDY, PARTS = "manifest.json", "study.json", "parts"
FORMAT, FORMAT_VERSION = "evenfall", 2
# In a manifest: SHA-256 by name of the files that were written, which --force may replace.
WRITTEN = "written"
# What may differ when a study goes on; replications may not become fewer.
MAY_GROW = ("replications", "until", "at_least")
ASKED = ("study", "scenario", "files", "replications", "seed")
PART = re.compile(PARTS + r"/([0-9]+-[0-9]+)\.parquet")
# Half-written files of `OutputFolder.write`.
TEMPORARY = re.compile(r"\.[0-9]+\.tmp\.(.+)")
_HASH = re.compile(r"[0-9a-f]{64}")


def listed(folder: Path) -> dict[str, str] | None:
    """SHA-256 of each file in a folder that is ours to replace; None when the folder is not ours.

    Of an unfinished study: study.json and the parts whose seal holds.
    """
    if not folder.is_dir():
        return None
    found = read_manifest(folder)
    if found is not None:
        names = {**found[WRITTEN], MANIFEST: sha256_of(folder / MANIFEST)}
        # Nobody writes into a part by hand: one that has changed is damaged, and ours all the same.
        for name in names:
            if PART.fullmatch(name) and is_within(folder, name) and is_regular(folder / name):
                names[name] = sha256_of(folder / name)
        return names
    asked = read_study(folder)
    if asked is None:
        return None
    study = study_key(asked)
    names = {STUDY: sha256_of(folder / STUDY)}
    for path in part_files(folder):
        if open_part(path.read_bytes(), study, path.stem) is not None:
            names[f"{PARTS}/{path.name}"] = sha256_of(path)
    return names


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder that is ours; None where there is none, or it is damaged."""
    found = read_sealed(folder / MANIFEST)
    if found is None or not _is_ours(found, ("study", "seed")):
        return None
    names = found.get(WRITTEN)
    if not isinstance(names, dict) or not all(map(_is_entry, names.items())):
        return None
    return found


def read_study(folder: Path) -> dict[str, Any] | None:
    """What was asked of the study in a folder; None where there is none, or it is damaged."""
    found = read_sealed(folder / STUDY)
    return found if found is not None and _is_ours(found, ASKED) else None


def _is_ours(found: Mapping[str, Any], keys: Collection[str]) -> bool:
    ours = (found.get("format"), found.get("format_version")) == (FORMAT, FORMAT_VERSION)
    return ours and all(key in found for key in keys)


def _is_entry(entry: tuple[str, Any]) -> bool:
    """Whether name and hash can stand in a list of ours: a plain name within the folder."""
    name, sha256 = entry
    pure = PurePosixPath(name)
    within = not pure.is_absolute() and ".." not in pure.parts and "\\" not in name
    plain = within and str(pure) == name and name not in (".", "") and "\0" not in name
    return plain and isinstance(sha256, str) and _HASH.fullmatch(sha256) is not None


def study_key(asked: Mapping[str, Any]) -> str:
    """What the parts of a study are sealed with: all that may not change while it goes on."""
    return digest_of({key: asked[key] for key in asked if key not in MAY_GROW})


def part_files(folder: Path) -> list[Path]:
    """Files in a study's folder that have the name of a part, sorted; no links."""
    if (folder / PARTS).is_symlink():
        return []
    found = sorted((folder / PARTS).glob("*.parquet"))
    return [path for path in found if PART.fullmatch(f"{PARTS}/{path.name}") and is_regular(path)]


def is_within(folder: Path, name: str) -> bool:
    """Whether something has this name in a folder, and no link leads to it."""
    around = [folder / parent for parent in PurePosixPath(name).parents][:-1]
    return os.path.lexists(folder / name) and not any(map(os.path.islink, around))


def is_as_listed(folder: Path, name: str, sha256: str | None) -> bool:
    """Whether a name is that of a regular file with this hash, reached without a link."""
    path = folder / name
    return is_within(folder, name) and is_regular(path) and sha256_of(path) == sha256


def foreign(folder: Path, names: Collection[str]) -> list[str]:
    """What is in a folder and not on a list: files, links, and folders as a whole with "/" behind.

    Our own temporary files do not count.
    """
    around = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    found: list[str] = []
    for here, folders, files in os.walk(folder):
        below = Path(here).relative_to(folder)
        for name in list(folders):
            whole = (below / name).as_posix()
            if (folder / whole).is_symlink() or whole not in around:
                folders.remove(name)
                found.append(whole if (folder / whole).is_symlink() else f"{whole}/")
        for name in files:
            whole = (below / name).as_posix()
            if whole not in names and not is_temporary(whole):
                found.append(whole)
    return sorted(found)


def is_temporary(name: str) -> bool:
    """Whether a name is that of study.json or a part that was not written to its end."""
    path = PurePosixPath(name)
    match = TEMPORARY.fullmatch(path.name)
    whole = "" if match is None else str(path.with_name(match[1]))
    return whole == STUDY or PART.fullmatch(whole) is not None


@dataclass(frozen=True)
class FolderCheck:
    """A folder beside what it was written with; names sorted. listed: how many files that were."""

    listed: int
    missing: list[str]
    changed: list[str]
    extra: list[str]
    unfinished: bool = False

    @property
    def damaged(self) -> list[str]:
        """Files that are not as they were written."""
        return sorted([*self.missing, *self.changed])

    @property
    def differences(self) -> dict[str, list[str]]:
        """Names by what is the matter with them; empty when nothing is."""
        found = {"missing": self.missing, "changed": self.changed, "extra": self.extra}
        unfinished = {"unfinished study": [STUDY]} if self.unfinished else {}
        return unfinished | {what: names for what, names in found.items() if names}


def check_folder(folder: Path, names: Mapping[str, str], unfinished: bool = False) -> FolderCheck:
    """Compare a folder with SHA-256 by name, the manifest left out."""
    missing, changed = [], []
    for name, sha256 in sorted(names.items()):
        if not is_within(folder, name):
            missing.append(name)
        elif not is_as_listed(folder, name, sha256):
            changed.append(name)
    extra = foreign(folder, [*names, MANIFEST])
    return FolderCheck(len(names), missing, changed, extra, unfinished)


def check_written(folder: Path) -> FolderCheck | None:
    """A folder beside its own manifest; None when it is not ours.

    Of an unfinished study the parts are checked. Of a folder whose manifest was ours and is damaged
    no more than that can be said.
    """
    found, study = read_manifest(folder), read_study(folder)
    if found is not None:
        return check_folder(folder, found[WRITTEN])
    path = folder / MANIFEST
    if is_regular(path):
        content = path.read_bytes()
        marks = (b'"format"', b'"evenfall"', b'"written"', b'"seal"')
        ours = sum(mark in content for mark in marks) >= 3
        return FolderCheck(1, [], [MANIFEST], []) if ours or study is not None else None
    if study is None:
        return None
    names = listed(folder) or {}
    damaged = [f"{PARTS}/{p.name}" for p in part_files(folder) if f"{PARTS}/{p.name}" not in names]
    check = check_folder(folder, names, unfinished=True)
    extra = [name for name in check.extra if name not in damaged]
    return replace(check, changed=damaged, extra=extra)


def names_line(names: Collection[str], most: int = 20) -> str:
    """Names with commas between, what cannot be printed escaped; beyond `most` only how many."""
    shown = [printable(name) for name in list(names)[:most]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
