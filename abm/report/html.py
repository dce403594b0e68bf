"""`report_html`: an outcome as one page that opens without a network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import singledispatch

from abm.report.figures import png
from abm.report.page import Report, page, plotly_script
from abm.report.run_reports import (
    bound_report,
    break_even_report,
    comparison_report,
    paper_report,
    run_report,
)
from abm.report.study_reports import hosting_report, montecarlo_report, sweep_report
from abm.results import Results
from abm.results.showing import Shown
from abm.study.bound import Bound
from abm.study.outcomes import BreakEven, Comparison, HostingStudy, MonteCarlo, PaperStudy, Sweep

NAME = "report.html"


@singledispatch
def report_of(outcome: object) -> Report | None:
    """What the page of an outcome says; None for an outcome without one."""
    return None


report_of.register(Results)(run_report)
report_of.register(Bound)(bound_report)
report_of.register(Comparison)(comparison_report)
report_of.register(PaperStudy)(paper_report)
report_of.register(BreakEven)(break_even_report)
report_of.register(MonteCarlo)(montecarlo_report)
report_of.register(Sweep)(sweep_report)
report_of.register(HostingStudy)(hosting_report)


def report_html(outcome: object, pictures: Iterable[tuple[str, bytes]] = ()) -> str:
    """The page of an outcome; "" for an outcome without one.

    Figures are interactive where plotly is installed and the outcome has such, else pictures:
    those that are handed in, by the names of their files, or drawn here. The same outcome gives
    the same bytes.
    """
    report, plotly = report_of(outcome), plotly_script()
    if report is None:
        return ""
    if plotly is None or not report.charts:
        found = list(pictures)
        if not found and isinstance(outcome, Shown):
            found = [(kind, png(outcome.plot(kind))) for kind in outcome.kinds]
        report = replace(report, pictures=[(_title(name), content) for name, content in found])
    return page(report, plotly)


def _title(name: str) -> str:
    """What a picture is called, of the name of its file."""
    stem = name.rpartition("/")[2].partition(".")[0].replace("_", " ")
    return stem[:1].upper() + stem[1:]
