"""What `abm.results.showing.Shown` asks of this layer: figures, files and a page for an outcome.

A kind of outcome is made known here, by a function for each of the three.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial, singledispatch
from itertools import chain

from matplotlib.figure import Figure

from abm.errors import InputError, Problem, nearest
from abm.grid.feeder_files import feeder_files
from abm.report.breakeven import break_even_figure
from abm.report.card import card, differences_table, notes_of, picture_of, stored_picture, table_of
from abm.report.feeder_figures import reconfiguration_figure
from abm.report.figures import Drawings, journal, pictures
from abm.report.hosting import hosting_figures
from abm.report.html import NAME as REPORT
from abm.report.html import report_html
from abm.report.kpi_lines import kpi_rows
from abm.report.paper_figures import paper_figures
from abm.report.printing import JOURNAL, parse_printing, printed_as
from abm.report.run_figures import comparison_figures, run_figures
from abm.report.sentences import count
from abm.report.study_cards import comparison_numbers, ensemble_numbers, frame_numbers, study_card
from abm.report.study_figures import ensemble_figures, sweep_figures
from abm.report.table_files import table_files
from abm.results import Results
from abm.results.folder import folder_name, manifest, run_folder, strategy_label
from abm.results.indicators import INDICATORS
from abm.results.ownership import MANIFEST, PARTS, STUDY, study_key
from abm.results.saved import Saved
from abm.results.seals import seal_part, sealed
from abm.results.staging import Content, Files
from abm.study.bound import Bound
from abm.study.folder import study_manifest
from abm.study.loading import load
from abm.study.outcomes import (
    BreakEven,
    Comparison,
    HostingStudy,
    KeptStudy,
    MonteCarlo,
    PaperStudy,
    Sweep,
)
from abm.study.reconfigure import ReconfigurationStudy
from abm.study.reproduce import STRATEGY_OF, run_names
from abm.study.sweep import INTEREST

__all__ = ["drawings_of", "files_of", "html_of", "load", "plot", "printed"]

# Of table II, what a page shows.
PAPER_COLUMNS = ("quantity", "case", "unit", "paper", "as_printed", "energy_balanced")


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


def plot(outcome: object, kind: str | None = None, style: str | None = None) -> Figure:
    """The figure of this kind, the first where none is named. Raises InputError."""
    how = parse_printing(style=style)
    drawings = drawings_of(outcome)
    kind = next(iter(drawings), "") if kind is None else kind
    if kind not in drawings:
        allowed = f"one of {', '.join(drawings)}" if drawings else "there is no figure of this"
        raise InputError([Problem("kind", kind, allowed, hint=nearest(kind, list(drawings)))])
    fig = drawings[kind]()
    return journal(fig) if how.style == JOURNAL else fig


def printed(formats: str | None, style: str | None) -> AbstractContextManager[None]:
    """Within it folders are written in these formats and this style. Raises InputError."""
    return printed_as(parse_printing(formats, style))


def drawn(outcome: object, figures: bool) -> Iterator[tuple[str, Content]]:
    """The tables that were asked for, and the pictures of an outcome and its report, or none."""
    yield from table_files(outcome)
    if not figures:
        return
    made = []
    for name, content in pictures(drawings_of(outcome)):
        if name.endswith(".png"):
            made.append((name, content))
        yield name, content
    if text := report_html(outcome, made):
        yield REPORT, text


# --- runs --------------------------------------------------------------------------------------


@drawings_of.register(Results)
def _(outcome: Results) -> Drawings:
    return run_figures(outcome)


@files_of.register(Results)
def _(outcome: Results, figures: bool = True) -> Files:
    return run_folder(outcome, outcome.wall_s, more=drawn(outcome, figures))


@html_of.register(Results)
def _(outcome: Results) -> str:
    return run_card(outcome, "Results", outcome.label, drawings_of(outcome))


def run_card(results: Results, what: str, label: str | None, drawings: Drawings) -> str:
    """The page of a run. label: stands as the strategy, where it is not the scenario's."""
    scenario = results.record.scenario
    of_run = label or strategy_label(scenario), f"seed {results.record.seeds[0]}"
    return card(
        f"{what}: {', '.join((scenario.name, *of_run))}",
        notes_of(results.missing),
        differences_table(scenario),
        table_of(kpi_rows(results.kpis, scenario.horizon.days, scenario.grid.flow_interval_min)),
        picture_of(drawings),
    )


