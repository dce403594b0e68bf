"""The balance of the zones with PV and batteries as a picture: where power comes from and goes."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abm.equations import FloatArray
from abm.report.figures import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    STYLE,
    YELLOW,
    clock_axis,
    hour_steps,
    panels,
    width_for,
)
from abm.results import Results
from abm.results.flows import zone_load, zone_net
from abm.results.indicators import grain_of

# Above the line what the zones have, below it what becomes of it, from the line outwards.
SOURCES = (("PV", YELLOW), ("battery", GREEN), ("V2G", PURPLE), ("from the feeder", GREY))
USES = (("load", "#C4C4C4"), ("EVs", BLUE), ("battery", GREEN), ("to the feeder", SKY))


def balance_figure(title: str, results: Results) -> Figure:
    """Where the power of the zones comes from and where it goes, all of them together.

    Mean powers over the load flows, of a city the mean of its feeders; both sides are equal. Below,
    where there are batteries, what is in them, and what was curtailed where PV was.
    """
    record, supply = results.record, results.record.supply
    if supply is None:
        raise ValueError("a run without PV and batteries has no balance to show")
    flows, per_hour = len(supply.charge_mw), record.flows_per_hour

    def total(values: FloatArray) -> FloatArray:
        return np.asarray(values.sum(axis=2).mean(axis=1))

    net = zone_net(record)
    # Within an hour the meter has the net power alone; what is given in one flow is V2G there.
    given = record.zone_discharge_mw if per_hour == 1 else np.maximum(-net, 0.0)
    have = [supply.pv_mw, supply.discharge_mw, given, supply.imported_mw]
    become = [zone_load(record), net + given, supply.charge_mw, supply.exported_mw]
    stored = bool(supply.capacity_kwh.any())
    cut = total(supply.curtailed_mw)
    rows = 2 if stored else 1
    size = (width_for(results.n_hours), 3.0 + 1.1 * (rows - 1))
    heights = {"gridspec_kw": {"height_ratios": [2.6, 1.0]}} if stored else {}
    fig, axes = panels(rows, 1, size, sharex=True, **heights)
    edges = np.linspace(0.0, results.n_hours, flows + 1)
    with mpl.rc_context(STYLE):
        fig.suptitle(title, fontsize=8)
        for parts, looks, sign in ((have, SOURCES, 1.0), (become, USES, -1.0)):
            _stack(axes[0], edges, [sign * total(part) for part in parts], looks)
        if cut.any():
            top = np.where(cut > 0.0, sum(total(part) for part in have) + cut, np.nan)
            look = {"color": ORANGE, "lw": 1.0, "ls": ":", "label": "PV curtailed"}
            hour_steps(axes[0], top, results.n_hours, **look)
        axes[0].axhline(0.0, color=BLACK, lw=0.8)
        axes[0].set_ylabel(f"Power of the zones,\n{grain_of(record.flow_min)} (MW)")
        low, high = axes[0].get_ylim()
        axes[0].set_ylim(1.12 * low, 1.12 * high)
        for at, word, edge in ((0.97, "comes from", "top"), (0.03, "goes to", "bottom")):
            axes[0].text(0.015, at, word, transform=axes[0].transAxes, va=edge, fontsize=6.5)
        if stored:
            share = 1e5 * total(supply.stored_mwh) / supply.capacity_kwh.sum()
            begin = 100.0 * record.scenario.storage.soc_start
            axes[1].plot(edges, np.append(begin, share), color=GREEN, lw=1.2)
            axes[1].set_ylim(0.0, 105.0)
            axes[1].set_ylabel("Batteries (%)")
        clock_axis(axes[-1], results.clock_hours)
        handles, labels = axes[0].get_legend_handles_labels()
        first = dict(zip(labels, handles, strict=True))
        fig.legend(first.values(), first.keys(), loc="outside lower center", ncols=3)
        fig.align_ylabels(axes)
    return fig


def _stack(
    axes: Axes, edges: FloatArray, parts: list[FloatArray], looks: tuple[tuple[str, str], ...]
) -> None:
    """Areas one on top of the other, each with its name where there is any of it."""
    base = np.zeros(len(edges))
    for part, (label, color) in zip(parts, looks, strict=True):
        top = base + np.append(part, part[-1])
        if part.any():
            axes.fill_between(edges, base, top, step="post", color=color, lw=0, label=label)
        base = top
