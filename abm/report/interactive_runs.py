"""Interactive figures of runs and comparisons, see `abm.report.interactive`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from abm.equations import FloatArray
from abm.report.interactive import (
    BLUE,
    GREY,
    ORANGE,
    SKY,
    Chart,
    Drawn,
    axis,
    band,
    base_layout,
    limit_trace,
    line_of,
    plain_numbers,
    start_ms,
    steps,
    time_axis,
    words,
)
from abm.report.look import BASE, look_of, looks_of
from abm.report.units import below_a_megawatt
from abm.results import Results
from abm.results.flows import highest_loading, highest_voltage
from abm.results.indicators import grain_of
from abm.results.record import Record

# Up to so many hours a figure has power by the minute, too; beyond so many it is by the day.
MINUTES_H, QUARTERS_H = 48, 24 * 31
# Cells of a heat map, and rows of it.
MOST_CELLS, MOST_ROWS = 40_000, 150
# Up to so many marks have their names beside them.
FEW = 4
PURPLE_TO_ORANGE = [
    [0.0, "#542788"],
    [0.25, "#998EC3"],
    [0.5, "#F7F7F7"],
    [0.75, "#F1A340"],
    [1.0, "#B35806"],
]
DOTTED = {"color": GREY, "dash": "dot", "width": 1.5}

# --- demand ------------------------------------------------------------------------------------


def grains(record: Record) -> tuple[tuple[str, float, Callable[[FloatArray], FloatArray]], ...]:
    """Grains of a figure of power: in words, min, and what is made of the means over them."""

    def as_it_is(values: FloatArray) -> FloatArray:
        return values

    def highest_of_day(values: FloatArray) -> FloatArray:
        return np.asarray(of_days(record, values).max(axis=1))

    if by_day(record):
        return (("highest 15 min of each day", 15.0, highest_of_day),)
    quarters = ("15 min", 15.0, as_it_is)
    if record.n_hours > MINUTES_H or record.scenario.clock.step_s > 60:
        return (quarters,)
    return (quarters, ("1 min", 1.0, as_it_is))


def by_day(record: Record) -> bool:
    """Whether the horizon is so long that figures are by the day."""
    return record.n_hours > QUARTERS_H and record.n_hours % 24 == 0


def of_days(record: Record, values: FloatArray) -> FloatArray:
    """Values of windows by the day: (W, ...) -> (days, windows of a day, ...)."""
    return values.reshape(record.n_hours // 24, -1, *values.shape[1:])


def power_title(record: Record) -> str:
    """What an axis of power says of its means."""
    names, unit = [name for name, _, _ in grains(record)], power_unit(record)[0]
    return f"Power ({unit})" if len(names) > 1 else f"Power, {names[0]} ({unit})"


def power_unit(record: Record) -> tuple[str, float]:
    """KW where the demand of a feeder stays below a megawatt, else MW; and how many are a MW."""
    peak_mw = float(record.demand_mw(15.0).max(initial=0.0))
    return ("kW", 1e3) if below_a_megawatt([peak_mw]) else ("MW", 1.0)


def _by_grain(record: Record, of_grain: Callable[[float, Any], list[Chart]], **more: Any) -> Chart:
    """A figure with buttons for its grains; of_grain makes the traces of one."""
    every = [of_grain(minutes, fold) for _, minutes, fold in grains(record)]
    traces = [{**trace, "visible": at == 0} for at, group in enumerate(every) for trace in group]
    axes = {"xaxis": time_axis(record.scenario), "yaxis": axis(power_title(record))}
    layout = base_layout(**axes, **more)
    if len(every) > 1:
        own = [at for at, group in enumerate(every) for _ in group]
        layout["updatemenus"] = [
            {
                "type": "buttons",
                "direction": "right",
                "x": 0,
                "xanchor": "left",
                "y": 1.02,
                "yanchor": "bottom",
                "buttons": [
                    {
                        "label": f"Means of {name}",
                        "method": "restyle",
                        "args": [{"visible": [group == at for group in own]}],
                    }
                    for at, (name, _, _) in enumerate(grains(record))
                ],
            }
        ]
        layout["margin"] = {**layout["margin"], "t": 44}
    return {"data": traces, "layout": layout}


def without_evs_mw(record: Record, minutes: float) -> FloatArray:
    """Demand without EVs, with PV and batteries of the zones, (W, K) [MW]."""
    base = record.base_demand_mw(minutes)
    return base if record.supply is None else base + record.supply_mw(minutes)


def demand(results: Results, limit_mw: float | None = None) -> Drawn:
    """System demand, EVs and demand without them against the limit.

    limit_mw: in the place of the scenario's. Of several feeders their mean, and between which
    values nine tenths of them are.
    """
    record, many = results.record, results.n_feeders > 1
    _, times = power_unit(record)
    if by_day(record):
        return _demand_by_day(record, limit_mw)

    def of_grain(minutes: float, fold: Callable[[FloatArray], FloatArray]) -> list[Chart]:
        system = times * fold(record.demand_mw(minutes))
        evs = times * fold(record.ev_power_mw(minutes)).mean(axis=1)
        base = times * fold(without_evs_mw(record, minutes)).mean(axis=1)
        filled = {"fill": "tozeroy", "fillcolor": "rgba(120,120,120,0.16)"}
        grey = line_of(look_of(BASE), width=1.2)
        traces = [steps(record.scenario, base, "without EVs", grey, **filled)]
        if many:
            low, high = np.quantile(system, [0.05, 0.95], axis=1)
            traces += band(record.scenario, low, high, BLUE, "5 to 95 %")
        traces += [
            steps(record.scenario, system.mean(axis=1), "system", {"color": BLUE, "width": 2.4}),
            steps(record.scenario, evs, "EVs, net", {"color": ORANGE, "dash": "dashdot"}),
            limit_trace(record.scenario, limit_mw, times),
        ]
        return traces

    about = "Demand with and without EVs, and what the EVs draw (below 0: they supply)."
    if many:
        about = (
            f"Mean of {results.n_feeders} feeders; nine tenths of them are within the band. {about}"
        )
    return Drawn("Demand against the limit", about, _by_grain(record, of_grain))


def _demand_by_day(record: Record, limit_mw: float | None) -> Drawn:
    """Lowest to highest 15 minutes of every day, and its mean."""
    unit, times = power_unit(record)
    scenario = record.scenario
    base = times * of_days(record, without_evs_mw(record, 15.0).mean(axis=1)).max(axis=1)
    traces = [steps(scenario, base, "highest without EVs", line_of(look_of(BASE), width=1.2))]
    for name, values, color in (
        ("system", record.demand_mw(15.0), BLUE),
        ("EVs, net", record.ev_power_mw(15.0), ORANGE),
    ):
        day = times * of_days(record, values.mean(axis=1))
        label = f"{name}, lowest to highest"
        traces += band(scenario, day.min(axis=1), day.max(axis=1), color, label)
        traces.append(steps(scenario, day.mean(axis=1), f"{name}, mean", {"color": color}))
    traces.append(limit_trace(scenario, limit_mw, times))
    layout = base_layout(xaxis=time_axis(scenario), yaxis=axis(f"Power, 15 min ({unit})"))
    about = "Of each day the lowest and the highest 15 minutes, and the mean."
    if record.n_feeders > 1:
        about = f"Mean of {record.n_feeders} feeders. {about}"
    return Drawn("Demand against the limit", about, {"data": traces, "layout": layout})


def demand_by_strategy(runs: Mapping[str, Results]) -> Drawn:
    """System demand of each strategy; a click on a name switches its curve off and on."""
    first = next(iter(runs.values()))
    record, looks = first.record, looks_of(runs)
    _, times = power_unit(record)

    def of_grain(minutes: float, fold: Callable[[FloatArray], FloatArray]) -> list[Chart]:
        base = times * fold(without_evs_mw(record, minutes)).mean(axis=1)
        filled = {"fill": "tozeroy", "fillcolor": "rgba(120,120,120,0.16)"}
        grey = line_of(look_of(BASE), width=1.0)
        traces = [steps(record.scenario, base, "without EVs", grey, **filled)]
        for name, one in runs.items():
            system = times * fold(one.record.demand_mw(minutes)).mean(axis=1)
            width = 4.0 if name.startswith("bound") else 2.0
            traces.append(steps(record.scenario, system, name, line_of(looks[name], width=width)))
        return [*traces, limit_trace(record.scenario, times=times)]

    chart = _by_grain(record, of_grain, height=520)
    about = "System demand. Click a name to switch its curve off or on, twice to see it alone."
    if first.n_feeders > 1:
        about = f"{about} Means of {first.n_feeders} feeders."
    return Drawn("Demand by strategy", about, chart)


def _names_collide(points: FloatArray) -> bool:
    """Whether names beside these points would cover each other. points: [n, 2]."""
    spans = np.ptp(points, axis=0)
    apart = np.abs(points[:, None] - points) / np.where(spans > 0.0, spans, 1.0)
    near = (apart[..., 0] < 0.4) & (apart[..., 1] < 0.08)
    return bool(near.sum() > len(points))


def cost_and_peak(rows: Sequence[Mapping[str, Any]], peak: str) -> Drawn:
    """Net cost against the highest demand, a mark per strategy, as large as it leaves EVs short.

    rows: of the table of `compare`. peak: the KPI that is the peak.
    """
    looks, data = looks_of(str(row["strategy"]) for row in rows), []
    most = max((row["evs_short"] or 0 for row in rows), default=0) or 1
    points = np.array([[row[peak], row["net_cost_usd"]] for row in rows], dtype=np.float64)
    points = points[np.isfinite(points).all(axis=1)]
    middle = float(np.ptp(points[:, 0]) / 2.0 + points[:, 0].min()) if len(points) else 0.0
    few = len(rows) <= FEW and not _names_collide(points)
    for row in rows:
        name = str(row["strategy"])
        short = row["evs_short"] or 0
        x, y = plain_numbers(np.array([row[peak], row["net_cost_usd"]], dtype=np.float64))
        data.append(
            {
                "type": "scatter",
                "mode": "markers+text" if few else "markers",
                "name": words(name),
                "x": [x],
                "y": [y],
                "text": [words(name)],
                # Towards the middle, where there is room.
                "textposition": "middle left" if row[peak] > middle else "middle right",
                "marker": {
                    "color": looks[name].color,
                    "symbol": looks[name].plotly_marker,
                    "size": 9 + 22 * (short / most) ** 0.5,
                    "line": {"color": looks[name].color, "width": 2},
                },
                "hovertemplate": f"%{{x}} MW, $%{{y}}, {short:g} EVs short<extra></extra>",
            }
        )
    layout = base_layout(
        xaxis=axis("Highest 15 min while EVs are plugged in (MW)"),
        yaxis=axis("Net cost of the owners ($)"),
        hovermode="closest",
        showlegend=not few,
    )
    about = "Down and to the left is better; the larger the mark, the more EVs are left short."
    return Drawn("Peak and cost", about, {"data": data, "layout": layout})


# --- zones -------------------------------------------------------------------------------------


def zones(results: Results) -> Drawn:
    """Net power of the EVs by zone and hour, or of all by day and hour of a long horizon."""
    record = results.record
    kw = results.zone_kw.T
    title, about = "EV power by zone", "Mean of each hour; orange: charging, purple: V2G."
    layout = base_layout(hovermode="closest")
    if kw.size > MOST_CELLS and record.n_hours % 24 == 0:
        z = kw.sum(axis=0).reshape(-1, 24)
        hours = [f"{int(hour)}:00" for hour in record.clock_hours[:24]]
        layout |= {"xaxis": axis("Hour"), "yaxis": axis("Day", autorange="reversed")}
        place: Chart = {"x": hours, "y": list(range(1, len(z) + 1))}
        title, about = "EV power by day and hour", f"All zones together. {about}"
        hover = "day %{y}, %{x}: %{z} kW<extra></extra>"
    else:
        rows = np.arange(len(kw))
        most = max(1, min(MOST_ROWS, MOST_CELLS // max(kw.shape[1], 1)))
        if len(rows) > most:
            rows = np.sort(np.argsort(-np.abs(kw).max(axis=1), kind="stable")[:most])
            about = f"The {most} of {len(kw)} zones with the highest power. {about}"
        z = kw[rows]
        place = {
            "x0": start_ms(record.scenario) + 1_800_000,
            "dx": 3_600_000,
            "y": [f"zone {row + 1}" for row in rows],
        }
        layout |= {"xaxis": time_axis(record.scenario), "yaxis": axis("", type="category")}
        hover = "%{y}, %{x}: %{z} kW<extra></extra>"
    top = float(np.nanmax(np.abs(z), initial=0.0)) or 1.0
    layout["height"] = int(np.clip(130 + 18 * len(z), 200, 520))
    if results.n_feeders > 1:
        about = f"The first of {results.n_feeders} feeders. {about}"
    trace = {
        "type": "heatmap",
        "z": plain_numbers(z, 4),
        **place,
        "zmin": -top,
        "zmax": top,
        "colorscale": PURPLE_TO_ORANGE,
        "colorbar": {"title": {"text": "kW"}, "thickness": 14},
        "hovertemplate": hover,
    }
    return Drawn(title, about, {"data": [trace], "layout": layout})


# --- voltages ----------------------------------------------------------------------------------


def voltages(runs: Mapping[str, Results]) -> Drawn:
    """Lowest voltage of the feeder in every load flow, by strategy, and its lower limit.

    Of one run the highest as well, and the upper limit where that is nearer than 1 p.u.
    """
    first = next(iter(runs.values()))
    record, looks = first.record, looks_of(runs)
    data = []
    for name, one in runs.items():
        low = one.record.lowest_vm_pu.min(axis=1)
        if by_day(record):
            low = of_days(record, low).min(axis=1)
        look = {"color": BLUE} if len(runs) == 1 else line_of(looks[name])
        label = "lowest" if len(runs) == 1 else name
        data.append(steps(record.scenario, low, label, look))
    limits = {"lower limit": record.scenario.grid.vm_min_pu}
    if len(runs) == 1:
        high = highest_voltage(record).max(axis=(1, 2))
        high = of_days(record, high).max(axis=1) if by_day(record) else high
        data.append(steps(record.scenario, high, "highest", {"color": SKY, "dash": "dash"}))
        upper = record.scenario.grid.vm_max_pu
        if np.nanmax(high, initial=1.0) > (1.0 + upper) / 2.0:
            limits["upper limit"] = upper
    for name, limit in limits.items():
        data.append(steps(record.scenario, np.full(1, limit), name, DOTTED))
    grain = grain_of(record.flow_min)
    layout = base_layout(
        xaxis=time_axis(record.scenario), yaxis=axis(f"Voltage, {grain} (p.u.)", tickformat=".3f")
    )
    about = f"Lowest voltage of any bus, {grain}; a gap is a load flow that did not converge."
    if by_day(record):
        about = f"Of each day the lowest, {grain}; a gap: a load flow did not converge."
    return Drawn("Voltage", about, {"data": data, "layout": layout})


def loadings(results: Results) -> Drawn | None:
    """Highest loading of a line and of a transformer in every load flow; None without ratings."""
    record = results.record
    percent = record.flows.transformer_percent
    known: dict[str, FloatArray] = {"line": np.fmax.reduce(highest_loading(record), axis=1)}
    if percent.shape[2]:
        known["transformer"] = np.fmax.reduce(percent.reshape(len(percent), -1), axis=1)
    looks = {"line": {"color": BLUE}, "transformer": {"color": ORANGE, "dash": "dash"}}
    data = []
    for name, values in known.items():
        if not np.isfinite(values).any():
            continue
        if by_day(record):
            values = of_days(record, values).max(axis=1)
        data.append(steps(record.scenario, values, f"highest of a {name}", looks[name]))
    if not data:
        return None
    data.append(steps(record.scenario, np.full(1, 100.0), "rating", DOTTED))
    grain = grain_of(record.flow_min)
    layout = base_layout(xaxis=time_axis(record.scenario), yaxis=axis(f"Loading, {grain} (%)"))
    of_day = "; of each day the highest" if by_day(record) else ""
    about = f"Of the rated current, {grain}{of_day}."
    return Drawn("Loading", about, {"data": data, "layout": layout})
