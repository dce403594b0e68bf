"""Figures 1-8 of the paper, drawn from the runs of `reproduce`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from abm.report.figures import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    Drawings,
    clock_axis,
    figure,
    hour_steps,
    legend_below,
    limit_line,
    zone_map,
)
from abm.report.labels import name_curves
from abm.report.look import look_of
from abm.results import Results
from abm.results.indicators import grain_of
from abm.study import Reproduction
from abm.study.reproduce import RUNS

DEMAND = "Mean power of the hour (MW)"


def paper_figures(study: Reproduction) -> Drawings:
    """Figures 1 to 8; without EVs those that show something else."""
    g2v, evms = (study.results(case, "as_printed") for case in ("g2v", "evms"))
    most_kw = max(float(np.abs(results.zone_kw).max()) for results in (g2v, evms))
    found = {
        "fig1_arrivals": lambda: _arrivals(g2v),
        "fig2_price": lambda: _price(g2v),
        # One scale for both, so that the same colour is the same power.
        "fig3_g2v_by_zone": lambda: _by_zone("Fig. 3  EV charging by zone, G2V only", g2v, most_kw),
        "fig4_evms_by_zone": lambda: _by_zone(
            "Fig. 4  EV charging (+), V2G (-) by zone, EVMS", evms, most_kw
        ),
        "fig5_ev_demand": lambda: _ev_demand(study),
        "fig6_system_g2v": lambda: _system(study, "g2v", "Fig. 6  System demand, G2V only"),
        "fig7_system_evms": lambda: _system(study, "evms", "Fig. 7  System demand, EVMS (V2G+G2V)"),
        "fig8_voltage": lambda: _voltage(study),
    }
    if g2v.kpis["evs"]:
        return found
    return {name: found[name] for name in ("fig2_price", "fig6_system_g2v", "fig8_voltage")}


def _by_zone(title: str, results: Results, top_kw: float) -> Figure:
    return zone_map(title, results.zone_kw.T, results.clock_hours, "kW", True, top_kw)


def _arrivals(results: Results) -> Figure:
    ev, n_hours = results.record.ev, results.n_hours
    counts = np.zeros((results.zone_kw.shape[1], n_hours))
    hour = (ev["arrival_min"] // 60).astype(np.int64)
    inside = hour < n_hours
    np.add.at(counts, (ev["zone"][inside], hour[inside]), 1.0)
    # The arrivals fill a third of the day; show that part, one hour on either side.
    seen = np.flatnonzero(counts.sum(axis=0))
    first, last = max(seen[0] - 1, 0), min(seen[-1] + 2, n_hours)
    return zone_map(
        "Fig. 1  Arrivals of EVs by zone",
        counts[:, first:last],
        results.clock_hours[first:last],
        "EVs per hour",
    )


def _price(results: Results) -> Figure:
    fig, axes = figure("Fig. 2  Dynamic electricity price")
    price = results.hourly["price"].to_numpy()
    ratio = results.record.scenario.tariff.sale_ratio
    hour_steps(axes, price, color=BLUE, lw=1.5, label="purchase")
    hour_steps(axes, ratio * price, color=ORANGE, ls="--", label=f"sale ({ratio:g} x purchase)")
    axes.set_ylabel("Price ($/kWh)")
    axes.set_ylim(0.0, 1.1 * axes.get_ylim()[1])
    clock_axis(axes, results.clock_hours)
    name_curves(fig, axes)
    return fig


def _ev_demand(study: Reproduction) -> Figure:
    fig, axes = figure("Fig. 5  EV demand, G2V only and EVMS", height_in=2.8)
    for case, name in (("g2v", "G2V"), ("evms", "EVMS")):
        for reading, label, style in (
            ("as_printed", "as printed", "-"),
            ("energy_balanced", "energy-balanced", "--"),
        ):
            results = study.results(case, reading)
            hour_steps(
                axes, results.ev_mw, color=look_of(case).color, ls=style, label=f"{name}, {label}"
            )
    axes.axhline(0.0, color=BLACK, lw=0.6)
    axes.set_ylabel(DEMAND)
    clock_axis(axes, results.clock_hours)
    legend_below(fig, axes)
    return fig


def _system(study: Reproduction, case: str, title: str) -> Figure:
    """System demand of a case in both readings, on the axis that all cases share."""
    color = look_of(case).color
    fig, axes = figure(title, height_in=2.8)
    printed, balanced = (study.results(case, r) for r in ("as_printed", "energy_balanced"))
    hour_steps(axes, printed.base_mw, color=BLACK, ls="-.", lw=1.0, label="base")
    hour_steps(axes, printed.total_mw, color=color, lw=1.5, label="as printed")
    hour_steps(axes, balanced.total_mw, color=color, ls="--", label="energy-balanced")
    limit_line(axes, printed.record.limit_mw())
    axes.set_ylabel(DEMAND)
    demands = [study.results(*run).total_mw for run in RUNS]
    axes.set_ylim(0.0, 1.05 * max(float(demand.max()) for demand in demands))
    clock_axis(axes, printed.clock_hours)
    legend_below(fig, axes)
    return fig


def _voltage(study: Reproduction) -> Figure:
    profiles = {}
    for case, name in (("base", "base"), ("g2v", "G2V"), ("evms", "EVMS")):
        results = study.results(case, "as_printed")
        hour = int(np.argmax(results.total_mw))
        label = f"{name}, peak at {results.clock_hours[hour]}:00"
        look = look_of(case)
        profiles[label] = (results, hour, look.color, look.dash, look.marker)
    evms = study.results("evms", "as_printed")
    evening = int(np.argmax(evms.base_mw))
    label = f"EVMS at {evms.clock_hours[evening]}:00"
    profiles[label] = (evms, evening, BLACK, ":", "x")
    return _profiles("Fig. 8  Node voltages at the peak (as printed)", profiles)


def _profiles(title: str, profiles: Mapping[str, tuple[Results, int, str, Any, str]]) -> Figure:
    """Voltage by bus, as the paper has it.

    profiles: label -> (results, load flow by its number from 0, colour, line style, marker). One
    that did not converge has no curve, and the legend says so.
    """
    fig, axes = figure(title)
    first = next(iter(profiles.values()))[0]
    feeder = first.record.feeder
    numbers = feeder.bus_numbers
    joined = {tuple(sorted(ends)) for ends in zip(feeder.line_from, feeder.line_to, strict=True)}
    # A lateral does not begin where the bus before it in number ends: no stroke between them.
    breaks = [i for i in range(1, feeder.n_bus) if (i - 1, i) not in joined]
    for label, (results, flow, color, style, marker) in profiles.items():
        solved = bool(results.flows.converged[flow])
        axes.plot(
            np.insert(numbers.astype(np.float64), breaks, np.nan),
            np.insert(results.flows.vm_pu[flow], breaks, np.nan),
            color=color,
            ls=style,
            marker=marker,
            ms=2.2,
            lw=1.0,
            label=label if solved else f"{label}: not converged",
        )
    low = first.record.scenario.grid.vm_min_pu
    axes.axhline(low, color=GREY, ls=":", lw=1.0, label=f"lower limit {low:g} p.u.")
    axes.set_xlabel("Bus (N1 is the substation)" if numbers[0] == 1 else "Bus")
    axes.set_ylabel(f"Voltage, {grain_of(first.record.flow_min)} (p.u.)")
    axes.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
    legend_below(fig, axes, 2)
    return fig
