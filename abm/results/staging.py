"""Where a result is made before it is seen: a hidden folder beside the one that it is for.

    .NAME.12ab34cd.evenfall/
        owner.json        says that the folder is ours
        names             what was begun to be written, so that no more than that is ever removed
        new/              the result
        complete.json     the result is whole: what it replaces, by name and SHA-256

Nothing of the folder to be replaced is touched before complete.json is there. From then on the
change can be gone on with from wherever it was broken off, and gives the same.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from abm.errors import MachineError, printable
from abm.results.datapackage import DATAPACKAGE, VERBS, Fields, datapackage, fields_of
from abm.results.ownership import (
    FORMAT,
    MANIFEST,
    STUDY,
    TEMPORARY,
    WRITTEN,
    foreign,
    is_as_listed,
    is_temporary,
    is_within,
    names_line,
)
from abm.results.seals import is_regular, read_sealed, sealed, sha256_of
from abm.results.swap import swapped

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# Bytes and text as they are, plain data as JSON, tables as CSV or parquet by the name's ending.
Content: TypeAlias = Union[bytes, str, Mapping[str, Any], "pd.DataFrame", "pa.Table"]
Files: TypeAlias = Iterable[tuple[str, Content]]
Tell: TypeAlias = Callable[[str], None]

OWNER, NAMES, NEW, COMPLETE = "owner.json", "names", "new", "complete.json"
# Behind the name of a folder: the one beside it, for what is in the way of our files and not ours.
KEPT = ".kept"


class OutputFolder:
    """A folder that is there, and what was written into it.

    written: SHA-256 by name. note: is told a file's name before the file is begun. lasting: what
    is written is on the disk before it has its name.
    """

    def __init__(
        self, path: Path, note: Callable[[str], None] | None = None, lasting: bool = False
    ) -> None:
        self.path, self._lasting = path, lasting
        self.written: dict[str, str] = {}
        # Of the tables among them: columns and bytes.
        self._tables: dict[str, tuple[Fields, int]] = {}
        self._note = note

    def write(self, name: str, content: Content) -> None:
        """Write one file whole: under a temporary name, then renamed; name: with "/" between."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._note is not None:
            self._note(name)
        temporary = path.with_name(f".{os.getpid()}.tmp.{path.name}")
        try:
            write_content(temporary, content, path.suffix)
            if self._lasting:
                sync(temporary)
            self.written[name] = sha256_of(temporary)
            if path.suffix in (".csv", ".parquet") and hasattr(content, "columns"):
                self._tables[name] = fields_of(content), temporary.stat().st_size
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def write_all(self, files: Files, within: str = "") -> None:
        """Write files one after the other; within: goes before their names, such as "evms/".

        What comes as a manifest is what that is about, see `write_manifest`.
        """
        for name, content in files:
            head, _, last = f"{within}{name}".rpartition("/")
            if last == MANIFEST and isinstance(content, Mapping):
                self.write_manifest(content, f"{head}/" if head else "")
            else:
                self.write(within + name, content)
            del content  # before the next one is made

    def write_manifest(self, about: Mapping[str, Any], within: str = "") -> None:
        """The last file: what it is about (`manifest`), and what was written beside and below.

        Before it datapackage.json, where there are tables of results beside it.
        """
        tables = {
            name.removeprefix(within): (*found, self.written[name])
            for name, found in self._tables.items()
            if name.startswith(within) and "/" not in name.removeprefix(within)
        }
        if tables and about["study"] in VERBS:
            self.write(within + DATAPACKAGE, datapackage(about, tables))
        beside = {
            name.removeprefix(within): sha256
            for name, sha256 in sorted(self.written.items())
            if name.startswith(within) and name != within + MANIFEST
        }
        self.write(within + MANIFEST, sealed({**about, WRITTEN: beside}))


