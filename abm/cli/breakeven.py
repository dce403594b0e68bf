"""The verb `breakeven`: at which sale ratio and price of a pack V2G stops paying."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from abm.cli.common import (
    add_json,
    add_kpi,
    add_output,
    add_scenario,
    add_strategies,
    load,
    print_json,
    say_as_printed,
)
from abm.cli.doing import carried_out, names_of, output_of

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
    add_kpi(verb, "further columns of the table", "none")
    verb.set_defaults(verb=_break_even)


def _break_even(options: argparse.Namespace) -> int:
    from abm.api.runs import break_even_task

    scenario = load(options.scenario, options)
    task = break_even_task(scenario, names_of(options.strategies), names_of(options.kpi) or ())
    out = output_of(options, task)
    study = carried_out(options, task, out)

    from abm.report.breakeven import print_break_even
    from abm.report.terminal import print_lines

    if options.json:
        print_json(study.kpis)
        say_as_printed([scenario], aside=True)
    else:
        print_break_even(scenario, study.tables["breakeven"], study.strategies)
        say_as_printed([scenario])
        print_lines([f"Written to {out}"])
    return 0
