"""What the compiled hour is given: three tuples of arrays, which numba takes as they are."""

from __future__ import annotations

from collections import namedtuple
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, FloatArray, IntArray
from abm.fleet.columns import COMPILED

SmallIntArray = NDArray[np.int32]
ModeArray = NDArray[np.int8]


# Columns of `abm.fleet.Fleet`, and what it counts by feeder and zone.
FLEET_ARRAYS = (*COMPILED, "first_row", "forced_kw", "plugged_count")
# Of `abm.fleet.cycles.SocHistory`; empty where it is not kept.
HISTORY_ARRAYS = ("direction", "moment", "turn_soc", "n_turns")
# mypy wants to read the names here, and they stand in columns.csv.
FleetColumns: Any = namedtuple("FleetColumns", (*FLEET_ARRAYS, *HISTORY_ARRAYS))  # type: ignore[misc]


class MeterArrays(NamedTuple):
    """Arrays of `abm.engine.meter.Meter`; see there."""

    charge_kw: FloatArray
    discharge_kw: FloatArray
    plugged: SmallIntArray
    hour_charge: FloatArray
    hour_discharge: FloatArray
    flow_charge: FloatArray
    flow_discharge: FloatArray
    point_charge: FloatArray
    point_discharge: FloatArray
    net_kw: FloatArray
    zone_plugged: IntArray
    plugged_peak: IntArray
    soc_lowest: FloatArray
    soc_highest: FloatArray
    below_min: FloatArray
    above_min: FloatArray
    ev_kw: FloatArray
    sync_change: SmallIntArray
    last_switch: IntArray


class Held(NamedTuple):
    """Of `abm.control.SetPoints`, see there; arrays without elements under any other rule.

    min_charge_kw: least power that each EV can be set to, (n_evs,) [kW].
    """

    power_kw: FloatArray
    line: IntArray
    asked_kw: FloatArray
    min_charge_kw: FloatArray
    by_zone: bool
    from_min: float
    interval_min: float
    guarantee: bool


class HourOrders(NamedTuple):
    """What holds for the steps of a stretch, in which nobody hears anything new.

    first_step, n_steps, hour: of the horizon. told, closed (n_feeders,): whether eq. (13) tells to
    discharge, whether demand is at or above the limit. room_kw, keep_kw, over_kw
    (n_feeders,): headroom for charging, that for those at it, and demand above the level to shave
    to, of the admission coordinated. one_discharge,
    charge_above: options of eq. (13). admission: number of the admission; guarantee, margin_min:
    options of least laxity and of coordinated. by_step: whether zones are metered by step;
    keep_zones: whether their net power is kept for the hour.
    steps_per_flow: steps that one load flow is of. points: whether power is metered by point.
    window: steps within which changes of mode count as done together. history: whether the SoC is
    followed. held: powers that somebody outside has set.
    """

    first_step: int
    n_steps: int
    hour: int
    step_s: int
    step_min: float
    step_h: float
    steps_per_hour: int
    n_zones: int
    told: BoolArray
    closed: BoolArray
    room_kw: FloatArray
    keep_kw: FloatArray
    over_kw: FloatArray
    one_discharge: bool
    charge_above: bool
    as_printed: bool
    admission: int
    guarantee: bool
    margin_min: float
    by_step: bool
    keep_zones: bool
    steps_per_flow: int
    points: bool
    soc_lower: float
    soc_upper: float
    window: int
    history: bool
    held: Held


class LeastLaxityOrders(HourOrders):
    """HourOrders for the admission of this name, which is compiled for these alone."""


class CoordinatedOrders(HourOrders):
    """HourOrders for the admission of this name, which is compiled for these alone."""


class SetPointsOrders(HourOrders):
    """HourOrders for powers that are held, which are compiled for these alone."""


class Scratch(NamedTuple):
    """Room to work in, made anew for each call.

    live: rows of a feeder that may do something; ask, turn, latest_min, power_kw: by place in
    live. cand: rows, or places in live, that are being looked at. served: by row. zone_in,
    zone_out: energy of a step, by zone of the feeder [kWh].
    """

    live: IntArray
    cand: IntArray
    turn: IntArray
    ask: ModeArray
    latest_min: FloatArray
    power_kw: FloatArray
    served: BoolArray
    zone_in: FloatArray
    zone_out: FloatArray
