"""Loads at their nominal power, one for each bus or customer, and the columns they follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from abm.equations import BoolArray, FloatArray, IntArray
from abm.errors import InputError, Problem
from abm.grid.feeder import Feeder
from abm.scenario import Scenario
from abm.scenario.customers import CustomerTable, bus_columns
from abm.scenario.load_fields import ANY, BaseLoadSection, VarietySection

# Mean load over the feeder's nominal one above which it is in another unit, and in which: where it
# is a multiple of that, and where it is in kW, which a nominal load may say nothing of.
_MOST_OF_NOMINAL = {True: (20.0, "is it in % or kW?"), False: (100.0, "is it in W for kW?")}


@dataclass(frozen=True, eq=False)
class NominalLoads:
    """Loads in the order of their buses, (E,) each: one for each bus, or for each customer.

    column: of the load profile. p_mw, q_mvar: where the profile is 1. tangent: reactive over active
    power where that has no series of its own. kind: class. customers: how many each is of.
    """

    bus: IntArray
    column: IntArray
    p_mw: FloatArray
    q_mvar: FloatArray
    tangent: FloatArray
    kind: np.ndarray
    customers: IntArray

    def some(self, rows: BoolArray | IntArray) -> NominalLoads:
        """Some of them."""
        return NominalLoads(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def nominal_loads(scenario: Scenario, feeder: Feeder) -> NominalLoads:
    """Loads as feeder, profile and customers say them. Raises InputError for buses without load
    profile, and for kW that cannot be meant.
    """
    section, inputs = scenario.base_load, scenario.inputs
    profile, table = inputs.profile, inputs.feeder
    position = {int(index) + 1: at for at, index in enumerate(feeder.bus_index)}
    # Position of each row of the table of buses.
    of_row = np.array([position[int(bus)] for bus in table.buses], dtype=np.int64)
    kinds = np.array(feeder.class_names, dtype=object)[feeder.bus_class]
    tangent = _tangent(section.power_factor, feeder)
    in_kvar = profile.reactive is not None and profile.unit != "-"
    if inputs.customers is not None:
        loads = _singly(inputs.customers, section, of_row, tangent, in_kvar)
        _plausible(loads, scenario, feeder)
        return loads
    counts = _counts(table.customers, of_row, feeder, section.variety)
    scale = section.scale * growth_of(section, feeder.class_names)[feeder.bus_class]
    every = np.arange(feeder.n_bus)
    if section.by == "bus":
        column = np.full(feeder.n_bus, -1, dtype=np.int64)
        column[of_row] = bus_columns(table, profile)
        without = (column < 0) & (np.hypot(feeder.load_p_mw, feeder.load_q_mvar) > 0.0)
        if ANY in profile.classes:
            column[without] = profile.classes.index(ANY)
        elif without.any():
            raise _without_column(scenario, feeder, np.flatnonzero(without))
    else:
        found = [profile.column_of(name, section.class_profiles) for name in feeder.class_names]
        at = [profile.classes.index(name) if name is not None else -1 for name in found]
        column = np.array(at, dtype=np.int64)[feeder.bus_class]
    if profile.unit == "-":
        p_mw = scale * feeder.load_p_mw
        q_mvar = scale * feeder.load_q_mvar
        if section.power_factor is not None:
            q_mvar = p_mw * tangent
    else:
        # kW of the bus, or of each of its customers.
        if section.by == "bus":
            counts = np.maximum(counts, 1)
        p_mw = scale / 1e3 * (1.0 if section.by == "bus" else counts)
        q_mvar = p_mw * (1.0 if in_kvar else tangent)
    rows = column >= 0
    loads = NominalLoads(every, column, p_mw, q_mvar, tangent, kinds, counts).some(rows)
    _plausible(loads, scenario, feeder)
    return loads


def _singly(
    customers: CustomerTable,
    section: BaseLoadSection,
    of_row: IntArray,
    tangent: FloatArray,
    in_kvar: bool,
) -> NominalLoads:
    """A load for each customer.

    of_row: position of each row of the table of buses. tangent: reactive over active power at each
    position.
    """
    bus = of_row[customers.bus]
    own = np.isfinite(customers.power_factor)
    factor = np.where(own, customers.power_factor, 1.0)
    tan = np.where(own, np.sqrt(1.0 - factor**2) / factor, tangent[bus])
    kinds = customers.customer_class
    names, of_class = np.unique(kinds, return_inverse=True)
    p_mw = section.scale * growth_of(section, names.tolist())[of_class] * customers.p_kw / 1e3
    loads = NominalLoads(
        bus,
        customers.column,
        p_mw,
        p_mw * (1.0 if in_kvar else tan),
        tan,
        kinds.astype(object),
        np.ones(len(bus), dtype=np.int64),
    )
    return loads.some(np.argsort(bus, kind="stable"))


def _plausible(loads: NominalLoads, scenario: Scenario, feeder: Feeder) -> None:
    """Refuse a load that is far above the feeder's nominal one, as W taken for kW is."""
    section, profile = scenario.base_load, scenario.inputs.profile
    mean = profile.series.values.mean(axis=0)
    mean_mw = float((loads.p_mw * mean[loads.column]).sum()) / (section.scale or 1.0)
    nominal_mw = float(np.abs(feeder.load_p_mw).sum())
    singly = scenario.inputs.customers is not None
    most, doubt = _MOST_OF_NOMINAL[profile.unit == "-" and not singly]
    if 0.0 < most * nominal_mw < mean_mw:
        field, value = "base_load.profile", section.profile
        if singly and section.customers is not None:
            field, value = "base_load.customers", section.customers
        said = (
            f"a mean load of at most {most:g} times the feeder's nominal {nominal_mw:.4g} MW; "
            f"it is {mean_mw:.4g} MW: {doubt}"
        )
        raise InputError([Problem(field, value, said)])