def write_content(path: Path, content: Content, suffix: str) -> None:
    """Write content as the suffix of its name says, see `Content`."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="")
    elif isinstance(content, Mapping):
        # NaN and infinity are refused, as JSON does not know them.
        text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8", newline="")
    elif suffix == ".parquet" and hasattr(content, "to_parquet"):
        content.to_parquet(path, index=False)
    elif suffix == ".parquet":
        import pyarrow.parquet as pq

        pq.write_table(content, path)
    else:
        content.to_csv(path, index=False, lineterminator="\n")


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name == "nt":  # what is only opened to be read cannot be waited for there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Stage:
    """A result in the making, or what a killed run left of one; for who holds the lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.new = folder / NEW

    @classmethod
    def make(cls, place: Path) -> Stage:
        """A new one beside `place`."""
        stage = cls(place.parent / f".{short(place.name)}.{secrets.token_hex(4)}.evenfall")
        stage.folder.mkdir()
        try:
            about = sealed({"format": FORMAT, "place": place.name})
            OutputFolder(stage.folder).write(OWNER, about)
            stage.new.mkdir()
        except BaseException:
            stage.remove()
            raise
        return stage

    @staticmethod
    def left_beside(place: Path) -> list[Stage]:
        """Those that runs left beside `place`, the newest first; called by who has the lock."""
        begins, found = f".{short(place.name)}.", []
        for entry in os.scandir(place.parent):
            token = entry.name.removeprefix(begins).removesuffix(".evenfall")
            if entry.name == f"{begins}{token}.evenfall" and entry.is_dir(follow_symlinks=False):
                stage = Stage(Path(entry.path))
                about = read_sealed(stage.folder / OWNER) or {}
                # Killed before it said whose it is, there is nothing else in it.
                if about.get("place") == place.name or set(os.listdir(entry.path)) <= set(
                    stage._own_files()
                ):
                    found.append(stage)
        return sorted(found, key=lambda stage: os.lstat(stage.folder).st_mtime_ns, reverse=True)

    def _own_files(self) -> list[str]:
        """Names of the files beside the result that are ours, whole or half-written."""
        own = (NAMES, COMPLETE, OWNER)
        found = os.listdir(self.folder) if self.folder.is_dir() else []
        return [
            name
            for name in found
            if name in own or ((half := TEMPORARY.fullmatch(name)) and half[1] in own)
        ]

    def output(self) -> OutputFolder:
        """What to write the result with."""
        return OutputFolder(self.new, self._note)

    def _note(self, name: str) -> None:
        with (self.folder / NAMES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(name) + "\n")

    def _noted(self) -> set[str]:
        found = set()
        if is_regular(self.folder / NAMES):
            for line in (self.folder / NAMES).read_text(encoding="utf-8").splitlines():
                try:
                    found.add(str(json.loads(line)))
                except ValueError:  # the last line, cut short: its file was not begun
                    continue
        return found

    @property
    def is_complete(self) -> bool:
        """Whether the result is whole, so that it only has to be put in its place."""
        return read_sealed(self.folder / COMPLETE) is not None

    def complete(self, old: Mapping[str, str] | None, among: bool = False) -> None:
        """The result is whole: from here on `settle` can put it in its place.

        old: SHA-256 by name of what may be replaced and removed there; None: nothing is there.
        among: the result goes among the files of a study that is there and stay.
        """
        for here, _, files in os.walk(self.new):
            for name in files:
                sync(Path(here) / name)
            sync(Path(here))
        written = (read_sealed(self.new / MANIFEST) or {}).get(WRITTEN, {})
        gone = [name for name in written if not among and not is_within(self.new, name)]
        if gone or not written:
            lost = names_line(gone or [MANIFEST])
            raise MachineError(f"{self.folder}: has lost files while the result was made: {lost}")
        said = {"manifest": sha256_of(self.new / MANIFEST), "old": old, "among": among}
        OutputFolder(self.folder, lasting=True).write(COMPLETE, sealed(said))
        sync(self.folder)

    def settle(self, place: Path, tell: Tell) -> None:
        """Put the complete result in its place, or go on with that.

        In one step where nothing is there, or only what is to be replaced and the system can swap
        two folders; else file by file, the manifest last. Raises FileExistsError when something is
        there that should not be.
        """
        journal = read_sealed(self.folder / COMPLETE) or {}
        among: bool = journal["among"]
        old: dict[str, str] = journal["old"] or {}
        if is_as_listed(self.new, MANIFEST, journal["manifest"]):
            # What goes among the files of a study knows those as its own.
            names = (read_sealed(self.new / MANIFEST) or {}).get(WRITTEN, {}) if among else old
            stays = foreign(place, [*names, MANIFEST]) if _is_folder(place) else []
            if not os.path.lexists(place) and not among:
                self.new.rename(place)
            elif not self._may_go_on(place, journal, names):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))
            elif stays or among or not swapped(self.new, place):
                self._merge(place, old, tell)
            sync(place.parent)
            if stays:
                tell(f"left as it was, not written by Evenfall: {names_line(stays)}")
        elif not is_as_listed(place, MANIFEST, journal["manifest"]):
            raise FileExistsError(errno.EEXIST, "changed since a run was killed there", str(place))
        self._retire(place, old, tell)
        sync(place)
        self.remove()

    def _may_go_on(self, place: Path, journal: Mapping[str, Any], names: Mapping[str, str]) -> bool:
        """Whether what is at `place` is still what was to be replaced, or had been begun to be."""
        if journal["old"] is None or not _is_folder(place):
            return False
        # The manifest is replaced last, study.json before it; an empty folder had neither.
        if MANIFEST in names:
            return is_as_listed(place, MANIFEST, names[MANIFEST])
        news = sha256_of(self.new / STUDY) if is_regular(self.new / STUDY) else None
        return STUDY not in names or any(
            is_as_listed(place, STUDY, sha256) for sha256 in (names[STUDY], news)
        )

    def _merge(self, place: Path, old: Mapping[str, str], tell: Tell) -> None:
        names = sorted(files_below(self.new), key=lambda name: (name == MANIFEST, name))
        for name in names:
            path, target = self.new / name, place / name
            for around in reversed(target.relative_to(place).parents[:-1]):
                if os.path.lexists(place / around) and not _is_folder(place / around):
                    set_aside(place / around, place, around.as_posix(), tell)
                (place / around).mkdir(exist_ok=True)
            if os.path.lexists(target) and not (
                is_as_listed(place, name, old.get(name))
                or is_as_listed(place, name, sha256_of(path))
            ):
                set_aside(target, place, name, tell)
            if name == MANIFEST:
                for folder in {(place / other).parent for other in names}:
                    sync(folder)
            path.replace(target)

    def _retire(self, place: Path, old: Mapping[str, str], tell: Tell) -> None:
        """Remove what was replaced, where it is as it was written; give back what is not ours."""
        for name in files_below(self.new):
            if is_temporary(name) or is_as_listed(self.new, name, old.get(name)):
                (self.new / name).unlink()
            else:
                _give_back(self.new / name, place, name, tell)
        known = (read_sealed(place / MANIFEST) or {}).get(WRITTEN, {})
        changed = []
        for name in old:
            if name in known or name == MANIFEST or not is_within(place, name):
                continue
            if is_as_listed(place, name, old[name]):
                (place / name).unlink()
                remove_empty(place, (place / name).parent)
            else:
                changed.append(name)
        if changed:
            tell(f"left, changed since it was written: {names_line(sorted(changed))}")

    def empty(self, but: Callable[[str], object] = lambda name: False) -> None:
        """Remove what was written into it, half or whole, but for names of which `but` is true."""
        noted = self._noted()
        for name in files_below(self.new):
            half = TEMPORARY.fullmatch(Path(name).name)
            whole = Path(name) if half is None else Path(name).with_name(half[1])
            if whole.as_posix() in noted and is_regular(self.new / name) and not but(name):
                (self.new / name).unlink()

    def remove(self) -> list[str]:
        """Take the stage away, the result too where it is not in its place; names of what stays.

        Only what was written into it goes.
        """
        (self.folder / COMPLETE).unlink(missing_ok=True)
        self.empty()
        for here, _, _ in os.walk(self.new, topdown=False):
            remove_empty(self.folder, Path(here))
        left = files_below(self.folder)
        own = self._own_files()
        # Whose it is goes last, so that whatever is left of it is still known.
        for name in sorted(own, key=lambda name: name == OWNER):
            (self.folder / name).unlink(missing_ok=True)
        remove_empty(self.folder.parent, self.folder)
        return [name for name in left if name not in own]


