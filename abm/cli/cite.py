"""The verb cite: how to cite the software, the paper and a folder of results."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from abm.cli.common import print_json

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def add_verbs(verbs: Verbs) -> None:
    """`cite` with its options."""
    verb = verbs.add_parser("cite", help="how to cite Evenfall, its paper, or results")
    verb.add_argument(
        "folder", metavar="FOLDER", nargs="?", type=Path, help="what a verb wrote with --out"
    )
    verb.add_argument(
        "--format",
        choices=("bibtex", "text", "csl"),
        default="bibtex",
        help="bibtex (default), text for people, csl as JSON",
    )
    verb.set_defaults(verb=_cite)


def _cite(options: argparse.Namespace) -> int:
    from abm.report.cite import bibtex, csl, text, works

    found = works(options.folder)
    if options.format == "csl":
        print_json(csl(found))
    else:
        print((bibtex if options.format == "bibtex" else text)(found), end="")
    return 0
