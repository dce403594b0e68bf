"""The folder of a study while it runs: what is studied, written first, and finished chunks.

    study.json            what was asked; written first
    parts/*.parquet       finished chunks, each written under a temporary name and renamed
    (tables, figures)     made from the parts when all are there
    manifest.json         written last: the study is finished

Killed at any moment, a study loses the chunks in flight and nothing else. The parts stay, so that a
finished study can grow.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any

from abm.errors import InputError, Problem
from abm.results.folder import (
    FORMAT,
    MANIFEST,
    NOT_OURS,
    TEMPORARY,
    WRITTEN,
    Content,
    OutputFolder,
    check_free,
    lists_versions,
    manifest,
    not_written,
    read_object,
    refuse,
    refuse_working_folder,
    sha256_of,
)
from abm.scenario import Scenario
from abm.scenario.checks import value_at
from abm.scenario.names import source_files
from abm.scenario.scenario import REFERENCES, shipped_names
from abm.scenario.yamlio import dotted, show

STUDY = "study.json"
PARTS = "parts"
_PART = re.compile(PARTS + r"/[0-9]+-[0-9]+\.parquet")
# What may differ when a study goes on; replications may not become fewer.
MAY_GROW = ("replications", "until", "at_least")


class StudyFolder(OutputFolder):
    """A folder that takes the parts of one study as they come.

    question: what is studied, plain data as from `question`. resume: go on with what is there.
    force: replace what is there. Raises OutputExistsError when the folder may not be used, and
    InputError when another study was begun in it, naming every difference.
    """

    def __init__(
        self, path: Path, question: Mapping[str, Any], resume: bool = False, force: bool = False
    ) -> None:
        super().__init__(path)
        self.question = json.loads(json.dumps(question))
        self.finished = False
        # Files besides parts that were begun: killed in between, they are still known as ours.
        self._begun: set[str] = set()
        self._replace = not (resume and (path / STUDY).is_file())
        if self._replace:
            claim(path, force)
            return
        before = read_object(path / STUDY)
        self._begun.update(before.pop(WRITTEN, ()))
        problems = list(differences(before, self.question, str(path / STUDY)))
        if problems:
            raise InputError(problems)
        done = self.manifest()
        self.finished = before == self.question and bool(done) and not done.get("lost")

    def begin(self) -> None:
        """Make the folder ready for parts: what is to be replaced goes, study.json is written."""
        if self._replace and self.path.exists():
            claim(self.path, force=True)
            shutil.rmtree(self.path)
        # What a finished study wrote stays ours while the study grows, killed or not.
        listed = self.manifest().get(WRITTEN, ())
        self._begun.update(name for name in listed if name != STUDY and not _PART.fullmatch(name))
        (self.path / PARTS).mkdir(parents=True, exist_ok=True)
        for left_over in self.path.glob("**/.*.tmp.*"):
            if TEMPORARY.match(left_over.name):
                left_over.unlink()
        self._write_question()
        (self.path / MANIFEST).unlink(missing_ok=True)
        self._replace = False

    def manifest(self) -> dict[str, Any]:
        """The manifest of a finished study, empty while there is none."""
        return read_object(self.path / MANIFEST)

    @property
    def begun(self) -> bool:
        """Whether there is something in the folder that `resume` can go on with."""
        return not self._replace and (self.path / STUDY).is_file()

    @property
    def n_parts(self) -> int:
        """How many finished chunks there are."""
        return sum(1 for path in (self.path / PARTS).glob("*.parquet") if path.name[0] != ".")

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of the finished chunks."""
        if self._replace:
            return
        for path in sorted((self.path / PARTS).glob("*.parquet")):
            if not path.name.startswith("."):
                yield path.stem, path.read_bytes()

    def drop(self, names: Iterable[str]) -> None:
        """Take parts away, so that they are run again."""
        for name in names:
            (self.path / PARTS / f"{name}.parquet").unlink(missing_ok=True)

    def add(self, name: str, content: bytes) -> None:
        """Keep a finished chunk."""
        self.write(f"{PARTS}/{name}.parquet", content)

    def write(self, name: str, content: Content) -> None:
        """As in `OutputFolder`; study.json says that the file is ours before it is there."""
        if name not in (STUDY, MANIFEST, *self._begun) and not _PART.fullmatch(name):
            self._begun.add(name)
            self._write_question()
        super().write(name, content)

    def _write_question(self) -> None:
        self.write(STUDY, {**self.question, WRITTEN: sorted(self._begun)})

    def finish(self, **outcome: Any) -> None:
        """The manifest: what was asked, and how it went; the study is finished."""
        for name in [*self._begun, *(f"{PARTS}/{part}.parquet" for part, _ in self.parts())]:
            if name not in self.written and (self.path / name).is_file():
                self.written[name] = sha256_of(self.path / name)
        asked = self.question
        self.write_manifest({**asked, "scenario": asked["scenario"]["name"], **outcome})


