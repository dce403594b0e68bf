"""How sure a number is: means, intervals, quantiles, paired differences, and when to stop.

Values come as arrays with one row per quantity and one column per replication; NaN stands for a
replication that has no value there, is left out, and `n` says how many were left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray, IntArray
from abm.errors import InputError, Problem, nearest
from abm.results.indicators import ALIASES, INDICATORS, is_count, with_mean
from abm.results.own_kpis import counting, own_names
from abm.scenario import Scenario

QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
LEVEL = 0.95


# Of so many events in all, the mean of a count is as good as normal.
MANY_EVENTS = 100


def describe(values: FloatArray, counts: NDArray[np.bool_] | None = None) -> dict[str, FloatArray]:
    """n, mean, sd, 95 % interval of the mean and quantiles of each row, (n_rows,).

    values: (n_rows, n_replications). The sd has n - 1 below it; it and the interval are NaN for
    fewer than two values, everything but n is NaN for none. The interval is Student's; of rows that
    count events (counts, (n_rows,)) see `count_interval`.
    """
    found = _describe_known(values)
    if counts is not None and counts.any():
        low, high = count_interval(*(found[name][counts] for name in ("n", "mean", "sd")))
        found["ci95_low"][counts], found["ci95_high"][counts] = low, high
    return found


def count_interval(
    n: FloatArray, mean: FloatArray, sd: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """95 % interval of the mean of n counts, never below 0; NaN below two.

    Of few events in all it is Garwood's for a Poisson mean, wider by as much as the spread is
    larger than Poisson's: no event in n replications leaves a mean of up to 3.7 / n. From
    `MANY_EVENTS` on it is Student's.
    """
    from scipy.stats import chi2

    half, events, tail = half_width(sd, n), n * mean, (1.0 - LEVEL) / 2.0
    known = n > 1
    each, total = np.maximum(n, 1.0), np.where(known, events, 0.0)
    # The quantile of a chi-square of no degrees of freedom is 0.
    least = np.where(total > 0, chi2.ppf(tail, np.maximum(2.0 * total, 1e-9)) / 2.0 / each, 0.0)
    most = chi2.ppf(1.0 - tail, 2.0 * total + 2.0) / 2.0 / each
    centre = np.where(known, mean, 0.0)
    spread = np.sqrt(np.maximum(1.0, np.where(centre > 0, sd**2 / np.maximum(centre, 1e-12), 1.0)))
    few = known & (events < MANY_EVENTS)
    low = np.where(few, centre - spread * (centre - least), mean - half)
    high = np.where(few, centre + spread * (most - centre), mean + half)
    return np.maximum(low, 0.0), high


def _describe_known(values: FloatArray) -> dict[str, FloatArray]:
    """`describe` with Student's interval of all rows; NaN is left out."""
    there = np.isfinite(values)
    if there.all() and values.shape[1]:
        return _describe(values)
    out = {name: np.full(len(values), np.nan) for name in _NAMES}
    for i, row in enumerate(values):
        known = row[there[i]]
        out["n"][i] = len(known)
        if len(known):
            for name, value in _describe(known[None, :]).items():
                out[name][i] = value[0]
    return out


_NAMES = ("n", "mean", "sd", "ci95_low", "ci95_high", *QUANTILES)


