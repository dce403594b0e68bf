"""What the aggregator of a feeder sees of its zones before it sets their powers.

One walk over all EVs gives what each zone needs and could do, and what it has done so far. Who
comes in the step that begins counts: the compiled hour books arrivals within the step.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any, NamedTuple

from abm.engine.split import keeps_slack, must_charge
from abm.equations.admission import latest_start, minutes_until_set, slack
from abm.equations.battery import (
    charged_in,
    charging_energy,
    charging_minutes,
    discharged_in,
    mean_power,
    printed_goal,
    spare_soc,
    stored_energy,
)
from abm.equations.switching import can_move

LOOK_ARRAYS = (
    "zone", "first_row", "plugged", "arrived", "arrival_step", "departure_step", "arrival_min",
    "departure_min", "announced_min", "soc", "soc_arrival", "soc_goal", "soc_required",
    "soc_target", "soc_min", "soc_departure", "capacity_kwh", "efficiency", "p_max_kw",
    "p_discharge_kw", "v2g", "boost", "has_charged", "charged_kwh", "discharged_kwh",
)  # fmt: skip
# mypy wants to read the names in the call itself.
LookColumns: Any = namedtuple("LookColumns", LOOK_ARRAYS)  # type: ignore[misc]
# Columns of what is seen: EVs plugged in; mean power until the next setting, at most, both ways
# and in any case; energy to be charged, all of it and by the end of some hours.
PLUGGED, CHARGE, DISCHARGE, MUST, NEED, DUE = range(6)
N_SEEN = 6
# And of what was done since the beginning: energy drawn and supplied, and what was missing of the
# SoC wanted on departure.
DRAWN, SUPPLIED, SHORT = range(3)
N_DONE = 3


class Moment(NamedTuple):
    """When somebody looks, and by which rules: see `abm.control.SetPoints`."""

    step: int
    minute: float
    interval_min: float
    due_min: float
    guarantee: bool
    as_printed: bool
    n_zones: int


def look(first_feeder, last_feeder, ev, now, seen, done):
    """Write what is seen and what was done, (n_cells, N_SEEN) and (n_cells, N_DONE)."""
    t0, span_min = now.minute, minutes_until_set(now.minute, now.interval_min)
    span_h = span_min / 60.0
    for k in range(first_feeder, last_feeder):
        seen[k * now.n_zones : (k + 1) * now.n_zones] = 0.0
        done[k * now.n_zones : (k + 1) * now.n_zones] = 0.0
        for row in range(ev.first_row[k], ev.first_row[k + 1]):
            c = k * now.n_zones + ev.zone[row]
            done[c, DRAWN] += ev.charged_kwh[row]
            done[c, SUPPLIED] += ev.discharged_kwh[row]
            soc, has_charged = ev.soc[row], ev.has_charged[row]
            here, capacity = ev.plugged[row], ev.capacity_kwh[row]
            if not here:
                if ev.arrived[row]:
                    missing = ev.soc_target[row] - ev.soc_departure[row]
                    done[c, SHORT] += max(stored_energy(missing, capacity), 0.0)
                    continue
                comes = ev.arrival_step[row] <= now.step
                if not comes or ev.departure_min[row] <= max(ev.arrival_min[row], t0):
                    continue
                soc, has_charged = ev.soc_arrival[row], False
            if ev.departure_step[row] <= now.step:
                continue
            goal, efficiency = ev.soc_goal[row], ev.efficiency[row]
            if now.as_printed and not has_charged:
                goal = printed_goal(soc, ev.soc_required[row])
            need = stored_energy(goal - soc, capacity)
            p_max = ev.p_max_kw[row]
            seen[c, PLUGGED] += 1.0
            left = charging_minutes(need, p_max, efficiency)
            slack_min = slack(latest_start(ev.announced_min[row], left), ev.arrival_min[row], t0)
            must = False
            if can_move(need, True):
                power = mean_power(charged_in(need, p_max, efficiency, span_h), span_h)
                must = must_charge(True, ev.boost[row], now.guarantee, slack_min, span_min)
                need_kwh = charging_energy(need, efficiency)
                seen[c, CHARGE] += power
                seen[c, NEED] += need_kwh
                later_h = max(ev.announced_min[row] - t0 - now.due_min, 0.0) / 60.0
                seen[c, DUE] += max(need_kwh - p_max * later_h, 0.0)
                if must:
                    seen[c, MUST] += power
            surplus = stored_energy(spare_soc(soc, ev.soc_min[row]), capacity)
            gives = can_move(surplus, ev.v2g[row]) and not must and not ev.boost[row]
            if not gives or (now.as_printed and has_charged):
                continue
            p_give = ev.p_discharge_kw[row]
            if not now.guarantee or keeps_slack(
                slack_min, span_min, efficiency, p_give, p_max, now.as_printed
            ):
                given = discharged_in(surplus, p_give, efficiency, span_h)
                seen[c, DISCHARGE] += mean_power(given, span_h)
