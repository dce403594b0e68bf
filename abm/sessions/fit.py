"""What measured sessions are like: arrival, duration and energy by kind of day, and together.

What is found is a fragment of a scenario, `fleet.stays`, that any fleet can be drawn from; it is
drawn from here too, to say how far it is from the data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, FloatArray, IntArray
from abm.errors import InputError, Problem
from abm.fleet.measured import measured_stays
from abm.fleet.owners import SATURDAY
from abm.scenario import Scenario
from abm.scenario.stay_fields import KINDS_OF_DAY, Copula, DayStays, MeasuredStays
from abm.scenario.yamlio import yaml_text
from abm.sessions.cleaning import Sessions
from abm.sessions.shapes import FittedShape, chosen, fit_shapes
from abm.sessions.times import offsets

if TYPE_CHECKING:
    import pandas as pd

QUANTITIES = {"arrival_h": "h", "duration_h": "h", "energy_kwh": "kWh"}
DAY_S = 86_400
# Fewer sessions of a kind of day say nothing of it.
LEAST_SESSIONS = 20
# Steps of the empirical copula in each direction: fewer where there are few sessions.
STEPS, SESSIONS_PER_STEP = 10, 10
# What is drawn to see how near it is: EVs and days.
EVS, DAYS, ROUNDS = 300, 28, 4
DEPENDENCE = "dependence.csv"


@dataclass(frozen=True, eq=False)
class FittedDay:
    """One kind of day: sessions (n, 3) by `QUANTITIES`, and what was fitted to them.

    per_day: sessions of an EV on such a day; probability: that it comes, which makes so many of
    them. shapes: by quantity and shape; names: the shape chosen of each. drawn: sessions drawn from
    it, as `data`.
    """

    data: FloatArray
    per_day: float
    probability: float
    shapes: Mapping[str, Mapping[str, FittedShape]]
    names: Mapping[str, str]
    copula: Copula
    drawn: FloatArray

    @property
    def fields(self) -> DayStays:
        """As a scenario says it."""
        spreads = {name: self.shapes[name][self.names[name]].spread for name in QUANTITIES}
        return DayStays(sessions_per_day=float(f"{self.probability:.4g}"), **spreads)


@dataclass(frozen=True, eq=False)
class Fit:
    """Measured sessions and what was fitted. evs: names among them. charger_kw: a rating that 99 of
    100 sessions keep to in the mean. kwh_per_ev_day, drawn_kwh_per_ev_day: measured, and drawn.
    """

    sessions: Sessions
    days: Mapping[str, FittedDay]
    evs: int
    charger_kw: float
    kwh_per_ev_day: float
    drawn_kwh_per_ev_day: float

    def stays(self, dependence: str | None = DEPENDENCE) -> MeasuredStays:
        """As a scenario says it; dependence: file of the copula."""
        weekend = self.days["weekend"].fields if "weekend" in self.days else None
        return MeasuredStays(
            weekday=self.days["weekday"].fields, weekend=weekend, dependence=dependence
        )

    def fragment(self, name: str, n_zones: int, source: str) -> str:
        """A scenario that `extends:` can take; source: what the sessions were read from."""
        data = {
            "extends": "paper_balanced",
            "name": name,
            "description": f"A fleet drawn as the {len(self.sessions)} sessions of {source} are",
            "strategy": "coordinated",
            "fleet": {
                "evs_per_zone": max(1, round(self.evs / n_zones)),
                "stays": _plain(self.stays().model_dump()),
            },
            "ev": {"charger_kw": self.charger_kw},
        }
        head = (
            "# Written by `sessions fit`. Stays by energy: capacity and SoC are not known, nobody\n"
            f"# discharges. Times are those of the clock in {self.sessions.zone.key}.\n"
        )
        return head + yaml_text(data)

    def dependence(self) -> pd.DataFrame:
        """The copulas as `fleet.stays.dependence` reads them."""
        import pandas as pd

        parts = []
        for kind, day in self.days.items():
            cell = day.copula.cell + 1
            share = np.round(np.diff(day.copula.below, prepend=0.0), 6)
            names = ("arrival", "duration", "energy")
            columns = {name: cell[:, i] for i, name in enumerate(names)}
            parts.append(pd.DataFrame({"day": kind, **columns, "probability": share}))
        return pd.concat(parts, ignore_index=True)

    def table(self) -> pd.DataFrame:
        """One row per kind of day, quantity and shape: how far it is from the data."""
        import pandas as pd

        rows = [
            {
                "day": kind, "quantity": name, "unit": unit, "shape": shape,
                "chosen": shape == day.names[name], "sessions": len(day.data),
                "mean": float(day.data[:, i].mean()), "sd": float(day.data[:, i].std()),
                "ks": fitted.ks, "wasserstein": fitted.wasserstein,
            }
            for kind, day in self.days.items()
            for i, (name, unit) in enumerate(QUANTITIES.items())
            for shape, fitted in day.shapes[name].items()
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def drawn_table(self) -> pd.DataFrame:
        """One row per kind of day and quantity of what is drawn, and per pair of them."""
        import pandas as pd
        from scipy.stats import ks_2samp, wasserstein_distance

        rows: list[dict[str, Any]] = []
        for kind, day in self.days.items():
            for i, (name, unit) in enumerate(QUANTITIES.items()):
                data, drawn = day.data[:, i], day.drawn[:, i]
                rows.append(
                    {
                        "day": kind, "what": name, "unit": unit, "measured": data.mean(),
                        "drawn": drawn.mean(),
                        "ks": ks_2samp(data, drawn, method="asymp").statistic,
                        "wasserstein": wasserstein_distance(data, drawn),
                    }
                )  # fmt: skip
            for i, j in ((0, 1), (0, 2), (1, 2)):
                pair = [list(QUANTITIES)[at] for at in (i, j)]
                rows.append(
                    {
                        "day": kind, "what": f"rank correlation of {pair[0]} and {pair[1]}",
                        "unit": "-", "measured": rank_correlation(day.data[:, [i, j]]),
                        "drawn": rank_correlation(day.drawn[:, [i, j]]),
                    }
                )  # fmt: skip
        return pd.DataFrame(rows)


def _plain(data: Any) -> Any:
    """Without what is left out anyway."""
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items() if value is not None}
    return data


def rank_correlation(pairs: FloatArray) -> float:
    """Spearman's rank correlation of pairs (n, 2)."""
    from scipy.stats import rankdata

    a, b = (rankdata(column) for column in pairs.T)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0.0 and b.std() > 0.0 else 0.0


