"""The verbs about feeders: import one, show it, reconfigure it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from abm.cli.common import OUTPUTS, add_output, claim_output, complain
from abm.errors import printable

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def add_verbs(verbs: Verbs) -> None:
    """`feeder import` and `feeder show` with their options."""
    feeder = verbs.add_parser("feeder", help="a feeder of your own: import it, look at it")
    parts = feeder.add_subparsers(title="what to do", metavar="WHAT", required=True)

    verb = parts.add_parser(
        "import",
        help="a feeder folder out of a net of pandapower, SimBench or MATPOWER",
        description="Makes a folder that every verb takes with --set grid.feeder=DIR.",
    )
    verb.add_argument(
        "source",
        metavar="SOURCE",
        help="pandapower:NAME, simbench:CODE, or a file: .json, .xlsx, .m, .mat",
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
    add_output(verb, "outputs/NAME-feeder")
    verb.set_defaults(verb=_import)


def _import(options: argparse.Namespace) -> int:
    from abm.grid.importing import import_feeder
    from abm.results.folder import made_by
    from abm.scenario import Scenario

    made = import_feeder(options.source, options.zones, options.classes, options.customers)
    out = options.out or OUTPUTS / f"{made.name}-feeder"
    rules = {key: getattr(options, key) for key in ("zones", "classes", "customers")}
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
