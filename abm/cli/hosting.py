"""The verb `hosting`: how many homes may have an EV before a limit of the grid is broken."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from abm.cli import studies
from abm.cli.common import (
    add_replications,
    claim_output,
    cluster_of,
    complain,
    load,
    print_json,
    say_as_printed,
    scenario_output,
    warn_of_limit,
)
from abm.errors import InputError, Problem

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


# A plan of least peak for so many EVs takes a second or two, and each replication has one.
MOST_EVS = 200


def add_verbs(verbs: Verbs) -> None:
    """`hosting` with its options."""
    verb = verbs.add_parser("hosting", help="the share of homes with EVs that the grid can carry")
    studies.add_study(verb, "outputs/SCENARIO-hosting-seedN")
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
        help="also the plan of least peak, with perfect foresight (default: up to "
        f"{MOST_EVS} EVs, as it takes its time)",
    )
    verb.set_defaults(verb=_hosting)


def _hosting(options: argparse.Namespace) -> int:
    from abm.machine import cores_there
    from abm.results.folder import strategy_label
    from abm.study.compare import bound_left_out, check_strategies
    from abm.study.fingerprint import question
    from abm.study.folder import StudyFolder
    from abm.study.hosting import ask, hosting, number_problems, place_problems
    from abm.study.hosting_limits import as_asked, parse_limits
    from abm.study.hosting_results import BOUND
    from abm.study.hosting_search import parse_shares

    cluster = cluster_of(options)
    problems: list[Problem] = []
    _tried(lambda: studies.check_counts(options), problems)
    problems += number_problems(options.risk, options.within)
    shares = _tried(lambda: parse_shares(options.shares), problems)
    limits = _tried(lambda: parse_limits(options.limits), problems)
    names = studies.names_of(options.strategies)
    scenario = _tried(lambda: load(options.scenario, options), problems)
    if scenario is not None:
        own = strategy_label(scenario)
        _tried(lambda: check_strategies(names or [own], own), problems)
        problems += place_problems(scenario)
    if scenario is None or shares is None or limits is None or problems:
        raise InputError(problems)
    most = scenario.model_copy(
        update={"fleet": scenario.fleet.model_copy(update={"evs_per_customer": max(shares)})}
    )
    why_not = "" if options.bound is False else bound_left_out(most)
    if not why_not and options.bound is None and int(most.zone_evs.sum()) > MOST_EVS:
        why_not = f"Without the bound, as there may be more than {MOST_EVS} EVs; --bound has it."
    asked = ask(
        scenario,
        shares,
        names,
        replications=options.replications,
        risk=options.risk,
        within=options.within,
        limits=limits if options.limits is not None else None,
        bound=options.bound is not False and not why_not,
    )
    out = scenario_output(options, scenario, "hosting")
    rungs = asked.ladder
    varied = [case.scenario for case in asked.cases[:: len(rungs.shares)]]
    about = question(
        "hosting",
        scenario,
        list(asked.strategies),
        options.replications,
        varied,
        shares=options.shares,
        within=options.within,
        risk=options.risk,
        limits=as_asked(asked.limits),
    )
    studies.check_study_room(options, asked.cases, options.replications, out)
    folder = StudyFolder(claim_output(options, out), about, options.resume)
    options.held.callback(folder.close)
    if folder.finished:
        return studies.nothing_to_do(folder, varied)

    from abm.report.figures import pictures
    from abm.report.hosting import hosting_figures, print_hosting
    from abm.report.study_terminal import replications_bar
    from abm.report.terminal import print_lines
    from abm.study.hosting_tables import hosting_files, hosting_summary

    warn_of_limit(scenario)
    if why_not:
        complain(why_not)
    began = time.perf_counter()
    with studies.keeping(folder):
        with replications_bar(
            "Replications, at most", rungs.most * len(asked.strategies)
        ) as on_done:
            study = hosting(
                asked,
                folder,
                workers=options.workers or cores_there(),
                cluster=cluster,
                on_done=on_done,
            )
        folder.write_all(hosting_files(study))
        folder.write_all(pictures(hosting_figures(study)))
        ran = study.table.num_rows
        folder.finish(
            replications_run=ran,
            failed=len(study.failures),
            lost=study.lost,
            bound=BOUND in asked.strategies,
            wall_s=time.perf_counter() - began,
        )
    if options.json:
        print_json(hosting_summary(study))
        say_as_printed(varied, aside=True)
    else:
        print_hosting(study)
        say_as_printed(varied)
        print_lines([f"Written to {out}"])
    return studies.verdict(study, ran)


_T = TypeVar("_T")


def _tried(call: Callable[[], _T], problems: list[Problem]) -> _T | None:
    """What a call returns; None where the input is wrong, and its problems with the others."""
    try:
        return call()
    except InputError as error:
        problems.extend(error.problems)
        return None
