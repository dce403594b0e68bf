"""In which formats figures and tables are written, and in which style.

What a verb was asked for holds while it runs (`printed_as`), so that whatever writes a folder, of a
run, a study or the paper, asks in one place. No drawing library is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from abm.errors import InputError, Problem, nearest

FIGURE_FORMATS = ("png", "pdf", "svg")
TABLE_FORMATS = ("md", "latex", "csv")
SCREEN, JOURNAL = "screen", "journal"
STYLES = (SCREEN, JOURNAL)
OPTION, STYLE_OPTION = "--format", "--style"


@dataclass(frozen=True)
class Printing:
    """figures: of `FIGURE_FORMATS`, each figure in all of them. tables: of `TABLE_FORMATS`, of the
    tables that the terminal shows. style: one of `STYLES`; journal is a column of 88 mm, or 180 mm,
    in 8 pt, without titles.
    """

    figures: tuple[str, ...] = ("png",)
    tables: tuple[str, ...] = ()
    style: str = SCREEN


USUAL = Printing()
_NOW: ContextVar[Printing] = ContextVar("printing", default=USUAL)


def printing() -> Printing:
    """What holds now."""
    return _NOW.get()


@contextmanager
def printed_as(how: Printing) -> Iterator[None]:
    """Within the block everything is written so."""
    token = _NOW.set(how)
    try:
        yield
    finally:
        _NOW.reset(token)


def parse_printing(formats: str | None = None, style: str | None = None) -> Printing:
    """`pdf,latex`: figures as PDF, tables as LaTeX. Raises InputError.

    Where no format of figures is named they are PNG; where none of tables is there are no files.
    """
    names = [] if formats is None else [name.strip() for name in formats.split(",")]
    every = (*FIGURE_FORMATS, *TABLE_FORMATS)
    problems = [
        Problem(OPTION, name, f"one of {', '.join(every)}", hint=nearest(name, every))
        for name in names
        if name not in every
    ]
    if style is not None and style not in STYLES:
        allowed = f"one of {', '.join(STYLES)}"
        problems.append(Problem(STYLE_OPTION, style, allowed, hint=nearest(style, STYLES)))
    if problems:
        raise InputError(problems)
    return Printing(
        tuple(name for name in FIGURE_FORMATS if name in names) or ("png",),
        tuple(name for name in TABLE_FORMATS if name in names),
        style or SCREEN,
    )
