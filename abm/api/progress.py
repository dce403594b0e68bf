"""How far a task is, where somebody sees it: in a terminal, or in a notebook without widgets."""

from __future__ import annotations

import html
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

# Called with how many units of work have come in.
Tick: TypeAlias = Callable[[int], None]
# Seconds between two pictures of a bar in a notebook.
PAUSE_S = 0.2


def terminal_bar(title: str, total: int, rated: bool = False) -> AbstractContextManager[Tick]:
    """A bar on standard error; rated: with units per second and the time left."""
    from abm.report.terminal import progress, replications_bar

    return replications_bar(title, total) if rated else progress(title, total)


@contextmanager
def seen_bar(title: str, total: int, rated: bool = False) -> Iterator[Tick]:
    """A bar in a notebook, or in a terminal; where standard error is neither there is none."""
    if in_notebook():
        with notebook_bar(title, total) as tick:
            yield tick
    elif sys.stderr is not None and sys.stderr.isatty():
        with terminal_bar(title, total, rated) as tick:
            yield tick
    else:
        yield silent


def silent(_: int) -> None:
    """For who does not want to see it."""


def in_notebook() -> bool:
    """Whether what is displayed comes out below the cell of a notebook."""
    python = sys.modules.get("IPython")
    shell = None if python is None else python.get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


@contextmanager
def notebook_bar(title: str, total: int) -> Iterator[Tick]:
    """A bar in the output of a cell, which goes when all is done."""
    display: Any = importlib.import_module("IPython.display")
    began, shown, done = time.perf_counter(), 0.0, 0

    def picture() -> Any:
        took = time.perf_counter() - began
        said = html.escape(f"{title}: {done} of {total}, {took:.0f} s")
        bar = f'<progress value="{done}" max="{total}"></progress>'
        return display.HTML(f"<div>{bar} {said}</div>")

    place = display.display(picture(), display_id=True)

    def tick(count: int) -> None:
        nonlocal shown, done
        done += count
        if time.perf_counter() - shown >= PAUSE_S:
            shown = time.perf_counter()
            place.update(picture())

    yield tick
    place.update(display.HTML(""))
