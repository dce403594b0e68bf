"""First picture of README and site: `python docs/figures/strategies.py`, half a minute.

`paper_balanced` under four strategies, each beside the bound: what `compare` draws.
"""

from __future__ import annotations

import sys

from _common import ROOT, few, load, options, output

from abm.report.figures import save
from abm.report.run_figures import comparison_figures
from abm.study.bound import optimum
from abm.study.compare import compare

STRATEGIES = few(("uncoordinated", "evms_herd", "evms", "coordinated"))


def main() -> int:
    """Run, draw and print the peaks."""
    options(__doc__).parse_args()
    scenario = load("paper_balanced")
    runs = {name: run.results for name, run in compare(scenario, STRATEGIES).items()}
    drawings = comparison_figures(scenario, runs, optimum(scenario).results)
    fig = drawings["demand"]()
    fig.suptitle("")
    save(fig, output(ROOT / "docs" / "img") / "strategies.png")
    for name, results in runs.items():
        print(f"{name}: {results.kpis['peak_15min_mw']:.3f} MW")
    return 0


if __name__ == "__main__":
    sys.exit(main())