@drawings_of.register(Bound)
def _(outcome: Bound) -> Drawings:
    return run_figures(outcome.results, outcome.label, outcome.limit_mw)


@files_of.register(Bound)
def _(outcome: Bound, figures: bool = True) -> Files:
    more = chain([("bound.json", outcome.summary())], drawn(outcome, figures))
    return run_folder(outcome.results, outcome.wall_s, label=outcome.label, more=more)


@html_of.register(Bound)
def _(outcome: Bound) -> str:
    return run_card(outcome.results, "Bound", outcome.label, drawings_of(outcome))


# --- folders that are only read ------------------------------------------------------------------


@drawings_of.register(Saved)
def _(outcome: Saved) -> Drawings:
    folder = outcome.folder
    return {
        kind: partial(stored_picture, folder.content(name)) for kind, name in folder.figures.items()
    }


@files_of.register(Saved)
def _(outcome: Saved, figures: bool = True) -> Files:
    return outcome.contents(figures)


@html_of.register(Saved)
def _(outcome: Saved) -> str:
    kpis = [(name, f"{value}") for name, value in outcome.kpis.items() if name in INDICATORS]
    return card(
        f"Saved: {outcome.title}",
        notes_of(outcome.missing),
        table_of(kpis),
        picture_of(drawings_of(outcome)),
    )


# --- several runs ------------------------------------------------------------------------------


def within(folder: str, files: Files) -> Iterator[tuple[str, Content]]:
    """Files with the name of a folder in front."""
    for name, content in files:
        yield f"{folder}/{name}", content
        del content  # before the next one is made


@drawings_of.register(Comparison)
def _(outcome: Comparison) -> Drawings:
    runs = {name: run.results for name, run in outcome.runs.items()}
    bound = None if outcome.bound is None else outcome.bound.results
    return comparison_figures(outcome.scenario, runs, bound)


@html_of.register(Comparison)
def _(outcome: Comparison) -> str:
    title = f"Comparison: {outcome.scenario.name}, seed {outcome.scenario.seed}"
    numbers = comparison_numbers(outcome)
    return study_card(title, outcome.scenario, numbers, drawings_of(outcome), outcome.missing)


@files_of.register(Comparison)
def _(outcome: Comparison, figures: bool = True) -> Files:
    for name, run in outcome.runs.items():
        yield from within(folder_name(name), run_folder(run.results, run.wall_s, label=name))
    if outcome.bound is not None:
        yield from within(outcome.bound.label, files_of(outcome.bound, figures=False))
    yield "scenario.yaml", outcome.scenario.to_yaml()
    yield "comparison.csv", outcome.tables["comparison"]
    yield from drawn(outcome, figures)
    bound = outcome.bound is not None
    yield MANIFEST, manifest("compare", outcome.scenario, outcome.runs, bound=bound)


@drawings_of.register(PaperStudy)
def _(outcome: PaperStudy) -> Drawings:
    return paper_figures(outcome.study)


@html_of.register(PaperStudy)
def _(outcome: PaperStudy) -> str:
    title = f"The paper's study, seed {outcome.scenario.seed}"
    numbers = frame_numbers(outcome.tables["table2"], PAPER_COLUMNS)
    return study_card(title, outcome.scenario, numbers, drawings_of(outcome), outcome.missing)


@files_of.register(PaperStudy)
def _(outcome: PaperStudy, figures: bool = True) -> Files:
    names = run_names()
    for key, name in names.items():
        results, wall_s = outcome.study.runs[key].results, outcome.study.runs[key].wall_s
        # One report is enough: that of the study.
        more = pictures(drawings_of(results)) if figures else ()
        run = run_folder(results, wall_s, more=more)
        yield from within(name, run)
    yield from ((f"{name}.csv", table) for name, table in outcome.tables.items())
    yield from drawn(outcome, figures)
    changed = {"changed": list(outcome.changed)} if outcome.changed else {}
    strategies, runs = STRATEGY_OF.values(), list(names.values())
    yield MANIFEST, manifest("reproduce", outcome.scenario, strategies, runs=runs, **changed)


@drawings_of.register(BreakEven)
def _(outcome: BreakEven) -> Drawings:
    if not outcome.found:
        return {}
    return {"breakeven": lambda: break_even_figure(outcome.scenario, outcome.found)}


