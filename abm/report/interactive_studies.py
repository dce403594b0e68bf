"""Interactive figures of studies as plain data for Plotly: replications and hosting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from abm.equations import FloatArray
from abm.report.interactive import (
    BLUE,
    GREY,
    Chart,
    Drawn,
    axis,
    base_layout,
    limit_trace,
    line_of,
    menu,
    plain_numbers,
    ribbon,
    steps,
    time_axis,
    translucent,
    words,
)
from abm.report.look import looks_of
from abm.results.indicators import kpi_label
from abm.study.ensemble import Ensemble
from abm.study.hosting_limits import in_words
from abm.study.hosting_results import Hosting
from abm.study.replications import LEADING_BAND

# Values of one KPI over the replications of a strategy that a figure shows one by one.
MOST_DOTS = 400
# Elements that a figure of hosting names.
MOST_ELEMENTS = 12


# --- replications ------------------------------------------------------------------------------


def fan(ensemble: Ensemble) -> Drawn:
    """System demand: mean, half and nine tenths of the replications, a strategy by buttons."""
    bands, traces, own = ensemble.bands, [], []
    looks = looks_of(map(str, ensemble.cases))
    found = bands[bands["quantity"] == LEADING_BAND]
    for at, case in enumerate(ensemble.cases):
        scenario, name = case.scenario, str(case)
        band = found[found["strategy"] == case.labels["strategy"]]
        color = looks[name].color
        group: list[Chart] = []
        for low, high, part in (("q05", "q95", 0.18), ("q25", "q75", 0.32)):
            edge = {"color": color, "width": 0.8}
            label = f"{int(low[1:])} to {int(high[1:])} %"
            fill = {"fill": "tonexty", "fillcolor": translucent(color, part)}
            hidden = {"showlegend": False}
            lower = f"{int(low[1:])} %"
            group.append(steps(scenario, band[low].to_numpy(), lower, edge, **hidden))
            group.append(steps(scenario, band[high].to_numpy(), label, edge, **fill))
        group.append(steps(scenario, band["mean"].to_numpy(), "mean", {"color": color}))
        group.append(limit_trace(scenario))
        traces += [{**trace, "visible": at == 0} for trace in group]
        own += [at] * len(group)
    names = [words(case) for case in ensemble.cases]
    layout = base_layout(
        xaxis=time_axis(ensemble.cases[0].scenario), yaxis=axis("Power, 15 min (MW)")
    )
    if len(names) > 1:
        layout["updatemenus"] = [menu("restyle", names, "visible", own)]
        layout["margin"] = {**layout["margin"], "t": 56}
    about = "Mean of the replications, and between which values half and nine tenths of them are."
    if len(names) > 1:
        about += " The menu changes the strategy."
    return Drawn("System demand over the replications", about, {"data": traces, "layout": layout})


def spread(ensemble: Ensemble, kpi: str) -> Drawn:
    """A KPI of every replication by strategy: the values, quartiles, and the mean's interval."""
    names, values = [str(case) for case in ensemble.cases], ensemble.values(kpi)
    looks, data = looks_of(names), []
    for name, row in zip(names, values, strict=True):
        known = row[np.isfinite(row)]
        if not len(known):
            continue
        few = len(known) <= MOST_DOTS
        data.append(
            {
                "type": "box",
                "name": words(name),
                **({"x": plain_numbers(known)} if few else {}),
                "boxpoints": "all" if few else False,
                "jitter": 0.5,
                "pointpos": 0,
                "marker": {"color": looks[name].color, "size": 4, "opacity": 0.5},
                "line": {"color": looks[name].color},
                "showlegend": False,
            }
        )
        if not few:
            parts = plain_numbers(np.quantile(known, [0.05, 0.25, 0.5, 0.75, 0.95]))
            ends = ("lowerfence", "q1", "median", "q3", "upperfence")
            data[-1] |= {end: [value] for end, value in zip(ends, parts, strict=True)}
            data[-1] |= {"y": [words(name)], "orientation": "h"}
    label = kpi_label(kpi, ensemble.flow_min)
    layout = base_layout(
        xaxis=axis(label),
        yaxis=axis("", type="category", autorange="reversed"),
        hovermode="closest",
        height=140 + 56 * max(len(data), 1),
    )
    about = "Each dot is a replication; the box holds the middle half of them."
    return Drawn(label.partition(" (")[0], about, {"data": data, "layout": layout})


