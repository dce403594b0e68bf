"""A feeder as a map, by its coordinates, or as a tree, and what is on it."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from abm.equations import FloatArray, IntArray
from abm.grid import Feeder
from abm.grid.reconfigure import Reconfiguration
from abm.report.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    STYLE,
    WIDE_IN,
    WINE,
    YELLOW,
    clock_axis,
    figure,
    hour_steps,
    panels,
)
from abm.report.layout import aspect_of, layout, way
from abm.results import Results
from abm.scenario.feeder_table import FeederTable

_OF_CLASS = {"residential": SKY, "commercial": YELLOW, "industrial": GREEN}
_OTHER_CLASSES = (PURPLE, BLUE, ORANGE)
_OF_VOLTAGE = (BLACK, BLUE, WINE, GREEN)
# More buses than this have no numbers; only zones, and of those not more than that.
_MOST_NUMBERS, _MOST_NAMES, _LONGEST_NAME = 60, 25, 10


def feeder_figure(feeder: Feeder, table: FeederTable) -> Figure:
    """Buses by class and load, lines by voltage and rating, open lines, zones, sources, ...

    table: with all lines, as from `abm.grid.reconfigure.all_lines`.
    """
    places, is_map = layout(feeder)
    height = WIDE_IN * (0.72 if is_map else min(1.2, max(0.35, 0.045 * np.ptp(places[:, 1]) + 0.2)))
    title = f"{table.name}: {table.description}" if table.description else table.name
    fig, axes = figure(_short(title), height, WIDE_IN)
    prepare(axes, places, is_map)
    _draw_lines(axes, feeder, table, places, is_map)
    _draw_buses(axes, feeder, places)
    with mpl.rc_context(STYLE):
        handles, labels = axes.get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=4)
    return fig


def reconfiguration_figure(change: Reconfiguration, before: Results, after: Results) -> Figure:
    """Which lines are opened and closed, lowest voltage of each bus, and losses by hour."""
    feeder, table = before.record.feeder, change.before
    places, is_map = layout(feeder)
    fig, (top, low, loss) = panels(3, 1, (WIDE_IN, 8.2), height_ratios=(2.2, 1.0, 1.0))
    prepare(top, places, is_map)
    _draw_change(top, change, feeder, places, is_map)
    looks = ((before, "before", GREY, "--"), (after, "after", BLUE, "-"))
    numbers = feeder.bus_numbers
    joined = {frozenset(ends) for ends in zip(feeder.line_from, feeder.line_to, strict=True)}
    breaks = [i for i in range(1, feeder.n_bus) if frozenset((i - 1, i)) not in joined]
    for results, label, colour, style in looks:
        flows = results.record.flows
        vm_pu = np.where(np.isnan(flows.vm_pu), np.inf, flows.vm_pu).min(axis=(0, 1))
        vm_pu[np.isinf(vm_pu)] = np.nan
        at = np.insert(np.arange(feeder.n_bus, dtype=np.float64), breaks, np.nan)
        low.plot(at, np.insert(vm_pu, breaks, np.nan), color=colour, ls=style, marker=".", ms=3,
                 label=label)  # fmt: skip
        n_hours = len(results.clock_hours)
        hour_steps(loss, 1e3 * flows.loss_mw[:, 0], n_hours, color=colour, ls=style, label=label)
    limit = before.record.scenario.grid.vm_min_pu
    low.axhline(limit, color=GREY, ls=":", lw=1.0, label="lower limit")
    every = max(1, feeder.n_bus // 16)
    with mpl.rc_context(STYLE):
        top.set_title(_short(f"{table.name}: configuration of least loss"), fontsize=8)
        shown = np.arange(0, feeder.n_bus, every)
        low.set_xticks(shown, [str(numbers[at]) for at in shown])
        low.set(xlabel="Bus", ylabel="Lowest voltage (p.u.)")
        clock_axis(loss, before.clock_hours)
        loss.set(ylabel="Losses (kW)", ylim=(0, None))
        for axes in (top, low, loss):
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def _draw_change(
    axes: Axes, change: Reconfiguration, feeder: Feeder, places: FloatArray, is_map: bool
) -> None:
    """Lines by what becomes of them; feeder: as it was."""
    table = change.before
    ends = _ends(feeder, table)
    stays = ~table.is_open & ~change.after.is_open
    looks: tuple[tuple[Any, str, Any, str, float], ...] = (
        (stays, GREY, "-", "closed as before", 0.9),
        (table.is_open & change.after.is_open, GREY, (0, (2, 2)), "open as before", 0.8),
        (change.opened, ORANGE, (0, (1, 1)), "opened", 2.2),
        (change.closed, GREEN, "-", "closed now", 2.0),
    )
    for rows, colour, style, label, width in looks:
        ways = [way(places[pair], is_map, feeder.has_line(*pair)) for pair in ends[rows]]
        _collect(axes, ways, colour, style, width, label)
    others = [[one, other] for one, other, (kind, _) in feeder.connections if kind != "line"]
    ways = [way(places[pair], is_map) for pair in others]
    _collect(axes, ways, BLACK, "-", 0.9, "transformer, switch")
    _dots(axes, places, s=8, color=BLACK, lw=0, zorder=3)
    _dots(axes, places[feeder.slack_buses], s=40, color=BLACK, marker="s", zorder=4, label="source")
    _number(axes, feeder, places)


# --- what is drawn -----------------------------------------------------------------------------


def _ends(feeder: Feeder, table: FeederTable) -> IntArray:
    """Bus positions at the ends of each line of a table, [n, 2]."""
    ends = np.column_stack([table.line_from, table.line_to]) - 1
    return np.searchsorted(feeder.bus_index, ends).astype(np.int64)


def prepare(axes: Axes, places: FloatArray, is_map: bool) -> None:
    """Axes without ticks, with the proportions of a map where they are of one."""
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    if is_map:
        axes.set_aspect(aspect_of(places), adjustable="datalim")
    axes.margins(0.06)


def _collect(
    axes: Axes, ways: list[FloatArray], colour: str, style: Any, width: Any, label: str
) -> None:
    """Lines of one look, and how they are called in the legend; "" where they are not."""
    if not ways:
        return
    lines = LineCollection(ways, colors=colour, linestyles=[style], linewidths=width)
    lines.set_capstyle("round")
    lines.set_label(label or "_")
    axes.add_collection(lines)
    axes.autoscale_view()


def _draw_lines(
    axes: Axes, feeder: Feeder, table: FeederTable, places: FloatArray, is_map: bool
) -> None:
    index = table.line_index if len(table.line_index) else np.arange(len(table.line_from))
    # Of a line that is open at one end the other is under voltage, and solved.
    shut = ~np.isin(feeder.line_index, index[table.is_open])
    rated = feeder.ampacity_a[np.isfinite(feeder.ampacity_a)]
    low, span = (rated.min(), np.ptp(rated)) if len(rated) else (0.0, 0.0)
    for place, level in enumerate(sorted(set(feeder.vn_kv.tolist()), reverse=True)):
        rows = np.flatnonzero(shut & (feeder.vn_kv[feeder.line_from] == level))
        amperes = feeder.ampacity_a[rows]
        known = amperes[np.isfinite(amperes)]
        share = (amperes - low) / span if span > 0.0 else np.full(len(rows), 0.5)
        width = np.where(np.isfinite(share), 0.7 + 1.6 * share, 0.7)
        some = "rating not known"
        if len(known):
            some = " to ".join(dict.fromkeys(f"{a:.0f}" for a in (known.min(), known.max()))) + " A"
        ends = zip(feeder.line_from[rows], feeder.line_to[rows], strict=True)
        ways = [way(places[[one, other]], is_map) for one, other in ends]
        colour = _OF_VOLTAGE[place % len(_OF_VOLTAGE)]
        _collect(axes, ways, colour, "-", width, f"{level:g} kV, {some}")
    ties = [
        way(places[pair], is_map, of_tree=False) for pair in _ends(feeder, table)[table.is_open]
    ]
    _collect(axes, ties, GREY, (0, (3, 2)), 0.8, "open line")
    others = [(one, other, kind) for one, other, (kind, _) in feeder.connections if kind != "line"]
    ways = [way(places[[one, other]], is_map) for one, other, _ in others]
    _collect(axes, ways, BLACK, "-", 0.8, "")
    middle = [
        way[-2:].mean(axis=0)
        for way, (_, _, kind) in zip(ways, others, strict=True)
        if kind.startswith("trafo")
    ]
    if middle:
        _dots(axes, np.array(middle), s=34, marker="D", facecolor="white", edgecolor=BLACK, lw=0.9,
              zorder=4, label="transformer")  # fmt: skip


def _draw_buses(axes: Axes, feeder: Feeder, places: FloatArray) -> None:
    load = feeder.load_p_mw.clip(min=0.0)
    most = load.max(initial=0.0)
    # A town of dots is no picture.
    scale = 1.0 if feeder.n_bus <= _MOST_NUMBERS else (0.5 if feeder.n_bus <= 500 else 0.15)
    size = scale * (6.0 + 40.0 * np.sqrt(load / most if most > 0.0 else load))
    bare = load <= 0.0
    _dots(axes, places[bare], s=5, color=GREY, lw=0, zorder=3)
    for place, name in enumerate(feeder.class_names):
        chosen = (feeder.bus_class == place) & ~bare
        colour = _OF_CLASS.get(name, _OTHER_CLASSES[place % len(_OTHER_CLASSES)])
        if chosen.any():
            _dots(axes, places[chosen], s=size[chosen], color=colour,
                         edgecolor="white", lw=0.3, zorder=5,
                         label=f"{name}, {load[chosen].sum():.3g} MW")  # fmt: skip
    zones = feeder.zone_bus
    if len(zones):
        _dots(axes, places[zones], s=size[zones] + 26.0 * scale, facecolor="none", edgecolor=ORANGE,
                     lw=0.9, zorder=6, label=f"{len(zones)} zones")  # fmt: skip
    if (feeds := feeder.generation) is not None:
        fig = axes.get_figure(root=True)
        beside = offset_copy(axes.transData, fig, x=-4.5, y=-4.5, units="points")
        _dots(axes, places[feeds.bus], s=13, marker="^", color=WINE, lw=0, zorder=7,
              transform=beside, label=f"generation, {feeds.p_mw.sum():.3g} MW")  # fmt: skip
    _dots(axes, places[feeder.slack_buses], s=44, marker="s", color=BLACK, zorder=7, label="source")
    _number(axes, feeder, places)


def _dots(axes: Axes, places: FloatArray, **look: Any) -> None:
    """A marker at each of these places, [n, 2]."""
    axes.scatter(places[:, 0], places[:, 1], **look)


def _number(axes: Axes, feeder: Feeder, places: FloatArray) -> None:
    """Numbers of the buses, with the source's names where these are short; one text at a place."""
    if feeder.n_bus > _MOST_NUMBERS:
        return
    texts = [str(number) for number in feeder.bus_numbers]
    names = feeder.labels.bus.tolist()
    if names and feeder.n_bus <= _MOST_NAMES and max(map(len, names)) <= _LONGEST_NAME:
        texts = [f"{text} {name}" for text, name in zip(texts, names, strict=True)]
    at: dict[tuple[float, float], list[str]] = {}
    for (x, y), text in zip(places.tolist(), texts, strict=True):
        at.setdefault((x, y), []).append(text)
    for place, here in at.items():
        axes.annotate(", ".join(here), place, xytext=(3.5, 3.5), textcoords="offset points",
                      fontsize=5.5, zorder=8)  # fmt: skip


def _short(text: str) -> str:
    return text if len(text) <= 110 else f"{text[:107]}..."
