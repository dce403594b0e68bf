"""How far the work is, where somebody sees it: in a terminal, or in a notebook without widgets."""

from __future__ import annotations

import html
import importlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from abm.report.terminal import Plain

# Seconds between two pictures of a bar in a notebook.
PAUSE_S = 0.2


class Tick(Protocol):
    """What is called with how many units of work have come in."""

    def __call__(self, count: int = 1) -> None:
        """So many more."""


def silent(count: int = 1) -> None:
    """For who does not want to see it."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if not task.speed else f"{task.speed:.1f}/s")


@contextmanager
def progress(title: str, total: int, rated: bool = False) -> Iterator[Tick]:
    """A bar on standard error; rated: with units per second and the time left."""
    time_column = (
        (_Rate(), TimeRemainingColumn(elapsed_when_finished=True))
        if rated
        else (TimeElapsedColumn(),)
    )
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    out = Plain(stderr=True)
    with Progress(*columns, *time_column, console=out, speed_estimate_period=60) as bar:
        task = bar.add_task(title, total=total)

        def tick(count: int = 1) -> None:
            bar.advance(task, count)

        yield tick


@contextmanager
def seen_progress(title: str, total: int, rated: bool = False) -> Iterator[Tick]:
    """A bar in a notebook, or in a terminal; where standard error is neither there is none."""
    if in_notebook():
        with notebook_progress(title, total) as tick:
            yield tick
    elif sys.stderr is not None and sys.stderr.isatty():
        with progress(title, total, rated) as tick:
            yield tick
    else:
        yield silent


def in_notebook() -> bool:
    """Whether what is displayed comes out below the cell of a notebook."""
    python: Any = sys.modules.get("IPython")
    shell = None if python is None else python.get_ipython()
    return getattr(shell, "kernel", None) is not None


@contextmanager
def notebook_progress(title: str, total: int) -> Iterator[Tick]:
    """A bar in the output of a cell, which goes when all is done."""
    display: Any = importlib.import_module("IPython.display")
    began, shown, done = time.perf_counter(), 0.0, 0

    def picture() -> Any:
        took = time.perf_counter() - began
        said = html.escape(f"{title}: {done} of {total}, {took:.0f} s")
        bar = f'<progress value="{done}" max="{total}"></progress>'
        return display.HTML(f"<div>{bar} {said}</div>")

    place = display.display(picture(), display_id=True)

    def tick(count: int = 1) -> None:
        nonlocal shown, done
        done += count
        if time.perf_counter() - shown >= PAUSE_S:
            shown = time.perf_counter()
            place.update(picture())

    yield tick
    place.update(display.HTML(""))
