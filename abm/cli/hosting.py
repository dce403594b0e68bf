"""The verb `hosting`: how many homes may have an EV before a limit of the grid is broken."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from abm.cli.common import add_kpi, add_replications, load, print_json, say_as_printed
from abm.cli.doing import (
    check_resume,
    names_of,
    nothing_to_do,
    output_of,
    unless_finished,
    verdict,
    workers_of,
)
from abm.cli.studies import add_study

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def add_verbs(verbs: Verbs) -> None:
    """`hosting` with its options."""
    verb = verbs.add_parser("hosting", help="the share of homes with EVs that the grid can carry")
    add_study(verb, "outputs/SCENARIO-hosting-seedN")
    add_replications(verb, "of each share and strategy, at most (default 100)", 100)
    verb.add_argument(
        "--shares",
        metavar="LOW:HIGH:STEP",
        default="0:1:0.1",
        help="EVs per customer that are looked at (default 0:1:0.1), or shares with commas between",
    )
    verb.add_argument(
        "--within",
        metavar="SHARE",
        type=float,
        default=0.025,
        help="how near the share that is found is brought by halving (default 0.025)",
    )
    verb.add_argument(
        "--risk",
        metavar="PART",
        type=float,
        default=0.05,
        help="part of the replications that may break a limit (default 0.05)",
    )
    verb.add_argument(
        "--limits",
        metavar="A,B=VALUE,...",
        help="limits that count (default all): voltage or voltage_low, voltage_high (p.u., as in "
        "`grid`), unbalance (%%, 2), line, transformer (%% of the rating, 100)",
    )
    verb.add_argument(
        "--bound",
        action=argparse.BooleanOptionalAction,
        help="also the plan of least peak, with perfect foresight (default: up to 200 EVs, as it "
        "takes its time)",
    )
    add_kpi(verb, "the terminal, means at each share")
    verb.set_defaults(verb=_hosting)


def _hosting(options: argparse.Namespace) -> int:
    from abm.api.studies import hosting_task

    check_resume(options)
    task = hosting_task(
        lambda: load(options.scenario, options),
        options.shares,
        options.within,
        options.risk,
        options.limits,
        options.bound,
        names_of(options.strategies),
        options.replications,
        names_of(options.kpi) or (),
        workers_of(options),
    )
    out = output_of(options, task)
    study = unless_finished(options, task, out)
    if study is None:
        return nothing_to_do(out, task.scenarios)

    from abm.report.chosen import print_chosen
    from abm.report.hosting import print_hosting
    from abm.report.terminal import print_lines
    from abm.study.hosting_tables import mean_kpis
    from abm.study.statistics import kpi_name

    asked = study.found.asked
    studied = [case.scenario for case in asked.cases[:: len(asked.ladder.shares)]]
    kpis = [kpi_name(name) for name in names_of(options.kpi) or ()]
    means = mean_kpis(study.found, kpis)
    if options.json:
        print_json(means if kpis else study.kpis)
        say_as_printed(studied, aside=True)
    elif kpis:
        beside = {
            f"{name}, {100.0 * share:.4g} %": of_share
            for name, of_shares in means.items()
            for share, of_share in of_shares.items()
        }
        title = f"{asked.scenario.name}: means over the replications"
        flow_min = asked.scenario.grid.flow_interval_min
        print_chosen(title, beside, kpis, flow_min, "strategy, share")
        say_as_printed(studied)
        print_lines([f"Written to {out}"])
    else:
        print_hosting(study.found)
        say_as_printed(studied)
        print_lines([f"Written to {out}"])
    return verdict(study)