def files_below(folder: Path) -> list[str]:
    """Everything below a folder that is no folder itself, names with "/" between, sorted."""
    found = []
    for here, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(here, name))]
        found += [Path(here, name).relative_to(folder).as_posix() for name in (*files, *links)]
    return sorted(found)


def short(name: str) -> str:
    """A name that is not too long to have something put behind it."""
    known = os.fsencode(name)
    return name if len(known) <= 180 else hashlib.sha256(known).hexdigest()[:32]


def remove_empty(top: Path, folder: Path) -> None:
    """Remove a folder below `top` and those around it, as far as they are empty."""
    while folder != top and folder.is_relative_to(top):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def set_aside(path: Path, place: Path, name: str, tell: Tell) -> None:
    """Move what is not ours, and in the way of a file of ours, to a folder beside `place`."""
    kept = _kept(place, name)
    kept.parent.mkdir(parents=True, exist_ok=True)
    path.rename(kept)
    said = f"{printable(name)} was not as Evenfall wrote it; it is kept in"
    tell(f"{said} {printable(kept.relative_to(place.parent))}")


def _kept(place: Path, name: str) -> Path:
    """A free name in a folder beside `place`, reached without a link."""
    for number in itertools.count(1):
        top = place.parent / f"{short(place.name)}{KEPT}{number if number > 1 else ''}"
        around = [top, *((top / name).parents)]
        ways = [folder for folder in around if folder.is_relative_to(top)]
        if all(_is_folder(folder) or not os.path.lexists(folder) for folder in ways):
            return free_name(top / name)
    raise AssertionError("numbers have no end")


def _give_back(path: Path, place: Path, name: str, tell: Tell) -> None:
    """Move what is not ours, and was in the folder that was swapped, to where it was."""
    if os.path.lexists(place / name) or not _is_folder((place / name).parent):
        set_aside(path, place, name, tell)
    else:
        path.rename(place / name)
        tell(f"left, not as Evenfall wrote it: {printable(name)}")


def free_name(path: Path) -> Path:
    """A name that nothing has: the path itself, or one with a number behind."""
    number, found = 1, path
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.name}{number}")
    return found
