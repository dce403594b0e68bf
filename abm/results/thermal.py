"""How hot the transformers of a run get, and how much of their life that takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abm.equations import FloatArray
from abm.equations.thermal import (
    Constants,
    ageing_rate,
    hot_spot_rise,
    lag,
    time_constants,
    top_oil_rise,
)
from abm.scenario.transformer_fields import TransformersSection

DAY_MIN = 1440
HOUR_MIN = 60


@dataclass(frozen=True, eq=False)
class Heat:
    """Temperatures and ageing of the X transformers of K feeders by hour, (H, K, X) each.

    load: mean over the hour, fraction of the rating that the heat goes by. top_oil_c, hot_spot_c:
    highest of the hour [degC]. aged_h: loss of life in the hour [h]. over_h: part of it with the
    hot spot above the limit [h]. From a load flow without a solution on nothing is known: NaN.
    """

    load: FloatArray
    top_oil_c: FloatArray
    hot_spot_c: FloatArray
    aged_h: FloatArray
    over_h: FloatArray


def heat_of(
    section: TransformersSection, loading_percent: FloatArray, flow_min: int, air_c: FloatArray
) -> Heat:
    """Heat of transformers with these loadings.

    loading_percent: of each load flow, (F, K, X), NaN where not known. flow_min: interval of the
    load flows, min. air_c: temperature outside in each minute of the horizon, (60 H,) [degC].

    Load and air are constant within a minute, and the temperatures then exact, whatever the
    interval of the load flows is. Ageing goes by the mean of the rates at both ends of the minute.
    """
    of, hours = section.constants, len(air_c) // HOUR_MIN
    found = np.empty((5, hours, *loading_percent.shape[1:]))
    air_c = air_c + section.enclosure_k
    for k, x in np.ndindex(loading_percent.shape[1:]):
        load = loading_percent[:, k, x] / (100.0 * section.rating_factor)
        before, top_oil, hot_spot = _walk(of, load, flow_min, air_c, section.initial_load)
        rate = ageing_rate(np.append(before, hot_spot), section.paper == "upgraded")
        found[0, :, k, x] = load.reshape(hours, -1).mean(axis=1)
        by_hour = hot_spot.reshape(hours, HOUR_MIN)
        found[1, :, k, x] = top_oil.reshape(hours, HOUR_MIN).max(axis=1)
        found[2, :, k, x] = by_hour.max(axis=1)
        aged_min = (rate[:-1] + rate[1:]).reshape(hours, HOUR_MIN).sum(axis=1) / 2.0
        found[3, :, k, x] = aged_min / HOUR_MIN
        over = (by_hour > section.hot_spot_limit_c).sum(axis=1) / HOUR_MIN
        found[4, :, k, x] = np.where(np.isnan(found[2, :, k, x]), np.nan, over)
    return Heat(*found)


def _walk(
    of: Constants, load: FloatArray, flow_min: int, air_c: FloatArray, initial_load: float | None
) -> tuple[float, FloatArray, FloatArray]:
    """Hot spot before the horizon; top oil and hot spot at the end of each minute, (60 H,) [degC].

    load: of each load flow, (F,) [p.u.].
    """
    begin: tuple[float | None, ...] = (None, None, None)
    if initial_load is not None:
        oil, rise = top_oil_rise(initial_load, of), hot_spot_rise(initial_load, of)
        begin = (oil + air_c[0], of.k21 * rise, (of.k21 - 1.0) * rise)
    top_oil_c = np.repeat(top_oil_rise(load, of), flow_min) + air_c
    rise_k = np.repeat(hot_spot_rise(load, of), flow_min)
    aims = (top_oil_c, of.k21 * rise_k, (of.k21 - 1.0) * rise_k)
    top_oil, winding, opposed = (
        _followed(aim, first, lag(1.0, constant_min))
        for aim, first, constant_min in zip(aims, begin, time_constants(of), strict=True)
    )
    hot_spot = top_oil + winding - opposed
    return float(hot_spot[0]), top_oil[1:], hot_spot[1:]


def _followed(aims: FloatArray, begin: float | None, left: float) -> FloatArray:
    """What follows its aims, one for each minute, (n,) -> (n + 1,), its beginning in front.

    left: part of the difference that is left after a minute. begin: None for the beginning to which
    the first day leads back.
    """
    from scipy.signal import lfilter

    if begin is None:
        day = aims[:DAY_MIN]
        answer, _ = lfilter([1.0 - left], [1.0, -left], day, zi=[0.0])
        begin = float(answer[-1] / (1.0 - left ** len(day)))
    followed, _ = lfilter([1.0 - left], [1.0, -left], aims, zi=[left * begin])
    return np.append(begin, followed)
