"""Interactive figures of sweeps: lines, maps, tornado, Sobol' indices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.report.field_words import field_words, mid_sentence
from abm.report.interactive import (
    BLUE,
    ORANGE,
    ROW_LETTERS,
    Drawn,
    axis,
    base_layout,
    line_of,
    menu,
    plain_numbers,
    ribbon,
    title_lines,
    words,
)
from abm.report.look import looks_of
from abm.report.sentences import count
from abm.results.indicators import kpi_label
from abm.study.ensemble import Ensemble

if TYPE_CHECKING:
    import pandas as pd


def sweep(
    ensemble: Ensemble, tables: Mapping[str, pd.DataFrame], kpis: Sequence[str]
) -> Iterator[Drawn]:
    """A figure per KPI: Sobol' indices, lines over one factor, maps over two, else a tornado."""
    labels = [label for label in ensemble.cases[0].labels if label != "strategy"]
    if not labels:  # strategies alone, which have nothing to be drawn over
        return
    summary = tables["summary"]
    for kpi in kpis:
        if kpi not in ensemble.measures:
            continue
        if "sobol" in tables:
            rows = tables["sobol"][tables["sobol"]["kpi"] == kpi]
            if len(rows):
                yield indices(kpi, rows, ensemble)
            continue
        found = summary[summary["kpi"] == kpi]
        levels = {label: list(dict.fromkeys(found[label])) for label in labels}
        several = [label for label in labels if len(levels[label]) > 1]
        if len(several) <= 1:
            yield over_one(kpi, found, (several or labels)[0], ensemble)
        elif len(several) == 2:
            yield over_two(kpi, found, several, ensemble)
        else:
            yield tornado(kpi, found, several, ensemble)


def _title(kpi: str, ensemble: Ensemble) -> str:
    return kpi_label(kpi, ensemble.flow_min)


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def over_one(kpi: str, rows: pd.DataFrame, factor: str, ensemble: Ensemble) -> Drawn:
    """Mean of a KPI over one factor by strategy, with its interval and nine tenths of the runs."""
    names = list(dict.fromkeys(map(str, rows["strategy"])))
    looks, data = looks_of(names), []
    numeric = _numeric(list(rows[factor]))
    for name in names:
        mine = rows[rows["strategy"] == name]
        if numeric:
            mine = mine.sort_values(factor, kind="stable")
        x = plain_numbers(mine[factor]) if numeric else [words(v) for v in mine[factor]]
        color = looks[name].color
        if ensemble.n > 1:
            data += ribbon(x, mine["q05"], mine["q95"], color)
        half = mine["ci95_high"].to_numpy() - mine["mean"].to_numpy()
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": x,
                "y": plain_numbers(mine["mean"]),
                "name": words(name),
                "line": line_of(looks[name]),
                "marker": {"symbol": looks[name].plotly_marker, "size": 8, "color": color},
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": plain_numbers(half),
                    "arrayminus": plain_numbers(mine["mean"] - mine["ci95_low"]),
                    "color": color,
                },
            }
        )
    layout = base_layout(
        xaxis=axis(title_lines(field_words(factor)), **({} if numeric else {"type": "category"})),
        yaxis=axis(title_lines(_title(kpi, ensemble))),
        hovermode="closest",
    )
    about = f"Mean of {count(ensemble.n, 'replication')} at each point"
    about += (
        "; bars: its 95 % interval, band: nine tenths of the replications."
        if ensemble.n > 1
        else ": how sure it is cannot be said of one."
    )
    return Drawn(_title(kpi, ensemble), about, {"data": data, "layout": layout})


