"""Names beside curves instead of a legend, where there is room for them."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch

from abm.equations import FloatArray
from abm.report.figures import STYLE, legend_below

# Columns of the axes that are looked at, and room around a name in pixels of 1/200 in.
_COLUMNS, _ROOM = 240, 5.0
# More curves than this have a legend.
MOST_NAMES = 5


def name_curves(fig: Figure, axes: Axes, columns: int = 2) -> None:
    """The label of each line and step of the axes beside it; in a legend where one finds no room.

    A name stands above or below its curve where the curve is level and the others are far. columns:
    of the legend. Call it when all is drawn and the limits of the axes are set.
    """
    if not _named(fig, axes):
        legend_below(fig, axes, columns)


def _named(fig: Figure, axes: Axes) -> bool:
    with mpl.rc_context(STYLE):
        fig.draw_without_rendering()
        left, right = axes.get_window_extent().intervalx
        x = np.linspace(left, right, _COLUMNS)
        curves = [(artist, _pixels(artist, axes, x)) for artist in _curves(axes)]
        labelled = [
            (artist, y) for artist, y in curves if not str(artist.get_label()).startswith("_")
        ]
        if len(labelled) > MOST_NAMES:
            return False
        boxes: list[tuple[float, float, float, float]] = []
        texts = []
        for artist, y in labelled:
            text = axes.text(
                0.0, 0.0, str(artist.get_label()), color=_colour(artist), fontsize=6.5,
                ha="center", va="center", zorder=5,
            )  # fmt: skip
            texts.append(text)
            extent = text.get_window_extent()
            others = [other for _, other in curves if other is not y]
            room = _ROOM * fig.dpi / 200.0
            size = (extent.width + 2.0 * room, extent.height)
            box = _place(axes, x, y, others, size, room, boxes)
            if box is None:
                for text in texts:
                    text.remove()
                return False
            boxes.append(box)
            middle = (0.5 * (box[0] + box[1]), 0.5 * (box[2] + box[3]))
            x_data, y_data = axes.transData.inverted().transform(middle)
            text.set_position((float(x_data), float(y_data)))
    return True


def _curves(axes: Axes) -> list[Line2D | StepPatch]:
    steps = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
    return [*axes.get_lines(), *steps]


def _colour(artist: Line2D | StepPatch) -> Any:
    if isinstance(artist, Line2D):
        return artist.get_color()
    return "#6A6A6A" if artist.get_fill() else artist.get_edgecolor()


def _pixels(artist: Line2D | StepPatch, axes: Axes, x: FloatArray) -> FloatArray:
    """Height of a curve in pixels at these columns, NaN where it has none."""
    if isinstance(artist, StepPatch):
        values, edges, _ = artist.get_data()
        along, up = np.repeat(edges, 2)[1:-1], np.repeat(values, 2)
    else:
        along, up = (np.asarray(of, dtype=np.float64) for of in artist.get_data())
    points = artist.get_transform().transform(np.column_stack([along, up]))
    order = np.argsort(points[:, 0], kind="stable")
    found = np.interp(x, points[order, 0], points[order, 1], left=np.nan, right=np.nan)
    return np.asarray(found)


def _place(
    axes: Axes,
    x: FloatArray,
    y: FloatArray,
    others: list[FloatArray],
    size: tuple[float, float],
    room: float,
    boxes: list[tuple[float, float, float, float]],
) -> tuple[float, float, float, float] | None:
    """Left, right, bottom and top of the best place for a name of this size, None without one."""
    frame = axes.get_window_extent()
    wide, tall = size
    best, found = -np.inf, None
    for middle in x[::4]:
        left, right = middle - wide / 2, middle + wide / 2
        if left < frame.x0 or right > frame.x1:
            continue
        here = (x >= left) & (x <= right)
        own = y[here]
        if np.isnan(own).any():
            continue
        for bottom in (own.max() + room, own.min() - room - tall):
            top = bottom + tall
            if bottom < frame.y0 + room or top > frame.y1 - room:
                continue
            if any(left < b[1] and right > b[0] and bottom < b[3] and top > b[2] for b in boxes):
                continue
            away = min((_away(other[here], bottom, top) for other in others), default=np.inf)
            if away < 2.0 * room:
                continue
            # Level curves first, and not far from them.
            score = min(away, 4.0 * tall) - 1.5 * float(np.ptp(own))
            if score > best:
                best, found = score, (left, right, bottom, top)
    return found


def _away(values: FloatArray, bottom: float, top: float) -> float:
    """How far a curve stays from a box, 0 where it runs through it."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.inf
    return float(max(known.min() - top, bottom - known.max(), 0.0))
