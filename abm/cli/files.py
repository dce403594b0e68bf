"""The verbs about files and names: validate, verify, schema, list."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abm.cli.common import (
    add_trust,
    complain,
    print_json,
    read_scenario,
    warn_of_limit,
)
from abm.errors import EvenfallError, InputError, Problem, printable

DIFFERENT = 1

if TYPE_CHECKING:
    from abm.scenario import Scenario
    from abm.scenario.code import Code

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def add_verbs(verbs: Verbs) -> None:
    """`validate`, `verify`, `schema` and `list` with their options."""
    verb = verbs.add_parser("validate", help="all problems of scenario files at once")
    verb.add_argument("files", metavar="FILE", nargs="+", help="scenario file or name")
    add_trust(verb)
    verb.set_defaults(verb=_validate)

    verb = verbs.add_parser("verify", help="is a folder of results as it was written?")
    verb.add_argument("folder", metavar="FOLDER", type=Path, help="what a verb wrote with --out")
    verb.set_defaults(verb=_verify)

    verb = verbs.add_parser("schema", help="the JSON schema of a scenario file")
    verb.set_defaults(verb=_schema)

    verb = verbs.add_parser("list", help="what there is: scenarios, rules, strategies, feeders ...")
    verb.add_argument("--json", action="store_true", help="as JSON")
    verb.set_defaults(verb=_list)


def _validate(options: argparse.Namespace) -> int:
    problems: list[Problem] = []
    unsolvable: list[str] = []
    for file in options.files:
        try:
            scenario = read_scenario(file, trust=options.trust)
            unrun = _made(scenario)
        except InputError as error:
            problems += [replace(p, file=p.file or file) for p in error.problems]
        except EvenfallError as error:
            unsolvable.append(f"{file}: {error}")
        else:
            print(printable(f"{file}: valid ({scenario.name})"))
            for code in unrun:
                complain(f"note: {code.field} = {code.name} is code; it was read and not run")
    if unsolvable and not problems:
        raise EvenfallError("\n".join(unsolvable))
    for line in unsolvable:
        complain(line)
    if problems:
        raise InputError(problems)
    return 0


def _made(scenario: Scenario) -> Sequence[Code]:
    """Make what `run` would run, one feeder of it: net, solver, rule, admission, behaviours, EVs.

    Of code of the user's own the source is looked at and nothing is run; the rest is made without
    it. Returns that code. Raises EvenfallError, as `run` would.
    """
    from abm.model import V2GModel
    from abm.study.size import check_room, run_size

    unrun = scenario.code
    problems = [problem for code in unrun for problem in code.look()]
    if problems:
        raise InputError(problems)
    changes: dict[str, Any] = {"feeder.copies": 1, "clock.engine": "numpy"}
    one = scenario.override({**changes, **_without_code(scenario)})
    check_room(run_size(scenario))
    if one.inputs.feeder.code is None:
        V2GModel(one).close()
        warn_of_limit(scenario)
    return unrun


def _without_code(scenario: Scenario) -> dict[str, Any]:
    """Changes that put what is built in in the place of classes and KPIs of the user's own."""
    changes: dict[str, Any] = {"kpis": {}}
    if not isinstance(scenario.strategy, str):
        strategy = scenario.strategy.model_dump()
        for part, known in (("rule", "g2v_only"), ("admission", "all_at_once")):
            if ":" in strategy[part]:
                strategy |= {part: known, f"{part}_options": {}}
        changes["strategy"] = strategy
    nobody: dict[str, Any] = {"behaviour": None, "behaviour_options": {}}
    if scenario.code:
        groups = dict.fromkeys(scenario.owners.groups, nobody)
        changes["owners"] = {**nobody, "groups": groups}
    return changes


def _verify(options: argparse.Namespace) -> int:
    from abm.results.ownership import MANIFEST, check_written

    folder: Path = options.folder
    check = check_written(folder)
    if check is None:
        said = f"a folder that Evenfall has written; this has no {MANIFEST} of ours"
        raise InputError([Problem("FOLDER", printable(folder), said)])
    for what, names in check.differences.items():
        for name in names:
            print(f"{printable(folder)}: {what}: {printable(name)}")
    # What somebody put beside the results is named, and does the results no harm.
    as_written = not check.damaged and not check.unfinished
    if as_written:
        print(f"{printable(folder)}: {check.listed} files, all as they were written")
    return 0 if as_written else DIFFERENT


def _schema(options: argparse.Namespace) -> int:
    from abm.scenario.docs import scenario_schema

    print_json(scenario_schema())
    return 0


def _list(options: argparse.Namespace) -> int:
    from abm.scenario import names

    strategies = {
        name: f"{s.description} ({s.rule} + {s.admission})" if s.connected else s.description
        for name, s in names.STRATEGIES.items()
    }
    found = {
        "scenarios": names.shipped_scenarios(),
        "strategies": strategies,
        "rules": dict(names.RULES),
        "admissions": dict(names.ADMISSIONS),
        "feeders": names.shipped_feeders(),
        "tariffs": names.shipped_tariffs(),
        "profiles": {**names.shipped_profiles(), **names.READY_PROFILES},
        "pools": names.shipped_pools(),
        "ev_models": names.shipped_ev_models(),
        "sessions": names.shipped_sessions(),
        "pv": names.shipped_pv(),
        "solvers": dict(names.SOLVERS),
    }
    if options.json:
        print_json(found)
        return 0
    for title, entries in found.items():
        print(f"{title}:")
        for name, description in entries.items():
            print(f"  {name:<24} {description}")
    return 0
