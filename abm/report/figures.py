"""Figures, sized for one column of a page and safe for colour-blind readers.

Figures are made without pyplot, so that nothing global is kept and no screen is needed. Colours are
Okabe and Ito's, and a wine; what differs in colour differs in line style or marker too. Strategies
have the looks of `abm.report.look`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from textwrap import fill
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FixedFormatter, FixedLocator, NullFormatter

from abm.report.printing import FIGURE_FORMATS, JOURNAL, printing
from abm.results import Results

BLACK, BLUE, ORANGE, GREEN = "#000000", "#0072B2", "#D55E00", "#009E73"
PURPLE, SKY, YELLOW, GREY = "#CC79A7", "#56B4E9", "#E69F00", "#7A7A7A"
WINE = "#AA3377"
WIDTH_IN, HEIGHT_IN, DPI = 3.5, 2.6, 200
# Two columns of a page, for what one is too narrow for.
WIDE_IN = 7.2
# Letters of a title that stand beside each other.
LETTERS_PER_IN = 18.0
# Letters that any legend has room for.
FEWEST_LETTERS = 10
# Of a journal: one column, two, and the letters.
COLUMN_IN, TWO_COLUMNS_IN, JOURNAL_PT = 88.0 / 25.4, 180.0 / 25.4, 8.0
# matplotlib's name of the axes of a colour bar.
BAR = "<colorbar>"
# A horizon longer than this is drawn over days, not over hours.
LONG_H = 48
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "legend.fontsize": 6.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "axes.grid": True,
    "grid.linewidth": 0.3,
    "grid.color": "#CFCFCF",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
}


# Of files: fonts are embedded whole enough to be edited, names within do not change by the run.
FILES: dict[Any, Any] = {"pdf.fonttype": 42, "svg.hashsalt": "evenfall"}
# What draws each figure of an outcome, by its kind: the name that `plot` takes and its file has.
Drawings: TypeAlias = Mapping[str, Callable[[], Figure]]
# Grain of the demand in the figures of runs: what meters and markets settle, min.
GRAIN_MIN = 15
POWER = "Mean power of 15 min (MW)"


class Picture(Figure):
    """A figure that notebooks show as it is written to files."""

    def _repr_png_(self) -> bytes:
        return png(self)

    def savefig(self, fname: Any, **how: Any) -> None:
        """As matplotlib's, with fonts embedded in a PDF and in the size that `save` has."""
        with mpl.rc_context({**STYLE, **FILES}):
            super().savefig(fname, **{"dpi": DPI, **how})


def panels(
    rows: int, columns: int, size_in: tuple[float, float], **shared: Any
) -> tuple[Figure, list[Axes]]:
    """An empty figure with rows x columns axes, in reading order; size_in: of the whole."""
    with mpl.rc_context(STYLE):
        fig = Picture(figsize=size_in, layout="constrained")
        FigureCanvasAgg(fig)
        axes = fig.subplots(rows, columns, squeeze=False, **shared)
    return fig, list(axes.ravel())


def figure(
    title: str, height_in: float = HEIGHT_IN, width_in: float = WIDTH_IN
) -> tuple[Figure, Axes]:
    """An empty figure, of one column's width if nothing else is said, with one set of axes."""
    fig, (axes,) = panels(1, 1, (width_in, height_in))
    with mpl.rc_context(STYLE):
        axes.set_title(in_lines(title, width_in))
    return fig, axes


def in_lines(title: str, width_in: float) -> str:
    """A title in lines that are no wider than the figure."""
    letters = int(LETTERS_PER_IN * width_in)
    return "\n".join(fill(line, letters) for line in title.split("\n"))


def save(fig: Figure, path: Path | BytesIO, kind: str = "") -> None:
    """Write a figure, the same bytes for the same figure; names in it are shown as they are.

    kind: one of `FIGURE_FORMATS`, PNG if it is left out and the path has no such ending. Fonts are
    embedded in a PDF and outlines in an SVG, so that they look the same everywhere.
    """
    if not kind:
        ending = path.suffix.lstrip(".") if isinstance(path, Path) else ""
        kind = ending if ending in FIGURE_FORMATS else "png"
    title = fig.get_suptitle()
    if (lines := in_lines(title, fig.get_figwidth())) != title:
        fig.suptitle(lines, fontsize=STYLE["axes.titlesize"])
    for text in fig.findobj(Text):
        # A name with dollars is no formula; what matplotlib writes on logarithmic axes is one.
        if isinstance(text, Text) and "\\mathdefault" not in text.get_text():
            text.set_parse_math("$" not in text.get_text())
    with mpl.rc_context({**STYLE, **FILES}):
        fig.savefig(path, dpi=DPI, format=kind, metadata=_WITHOUT_TIME[kind])


