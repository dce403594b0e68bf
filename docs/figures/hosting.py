"""Figures and tables of docs/hosting.md: `python docs/figures/hosting.py`, 30 min on two cores.

Scenario `hosting_lv` under rules that are in use, under `coordinated` and by the plan of least
peak, a hundred replications of each share at most; without the plan four hundred; then other
chargers and load flows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from _common import ROOT, SMOKE, few, load, options, output

from abm.machine import cores_there
from abm.report.figures import save
from abm.report.hosting import map_figure, print_hosting, probability_figure
from abm.report.terminal import print_lines
from abm.study.hosting import ask, hosting
from abm.study.hosting_results import Hosting
from abm.study.hosting_search import parse_shares

RULES = few(("uncoordinated", "throttling", "off_peak", "dimming", "evms", "coordinated"), 1)
FEW, MANY = (2, 2) if SMOKE else (100, 400)
SHARES = (0.0, 0.4) if SMOKE else parse_shares("0:1:0.1")
OTHERS: Sequence[Mapping[str, Any]] = few(
    ({"ev.charger_kw": 3.5}, {"grid.flow_interval_min": 5}, {"grid.flow_interval_min": 30}), 1
)


def study(changes: Mapping[str, Any], rules: Sequence[str], n: int, bound: bool) -> Hosting:
    """Hosting capacity of the street with some changes, printed."""
    street = load("hosting_lv").override(changes)
    asked = ask(street, SHARES, rules, replications=n, bound=bound)
    found = hosting(asked, workers=1 if SMOKE else cores_there())
    print_lines([f"\n{dict(changes) or 'as it is'}, {n} replications"])
    print_hosting(found)
    return found


def main() -> None:
    """Draw the figures, print what each strategy hosts."""
    folder = output(ROOT / "docs" / "img")
    found = study({}, RULES, FEW, True)
    save(probability_figure(found), folder / "hosting.png")
    save(map_figure(found), folder / "hosting_map.png")
    study({}, RULES, MANY, False)
    for changes in OTHERS:
        study(changes, RULES if SMOKE else [RULES[0], RULES[-1]], 2 * FEW, False)


if __name__ == "__main__":
    options(__doc__)
    main()
