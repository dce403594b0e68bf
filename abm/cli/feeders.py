"""The verbs about feeders: import one, show it, reconfigure it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from abm.cli.common import (
    OUTPUTS,
    add_json,
    add_kpi,
    add_no_figures,
    add_output,
    add_scenario,
    add_trust,
    claim_output,
    complain,
    load,
    print_json,
)
from abm.cli.doing import carried_out, kpis_of, output_for
from abm.errors import InputError, Problem, nearest, printable

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def add_verbs(verbs: Verbs) -> None:
    """`feeder import`, `feeder show` and `reconfigure` with their options."""
    feeder = verbs.add_parser("feeder", help="a feeder of your own: import it, look at it")
    parts = feeder.add_subparsers(title="what to do", metavar="WHAT", required=True)

    verb = parts.add_parser(
        "import",
        help="a feeder folder out of a net of pandapower, SimBench, MATPOWER or OpenDSS",
        description="Makes a folder that every verb takes with --set grid.feeder=DIR.",
    )
    verb.add_argument(
        "source",
        metavar="SOURCE",
        help="pandapower:NAME, simbench:CODE, or a file: .json, .xlsx, .m, .mat, .dss, .dss.gz",
    )
    verb.add_argument(
        "--zones",
        metavar="RULE",
        default="loads",
        help="buses with EVs: loads (every bus with load, default), loads:CLASS, farthest:K, "
        "random:K[:SEED], buses:N,N,... or none",
    )
    verb.add_argument(
        "--classes",
        metavar="RULE",
        default="words",
        help="customer classes: words (of type, profile and name of the loads, default), "
        "voltage:KV (residential below, commercial from there), all:CLASS or file:PATH",
    )
    verb.add_argument(
        "--customers",
        metavar="RULE",
        default="auto",
        help="customers at a bus: loads (one each), kw:KW (nominal load over KW), or auto: the "
        "former below 1 kV, kw:1.5 above (default)",
    )
    verb.add_argument(
        "--three-phase",
        action="store_true",
        help="a three-phase feeder, which an OpenDSS script and a net with loads of single phases "
        "become anyway",
    )
    add_output(verb, "outputs/NAME-feeder", formats=False)
    verb.set_defaults(verb=_import)

    verb = parts.add_parser("show", help="a picture of a feeder and what is on it")
    verb.add_argument("feeder", metavar="DIR", help="a feeder folder, or a name from `list`")
    add_output(verb, "outputs/NAME-map")
    add_trust(verb)
    verb.set_defaults(verb=_show)

    verb = verbs.add_parser(
        "reconfigure", help="open and close lines for the least loss, and run the study again"
    )
    add_scenario(verb)
    verb.add_argument(
        "--load",
        choices=("nominal", "base"),
        default="nominal",
        help="whose loss is to be least: that of the nominal load (default), or the mean of all "
        "hours without EVs",
    )
    add_output(verb, "outputs/SCENARIO-reconfigure-seedN")
    add_json(verb)
    add_no_figures(verb)
    add_kpi(verb)
    verb.set_defaults(verb=_reconfigure)


def _import(options: argparse.Namespace) -> int:
    from abm.grid.importing import import_feeder
    from abm.results.folder import made_by
    from abm.scenario import Scenario

    rules = {key: getattr(options, key) for key in ("zones", "classes", "customers")}
    made = import_feeder(options.source, **rules, three_phase=options.three_phase, apart=True)
    out = options.out or OUTPUTS / f"{made.name}-feeder"
    with claim_output(options, out).new() as folder:
        folder.write_all(made.files.items())
        folder.write_manifest(made_by("feeder import", None, source=options.source, **rules))
    for line in made.summary:
        print(printable(line))
    for note in made.notes:
        complain(f"note: {note}")
    known = Scenario().inputs.profile.classes
    if missing := [name for name in made.classes if name not in known]:
        complain(
            f"note: class {', '.join(missing)} has no column in the load profile bdew_fit; "
            "bdew_generation has pv, wind and generation: --set base_load.profile=bdew_generation"
        )
    print(printable(f"Written to {out}; --set grid.feeder={out} takes it"))
    return 0


def _show(options: argparse.Namespace) -> int:
    from abm.grid import build_feeder
    from abm.grid.reconfigure import all_lines
    from abm.report.printing import FIGURE_FORMATS, OPTION, printing
    from abm.scenario.feeder import read_feeder
    from abm.scenario.phase_feeder import line_lengths

    if of_tables := ",".join(printing().tables):
        allowed = f"one of {', '.join(FIGURE_FORMATS)}: a feeder has no tables to write"
        raise InputError([Problem(OPTION, of_tables, allowed)])
    place = feeder_folder(options.feeder)
    table = read_feeder(place, None, options.trust)
    out = options.out or OUTPUTS / f"{table.name}-map"
    claimed = claim_output(options, out)
    if table.phases is not None:
        from abm.report.phase_figure import phase_figure
        from abm.report.phase_terminal import phase_lines

        length_m, n_open = line_lengths(place)
        figure, lines = phase_figure(table, length_m), phase_lines(table, length_m, n_open)
    else:
        from abm.report.feeder_figures import feeder_figure
        from abm.report.feeder_terminal import feeder_lines

        feeder, table = build_feeder(table), all_lines(table)
        figure, lines = feeder_figure(feeder, table), feeder_lines(feeder, table)

    from abm.report.figures import pictures
    from abm.report.terminal import print_lines
    from abm.results.folder import made_by

    with claimed.new() as folder:
        folder.write_all(pictures({"feeder": lambda: figure}, within=""))
        folder.write_manifest(made_by("feeder show", None, feeder=table.name))
    print_lines([*lines, f"Written to {out}"])
    return 0


def _reconfigure(options: argparse.Namespace) -> int:
    from abm.api.runs import reconfigure_task

    scenario = load(options.scenario, options)
    kpis = kpis_of(options, scenario)
    out = output_for(options, scenario, "reconfigure")
    task = reconfigure_task(scenario, options.load, str((out / "feeder").resolve()))
    study = carried_out(options, task, out, figures=not options.no_figures)

    from abm.report.chosen import only, print_chosen
    from abm.report.feeder_terminal import print_reconfiguration
    from abm.report.terminal import print_lines

    if options.json:
        chosen = {name: only(of_one, kpis) for name, of_one in study.kpis.items()}
        print_json(chosen if kpis else study.kpis)
    elif kpis:
        flow_min = scenario.grid.flow_interval_min
        print_chosen(task.title, study.kpis, kpis, flow_min, of_what="feeder")
        print_lines([f"Written to {out}"])
    else:
        print_reconfiguration(study)
        print_lines([f"Written to {out}"])
    return 0


def feeder_folder(reference: str) -> Path:
    """The folder of a feeder, by the name of a shipped one or by itself. Raises InputError."""
    from abm.scenario.names import shipped_feeders, shipped_files

    shipped = shipped_files("feeders").get(reference)
    folder = Path(reference) if shipped is None else shipped
    if not folder.is_dir():
        hint = nearest(reference, list(shipped_feeders()))
        raise InputError(
            [Problem("DIR", reference, "a feeder folder, or a name from `list`", hint=hint)]
        )
    return folder
