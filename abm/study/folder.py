"""The folder of a study while it runs: what is studied, written first, and finished chunks.

    study.json            what was asked; written first
    parts/*.parquet       finished chunks, sealed, each written under a temporary name and renamed
    (tables, figures)     made from the parts when all are there
    manifest.json         written last: the study is finished

A new study grows in its own folder. One that is to replace, to grow or to mend what is there does
so in a hidden folder beside it (`abm.results.staging`) and takes its place when it is whole. Killed
at any moment, a study loses the chunks in flight and nothing else.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from abm.errors import InputError, MachineError, Problem
from abm.results.claim import MEANWHILE, Claim, refuse
from abm.results.ownership import (
    MANIFEST,
    PART,
    PARTS,
    STUDY,
    WRITTEN,
    check_folder,
    is_temporary,
    names_line,
    part_files,
    read_manifest,
    read_study,
    study_key,
)
from abm.results.seals import is_regular, open_part, seal_part, sealed, sha256_of
from abm.results.staging import Content, Files, OutputFolder, Stage, remove_empty, set_aside, sync
from abm.study.fingerprint import ANEW, differences, made_otherwise


class StudyFolder:
    """A claimed folder that takes the parts of one study as they come.

    question: what is studied, plain data as from `question`. resume: go on with what is there.
    beside: its parts stay beside the result, and go when that is in its place (`discard`). Raises
    InputError when another study was begun in it, naming every difference.
    """

    def __init__(
        self,
        claimed: Claim,
        question: Mapping[str, Any],
        resume: bool = False,
        beside: bool = False,
    ) -> None:
        self.path = claimed.path
        self.question: dict[str, Any] = json.loads(json.dumps(question))
        self.finished = False
        self._claim, self._key = claimed, study_key(self.question)
        # Where the result is made, unless the study grows in its own folder, and where parts are.
        self._stage: Stage | None = None
        self._before: Path | None = None
        self._parts: dict[str, bytes] = {}
        self._output: OutputFolder | None = None
        self._work = claimed.place
        # Whether the folder was made by this very run.
        self._made = False
        if resume:
            self._go_on()
        if (beside and self._stage is None) or (not resume and os.path.lexists(claimed.place)):
            self._begin_beside()

    def _go_on(self) -> None:
        """Find what there is to go on with: what was to replace the folder, else the folder."""
        asked: dict[Path, dict[str, Any] | None]
        asked = {stage.new: read_study(stage.new) for stage in self._claim.begun}
        place = self._claim.place
        if (place / STUDY).is_file():
            asked[place] = read_study(place)
        problems: list[Problem] = []
        for folder, before in asked.items():
            shown = str((self.path if folder == place else folder) / STUDY)
            if before is None:
                said = "does not hold; the file is damaged, or another version's"
                problems.append(Problem("seal", "", said, shown, hint=ANEW))
                continue
            found = list(differences(before, self.question, shown))
            problems += found
            if not found:
                self._before = folder
                break
        else:
            if problems:
                raise InputError(problems)
            return
        if self._before != place:
            self._stage = next(s for s in self._claim.begun if s.new == self._before)
            self._work = self._stage.new
            # Tables are made anew; what was half-written goes.
            self._stage.empty(but=lambda name: name == STUDY or PART.fullmatch(name))
            self._claim.say("going on with what a killed run had begun beside it")
        elif os.path.lexists(place / MANIFEST):
            self._check_finished(asked[place] == self.question)

    def _check_finished(self, same: bool) -> None:
        """Whether all of a finished study is as it was written; else what is not is made anew."""
        place = self._claim.place
        done = read_manifest(place)
        damaged = [MANIFEST] if done is None else check_folder(place, done[WRITTEN]).damaged
        if damaged:
            self._claim.say(f"damaged, made anew: {names_line(damaged)}")
        self.finished = same and done is not None and not damaged and not done.get("lost")
        if not self.finished and done is not None:
            self._begin_beside()

    def _begin_beside(self) -> None:
        self._stage = Stage.make(self._claim.place)
        self._work = self._stage.new

    def close(self) -> None:
        """Take away what cannot be gone on with: a study of which no part is finished."""
        stage, self._stage = self._stage, None
        none = not part_files(self._work)
        if stage is not None and not stage.is_complete and (none or self._work != stage.new):
            stage.remove()
        ours = self._made and none and read_study(self._work) == self.question
        if ours and read_manifest(self._work) is None:
            (self._work / STUDY).unlink(missing_ok=True)
            parts = self._work / PARTS
            # There, unless the stop came before it was made.
            remove_empty(self._work.parent, parts if parts.is_dir() else self._work)

    def discard(self) -> None:
        """Take the parts away: what was to be made of them is in its place."""
        stage, self._stage = self._stage, None
        if stage is not None:
            stage.remove()
        for other in self._claim.begun:
            if other is not stage and os.path.lexists(other.folder):
                self._claim.discard(other)

    def begin(self) -> None:
        """Make the folder ready for parts: study.json is written, left-overs go."""
        if self._stage is None and self._before is None:
            self._make_folder()
        parts = self._work / PARTS
        if os.path.lexists(parts) and (parts.is_symlink() or not parts.is_dir()):
            self._set_aside(PARTS)
        parts.mkdir(exist_ok=True)
        for left_over in (*parts.glob(".*.tmp.*"), *self._work.glob(f".*.tmp.{STUDY}")):
            if is_temporary(left_over.relative_to(self._work).as_posix()):
                left_over.unlink()
        self._writer().write(STUDY, sealed(self.question))
        if self._before not in (None, self._work):
            for name, content in self._parts.items():
                self.add(name, content)

    def _make_folder(self) -> None:
        """The folder of a new study, with its study.json from the first moment."""
        if os.path.lexists(self._work):
            refuse(self.path, MEANWHILE)
        stage = Stage.make(self._claim.place)
        try:
            stage.output().write(STUDY, sealed(self.question))
            sync(stage.new / STUDY)
            # Said before it is true: a stop may come as soon as the folder has its name.
            self._made = True
            stage.new.rename(self._work)
        except OSError as error:
            self._made = False
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            refuse(self.path, MEANWHILE)
        finally:
            stage.remove()

    def _writer(self) -> OutputFolder:
        """Writes where the parts are."""
        if self._stage is not None and self._stage.new == self._work:
            return self._stage.output()
        return OutputFolder(self._work, lasting=True)

    def manifest(self) -> dict[str, Any]:
        """The manifest of a finished study, empty while there is none."""
        return read_manifest(self._claim.place) or {}

    @property
    def n_parts(self) -> int:
        """How many finished chunks there are that `resume` can go on with."""
        return len(part_files(self._work))

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of the finished chunks; those that are damaged are named."""
        damaged = []
        for path in [] if self._before is None else part_files(self._before):
            content = open_part(path.read_bytes(), self._key, path.stem)
            if content is None:
                damaged.append(path)
                continue
            self._parts[path.stem] = content
            yield path.stem, content
        if damaged:
            names = names_line([path.name for path in damaged])
            self._claim.say(f"damaged, or parts of another study; computed anew: {names}")

    def drop(self, names: Iterable[str]) -> None:
        """Take parts away, so that they are run again."""
        for name in names:
            (self._work / PARTS / f"{name}.parquet").unlink(missing_ok=True)

    def check(self, made: Mapping[str, Any]) -> None:
        """Raise InputError when a chunk was computed with something else than the study."""
        problems = list(made_otherwise(self.question, made))
        if problems:
            raise InputError(problems)

    def _still_there(self) -> None:
        if read_study(self._work) is None:
            lost = self._work / STUDY
            raise MachineError(f"{lost}: gone, or changed by somebody else, while the study ran")

    def add(self, name: str, content: bytes) -> None:
        """Keep a finished chunk. Raises MachineError when the folder has been taken away."""
        self._still_there()
        file = f"{PARTS}/{name}.parquet"
        if os.path.lexists(self._work / file) and not is_regular(self._work / file):
            self._set_aside(file)
        self._writer().write(file, seal_part(content, self._key, name))

    def _set_aside(self, name: str) -> None:
        """Something of the user's is where a file of ours has to be."""
        set_aside(self._work / name, self._claim.place, name, self._claim.say)

    def write(self, name: str, content: Content) -> None:
        """Write a table or a figure, as in `OutputFolder`; seen when the study is finished."""
        if self._output is None:
            if self._stage is None:
                self._stage = Stage.make(self._claim.place)
            self._output = self._stage.output()
        self._output.write(name, content)

    def write_all(self, files: Files) -> None:
        """Write files one after the other."""
        for name, content in files:
            self.write(name, content)

    def finish(self, **outcome: Any) -> None:
        """The manifest: what was asked, and how it went; then all of it is put in its place."""
        stage, output = self._stage, self._output
        if stage is None or output is None:
            raise AssertionError("a study has tables")
        self._still_there()
        for path in part_files(self._work):
            if open_part(path.read_bytes(), self._key, path.stem) is None:
                # No part of this study has this name, or it would have been computed anew.
                self._set_aside(f"{PARTS}/{path.name}")
        for path in [self._work / STUDY, *part_files(self._work)]:
            name = path.relative_to(self._work).as_posix()
            output.written[name] = sha256_of(path)
        output.write_manifest(study_manifest(self.question, outcome))
        among = self._work != stage.new
        stage.complete({} if among else self._claim.replaced(), among)
        self._claim.settle(stage)
        self._stage = None
        for other in self._claim.begun:
            if other is not stage:
                self._claim.discard(other)


def study_manifest(question: Mapping[str, Any], outcome: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest of a finished study is about; outcome: how it went."""
    return {**question, "scenario": question["scenario"]["name"], **outcome}


class MemoryFolder:
    """Parts that are kept in memory, for a study without a folder."""

    def __init__(self) -> None:
        self._parts: dict[str, bytes] = {}

    def begin(self) -> None:
        """Nothing has to be made ready."""

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of the finished chunks."""
        yield from self._parts.items()

    def drop(self, names: Iterable[str]) -> None:
        """Take parts away."""
        for name in names:
            self._parts.pop(name, None)

    def check(self, made: Mapping[str, Any]) -> None:
        """Whatever computed it will do."""

    def add(self, name: str, content: bytes) -> None:
        """Keep a finished chunk."""
        self._parts[name] = content