@html_of.register(BreakEven)
def _(outcome: BreakEven) -> str:
    title = f"Where V2G stops paying: {outcome.scenario.name}"
    numbers = frame_numbers(outcome.tables["breakeven"])
    return study_card(title, outcome.scenario, numbers, drawings_of(outcome), outcome.missing)


@files_of.register(BreakEven)
def _(outcome: BreakEven, figures: bool = True) -> Files:
    yield "scenario.yaml", outcome.scenario.to_yaml()
    yield "breakeven.csv", outcome.tables["breakeven"]
    yield from drawn(outcome, figures)
    yield MANIFEST, manifest("breakeven", outcome.scenario, outcome.strategies)


@drawings_of.register(ReconfigurationStudy)
def _(outcome: ReconfigurationStudy) -> Drawings:
    before, after = outcome.before.results, outcome.after.results
    return {"reconfiguration": lambda: reconfiguration_figure(outcome.change, before, after)}


@html_of.register(ReconfigurationStudy)
def _(outcome: ReconfigurationStudy) -> str:
    title = f"Reconfiguration: {outcome.scenario.name}"
    numbers = frame_numbers(outcome.tables["kpis"])
    return study_card(title, outcome.scenario, numbers, drawings_of(outcome), outcome.missing)


@files_of.register(ReconfigurationStudy)
def _(outcome: ReconfigurationStudy, figures: bool = True) -> Files:
    change = outcome.change
    yield from within("feeder", feeder_files(change.after))
    for name, run in (("before", outcome.before), ("after", outcome.after)):
        yield from within(name, run_folder(run.results, run.wall_s))
    yield from ((f"{name}.csv", table) for name, table in outcome.tables.items())
    yield from drawn(outcome, figures)
    opened, closed = change.names(change.opened), change.names(change.closed)
    about = {"load": outcome.loads, "opened": opened, "closed": closed}
    label = strategy_label(outcome.scenario)
    yield MANIFEST, manifest("reconfigure", outcome.scenario, [label], **about)


# --- studies of many replications --------------------------------------------------------------


@drawings_of.register(MonteCarlo)
def _(outcome: MonteCarlo) -> Drawings:
    return ensemble_figures(outcome.ensemble, outcome.shown)


@drawings_of.register(Sweep)
def _(outcome: Sweep) -> Drawings:
    return sweep_figures(outcome.ensemble, outcome.tables, outcome.ranges, outcome.shown)


@drawings_of.register(HostingStudy)
def _(outcome: HostingStudy) -> Drawings:
    return hosting_figures(outcome.found)


@html_of.register(MonteCarlo)
def _(outcome: MonteCarlo) -> str:
    title = f"Monte Carlo: {outcome.scenario.name}, {count(outcome.ensemble.n, 'replication')}"
    numbers = ensemble_numbers(outcome.ensemble)
    return study_card(title, outcome.scenario, numbers, drawings_of(outcome), outcome.missing)


@html_of.register(Sweep)
def _(outcome: Sweep) -> str:
    title = f"Sweep: {outcome.scenario.name}, {count(outcome.ensemble.n, 'replication')}"
    numbers = ensemble_numbers(outcome.ensemble, outcome.shown or INTEREST)
    return study_card(title, outcome.scenario, numbers, drawings_of(outcome), outcome.missing)


@html_of.register(HostingStudy)
def _(outcome: HostingStudy) -> str:
    title = f"Hosting capacity: {outcome.scenario.name}"
    numbers = frame_numbers(outcome.tables["hosting"])
    return study_card(title, outcome.scenario, numbers, drawings_of(outcome), outcome.missing)


def study_files(outcome: KeptStudy, figures: bool = True) -> Files:
    """What a study is finished with in the folder that has its chunks (`StudyFolder`)."""
    yield from outcome.table_files()
    yield from drawn(outcome, figures)


@files_of.register(MonteCarlo)
@files_of.register(Sweep)
@files_of.register(HostingStudy)
def _(outcome: KeptStudy, figures: bool = True) -> Files:
    asked = outcome.question
    yield STUDY, sealed(asked)
    for name, content in outcome.parts.items():
        yield f"{PARTS}/{name}.parquet", seal_part(content, study_key(asked), name)
    yield from study_files(outcome, figures)
    yield MANIFEST, study_manifest(asked, outcome.ending)