def claim(path: Path, force: bool) -> None:
    """Raise OutputExistsError when a new study may not be begun at `path`."""
    if not path.is_dir() or not (path / STUDY).is_file() or (path / MANIFEST).exists():
        check_free(path, force)
        return
    refuse_working_folder(path)
    if not is_unfinished(path):
        refuse(path, NOT_OURS)
    if not force:
        refuse(path, "an unfinished study: --resume to go on with it, or --force to begin anew")


def is_unfinished(folder: Path) -> bool:
    """Whether a folder is that of a study of ours that was not finished, and holds nothing else."""
    found = read_object(folder / STUDY)
    asked = ("study", "scenario", "files", "replications", "seed")
    if found.get("format") != FORMAT or not lists_versions(found, asked):
        return False
    others = not_written(folder, [STUDY, *found[WRITTEN]])
    return all(_PART.fullmatch(name) for name in others)


def question(
    study: str,
    scenario: Scenario,
    strategies: list[str],
    replications: int,
    varied: Iterable[Scenario] = (),
    **more: Any,
) -> dict[str, Any]:
    """All that the numbers of a study depend on, as plain data; varied: a sweep's scenarios."""
    files = file_hashes(scenario, varied)
    asked = manifest(study, scenario, strategies, replications=replications, files=files, **more)
    del asked["python"]
    return {**asked, "scenario": scenario.resolved()}


def file_hashes(scenario: Scenario, varied: Iterable[Scenario] = ()) -> dict[str, str]:
    """SHA-256 of each file, folder or source of a class of the user's own that scenarios name.

    By field; where a varied scenario names another one than `scenario`, by field=name.
    """
    hashes = {field: sha256 for (field, _), sha256 in _hashes([scenario]).items()}
    own = set(_references(scenario))
    for (field, name), sha256 in _hashes(varied).items():
        if (field, name) not in own:
            hashes[f"{field}={name}"] = sha256
    return hashes


def _hashes(scenarios: Iterable[Scenario]) -> dict[tuple[str, str], str]:
    named = {key: files for scenario in scenarios for key, files in _references(scenario).items()}
    return {key: _sha256(files()) for key, files in named.items()}


def _references(scenario: Scenario) -> dict[tuple[str, str], Callable[[], Sequence[Path]]]:
    """Field and name of everything outside its file that a scenario names, and its files."""
    found: dict[tuple[str, str], Callable[[], Sequence[Path]]] = {}
    data = scenario.resolved()
    for path in REFERENCES:
        if value_at(scenario, path) is not None:
            section, *rest = path
            reference: str = reduce(dict.__getitem__, rest, data[section])
            place = shipped_names(path).get(reference, Path(reference))
            found[dotted(path), reference] = partial(_files_of, place)
    for field, name in own_classes(scenario):
        found[field, name] = partial(source_files, name)
    return found


def _files_of(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]


def own_classes(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Field and name of each class of the user's own, module:Class, that a scenario names."""
    strategy, owners = scenario.strategy, scenario.owners
    named = [("owners.behaviour", owners.behaviour)]
    named += [(f"owners.groups.{key}.behaviour", g.behaviour) for key, g in owners.groups.items()]
    if not isinstance(strategy, str):
        named += [("strategy.rule", strategy.rule), ("strategy.admission", strategy.admission)]
    yield from ((field, name) for field, name in named if name is not None and ":" in name)


def _sha256(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], file: str, path: tuple[str, ...] = ()
) -> Iterator[Problem]:
    """A problem for everything in which the study to go on with is another one."""
    for key in dict.fromkeys([*before, *now]):
        old, new, here = before.get(key), now.get(key), (*path, key)
        if old == new or here in (("scenario_sha256",), ("seed",)):
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, file, here)
        elif here == ("replications",) and isinstance(old, int) and isinstance(new, int):
            if new < old:
                yield Problem(key, show(new), f"at least the {old} that the study has", file)
        elif here[0] not in MAY_GROW:
            yield _difference(here, old, new, file)


def _difference(path: tuple[str, ...], old: Any, new: Any, file: str) -> Problem:
    if path[0] == "files":
        said = "the file has changed since the study was begun"
        return Problem(path[1], "", said, file)
    field = dotted(path[1:] if path[0] == "scenario" else path)
    hint = "--resume goes on with the same study only; --force begins anew"
    return Problem(field, show(new), f"the study was begun with {show(old)}", file, hint=hint)


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

    def add(self, name: str, content: bytes) -> None:
        """Keep a finished chunk."""
        self._parts[name] = content
