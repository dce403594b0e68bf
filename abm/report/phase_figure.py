"""A three-phase feeder as a picture: by its coordinates, or as a tree over the length of lines."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from abm.equations import BoolArray, FloatArray
from abm.report.feeder_figures import prepare
from abm.report.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    STYLE,
    WIDE_IN,
    WINE,
    figure,
)
from abm.report.layout import Placed, place, way
from abm.scenario.feeder_table import FeederTable
from abm.scenario.phase_values import PHASES, PhaseValues

# Colour and marker of the homes of each phase: they differ without colours, too.
OF_PHASE = ((BLUE, "o"), (ORANGE, "^"), (GREEN, "s"))
_OF_VOLTAGE = (BLACK, GREY, WINE, PURPLE)
_MANY, _FEW = 400, 12  # homes from there on are small, and transformers
_LEGEND = 20.0  # size of a marker in the legend, points squared, at least


def phase_figure(table: FeederTable, length_m: FloatArray) -> Figure:
    """Lines by voltage, transformers, source, and homes by phase.

    table: of a three-phase feeder. length_m: of each of its lines, (L,).
    """
    values = table.phases
    if values is None:
        raise ValueError(f"{table.name} has no phases")
    placed = place(values, length_m)
    height = WIDE_IN * (0.75 if placed.is_map else 0.62)
    title = f"{table.name}: {table.description}" if table.description else table.name
    fig, axes = figure(title if len(title) <= 110 else title[:107] + "...", height, WIDE_IN)
    prepare(axes, placed.places, placed.is_map)
    _draw_lines(axes, values, placed, length_m)
    _draw_transformers(axes, values, placed)
    _draw_homes(fig, axes, values, placed)
    source = placed.places[[values.source_bus]]
    _dots(axes, source, "source", s=60, marker="s", color=BLACK, zorder=4)
    with mpl.rc_context(STYLE):
        if not placed.is_map:
            axes.set_xticks(*_ticks(placed.places[:, 0].max()))
            axes.set_xlabel("Way from the source along the lines (m)")
            axes.spines["bottom"].set_visible(True)
        handles, labels = axes.get_legend_handles_labels()
        legend = fig.legend(handles, labels, loc="outside lower center", ncols=4)
        for handle in legend.legend_handles:
            if isinstance(handle, PathCollection):
                handle.set_sizes(np.maximum(handle.get_sizes(), _LEGEND))
    return fig


def _ticks(most: float) -> tuple[list[float], list[str]]:
    step = 10.0 ** np.floor(np.log10(max(most, 1e-9)))
    step = next(part for part in (0.2 * step, 0.5 * step, step, 2 * step) if most / part <= 8.0)
    at = np.arange(0.0, most + 0.5 * step, step)
    return at.tolist(), [f"{value:g}" for value in at]


def _draw_lines(axes: Axes, values: PhaseValues, placed: Placed, length_m: FloatArray) -> None:
    places, n_line = placed.places, len(values.line)
    pairs = np.column_stack([values.line_from, values.line_to])
    kv_of = values.vn_kv[values.line_from]
    of_tree = placed.tree[:n_line]
    for at, kv in enumerate(sorted(set(kv_of.tolist()), reverse=True)):
        rows = np.flatnonzero(kv_of == kv)
        ways = [way(places[pairs[row]], placed.is_map or not of_tree[row]) for row in rows]
        colour = _OF_VOLTAGE[at % len(_OF_VOLTAGE)]
        km = 1e-3 * length_m[rows].sum()
        lines = LineCollection(ways, colors=colour, linewidths=1.1 if kv > 1.0 else 0.7)
        lines.set_label(f"{kv:g} kV, {km:.3g} km")
        axes.add_collection(lines)
    axes.autoscale_view()


def _draw_transformers(axes: Axes, values: PhaseValues, placed: Placed) -> None:
    if not len(values.transformer):
        return
    ends = np.column_stack([values.transformer_from, values.transformer_to])
    ways = [way(placed.places[pair], placed.is_map) for pair in ends]
    axes.add_collection(LineCollection(ways, colors=BLACK, linewidths=0.8))
    # At the end that is fed, where a map shows it.
    at = placed.places[values.transformer_to]
    n = len(values.transformer)
    label = f"{n} transformer{'s' if n > 1 else ''}, {values.sn_kva.sum():.6g} kVA"
    size = 34.0 if n <= _FEW else 12.0
    _dots(axes, at, label, s=size, marker="D", facecolor="white", edgecolor=BLACK, lw=0.9, zorder=5)


def _draw_homes(fig: Figure, axes: Axes, values: PhaseValues, placed: Placed) -> None:
    at = placed.places[values.home_bus]
    several = values.home_phases.sum(axis=1) > 1
    size = 20.0 if values.n_home <= _MANY else 3.0
    shared = _at_shared_buses(values, ~several)
    for phase, (colour, marker) in enumerate(OF_PHASE):
        mine = ~several & values.home_phases[:, phase]
        label = f"{mine.sum()} home{'' if mine.sum() == 1 else 's'} on {PHASES[phase]}"
        look = {"s": size, "marker": marker, "color": colour, "edgecolor": "white", "lw": 0.2}
        _dots(axes, at[mine & ~shared], label, **look, zorder=7)
        # At a bus with homes of other phases they stand side by side.
        aside = offset_copy(axes.transData, fig, (phase - 1) * size**0.5, units="points")
        label = label if (mine <= shared).all() else ""
        _dots(axes, at[mine & shared], label, **look, zorder=7, transform=aside)
    label = f"{several.sum()} of several phases"
    _dots(axes, at[several], label, s=3.5 * size, marker="*", color=PURPLE, edgecolor=BLACK,
          lw=0.3, zorder=6)  # fmt: skip


def _at_shared_buses(values: PhaseValues, single: BoolArray) -> BoolArray:
    """Homes of a single phase, as `single` says, beside others of another phase, bool [H]."""
    there = np.zeros((len(values.bus), 3), dtype=np.bool_)
    home, phase = np.nonzero(values.home_phases & single[:, None])
    there[values.home_bus[home], phase] = True
    return np.asarray(single & (there.sum(axis=1) > 1)[values.home_bus])


def _dots(axes: Axes, places: FloatArray, label: str, **look: Any) -> None:
    """A marker at each of these places, [n, 2], where there are some."""
    if len(places):
        axes.scatter(places[:, 0], places[:, 1], label=label, **look)
