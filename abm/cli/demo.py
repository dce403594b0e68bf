"""The verb `demo`: what Evenfall is about, in the terminal and without files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from abm.cli.common import add_seed, load

Verbs = argparse._SubParsersAction


def add_verbs(verbs: Verbs[argparse.ArgumentParser]) -> None:
    """`demo` with its option."""
    verb = verbs.add_parser("demo", help="in ten seconds, without files: what this is about")
    add_seed(verb)
    verb.set_defaults(verb=_demo)


def _demo(options: argparse.Namespace) -> int:
    scenario = load("paper_balanced", options)

    from abm.report.demo import ACTS, demo_lines
    from abm.report.progress import progress
    from abm.report.terminal import console
    from abm.study import compare

    with progress("One evening, five ways", len(ACTS) * scenario.hours) as on_hour:
        runs = compare(scenario, ACTS, on_hour)
    out = console()
    results = {name: run.results for name, run in runs.items()}
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    program = "python run.py" if Path(sys.argv[0]).name == "run.py" else "evenfall"
    for line in demo_lines(results, program, unicode=encoding.startswith("utf")):
        out.print(line)
    return 0
