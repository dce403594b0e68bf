"""The verb about the best there could be: bound."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from abm.cli.common import OUTPUTS, add_output, add_scenario, load, print_json

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def add_verbs(verbs: Verbs) -> None:
    """`bound` with its options."""
    verb = verbs.add_parser("bound", help="the best that perfect foresight could do")
    add_scenario(verb)
    verb.add_argument(
        "--objective",
        choices=("peak", "cost"),
        default="peak",
        help="peak: the lowest peak, then the lowest net cost (default); cost: the latter alone",
    )
    verb.add_argument(
        "--step", metavar="MIN", type=int, default=30, help="15 or 30 minutes (default 30)"
    )
    verb.add_argument(
        "--limit", metavar="MW", type=float, help="highest demand allowed, with --objective cost"
    )
    add_output(verb, "outputs/SCENARIO-bound-seedN")
    verb.add_argument("--json", action="store_true", help="print the KPIs alone, as JSON")
    verb.add_argument("--no-figures", action="store_true", help="leave out the pictures")
    verb.set_defaults(verb=_bound)


def _bound(options: argparse.Namespace) -> int:
    from abm.results.store import check_free

    scenario = load(options.scenario, options)
    label = "bound" if options.objective == "peak" else "bound_cost"
    out = options.out or OUTPUTS / f"{scenario.name}-{label}-seed{scenario.seed}"
    check_free(out, options.force)

    from abm.report.bound import bound_lines, write_bound
    from abm.report.terminal import print_kpis, print_lines, progress
    from abm.study import optimum

    with progress(f"{scenario.name}, {label}", scenario.feeder.copies) as on_feeder:
        bound = optimum(scenario, options.objective, options.step, options.limit, on_feeder)
    write_bound(bound, out, options.force, not options.no_figures)
    if options.json:
        print_json(bound.results.kpis)
    else:
        print_kpis(f"{scenario.name}, {label}, seed {scenario.seed}", bound.results.kpis)
        print_lines([*bound_lines(bound), f"Written to {out}"])
    return 0
