"""One odd owner: a subclass of EV
===============================

It decides for itself, for some of the EVs.

.. code-block:: sh

    python examples/watchful_owner.py

`decide` is called in every step while the EV is plugged in and says what it asks for. Only the EVs
named in `ev_class` take this slow path; all others stay columns. A watchful owner does what the
paper's rule says until an hour before it would be too late, and then presses boost: it never leaves
short, and the headroom it takes is missing for the others.

.. image:: /../examples/img/watchful_owner.png
   :width: 500
   :alt: Share of owners who leave short, by the share of watchful ones
"""

# sphinx_gallery_thumbnail_path = '../examples/img/watchful_owner.png'

import argparse
import sys
from pathlib import Path

from abm import EV, Scenario, V2GModel
from abm.report.figures import BLUE, ORANGE, figure, legend_below, save

HERE = Path(sys.argv[0]).resolve().parent
RESERVE_MIN = 60.0


class Watchful(EV):
    """Trusts the RPZ until an hour before it would be too late, and then presses boost."""

    def decide(self):
        """What the rule asks for; a boost charges whatever the RPZ admits."""
        missing_kwh = max(self.soc_target - self.soc, 0.0) * self.capacity_kwh
        needed_min = 60.0 * missing_kwh / (self.efficiency * self.charger_kw)
        if self.departure_min - self.model.minute - needed_min < RESERVE_MIN:
            self.boost = 1
        return self.requested


def main() -> None:
    """The paper's rule with more and more watchful owners, the first ones of each ten."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--smoke", action="store_true", help="few EVs, no picture")
    smoke = parser.parse_args().smoke
    # Every five minutes instead of every minute: a picture sooner, the same story.
    scenario = Scenario.load("paper_balanced").override({"clock.step_s": 300})
    if smoke:
        scenario = scenario.override({"fleet.evs_per_zone": 2})
    n_evs = 15 * scenario.fleet.evs_per_zone
    shares, curves = (0, 10, 20, 30, 50, 70), {"watchful": [], "the others": []}
    for share in shares:
        watchful = [i for i in range(n_evs) if i % 10 < share // 10]
        model = V2GModel(scenario, ev_class=dict.fromkeys(watchful, Watchful)).run()
        table, peak = model.results.ev, model.results.kpis["system_peak_mw"]
        own = table["ev_id"].isin([model.evs[i].ev_id for i in watchful])
        own_short, others_short = table.loc[own, "short"], table.loc[~own, "short"]
        print(
            f"{share:2d} % watchful: short {own_short.sum():3d} of {len(own_short):3d} watchful "
            f"and {others_short.sum():3d} of {len(others_short):3d} other EVs, peak {peak:.3f} MW"
        )
        curves["watchful"].append(100.0 * own_short.mean())
        curves["the others"].append(100.0 * others_short.mean())
    fig, axes = figure("Owners who watch over their own charge, EVMS")
    for (label, percent), color, mark in zip(curves.items(), (BLUE, ORANGE), "os", strict=True):
        axes.plot(
            shares, percent, color=color, marker=mark, ms=3, label=label, clip_on=False, zorder=3
        )
    axes.set_xlabel("Watchful owners (%)")
    axes.set_ylabel("Of these leave short (%)")
    axes.set_xlim(0, 70)
    axes.set_ylim(0, 100)
    legend_below(fig, axes, 2)
    if not smoke:
        save(fig, HERE / "img" / "watchful_owner.png")


if __name__ == "__main__":
    main()