def _describe(values: FloatArray) -> dict[str, FloatArray]:
    rows, n = values.shape
    mean, sd = _moments(values)
    half = half_width(sd, np.full(rows, float(n)))
    quantiles = np.quantile(values, list(QUANTILES.values()), axis=1)
    return {
        "n": np.full(rows, float(n)),
        "mean": mean,
        "sd": sd,
        "ci95_low": mean - half,
        "ci95_high": mean + half,
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


def _moments(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and sd of each row; what is the same in every replication has exactly no spread."""
    rows, n = values.shape
    mean = values.mean(axis=1)
    sd = values.std(axis=1, ddof=1) if n > 1 else np.full(rows, np.nan)
    same = (values == values[:, :1]).all(axis=1)
    mean = np.where(same, values[:, 0], mean)
    return mean, np.where(same & (n > 1), 0.0, sd)


def half_width(sd: FloatArray, n: FloatArray) -> FloatArray:
    """Half-width of the 95 % interval of the mean, t x sd / sqrt(n); NaN below two values."""
    return student(n) * sd / np.sqrt(np.maximum(n, 1.0))


def prediction_half_width(sd: FloatArray, n: FloatArray) -> FloatArray:
    """Half-width of the 95 % interval in which one more run falls, t x sd x sqrt(1 + 1/n)."""
    return student(n) * sd * np.sqrt(1.0 + 1.0 / np.maximum(n, 1.0))


def student(n: FloatArray) -> FloatArray:
    """Quantile of Student's t for a two-sided 95 % interval of n values; NaN below two."""
    from scipy.stats import t

    degrees = np.where(n > 1, n - 1.0, 1.0)
    return np.where(n > 1, t.ppf(0.5 + LEVEL / 2.0, degrees), np.nan)


def proportion_interval(
    events: IntArray, n: IntArray, level: float = LEVEL
) -> tuple[FloatArray, FloatArray]:
    """Interval of a probability that an event came so often in n tries: Clopper and Pearson's.

    It holds the probability with at least this level whatever the probability is. 0 to 1 where n is
    0.
    """
    from scipy.stats import beta

    tail, others = (1.0 - level) / 2.0, n - events
    low = np.where(events > 0, beta.ppf(tail, np.maximum(events, 1), others + 1.0), 0.0)
    high = np.where(others > 0, beta.ppf(1.0 - tail, events + 1.0, np.maximum(others, 1)), 1.0)
    return low, high


def excludes_zero(low: FloatArray, high: FloatArray) -> NDArray[np.bool_]:
    """Whether an interval lies wholly on one side of zero; one that is not there does not."""
    return (low > 0.0) | (high < 0.0)


def running_half_width(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Half-width of the interval and mean of the first 1, 2, ... values of one row, (n,) each."""
    import pandas as pd

    so_far = pd.Series(np.where(np.isfinite(values), values, np.nan)).expanding()
    n, sd = so_far.count().to_numpy(np.float64), so_far.std().to_numpy()
    return half_width(sd, n), so_far.mean().to_numpy()


# --- when to stop ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Until:
    """Stop when the interval's half-width is below `relative` of the mean, in every case.

    at_least: replications before which it never stops. count: a KPI of the user's own that counts
    events.
    """

    kpi: str
    relative: float
    at_least: int = 50
    count: bool = False

    def reached(self, values: FloatArray) -> bool:
        """Whether the replications so far are enough. values: (n_cases, n_replications)."""
        if values.shape[1] < self.at_least:
            return False
        found = describe(values, np.full(len(values), self.count or is_count(self.kpi)))
        half = (found["ci95_high"] - found["ci95_low"]) / 2.0
        # No value at all, or a single one, is never enough: NaN compares as False. Nor is none of
        # what is missing: that may be rare, and have no spread yet.
        share = self.relative * np.abs(found["mean"])
        enough = (half <= share) & ((share > 0.0) | ("_short" not in self.kpi))
        return bool(enough.all())

    def __str__(self) -> str:
        return f"{self.kpi}:{100.0 * self.relative:g}%"


def parse_until(
    text: str, at_least: int = Until.at_least, scenario: Scenario | None = None
) -> Until:
    """`peak:0.5%` -> Until("peak_15min_mw", 0.005, at_least). Raises InputError.

    scenario: whose KPIs of the user's own are known beside all others.
    """
    name, _, size = text.partition(":")
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?\d+)?)\s*%\s*", size)
    problems = kpi_problems([name], "--until", scenario)
    if match is None or not 0.0 < float(match[1]) < 100.0:
        allowed = "KPI:SIZE% with a size above 0 and below 100, such as peak:0.5%"
        problems.append(Problem("--until", text, allowed))
    if match is None or problems:
        raise InputError(problems)
    kpi = kpi_name(name)
    count = scenario is not None and kpi in counting(scenario)
    return Until(kpi, float(match[1]) / 100.0, at_least, count)


def kpi_name(name: str) -> str:
    """Name of a KPI from a name or one of ALIASES."""
    return ALIASES.get(name.strip(), name.strip())


def shown_kpis(names: Sequence[str], scenario: Scenario) -> list[str]:
    """KPIs by their names or aliases, of any kind. Raises InputError with all that are none."""
    known = (*ALIASES, *INDICATORS, *own_names(scenario))
    problems = [
        Problem("--kpi", name, "a KPI of docs/kpis.md, or of your own", hint=nearest(name, known))
        for name in names
        if kpi_name(name) not in known
    ]
    if problems:
        raise InputError(problems)
    return [kpi_name(name) for name in names]


def kpi_problems(
    names: Sequence[str], option: str, scenario: Scenario | None = None
) -> list[Problem]:
    """A problem for every name that is no KPI with a mean, nor one of the scenario's own."""
    own = () if scenario is None else own_names(scenario)
    known = (*ALIASES, *with_mean(), *own)
    allowed = "one of: " + ", ".join(known)
    return [
        Problem(option, name, allowed, hint=nearest(name, known))
        for name in names
        if kpi_name(name) not in known
    ]
