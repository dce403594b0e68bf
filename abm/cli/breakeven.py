"""The verb `breakeven`: at which sale ratio and price of a pack V2G stops paying."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from abm.cli import studies
from abm.cli.common import (
    add_json,
    add_output,
    add_scenario,
    add_strategies,
    claim_output,
    load,
    print_json,
    say_as_printed,
    scenario_output,
    warn_of_limit,
)

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def add_verbs(verbs: Verbs) -> None:
    """`breakeven` with its options."""
    verb = verbs.add_parser(
        "breakeven", help="the sale ratio and the price of a pack at which V2G stops paying"
    )
    add_scenario(verb)
    add_strategies(verb, " and all of `list` but mpc")
    add_output(verb, "outputs/SCENARIO-breakeven-seedN")
    add_json(verb, "the table")
    verb.set_defaults(verb=_break_even)


def _break_even(options: argparse.Namespace) -> int:
    from abm.results.folder import manifest
    from abm.results.kpis import plain
    from abm.study.breakeven import break_even, break_even_table, default_strategies
    from abm.study.compare import under

    scenario = load(options.scenario, options)
    names = studies.names_of(options.strategies) or default_strategies(scenario)
    under(scenario, names)
    out = scenario_output(options, scenario, "breakeven")
    claimed = claim_output(options, out, scenario)

    from abm.report.breakeven import break_even_figure, print_break_even
    from abm.report.figures import png
    from abm.report.terminal import print_lines, progress

    warn_of_limit(scenario)
    with progress("Strategies with and without V2G", 2 * len(names) * scenario.hours) as on_hour:
        found = break_even(scenario, names, on_hour)
    table = break_even_table(found)
    with claimed.new() as folder:
        folder.write("breakeven.csv", table)
        if found:
            folder.write("figures/breakeven.png", png(break_even_figure(scenario, found)))
        folder.write_manifest(manifest("breakeven", scenario, names))
    if options.json:
        rows = table.set_index("strategy").to_dict("index") if found else {}
        values = {
            str(name): {str(key): plain(value) for key, value in row.items()}
            for name, row in rows.items()
        }
        print_json(values)
        say_as_printed([scenario], aside=True)
    else:
        print_break_even(scenario, table, names)
        say_as_printed([scenario])
        print_lines([f"Written to {out}"])
    return 0
