"""Whom owners listen to: the same learning on four graphs
=======================================================

Three feeders per graph run side by side in one model, each with its own owners and its own graph.

.. code-block:: sh

    python examples/adoption_graphs.py

Two owners in a hundred begin with V2G. Alone nobody learns anything; neighbours spread it to some;
a few long ties carry it to nearly all.

.. image:: /../examples/img/adoption_graphs.png
   :width: 500
   :alt: Share of owners in V2G by day, on four graphs
"""

# sphinx_gallery_thumbnail_path = '../examples/img/adoption_graphs.png'

import argparse
import sys
from pathlib import Path

from abm import Scenario, V2GModel
from abm.report.figures import BLUE, GREEN, GREY, ORANGE, figure, legend_below, save

HERE = Path(sys.argv[0]).resolve().parent
DAYS, SEEDS = 16, (1, 2, 3)


def main() -> None:
    """V2G from two owners in a hundred, nobody tries it without having seen it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--smoke", action="store_true", help="few EVs and days, no picture")
    smoke = parser.parse_args().smoke
    scenario = Scenario.load("v2g_adoption").override(
        {
            "horizon.days": DAYS,
            "clock.step_s": 300,  # a picture sooner, the same story
            "owners.v2g_participation": 0.02,
            "owners.learning.trial_probability": 0.0,
        }
    )
    if smoke:
        scenario = scenario.override({"horizon.days": 2, "fleet.evs_per_zone": 4})
    fig, axes = figure("V2G from 2 % of the owners, by graph")
    cases = (
        ("alone", "alone", GREY, "-"),
        ("zone", "neighbours in the RPZ", ORANGE, "-."),
        ("watts_strogatz", "Watts-Strogatz", BLUE, "-"),
        ("barabasi_albert", "Barabasi-Albert", GREEN, "--"),
    )
    for graph, label, color, style in cases:
        model = V2GModel(scenario.override({"owners.learning.graph": graph}), seed=SEEDS).run()
        share = 100.0 * model.results.days.pivot(index="day", columns="feeder", values="v2g_share")
        mean = share.mean(axis=1)
        # Half of the owners: the first day on which the mean of the feeders is beyond it.
        half = mean.index[mean >= 50.0]
        when = f"half of them on day {half[0]}" if len(half) else "never half of them"
        print(f"{label:22s} {mean.iloc[-1]:5.1f} % on day {mean.index[-1]}, {when}")
        axes.fill_between(
            share.index, share.min(axis=1), share.max(axis=1), color=color, alpha=0.2, lw=0
        )
        axes.plot(mean.index, mean, color=color, ls=style, label=label)
    axes.set_xlabel("Day")
    axes.set_ylabel("Owners who take part in V2G (%)")
    axes.set_xlim(1, DAYS)
    axes.set_xticks([1, 4, 8, 12, 16])
    axes.set_ylim(0, 102)
    legend_below(fig, axes, 2)
    if not smoke:
        save(fig, HERE / "img" / "adoption_graphs.png")


if __name__ == "__main__":
    main()
