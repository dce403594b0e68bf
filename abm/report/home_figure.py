"""Voltages of the homes of a three-phase feeder, along it and by phase."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.report.figures import BLACK, GREY, figure, legend_below
from abm.report.phase_figure import OF_PHASE
from abm.results import Results
from abm.results.flows import highest_voltage
from abm.results.indicators import grain_of
from abm.scenario.phase_values import PHASES


def home_voltage_figure(title: str, results: Results) -> Figure:
    """Lowest and highest voltage of every home over the horizon, by distance along the lines.

    Homes of several phases stand apart from those of each phase alone. Load flows without a
    solution have no voltage, and the legend says how many they are. RuntimeError on a balanced
    feeder.
    """
    record, feeder = results.record, results.record.feeder
    if not isinstance(feeder, ThreePhaseFeeder):
        raise RuntimeError("only a three-phase feeder has homes")
    fig, axes = figure(title)
    distance, axis = feeder.home_distance_m, "Distance from the transformer (m)"
    if np.isnan(distance).all():
        distance, axis = np.arange(1.0, feeder.n_bus + 1.0), "Home"
    solved = record.flows.converged[:, 0]
    low = record.flows.vm_pu[solved, 0]
    high = highest_voltage(record)[solved, 0]
    there = feeder.phases.home_phases
    looks = [(PHASES[i], there[:, i] & (there.sum(axis=1) == 1), *OF_PHASE[i]) for i in range(3)]
    looks.append(("several", there.sum(axis=1) > 1, BLACK, "D"))
    size = 3.2 if feeder.n_bus <= 400 else 1.6
    for name, mine, colour, marker in looks:
        if not (mine.any() and solved.any()):
            continue
        at, least, most = distance[mine], low[:, mine].min(axis=0), high[:, mine].max(axis=0)
        axes.vlines(at, least, most, color=colour, lw=0.5, alpha=0.35)
        label = f"phase {name}" if len(name) == 1 else "several phases"
        axes.plot(at, least, ls="", marker=marker, ms=size, color=colour, label=label)
    grid = record.scenario.grid
    least = float(low.min()) if low.size else grid.vm_min_pu
    most = float(high.max()) if high.size else grid.vm_max_pu
    # A limit that nothing comes near would press the rest together.
    room = max(most - least, 0.02)
    for limit in (grid.vm_min_pu, grid.vm_max_pu):
        if least - room < limit < most + room:
            axes.axhline(limit, color=GREY, ls=":", lw=1.0, label=f"limit {limit:g} p.u.")
    failed = int((~solved).sum())
    if failed:
        axes.plot([], [], ls="", label=f"{failed} of {len(solved)} not converged")
    if not solved.any():
        axes.set_xlim(0.0, float(np.nanmax(distance)))
    axes.set_xlabel(axis)
    axes.set_ylabel(f"Lowest (mark) to highest\nvoltage, {grain_of(record.flow_min)} (p.u.)")
    legend_below(fig, axes, 2 if failed else 3)
    return fig