# Nothing in a file tells when or by what it was made, so that its bytes are stable.
_WITHOUT_TIME: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None},
}


def printed(fig: Figure, kind: str) -> bytes:
    """A figure as `save` writes it in this format."""
    content = BytesIO()
    save(fig, content, kind)
    return content.getvalue()


def png(fig: Figure) -> bytes:
    """The picture as `save` writes it."""
    return printed(fig, "png")


def journal(fig: Figure) -> Figure:
    """The figure as a journal takes it: 88 mm or 180 mm wide, all letters of 8 pt, no title.

    Titles of panels stay. It is the figure itself, changed.
    """
    wide = fig.get_figwidth() > 1.1 * WIDTH_IN
    scale = (TWO_COLUMNS_IN if wide else COLUMN_IN) / fig.get_figwidth()
    fig.set_size_inches(scale * fig.get_figwidth(), max(scale, 1.0) * fig.get_figheight())
    panels_there = [axes for axes in fig.axes if axes.get_visible() and axes.get_label() != BAR]
    if fig.get_suptitle():
        fig.suptitle("")
    if len(panels_there) == 1:
        panels_there[0].set_title("")
    for text in fig.findobj(Text):
        if isinstance(text, Text):
            text.set_fontsize(JOURNAL_PT)
    for axes in fig.axes:
        axes.tick_params(which="both", labelsize=JOURNAL_PT)
    fig.draw_without_rendering()
    for axes in fig.axes:
        _thin(axes)
        _keep_inside(axes)
    for legend in list(fig.legends):
        handles = legend.legend_handles
        labels = [" ".join(text.get_text().split()) for text in legend.get_texts()]
        legend.remove()
        legend_of(fig, [h for h in handles if h is not None], labels, 3, JOURNAL_PT)
    return fig


def _thin(axes: Axes) -> None:
    """Every other number below the axes, where they have grown up to each other."""
    labels = [label for label in axes.get_xticklabels() if label.get_text()]
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.x0)
    if any(one.x1 + 0.3 * one.height > other.x0 for one, other in pairwise(boxes)):
        for label in labels[1::2]:
            label.set_visible(False)


def _keep_inside(axes: Axes) -> None:
    """Names of curves that have grown over the left or right end of the axes stand within them."""
    frame = axes.get_window_extent()
    for text in axes.texts:
        box = text.get_window_extent()
        shift = max(frame.x0 - box.x0, 0.0) + min(frame.x1 - box.x1, 0.0)
        if shift and not isinstance(text, Annotation) and box.width < frame.width:
            transform = text.get_transform()
            x, y = transform.transform(text.get_position())
            text.set_x(float(transform.inverted().transform((x + shift, y))[0]))


def pictures(drawings: Drawings, within: str = "figures/") -> Iterator[tuple[str, bytes]]:
    """Each figure in the formats and the style that were asked for, with the name of its file."""
    how = printing()
    for name, draw in drawings.items():
        fig = draw()
        if how.style == JOURNAL:
            fig = journal(fig)
        for kind in how.figures:
            yield f"{within}{name}.{kind}", printed(fig, kind)


def legend_below(fig: Figure, axes: Axes, columns: int = 2) -> None:
    """A legend under the axes, where it hides no curve."""
    legend_of(fig, *axes.get_legend_handles_labels(), columns=columns)


def legend_of(
    fig: Figure,
    handles: Sequence[Any],
    labels: Sequence[str],
    columns: int,
    size_pt: float = STYLE["legend.fontsize"],
) -> None:
    """A legend under the axes, in so many columns at most that it is no wider than the figure."""
    columns, letters = max(1, min(columns, len(labels))), max(map(len, labels), default=0)
    with mpl.rc_context(STYLE):
        while True:
            shown = [fill(label, max(letters, 1)) for label in labels]
            legend = fig.legend(
                handles, shown, loc="outside lower center", ncols=columns, fontsize=size_pt
            )
            if legend.get_window_extent().width <= fig.bbox.width or letters <= FEWEST_LETTERS:
                return
            legend.remove()
            # Fewer columns first; a name that is too long for one has several lines.
            columns, letters = (columns - 1, letters) if columns > 1 else (1, int(0.9 * letters))


def from_zero(axes: Sequence[Axes], room: float = 1.08) -> None:
    """One scale from 0 with so much room above; from below where demand turns into supply."""
    low = min(ax.dataLim.y0 for ax in axes)
    top = room * max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(min(room * low, 0.0), top)


