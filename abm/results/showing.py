"""What every outcome can do, of a run and of a study: be drawn, saved, and shown in a notebook.

Figures, pages and what a folder holds are made by `abm.report`, a layer that stands after this one.
`_report` is the one door to it, opened when somebody asks.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from abm.errors import InputError, as_arguments, printable
from abm.results.claim import new_folder
from abm.results.staging import Files

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def _report() -> Any:
    return importlib.import_module("abm.report.showing")


class LazyTables(Mapping[str, "pd.DataFrame"]):
    """Tables by name, each made when it is asked for. make: is given its name."""

    def __init__(self, names: Sequence[str], make: Callable[[str], pd.DataFrame]) -> None:
        self._names, self._make = tuple(names), make

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._names:
            raise _no_table(name, self._names)
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<tables: {', '.join(self._names)}>"


class Tables(dict[str, "pd.DataFrame"]):
    """Tables by name that are there already."""

    def __missing__(self, name: str) -> NoReturn:
        raise _no_table(name, self)

    def __repr__(self) -> str:
        return f"<tables: {', '.join(self)}>"


def _no_table(name: str, known: Iterable[str]) -> KeyError:
    return KeyError(f"{name}: there are {', '.join(known)}")


class Shown:
    """An outcome with figures, files and a page."""

    def __repr__(self) -> str:
        """One line; all that it holds would be pages."""
        outcome: Any = self
        return printable(f"<{type(self).__name__}: {outcome.scenario.name}>")

    @property
    def missing(self) -> tuple[str, ...]:
        """Of one that was loaded, what cannot be had any more, and why, in sentences."""
        return ()

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Any:
        """What is in a folder that Evenfall wrote, of a run or a study, as `save` had it.

        A run gives `Results`, a study what its function gives. Where that cannot be had, as files
        of the scenario are gone, it is `Saved`: tables, KPIs and the pictures as stored; what is
        missing is warned of, and in `missing`. No code is run. Raises InputError for a folder that
        is not ours, is damaged, or is of another version.
        """
        return _report().load(path)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of its figures, as `plot` takes them; the first is the one that says most."""
        return tuple(_report().drawings_of(self))

    def plot(self, kind: str | None = None, style: str | None = None) -> Figure:
        """One of its figures, the first of `kinds` where none is named, as in its folder.

        style: "journal" for a column of 88 mm, letters of 8 pt and no title. Raises InputError for
        a kind that it does not have.
        """
        try:
            figure: Figure = _report().plot(self, kind, style)
        except InputError as error:
            raise as_arguments(error) from None
        return figure

    def files(self, figures: bool = True) -> Files:
        """What its verb writes, name and content one after the other, each made when it is due.

        figures: with the pictures.
        """
        files: Files = _report().files_of(self, figures)
        return files

    def save(
        self,
        path: str | Path,
        force: bool = False,
        figures: bool = True,
        formats: str | None = None,
        style: str | None = None,
    ) -> Path:
        """Write the folder that its verb writes; returns where.

        force: replace what Evenfall wrote there; nothing else is ever touched, and what is left as
        it was is warned of. formats, style: as --format and --style of the verbs, "pdf,latex" and
        "journal". Raises OutputExistsError, an InputError.
        """
        where = Path(path)
        try:
            with _report().printed(formats, style), new_folder(where, force, _warn) as folder:
                folder.write_all(self._placed(where).files(figures))
        except InputError as error:
            raise as_arguments(error, out="path", format="formats") from None
        return where

    def _placed(self, where: Path) -> Shown:
        """What is written there; of an outcome whose files say where they lie another one."""
        return self

    def _repr_html_(self) -> str:
        """What it is, for notebooks: what differs from the default, the main numbers, a figure."""
        page: str = _report().html_of(self)
        return page


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=4)
