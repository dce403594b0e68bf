"""Hosting capacity in figures and on the terminal: how often limits are broken, and where."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from abm.equations import FloatArray
from abm.grid import Feeder, build_feeder
from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.report.feeder_figures import prepare
from abm.report.figures import BLACK, GREY, STYLE, WIDE_IN, Drawings, figure, panels
from abm.report.layout import Layout, feeder_layout
from abm.report.look import looks_of
from abm.report.sentences import count
from abm.report.terminal import new_table, print_lines, show
from abm.report.units import number
from abm.study.hosting_limits import UNSOLVED, VOLTAGES, in_words
from abm.study.hosting_results import BOUND, Hosting, Outcome
from abm.study.hosting_tables import capacity_table, no_plan_from

# How often something is broken, from hardly ever to always; what never is stays grey.
_OFTEN: Colormap = LinearSegmentedColormap.from_list("often", ["#F6C667", "#D55E00", "#5B0A2E"])
_NEVER = "#C9CDD2"
_MOST_PANELS = 6


def hosting_figures(study: Hosting) -> Drawings:
    """How often a limit is broken by the share of EVs, and where on the feeder."""
    return {"probability": lambda: probability_figure(study), "map": lambda: map_figure(study)}


# --- probability by share ----------------------------------------------------------------------


def probability_figure(study: Hosting) -> Figure:
    """How often a limit is broken at each share, with its interval, one line per strategy."""
    rungs = study.asked.ladder
    fig, axes = figure("How often a limit is broken", 3.0, 5.4)
    looks = looks_of(study.asked.strategies)
    lines: list[tuple[str, Any, FloatArray, FloatArray]] = []
    # Many bands over each other would hide what they are of.
    alpha = 0.13 if len(looks) <= 3 else 0.07
    with mpl.rc_context(STYLE):
        for name, look in looks.items():
            of_rung = {at: one for at, one in study.of(name).items() if len(one.bad)}
            x = 100.0 * np.array([rungs.shares[at] for at in of_rung])
            y = 100.0 * np.array([one.bad.mean() for one in of_rung.values()])
            ends = 100.0 * np.array([rungs.interval(one.bad) for one in of_rung.values()])
            if not len(x):
                continue
            axes.fill_between(x, ends[:, 0], ends[:, 1], color=look.color, alpha=alpha, lw=0)
            axes.plot(x, y, **look.line, marker=look.marker, ms=3.0, label=name, clip_on=False)
            lines.append((name, look.ink, x, y))
        axes.axhline(100.0 * rungs.risk, color=GREY, ls=":", lw=1.0)
        span = 100.0 * rungs.shares[0], 100.0 * rungs.shares[-1]
        axes.set(xlim=span, ylim=(0.0, 100.0))
        axes.set_xlabel("Customers with an EV (%)")
        axes.set_ylabel("Replications that break a limit (%)")
        axes.annotate(
            f"{100.0 * rungs.risk:g} % risk", (span[1], 100.0 * rungs.risk), xytext=(3, 0),
            textcoords="offset points", va="center", fontsize=6.5, color=GREY,
        )  # fmt: skip
        _label(axes, lines)
    return fig


def _label(axes: Axes, lines: list[tuple[str, Any, FloatArray, FloatArray]]) -> None:
    """The name of each line beside it: where it rises past a height of its own, else at its end."""
    low_ends: list[float] = []
    for row, (name, colour, x, y) in enumerate(lines):
        height = 88.0 - 66.0 * row / max(len(lines) - 1, 1)
        above = np.flatnonzero(y >= height)
        if len(above) and above[0] > 0:
            i = above[0]
            at = x[i - 1] + (x[i] - x[i - 1]) * (height - y[i - 1]) / (y[i] - y[i - 1])
            left, right = axes.get_xlim()
            late = at > left + 0.8 * (right - left)
            where: dict[str, Any] = {"xy": (at, height), "xytext": (-4 if late else 4, 0)}
            where |= {"va": "center", "ha": "right" if late else "left"}
        else:
            here = float(x[0]) if len(above) else float(x[-1])
            stacked = sum(abs(y[-1] - other) < 8.0 for other in low_ends)
            low_ends.append(float(y[-1]))
            side = {"ha": "left" if len(above) else "right", "va": "bottom"}
            where = {"xy": (here, height if len(above) else y[-1]), **side}
            where["xytext"] = (4 if len(above) else -2, 2 + 9 * stacked)
        axes.annotate(
            name, textcoords="offset points", fontsize=6.5, color=colour, zorder=6,
            bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 0.6}, **where,
        )  # fmt: skip


# --- where -------------------------------------------------------------------------------------


def map_figure(study: Hosting) -> Figure:
    """The feeder, a panel per strategy: how often each element breaks a limit.

    At the first share that does not keep the risk, else at the highest.
    """
    feeder = build_feeder(study.asked.scenario.inputs.feeder)
    names = study.asked.strategies[:_MOST_PANELS]
    at = feeder_layout(feeder)
    columns = 2 if len(names) in (2, 4) else min(len(names), 3)
    rows = -(-len(names) // columns)
    tall = 0.62 if at.is_map else min(1.0, max(0.4, 0.05 * float(np.ptp(at.y)) + 0.3))
    size = (WIDE_IN, 0.5 + rows * (0.3 + tall * WIDE_IN / columns))
    fig, axes = panels(rows, columns, size)
    shown: dict[str, int] = {}
    for name in names:
        first = study.capacities[name].first
        shown[name] = max(study.of(name)) if first is None else first
    most = max(_most_often(study.outcomes[name, at]) for name, at in shown.items())
    norm = Normalize(0.0, max(10.0 * np.ceil(most / 10.0), 10.0))
    with mpl.rc_context(STYLE):
        for ax, name in zip(axes, names, strict=False):
            one = study.outcomes[name, shown[name]]
            share = f"{100.0 * study.asked.ladder.shares[shown[name]]:.3g} % with an EV"
            ax.set_title(f"{name}, {share}", fontsize=7.5)
            prepare(ax, np.column_stack([at.x, at.y]), at.is_map)
            _draw(ax, feeder, one, at, norm)
        for ax in axes[len(names) :]:
            ax.set_visible(False)
        scale = ScalarMappable(norm, _OFTEN)
        bar = fig.colorbar(
            scale, ax=axes[: len(names)], location="bottom", shrink=0.5, pad=0.02, aspect=40
        )
        bar.set_label("Replications that break a limit here (%); grey: none")
    return fig


def _most_often(one: Outcome) -> float:
    """In which part of the replications the element broke a limit that did so most often, %."""
    counts = [count for kind in one.broken for count in one.elements(kind).values()]
    return 100.0 * max(counts, default=0) / max(len(one.bad), 1)


def _draw(axes: Axes, feeder: Feeder, one: Outcome, at: Layout, norm: Normalize) -> None:
    often = _percent(one, ("line",), feeder.line_names)
    axes.add_collection(LineCollection(at.joins, colors=_NEVER, linewidths=0.9, zorder=2))
    for broken in (False, True):
        rows = np.flatnonzero((often > 0.0) == broken)
        colours = _OFTEN(norm(often[rows])) if broken else _NEVER
        lines = LineCollection(
            [at.ways[row] for row in rows], colors=colours, linewidths=2.0 if broken else 0.9,
            zorder=3 if broken else 2,
        )  # fmt: skip
        lines.set_capstyle("round")
        axes.add_collection(lines)
    places = np.column_stack([at.x, at.y])
    if isinstance(feeder, ThreePhaseFeeder):
        unbalanced = _percent(one, ("unbalance",), at.bus_names)
        _dots(axes, places[unbalanced > 0.0], unbalanced[unbalanced > 0.0], norm, "^", 20.0)
    _dots(axes, places[at.at], _percent(one, VOLTAGES, feeder.bus_names), norm, "o", 16.0)
    here = np.column_stack([at.transformer_x, at.transformer_y])
    if len(here):
        percent = _percent(one, ("transformer",), feeder.network.transformers.names)
        _dots(axes, here, percent, norm, "D", 34.0)
    _scatter(axes, places[at.slack], s=34, marker="s", color=BLACK, zorder=6)
    axes.autoscale_view()


def _dots(
    axes: Axes, places: FloatArray, often: FloatArray, norm: Normalize, marker: str, size: float
) -> None:
    never = often <= 0.0
    look: dict[str, Any] = {"marker": marker, "edgecolor": "white", "lw": 0.3}
    _scatter(axes, places[never], s=0.35 * size, color=_NEVER, zorder=4, **look)
    _scatter(axes, places[~never], s=size, c=_OFTEN(norm(often[~never])), zorder=5, **look)


def _scatter(axes: Axes, places: FloatArray, **look: Any) -> None:
    axes.scatter(places[:, 0], places[:, 1], **look)


def _percent(one: Outcome, kinds: tuple[str, ...], names: tuple[str, ...]) -> FloatArray:
    """Part of the replications in which each element breaks any of these limits, %."""
    counts: dict[str, int] = {}
    for k in range(len(one.bad)):
        for name in {name for kind in kinds if kind in one.broken for name in one.broken[kind][k]}:
            counts[name] = counts.get(name, 0) + 1
    return 100.0 * np.array([counts.get(name, 0) for name in names]) / max(len(one.bad), 1)


# --- the terminal ------------------------------------------------------------------------------


def print_hosting(study: Hosting) -> None:
    """What each strategy hosts, what binds, and what has to be said beside it."""
    asked = study.asked
    title = f"{asked.scenario.name}: customers with an EV that the grid can carry"
    of_numbers = ("share %", "interval %", "EVs", "EVs short %", "broken at %")
    table = new_table(title, ("Strategy",), of_numbers)
    table.add_column("what binds there", no_wrap=True)
    for row in capacity_table(study).to_dict("records"):
        low, high = (_percent_text(row[name]) for name in ("low", "high"))
        share = _percent_text(row["share"])
        if np.isnan(row["next_share"]):
            share = f">= {share}"
        binds = in_words(str(row["limit"]))
        table.add_row(
            str(row["strategy"]),
            "none" if np.isnan(row["share"]) else share,
            f"{low} .. {high}",
            number(row["evs"], 0),
            number(row["evs_short_percent"], 1),
            _percent_text(row["next_share"]),
            f"{binds} {row['element']}".strip(),
        )
    show(table)
    print_lines(hosting_lines(study))


def _percent_text(share: float) -> str:
    return "-" if np.isnan(share) else f"{100.0 * share:.4g}"


def _what_holds(study: Hosting) -> str:
    """What the shares of the table are."""
    rungs, table = study.asked.ladder, capacity_table(study)
    risk = f"{100.0 * rungs.risk:g} % of replications"
    how_many = f"{rungs.replications} at most of each share"
    if table["share"].isna().all():
        return f"At each share looked at a limit is broken in more than {risk} ({how_many})."
    beyond = "" if table["next_share"].isna().all() else ", at the next in more"
    return f"Up to that share a limit is broken in at most {risk} ({how_many}){beyond}."


def hosting_lines(study: Hosting) -> list[str]:
    """Sentences on what the table does not say."""
    rungs = study.asked.ladder
    lines = [_what_holds(study)]
    rated = np.isfinite(build_feeder(study.asked.scenario.inputs.feeder).ampacity_a)
    if not rated.all():
        lines.append(f"{(~rated).sum()} of {len(rated)} lines have no rating and are not judged.")
    first = study.asked.strategies[0]
    base = study.of(first).get(0)
    if rungs.evs[0] == 0 and base is not None and rungs.exceeds(base.bad):
        kind, element = base.binds()
        lines.append(
            f"The load without any EV breaks a limit in {100.0 * base.bad.mean():.3g} % of "
            f"replications already, most often {in_words(kind)} {element}".rstrip()
            + "."
        )
    lines += [
        f"{fall.strategy}: not monotone. At {100.0 * fall.higher:.4g} % a limit is broken less "
        f"often than at {100.0 * fall.lower:.4g} %: {count(fall.only_lower, 'replication')} only "
        f"at the latter, {fall.only_higher} only at the former."
        for fall in study.falls
    ]
    for name in study.asked.strategies:
        rows = study.of(name).values()
        unsolved = sum(int(one.by_limit[UNSOLVED].sum()) for one in rows)
        if unsolved:
            lines.append(
                f"{name}: in {count(unsolved, 'replication')} a load flow did not converge; "
                f"{'it counts' if unsolved == 1 else 'they count'} as broken."
            )
    if BOUND in study.asked.strategies:
        lines.append(
            f"{BOUND}: a plan of least peak with perfect foresight. Where it breaks a voltage or a "
            "line, another plan might not."
        )
        share = no_plan_from(study)
        if share is not None:
            lines.append(
                f"At {100.0 * share:.4g} % there is no plan at all that keeps the head of the "
                f"feeder within its {study.head_mva:.4g} MVA in more than "
                f"{100.0 * rungs.risk:g} % of replications."
            )
        elif study.head_mva is not None:
            lines.append(
                "At no share that was looked at is the head of the feeder beyond what any plan "
                "could save."
            )
    return lines
