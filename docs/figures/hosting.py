"""Figures and tables of docs/hosting.md: `python docs/figures/hosting.py`, 30 min on two cores.

Scenario `hosting_lv` under rules that are in use, under `coordinated` and by the plan of least
peak, a hundred replications of each share at most; without the plan four hundred; then other
chargers, load flows and limits.
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
from abm.study.hosting_limits import parse_limits
from abm.study.hosting_results import Hosting
from abm.study.hosting_search import parse_shares

RULES = few(("uncoordinated", "throttling", "off_peak", "dimming", "evms", "coordinated"), 1)
PAIR = few(("uncoordinated", "coordinated"), 1)
FEW, SOME, MANY = (2, 2, 2) if SMOKE else (100, 200, 400)
SHARES = (0.0, 0.4) if SMOKE else parse_shares("0:1:0.1")
NO_LINES = "voltage,unbalance,transformer"
# What is changed, the limits that count where not all do, and replications.
OTHERS: Sequence[tuple[Mapping[str, Any], str | None, int]] = few(
    (
        ({"ev.charger_kw": 3.5}, None, SOME),
        ({"grid.flow_interval_min": 30}, None, FEW),
        ({"grid.flow_interval_min": 10}, None, FEW),
        ({"grid.flow_interval_min": 5}, None, FEW),
        ({}, NO_LINES, FEW),
    ),
    1,
)


def study(
    changes: Mapping[str, Any],
    rules: Sequence[str],
    n: int,
    bound: bool = False,
    limits: str | None = None,
) -> Hosting:
    """Hosting capacity of the street with some changes, printed."""
    street = load("hosting_lv").override(changes)
    counted = parse_limits(limits)
    asked = ask(street, SHARES, rules, replications=n, limits=counted, bound=bound)
    found = hosting(asked, workers=1 if SMOKE else cores_there())
    print_lines([f"\n{dict(changes) or 'as it is'}, {limits or 'all limits'}, {n} replications"])
    print_hosting(found)
    return found


def main() -> None:
    """Draw the figures, print what each strategy hosts."""
    folder = output(ROOT / "docs" / "img")
    found = study({}, RULES, FEW, bound=True)
    save(probability_figure(found), folder / "hosting.png")
    save(map_figure(found), folder / "hosting_map.png")
    study({}, RULES, MANY)
    for changes, limits, n in OTHERS:
        study(changes, PAIR, n, limits=limits)


if __name__ == "__main__":
    options(__doc__).parse_args()
    main()
