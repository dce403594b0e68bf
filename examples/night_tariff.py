"""A behaviour of your own: timers on the night tariff
===================================================

Owners let a timer plug them in when the night tariff begins.

.. code-block:: sh

    python examples/night_tariff.py
    evenfall run examples/night_tariff.yaml --trust

A behaviour is any class with `plan(plan, rng)`. It is called once a day for all owners of a group
on a feeder and writes to the arrays of the plan; the scenario names it as module:Class. With half
of the owners on timers the evening peak falls. With all of them it is back, at midnight, since they
all start in the same minute; each timer spread over four hours takes it away.

.. image:: /../examples/img/night_tariff.png
   :width: 500
   :alt: System demand with timers in the hands of nobody, half and all of the owners
"""

# sphinx_gallery_thumbnail_path = '../examples/img/night_tariff.png'

import argparse
import sys
from pathlib import Path

import numpy as np

from abm import Scenario, V2GModel
from abm.report.figures import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    clock_axis,
    figure,
    hour_steps,
    legend_below,
    save,
)
from abm.scenario import clock_minutes

HERE = Path(sys.argv[0]).resolve().parent


class NightTariff:
    """Plug in when energy gets cheaper, or up to `spread_h` later, each owner at its own time.

    begins: clock time. starts: clock time at which the day of the scenario begins.
    """

    def __init__(self, begins: str = "0:00", spread_h: float = 0.0, starts: str = "12:00") -> None:
        self.begins_min = (clock_minutes(begins) - clock_minutes(starts)) % 1440
        self.spread_h = spread_h

    def plan(self, plan, rng):
        """Move the plug-in to the timer; who would not be charged in time plugs in at once."""
        later = np.round(60.0 * self.spread_h * rng.random(len(plan.evs)))
        timer = np.maximum(plan.arrival_min, self.begins_min + later)
        # 4 h fill 60 % of the largest battery here: a timer later than that helps nobody.
        in_time = timer < plan.departure_min - 240.0
        plan.arrival_min[:] = np.where(in_time, timer, plan.arrival_min)


def main() -> None:
    """Timers in the hands of nobody, of half and of all owners, and of all with a spread."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--smoke", action="store_true", help="few EVs, no picture")
    smoke = parser.parse_args().smoke
    scenario = Scenario.load(HERE / "night_tariff.yaml", trust=True)  # it names the class above
    if smoke:
        scenario = scenario.override({"fleet.evs_per_zone": 2})
    cases = {
        "no timers": {"timer": 0.0},
        "half at 0:00": {"timer": 0.5},
        "all at 0:00": {"timer": 1.0},
        "all, spread over 4 h": {"timer": 1.0, "spread_h": 4.0},
    }
    fig, axes = figure("Timers on the night tariff, no coordination")
    looks = ((BLACK, "--"), (BLUE, "-"), (ORANGE, "-"), (GREEN, "-."))
    for (label, case), (color, style) in zip(cases.items(), looks, strict=True):
        groups = {
            "timer": {
                "share": case["timer"],
                "behaviour_options": {"begins": "0:00", "spread_h": case.get("spread_h", 0.0)},
            },
            "others": {"share": 1.0 - case["timer"]},
        }
        results = V2GModel(scenario.override({"owners.groups": groups})).run().results
        kpis = results.kpis
        print(
            f"{label:22s} peak {kpis['system_peak_mw']:.3f} MW at {kpis['system_peak_hour']}:00, "
            f"cost {kpis['net_cost_usd']:7.2f} $, {kpis['evs_short']} EVs short"
        )
        hour_steps(axes, results.total_mw, color=color, ls=style, label=label)
    axes.set_ylabel("System demand (MW)")
    clock_axis(axes, results.clock_hours)
    legend_below(fig, axes, 2)
    if not smoke:
        save(fig, HERE / "img" / "night_tariff.png")


if __name__ == "__main__":
    main()
