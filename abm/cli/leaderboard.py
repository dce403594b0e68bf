"""The verb `leaderboard`: anybody's rule beside every strategy and the bound."""

from __future__ import annotations

import argparse
import time
from itertools import chain
from typing import TYPE_CHECKING

from abm.cli.common import (
    OUTPUTS,
    add_json,
    add_kpi,
    add_output,
    add_set,
    add_strategies,
    add_trust,
    add_workers,
    claim_output,
    print_json,
)
from abm.cli.doing import (
    check_resume,
    keeping,
    names_of,
    nothing_to_do,
    verdict,
    workers_of,
)

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def add_verbs(verbs: Verbs) -> None:
    """`leaderboard` with its options."""
    verb = verbs.add_parser(
        "leaderboard", help="a rule of your own beside every strategy: feeders, disturbances, seeds"
    )
    verb.add_argument(
        "rules",
        metavar="RULE",
        nargs="+",
        help="module:Class, or rule+admission; a rule alone is granted what it asks for",
    )
    add_set(verb, " on every feeder", "fleet.evs_per_zone=10")
    add_trust(verb)
    add_strategies(verb, " and all of `list`, beside yours")
    verb.add_argument(
        "--quick", action="store_true", help="2 seeds, without mpc and most disturbances"
    )
    verb.add_argument(
        "--replications", metavar="N", type=int, help="seeds (default 5; 2 with --quick)"
    )
    add_workers(verb)
    add_output(verb, "outputs/leaderboard-NAME")
    verb.add_argument("--resume", action="store_true", help="go on with what is in the folder")
    add_json(verb, "the table")
    add_kpi(verb, "further columns of the table", "none")
    verb.set_defaults(verb=_leaderboard)


def _leaderboard(options: argparse.Namespace) -> int:
    from abm.api.options import check_replications, where_of
    from abm.results.kpis import plain
    from abm.study import leaderboard as study
    from abm.study.fingerprint import question
    from abm.study.folder import StudyFolder
    from abm.study.montecarlo import run_study
    from abm.study.size import check_room, study_size

    check_resume(options)
    processes, cluster = where_of(workers_of(options))
    n = study.replications_of(options.replications, options.quick)
    check_replications(n)
    kpis = names_of(options.kpi) or []
    mine = {study.label_of(rule): rule for rule in options.rules}
    cases = study.leaderboard_cases(
        mine,
        names_of(options.strategies),
        quick=options.quick,
        settings=options.settings,
        trust=options.trust,
        kpis=kpis,
    )
    out = options.out or OUTPUTS / f"leaderboard-{'-'.join(mine)}"
    varied = [case.scenario for case in cases]
    names = [str(case) for case in cases]
    how = {"rules": list(options.rules), **({"kpis": kpis} if kpis else {})}
    asked = question("leaderboard", varied[0], names, n, varied, **how)
    check_room(study_size(cases, n, processes if cluster is None else 0), out)
    folder = StudyFolder(claim_output(options, out), asked, options.resume)
    options.held.callback(folder.close)
    if folder.finished:
        return nothing_to_do(out, varied)

    from abm.report.leaderboard import print_leaderboard
    from abm.report.progress import progress
    from abm.report.table_files import table_files
    from abm.report.terminal import print_lines

    began = time.perf_counter()
    with keeping(folder):
        with progress("Runs", n * len(cases), rated=True) as on_done:
            ensemble = run_study(
                cases,
                n,
                study.SEED,
                folder,
                workers=processes,
                cluster=cluster,
                on_done=on_done,
            )
        found = study.Leaderboard(ensemble, tuple(mine), tuple(kpis))
        folder.write_all(chain(found.files(), table_files(found)))
        folder.finish(**ensemble.outcome(), wall_s=time.perf_counter() - began)
    if options.json:
        rows = found.table.set_index("strategy").to_dict("index")
        print_json(
            {
                str(name): {str(key): plain(value) for key, value in row.items()}
                for name, row in rows.items()
            }
        )
    else:
        print_leaderboard(found)
        print_lines([f"Written to {out}"])
    return verdict(ensemble)
