"""What every outcome can do, of a run and of a study: be drawn, saved, and shown in a notebook.

Figures, pages and what a folder holds are made by `abm.report`, a layer that stands after this one.
`_report` is the one door to it, opened when somebody asks.
"""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abm.results.claim import new_folder
from abm.results.staging import Files

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _report() -> Any:
    return importlib.import_module("abm.report.showing")


class Shown:
    """An outcome with figures, files and a page."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of its figures, as `plot` takes them; the first is the one that says most."""
        return tuple(_report().drawings_of(self))

    def plot(self, kind: str | None = None) -> Figure:
        """One of its figures, the first of `kinds` where none is named, as in its folder.

        Raises InputError for a kind that it does not have.
        """
        figure: Figure = _report().plot(self, kind)
        return figure

    def files(self, figures: bool = True) -> Files:
        """What its verb writes, name and content one after the other, each made when it is due.

        figures: with the pictures.
        """
        files: Files = _report().files_of(self, figures)
        return files

    def save(self, path: str | Path, force: bool = False, figures: bool = True) -> Path:
        """Write the folder that its verb writes; returns where.

        force: replace what Evenfall wrote there; nothing else is ever touched, and what is left as
        it was is warned of. Raises OutputExistsError, an InputError.
        """
        where = Path(path)
        with new_folder(where, force, _warn) as folder:
            folder.write_all(self.files(figures))
        return where

    def _repr_html_(self) -> str:
        """What it is, for notebooks: what differs from the default, the main numbers, a figure."""
        page: str = _report().html_of(self)
        return page


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=4)