def intervals(title: str, about: str, rows: Sequence[Mapping[str, Any]], unit: str) -> Drawn:
    """Means with the 95 % interval of each, below each other.

    rows: name, mean, ci95_low, ci95_high.
    """
    mean = np.array([row["mean"] for row in rows], dtype=np.float64)
    low, high = (
        np.array([row[end] for row in rows], dtype=np.float64) for end in ("ci95_low", "ci95_high")
    )
    names = [words(row["name"]) for row in rows]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": plain_numbers(mean),
        "y": names,
        "marker": {"color": BLUE, "size": 9},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": plain_numbers(high - mean),
            "arrayminus": plain_numbers(mean - low),
            "color": BLUE,
        },
        "hovertemplate": "%{y}: %{x}<extra></extra>",
    }
    layout = base_layout(
        xaxis=axis(unit, zeroline=True, zerolinecolor=GREY),
        yaxis=axis("", type="category", autorange="reversed"),
        hovermode="closest",
        height=120 + 34 * max(len(names), 1),
        showlegend=False,
    )
    return Drawn(title, about, {"data": [trace], "layout": layout})


# --- hosting -----------------------------------------------------------------------------------


def hosting(study: Hosting) -> Drawn:
    """How often a limit is broken at each share, with its interval, one line per strategy."""
    rungs, looks, data = study.asked.ladder, looks_of(study.asked.strategies), []
    for name in study.asked.strategies:
        found = {at: one for at, one in study.of(name).items() if len(one.bad)}
        if not found:
            continue
        x = plain_numbers([100.0 * rungs.shares[at] for at in found])
        ends: FloatArray = 100.0 * np.array([rungs.interval(one.bad) for one in found.values()])
        color = looks[name].color
        data += ribbon(x, ends[:, 0], ends[:, 1], color, legendgroup=words(name))
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": words(name),
                "legendgroup": words(name),
                "x": x,
                "y": plain_numbers([100.0 * one.bad.mean() for one in found.values()]),
                "line": line_of(looks[name]),
                "marker": {"symbol": looks[name].plotly_marker, "size": 8, "color": color},
            }
        )
    span = plain_numbers([100.0 * rungs.shares[0], 100.0 * rungs.shares[-1]])
    risk = [100.0 * rungs.risk] * 2
    data.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"risk, {100.0 * rungs.risk:g} %",
            "x": span,
            "y": risk,
            "line": {"color": GREY, "dash": "dot", "width": 1.5},
        }
    )
    layout = base_layout(
        xaxis=axis("Customers with an EV (%)"),
        yaxis=axis("Replications that break a limit (%)", range=[0, 102]),
        hovermode="x unified",
    )
    about = "Bands: intervals of the probability. Click a name to switch its curve off or on."
    return Drawn("How often a limit is broken", about, {"data": data, "layout": layout})


def broken_elements(study: Hosting) -> list[Drawn]:
    """Which elements break a limit most often at the first share that does not keep the risk."""
    names = list(study.asked.strategies)
    looks = looks_of(names)
    often: dict[str, dict[str, float]] = {}
    for name in names:
        first = study.capacities[name].first
        at = max(study.of(name)) if first is None else first
        one = study.outcomes[name, at]
        for kind in study.asked.limits:
            for element, times in one.elements(kind).items():
                label = f"{in_words(kind)} {element}"
                often.setdefault(label, {})[name] = 100.0 * times / max(len(one.bad), 1)
    most = sorted(often, key=lambda label: -max(often[label].values()))[:MOST_ELEMENTS]
    if not most:
        return []
    data: list[Chart] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": words(name),
            "y": [words(label) for label in most],
            "x": plain_numbers([often[label].get(name, 0.0) for label in most]),
            "marker": {"color": looks[name].color},
        }
        for name in names
    ]
    layout = base_layout(
        xaxis=axis("Replications that break it (%)"),
        yaxis=axis("", autorange="reversed"),
        barmode="group",
        hovermode="closest",
        height=160 + (18 * len(names) + 14) * len(most),
    )
    about = (
        "At the first share that does not keep the risk, else at the highest that was looked at; "
        f"the {len(most)} elements that break a limit most often."
    )
    return [Drawn("What breaks its limit", about, {"data": data, "layout": layout})]