def clock_axis(
    axes: Axes, clock_hours: Sequence[int] | np.ndarray[Any, Any], most_ticks: int = 9
) -> None:
    """Clock times on the x axis of hours counted from the start of the horizon.

    Of more than `LONG_H` hours: days, each numbered in its middle.
    """
    n, start = len(clock_hours), int(clock_hours[0])
    if n > LONG_H:
        _day_axis(axes, n, start)
        return
    every = next(h for h in (1, 2, 3, 6, 12, 24) if n / h < most_ticks)
    ticks = list(range(0, n + 1, every))
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.set_xticklabels([f"{(start + tick) % 24}:00" for tick in ticks])
    axes.set_xlim(0, n)
    axes.set_xlabel("Time of day (h:min)")


def _day_axis(axes: Axes, n_hours: int, start: int) -> None:
    """Day numbers in the middle of the days, and a line between any two that are labelled."""
    days = -(-n_hours // 24)
    every = next((k for k in (1, 2, 3, 5, 7, 10, 14, 28) if days / k <= 16), 30 * (1 + days // 480))
    numbers = list(range(1, days + 1, every))
    axes.xaxis.set_major_locator(FixedLocator([24 * day for day in range(0, days + 1, every)]))
    axes.xaxis.set_major_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(FixedLocator([24 * number - 12 for number in numbers]))
    axes.xaxis.set_minor_formatter(FixedFormatter([str(number) for number in numbers]))
    axes.tick_params(axis="x", which="minor", length=0, labelsize=STYLE["xtick.labelsize"])
    axes.set_xlim(0, n_hours)
    axes.set_xlabel(f"Day, each from {start}:00 on")


def hour_steps(
    axes: Axes, values: np.ndarray[Any, Any], n_hours: int | None = None, **style: Any
) -> None:
    """Means as steps: each holds for its hour, or for its share of n_hours."""
    edges = np.linspace(0.0, len(values) if n_hours is None else n_hours, len(values) + 1)
    axes.stairs(values, edges, baseline=None, **style)


def limit_line(axes: Axes, limit_mw: float | np.ndarray[Any, Any]) -> None:
    """The demand limit P_D^max, one for all or one for each hour of the horizon."""
    look: dict[str, Any] = {"color": GREY, "ls": ":", "lw": 1.0}
    hours = np.atleast_1d(limit_mw)
    if (hours == hours[0]).all():
        axes.axhline(hours[0], label=f"limit {hours[0]:g} MW", **look)
    else:
        hour_steps(axes, hours, label="limit", **look)


def zone_map(
    title: str,
    values: np.ndarray[Any, Any],
    clock_hours: np.ndarray[Any, Any],
    unit: str,
    diverging: bool = False,
    top: float | None = None,
) -> Figure:
    """Zone by hour as a map of colours. values: (n_zones, n_hours).

    top: end of the scale, of a diverging one both ways; what is largest where it is left out.
    """
    n_zones, n_hours = values.shape
    fig, axes = figure(title, width_in=width_for(n_hours))
    if top is None:
        top = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    with mpl.rc_context(STYLE):
        image = axes.imshow(
            values,
            aspect="auto",
            origin="lower",
            interpolation="nearest",
            cmap="PuOr_r" if diverging else "cividis",
            extent=(0, n_hours, 0.5, n_zones + 0.5),
            vmin=-top if diverging else 0.0,
            vmax=top,
        )
        axes.grid(False)
        clock_axis(axes, clock_hours, most_ticks=7)
        every = 1 if n_zones <= 8 else 2 * max(1, n_zones // 10)
        axes.set_yticks(range(1, n_zones + 1, every))
        axes.set_ylabel("Residential parking zone")
        fig.colorbar(image, ax=axes, label=unit, pad=0.02)
    return fig


def base_curve(results: Results) -> np.ndarray[Any, Any]:
    """Demand without EVs by the hour, or finer where it changes within one [MW]."""
    record = results.record
    if record.supply is not None:
        demand = record.base_demand_mw(GRAIN_MIN) + record.supply_mw(GRAIN_MIN)
        return np.asarray(demand.mean(axis=1))
    grain_min = 60.0 if record.base.by_hour else GRAIN_MIN
    return np.asarray(record.base_demand_mw(grain_min).mean(axis=1))


def base_area(axes: Axes, results: Results) -> None:
    """Demand without EVs as a grey area behind the curves."""
    base_mw = base_curve(results)
    edges = np.linspace(0.0, results.n_hours, len(base_mw) + 1)
    axes.stairs(base_mw, edges, fill=True, color="#E4E4E4", lw=0, zorder=0, label="without EVs")


def width_for(n_hours: int) -> float:
    """Width of a figure over the hours of the horizon, in."""
    return WIDTH_IN if n_hours <= LONG_H else WIDE_IN