def over_two(kpi: str, rows: pd.DataFrame, factors: Sequence[str], ensemble: Ensemble) -> Drawn:
    """Mean of a KPI over two factors as a map, a strategy by a menu."""
    names = list(dict.fromkeys(map(str, rows["strategy"])))
    xs, ys = (list(dict.fromkeys(rows[factor])) for factor in factors)
    xs, ys = (sorted(v) if _numeric(v) else v for v in (xs, ys))
    known = rows["mean"].to_numpy(dtype=np.float64)
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    data = []
    for at, name in enumerate(names):
        z = np.full((len(ys), len(xs)), np.nan)
        for row in rows[rows["strategy"] == name].to_dict("records"):
            z[ys.index(row[factors[1]]), xs.index(row[factors[0]])] = row["mean"]
        data.append(
            {
                "type": "heatmap",
                "x": [words(x) for x in xs],
                "y": [words(y) for y in ys],
                "z": plain_numbers(z),
                "zmin": low,
                "zmax": high,
                "colorscale": "Cividis",
                "texttemplate": "%{z:.4g}" if z.size <= 100 else "",
                "colorbar": {"thickness": 14},
                "visible": at == 0,
                "hovertemplate": "%{x}, %{y}: %{z}<extra></extra>",
            }
        )
    layout = base_layout(
        xaxis=axis(title_lines(field_words(factors[0])), type="category"),
        yaxis=axis(title_lines(field_words(factors[1])), type="category"),
        hovermode="closest",
    )
    if len(names) > 1:
        layout["updatemenus"] = [
            menu("restyle", [words(n) for n in names], "visible", range(len(names)))
        ]
        layout["margin"] = {**layout["margin"], "t": 56}
    about = f"Mean of {count(ensemble.n, 'replication')} at each point"
    about += "; the menu changes the strategy." if len(names) > 1 else "."
    return Drawn(_title(kpi, ensemble), about, {"data": data, "layout": layout})


def tornado(kpi: str, rows: pd.DataFrame, factors: Sequence[str], ensemble: Ensemble) -> Drawn:
    """How far each factor moves the mean: of its lowest and of its highest level, by strategy."""
    data, names = [], list(dict.fromkeys(map(str, rows["strategy"])))
    first = rows[rows["strategy"] == names[0]]
    ranges = {factor: first.groupby(factor, sort=False)["mean"].mean() for factor in factors}
    order = sorted(factors, key=lambda f: -float(np.ptp(ranges[f].to_numpy())))
    middle = float(first["mean"].mean())
    for which, color in (("lowest", BLUE), ("highest", ORANGE)):
        pick = "idxmin" if which == "lowest" else "idxmax"
        at = [getattr(ranges[factor], pick)() for factor in order]
        ends = [float(ranges[factor][level]) for factor, level in zip(order, at, strict=True)]
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": f"{which} mean",
                "y": [title_lines(field_words(factor), ROW_LETTERS) for factor in order],
                "x": plain_numbers(np.array(ends) - middle),
                "base": middle,
                "marker": {"color": color},
                "text": [words(f"at {level}") for level in at],
                "textangle": 0,
                "hovertemplate": "%{y} %{text}<extra></extra>",
            }
        )
    layout = base_layout(
        xaxis=axis(_title(kpi, ensemble)),
        yaxis=axis("", autorange="reversed"),
        barmode="overlay",
        hovermode="closest",
        height=160 + 44 * len(factors),
    )
    about = f"Means over all other factors, {names[0]}; the longest bar moves the KPI most."
    return Drawn(_title(kpi, ensemble), words(about), {"data": data, "layout": layout})


def indices(kpi: str, rows: pd.DataFrame, ensemble: Ensemble) -> Drawn:
    """Sobol' indices of each factor with their 95 % intervals, a strategy by a menu."""
    names, data, own = list(dict.fromkeys(map(str, rows["strategy"]))), [], []
    for at, name in enumerate(names):
        mine = rows[rows["strategy"] == name]
        for column, color, label in (("S1", BLUE, "first order"), ("ST", ORANGE, "total")):
            data.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "name": label,
                    "y": [
                        title_lines(field_words(factor), ROW_LETTERS) for factor in mine["factor"]
                    ],
                    "x": plain_numbers(mine[column]),
                    "error_x": {"type": "data", "array": plain_numbers(mine[f"{column}_conf"])},
                    "marker": {"color": color, "pattern": {"shape": "/" if column == "ST" else ""}},
                    "visible": at == 0,
                    "hovertemplate": f"%{{y}}, {label}: %{{x}}<extra></extra>",
                }
            )
            own.append(at)
    layout = base_layout(
        xaxis=axis("Part of the variance"),
        yaxis=axis("", autorange="reversed"),
        barmode="group",
        hovermode="closest",
        height=170 + 60 * rows["factor"].nunique(),
    )
    if len(names) > 1:
        layout["updatemenus"] = [menu("restyle", [words(n) for n in names], "visible", own)]
        layout["margin"] = {**layout["margin"], "t": 56}
    about = (
        f"Sobol' indices over {len(ensemble.cases) // len(names)} points; bars: 95 % intervals. "
        "First order: what the factor does alone; total: with what it does together with others."
    )
    name = _title(kpi, ensemble).partition(" (")[0]
    title = f"What moves the {mid_sentence(name)}"
    return Drawn(title, about, {"data": data, "layout": layout})
