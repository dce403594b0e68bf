"""The load of a feeder without EVs: its customers, the profiles they follow, heat pumps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import ndtri

from abm.equations import FloatArray, IntArray
from abm.fleet.stays import stream
from abm.grid.base_load import CUSTOMERS, GENERATION, HEAT_PUMPS, BaseLoad, LoadGroup
from abm.grid.feeder import Feeder
from abm.grid.nominal_loads import NominalLoads, growth_of, nominal_loads
from abm.scenario import Scenario
from abm.scenario.load_fields import VarietySection

_HOURS = {"hour": 1, "day": 24}


def base_load_of(scenario: Scenario, feeder: Feeder, seeds: Sequence[int] = ()) -> BaseLoad:
    """Load without EVs of a feeder in a scenario, less its generation; `scale` is of the load.

    seeds: one for each copy of the feeder, which draws customers and heat pumps of its own by it,
    where they vary; without seeds the load that can be expected. Raises InputError where a load has
    no profile.
    """
    section, inputs = scenario.base_load, scenario.inputs
    loads = nominal_loads(scenario, feeder)
    groups = _customers(scenario, loads, feeder.n_bus, seeds)
    if feeder.generation is not None:
        groups.append(_generation(scenario, feeder))
    pumps = scenario.heat_pumps
    if inputs.heat_pump is not None:
        groups.append(_heat_pumps(scenario, loads, feeder.n_bus, seeds))
    varies = section.variety.kind == "pool" or (
        section.variety.kind == "lognormal" and section.variety.spread > 0.0
    )
    drawn = bool(seeds) and (varies or 0.0 < pumps.share < 1.0)
    return BaseLoad(tuple(groups), drawn)


def _customers(
    scenario: Scenario, loads: NominalLoads, n_bus: int, seeds: Sequence[int]
) -> list[LoadGroup]:
    """The customers: those that follow their profile, and those that draw from a pool."""
    section, profile = scenario.base_load, scenario.inputs.profile
    variety = section.variety
    linear = section.interpolation == "linear"
    varies = np.ones(len(loads.bus), dtype=np.bool_)
    if variety.classes is not None:
        varies = np.isin(loads.kind.astype(str), variety.classes)

    def by_profile(rows: NominalLoads) -> LoadGroup:
        return LoadGroup(
            CUSTOMERS, profile.series, n_bus, rows.bus, rows.column[None, None, :],
            rows.p_mw[None, :], rows.q_mvar[None, :], reactive=profile.reactive, linear=linear,
        )  # fmt: skip

    if variety.kind == "lognormal" and seeds and variety.spread > 0.0:
        group = by_profile(loads)
        factor = _lognormal(variety, seeds, np.where(varies, loads.customers, 0), scenario.hours)
        return [replace(group, factor=factor, period_h=_HOURS.get(variety.every, scenario.hours))]
    if scenario.inputs.pool is None:
        return [by_profile(loads)]
    own = _pool(scenario, loads.some(varies), n_bus, seeds, linear)
    return [own] if varies.all() else [by_profile(loads.some(~varies)), own]


def _lognormal(
    variety: VarietySection, seeds: Sequence[int], customers: IntArray, hours: int
) -> FloatArray:
    """Mean factor of the customers of each load, (T, K, E); 1 where customers is 0.

    A factor is exp(s z - s^2 / 2) with s^2 = ln(1 + spread^2), so that its mean is 1. z is normal
    with the correlation ln(1 + c spread^2) / s^2 between customers, so that c is that of the
    factors.
    """
    variance = np.log1p(variety.spread**2)
    shared = np.log1p(variety.correlation * variety.spread**2) / variance
    rows = np.flatnonzero(customers)
    starts = np.cumsum(customers[rows]) - customers[rows]
    n = int(customers.sum())
    days = 1 if variety.every == "horizon" else -(-hours // 24)
    at_once = 24 if variety.every == "hour" else 1
    out = np.ones((days * at_once, len(seeds), len(customers)))
    if n == 0:
        return out[:1]
    for k, seed in enumerate(seeds):
        for day in range(days):
            u = stream(seed, "customers", day).random((at_once, 1 + n))
            z = ndtri(np.maximum(u, 2.0**-54))
            own = np.sqrt(shared) * z[:, :1] + np.sqrt(1.0 - shared) * z[:, 1:]
            factor = np.exp(np.sqrt(variance) * own - variance / 2.0)
            mean = np.add.reduceat(factor, starts, axis=1) / customers[rows]
            out[day * at_once : (day + 1) * at_once, k, rows] = mean
    return out[:hours] if variety.every == "hour" else out


def _pool(
    scenario: Scenario, loads: NominalLoads, n_bus: int, seeds: Sequence[int], linear: bool
) -> LoadGroup:
    """Customers each of which has a profile of the pool; without seeds its mean."""
    section, profile, pool = scenario.base_load, scenario.inputs.profile, scenario.inputs.pool
    assert pool is not None
    variety, n = section.variety, loads.customers
    if variety.level == "class":
        of_pool = float(pool.horizon_mean().mean())
        over = profile.horizon_mean()[loads.column] / of_pool if of_pool > 0.0 else 0.0
        p_mw = loads.p_mw * over
    elif pool.unit == "-":
        p_mw = loads.p_mw
    else:
        grown = section.scale * growth_of(section, [str(kind) for kind in loads.kind])
        p_mw = grown * n / 1e3
    # A pool has no reactive power of its own.
    q_mvar = p_mw * loads.tangent
    if not seeds or variety.kind == "average":
        series = pool.series.of(pool.series.values.mean(axis=1, keepdims=True))
        column = np.zeros((1, 1, len(n)), dtype=np.int64)
        return LoadGroup(
            CUSTOMERS, series, n_bus, loads.bus, column, p_mw[None, :], q_mvar[None, :],
            linear=linear,
        )  # fmt: skip
    each = np.repeat(np.arange(len(n)), n)
    days = 1 if variety.every == "horizon" else -(-scenario.hours // 24)
    column = np.empty((days, len(seeds), len(each)), dtype=np.int64)
    for k, seed in enumerate(seeds):
        for day in range(days):
            u = stream(seed, "customers", day).random(len(each))
            column[day, k] = np.floor(u * len(pool.classes))
    p_each, q_each = p_mw[each] / n[each], q_mvar[each] / n[each]
    return LoadGroup(
        CUSTOMERS, pool.series, n_bus, loads.bus[each], column, p_each[None, :], q_each[None, :],
        period_h=_HOURS.get(variety.every, scenario.hours), linear=linear,
    )  # fmt: skip


def _generation(scenario: Scenario, feeder: Feeder) -> LoadGroup:
    """What follows series of its own and feeds in."""
    profile, section = scenario.inputs.profile, scenario.base_load
    given = feeder.generation
    assert given is not None
    names = [profile.column_of(str(name), section.class_profiles) for name in given.kind]
    column = np.array([profile.classes.index(str(name)) for name in names], dtype=np.int64)
    order = np.argsort(given.bus, kind="stable")
    return LoadGroup(
        GENERATION, profile.series, feeder.n_bus, given.bus[order], column[order][None, None, :],
        -given.p_mw[order][None, :], -given.q_mvar[order][None, :],
        linear=section.interpolation == "linear",
    )  # fmt: skip


def _heat_pumps(
    scenario: Scenario, loads: NominalLoads, n_bus: int, seeds: Sequence[int]
) -> LoadGroup:
    """Heat pumps of the customers that have one; without seeds the expected number of them."""
    section, series = scenario.heat_pumps, scenario.inputs.heat_pump
    assert series is not None
    may = np.ones(len(loads.bus), dtype=np.bool_)
    if section.classes is not None:
        may = np.isin(loads.kind.astype(str), section.classes)
    customers = np.where(may, loads.customers, 0)
    pumps = section.share * customers[None, :]
    if seeds and section.share < 1.0:
        pumps = np.zeros((len(seeds), len(customers)))
        of = np.repeat(np.arange(len(customers)), customers)
        for k, seed in enumerate(seeds):
            u = stream(seed, "heat_pumps").random(len(of))
            pumps[k] = np.bincount(of[u < section.share], minlength=len(customers))
    p_mw = pumps / 1e3
    tangent = np.sqrt(1.0 - section.power_factor**2) / section.power_factor
    column = np.zeros((1, 1, len(customers)), dtype=np.int64)
    return LoadGroup(HEAT_PUMPS, series, n_bus, loads.bus, column, p_mw, p_mw * tangent)
