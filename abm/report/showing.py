"""What `abm.results.showing.Shown` asks of this layer: figures, files and a page for an outcome.

A kind of outcome is made known here, by a function for each of the three.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

from matplotlib.figure import Figure

from abm.errors import InputError, Problem, nearest
from abm.report.card import card, differences_table, picture_of, table_of
from abm.report.figures import Drawings, pictures
from abm.report.hosting import hosting_figures
from abm.report.kpi_lines import kpi_rows
from abm.report.paper_figures import paper_figures
from abm.report.run_figures import run_figures
from abm.report.study_figures import ensemble_figures
from abm.results import Results
from abm.results.folder import run_folder, strategy_label
from abm.results.staging import Content, Files
from abm.study.bound import Bound
from abm.study.ensemble import Ensemble
from abm.study.hosting_results import Hosting
from abm.study.reproduce import Reproduction


@singledispatch
def drawings_of(outcome: object) -> Drawings:
    """What draws each figure of an outcome, by its kind; the one that says most is the first."""
    raise TypeError(f"{type(outcome).__name__} has no figures")


@singledispatch
def files_of(outcome: object, figures: bool = True) -> Files:
    """What the verb of an outcome writes, the manifest as the last; figures: with the pictures."""
    raise TypeError(f"{type(outcome).__name__} has no files")


@singledispatch
def html_of(outcome: object) -> str:
    """An outcome as HTML for a notebook; nothing in it tells where its files lie."""
    raise TypeError(f"{type(outcome).__name__} has no page")


def plot(outcome: object, kind: str | None = None) -> Figure:
    """The figure of this kind, the first where none is named. Raises InputError."""
    drawings = drawings_of(outcome)
    kind = next(iter(drawings), "") if kind is None else kind
    if kind not in drawings:
        allowed = f"one of {', '.join(drawings)}" if drawings else "there is no figure of this"
        raise InputError([Problem("kind", kind, allowed, hint=nearest(kind, list(drawings)))])
    return drawings[kind]()


def drawn(outcome: object, figures: bool) -> Iterator[tuple[str, Content]]:
    """The pictures of an outcome, or none."""
    if figures:
        yield from pictures(drawings_of(outcome))


# --- runs --------------------------------------------------------------------------------------


@drawings_of.register(Results)
def _(outcome: Results) -> Drawings:
    return run_figures(outcome)


@files_of.register(Results)
def _(outcome: Results, figures: bool = True) -> Files:
    return run_folder(outcome, outcome.wall_s, more=drawn(outcome, figures))


@html_of.register(Results)
def _(outcome: Results) -> str:
    scenario = outcome.record.scenario
    of_run = strategy_label(scenario), f"seed {outcome.record.seeds[0]}"
    return card(
        f"Results: {', '.join((scenario.name, *of_run))}",
        differences_table(scenario),
        table_of(kpi_rows(outcome.kpis, scenario.horizon.days, scenario.grid.flow_interval_min)),
        picture_of(drawings_of(outcome)),
    )


@drawings_of.register(Bound)
def _(outcome: Bound) -> Drawings:
    return run_figures(outcome.results, outcome.label, outcome.limit_mw)


# --- studies -----------------------------------------------------------------------------------


@drawings_of.register(Ensemble)
def _(outcome: Ensemble) -> Drawings:
    return ensemble_figures(outcome)


@drawings_of.register(Hosting)
def _(outcome: Hosting) -> Drawings:
    return hosting_figures(outcome)


@drawings_of.register(Reproduction)
def _(outcome: Reproduction) -> Drawings:
    return paper_figures(outcome)
