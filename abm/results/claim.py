"""The one way to an output folder, for all verbs: claim it, make the result, have it put in place.

From the claim to its end nobody else can have the folder: a lock beside it is made in one step.
Whoever claims a folder first settles what a killed run has left there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from abm.errors import OutputExistsError, Problem
from abm.results.lock import FolderLock, LockedError, take
from abm.results.ownership import (
    MANIFEST,
    STUDY,
    listed,
    names_line,
    part_files,
    read_manifest,
    read_study,
)
from abm.results.staging import OutputFolder, Stage, Tell, remove_empty, short

# Between somebody's removal of an empty folder and our file in it.
TRIES = 5
# Errors that say that another --out is needed; others, such as a full disk, are not about it.
OF_THE_PATH = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR,
               errno.ELOOP, errno.EINVAL, errno.EEXIST, errno.ENOTEMPTY)  # fmt: skip
MEANWHILE = "a folder that nobody else writes to; this one was made meanwhile"
AGAIN = "an unfinished study: --resume to go on with it, or --force to begin anew"


def refuse(path: Path, allowed: str) -> NoReturn:
    """Raise OutputExistsError: --out is not what is allowed."""
    raise OutputExistsError([Problem("--out", str(path), allowed)])


def silent(_: str) -> None:
    """For who has nobody to tell."""


class Claim:
    """A folder that is claimed, until `release`.

    path: as it was asked for. place: where that is, links followed. begun: what killed runs left
    of studies that were to replace what is there, the newest first. settled: whether a
    whole result is there.
    """

    def __init__(self, path: Path, place: Path, lock: FolderLock, made: list[Path]) -> None:
        self.path, self.place = path, place
        self.begun: list[Stage] = []
        self.tell: Tell = silent
        self._lock, self._made = lock, made
        self._had = False
        self.settled = False

    def say(self, line: str) -> None:
        """Tell something of the folder."""
        self.tell(f"{self.path}: {line}")

    def release(self) -> None:
        """Let others have the folder; folders that were made for it go where they are empty."""
        self._lock.release()
        for folder in self._made:
            remove_empty(folder.parent, folder)

    @contextmanager
    def new(self) -> Iterator[OutputFolder]:
        """What to write a result into; when the block ends without an error it is put in place."""
        stage = Stage.make(self.place)
        try:
            yield stage.output()
            stage.complete(self.replaced())
        except BaseException:
            stage.remove()
            raise
        self.settle(stage)

    def replaced(self) -> dict[str, str] | None:
        """What may be replaced, SHA-256 by name; None where nothing is there.

        Raises OutputExistsError when somebody has made a folder there since the claim.
        """
        if not os.path.lexists(self.place):
            return None
        names = names_of(self.place)
        if names is None or not self._had:
            refuse(self.path, MEANWHILE)
        return names

    def settle(self, stage: Stage) -> None:
        """Put a complete result in its place. Raises OutputExistsError when something is there."""
        try:
            stage.settle(self.place, self.say)
            self.settled = True
        except KeyboardInterrupt as stop:
            # A moment from its end it is finished first; who asks again is not kept waiting.
            if stage.is_complete:
                stage.settle(self.place, self.say)
            stop.add_note(f"the result is whole, in {self.path}")
            raise
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            stage.remove()
            refuse(self.path, MEANWHILE)

    def _recover(self) -> None:
        for stage in Stage.left_beside(self.place):
            if stage.is_complete:
                try:
                    stage.settle(self.place, self.say)
                except FileExistsError:
                    self.tell(f"{stage.folder}: the result of a run that was killed; left")
                else:
                    self.say("has the result of a run that was killed, which was ready")
            elif read_study(stage.new) is not None and part_files(stage.new):
                self.begun.append(stage)
                said = "a run that was killed had begun a study that was to be here"
                self.say(f"{said}; it is in {stage.folder.name}")
            else:
                self.discard(stage)

    def discard(self, stage: Stage) -> None:
        """Remove what a killed run left, and say so."""
        left = stage.remove()
        self.tell(f"{stage.folder}: left by a run that was killed; removed")
        if left:
            self.tell(
                f"{stage.folder}: left as it was, not written by Evenfall: {names_line(left)}"
            )

    def _judge(self, force: bool, resume: bool) -> None:
        place, path = self.place, self.path
        self._had = os.path.lexists(place)
        if not self._had:
            if self.begun and not (force or resume):
                refuse(path, AGAIN)
            return
        if not place.is_dir():
            refuse(path, "a folder; this is something else")
        goes_on = resume and bool(self.begun or (place / STUDY).is_file())
        if not goes_on and names_of(place) is None:
            why = "a new folder; this one is left be, for it "
            if os.path.lexists(place / MANIFEST) or os.path.lexists(place / STUDY):
                refuse(path, why + "has no whole manifest of this version of Evenfall")
            refuse(path, why + "was not written by Evenfall")
        if not os.access(place, os.W_OK | os.X_OK):
            refuse(path, "a folder that you may write to")
        if os.stat(place).st_dev != os.stat(place.parent).st_dev:
            refuse(path, "a folder within this one, which is a disk of its own")
        if goes_on or force:
            return
        if self.begun or (read_manifest(place) is None and read_study(place) is not None):
            refuse(path, AGAIN)
        refuse(path, "a new folder, or --force to replace the one that is there")


def names_of(place: Path) -> dict[str, str] | None:
    """What may be replaced in a folder: nothing in an empty one; None when it is not ours."""
    names = listed(place)
    return {} if names is None and place.is_dir() and not any(place.iterdir()) else names


@contextmanager
def claim(
    path: Path, force: bool = False, resume: bool = False, tell: Tell = silent
) -> Iterator[Claim]:
    """Claim an output folder for the block.

    One that is there needs `force`, or `resume` and a study in it, and has to be ours. tell: is
    given a line for whatever is found there, left or removed. Raises OutputExistsError, also when
    another run has the folder.
    """
    place = _place_of(path)
    made: list[Path] = []
    try:
        lock = _locked(path, place, made)
    except BaseException as error:
        for folder in made:
            remove_empty(folder.parent, folder)
        if isinstance(error, OSError) and error.errno in OF_THE_PATH:
            refuse(path, f"a place where you may write ({error.strerror})")
        raise
    claimed = Claim(path, place, lock, made)
    claimed.tell = tell
    try:
        if lock.dead is not None:
            tell(f"{path}: {lock.dead} has ended without a word; its lock is taken over")
        claimed._recover()
        claimed._judge(force, resume)
        if force:
            for stage in claimed.begun:
                claimed.discard(stage)
            claimed.begun.clear()
        yield claimed
    finally:
        claimed.release()


@contextmanager
def new_folder(path: Path, force: bool = False, tell: Tell = silent) -> Iterator[OutputFolder]:
    """Claim a folder and write a result into it; see `claim` and `Claim.new`."""
    with claim(path, force, tell=tell) as claimed, claimed.new() as folder:
        yield folder


def _place_of(path: Path) -> Path:
    """Where a path leads. Raises OutputExistsError where no result can be, without writing."""
    try:
        if path.is_symlink() and not path.exists():
            refuse(path, f"a folder; this link leads to {os.readlink(path)}, where nothing is")
        place = path.resolve()
        os.lstat(place)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RuntimeError) as error:  # too long, a circle of links, a null
        refuse(path, f"the path of a folder ({getattr(error, 'strerror', None) or error})")
    if place == Path.cwd() or place in Path.cwd().parents:
        refuse(path, "a folder in the working folder, or elsewhere; not the working folder itself")
    around = next(folder for folder in place.parents if os.path.lexists(folder))
    if not around.is_dir():
        refuse(path, f"a folder; {around.name} is a file")
    if not os.access(around, os.W_OK | os.X_OK):
        refuse(path, f"a place where you may write; {around.name or around} is not")
    return place


def _locked(path: Path, place: Path, made: list[Path]) -> FolderLock:
    for left in range(TRIES, 0, -1):
        try:
            for folder in reversed(place.parents):
                if not os.path.lexists(folder):
                    folder.mkdir(exist_ok=True)
                    made.insert(0, folder)
            return take(place.parent / f".{short(place.name)}.evenfall.lock")
        except FileNotFoundError:
            if left == 1:
                raise
        except LockedError as error:
            there = error.path
            if error.holder is None:
                said = (
                    f"a folder without {there}, no lock that we can read; if no run is at work here"
                )
            else:
                said = f"a folder that no run is at work in; {error.holder} is. If that has ended"
            refuse(path, f"{said}, remove {there.name}")
    raise AssertionError("the last try returns or raises")