def fit_sessions(sessions: Sessions, file: str, shape: str = "auto") -> Fit:
    """Fit sessions. file: their name for problems. shape: of all quantities, or auto for the best.

    Where a kind of day has too few, all days are fitted as one, and a note of the sessions says so.
    Raises InputError where there are too few of them.
    """
    local = sessions.arrival_s + offsets(sessions.arrival_s, sessions.zone)
    date = (local // DAY_S).astype("datetime64[D]")
    weekend = ~np.is_busday(date)
    columns = (local % DAY_S / 3600.0, sessions.duration_h, sessions.energy_kwh)
    data = np.column_stack(columns)
    ev = np.unique(sessions.ev.astype(str), return_inverse=True)[1]
    exposure = _days_seen(ev, date)
    kinds = {"weekday": ~weekend, "weekend": weekend}
    if len(sessions) < LEAST_SESSIONS:
        said = f"at least {LEAST_SESSIONS} sessions"
        raise InputError([Problem("sessions", str(len(sessions)), said, file)])
    few = [
        f"{of.sum()} begin on {kind}s" for kind, of in kinds.items() if of.sum() < LEAST_SESSIONS
    ]
    if few:
        kinds = {"weekday": np.ones(len(weekend), dtype=np.bool_)}
        exposure = {"weekday": sum(exposure.values())}
        said = f"less than {LEAST_SESSIONS} are no fit of their own: all days are one kind, weekday"
        sessions.ledger.notes.append(f"{' and '.join(few)}; {said}")
    highs = {name: _above(data[:, i]) for i, name in enumerate(QUANTITIES)}
    highs["arrival_h"] = 24.0
    days = {kind: _fit_day(data[of], exposure[kind], highs, shape) for kind, of in kinds.items()}
    rating = float(np.quantile(sessions.energy_kwh / sessions.duration_h, 0.99))
    charger_kw = max(math.ceil(10.0 * rating) / 10.0, 0.1)
    seen = sum(exposure[kind] for kind in days)
    fit = Fit(sessions, days, int(ev.max()) + 1, charger_kw, float(data[:, 2].sum() / seen), 0.0)
    return _calibrated(fit)


def _days_seen(ev: IntArray, date: NDArray[np.datetime64]) -> dict[str, int]:
    """Days from each EV's first session to its last, weekdays and weekend days of all EVs."""
    order = np.lexsort([date, ev])
    edges = np.searchsorted(ev[order], np.arange(int(ev.max()) + 2))
    first, end = date[order][edges[:-1]], date[order][edges[1:] - 1] + 1
    weekday = int(np.busday_count(first, end).sum())
    return {"weekday": weekday, "weekend": int((end - first).astype(np.int64).sum()) - weekday}


def _above(x: FloatArray) -> float:
    """A round number that no value is above."""
    most = float(x.max())
    step = 10.0 ** (math.floor(math.log10(most)) - 1)
    return math.ceil(most / step) * step


def _fit_day(data: FloatArray, seen: int, highs: Mapping[str, float], shape: str) -> FittedDay:
    shapes = {name: fit_shapes(data[:, i], 0.0, highs[name]) for i, name in enumerate(QUANTITIES)}
    names = {name: chosen(of, shape) for name, of in shapes.items()}
    per_day = len(data) / max(seen, 1)
    return FittedDay(data, per_day, min(per_day, 1.0), shapes, names, copula_of(data), data[:0])


def copula_of(data: FloatArray) -> Copula:
    """The empirical copula of sessions (n, 3): which steps of their ranks come together."""
    n = len(data)
    steps = max(2, min(STEPS, n // SESSIONS_PER_STEP))
    # Of those that are alike the first stands first: every step has as many, but for one.
    rank = np.argsort(np.argsort(data, axis=0, kind="stable"), axis=0, kind="stable")
    # The share of a session that lies in each step of each quantity, so that the steps are even.
    low, high = rank * steps / n, (rank + 1) * steps / n
    first, cut = np.floor(low).astype(np.int64), np.floor(high - 1e-12).astype(np.int64)
    inside = np.where(cut > first, (cut - low) / (high - low), 1.0)
    share, number = np.zeros((n, 8)), np.zeros((n, 8), dtype=np.int64)
    for corner, over in enumerate(np.ndindex(2, 2, 2)):
        share[:, corner] = np.where(over, 1.0 - inside, inside).prod(axis=1)
        of = np.minimum(first + over, steps - 1)
        number[:, corner] = np.ravel_multi_index(tuple(of.T), (steps,) * 3)
    weight = np.bincount(number.ravel(), share.ravel(), steps**3)
    cell, weight = np.argwhere(weight.reshape((steps,) * 3)), weight[weight > 0.0]
    return Copula(steps, cell, np.cumsum(weight) / weight.sum())


def _calibrated(fit: Fit) -> Fit:
    """The fit with probabilities of coming that make as many sessions as were measured.

    Who is plugged in does not come, which the rate of the sessions does not know.
    """
    for last in [False] * (ROUNDS - 1) + [True]:
        drawn, kinds, kwh = draw(fit)
        days = {}
        for kind, day in fit.days.items():
            of = kinds == kind if "weekend" in fit.days else np.ones(len(kinds), dtype=np.bool_)
            dates = DAYS if "weekend" not in fit.days else {"weekday": 20, "weekend": 8}[kind]
            rate = max(int(of.sum()) / (EVS * dates), 1e-9)
            chance = day.probability if last else min(day.probability * day.per_day / rate, 1.0)
            days[kind] = replace(day, probability=chance, drawn=drawn[of])
        fit = replace(fit, days=days, drawn_kwh_per_ev_day=kwh)
    return fit


def draw(fit: Fit) -> tuple[FloatArray, Any, float]:
    """Sessions of 300 EVs in four weeks: (n, 3), kind of day of each, and kWh per EV and day."""
    # The first week is left out: nobody is plugged in when it begins.
    scenario = Scenario(
        requirement={"kind": "energy_balanced"},
        clock={"start": "0:00"},
        horizon={"days": DAYS + 7, "first_day": "monday"},
        fleet={"evs_per_zone": EVS // 15, "stays": _plain(fit.stays(None).model_dump())},
        ev={"charger_kw": fit.charger_kw},
    )
    copulas = {kind: day.copula for kind, day in fit.days.items()}
    stays = measured_stays(scenario.with_dependence(copulas), [1])
    settled: BoolArray = stays.plugs_in & (stays.arrival_min >= 7 * 1440.0)
    arrival = stays.arrival_min[settled]
    hours = (stays.departure_min[settled] - arrival) / 60.0
    energy = (stays.capacity_kwh / stays.efficiency)[settled]
    data = np.column_stack([arrival % 1440.0 / 60.0, hours, energy])
    # It begins on a Monday.
    weekend = arrival // 1440.0 % 7 >= SATURDAY
    kinds = np.array(KINDS_OF_DAY, dtype=object)[weekend.astype(np.int64)]
    return data, kinds, float(energy.sum() / (EVS * DAYS))


def name_of(path: Path) -> str:
    """A name of a scenario for the fit of a file."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in path.stem)
    return f"fitted_{kept}"[:80]