def _without_column(scenario: Scenario, feeder: Feeder, buses: IntArray) -> InputError:
    """That these buses have load and no column."""
    names = ", ".join(feeder.bus_names[at] for at in buses[:12])
    said = f"a column for each bus with load, or `{ANY}` for all others; none for {names}"
    return InputError([Problem("base_load.profile", scenario.base_load.profile, said)])


def _tangent(power_factor: float | None, feeder: Feeder) -> FloatArray:
    """Reactive over active power of each bus, (n_bus,); 0 where there is no nominal load."""
    if power_factor is not None:
        return np.full(feeder.n_bus, np.sqrt(1.0 - power_factor**2) / power_factor)
    p_mw, q_mvar = feeder.load_p_mw, feeder.load_q_mvar
    return np.divide(q_mvar, p_mw, out=np.zeros(feeder.n_bus), where=p_mw != 0.0)


def _counts(
    known: FloatArray, of_row: IntArray, feeder: Feeder, variety: VarietySection
) -> IntArray:
    """Customers at each bus position: as the feeder says, else by its nominal load."""
    p_kw = 1e3 * np.abs(feeder.load_p_mw)
    there = (p_kw > 0.0) | (feeder.load_q_mvar != 0.0)
    by_load = np.maximum(np.floor(p_kw / variety.kw_per_customer + 0.5), 1.0)
    counts = np.where(there, by_load, 0.0)
    if len(known):
        said = np.full(feeder.n_bus, np.nan)
        said[of_row] = known
        # A bus with load has a customer, whatever is said.
        said = np.maximum(np.floor(said + 0.5), there)
        counts = np.where(np.isnan(said), counts, said)
    return counts.astype(np.int64)


def growth_of(section: BaseLoadSection, names: Sequence[str]) -> FloatArray:
    """Factor of each class."""
    plain, yearly = section.growth, section.growth_per_year
    factors = [
        plain.get(name, plain.get(ANY, 1.0))
        * (1.0 + yearly.get(name, yearly.get(ANY, 0.0))) ** section.growth_years
        for name in names
    ]
    return np.array(factors, dtype=np.float64)
