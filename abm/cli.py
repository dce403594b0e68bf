"""The command line: verbs, their options, and errors as one clear text with exit code 2."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abm.errors import EvenfallError, InputError, Problem

if TYPE_CHECKING:
    from abm.scenario import Scenario

OUTPUTS = Path("outputs")
BAD_INPUT, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; `reproduce` when none is given. Returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = build_parser().parse_args(arguments or ["reproduce"])
    # A rule named module:Class may lie beside the person who types, and never hides a package.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    warnings.showwarning = _show_warning
    try:
        verb: Callable[[argparse.Namespace], int] = options.verb
        return verb(options)
    except InputError as error:
        found = len(error.problems)
        _complain(f"{found} problem{'s' if found > 1 else ''} with what was handed in:")
        for problem in error.problems:
            _complain(f"  {problem}")
        return BAD_INPUT
    except EvenfallError as error:
        _complain(str(error))
        return BAD_INPUT
    except KeyboardInterrupt:
        _complain("interrupted; nothing half-written is left")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); that is not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def build_parser() -> argparse.ArgumentParser:
    """All verbs and options."""
    parser = argparse.ArgumentParser(
        prog="evenfall",
        description="Residential EV fleets on a real distribution feeder, agent by agent.",
        epilog="Without a verb: reproduce.",
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    verb = verbs.add_parser("reproduce", help="the paper's study beside its own tables")
    _add_seed(verb)
    _add_output(verb, OUTPUTS / "paper")
    verb.set_defaults(verb=_reproduce)

    verb = verbs.add_parser("run", help="one scenario, one folder of results")
    _add_scenario(verb)
    verb.add_argument("--strategy", metavar="NAME", help="takes the place of the scenario's own")
    _add_output(verb, "outputs/SCENARIO-STRATEGY-seedN")
    verb.add_argument("--json", action="store_true", help="print the KPIs alone, as JSON")
    verb.add_argument("--no-figures", action="store_true", help="leave out the pictures")
    verb.set_defaults(verb=_run)

    verb = verbs.add_parser("compare", help="several strategies on the same EVs")
    _add_scenario(verb)
    verb.add_argument(
        "--strategies", metavar="A,B,...", help="names, comma between (default: all of `list`)"
    )
    _add_output(verb, "outputs/SCENARIO-compare-seedN")
    verb.add_argument("--json", action="store_true", help="print the KPIs alone, as JSON")
    verb.set_defaults(verb=_compare)

    verb = verbs.add_parser("validate", help="all problems of scenario files at once")
    verb.add_argument("files", metavar="FILE", nargs="+", help="scenario file or name")
    verb.set_defaults(verb=_validate)

    verb = verbs.add_parser("schema", help="the JSON schema of a scenario file")
    verb.set_defaults(verb=_schema)

    verb = verbs.add_parser("list", help="what there is: scenarios, rules, strategies, feeders ...")
    verb.add_argument("--json", action="store_true", help="as JSON")
    verb.set_defaults(verb=_list)
    return parser


def _add_scenario(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("scenario", metavar="SCENARIO", help="a file, or a name from `list`")
    verb.add_argument(
        "--set",
        metavar="A.B=C",
        action="append",
        default=[],
        dest="settings",
        help="change one field, e.g. --set ev.efficiency=0.9; may be repeated",
    )
    _add_seed(verb)


def _add_seed(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--seed", metavar="N", help="takes the place of the scenario's own")


def _add_output(verb: argparse.ArgumentParser, default: Path | str) -> None:
    verb.add_argument("--out", metavar="DIR", type=Path, help=f"folder (default {default})")
    verb.add_argument("--force", action="store_true", help="replace the folder if it is there")


# --- verbs -------------------------------------------------------------------------------------


def _reproduce(options: argparse.Namespace) -> int:
    from abm.results.store import check_free

    out = options.out or OUTPUTS / "paper"
    check_free(out, options.force)
    seed = None if options.seed is None else _load("paper", options).seed

    from abm.report.paper import write_reproduction
    from abm.report.terminal import print_lines, print_table2, print_table3, progress
    from abm.study import findings, reproduce, table2, table3

    with progress("Six days of 24 hours", 6 * 24) as on_hour:
        study = reproduce(seed, on_hour)
    tables = table2(study), table3(study)
    print_table2(tables[0])
    print_table3(tables[1])
    print_lines(findings(study))
    with progress("Tables and figures", 6) as on_part:
        write_reproduction(study, *tables, out, options.force, on_part)
    print_lines([f"\nWritten to {out}"])
    return 0


def _run(options: argparse.Namespace) -> int:
    from abm.results.store import check_free, new_folder, strategy_label, write_run

    changes = {} if options.strategy is None else {"strategy": options.strategy}
    scenario = _load(options.scenario, options, **changes)
    label = strategy_label(scenario.strategy).replace(":", ".")
    out = options.out or OUTPUTS / f"{scenario.name}-{label}-seed{scenario.seed}"
    check_free(out, options.force)

    from abm.report.terminal import print_kpis, print_lines, progress
    from abm.study import run_once

    with progress(f"{scenario.name}, {label}", scenario.clock.hours) as on_hour:
        run = run_once(scenario, on_hour)
    with new_folder(out, options.force) as folder:
        write_run(folder, run.results, run.wall_s)
        if not options.no_figures:
            from abm.report.figures import run_figures

            run_figures(run.results, folder / "figures")
    if options.json:
        _print_json(run.results.kpis)
    else:
        print_kpis(f"{scenario.name}, {label}, seed {scenario.seed}", run.results.kpis)
        print_lines([f"Written to {out}"])
    return 0


def _compare(options: argparse.Namespace) -> int:
    from abm.results.store import check_free
    from abm.scenario.names import STRATEGIES

    names = options.strategies.split(",") if options.strategies is not None else list(STRATEGIES)
    names = [name.strip() for name in names]
    from abm.study.compare import check_strategies

    check_strategies(names)
    scenario = _load(options.scenario, options)
    out = options.out or OUTPUTS / f"{scenario.name}-compare-seed{scenario.seed}"
    check_free(out, options.force)

    from abm.report.paper import write_comparison
    from abm.report.terminal import print_comparison, print_lines, progress
    from abm.study import compare, comparison_table

    with progress("Strategies", len(names) * scenario.clock.hours) as on_hour:
        runs = compare(scenario, names, on_hour)
    table = comparison_table(runs)
    write_comparison(scenario, runs, table, out, options.force)
    if options.json:
        _print_json({name: run.results.kpis for name, run in runs.items()})
    else:
        print_comparison(table, max(run.results.kpis["evs"] for run in runs.values()))
        print_lines([f"Written to {out}"])
    return 0


def _validate(options: argparse.Namespace) -> int:
    problems: list[Problem] = []
    for file in options.files:
        try:
            scenario = _load_file(file)
        except InputError as error:
            problems += error.problems
        else:
            print(f"{file}: valid ({scenario.name})")
    if problems:
        raise InputError(problems)
    return 0


def _schema(options: argparse.Namespace) -> int:
    from abm.scenario.docs import scenario_schema

    _print_json(scenario_schema())
    return 0


def _list(options: argparse.Namespace) -> int:
    from abm.scenario import shipped
    from abm.scenario.names import ADMISSIONS, RULES, SOLVERS, STRATEGIES

    strategies = {
        name: f"{s.description} ({s.rule} + {s.admission})" if s.connected else s.description
        for name, s in STRATEGIES.items()
    }
    found = {
        "scenarios": shipped.shipped_scenarios(),
        "strategies": strategies,
        "rules": dict(RULES),
        "admissions": dict(ADMISSIONS),
        "feeders": shipped.shipped_feeders(),
        "tariffs": shipped.shipped_tariffs(),
        "profiles": shipped.shipped_profiles(),
        "solvers": dict(SOLVERS),
    }
    if options.json:
        _print_json(found)
        return 0
    for title, entries in found.items():
        print(f"{title}:")
        for name, description in entries.items():
            print(f"  {name:<24} {description}")
    return 0


# --- helpers -----------------------------------------------------------------------------------


def _load_file(reference: str, settings: Sequence[str] = ()) -> Scenario:
    from abm.scenario import Scenario

    return Scenario.load(reference, settings=settings)


def _load(reference: str, options: argparse.Namespace, **changes: str) -> Scenario:
    """The scenario with --set, --strategy and --seed applied, all problems at once."""
    settings = list(getattr(options, "settings", []))
    settings += [f"{key}={value}" for key, value in changes.items()]
    if options.seed is not None:
        settings.append(f"seed={options.seed}")
    return _load_file(reference, settings)


def _print_json(content: dict[str, Any]) -> None:
    print(json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False))


def _complain(text: str) -> None:
    print(text, file=sys.stderr)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as one line: where in our code it was raised tells a user nothing."""
    _complain(f"warning: {message}")
